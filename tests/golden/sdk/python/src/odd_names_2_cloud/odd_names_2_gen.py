"""Made by `baas sdk generate` from the rules and functions of Odd-Names_2. What is changed here is lost.

`create_cloud` makes the client of callers who are signed in; others have classes of their own.
"""
# ruff: noqa
# fmt: off

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Literal, Never, NotRequired, TypeAlias, TypedDict, TypeVar, Unpack, overload

from .runtime import (
    AsyncBaseCloud,
    AsyncBaseDatabase,
    AsyncBaseTransaction,
    AsyncCollection,
    AsyncTransactionCollection,
    BaseCloud,
    BaseDatabase,
    BaseTransaction,
    CallOptions,
    Collection,
    FunctionAnswer,
    Geometry,
    Invocation,
    Stored,
    TransactionCollection,
)
from .runtime.types import Becomes, Is, IsDate, IsPlace, IsText, Moment, Named, StoredIs

R = TypeVar("R")


__all__ = [
    "App2Cloud",
    "App2Database",
    "App2Transaction",
    "AsyncApp2Cloud",
    "AsyncApp2Database",
    "AsyncApp2Transaction",
    "AsyncContentEditorCloud",
    "AsyncContentEditorDatabase",
    "AsyncContentEditorTransaction",
    "AsyncNobodyCloud",
    "AsyncNobodyDatabase",
    "AsyncNobodyTransaction",
    "AsyncRoleAsyncUserCloud",
    "AsyncRoleAsyncUserDatabase",
    "AsyncRoleAsyncUserTransaction",
    "AsyncUserCloud",
    "AsyncUserDatabase",
    "AsyncUserTransaction",
    "Async审核员Cloud",
    "Async审核员Database",
    "Async审核员Transaction",
    "Class",
    "ClassChanges",
    "ClassCreate",
    "ClassFields",
    "ClassWhere",
    "Collection2",
    "ContentEditorClassChanges",
    "ContentEditorCloud",
    "ContentEditorDatabase",
    "ContentEditorTransaction",
    "Deep",
    "DeepAddress",
    "DeepAddressOwner",
    "DeepChanges",
    "DeepChangesAddress",
    "DeepChangesAddressOwner",
    "DeepChangesMore",
    "DeepChangesNothing",
    "DeepCreate",
    "DeepCreateAddress",
    "DeepCreateAddressOwner",
    "DeepCreateLines",
    "DeepCreateMore",
    "DeepCreateNothing",
    "DeepFields",
    "DeepLines",
    "DeepMore",
    "DeepNothing",
    "DeepWhere",
    "DeepWhereAddress",
    "DeepWhereAddressOwner",
    "DeepWhereMore",
    "DeepWhereNothing",
    "InlineEvent",
    "NobodyCloud",
    "NobodyDatabase",
    "NobodyDeep",
    "NobodyDeepAddress",
    "NobodyDeepFields",
    "NobodyDeepWhere",
    "NobodyDeepWhereAddress",
    "NobodyTransaction",
    "PageTree",
    "RoleAsyncUserCloud",
    "RoleAsyncUserDatabase",
    "RoleAsyncUserTransaction",
    "Tree",
    "UserCloud",
    "UserDatabase",
    "UserTransaction",
    "审核员Class",
    "审核员ClassWhere",
    "审核员Cloud",
    "审核员Database",
    "审核员Transaction",
]


class Tree(TypedDict):
    name: str
    children: NotRequired[list[Tree]]


# Has a name that the runtime has too.
Collection2 = TypedDict(
    "Collection2",
    {
        "from": "NotRequired[str]",
    },
)


PageTree: TypeAlias = "Tree | list[PageTree]"


class InlineEvent(TypedDict):
    when: Moment


Class = TypedDict(
    "Class",
    {
        "_id": "str",
        "_openid": "NotRequired[str]",
        "_createTime": "datetime",
        "_updateTime": "datetime",
        # A word that Python keeps.
        "class": "str",
        # 有中文名的字段
        "标题": "str",
        "2fa": "bool",
        "__init__": "int",
        "with-dash": "NotRequired[str | None]",
        "with space": "float",
        "": "NotRequired[str]",
        "$dollar": "NotRequired[None]",
    },
)


