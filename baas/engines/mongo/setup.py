"""The first look at a server, and the rows that everything else counts on."""

from __future__ import annotations

from typing import Final

from baas.clock import Clock
from baas.engines.mongo.driver import Driver, Fault, Int64, PyMongoError, Row, fault_of
from baas.engines.mongo.names import (
    DOCUMENTS_TURN,
    FORMAT,
    GATEWAYS,
    JOBS,
    JOBS_TURN,
    MARKS,
    META,
    ONCE,
)
from baas.errors import ConfigurationError
from baas.ids import new_id
from baas.settings import DatabaseSettings

#: The wire version of MongoDB 5.0, the first with reads of one moment outside of transactions.
LEAST_WIRE_VERSION: Final = 13
LEAST_VERSION: Final = "5.0"
#: What `mongos`, the way into a cluster of several sets, says of itself.
_ROUTER: Final = "isdbgrid"
#: Keys of the engine's own indexes: collection, name, keys, options.
_INDEXES: Final[tuple[tuple[str, str, list[tuple[str, int]], Row], ...]] = (
    (ONCE, "expires", [("expires", 1), ("order", 1)], {}),
    (JOBS, "id", [("id", 1)], {"unique": True}),
    (JOBS, "ready", [("queue", 1), ("ready", 1), ("_id", 1)], {}),
    (JOBS, "ordering", [("queue", 1), ("ordering", 1), ("_id", 1)], {}),
    (JOBS, "state", [("state", 1), ("updated", 1)], {}),
    (JOBS, "holder", [("holder", 1)], {"sparse": True}),
    (MARKS, "holder", [("holder", 1)], {"sparse": True}),
    (GATEWAYS, "until", [("until", 1)], {}),
)


async def check_server(driver: Driver) -> None:
    """ConfigurationError with what is to be done about it."""
    try:
        hello = await driver.admin("hello")
    except PyMongoError as error:
        raise ConfigurationError(_unreachable(error)) from None
    if "setName" not in hello and hello.get("msg") != _ROUTER:
        raise ConfigurationError(
            "database.mongo_url names a server that is no replica set, so it has no transactions; "
            "one node is enough: start mongod with --replSet rs0 and run rs.initiate()"
        )
    if hello.get("maxWireVersion", 0) < LEAST_WIRE_VERSION:
        raise ConfigurationError(
            f"database.mongo_url names a server older than MongoDB {LEAST_VERSION}"
        )
    try:
        # Unlike hello, this asks whether the user may come in.
        await driver.find_one(META, {"_id": DOCUMENTS_TURN})
    except PyMongoError as error:
        raise ConfigurationError(_unreachable(error)) from None


async def describe(settings: DatabaseSettings) -> str:
    """What server the settings name. ConfigurationError where it will not do."""
    driver = connect(settings)
    try:
        await check_server(driver)
        hello, build = await driver.admin("hello"), await driver.admin("buildInfo")
    finally:
        driver.close()
    members = len(hello.get("hosts", ()))
    if hello.get("msg") == _ROUTER:
        return f"MongoDB {build['version']}, a sharded cluster"
    return f"MongoDB {build['version']}, replica set {hello['setName']} of {members}"


def connect(settings: DatabaseSettings) -> Driver:
    """The driver for these settings; ConfigurationError for an address that is none."""
    if not settings.mongo_url:
        raise ConfigurationError("database.mongo_url is needed for the engine mongo")
    try:
        return Driver(
            settings.mongo_url,
            settings.mongo_database,
            settings.mongo_timeout,
            journal=settings.durability == "full",
        )
    except ValueError as error:
        raise ConfigurationError(f"database.mongo_url: {error}") from None


def _unreachable(error: PyMongoError) -> str:
    """The driver's own words are left out: they may hold the address with its password."""
    fault = fault_of(error)
    if fault is Fault.REFUSED:
        return "the server of database.mongo_url refuses this user or password"
    return (
        "no primary of the server of database.mongo_url could be reached "
        f"({type(error).__name__}); is it up, and is its replica set initiated?"
    )


async def prepare(driver: Driver, clock: Clock) -> Row:
    """Makes what is not there yet; the row of the documents' turn."""
    try:
        for collection, name, keys, more in _INDEXES:
            await driver.create_index(collection, keys, name=name, **more)
        await _row(driver, JOBS_TURN, {"turns": Int64(0), "seq": Int64(0)})
        row = await _row(
            driver,
            DOCUMENTS_TURN,
            {
                "turns": Int64(0),
                "position": Int64(0),
                "offset": Int64(0),
                "catalogue": Int64(0),
                "format": FORMAT,
                "epoch": new_id(),
                "since": Int64(clock.now_ms()),
            },
        )
    except PyMongoError as error:
        raise ConfigurationError(_unreachable(error)) from None
    if row["format"] > FORMAT:
        raise ConfigurationError(
            "the database was written by a newer version of baas; use that version, or another "
            "database.mongo_database"
        )
    return row


async def _row(driver: Driver, id: str, first: Row) -> Row:
    """The row as it is; made where it is missing, by whichever gateway comes first."""
    for _ in range(2):
        try:
            await driver.update(META, {"_id": id}, {"$setOnInsert": first}, upsert=True)
            break
        except PyMongoError as error:
            if fault_of(error) is not Fault.DUPLICATE:
                raise
    row: Row = await driver.find_one(META, {"_id": id})
    return row
