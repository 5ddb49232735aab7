"""Every setting of the kit: frozen Structs, filled from baas.yaml and the environment.

`BAAS_<SECTION>__<KEY>` in the environment overrides baas.yaml (`BAAS_SERVER__PORT=9000`). Unknown
keys refuse to start, with the line and a suggestion. Each field's docstring is its documentation;
docs/settings.md lists them and a test compares the two.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A top key of baas.yaml."""


class AppSettings(_Section, frozen=True):
    """`app`: what this app is."""

    name: str = "app"
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

    port: int = 8000
    """TCP port; 0 takes a free one."""

    workers: int = 1
    """Gateway processes on this machine, sharing one data folder."""

    origins: tuple[str, ...] = ("*",)
    """Origins that browsers may call `/v1` from; `*` is any (tokens only, never cookies)."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For is believed."""

    public_url: str = ""
    """The address that clients use, when it is not the one listened on."""

    drain_seconds: float = 10.0
    """How long a stop waits for requests under way."""


class DatabaseSettings(_Section, frozen=True):
    """`database`: where documents are kept."""

    data: str = "data"
    """The data folder, relative to the app's folder."""

    durability: Literal["full", "normal"] = "full"
    """`full`: an acknowledged write survives power loss. `normal`: only a crash of the process."""

    read_timeout: float = 5.0
    """Seconds that one read may run before QUERY_TIMEOUT."""

    feed_keep_hours: float = 24.0
    """How long the change feed keeps images; an older cursor gets `resync`."""

    feed_keep_bytes: int = 2 * 1024**3
    """How much the change feed keeps, whichever is less."""

    inline_budget_ms: float = 2.0
    """A read served on the event loop that runs longer is stopped and run again in a thread."""

    reader_threads: int = 2
    """Threads for reads that no index serves."""

    watch_rules: bool = True
    """Reload rule files when they change."""


class AuthSettings(_Section, frozen=True):
    """`auth`: sign-in and sessions."""

    access_token_seconds: int = 900
    """Life of an access token."""

    refresh_token_days: int = 30
    """Life of a session since its last use."""

    anonymous_token_days: int = 365
    """The same for anonymous sessions."""

    sign_up: bool = True
    """Whether strangers may create accounts with a name and password."""

    anonymous: bool = True
    """Whether strangers may sign in without an account."""

    password_min_length: int = 8
    """Least number of characters in a password."""

    hash_workers: int = 2
    """Password hashes computed at once."""

    wechat_appid: str = ""
    """AppID of the WeChat mini-program; empty switches `sign-in/wechat` off."""

    wechat_secret: str = ""
    """AppSecret that belongs to it."""

    wechat_api: str = "https://api.weixin.qq.com"
    """Base address of WeChat's server API; tests point it at a local fake."""


class LimitSettings(_Section, frozen=True):
    """`limits`: what one request, one caller and one document may cost."""

    body_bytes: int = 10 * 1024**2
    """Largest JSON body."""

    document_bytes: int = 1024**2
    """Largest document."""

    document_depth: int = 20
    """Deepest nesting of a document."""

    filter_depth: int = 20
    """Deepest nesting of a filter."""

    filter_nodes: int = 500
    """Most conditions in a filter."""

    list_items: int = 1000
    """Most items in `$in` and its kind."""

    pipeline_stages: int = 50
    """Most stages of a pipeline, those inside `$facet` and `$lookup` counted."""

    find_default: int = 100
    """Documents in an answer when the request does not say."""

    find_max: int = 1000
    """Most documents in an answer."""

    multi_max: int = 10_000
    """Most documents that one `multi` write may touch."""

    insert_max: int = 1000
    """Most documents of one insert."""

    transaction_operations: int = 100
    """Most operations of one transaction."""

    aggregate_max: int = 1000
    """Most documents in an aggregate's answer."""

    aggregate_input: int = 100_000
    """Most documents that a pipeline may hold at once."""

    idempotency_hours: int = 24
    """How long the answer to an Idempotency-Key is kept."""

    idempotency_records: int = 1_000_000
    """Most answers kept; the oldest go first."""

    rate_auth: str = "30/m"
    """Sign-in, sign-up and refresh, per address."""

    rate_read: str = "6000/m"
    """Reads per caller (uid, else address)."""

    rate_write: str = "3000/m"
    """Writes per caller (uid, else address)."""


class ObserveSettings(_Section, frozen=True):
    """`observe`: logs and metrics."""

    log_format: Literal["auto", "text", "json"] = "auto"
    """`auto` is text on a terminal, else JSON."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written."""

    access_sample: float = 1.0
    """Share of successful requests that are logged; failures always are."""


class Settings(_Section, frozen=True):
    """All of baas.yaml."""

    app: AppSettings = AppSettings()
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    auth: AuthSettings = AuthSettings()
    limits: LimitSettings = LimitSettings()
    observe: ObserveSettings = ObserveSettings()
