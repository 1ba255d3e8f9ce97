"""Hands in memory: accounts, Storage and fal, behaving as the real ones are known to, with no network at all.

What goes wrong follows from how things stand (a private bucket, an expired key, a picture cut short), not
from being told what to say: so the evidence of a fault fits together as it does in the field.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from diagnose import schema
from diagnose.generator import events, images
from diagnose.generator.broken import (
    FalFault,
    FalRefused,
    NotConfigured,
    RequestRefused,
    StorageFault,
    StorageRefused,
)
from diagnose.generator.pipeline import Answer, Log, User

REF = "qhwzvbnkdmtyrcxaeplo"
"""The project's name: twenty letters, as in every hosted address."""
USER = "7f1d2c3a-5b64-4c0e-9a51-2f6f0f4f3b10"

_OBJECT_NAME = re.compile(r"[A-Za-z0-9_/!.*'() &$=@;:+,?-]*")
_FAL_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{32}")

_FLAGGED = "The content could not be processed because it contained material flagged by a content checker."
_NOT_DOWNLOADED = "Failed to download the file. Please check if the URL is accessible and try again."
_NOT_LOADED = "Failed to load the image. Please ensure the image file is not corrupted and is in a supported format."


# Time, names and keys.


@dataclass(slots=True)
class Ticks:
    """A clock that goes on by the same step whenever it is read."""

    at: datetime
    step: timedelta = timedelta(milliseconds=130)

    def __call__(self) -> datetime:
        self.at += self.step
        return self.at


@dataclass(slots=True)
class Ids:
    """Names that look random and are the same in every run."""

    seed: str
    count: int = 0

    def __call__(self) -> str:
        self.count += 1
        digest = hashlib.sha256(f"{self.seed}/{self.count}".encode()).digest()
        return str(uuid.UUID(bytes=digest[:16], version=4))


def jwt(claims: Mapping[str, Any]) -> str:
    """A token with these claims; its signature is of the right length and signs nothing."""
    head, body = ({"alg": "HS256", "typ": "JWT"}, dict(claims))
    parts = [_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (head, body)]
    return ".".join([*parts, _base64url(hashlib.sha256(parts[1].encode()).digest())])


def supabase_key(role: str, ref: str | None = REF, expires: datetime = datetime(2035, 1, 1)) -> str:
    """A project's key of the older kind."""
    claims: dict[str, Any] = {"iss": "supabase", "ref": ref} if ref else {"iss": "supabase-demo"}
    return jwt({**claims, "role": role, "iat": 1735689600, "exp": epoch(expires)})


def fal_key(seed: str = "demo") -> str:
    """A key of the form that fal gives out."""
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return f"{uuid.UUID(hex=digest[:32], version=4)}:{digest[32:]}"


def epoch(moment: datetime) -> int:
    """Seconds since 1970; a moment without a zone is not the machine's, so that every run is the same."""
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _claims(token: str) -> dict[str, Any] | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


# Accounts.


@dataclass(frozen=True, slots=True)
class Account:
    """How the caller's account stands."""

    coins: int = 500
    bug: Exception | None = None
    """What the backend's own code raises while it reads the account."""


@dataclass(slots=True)
class MemoryAccounts:
    """Accounts as Supabase Auth and its tables keep them."""

    account: Account
    url: str
    log: Log
    clock: Callable[[], datetime]

    def admit(self, token: str) -> User:
        """Lets in whoever holds a token that has not expired."""
        claims = _claims(token) or {}
        expired = claims.get("exp", 0) < epoch(self.clock())
        self.log(events.Exchanged("GET", f"{self.url}/auth/v1/user", 403 if expired else 200))
        if expired:
            reason = "invalid JWT: unable to parse or verify signature, token has invalid claims: token is expired"
            body = json.dumps({"code": 403, "error_code": "bad_jwt", "msg": reason}, separators=(",", ":"))
            self.log(events.TokenRefused(403, body))
            raise RequestRefused(401, "Invalid or expired token")
        profile = f"{self.url}/rest/v1/profiles?select=%2A&user_id=eq.{USER}"
        self.log(events.Exchanged("GET", profile, 200, "HTTP/2"))
        if self.account.bug is not None:
            raise self.account.bug
        return User(USER, self.account.coins)

    def charge(self, user: User, price: int) -> int:
        """Takes the price."""
        self.log(events.Exchanged("PATCH", f"{self.url}/rest/v1/profiles?user_id=eq.{user.id}", 200, "HTTP/2"))
        return user.coins - price