ClassCreate = TypedDict(
    "ClassCreate",
    {
        "_id": "NotRequired[str]",
        # A word that Python keeps.
        "class": "str",
        # 有中文名的字段
        "标题": "str",
        "__init__": "int",
        "with-dash": "NotRequired[str | None]",
        "with space": "NotRequired[float]",
        "": "NotRequired[str]",
        "$dollar": "NotRequired[None]",
    },
)


ClassChanges = TypedDict(
    "ClassChanges",
    {
        "class": "Becomes[str]",
        "标题": "Becomes[str]",
        "__init__": "Becomes[int]",
        "with-dash": "Becomes[str | None]",
        "with space": "Becomes[float]",
        "": "Becomes[str]",
        "$dollar": "Becomes[None]",
    },
    total=False,
)


ClassWhere = TypedDict(
    "ClassWhere",
    {
        "_id": "Is[str]",
        "_openid": "Is[str]",
        "_createTime": "IsDate",
        "_updateTime": "IsDate",
        "class": "IsText",
        "标题": "IsText",
        "2fa": "Is[bool]",
        "__init__": "Is[int]",
        "with-dash": "Is[str | None]",
        "with space": "Is[float]",
        "": "IsText",
        "$dollar": "Is[None]",
    },
    total=False,
)


ClassFields: TypeAlias = Literal[
    "_id",
    "_openid",
    "_createTime",
    "_updateTime",
    "class",
    "标题",
    "2fa",
    "__init__",
    "with-dash",
    "with space",
    "",
    "$dollar",
]


class DeepAddressOwner(TypedDict):
    name: NotRequired[str]
    since: NotRequired[datetime]


class DeepAddress(TypedDict):
    city: str
    place: NotRequired[Geometry]
    owner: NotRequired[DeepAddressOwner]


class DeepLines(TypedDict):
    sku: str
    count: NotRequired[int]


class DeepMore(TypedDict):
    known: NotRequired[str]


class DeepNothing(TypedDict):
    pass


class Deep(Stored):
    address: DeepAddress
    lines: list[DeepLines]
    kind: NotRequired[Literal["a", "b", 3, True] | None]
    either: NotRequired[str | int | list[datetime]]
    counts: NotRequired[dict[str, int]]
    more: NotRequired[DeepMore]
    matrix: NotRequired[list[list[float]]]
    anything: NotRequired[Any]
    nothing: NotRequired[DeepNothing]


class DeepCreateAddressOwner(TypedDict):
    name: NotRequired[str]
    since: NotRequired[Moment]


class DeepCreateAddress(TypedDict):
    city: str
    place: NotRequired[Geometry]
    owner: NotRequired[DeepCreateAddressOwner]


class DeepCreateLines(TypedDict):
    sku: str
    count: NotRequired[int]


class DeepCreateMore(TypedDict):
    known: NotRequired[str]


class DeepCreateNothing(TypedDict):
    pass


class DeepCreate(Named):
    address: DeepCreateAddress
    lines: list[DeepCreateLines]
    kind: NotRequired[Literal["a", "b", 3, True] | None]
    either: NotRequired[str | int | list[Moment]]
    counts: NotRequired[Mapping[str, int]]
    more: NotRequired[DeepCreateMore | Mapping[str, Any]]
    matrix: NotRequired[list[list[float]]]
    anything: NotRequired[Any]
    nothing: NotRequired[DeepCreateNothing]


class DeepChangesAddressOwner(TypedDict, total=False):
    name: Becomes[str]
    since: Becomes[Moment]


DeepChangesAddress = TypedDict(
    "DeepChangesAddress",
    {
        "city": "Becomes[str]",
        "place": "Becomes[Geometry]",
        "owner": "Becomes[DeepChangesAddressOwner]",
        "owner.name": "Becomes[str]",
        "owner.since": "Becomes[Moment]",
    },
    total=False,
)


class DeepChangesMore(TypedDict, total=False):
    known: Becomes[str]


class DeepChangesNothing(TypedDict, total=False):
    pass


