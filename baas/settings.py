"""Every setting of the kit: frozen Structs, filled from baas.yaml and the environment.

`BAAS_<SECTION>__<KEY>` in the environment overrides baas.yaml (`BAAS_SERVER__PORT=9000`). Unknown
keys refuse to start, with the line and a suggestion. Each field's docstring is its documentation;
docs/settings.md lists them and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from baas.errors import ConfigurationError
from baas.notation import check_origins, parse_networks, parse_rate
from baas.yamlfile import YamlFile, load_yaml

FILE_NAME: Final = "baas.yaml"
#: Top keys that are no settings but part of the functions' releases: `baas.functions.overrides`
#: reads them, since they may change while the gateway runs.
MANIFEST_KEYS: Final = ("functions", "services", "aggregate")
_PREFIX: Final = "BAAS_"

_AppName: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
_Port: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=65535)]
_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
_Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
_Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A top key of baas.yaml."""


class AppSettings(_Section, frozen=True):
    """`app`: what this app is."""

    name: _AppName = "app"
    """The app's id: part of every `fileId` and of tokens' `iss`. `A-Za-z0-9_-`, 1 to 64."""

    public: str = "public"
    """Folder served at `/`, if it exists."""

    rules: str = "rules"
    """Folder of rule files."""

    functions: str = "functions"
    """Folder of cloud functions."""


class ServerSettings(_Section, frozen=True):
    """`server`: where and how the gateway listens."""

    host: str = "127.0.0.1"
    """Address to listen on. `0.0.0.0` for all."""

    port: _Port = 8000
    """TCP port; 0 takes a free one."""

    workers: _Count = 1
    """Gateway processes on this machine, sharing one data folder."""

    origins: tuple[str, ...] = ("*",)
    """Origins that browsers may call `/v1` from; `*` is any (tokens only, never cookies)."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For is believed."""

    public_url: str = ""
    """The address that clients use, when it is not the one listened on."""

    secret: str = ""
    """Master secret, at least 32 characters; empty: made at the first start, kept in the data
    folder. Better set through the environment than written to a file."""

    drain_seconds: _Seconds = 10.0
    """How long a stop waits for requests under way."""


class DatabaseSettings(_Section, frozen=True):
    """`database`: where documents are kept."""

    engine: Literal["sqlite", "mongo"] = "sqlite"
    """`sqlite`: a file in the data folder. `mongo`: a MongoDB replica set, for several gateways."""

    data: str = "data"
    """The data folder, relative to the app's folder."""

    mongo_url: str = ""
    """Where the replica set is: `mongodb://user:password@host:27017/?replicaSet=rs0`. A secret:
    better set through the environment than written to a file."""

    mongo_database: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,38}$")] = "baas"
    """The database there; one for each app."""

    mongo_timeout: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    """Seconds that a read waits for a primary before UNAVAILABLE."""

    mongo_patience: _Seconds = 20.0
    """Seconds that a write is tried again while the primary changes, before UNAVAILABLE."""

    durability: Literal["full", "normal"] = "full"
    """`full`: an acknowledged write survives power loss. `normal`: only a crash of the process."""

    read_timeout: _Seconds = 5.0
    """Seconds that one read may run before QUERY_TIMEOUT."""

    read_bytes: _Count = 64 * 1024**2
    """Most bytes of documents that one read, or one batch of writes, may hold at once."""

    feed_keep_hours: _Seconds = 24.0
    """How long the change feed keeps images; an older cursor gets `resync`."""

    feed_keep_bytes: _Count = 2 * 1024**3
    """How much the change feed keeps, whichever is less."""

    inline_budget_ms: _Seconds = 2.0
    """A read served on the event loop that runs longer is stopped and run again in a thread."""

    reader_threads: _Count = 2
    """Threads for reads that no index serves."""

    watch_rules: bool = True
    """Reload rule files when they change."""


class AuthSettings(_Section, frozen=True):
    """`auth`: sign-in and sessions."""

    access_token_seconds: _Count = 900
    """Life of an access token."""

    refresh_token_days: _Count = 30
    """Life of a session since its last use."""

    anonymous_token_days: _Count = 365
    """The same for anonymous sessions."""

    anonymous_unused_days: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Days without use after which an anonymous account that owns nothing is removed; 0: never."""

    sign_up: bool = True
    """Whether strangers may create accounts with a name and password."""

    anonymous: bool = True
    """Whether strangers may sign in without an account."""

    password_min_length: _Count = 8
    """Least number of characters in a password."""

    hash_workers: _Count = 2
    """Password hashes computed at once."""

    wechat_appid: str = ""
    """AppID of the WeChat mini-program; empty switches `sign-in/wechat` off."""

    wechat_secret: str = ""
    """AppSecret that belongs to it."""

    wechat_api: str = "https://api.weixin.qq.com"
    """Base address of WeChat's server API; tests point it at a local fake."""