# Storage.


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket's settings."""

    public: bool = True
    mime_types: tuple[str, ...] | None = None
    size_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """How a Supabase project stands, and the client that talks to it."""

    buckets: Mapping[str, Bucket]
    url: str = f"https://{REF}.supabase.co"
    key: str = field(default_factory=lambda: supabase_key("service_role"), repr=False)
    trouble: StorageFault | None = None
    """What every upload meets, whatever is uploaded."""
    tells_url: bool = True
    """False where the client's answer is read under a name it does not have, so that the address is lost."""


@dataclass(slots=True)
class MemoryStorage:
    """Storage's rules, in the order in which it applies them."""

    project: Project
    log: Log
    clock: Callable[[], datetime]
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def upload(self, bucket: str, path: str, data: bytes, content_type: str) -> None:
        """Stores an object, or refuses it."""
        fault = self.project.trouble or self._refusal(bucket, path, data, content_type)
        status = 200
        if isinstance(fault, StorageRefused):
            status = fault.http_status
        if fault is None or isinstance(fault, StorageRefused):
            url = f"{self.project.url}/storage/v1/object/{bucket}/{path}"
            self.log(events.Exchanged("POST", url, status, "HTTP/2"))
        if fault is not None:
            raise fault
        self.objects[bucket, path] = data

    def public_url(self, bucket: str, path: str) -> str | None:
        """The address, whether or not anything is served there."""
        return f"{self.project.url}/storage/v1/object/public/{bucket}/{path}" if self.project.tells_url else None

    def probe(self, url: str) -> tuple[int, str | None]:
        """What a reader without a key gets."""
        status, code = self._public(url)
        self.log(events.Exchanged("GET", url, status, "HTTP/2"))
        return status, code

    def fetch(self, url: str) -> bytes | None:
        """The object behind a public address, for a reader somewhere on the internet."""
        if not _reachable(url) or self._public(url)[0] != 200:
            return None
        return self.objects[self._place(url)]

    def _refusal(self, bucket: str, path: str, data: bytes, content_type: str) -> StorageRefused | None:
        rejected = self._key_fault()
        if rejected:
            return StorageRefused(403, "Unauthorized", rejected, "AccessDenied")
        settings = self.project.buckets.get(bucket)
        if settings is None:
            return StorageRefused(404, "Bucket not found", "Bucket not found", "NoSuchBucket")
        if self._role() != "service_role":
            return StorageRefused(403, "Unauthorized", "new row violates row-level security policy", "AccessDenied")
        if not _OBJECT_NAME.fullmatch(path):
            return StorageRefused(400, "InvalidKey", f"Invalid key: {path}", "InvalidKey")
        if settings.mime_types is not None and content_type not in settings.mime_types:
            return StorageRefused(
                415, "invalid_mime_type", f"mime type {content_type} is not supported", "InvalidMimeType"
            )
        if settings.size_limit is not None and len(data) > settings.size_limit:
            message = "The object exceeded the maximum allowed size"
            return StorageRefused(413, "Payload too large", message, "EntityTooLarge")
        if (bucket, path) in self.objects:
            return StorageRefused(409, "Duplicate", "The resource already exists", "KeyAlreadyExists")
        return None

    def _key_fault(self) -> str | None:
        """Why Storage does not accept the key, in its own words."""
        if self.project.key.startswith(("sb_secret_", "sb_publishable_")):
            return None
        claims = _claims(self.project.key)
        if claims is None:
            return "Invalid Compact JWS"
        host = urlsplit(self.project.url).hostname or ""
        if claims.get("ref") and host.endswith(".supabase.co") and claims["ref"] != host.partition(".")[0]:
            return "signature verification failed"
        if claims.get("exp", 0) < epoch(self.clock()):
            return '"exp" claim timestamp check failed'
        return None

    def _role(self) -> str:
        if self.project.key.startswith("sb_secret_"):
            return "service_role"
        return str((_claims(self.project.key) or {}).get("role", "anon"))

    def _public(self, url: str) -> tuple[int, str | None]:
        bucket, path = self._place(url)
        settings = self.project.buckets.get(bucket)
        if settings is None or not settings.public:
            return 400, "NoSuchBucket"
        return (200, None) if (bucket, path) in self.objects else (400, "NoSuchKey")

    def _place(self, url: str) -> tuple[str, str]:
        bucket, _, path = url.removeprefix(f"{self.project.url}/storage/v1/object/public/").partition("/")
        return bucket, path


