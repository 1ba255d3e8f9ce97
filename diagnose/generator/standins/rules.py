"""What Supabase Storage holds, and the rules by which it answers: no HTTP, as observed on supabase/storage 1.70.6.

Everything that can break is a value of `Project` or `Bucket`, and what goes wrong follows from it. A rule either gives
what was asked for or raises `Refused` with the answer; the rules are applied in the server's order, which decides which
of two faults is seen.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from diagnose.generator.standins import keys

LIMIT = 50 * 1024 * 1024
"""The largest object that a project takes, whatever its buckets say."""
KEPT = 16 * 1024 * 1024
"""Bytes that stay in memory; the oldest objects make room. The real server keeps all."""
BORN = datetime(2025, 1, 1, tzinfo=UTC)
"""When the buckets came to be that a project begins with."""

_KEY = re.compile(r"[A-Za-z0-9_/!.*'() &$=@;:+,?-]+")
_BUCKET_NAME = re.compile(r"[A-Za-z0-9_!.*'() &$=@;:+,?-]{1,99}")
_MIME_TYPE = re.compile(r"([a-zA-Z0-9\-+.]+)/([a-zA-Z0-9\-+.]+|\*)(;\s*charset=[a-zA-Z0-9\-]+)?|\*")
_ROLES = frozenset({"service_role", "anon", "authenticated"})
_PLACEHOLDER = ".emptyFolderPlaceholder"


# How things stand.


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no: the HTTP status is nearly always 400, and the meaning stands in the body."""

    status: int
    code: str
    error: str
    message: str

    @property
    def http(self) -> int:
        """What the wire shows."""
        return self.status if self.status in (429, 500, 544) else 400

    @property
    def body(self) -> dict[str, str]:
        """What the body says; the status is a string."""
        return {"statusCode": str(self.status), "code": self.code, "error": self.error, "message": self.message}


Outage = Refusal
"""An answer that every upload gets."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket's settings."""

    public: bool = True
    mime_types: tuple[str, ...] | None = None
    size_limit: int | None = None
    policies: frozenset[str] = frozenset()
    """What whoever is not the service may do with its objects: "insert", "select", "update", "delete"."""


@dataclass(frozen=True, slots=True)
class Project:
    """How a Supabase project stands."""

    buckets: Mapping[str, Bucket]
    ref: str = keys.REF
    secret: str = field(default=keys.SECRET, repr=False)
    secret_keys: frozenset[str] = field(default=frozenset({keys.secret_key()}), repr=False)
    publishable_keys: frozenset[str] = frozenset({keys.publishable_key()})
    lists_buckets: bool = False
    """Whether a policy shows the buckets themselves to whoever is not the service."""
    database_up: bool = True
    outage: Outage | None = None
    delay: float = 0.0
    """Seconds before every answer."""
    damages: bool = False
    """Whether what is stored loses its end, so that a picture is served cut short."""
    coins: int | None = 500
    """What the caller's profile holds; None where the column is null."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a key or a token makes of somebody."""

    role: str = "anon"
    user: str | None = None
    accepted: bool = True
    """False for whoever came without a key, or with one that is no good, where that is not asked."""


SUPERUSER = Caller("service_role")
NOBODY = Caller(accepted=False)


@dataclass(frozen=True, slots=True)
class Upload:
    """What a request brings."""

    data: bytes
    content_type: str
    cache_control: str = "no-cache"
    metadata: Any = None
    size: int | None = None
    """The size where it is not that of the data, because there was too much to keep."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object."""

    id: str
    version: str
    data: bytes = field(repr=False)
    content_type: str
    cache_control: str
    metadata: Any
    owner: str | None
    created: datetime
    updated: datetime
    etag: str


# Refusals.


