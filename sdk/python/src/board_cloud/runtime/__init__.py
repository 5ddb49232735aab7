"""The client of a baas app, asynchronous and synchronous.

    from board_cloud import create_cloud

    cloud = create_cloud("https://board.example")
    cloud.auth().sign_in_anonymously()
    page = cloud.database().collection("posts").limit(20).get()

Every name without `Async` is of the synchronous face; both are one code (`_async`), and share the
rest of this package.
"""

from ._async.auth import AsyncAuth
from ._async.cloud import AsyncBaseCloud, AsyncCloud
from ._async.database import (
    AsyncAggregate,
    AsyncBaseDatabase,
    AsyncBaseTransaction,
    AsyncCollection,
    AsyncDatabase,
    AsyncDocumentReference,
    AsyncQuery,
    AsyncTransaction,
    AsyncTransactionCollection,
    AsyncTransactionDocument,
)
from ._async.live import AsyncChannel, AsyncInbox, AsyncWatch
from ._async.storage import AsyncStorage
from ._sync.auth import Auth
from ._sync.cloud import BaseCloud, Cloud
from ._sync.database import (
    Aggregate,
    BaseDatabase,
    BaseTransaction,
    Collection,
    Database,
    DocumentReference,
    Query,
    Transaction,
    TransactionCollection,
    TransactionDocument,
)
from ._sync.live import Channel, Inbox, Watch
from ._sync.storage import Storage
from .answers import (
    Added,
    AddedMany,
    AggregateAnswer,
    DeletedFile,
    DocumentAnswer,
    Download,
    FileList,
    FunctionAnswer,
    Invocation,
    QueryAnswer,
    Removed,
    Stats,
    StoredFile,
    TempFile,
    Total,
)
from .command import Change, Command, Condition, command
from .entries import DocumentChange, Message, PresenceEntry, Snapshot
from .errors import BaasError, FieldError
from .files import ImageOptions
from .options import CallOptions, Progress, TransferOptions
from .sessions import FileStore, LoginType, MemoryStore, SessionInfo, SessionStore, UserInfo
from .types import Stored
from .values import Geo, Geometry, RegExp, ServerDate

__all__ = [
    "Added",
    "AddedMany",
    "Aggregate",
    "AggregateAnswer",
    "AsyncAggregate",
    "AsyncAuth",
    "AsyncBaseCloud",
    "AsyncBaseDatabase",
    "AsyncBaseTransaction",
    "AsyncChannel",
    "AsyncCloud",
    "AsyncCollection",
    "AsyncDatabase",
    "AsyncDocumentReference",
    "AsyncInbox",
    "AsyncQuery",
    "AsyncStorage",
    "AsyncTransaction",
    "AsyncTransactionCollection",
    "AsyncTransactionDocument",
    "AsyncWatch",
    "Auth",
    "BaasError",
    "BaseCloud",
    "BaseDatabase",
    "BaseTransaction",
    "CallOptions",
    "Change",
    "Channel",
    "Cloud",
    "Collection",
    "Command",
    "Condition",
    "Database",
    "DeletedFile",
    "DocumentAnswer",
    "DocumentChange",
    "DocumentReference",
    "Download",
    "FieldError",
    "FileList",
    "FileStore",
    "FunctionAnswer",
    "Geo",
    "Geometry",
    "ImageOptions",
    "Inbox",
    "Invocation",
    "LoginType",
    "MemoryStore",
    "Message",
    "PresenceEntry",
    "Progress",
    "Query",
    "QueryAnswer",
    "RegExp",
    "Removed",
    "ServerDate",
    "SessionInfo",
    "SessionStore",
    "Snapshot",
    "Stats",
    "Storage",
    "Stored",
    "StoredFile",
    "TempFile",
    "Total",
    "Transaction",
    "TransactionCollection",
    "TransactionDocument",
    "TransferOptions",
    "UserInfo",
    "Watch",
    "command",
]