def _reachable(url: str) -> bool:
    """Whether a host somewhere on the internet can reach this address."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".internal", ".localhost"))


# Fal.


@dataclass(frozen=True, slots=True)
class FalAccount:
    """How fal, and the account with it, stands."""

    key: str | None = field(default_factory=fal_key, repr=False)
    balance: bool = True
    busy: bool = False
    """As many calls are under way as the account may have."""
    unknown_models: frozenset[str] = frozenset()
    stricter: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: MappingProxyType({}))
    """Limits of single keys that fal has since drawn tighter than the schema that is bundled."""
    forbidden: tuple[str, ...] = ()
    """Words that the content checker stops at."""
    draws: bool = True
    """False where it answers 200 without a picture."""
    trouble: FalFault | None = None


@dataclass(slots=True)
class MemoryFal:
    """fal's synchronous endpoint: it judges a body by the model's schema and ignores unknown keys."""

    account: FalAccount
    fetch: Callable[[str], bytes | None]
    log: Log
    new_id: Callable[[], str]

    def ready(self) -> None:
        """Raises NotConfigured where there is no key."""
        if not self.account.key:
            raise NotConfigured("FAL_KEY")

    def run(self, model: str, body: Mapping[str, Any]) -> Answer:
        """Draws, or refuses."""
        request_id = self.new_id()
        fault = self.account.trouble or self._refusal(model, body, request_id)
        if fault is None or isinstance(fault, FalRefused):
            status = 200 if fault is None else fault.status
            self.log(events.Exchanged("POST", f"https://fal.run/{model}", status))
        if fault is not None:
            raise fault
        name = hashlib.sha256(request_id.encode()).hexdigest()[:16]
        pictures = (f"https://v3.fal.media/files/zebra/{name}.png",) if self.account.draws else ()
        return Answer(pictures, request_id)

    def _refusal(self, model: str, body: Mapping[str, Any], request_id: str) -> FalRefused | None:
        app = "/".join(model.split("/")[:2])
        if not _FAL_KEY.fullmatch(self.account.key or ""):
            text = f'Cannot access application "{app}". Authentication is required to access this application.'
            return _flat(401, request_id, detail=text)
        if not self.account.balance:
            text = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
            return _flat(403, request_id, detail=text)
        if self.account.busy:
            text = "Concurrent requests limit reached"
            return _flat(429, request_id, detail=text, error_type="concurrent_requests_limit")
        if model in self.account.unknown_models:
            return _flat(404, request_id, detail=f'Application "{app}" not found')
        faults = list(validate(body, self._schema(model))) or list(self._content(body))
        return _flat(422, request_id, detail=faults) if faults else None

    def _schema(self, model: str) -> Mapping[str, Any]:
        known = schema.fal_input(model) or {"properties": {}}
        stricter = {key: {**known["properties"].get(key, {}), **limit} for key, limit in self.account.stricter.items()}
        return {**known, "properties": {**known["properties"], **stricter}}

    def _content(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if any(word in str(body.get("prompt")).lower() for word in self.account.forbidden):
            yield _own("content_policy_violation", "prompt", _FLAGGED, body.get("prompt"))
        urls = body.get("image_urls") or [body.get("image_url")]
        for key, url in (("image_urls" if "image_urls" in body else "image_url", url) for url in urls if url):
            data = self.fetch(url)
            if data is None:
                yield _own("file_download_error", key, _NOT_DOWNLOADED, url)
            elif not images.whole(data):
                yield _own("image_load_error", key, _NOT_LOADED, url)


def validate(body: Mapping[str, Any], model_schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What is wrong with a body, in the words of fal's servers; keys it does not know are ignored."""
    for key in model_schema.get("required", ()):
        if key not in body:
            yield {"type": "missing", "loc": ["body", key], "msg": "Field required", "input": dict(body)}
    for key, value in body.items():
        rule = model_schema["properties"].get(key, {})
        fault = _type_fault(rule.get("type"), value) or _range_fault(rule, value)
        if fault:
            yield {"type": fault[0], "loc": ["body", key], "msg": fault[1], "input": value, **fault[2]}


