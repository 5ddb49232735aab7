"""The end of commands that go on until somebody stops them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

#: Ctrl-C, and what supervisors and scripts send.
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class _Stopped(BaseException):
    """No Exception: what a command catches in its rounds is not this."""


def until_stopped(work: Callable[[], None]) -> None:
    """Does `work` again and again until SIGINT or SIGTERM; the process then ends by exit code 0.

    The signal ends a round where it stands, its `finally` clauses run. Where something swallows
    that (code of the app may), this is the last round, and a second signal kills. Also where the
    parent ignored SIGINT, as shells do for what they start with `&`.
    """
    asked = False

    def stop(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        for one in SIGNALS:
            signal.signal(one, signal.SIG_DFL)
        raise _Stopped

    try:
        for number in SIGNALS:
            signal.signal(number, stop)
        while not asked:
            work()
    except _Stopped:
        pass
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody may read it any more
            stream.flush()
    # Threads that the app's functions began when they were imported are waited for otherwise.
    os._exit(0)