class LimitSettings(_Section, frozen=True):
    """`limits`: what one request, one caller and one document may cost."""

    body_bytes: _Count = 10 * 1024**2
    """Largest JSON body."""

    document_bytes: _Count = 1024**2
    """Largest document."""

    document_depth: _Count = 20
    """Deepest nesting of a document."""

    filter_depth: _Count = 20
    """Deepest nesting of a filter."""

    filter_nodes: _Count = 500
    """Most conditions in a filter."""

    list_items: _Count = 1000
    """Most items in `$in` and its kind."""

    pipeline_stages: _Count = 50
    """Most stages of a pipeline, those inside `$facet` and `$lookup` counted."""

    find_default: _Count = 100
    """Documents in an answer when the request does not say."""

    find_max: _Count = 1000
    """Most documents in an answer."""

    multi_max: _Count = 10_000
    """Most documents that one `multi` write may touch."""

    insert_max: _Count = 1000
    """Most documents of one insert."""

    transaction_operations: _Count = 100
    """Most operations of one transaction."""

    aggregate_max: _Count = 1000
    """Most documents in an aggregate's answer."""

    aggregate_input: _Count = 100_000
    """Most documents that a pipeline may hold at once."""

    idempotency_hours: _Count = 24
    """How long the answer to an Idempotency-Key is kept."""

    idempotency_records: _Count = 1_000_000
    """Most answers kept; the oldest go first."""

    rate_auth: str = "30/m"
    """Sign-in, sign-up and changes of a password, per address."""

    rate_password: str = "100/h"  # noqa: S105 - a rate, not a secret
    """Wrong passwords per account and gateway process, from all addresses together; sign-in stays
    open at addresses where the account has a session."""

    rate_read: str = "6000/m"
    """Reads per caller (uid, else address)."""

    rate_write: str = "3000/m"
    """Writes per caller (uid, else address)."""


class StorageSettings(_Section, frozen=True):
    """`storage`: files that clients upload."""

    file_bytes: _Count = 1024**3
    """Largest file."""

    part_bytes: _Count = 8 * 1024**2
    """Largest part of an upload in parts."""

    quota_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Most bytes that one user's files may hold together; 0 is no quota."""

    uploads_open: _Count = 100
    """Unfinished uploads in parts that one user may have at once."""

    upload_hours: _Count = 24
    """How long an upload in parts may take; then what came of it is removed."""

    image_bytes: _Count = 20 * 1024**2
    """Largest file that variants of pictures are made of."""

    image_pixels: _Count = 40_000_000
    """Most pixels, width times height, of a picture that variants are made of."""

    image_side: Annotated[int, msgspec.Meta(ge=1, le=16_383)] = 4096
    """Largest width and height that a variant may be asked in."""

    image_workers: _Count = 2
    """Pictures that one gateway process decodes at once, each in a process of its own."""

    image_queue: Annotated[int, msgspec.Meta(ge=0)] = 32
    """Variants that may wait for a worker; beyond, `UNAVAILABLE`."""

    image_seconds: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    """Longest that making one variant may take; then its worker is killed."""

    image_memory_bytes: _Count = 1024**3
    """Most address space of a worker that makes a variant."""

    image_cache_bytes: Annotated[int, msgspec.Meta(ge=0)] = 512 * 1024**2
    """Bytes of variants kept below the data folder; beyond, the least lately used go."""

    engine: Literal["local", "s3"] = "local"
    """Where the bytes are kept: `local` below the data folder, `s3` in a bucket."""

    s3_endpoint: str = ""
    """Address of the S3 store, such as `https://s3.example.com`."""

    s3_bucket: str = ""
    """The bucket. It has to be there, and should be private."""

    s3_region: str = ""
    """Region of the bucket; empty: the store is asked."""

    s3_prefix: str = ""
    """What the names of all objects begin with, for a bucket that others use too."""

    s3_access_key: str = ""
    """Access key. Best from the environment: `BAAS_STORAGE__S3_ACCESS_KEY`."""

    s3_secret_key: str = ""
    """Secret key. Best from the environment: `BAAS_STORAGE__S3_SECRET_KEY`."""

    s3_credentials: Literal["keys", "aws"] = "keys"
    """Where keys come from: the two above, or as on AWS from the environment or a role."""

    s3_addressing: Literal["auto", "path", "virtual"] = "auto"
    """How a bucket is addressed: in the path, as a host name, or as the endpoint is known to
    want it."""

    s3_links: Literal["direct", "gateway"] = "direct"
    """What `sign` gives: links straight to the store, or links to the gateway, for a store that
    clients cannot reach."""

    s3_public_endpoint: str = ""
    """Address of the store in links, where clients know it by another one."""

    s3_connections: Annotated[int, msgspec.Meta(ge=1, le=128)] = 8
    """Requests to the store that one gateway process runs at once."""

    s3_timeout: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """Seconds that the store may be silent; then the request is tried again."""


