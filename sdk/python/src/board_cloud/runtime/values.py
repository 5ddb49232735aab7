"""Values between Python and the wire: dates, server dates, regular expressions, points."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, TypeAlias, TypedDict

_FLAGS: Final = ((re.IGNORECASE, "i"), (re.MULTILINE, "m"), (re.DOTALL, "s"))


@dataclass(frozen=True, slots=True)
class ServerDate:
    """The server's time when the write happens, plus `offset` milliseconds."""

    offset: int = 0


@dataclass(frozen=True, slots=True)
class RegExp:
    """A regular expression in a filter. Flags `ims`; RE2 syntax, on the server."""

    regexp: str
    options: str = ""


Position: TypeAlias = Sequence[float]


class Point(TypedDict):
    type: Literal["Point"]
    coordinates: Position


class LineString(TypedDict):
    type: Literal["LineString"]
    coordinates: Sequence[Position]


class Polygon(TypedDict):
    type: Literal["Polygon"]
    coordinates: Sequence[Sequence[Position]]


class MultiPoint(TypedDict):
    type: Literal["MultiPoint"]
    coordinates: Sequence[Position]


class MultiLineString(TypedDict):
    type: Literal["MultiLineString"]
    coordinates: Sequence[Sequence[Position]]


class MultiPolygon(TypedDict):
    type: Literal["MultiPolygon"]
    coordinates: Sequence[Sequence[Sequence[Position]]]


Geometry: TypeAlias = Point | LineString | Polygon | MultiPoint | MultiLineString | MultiPolygon


# Inside `Geo` the names are those of its methods.
_Point: TypeAlias = Point
_LineString: TypeAlias = LineString
_Polygon: TypeAlias = Polygon
_MultiPoint: TypeAlias = MultiPoint
_MultiLineString: TypeAlias = MultiLineString
_MultiPolygon: TypeAlias = MultiPolygon


class Geo:
    """GeoJSON (RFC 7946), by the names that cloud-dev users know. Parts may be given as shapes or
    as positions: longitude first."""

    @staticmethod
    def Point(longitude: float, latitude: float) -> _Point:
        """ValueError beyond 180 and 90 degrees."""
        if not abs(longitude) <= 180:
            raise ValueError(f"longitude is -180 to 180, not {longitude}")
        if not abs(latitude) <= 90:
            raise ValueError(f"latitude is -90 to 90, not {latitude}")
        return {"type": "Point", "coordinates": [longitude, latitude]}

    @staticmethod
    def LineString(points: Sequence[_Point | Position]) -> _LineString:
        return {"type": "LineString", "coordinates": [position(one) for one in points]}

    @staticmethod
    def Polygon(lines: Sequence[_LineString | Sequence[Position]]) -> _Polygon:
        return {"type": "Polygon", "coordinates": [position(one) for one in lines]}

    @staticmethod
    def MultiPoint(points: Sequence[_Point | Position]) -> _MultiPoint:
        return {"type": "MultiPoint", "coordinates": [position(one) for one in points]}

    @staticmethod
    def MultiLineString(
        lines: Sequence[_LineString | Sequence[Position]],
    ) -> _MultiLineString:
        return {"type": "MultiLineString", "coordinates": [position(one) for one in lines]}

    @staticmethod
    def MultiPolygon(polygons: Sequence[_Polygon]) -> _MultiPolygon:
        return {"type": "MultiPolygon", "coordinates": [one["coordinates"] for one in polygons]}


def position(place: Any) -> Any:
    """Of a shape, or of what is one already; of a line, its positions."""
    return place["coordinates"] if isinstance(place, Mapping) else place


def encode(value: Any) -> Any:
    """A value as it travels. TypeError, ValueError name what JSON or the protocol cannot hold."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, datetime):
        return {"$date": _iso(value)}
    if isinstance(value, ServerDate):
        return {"$date": {"offset": value.offset}}
    if isinstance(value, RegExp):
        return _regex(value.regexp, value.options)
    if isinstance(value, re.Pattern):
        return _regex(value.pattern, _options(value.flags))
    if isinstance(value, Mapping):
        return {_name(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    more = "; a date needs a time and a zone" if isinstance(value, date) else ""
    raise TypeError(f"a {type(value).__name__} cannot be sent{more}")


def decode(value: Any) -> Any:
    """A value as it came: dates become datetimes, in UTC."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and isinstance(value.get("$date"), str):
        return datetime.fromisoformat(value["$date"])
    return {name: decode(item) for name, item in value.items()}


def is_plain(value: Any) -> bool:
    """Whether it is a document to look into, rather than a value by itself."""
    return isinstance(value, Mapping)


def _name(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"names of members are strings, not {key!r}")
    return key


def _number(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be sent: JSON has no such number")
    return value


def _iso(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a datetime needs a time zone to be sent: datetime.now(UTC), for one")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _options(flags: int) -> str:
    return "".join(letter for flag, letter in _FLAGS if flags & flag)


def _regex(source: Any, options: str) -> dict[str, str]:
    if not isinstance(source, str):
        raise TypeError("a regular expression of bytes cannot be sent")
    return {"$regex": source, "$options": options} if options else {"$regex": source}
