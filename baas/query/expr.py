"""Rule expressions as frozen Structs: what `baas.rules` makes of a rule's text.

Reduced against a caller, a rule leaves an expression that mentions the document alone; that
expression travels inside a filter (`ast.Where`) and every engine compiles it. Meaning
(shared/design rules.md, docs/rules.md):

- Values are those of `baas.schema.values`, and beside them *undefined*.
- A field that the document lacks is null. A member that `auth`, `params`, `resource` or a looked
  up document lacks is undefined, as is the result of an operator or function given a type it
  does not take. Undefined passes through every operator, `!` too; `false && undefined` is
  false and `true || undefined` is true. Only `== null`, `!= null` (the literal), `has` and
  `exists` can see it: `undefined == null` is true.
- `==` and `!=` are exact and never look inside an array. `< <= > >=` between values of unlike
  kinds are false (`now`, a date, counts as milliseconds beside a number).
- A path through an array of objects is the list of its values, as the right side of `in` only;
  in any other place such a path is null.
- A condition (operand of `&& || ! ?:`, or a whole rule) that is a bare value is satisfied by
  exactly true; the checker has rewritten bare paths `x` there to `x == true`.
"""

from __future__ import annotations

from typing import Any, TypeAlias
from typing import Literal as Lit

import msgspec

from baas.schema.values import Path, Value


class ExprNode(msgspec.Struct, frozen=True, tag=True, tag_field="expr"):
    """Base of all expression nodes. Immutable; compared by value."""


class Literal(ExprNode, frozen=True):
    value: Value


class Undefined(ExprNode, frozen=True):
    """A value that is known not to be there."""


class Variable(ExprNode, frozen=True):
    """`auth request params resource stored channel now`: known once the request is."""

    name: str


class DocField(ExprNode, frozen=True):
    """A path into the stored document (`doc`) or the one after the write (`newDoc`).

    An empty path is the whole document.
    """

    root: Lit["doc", "newDoc"]
    path: Path


class Member(ExprNode, frozen=True):
    """`target.name`, or `target['name']` with a literal."""

    target: Expr
    name: str


class Index(ExprNode, frozen=True):
    """`target[key]` with a computed key: a position in a list or a name in an object."""

    target: Expr
    key: Expr


class Lookup(ExprNode, frozen=True):
    """`get('database.<collection>.' + id)`: the other document, or null."""

    collection: str
    id: Expr


class LookupExists(ExprNode, frozen=True):
    """`exists('database.<collection>.' + id)`."""

    collection: str
    id: Expr


class ListOf(ExprNode, frozen=True):
    items: tuple[Expr, ...]


class Unary(ExprNode, frozen=True):
    op: Lit["!", "-"]
    operand: Expr


class Binary(ExprNode, frozen=True):
    op: Lit["==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%"]
    left: Expr
    right: Expr


class Logic(ExprNode, frozen=True):
    """`&&` or `||` over two or more conditions."""

    op: Lit["&&", "||"]
    items: tuple[Expr, ...]


class Conditional(ExprNode, frozen=True):
    test: Expr
    then: Expr
    other: Expr


class Call(ExprNode, frozen=True):
    """A function of rules.md. A template string is `Call("concat", parts)`; `has(doc.a.b)` keeps
    its argument unevaluated in meaning: it asks whether the field is there."""

    name: str
    args: tuple[Expr, ...]


Expr: TypeAlias = (
    Literal
    | Undefined
    | Variable
    | DocField
    | Member
    | Index
    | Lookup
    | LookupExists
    | ListOf
    | Unary
    | Binary
    | Logic
    | Conditional
    | Call
)

TRUE = Literal(True)
FALSE = Literal(False)


def children(expr: Expr) -> tuple[Expr, ...]:
    """The expressions directly inside `expr`, in reading order."""
    found: list[Any] = []
    for name in expr.__struct_fields__:
        value = getattr(expr, name)
        if isinstance(value, tuple):
            found.extend(item for item in value if isinstance(item, ExprNode))
        elif isinstance(value, ExprNode):
            found.append(value)
    return tuple(found)