class PushSettings(_Section, frozen=True):
    """`push`: live queries, channels and presence. Limits are per connection unless they say
    otherwise."""

    watches: _Count = 100
    """Live queries that may be open."""

    channels: _Count = 100
    """Channels that may be joined."""

    watch_documents: _Count = 5000
    """Documents in the result of one live query."""

    watch_bytes: _Count = 16 * 1024**2
    """Bytes in the result of one live query."""

    watched_bytes_per_user: _Count = 64 * 1024**2
    """Bytes in the results of all live queries of one user (an address, where nobody is signed in)
    on one gateway process."""

    watched_bytes: _Count = 512 * 1024**2
    """Bytes in the results of all live queries of one gateway process; beyond, new ones are
    refused."""

    message_bytes: _Count = 64 * 1024
    """Bytes of a message's data."""

    presence_entries: _Count = 1000
    """Sessions that are seen in one channel."""

    inbox_days: _Count = 7
    """How long a message waits for its user in an inbox."""

    rate_frames: str = "600/10s"
    """Frames that the client may send; beyond, the connection ends with 4429."""

    frame_bytes: _Count = 64 * 1024
    """Largest frame that a client may send."""

    buffer_bytes: _Count = 1024**2
    """Bytes that may wait for a client to read them; then data is held back and made up for by
    `resync`."""

    sockets: _Count = 20_000
    """Most connections of one gateway process."""

    sockets_per_address: _Count = 1000
    """The same from one address."""

    sockets_per_user: _Count = 100
    """The same of one user."""


class JobSettings(_Section, frozen=True):
    """`jobs`: what functions do asynchronously."""

    concurrency: _Count = 16
    """Asynchronous calls that one gateway process runs at once. A quarter is kept for functions of
    which none runs."""

    keep_days: _Count = 7
    """How long finished invocations and dead letters are kept."""

    webhook_timeout: _Seconds = 10.0
    """Seconds that the receiver of a webhook may take."""

    webhook_private: tuple[str, ...] = ()
    """Private addresses and networks that webhooks may reach; by default only public ones."""


class AdminSettings(_Section, frozen=True):
    """`admin`: the panel at `/admin` and the people who sign in to it."""

    panel: bool = True
    """Whether the panel is served. The admin API is there for admin keys either way."""

    session_hours: Annotated[float, msgspec.Meta(gt=0)] = 12.0
    """How long a person stays signed in without doing anything."""

    audit_days: Annotated[float, msgspec.Meta(gt=0)] = 365.0
    """How long it is kept who changed what."""

    backups: str = "backups"
    """Folder that the panel's backups are written to, relative to the app's folder."""


class ObserveSettings(_Section, frozen=True):
    """`observe`: logs and metrics."""

    log_format: Literal["auto", "text", "json"] = "auto"
    """`auto` is text on a terminal, else JSON."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written."""

    access_sample: _Share = 1.0
    """Share of successful requests that are logged; failures always are."""

    metrics: Literal["open", "key"] = "open"
    """Who may read `/metrics`: `open` everyone who reaches it, `key` admin keys with
    `settings:read`."""


class Settings(_Section, frozen=True):
    """All of baas.yaml."""

    app: AppSettings = AppSettings()
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    auth: AuthSettings = AuthSettings()
    storage: StorageSettings = StorageSettings()
    limits: LimitSettings = LimitSettings()
    push: PushSettings = PushSettings()
    jobs: JobSettings = JobSettings()
    admin: AdminSettings = AdminSettings()
    observe: ObserveSettings = ObserveSettings()


# -- loading --------------------------------------------------------------------------------------


_CHECKS: Final[dict[tuple[str, str], Callable[[Any], object]]] = {
    ("server", "origins"): check_origins,
    ("server", "trusted_proxies"): parse_networks,
    ("jobs", "webhook_private"): parse_networks,
    ("limits", "rate_auth"): parse_rate,
    ("limits", "rate_password"): parse_rate,
    ("limits", "rate_read"): parse_rate,
    ("limits", "rate_write"): parse_rate,
    ("push", "rate_frames"): parse_rate,
}