class Refused(Exception):
    """Storage said no."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


NO_BUCKET = Refusal(404, "NoSuchBucket", "Bucket not found", "Bucket not found")
NO_KEY = Refusal(404, "NoSuchKey", "not_found", "Object not found")
NO_RELATED = Refusal(404, "InvalidRequest", "InvalidRequest", "The related resource does not exist")
NO_CONTENT = Refusal(400, "InvalidRequest", "InvalidRequest", "No content provided")
BY_POLICY = Refusal(403, "AccessDenied", "Unauthorized", "new row violates row-level security policy")
KEY_EXISTS = Refusal(409, "KeyAlreadyExists", "Duplicate", "The resource already exists")
BUCKET_EXISTS = Refusal(409, "BucketAlreadyExists", "Duplicate", "The resource already exists")
NOT_EMPTY = Refusal(409, "ResourceNotEmpty", "ResourceNotEmpty", "The bucket you tried to delete is not empty")
BAD_BUCKET_NAME = Refusal(400, "InvalidBucketName", "Invalid Input", "Bucket name invalid")
BAD_RANGE = Refusal(400, "InvalidRange", "invalid_range", "invalid range provided")
BAD_SIGNATURE = Refusal(400, "InvalidSignature", "InvalidSignature", "Invalid signature")
BAD_ROLE = Refusal(500, "DatabaseError", "DatabaseError", "database error, code: 22023")
TOO_LARGE = Refusal(413, "EntityTooLarge", "Payload too large", "The object exceeded the maximum allowed size")
INTERNAL = Refusal(500, "InternalError", "Internal", "Internal Server Error")


def denied(message: str) -> Refusal:
    """The key is not accepted, or does not suffice; only the message tells one from the other."""
    return Refusal(403, "AccessDenied", "Unauthorized", message)


def bad_token(message: str) -> Refusal:
    """The token of a signed URL is not accepted."""
    return Refusal(400, "InvalidJWT", "InvalidJWT", message)


def bad_name(path: str) -> Refusal:
    """No object can have this name."""
    return Refusal(400, "InvalidKey", "InvalidKey", f"Invalid key: {path}")


def bad_mime_type(kind: str) -> Refusal:
    """The bucket does not take this media type."""
    return Refusal(415, "InvalidMimeType", "invalid_mime_type", f"mime type {kind} is not supported")


def malformed(message: str) -> Refusal:
    """The request is not of the route's form."""
    return Refusal(400, "InvalidRequest", "Error", message)


def bad_parameter(name: str) -> Refusal:
    """A value that the route cannot use."""
    return Refusal(400, "InvalidParameter", "InvalidParameter", f"Invalid Parameter {name}")


# The rules.


