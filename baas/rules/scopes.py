"""What a rule of a collection may see, operation by operation."""

from __future__ import annotations

from typing import Final

from baas.rules.model import Operation
from baas.rules.vocabulary import COMMON_ROOTS, Root, Scope

_DOC: Final = Root(becomes="doc")
_NEW_DOC: Final = Root(becomes="newDoc")
_ELSEWHERE: Final = {
    "resource": "'resource' is known in _storage.yaml only",
    "stored": "'stored' is known in _storage.yaml only",
    "channel": "'channel' is known in _channels.yaml only",
    "params": "'params' is known in _storage.yaml and _channels.yaml only",
}
_NO_RESULT: Final = "there is no new document here: a read or delete sees 'doc'"

_READ: Final = Scope(
    roots={**COMMON_ROOTS, "doc": _DOC}, absent={**_ELSEWHERE, "newDoc": _NO_RESULT}
)
_WATCH: Final = Scope(roots=_READ.roots, absent=_READ.absent, pushed_down=False)
_CREATE: Final = Scope(
    roots={**COMMON_ROOTS, "newDoc": _NEW_DOC},
    absent={
        **_ELSEWHERE,
        "doc": "there is no stored document yet when one is created; did you mean 'newDoc'?",
    },
)
#: A text that serves several operations: on create, `doc` is the new document.
_CREATE_SHARED: Final = Scope(
    roots={**COMMON_ROOTS, "newDoc": _NEW_DOC, "doc": _NEW_DOC},
    absent=_ELSEWHERE,
    unchanged_is=True,
)
_UPDATE: Final = Scope(
    roots={**COMMON_ROOTS, "doc": _DOC, "newDoc": _NEW_DOC},
    absent=_ELSEWHERE,
    both_documents=True,
)

#: A mask is asked before operators are applied, so it sees the stored document (on create the new
#: one) under the name `doc`.
MASK: Final = Scope(
    roots={**COMMON_ROOTS, "doc": _DOC},
    absent={**_ELSEWHERE, "newDoc": "a mask sees 'doc': the stored document, or the new one"},
)


def scope_of(operation: Operation, *, shared: bool) -> Scope:
    """The scope of a rule; `shared` where its text serves several operations."""
    if operation is Operation.CREATE:
        return _CREATE_SHARED if shared else _CREATE
    if operation is Operation.UPDATE:
        return _UPDATE
    return _WATCH if operation is Operation.WATCH else _READ
