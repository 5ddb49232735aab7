"""Types that tie the client to an app; the generated file fills them in."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NotRequired, TypeAlias, TypedDict, TypeVar

from .command import Change, Condition
from .values import Geometry, RegExp, ServerDate

V = TypeVar("V")

#: What a filter may ask of a field.
Is: TypeAlias = V | Condition | None
IsText: TypeAlias = str | re.Pattern[str] | RegExp | Condition | None
IsDate: TypeAlias = datetime | ServerDate | Condition | None
IsPlace: TypeAlias = Geometry | Condition | None
#: What an update may make of a field.
Becomes: TypeAlias = V | Change | None
#: Dates that are written may be the server's.
Moment: TypeAlias = datetime | ServerDate


class Stored(TypedDict):
    """Members that every stored document has."""

    _id: str
    _openid: NotRequired[str]
    _createTime: datetime
    _updateTime: datetime


class Named(TypedDict):
    """What is created may have an `_id` of its own."""

    _id: NotRequired[str]


class StoredIs(TypedDict, total=False):
    _id: Is[str]
    _openid: Is[str]
    _createTime: IsDate
    _updateTime: IsDate