DeepChanges = TypedDict(
    "DeepChanges",
    {
        "address": "Becomes[DeepChangesAddress]",
        "address.city": "Becomes[str]",
        "address.place": "Becomes[Geometry]",
        "address.owner": "Becomes[DeepChangesAddressOwner]",
        "address.owner.name": "Becomes[str]",
        "address.owner.since": "Becomes[Moment]",
        "lines": "Becomes[list[DeepCreateLines]]",
        "kind": "Becomes[Literal[\"a\", \"b\", 3, True] | None]",
        "either": "Becomes[str | int | list[Moment]]",
        "counts": "Becomes[Mapping[str, int]]",
        "more": "Becomes[DeepChangesMore | Mapping[str, Any]]",
        "more.known": "Becomes[str]",
        "matrix": "Becomes[list[list[float]]]",
        "anything": "Becomes[Any]",
        "nothing": "Becomes[DeepChangesNothing]",
    },
    total=False,
)


class DeepWhereAddressOwner(TypedDict, total=False):
    name: IsText
    since: IsDate


DeepWhereAddress = TypedDict(
    "DeepWhereAddress",
    {
        "city": "IsText",
        "place": "IsPlace",
        "owner": "Is[DeepWhereAddressOwner]",
        "owner.name": "IsText",
        "owner.since": "IsDate",
    },
    total=False,
)


class DeepWhereMore(TypedDict, total=False):
    known: IsText


class DeepWhereNothing(TypedDict, total=False):
    pass


DeepWhere = TypedDict(
    "DeepWhere",
    {
        "_id": "Is[str]",
        "_openid": "Is[str]",
        "_createTime": "IsDate",
        "_updateTime": "IsDate",
        "address": "Is[DeepWhereAddress]",
        "address.city": "IsText",
        "address.place": "IsPlace",
        "address.owner": "Is[DeepWhereAddressOwner]",
        "address.owner.name": "IsText",
        "address.owner.since": "IsDate",
        "lines": "Is[list[DeepCreateLines] | DeepCreateLines]",
        "lines.sku": "IsText",
        "lines.count": "Is[int]",
        "kind": "Is[Literal[\"a\", \"b\", 3, True] | None]",
        "either": "Is[str | int | list[Moment]]",
        "counts": "Is[Mapping[str, int]]",
        "more": "Is[DeepWhereMore | Mapping[str, Any]]",
        "more.known": "IsText",
        "matrix": "Is[list[list[float]] | list[float]]",
        "anything": "Is[Any]",
        "nothing": "Is[DeepWhereNothing]",
    },
    total=False,
)


DeepFields: TypeAlias = Literal[
    "_id",
    "_openid",
    "_createTime",
    "_updateTime",
    "address",
    "address.city",
    "address.place",
    "address.owner",
    "address.owner.name",
    "address.owner.since",
    "lines",
    "lines.sku",
    "lines.count",
    "kind",
    "either",
    "counts",
    "more",
    "more.known",
    "matrix",
    "anything",
    "nothing",
]


class NobodyDeepAddress(TypedDict):
    city: str
    place: NotRequired[Geometry]


class NobodyDeep(Stored):
    address: NobodyDeepAddress
    lines: list[DeepLines]
    kind: NotRequired[Literal["a", "b", 3, True] | None]
    either: NotRequired[str | int | list[datetime]]
    counts: NotRequired[dict[str, int]]
    more: NotRequired[DeepMore]
    matrix: NotRequired[list[list[float]]]
    anything: NotRequired[Any]
    nothing: NotRequired[DeepNothing]


class NobodyDeepWhereAddress(TypedDict, total=False):
    city: IsText
    place: IsPlace


NobodyDeepWhere = TypedDict(
    "NobodyDeepWhere",
    {
        "_id": "Is[str]",
        "_openid": "Is[str]",
        "_createTime": "IsDate",
        "_updateTime": "IsDate",
        "address": "Is[NobodyDeepWhereAddress]",
        "address.city": "IsText",
        "address.place": "IsPlace",
        "lines": "Is[list[DeepCreateLines] | DeepCreateLines]",
        "lines.sku": "IsText",
        "lines.count": "Is[int]",
        "kind": "Is[Literal[\"a\", \"b\", 3, True] | None]",
        "either": "Is[str | int | list[Moment]]",
        "counts": "Is[Mapping[str, int]]",
        "more": "Is[DeepWhereMore | Mapping[str, Any]]",
        "more.known": "IsText",
        "matrix": "Is[list[list[float]] | list[float]]",
        "anything": "Is[Any]",
        "nothing": "Is[DeepWhereNothing]",
    },
    total=False,
)