class Store:
    """Buckets and objects. `project` may be replaced while it runs."""

    def __init__(self, project: Project, clock: Callable[[], datetime], chance: random.Random | None = None) -> None:
        self.project = project
        self.objects: dict[tuple[str, str], Stored] = {}
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 - which of two queries ends first
        self._dates: dict[str, tuple[datetime, datetime]] = {}

    def public(self, bucket: str, path: str) -> bytes | None:
        """What whoever has no key is served at the public address, whose path may be as it stands in a URL."""
        try:
            return self.public_object(unquote(bucket), unquote(path)).data
        except Refused:
            return None

    def snapshot(self) -> str:
        """A hash of all that is kept, for whoever wants to see that nothing was written."""
        project = self.project
        buckets = {
            name: (b.public, b.mime_types, b.size_limit, sorted(b.policies)) for name, b in project.buckets.items()
        }
        objects = {
            "/".join(place): (kept.id, kept.version, kept.etag, kept.content_type, kept.cache_control, kept.metadata)
            for place, kept in dict(self.objects).items()
        }
        state = [buckets, objects, {name: str(dates) for name, dates in self._dates.items()}, project.coins]
        return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()

    def now(self) -> datetime:
        """The time."""
        now = self._clock()
        return now if now.tzinfo else now.replace(tzinfo=UTC)

    # Buckets.

    def bucket(self, name: str) -> Bucket:
        """A bucket's settings, as the server itself sees them."""
        self._awake()
        found = self.project.buckets.get(name)
        if found is None:
            raise Refused(NO_BUCKET)
        return found

    def buckets(self, caller: Caller) -> list[dict[str, Any]]:
        """The buckets that this caller sees."""
        self._as(caller)
        seen = caller.role == "service_role" or self.project.lists_buckets
        return [self._row(name, bucket) for name, bucket in self.project.buckets.items()] if seen else []

    def bucket_row(self, name: str, caller: Caller) -> dict[str, Any]:
        """One bucket; to whoever may not see it, it does not exist."""
        for row in self.buckets(caller):
            if row["id"] == name:
                return row
        raise Refused(NO_BUCKET)

    def save_bucket(self, name: str, bucket: Bucket, caller: Caller, new: bool) -> None:
        """Makes a bucket, or changes one."""
        if new and not _BUCKET_NAME.fullmatch(name):
            raise Refused(BAD_BUCKET_NAME)
        for kind in bucket.mime_types or ():
            if not _MIME_TYPE.fullmatch(kind):
                raise Refused(bad_mime_type(kind))
        if (bucket.size_limit or 0) > LIMIT:
            raise Refused(TOO_LARGE)
        self._as(caller)
        if caller.role != "service_role":
            raise Refused(BY_POLICY if new else NO_BUCKET)
        if new == (name in self.project.buckets):
            raise Refused(BUCKET_EXISTS if new else NO_BUCKET)
        now = self.now()
        self._dates[name] = (now if new else self._dates.get(name, (BORN, BORN))[0], now)
        self.project = replace(self.project, buckets={**self.project.buckets, name: bucket})

    def empty_bucket(self, name: str, caller: Caller) -> None:
        """Removes every object of a bucket."""
        self.bucket_row(name, caller)
        self.remove(name, [path for place, path in self.objects if place == name], caller)

    def remove_bucket(self, name: str, caller: Caller) -> None:
        """Removes a bucket that is empty."""
        self.bucket_row(name, caller)
        if caller.role != "service_role":
            raise Refused(NO_BUCKET)
        if any(place == name for place, _ in self.objects):
            raise Refused(NOT_EMPTY)
        self._dates.pop(name, None)
        left = {other: bucket for other, bucket in self.project.buckets.items() if other != name}
        self.project = replace(self.project, buckets=left)

    def _row(self, name: str, bucket: Bucket) -> dict[str, Any]:
        created, updated = self._dates.get(name, (BORN, BORN))
        return {
            "id": name,
            "name": name,
            "owner": "",
            "public": bucket.public,
            "file_size_limit": bucket.size_limit,
            "allowed_mime_types": list(bucket.mime_types) if bucket.mime_types is not None else None,
            "created_at": iso(created),
            "updated_at": iso(updated),
            "type": "STANDARD",
        }

    # Reading.

    def public_object(self, bucket: str, path: str) -> Stored:
        """What stands at a public address.

        Two queries race there, and whichever fails first answers: a bucket that is private or missing is called so only
        most of the time, as long as the object is missing too.
        """
        self._awake()
        settings = self.project.buckets.get(bucket)
        if settings is not None and settings.public:
            return self._look(bucket, path)
        if (bucket, path) in self.objects or self._chance.random() < (0.62 if settings is None else 0.34):
            raise Refused(NO_BUCKET)
        raise Refused(NO_KEY)

    def public_info(self, bucket: str, path: str) -> Stored:
        """The same, asked in order."""
        if not self.bucket(bucket).public:
            raise Refused(NO_BUCKET)
        return self._look(bucket, path)

    def object(self, bucket: str, path: str, caller: Caller) -> Stored:
        """An object for this caller: a public bucket is not asked whom it serves."""
        settings = self.bucket(bucket)
        if settings.public:
            return self._look(bucket, path)
        if not caller.accepted:
            raise Refused(NO_BUCKET)
        return self.own_object(bucket, path, caller)

    def own_object(self, bucket: str, path: str, caller: Caller) -> Stored:
        """An object that the policies let this caller see; where they do not, it does not exist."""
        return self._look(bucket, path, hidden=not self._may(caller, bucket, "select"))

    def _look(self, bucket: str, path: str, hidden: bool = False) -> Stored:
        if not _KEY.fullmatch(path):
            raise Refused(bad_name(path))
        kept = self.objects.get((bucket, path))
        if kept is None or hidden:
            raise Refused(NO_KEY)
        return kept

    def rows(self, bucket: str, caller: Caller) -> list[tuple[str, Stored]]:
        """Name and object of all that this caller sees; a missing bucket is an empty one."""
        if not self._may(caller, bucket, "select"):
            return []
        return [(path, kept) for (place, path), kept in self.objects.items() if place == bucket]

    # Writing.

    def check_upload(self, bucket: str, path: str, caller: Caller, upsert: bool) -> None:
        """Whether the policies let this caller write here, and the place is free; nothing is left behind."""
        exists = (bucket, path) in self.objects
        verbs = ("insert", "select", *(("update",) if exists else ())) if upsert else ("insert",)
        if not self._may(caller, bucket, *verbs):
            raise Refused(BY_POLICY)
        if bucket not in self.project.buckets:
            raise Refused(NO_RELATED)
        if exists and not upsert:
            raise Refused(KEY_EXISTS)

    def upload(self, bucket: str, path: str, given: Upload, caller: Caller, upsert: bool) -> Stored:
        """Stores an object."""
        settings = self.bucket(bucket)
        if self.project.outage is not None:
            raise Refused(self.project.outage)
        placeholder = path.rpartition("/")[2] == _PLACEHOLDER
        if not placeholder and given.content_type:
            _check_mime_type(given.content_type, settings.mime_types)
        if not _KEY.fullmatch(path):
            raise Refused(bad_name(path))
        self.check_upload(bucket, path, caller, upsert)
        size = len(given.data) if given.size is None else given.size
        limit = LIMIT if settings.size_limit is None else min(LIMIT, settings.size_limit)
        if size > (0 if placeholder else limit):
            raise Refused(TOO_LARGE)
        if any(len(part) > 255 for part in path.split("/")):
            raise Refused(INTERNAL)  # no file of its disk has such a name
        return self._keep((bucket, path), given, caller)

    def remove_one(self, bucket: str, path: str, caller: Caller) -> None:
        """Removes an object, or says that the policies do not let this caller."""
        self.own_object(bucket, path, SUPERUSER)
        if not self.remove(bucket, [path], caller):
            raise Refused(denied("Access denied"))

    def remove(self, bucket: str, paths: Iterable[str], caller: Caller) -> list[dict[str, Any]]:
        """Removes objects; what the policies hide is left, without a word."""
        if not self._may(caller, bucket, "select", "delete"):
            return []
        gone = [(path, self.objects.pop((bucket, path), None)) for path in paths]
        return [{"bucket_id": bucket, **object_row(path, kept)} for path, kept in gone if kept is not None]

    def _keep(self, place: tuple[str, str], given: Upload, caller: Caller) -> Stored:
        now, old = self.now(), self.objects.pop(place, None)
        data = given.data[: len(given.data) * 3 // 4] if self.project.damages else given.data
        kept = Stored(
            id=old.id if old else self._uuid(),
            version=self._uuid(),
            data=data,
            content_type=given.content_type,
            cache_control=given.cache_control,
            metadata=given.metadata,
            owner=caller.user,
            created=old.created if old else now,
            updated=now,
            etag=f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"',
        )
        self.objects[place] = kept
        while sum(len(other.data) for other in self.objects.values()) > KEPT:
            self.objects.pop(next(iter(self.objects)))
        return kept

    # What they rest on.

    def _awake(self) -> None:
        if not self.project.database_up:
            raise Refused(INTERNAL)

    def _as(self, caller: Caller) -> None:
        """Goes to the database as this caller."""
        self._awake()
        if caller.role not in _ROLES:
            raise Refused(BAD_ROLE)

    def _may(self, caller: Caller, bucket: str, *verbs: str) -> bool:
        self._as(caller)
        settings = self.project.buckets.get(bucket)
        return caller.role == "service_role" or (settings is not None and settings.policies.issuperset(verbs))

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))