_Wrong = tuple[str, str, dict[str, Any]]


def _type_fault(wanted: str | None, value: object) -> _Wrong | None:
    match wanted:
        case "string" if not isinstance(value, str):
            return "string_type", "Input should be a valid string", {}
        case "array" if not isinstance(value, list):
            return "list_type", "Input should be a valid list", {}
        case "integer" if not _number(value, whole=True):
            return "int_parsing", "Input should be a valid integer, unable to parse string as an integer", {}
        case "number" if not _number(value, whole=False):
            return "float_parsing", "Input should be a valid number, unable to parse string as a number", {}
    return None


def _number(value: object, whole: bool) -> bool:
    try:
        number = float(value) if isinstance(value, (str, int, float)) else None
    except ValueError:
        return False
    return number is not None and (not whole or number.is_integer())


def _range_fault(rule: Mapping[str, Any], value: object) -> _Wrong | None:
    if "enum" in rule and value not in rule["enum"]:
        allowed = " or ".join(f"'{one}'" for one in rule["enum"])
        return "literal_error", f"Input should be {allowed}", {"ctx": {"expected": allowed}}
    if "minimum" not in rule and "maximum" not in rule:
        return None
    number = float(value) if isinstance(value, (str, int, float)) else 0.0
    if "minimum" in rule and number < rule["minimum"]:
        text = f"Input should be greater than or equal to {rule['minimum']}"
        return "greater_than_equal", text, {"ctx": {"ge": rule["minimum"]}}
    if "maximum" in rule and number > rule["maximum"]:
        return (
            "less_than_equal",
            f"Input should be less than or equal to {rule['maximum']}",
            {"ctx": {"le": rule["maximum"]}},
        )
    return None


def _own(kind: str, key: str, text: str, given: object) -> dict[str, Any]:
    return {
        "loc": ["body", key],
        "msg": text,
        "type": kind,
        "url": f"https://docs.fal.ai/errors#{kind}",
        "input": given,
    }


def _flat(status: int, request_id: str, **body: object) -> FalRefused:
    return FalRefused(status, json.dumps(body, separators=(",", ":"), ensure_ascii=False), request_id)


def server_error() -> FalRefused:
    """A model that broke down."""
    fault = {**_own("internal_server_error", "", "Internal server error", {}), "loc": ["body"]}
    return _flat(500, "", detail=[fault])


def timed_out() -> FalRefused:
    """A model that took too long."""
    return _flat(504, "", detail="Request timed out", error_type="request_timeout")
