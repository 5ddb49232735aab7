"""The reserved collections of auth: all its state, as documents.

Names start with `_`, so no request can name them. What each holds:

- `_users` (id: uid): what an account is; roles, profile, ways to sign in. No secret.
- `_identities` (id: digest of kind and subject): who owns a name or an openid. That the id is
  derived makes it unique on every engine, without an index.
- `_credentials` (id: uid): the password hash, apart from what is shown of users.
- `_sessions` (id: session): one per sign-in; gone when it ends. Holds no token, not even a hash.
- `_keys`: one document with all signing keys, private parts sealed.
- `_admin_keys` (id: key id): digest and scopes of each admin key; the sessions of people at the
  panel too, which have `admin`, the id of the account, and `expires`.
- `_admins` (id: digest of the name): the accounts of those people, with password hash and role; and
  one document that says that there has been a first.
"""

from __future__ import annotations

from typing import Final

from baas.schema.model import CollectionSpec, IndexKey, IndexSpec

USERS: Final = "_users"
IDENTITIES: Final = "_identities"
CREDENTIALS: Final = "_credentials"
SESSIONS: Final = "_sessions"
KEYS: Final = "_keys"
ADMIN_KEYS: Final = "_admin_keys"
ADMINS: Final = "_admins"

_BY_UID: Final = IndexSpec(name="uid", keys=(IndexKey(("uid",)),))

#: What the app declares to the store beside the collections of the rule files.
AUTH_COLLECTIONS: Final[dict[str, CollectionSpec]] = {
    USERS: CollectionSpec(name=USERS),
    IDENTITIES: CollectionSpec(name=IDENTITIES, indexes=(_BY_UID,)),
    CREDENTIALS: CollectionSpec(name=CREDENTIALS),
    SESSIONS: CollectionSpec(name=SESSIONS, indexes=(_BY_UID,), ttl=("expires",)),
    KEYS: CollectionSpec(name=KEYS),
    ADMIN_KEYS: CollectionSpec(
        name=ADMIN_KEYS,
        indexes=(IndexSpec(name="admin", keys=(IndexKey(("admin",)),)),),
        ttl=("expires",),
    ),
    ADMINS: CollectionSpec(name=ADMINS),
}