_SECTIONS: Final[dict[str, type[_Section]]] = {
    field.name: field.type for field in msgspec.structs.fields(Settings)
}
_FIELDS: Final[dict[str, dict[str, Any]]] = {
    name: {field.name: field.type for field in msgspec.structs.fields(section)}
    for name, section in _SECTIONS.items()
}


def load_settings(
    folder: Path,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    file: str = FILE_NAME,
) -> Settings:
    """The settings of the app in `folder`: its `file`, then the environment, then `overrides`
    (`{"server.port": 9000}`, from the command line).

    No file is an empty file. ConfigurationError says where: line and column, or the variable.
    """
    values: dict[str, dict[str, Any]] = {name: {} for name in _SECTIONS}
    path = folder / file
    if path.is_file():
        _from_yaml(load_yaml(_read(path), path.name), values)
    for name in sorted(environ):
        _from_variable(name, environ[name], values)
    for dotted, value in (overrides or {}).items():
        section, _, key = dotted.partition(".")
        try:
            values[section][key] = _convert(section, key, value, strict=True)
        except ValueError as fault:
            raise ConfigurationError(f"{dotted}: {fault}") from None
    sections: Any = {name: _SECTIONS[name](**given) for name, given in values.items()}
    return Settings(**sections)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"cannot be read: {reason}", file=path.name) from None


def _from_yaml(file: YamlFile, values: dict[str, dict[str, Any]]) -> None:
    data = {} if file.data is None else file.data
    if not isinstance(data, dict):
        raise file.error("expected sections: " + ", ".join(_SECTIONS))
    for section, given in data.items():
        if section in MANIFEST_KEYS:
            continue
        if section not in _SECTIONS:
            raise file.error(_unknown_section(section), section, key=True)
        if given is not None and not isinstance(given, dict):
            raise file.error(f"{section} holds settings, one per line", section)
        for key, value in (given or {}).items():
            if key not in _FIELDS[section]:
                raise file.error(_unknown_key(section, key), section, key, key=True)
            try:
                values[section][key] = _convert(section, key, value, strict=True)
            except ValueError as fault:
                raise file.error(f"{section}.{key}: {fault}", section, key) from None


def _from_variable(name: str, text: str, values: dict[str, dict[str, Any]]) -> None:
    """Takes a `BAAS_<SECTION>__<KEY>`; leaves other names alone unless they look mistyped."""
    if not name.startswith(_PREFIX):
        return
    section, separator, key = name.removeprefix(_PREFIX).lower().partition("__")
    if not separator:
        _refuse_single_underscore(name, section)
        return
    if section in MANIFEST_KEYS:
        raise ConfigurationError(f"'{section}' is written in {FILE_NAME} alone", file=name)
    if section not in _SECTIONS:
        raise ConfigurationError(_unknown_section(section), file=name)
    if key not in _FIELDS[section]:
        raise ConfigurationError(_unknown_key(section, key), file=name)
    wants_list = isinstance(getattr(_SECTIONS[section](), key), tuple)
    given = [part.strip() for part in text.split(",") if part.strip()] if wants_list else text
    try:
        values[section][key] = _convert(section, key, given, strict=False)
    except ValueError as fault:
        raise ConfigurationError(str(fault), file=name) from None


def _refuse_single_underscore(name: str, rest: str) -> None:
    section, _, key = rest.partition("_")
    if key in _FIELDS.get(section, ()):
        meant = f"{_PREFIX}{section}__{key}".upper()
        raise ConfigurationError(f"no such setting; did you mean {meant}?", file=name)


def _convert(section: str, key: str, value: object, *, strict: bool) -> Any:
    """`value` as the field wants it; ValueError (msgspec's is one) without the value itself."""
    check = _CHECKS.get((section, key))
    if check is parse_rate and value == 0:  # a bare 0 in YAML is a number
        value = "0"
    converted = msgspec.convert(value, _FIELDS[section][key], strict=strict)
    if check is not None:
        check(converted)
    return converted


def _unknown(name: str, what: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
    return f"unknown {what} {name!r}; {hint}"


def _unknown_section(name: str) -> str:
    return _unknown(name, "section", (*_SECTIONS, *MANIFEST_KEYS))


def _unknown_key(section: str, key: str) -> str:
    """Looks in the section first, then for a key of that name in another one."""
    known = tuple(_FIELDS[section])
    elsewhere = [other for other, fields in _FIELDS.items() if key in fields]
    if elsewhere and not get_close_matches(key, known, n=1):
        return f"unknown key {key!r} in {section}; did you mean {elsewhere[0]}.{key}?"
    return _unknown(key, f"key of {section}", known)
