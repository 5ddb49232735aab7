"""baas: a backend for mini-programs and mobile apps, from one process."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from baas.functions import api as fn
    from baas.functions.context import Context

__version__ = "0.1.0"
__all__ = ["Context", "__version__", "fn"]

#: What functions import, and where it is; fetched when it is asked for, so that `import baas`
#: costs nothing.
_LATE = {"fn": ("baas.functions.api", None), "Context": ("baas.functions.context", "Context")}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LATE[name]
    found = import_module(module)
    return found if attribute is None else getattr(found, attribute)