NobodyDeepFields: TypeAlias = Literal[
    "_id",
    "_openid",
    "_createTime",
    "_updateTime",
    "address",
    "address.city",
    "address.place",
    "lines",
    "lines.sku",
    "lines.count",
    "kind",
    "either",
    "counts",
    "more",
    "more.known",
    "matrix",
    "anything",
    "nothing",
]


ContentEditorClassChanges = TypedDict(
    "ContentEditorClassChanges",
    {
        "class": "Becomes[str]",
        "标题": "Becomes[str]",
        "2fa": "Becomes[bool]",
        "__init__": "Becomes[int]",
        "with-dash": "Becomes[str | None]",
        "with space": "Becomes[float]",
        "": "Becomes[str]",
        "$dollar": "Becomes[None]",
    },
    total=False,
)


审核员Class = TypedDict(
    "审核员Class",
    {
        "_id": "str",
        "_openid": "NotRequired[str]",
        "_createTime": "datetime",
        "_updateTime": "datetime",
        # A word that Python keeps.
        "class": "str",
        # 有中文名的字段
        "标题": "NotRequired[str]",
        "2fa": "bool",
        "__init__": "int",
        "with-dash": "NotRequired[str | None]",
        "with space": "float",
        "": "NotRequired[str]",
        "$dollar": "NotRequired[None]",
    },
)


审核员ClassWhere = TypedDict(
    "审核员ClassWhere",
    {
        "_id": "Is[str]",
        "_openid": "Is[str]",
        "_createTime": "IsDate",
        "_updateTime": "IsDate",
        "class": "IsText",
        "标题": "IsText",
        "2fa": "Is[bool]",
        "__init__": "Is[int]",
        "with-dash": "Is[str | None]",
        "with space": "Is[float]",
        "": "IsText",
        "$dollar": "Is[None]",
    },
    total=False,
)


class AsyncAppCloud(AsyncBaseCloud):
    # A reserved word.
    @overload
    async def call_function(self, name: Literal["import"], data: Tree, **options: Unpack[CallOptions]) -> FunctionAnswer[list[Collection2]]: ...

    @overload
    async def call_function(self, name: Literal["inline"], data: InlineEvent, **options: Unpack[CallOptions]) -> FunctionAnswer[str | None]: ...

    # A repeat after a lost answer is safe for callers who are signed in: the gateway runs it once.
    async def call_function(self, name: str, data: Any = None, **options: Unpack[CallOptions]) -> FunctionAnswer[Any]:
        return await self._call(name, data, options)

    @overload
    async def call_function_later(self, name: Literal["import"], data: Tree, delay: int = 0, **options: Unpack[CallOptions]) -> Invocation: ...

    @overload
    async def call_function_later(self, name: Literal["inline"], data: InlineEvent, delay: int = 0, **options: Unpack[CallOptions]) -> Invocation: ...

    # Hands a call over; it runs even if this program ends. `delay` in seconds.
    async def call_function_later(self, name: str, data: Any = None, delay: int = 0, **options: Unpack[CallOptions]) -> Invocation:
        return await self._call_later(name, data, delay, options)


class AppCloud(BaseCloud):
    # A reserved word.
    @overload
    def call_function(self, name: Literal["import"], data: Tree, **options: Unpack[CallOptions]) -> FunctionAnswer[list[Collection2]]: ...

    @overload
    def call_function(self, name: Literal["inline"], data: InlineEvent, **options: Unpack[CallOptions]) -> FunctionAnswer[str | None]: ...

    # A repeat after a lost answer is safe for callers who are signed in: the gateway runs it once.
    def call_function(self, name: str, data: Any = None, **options: Unpack[CallOptions]) -> FunctionAnswer[Any]:
        return self._call(name, data, options)

    @overload
    def call_function_later(self, name: Literal["import"], data: Tree, delay: int = 0, **options: Unpack[CallOptions]) -> Invocation: ...

    @overload
    def call_function_later(self, name: Literal["inline"], data: InlineEvent, delay: int = 0, **options: Unpack[CallOptions]) -> Invocation: ...

    # Hands a call over; it runs even if this program ends. `delay` in seconds.
    def call_function_later(self, name: str, data: Any = None, delay: int = 0, **options: Unpack[CallOptions]) -> Invocation:
        return self._call_later(name, data, delay, options)


