"""A gateway's admin API, as command line tools speak to it."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from baas.cli.common import data_folder, load_app_settings
from baas.cli.listener import noted_address
from baas.settings import Settings

KEY_VARIABLE: Final = "BAAS_KEY"
#: What a key made for one command may do.
_SCOPES: Final = ("functions:read", "functions:write")
_SECONDS: Final = 120.0


class Remote:
    """One gateway and a key for it. Refusals end the command with the problem's own words."""

    def __init__(self, url: str, key: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise click.UsageError(f"a gateway's address begins with https:// or http://: {url}")
        self._url = url.rstrip("/")
        self._key = key

    def get(self, path: str) -> Any:
        return self._send("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        return self._send("POST", path, json.dumps(body).encode())

    def _send(self, method: str, path: str, body: bytes | None) -> Any:
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        request = urllib.request.Request(  # noqa: S310  the scheme was looked at
            f"{self._url}{path}", data=body, headers=headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                return json.loads(answer.read())
        except urllib.error.HTTPError as refusal:
            raise click.ClickException(_words(refusal)) from None
        except (OSError, ValueError) as fault:
            reason = getattr(fault, "reason", fault)
            raise click.ClickException(
                f"no gateway answers at {self._url}: {reason}. Is `baas serve` running there?"
            ) from None


def _words(refusal: urllib.error.HTTPError) -> str:
    try:
        problem = json.loads(refusal.read())
        text = f"{problem['code']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{refusal.url} answers {refusal.code}"
    return f"{text}\n{problem['stack']}" if "stack" in problem else text


@contextmanager
def gateway(url: str | None, key: str | None, data: Path | None) -> Iterator[Remote]:
    """The gateway of `access`, for the verbs of functions."""
    with access(url, key, data, "baas fn", _SCOPES) as (address, found):
        yield Remote(address, found)


@contextmanager
def access(
    url: str | None, key: str | None, data: Path | None, command: str, scopes: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """Address of and key for the gateway at `url`, or of the app in the current folder. For that
    one a key is made for the length of the command: whoever may write to the data folder may do so
    anyway."""
    key = key or os.environ.get(KEY_VARIABLE)
    if key:
        yield url or _own_address(load_app_settings(Path.cwd(), data)), key
    elif url is None:
        yield from _with_own_key(data, command, scopes)
    else:
        raise click.UsageError(f"another gateway needs an admin key: --key, or {KEY_VARIABLE}")


def _with_own_key(
    data: Path | None, command: str, scopes: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    from baas.cli.auth import with_auth

    address = _own_address(load_app_settings(Path.cwd(), data))
    made, key = with_auth(data, lambda auth: auth.admin_keys.create(command, scopes))
    try:
        yield address, key
    finally:
        with_auth(data, lambda auth: auth.admin_keys.revoke(made.id))


def _own_address(settings: Settings) -> str:
    """Where the folder's gateway said that it listens; else where the settings put it."""
    if noted := noted_address(data_folder(Path.cwd(), settings)):
        return noted
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.server.host, settings.server.host)  # noqa: S104
    return (
        f"http://[{host}]:{settings.server.port}"
        if ":" in host
        else (f"http://{host}:{settings.server.port}")
    )
