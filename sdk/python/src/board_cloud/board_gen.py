"""Made by `baas sdk generate` from the rules and functions of board. What is changed here is lost.

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
    "AsyncModeratorCloud",
    "AsyncModeratorDatabase",
    "AsyncModeratorTransaction",
    "AsyncNobodyCloud",
    "AsyncNobodyDatabase",
    "AsyncNobodyTransaction",
    "AsyncUserCloud",
    "AsyncUserDatabase",
    "AsyncUserTransaction",
    "Comments",
    "CommentsCreate",
    "CommentsFields",
    "CommentsWhere",
    "Decision",
    "Drafts",
    "DraftsChanges",
    "DraftsCreate",
    "DraftsWhere",
    "Likes",
    "LikesCreate",
    "LikesFields",
    "LikesWhere",
    "ModeratorCloud",
    "ModeratorDatabase",
    "ModeratorPosts",
    "ModeratorPostsChanges",
    "ModeratorPostsCreate",
    "ModeratorPostsFields",
    "ModeratorPostsWhere",
    "ModeratorProfilesChanges",
    "ModeratorProfilesCreate",
    "ModeratorReports",
    "ModeratorReportsChanges",
    "ModeratorReportsFields",
    "ModeratorReportsWhere",
    "ModeratorTransaction",
    "NobodyCloud",
    "NobodyDatabase",
    "NobodyTransaction",
    "Numbers",
    "Posts",
    "PostsChanges",
    "PostsCreate",
    "PostsFields",
    "PostsWhere",
    "Profiles",
    "ProfilesChanges",
    "ProfilesCreate",
    "ProfilesFields",
    "ProfilesWhere",
    "ReportsCreate",
    "UserCloud",
    "UserDatabase",
    "UserTransaction",
]


# What `decide` takes.
class Decision(TypedDict):
    report: str
    state: Literal["accepted", "rejected"]


# What `my_numbers` answers.
class Numbers(TypedDict):
    posts: int
    likes: int


class Comments(Stored):
    post: str
    text: str


class CommentsCreate(Named):
    post: str
    text: str


class CommentsWhere(StoredIs, total=False):
    post: IsText
    text: IsText


CommentsFields: TypeAlias = Literal[
    "_id",
    "_openid",
    "_createTime",
    "_updateTime",
    "post",
    "text",
]


class Drafts(Stored):
    title: str
    text: str
    expires: NotRequired[datetime]


class DraftsCreate(Named):
    title: NotRequired[str]
    text: NotRequired[str]
    expires: NotRequired[Moment]


class DraftsChanges(TypedDict, total=False):
    title: Becomes[str]
    text: Becomes[str]
    expires: Becomes[Moment]


class DraftsWhere(StoredIs, total=False):
    title: IsText
    text: IsText
    expires: IsDate


class Likes(Stored):
    post: str


class LikesCreate(Named):
    post: str


class LikesWhere(StoredIs, total=False):
    post: IsText


LikesFields: TypeAlias = Literal[
    "_id",
    "_openid",
    "_createTime",
    "_updateTime",
    "post",
]


class Posts(Stored):
    title: str
    text: str
    tags: list[str]
    pictures: NotRequired[list[str]]
    published: bool
    hidden: bool
    slug: NotRequired[str]
    likes: NotRequired[int]


class PostsCreate(Named):
    title: str
    text: str
    tags: NotRequired[list[str]]
    pictures: NotRequired[list[str]]
    published: NotRequired[bool]


class PostsChanges(TypedDict, total=False):
    title: Becomes[str]
    text: Becomes[str]
    tags: Becomes[list[str]]
    pictures: Becomes[list[str]]
    published: Becomes[bool]


class PostsWhere(StoredIs, total=False):
    title: IsText
    text: IsText
    tags: Is[list[str] | str]
    pictures: Is[list[str] | str]
    published: Is[bool]
    hidden: Is[bool]
    slug: IsText
    likes: Is[int]


PostsFields: TypeAlias = Literal[
    "_id",
    "_openid",
    "_createTime",
    "_updateTime",
    "title",
    "text",
    "tags",
    "pictures",
    "published",
    "hidden",
    "slug",
    "likes",
]


class Profiles(Stored):
    nickname: str
    bio: str
    phone: NotRequired[str]
    email: NotRequired[str]
    trusted: bool


class ProfilesCreate(Named):
    nickname: str
    bio: NotRequired[str]
    phone: NotRequired[str]
    email: NotRequired[str]


class ProfilesChanges(TypedDict, total=False):
    nickname: Becomes[str]
    bio: Becomes[str]
    phone: Becomes[str]
    email: Becomes[str]


class ProfilesWhere(StoredIs, total=False):
    nickname: IsText
    bio: IsText
    phone: IsText
    email: IsText
    trusted: Is[bool]


ProfilesFields: TypeAlias = Literal[
    "_id",
    "_openid",
    "_createTime",
    "_updateTime",
    "nickname",
    "bio",
    "phone",
    "email",
    "trusted",
]


class ReportsCreate(Named):
    post: str
    reason: Literal["spam", "abuse", "other"]
    text: NotRequired[str]
    state: NotRequired[Literal["open", "accepted", "rejected"]]


class ModeratorPosts(Stored):
    title: str
    text: str
    tags: list[str]
    pictures: NotRequired[list[str]]
    published: bool
    hidden: bool
    note: NotRequired[str]
    slug: NotRequired[str]
    likes: NotRequired[int]


class ModeratorPostsCreate(Named):
    title: str
    text: str
    tags: NotRequired[list[str]]
    pictures: NotRequired[list[str]]
    published: NotRequired[bool]
    hidden: NotRequired[bool]
    note: NotRequired[str]


class ModeratorPostsChanges(TypedDict, total=False):
    title: Becomes[str]
    text: Becomes[str]
    tags: Becomes[list[str]]
    pictures: Becomes[list[str]]
    published: Becomes[bool]
    hidden: Becomes[bool]
    note: Becomes[str]


class ModeratorPostsWhere(StoredIs, total=False):
    title: IsText
    text: IsText
    tags: Is[list[str] | str]
    pictures: Is[list[str] | str]
    published: Is[bool]
    hidden: Is[bool]
    note: IsText
    slug: IsText
    likes: Is[int]


ModeratorPostsFields: TypeAlias = Literal[
    "_id",
    "_openid",
    "_createTime",
    "_updateTime",
    "title",
    "text",
    "tags",
    "pictures",
    "published",
    "hidden",
    "note",
    "slug",
    "likes",
]


class ModeratorProfilesCreate(Named):
    nickname: str
    bio: NotRequired[str]
    phone: NotRequired[str]
    email: NotRequired[str]
    trusted: NotRequired[bool]


class ModeratorProfilesChanges(TypedDict, total=False):
    nickname: Becomes[str]
    bio: Becomes[str]
    phone: Becomes[str]
    email: Becomes[str]
    trusted: Becomes[bool]


class ModeratorReports(Stored):
    post: str
    reason: Literal["spam", "abuse", "other"]
    text: NotRequired[str]
    state: Literal["open", "accepted", "rejected"]


class ModeratorReportsChanges(TypedDict, total=False):
    post: Becomes[str]
    reason: Becomes[Literal["spam", "abuse", "other"]]
    text: Becomes[str]
    state: Becomes[Literal["open", "accepted", "rejected"]]


class ModeratorReportsWhere(StoredIs, total=False):
    post: IsText
    reason: Is[Literal["spam", "abuse", "other"]]
    text: IsText
    state: Is[Literal["open", "accepted", "rejected"]]


ModeratorReportsFields: TypeAlias = Literal[
    "_id",
    "_openid",
    "_createTime",
    "_updateTime",
    "post",
    "reason",
    "text",
    "state",
]


class AsyncAppCloud(AsyncBaseCloud):
    # A moderator's decision: the report is settled, and the post hidden or shown, together.
    @overload
    async def call_function(self, name: Literal["decide"], data: Decision, **options: Unpack[CallOptions]) -> FunctionAnswer[Any]: ...

    # How many posts the caller has written, and how many likes they got.
    @overload
    async def call_function(self, name: Literal["my_numbers"], data: Any = None, **options: Unpack[CallOptions]) -> FunctionAnswer[Numbers]: ...

    # A repeat after a lost answer is safe for callers who are signed in: the gateway runs it once.
    async def call_function(self, name: str, data: Any = None, **options: Unpack[CallOptions]) -> FunctionAnswer[Any]:
        return await self._call(name, data, options)

    @overload
    async def call_function_later(self, name: Literal["decide"], data: Decision, delay: int = 0, **options: Unpack[CallOptions]) -> Invocation: ...

    @overload
    async def call_function_later(self, name: Literal["my_numbers"], data: Any = None, delay: int = 0, **options: Unpack[CallOptions]) -> Invocation: ...

    # Hands a call over; it runs even if this program ends. `delay` in seconds.
    async def call_function_later(self, name: str, data: Any = None, delay: int = 0, **options: Unpack[CallOptions]) -> Invocation:
        return await self._call_later(name, data, delay, options)


class AppCloud(BaseCloud):
    # A moderator's decision: the report is settled, and the post hidden or shown, together.
    @overload
    def call_function(self, name: Literal["decide"], data: Decision, **options: Unpack[CallOptions]) -> FunctionAnswer[Any]: ...

    # How many posts the caller has written, and how many likes they got.
    @overload
    def call_function(self, name: Literal["my_numbers"], data: Any = None, **options: Unpack[CallOptions]) -> FunctionAnswer[Numbers]: ...

    # A repeat after a lost answer is safe for callers who are signed in: the gateway runs it once.
    def call_function(self, name: str, data: Any = None, **options: Unpack[CallOptions]) -> FunctionAnswer[Any]:
        return self._call(name, data, options)

    @overload
    def call_function_later(self, name: Literal["decide"], data: Decision, delay: int = 0, **options: Unpack[CallOptions]) -> Invocation: ...

    @overload
    def call_function_later(self, name: Literal["my_numbers"], data: Any = None, delay: int = 0, **options: Unpack[CallOptions]) -> Invocation: ...

    # Hands a call over; it runs even if this program ends. `delay` in seconds.
    def call_function_later(self, name: str, data: Any = None, delay: int = 0, **options: Unpack[CallOptions]) -> Invocation:
        return self._call_later(name, data, delay, options)


class AsyncUserTransaction(AsyncBaseTransaction):
    @overload
    def collection(self, name: Literal["comments"]) -> AsyncTransactionCollection[Comments, CommentsCreate, Never]: ...

    @overload
    def collection(self, name: Literal["drafts"]) -> AsyncTransactionCollection[Drafts, DraftsCreate | Mapping[str, Any], DraftsChanges | Mapping[str, Any]]: ...

    @overload
    def collection(self, name: Literal["likes"]) -> AsyncTransactionCollection[Likes, LikesCreate, Never]: ...

    @overload
    def collection(self, name: Literal["notices"]) -> AsyncTransactionCollection[dict[str, Any], Never, Never]: ...

    @overload
    def collection(self, name: Literal["posts"]) -> AsyncTransactionCollection[Posts, PostsCreate, PostsChanges]: ...

    @overload
    def collection(self, name: Literal["profiles"]) -> AsyncTransactionCollection[Profiles, ProfilesCreate, ProfilesChanges]: ...

    @overload
    def collection(self, name: Literal["reports"]) -> AsyncTransactionCollection[Never, ReportsCreate, Never]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class AsyncUserDatabase(AsyncBaseDatabase):
    @overload
    def collection(self, name: Literal["comments"]) -> AsyncCollection[Comments, CommentsCreate, Never, CommentsWhere, CommentsFields]: ...

    @overload
    def collection(self, name: Literal["drafts"]) -> AsyncCollection[Drafts, DraftsCreate | Mapping[str, Any], DraftsChanges | Mapping[str, Any], DraftsWhere | Mapping[str, Any], str]: ...

    @overload
    def collection(self, name: Literal["likes"]) -> AsyncCollection[Likes, LikesCreate, Never, LikesWhere, LikesFields]: ...

    @overload
    def collection(self, name: Literal["notices"]) -> AsyncCollection[dict[str, Any], Never, Never, Mapping[str, Any], str]: ...

    @overload
    def collection(self, name: Literal["posts"]) -> AsyncCollection[Posts, PostsCreate, PostsChanges, PostsWhere, PostsFields]: ...

    @overload
    def collection(self, name: Literal["profiles"]) -> AsyncCollection[Profiles, ProfilesCreate, ProfilesChanges, ProfilesWhere, ProfilesFields]: ...

    @overload
    def collection(self, name: Literal["reports"]) -> AsyncCollection[Never, ReportsCreate, Never, Never, Never]: ...

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
    def collection(self, name: Literal["comments"]) -> TransactionCollection[Comments, CommentsCreate, Never]: ...

    @overload
    def collection(self, name: Literal["drafts"]) -> TransactionCollection[Drafts, DraftsCreate | Mapping[str, Any], DraftsChanges | Mapping[str, Any]]: ...

    @overload
    def collection(self, name: Literal["likes"]) -> TransactionCollection[Likes, LikesCreate, Never]: ...

    @overload
    def collection(self, name: Literal["notices"]) -> TransactionCollection[dict[str, Any], Never, Never]: ...

    @overload
    def collection(self, name: Literal["posts"]) -> TransactionCollection[Posts, PostsCreate, PostsChanges]: ...

    @overload
    def collection(self, name: Literal["profiles"]) -> TransactionCollection[Profiles, ProfilesCreate, ProfilesChanges]: ...

    @overload
    def collection(self, name: Literal["reports"]) -> TransactionCollection[Never, ReportsCreate, Never]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class UserDatabase(BaseDatabase):
    @overload
    def collection(self, name: Literal["comments"]) -> Collection[Comments, CommentsCreate, Never, CommentsWhere, CommentsFields]: ...

    @overload
    def collection(self, name: Literal["drafts"]) -> Collection[Drafts, DraftsCreate | Mapping[str, Any], DraftsChanges | Mapping[str, Any], DraftsWhere | Mapping[str, Any], str]: ...

    @overload
    def collection(self, name: Literal["likes"]) -> Collection[Likes, LikesCreate, Never, LikesWhere, LikesFields]: ...

    @overload
    def collection(self, name: Literal["notices"]) -> Collection[dict[str, Any], Never, Never, Mapping[str, Any], str]: ...

    @overload
    def collection(self, name: Literal["posts"]) -> Collection[Posts, PostsCreate, PostsChanges, PostsWhere, PostsFields]: ...

    @overload
    def collection(self, name: Literal["profiles"]) -> Collection[Profiles, ProfilesCreate, ProfilesChanges, ProfilesWhere, ProfilesFields]: ...

    @overload
    def collection(self, name: Literal["reports"]) -> Collection[Never, ReportsCreate, Never, Never, Never]: ...

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
    def collection(self, name: Literal["comments"]) -> AsyncTransactionCollection[Comments, Never, Never]: ...

    @overload
    def collection(self, name: Literal["drafts"]) -> AsyncTransactionCollection[Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["likes"]) -> AsyncTransactionCollection[Likes, Never, Never]: ...

    @overload
    def collection(self, name: Literal["notices"]) -> AsyncTransactionCollection[dict[str, Any], Never, Never]: ...

    @overload
    def collection(self, name: Literal["posts"]) -> AsyncTransactionCollection[Posts, Never, Never]: ...

    @overload
    def collection(self, name: Literal["profiles"]) -> AsyncTransactionCollection[Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["reports"]) -> AsyncTransactionCollection[Never, Never, Never]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class AsyncNobodyDatabase(AsyncBaseDatabase):
    @overload
    def collection(self, name: Literal["comments"]) -> AsyncCollection[Comments, Never, Never, CommentsWhere, CommentsFields]: ...

    @overload
    def collection(self, name: Literal["drafts"]) -> AsyncCollection[Never, Never, Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["likes"]) -> AsyncCollection[Likes, Never, Never, LikesWhere, LikesFields]: ...

    @overload
    def collection(self, name: Literal["notices"]) -> AsyncCollection[dict[str, Any], Never, Never, Mapping[str, Any], str]: ...

    @overload
    def collection(self, name: Literal["posts"]) -> AsyncCollection[Posts, Never, Never, PostsWhere, PostsFields]: ...

    @overload
    def collection(self, name: Literal["profiles"]) -> AsyncCollection[Never, Never, Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["reports"]) -> AsyncCollection[Never, Never, Never, Never, Never]: ...

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
    def collection(self, name: Literal["comments"]) -> TransactionCollection[Comments, Never, Never]: ...

    @overload
    def collection(self, name: Literal["drafts"]) -> TransactionCollection[Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["likes"]) -> TransactionCollection[Likes, Never, Never]: ...

    @overload
    def collection(self, name: Literal["notices"]) -> TransactionCollection[dict[str, Any], Never, Never]: ...

    @overload
    def collection(self, name: Literal["posts"]) -> TransactionCollection[Posts, Never, Never]: ...

    @overload
    def collection(self, name: Literal["profiles"]) -> TransactionCollection[Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["reports"]) -> TransactionCollection[Never, Never, Never]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class NobodyDatabase(BaseDatabase):
    @overload
    def collection(self, name: Literal["comments"]) -> Collection[Comments, Never, Never, CommentsWhere, CommentsFields]: ...

    @overload
    def collection(self, name: Literal["drafts"]) -> Collection[Never, Never, Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["likes"]) -> Collection[Likes, Never, Never, LikesWhere, LikesFields]: ...

    @overload
    def collection(self, name: Literal["notices"]) -> Collection[dict[str, Any], Never, Never, Mapping[str, Any], str]: ...

    @overload
    def collection(self, name: Literal["posts"]) -> Collection[Posts, Never, Never, PostsWhere, PostsFields]: ...

    @overload
    def collection(self, name: Literal["profiles"]) -> Collection[Never, Never, Never, Never, Never]: ...

    @overload
    def collection(self, name: Literal["reports"]) -> Collection[Never, Never, Never, Never, Never]: ...

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


class AsyncModeratorTransaction(AsyncBaseTransaction):
    @overload
    def collection(self, name: Literal["comments"]) -> AsyncTransactionCollection[Comments, CommentsCreate, Never]: ...

    @overload
    def collection(self, name: Literal["drafts"]) -> AsyncTransactionCollection[Drafts, DraftsCreate | Mapping[str, Any], DraftsChanges | Mapping[str, Any]]: ...

    @overload
    def collection(self, name: Literal["likes"]) -> AsyncTransactionCollection[Likes, LikesCreate, Never]: ...

    @overload
    def collection(self, name: Literal["notices"]) -> AsyncTransactionCollection[dict[str, Any], Never, Never]: ...

    @overload
    def collection(self, name: Literal["posts"]) -> AsyncTransactionCollection[ModeratorPosts, ModeratorPostsCreate, ModeratorPostsChanges]: ...

    @overload
    def collection(self, name: Literal["profiles"]) -> AsyncTransactionCollection[Profiles, ModeratorProfilesCreate, ModeratorProfilesChanges]: ...

    @overload
    def collection(self, name: Literal["reports"]) -> AsyncTransactionCollection[ModeratorReports, ReportsCreate, ModeratorReportsChanges]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class AsyncModeratorDatabase(AsyncBaseDatabase):
    @overload
    def collection(self, name: Literal["comments"]) -> AsyncCollection[Comments, CommentsCreate, Never, CommentsWhere, CommentsFields]: ...

    @overload
    def collection(self, name: Literal["drafts"]) -> AsyncCollection[Drafts, DraftsCreate | Mapping[str, Any], DraftsChanges | Mapping[str, Any], DraftsWhere | Mapping[str, Any], str]: ...

    @overload
    def collection(self, name: Literal["likes"]) -> AsyncCollection[Likes, LikesCreate, Never, LikesWhere, LikesFields]: ...

    @overload
    def collection(self, name: Literal["notices"]) -> AsyncCollection[dict[str, Any], Never, Never, Mapping[str, Any], str]: ...

    @overload
    def collection(self, name: Literal["posts"]) -> AsyncCollection[ModeratorPosts, ModeratorPostsCreate, ModeratorPostsChanges, ModeratorPostsWhere, ModeratorPostsFields]: ...

    @overload
    def collection(self, name: Literal["profiles"]) -> AsyncCollection[Profiles, ModeratorProfilesCreate, ModeratorProfilesChanges, ProfilesWhere, ProfilesFields]: ...

    @overload
    def collection(self, name: Literal["reports"]) -> AsyncCollection[ModeratorReports, ReportsCreate, ModeratorReportsChanges, ModeratorReportsWhere, ModeratorReportsFields]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    async def run_transaction(
        self,
        run: Callable[[AsyncModeratorTransaction], Awaitable[R]],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return await self._transact(AsyncModeratorTransaction, run, times, options)


class AsyncModeratorCloud(AsyncAppCloud):
    """The client of callers with the role 'moderator'."""

    def database(self) -> AsyncModeratorDatabase:
        return AsyncModeratorDatabase(self._http, self._live)


class ModeratorTransaction(BaseTransaction):
    @overload
    def collection(self, name: Literal["comments"]) -> TransactionCollection[Comments, CommentsCreate, Never]: ...

    @overload
    def collection(self, name: Literal["drafts"]) -> TransactionCollection[Drafts, DraftsCreate | Mapping[str, Any], DraftsChanges | Mapping[str, Any]]: ...

    @overload
    def collection(self, name: Literal["likes"]) -> TransactionCollection[Likes, LikesCreate, Never]: ...

    @overload
    def collection(self, name: Literal["notices"]) -> TransactionCollection[dict[str, Any], Never, Never]: ...

    @overload
    def collection(self, name: Literal["posts"]) -> TransactionCollection[ModeratorPosts, ModeratorPostsCreate, ModeratorPostsChanges]: ...

    @overload
    def collection(self, name: Literal["profiles"]) -> TransactionCollection[Profiles, ModeratorProfilesCreate, ModeratorProfilesChanges]: ...

    @overload
    def collection(self, name: Literal["reports"]) -> TransactionCollection[ModeratorReports, ReportsCreate, ModeratorReportsChanges]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)


class ModeratorDatabase(BaseDatabase):
    @overload
    def collection(self, name: Literal["comments"]) -> Collection[Comments, CommentsCreate, Never, CommentsWhere, CommentsFields]: ...

    @overload
    def collection(self, name: Literal["drafts"]) -> Collection[Drafts, DraftsCreate | Mapping[str, Any], DraftsChanges | Mapping[str, Any], DraftsWhere | Mapping[str, Any], str]: ...

    @overload
    def collection(self, name: Literal["likes"]) -> Collection[Likes, LikesCreate, Never, LikesWhere, LikesFields]: ...

    @overload
    def collection(self, name: Literal["notices"]) -> Collection[dict[str, Any], Never, Never, Mapping[str, Any], str]: ...

    @overload
    def collection(self, name: Literal["posts"]) -> Collection[ModeratorPosts, ModeratorPostsCreate, ModeratorPostsChanges, ModeratorPostsWhere, ModeratorPostsFields]: ...

    @overload
    def collection(self, name: Literal["profiles"]) -> Collection[Profiles, ModeratorProfilesCreate, ModeratorProfilesChanges, ProfilesWhere, ProfilesFields]: ...

    @overload
    def collection(self, name: Literal["reports"]) -> Collection[ModeratorReports, ReportsCreate, ModeratorReportsChanges, ModeratorReportsWhere, ModeratorReportsFields]: ...

    def collection(self, name: str) -> Any:
        return self._collection(name)

    def run_transaction(
        self,
        run: Callable[[ModeratorTransaction], R],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return self._transact(ModeratorTransaction, run, times, options)


class ModeratorCloud(AppCloud):
    """The client of callers with the role 'moderator'."""

    def database(self) -> ModeratorDatabase:
        return ModeratorDatabase(self._http, self._live)