class AsyncUserTransaction(AsyncBaseTransaction):
    @overload
    def collection(self, name: Literal["class"]) -> AsyncTransactionCollection[Class, ClassCreate, ClassChanges]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> AsyncTransactionCollection[Deep, DeepCreate, DeepChanges]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> AsyncTransactionCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any]]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class AsyncUserDatabase(AsyncBaseDatabase):
    @overload
    def collection(self, name: Literal["class"]) -> AsyncCollection[Class, ClassCreate, ClassChanges, ClassWhere, ClassFields]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> AsyncCollection[Deep, DeepCreate, DeepChanges, DeepWhere, DeepFields]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> AsyncCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], str]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    async def run_transaction(
        self,
        run: Callable[[AsyncUserTransaction], Awaitable[R]],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return await self._transact(AsyncUserTransaction, run, times, options)


class AsyncUserCloud(AsyncAppCloud):
    """The client of callers who are signed in."""

    def database(self) -> AsyncUserDatabase:
        return AsyncUserDatabase(self._http, self._live)


class UserTransaction(BaseTransaction):
    @overload
    def collection(self, name: Literal["class"]) -> TransactionCollection[Class, ClassCreate, ClassChanges]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> TransactionCollection[Deep, DeepCreate, DeepChanges]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> TransactionCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any]]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class UserDatabase(BaseDatabase):
    @overload
    def collection(self, name: Literal["class"]) -> Collection[Class, ClassCreate, ClassChanges, ClassWhere, ClassFields]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> Collection[Deep, DeepCreate, DeepChanges, DeepWhere, DeepFields]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> Collection[dict[str, Any], Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], str]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    def run_transaction(
        self,
        run: Callable[[UserTransaction], R],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return self._transact(UserTransaction, run, times, options)


class UserCloud(AppCloud):
    """The client of callers who are signed in."""

    def database(self) -> UserDatabase:
        return UserDatabase(self._http, self._live)


class AsyncNobodyTransaction(AsyncBaseTransaction):
    @overload
    def collection(self, name: Literal["class"]) -> AsyncTransactionCollection[Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> AsyncTransactionCollection[NobodyDeep, Never, Never]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> AsyncTransactionCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any]]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class AsyncNobodyDatabase(AsyncBaseDatabase):
    @overload
    def collection(self, name: Literal["class"]) -> AsyncCollection[Never, Never, Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> AsyncCollection[NobodyDeep, Never, Never, NobodyDeepWhere, NobodyDeepFields]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> AsyncCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], str]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    async def run_transaction(
        self,
        run: Callable[[AsyncNobodyTransaction], Awaitable[R]],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return await self._transact(AsyncNobodyTransaction, run, times, options)


class AsyncNobodyCloud(AsyncAppCloud):
    """The client of callers who are not signed in."""

    def database(self) -> AsyncNobodyDatabase:
        return AsyncNobodyDatabase(self._http, self._live)


class NobodyTransaction(BaseTransaction):
    @overload
    def collection(self, name: Literal["class"]) -> TransactionCollection[Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> TransactionCollection[NobodyDeep, Never, Never]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> TransactionCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any]]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class NobodyDatabase(BaseDatabase):
    @overload
    def collection(self, name: Literal["class"]) -> Collection[Never, Never, Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> Collection[NobodyDeep, Never, Never, NobodyDeepWhere, NobodyDeepFields]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> Collection[dict[str, Any], Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], str]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    def run_transaction(
        self,
        run: Callable[[NobodyTransaction], R],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return self._transact(NobodyTransaction, run, times, options)


class NobodyCloud(AppCloud):
    """The client of callers who are not signed in."""

    def database(self) -> NobodyDatabase:
        return NobodyDatabase(self._http, self._live)


class AsyncContentEditorTransaction(AsyncBaseTransaction):
    @overload
    def collection(self, name: Literal["class"]) -> AsyncTransactionCollection[Class, Never, ContentEditorClassChanges]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> AsyncTransactionCollection[Deep, DeepCreate, DeepChanges]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> AsyncTransactionCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any]]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class AsyncContentEditorDatabase(AsyncBaseDatabase):
    @overload
    def collection(self, name: Literal["class"]) -> AsyncCollection[Class, Never, ContentEditorClassChanges, ClassWhere, ClassFields]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> AsyncCollection[Deep, DeepCreate, DeepChanges, DeepWhere, DeepFields]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> AsyncCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], str]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    async def run_transaction(
        self,
        run: Callable[[AsyncContentEditorTransaction], Awaitable[R]],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return await self._transact(AsyncContentEditorTransaction, run, times, options)


class AsyncContentEditorCloud(AsyncAppCloud):
    """The client of callers with the role 'content-editor'."""

    def database(self) -> AsyncContentEditorDatabase:
        return AsyncContentEditorDatabase(self._http, self._live)


class ContentEditorTransaction(BaseTransaction):
    @overload
    def collection(self, name: Literal["class"]) -> TransactionCollection[Class, Never, ContentEditorClassChanges]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> TransactionCollection[Deep, DeepCreate, DeepChanges]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> TransactionCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any]]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class ContentEditorDatabase(BaseDatabase):
    @overload
    def collection(self, name: Literal["class"]) -> Collection[Class, Never, ContentEditorClassChanges, ClassWhere, ClassFields]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> Collection[Deep, DeepCreate, DeepChanges, DeepWhere, DeepFields]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> Collection[dict[str, Any], Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], str]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    def run_transaction(
        self,
        run: Callable[[ContentEditorTransaction], R],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return self._transact(ContentEditorTransaction, run, times, options)


class ContentEditorCloud(AppCloud):
    """The client of callers with the role 'content-editor'."""

    def database(self) -> ContentEditorDatabase:
        return ContentEditorDatabase(self._http, self._live)


class Async审核员Transaction(AsyncBaseTransaction):
    @overload
    def collection(self, name: Literal["class"]) -> AsyncTransactionCollection[审核员Class, Never, Never]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> AsyncTransactionCollection[Deep, DeepCreate, DeepChanges]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> AsyncTransactionCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any]]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class Async审核员Database(AsyncBaseDatabase):
    @overload
    def collection(self, name: Literal["class"]) -> AsyncCollection[审核员Class, Never, Never, 审核员ClassWhere, ClassFields]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> AsyncCollection[Deep, DeepCreate, DeepChanges, DeepWhere, DeepFields]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> AsyncCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], str]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    async def run_transaction(
        self,
        run: Callable[[Async审核员Transaction], Awaitable[R]],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return await self._transact(Async审核员Transaction, run, times, options)


class Async审核员Cloud(AsyncAppCloud):
    """The client of callers with the role '审核员'."""

    def database(self) -> Async审核员Database:
        return Async审核员Database(self._http, self._live)


class 审核员Transaction(BaseTransaction):
    @overload
    def collection(self, name: Literal["class"]) -> TransactionCollection[审核员Class, Never, Never]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> TransactionCollection[Deep, DeepCreate, DeepChanges]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> TransactionCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any]]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class 审核员Database(BaseDatabase):
    @overload
    def collection(self, name: Literal["class"]) -> Collection[审核员Class, Never, Never, 审核员ClassWhere, ClassFields]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> Collection[Deep, DeepCreate, DeepChanges, DeepWhere, DeepFields]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> Collection[dict[str, Any], Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], str]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    def run_transaction(
        self,
        run: Callable[[审核员Transaction], R],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return self._transact(审核员Transaction, run, times, options)


class 审核员Cloud(AppCloud):
    """The client of callers with the role '审核员'."""

    def database(self) -> 审核员Database:
        return 审核员Database(self._http, self._live)


class AsyncApp2Transaction(AsyncBaseTransaction):
    @overload
    def collection(self, name: Literal["class"]) -> AsyncTransactionCollection[Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> AsyncTransactionCollection[Deep, DeepCreate, DeepChanges]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> AsyncTransactionCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any]]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class AsyncApp2Database(AsyncBaseDatabase):
    @overload
    def collection(self, name: Literal["class"]) -> AsyncCollection[Never, Never, Never, Mapping[str, Any], str]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> AsyncCollection[Deep, DeepCreate, DeepChanges, DeepWhere, DeepFields]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> AsyncCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], str]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    async def run_transaction(
        self,
        run: Callable[[AsyncApp2Transaction], Awaitable[R]],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return await self._transact(AsyncApp2Transaction, run, times, options)


class AsyncApp2Cloud(AsyncAppCloud):
    """The client of callers with the role 'App'."""

    def database(self) -> AsyncApp2Database:
        return AsyncApp2Database(self._http, self._live)


class App2Transaction(BaseTransaction):
    @overload
    def collection(self, name: Literal["class"]) -> TransactionCollection[Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> TransactionCollection[Deep, DeepCreate, DeepChanges]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> TransactionCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any]]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class App2Database(BaseDatabase):
    @overload
    def collection(self, name: Literal["class"]) -> Collection[Never, Never, Never, Mapping[str, Any], str]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> Collection[Deep, DeepCreate, DeepChanges, DeepWhere, DeepFields]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> Collection[dict[str, Any], Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], str]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    def run_transaction(
        self,
        run: Callable[[App2Transaction], R],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return self._transact(App2Transaction, run, times, options)


class App2Cloud(AppCloud):
    """The client of callers with the role 'App'."""

    def database(self) -> App2Database:
        return App2Database(self._http, self._live)


class AsyncRoleAsyncUserTransaction(AsyncBaseTransaction):
    @overload
    def collection(self, name: Literal["class"]) -> AsyncTransactionCollection[Class, ClassCreate, ClassChanges]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> AsyncTransactionCollection[Deep, DeepCreate, DeepChanges]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> AsyncTransactionCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any]]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class AsyncRoleAsyncUserDatabase(AsyncBaseDatabase):
    @overload
    def collection(self, name: Literal["class"]) -> AsyncCollection[Class, ClassCreate, ClassChanges, ClassWhere, ClassFields]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> AsyncCollection[Deep, DeepCreate, DeepChanges, DeepWhere, DeepFields]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> AsyncCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], str]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    async def run_transaction(
        self,
        run: Callable[[AsyncRoleAsyncUserTransaction], Awaitable[R]],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return await self._transact(AsyncRoleAsyncUserTransaction, run, times, options)


class AsyncRoleAsyncUserCloud(AsyncAppCloud):
    """The client of callers with the role 'AsyncUser'."""

    def database(self) -> AsyncRoleAsyncUserDatabase:
        return AsyncRoleAsyncUserDatabase(self._http, self._live)


class RoleAsyncUserTransaction(BaseTransaction):
    @overload
    def collection(self, name: Literal["class"]) -> TransactionCollection[Class, ClassCreate, ClassChanges]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> TransactionCollection[Deep, DeepCreate, DeepChanges]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> TransactionCollection[dict[str, Any], Mapping[str, Any], Mapping[str, Any]]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class RoleAsyncUserDatabase(BaseDatabase):
    @overload
    def collection(self, name: Literal["class"]) -> Collection[Class, ClassCreate, ClassChanges, ClassWhere, ClassFields]: ...

    @overload
    def collection(self, name: Literal["deep"]) -> Collection[Deep, DeepCreate, DeepChanges, DeepWhere, DeepFields]: ...

    @overload
    def collection(self, name: Literal["any-thing"]) -> Collection[dict[str, Any], Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], str]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    def run_transaction(
        self,
        run: Callable[[RoleAsyncUserTransaction], R],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return self._transact(RoleAsyncUserTransaction, run, times, options)


class RoleAsyncUserCloud(AppCloud):
    """The client of callers with the role 'AsyncUser'."""

    def database(self) -> RoleAsyncUserDatabase:
        return RoleAsyncUserDatabase(self._http, self._live)