def _check_mime_type(content_type: str, allowed: tuple[str, ...] | None) -> None:
    kind = content_type.partition(";")[0].strip()
    wide = f"{kind.partition('/')[0]}/*"
    if allowed and not {kind, wide, "*", "*/*"} & {one.partition(";")[0].strip() for one in allowed}:
        raise Refused(bad_mime_type(kind))


# Rows, as lists of objects have them.


def iso(moment: datetime) -> str:
    """A moment as the server writes it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def object_row(name: str, kept: Stored) -> dict[str, Any]:
    """An object in a list."""
    return {
        "name": name,
        "id": kept.id,
        "updated_at": iso(kept.updated),
        "created_at": iso(kept.created),
        "last_accessed_at": iso(kept.created),
        "metadata": {
            "eTag": kept.etag,
            "size": len(kept.data),
            "mimetype": kept.content_type,
            "cacheControl": kept.cache_control,
            "lastModified": iso(kept.updated),
            "contentLength": len(kept.data),
            "httpStatusCode": 200,
        },
    }


def folder_row(name: str) -> dict[str, Any]:
    """A folder in a list: a name and nothing else."""
    empty = dict.fromkeys(("id", "updated_at", "created_at", "last_accessed_at", "metadata"))
    return {"name": name, **empty}


def info_row(bucket: str, path: str, kept: Stored) -> dict[str, Any]:
    """All that is said of one object."""
    return {
        "id": kept.id,
        "name": path,
        "version": kept.version,
        "bucket_id": bucket,
        "size": len(kept.data),
        "content_type": kept.content_type,
        "cache_control": kept.cache_control,
        "etag": kept.etag,
        "metadata": kept.metadata,
        "last_modified": iso(kept.updated),
        "created_at": iso(kept.created),
    }


def listing(rows: list[tuple[str, Stored]], prefix: str, search: str, column: str, descending: bool) -> list[Any]:
    """One level below a prefix, folders first. The prefix is a folder's name, so that of an object has nothing in it."""
    top = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    below = [(path.removeprefix(top), kept) for path, kept in rows if path.startswith(top)]
    below = [(name, kept) for name, kept in below if name.lower().startswith(search.lower())]
    folders = sorted({name.partition("/")[0] for name, _ in below if "/" in name}, reverse=descending)
    files = sorted(
        (object_row(name, kept) for name, kept in below if "/" not in name), key=lambda row: str(row[column])
    )
    return [*(folder_row(name) for name in folders), *(reversed(files) if descending else files)]


def tree(rows: list[tuple[str, Stored]], prefix: str, delimited: bool) -> Iterator[tuple[str, Stored | None]]:
    """All keys that begin with a prefix, in order; where `delimited`, what lies deeper is one folder, with no object."""
    seen: set[str] = set()
    for path, kept in sorted(rows, key=lambda row: row[0]):
        if not path.startswith(prefix):
            continue
        head, slash, _ = path[len(prefix) :].partition("/")
        if not (delimited and slash):
            yield path, kept
        elif head not in seen:
            seen.add(head)
            yield f"{prefix}{head}/", None
