"""Says what may be looked at: addresses given on the command line, and with `live` those of profile and environment.

A key is sent to the address that stands beside it in the same environment, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from diagnose.collect import settings
from diagnose.live.ask import is_loopback, origin, wanders
from diagnose.live.environment import Environment
from diagnose.model import IMAGE_KEYS, Case, Evidence

_SERVICE_KEYS = (
    r"SUPABASE_(?:SERVICE|SECRET)(?:_ROLE)?_KEY",
    r"SUPABASE_KEY",
    r"(?!\w*(?:JWT|AUTH|EXTERNAL))\w*SUPABASE_\w*(?:SERVICE|SECRET)\w*KEY",
    r"(?!\w*(?:JWT|AUTH|EXTERNAL))\w*SUPABASE_\w*(?:ANON|PUBLISHABLE)\w*KEY",
)
"""Names of the key a backend uploads with, the likeliest first; other secrets of a project are sent to nobody."""
FAL_API = "https://api.fal.ai"
"""fal's platform API: models, and the history of an account's requests (fal facts, section 2.5)."""
FAL_SCHEMAS = "https://fal.ai/api/openapi/queue/openapi.json"
"""A model's schema, for whoever asks (fal facts, section 2.5)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked to look at."""

    backend_url: str | None = None
    supabase_url: str | None = None
    live: bool = False
    online: bool = False
    allowed: frozenset[str] = frozenset()
    """Hosts whose addresses in the evidence may be fetched."""
    write: str | None = None
    """The name of the one object that is written to the bucket, and removed again."""
    source: tuple[Path, ...] = ()
    """Folders that the user says are the backend's source."""

    @property
    def any(self) -> bool:
        """Whether anything at all is to be looked at."""
        return bool(self.backend_url or self.supabase_url or self.live or self.online)


@dataclass(frozen=True, slots=True)
class Key:
    """A key to look with, stripped of what stood around it."""

    name: str
    text: str = field(repr=False)
    role: str | None
    altered: bool = False
    """Whether something stood around it: as it is in the settings, no server takes it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's address that stands in the evidence."""

    url: str
    bucket: str
    path: str
    tried: bool = False
    """Whether this is the place that the attempt named for its own upload."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What is looked at, and what of the case is asked after. None: not looked at."""

    backend: str | None = None
    backend_given: bool = False
    """Whether the backend's address was given by somebody, and is not the usual one."""
    storage: str | None = None
    """The project's address, without a slash at its end."""
    storage_key: Key | None = None
    bucket: str = "public"
    picture: Picture | None = None
    """The case's picture, where it stands in the configured Storage."""
    stranger: Evidence | None = None
    """An address of a picture whose host is not configured: it is not fetched."""
    stranger_allowed: bool = False
    folder: str = ""
    """Where in the bucket the case's pictures go."""
    fal_key: Key | None = None
    fal_api: str | None = None
    fal_schemas: str | None = None
    models: tuple[str, ...] = ()
    requests: tuple[tuple[str, str], ...] = ()
    """(model, request id) of the case's calls to fal."""
    write: str | None = None
    source: tuple[Path, ...] = ()


def targets(wish: Wish, case: Case, environment: Environment, variables: Mapping[str, str]) -> Targets:
    """What this wish allows to look at, for this case."""
    declared = "backend.url" in case.profile.declared
    backend = wish.backend_url or (case.profile.backend_url if wish.live else None)
    url = environment.first(r"SUPABASE_URL", r"\w*SUPABASE_(?:PROJECT_)?URL")
    storage = _trimmed(wish.supabase_url) or (_trimmed(url.value) if url is not None and wish.live else None)
    beside = wish.live and url is not None and storage is not None and origin(url.value) == origin(storage)
    # a key belongs to the project that its own environment names, and goes nowhere else
    key = environment.first(*_SERVICE_KEYS, home=url.home) if beside and url is not None else None
    fal = environment.first(r"FAL_(API_)?KEY") if wish.live else None
    bucket = _bucket(case)
    tried = _tried(case, storage)
    picture, stranger = _picture(case, storage, tried)
    if picture is None and stranger is None and tried and storage:
        picture = Picture(object_url(storage, "object/public", bucket, tried), bucket, tried, tried=True)
    path = picture.path if picture is not None else tried or ""
    called = tuple(dict.fromkeys((e["model"], e["request_id"]) for e in case.of("fal.call") if e["model"] and e["request_id"]))  # fmt: skip
    used = [case.model["model"]] if case.model is not None else []
    return Targets(
        backend=_trimmed(backend),
        backend_given=bool(wish.backend_url) or declared,
        storage=storage,
        storage_key=_key(key.name, key.value) if key is not None and storage is not None else None,
        bucket=picture.bucket if picture is not None else bucket,
        picture=picture,
        stranger=stranger,
        stranger_allowed=stranger is not None and (origin(str(stranger["url"])) or ("", "", 0))[1] in wish.allowed,
        folder=path.rpartition("/")[0],
        fal_key=_key(fal.name, fal.value) if fal is not None else None,
        fal_api=(variables.get("DIAGNOSE_FAL_API") or FAL_API) if fal is not None else None,
        fal_schemas=(variables.get("DIAGNOSE_FAL_SCHEMAS") or FAL_SCHEMAS) if wish.online else None,
        models=tuple(dict.fromkeys([*used, case.profile.image_to_image, case.profile.text_to_image])),
        requests=called[:4],
        write=wish.write,
        source=wish.source,
    )


def _trimmed(url: str | None) -> str | None:
    return url.strip().strip("\"'").rstrip("/") or None if url else None


def _key(name: str, value: str) -> Key:
    described: dict[str, Any] = settings.describe(name, value)
    text = value.strip().strip("\"'“”")
    text = text[7:].strip() if text.lower().startswith("bearer ") else text
    return Key(name, text, described["role"], altered=text != value)


def _tried(case: Case, storage: str | None) -> str | None:
    """Where the attempt's upload went, unless it went to another host than the one that is looked at."""
    home = origin(storage) if storage else None
    for e in case.of("storage.upload", "upload.started"):
        host = origin(f"http://{e['host']}") if e["host"] else None
        if e["path"] and not wanders(e["path"]) and (host is None or home is None or host[1] == home[1]):
            return str(e["path"])
    return None


def _bucket(case: Case) -> str:
    seen = (e["bucket"] for e in case.of("storage.upload", "upload.started") if e["bucket"])
    seen = (name for name in seen if "/" not in name and not wanders(name))
    return next(seen, None) or case.profile.bucket


def _picture(case: Case, storage: str | None, tried: str | None) -> tuple[Picture | None, Evidence | None]:
    """The case's picture in the configured Storage; else the evidence of one that stands anywhere else."""
    home, base = (origin(storage), urlsplit(storage).path) if storage else (None, "")
    stranger: Evidence | None = None
    for url, evidence in _addresses(case):
        where = origin(url)
        if where is None:
            continue
        if where != home:
            stranger = stranger or Evidence(evidence.kind, evidence.source, evidence.witness, {"url": url})
            continue
        path = urlsplit(url).path
        for route in ("/storage/v1/object/public/", "/storage/v1/object/sign/", "/storage/v1/object/"):
            if path.startswith(base + route):
                bucket, _, name = path.removeprefix(base + route).partition("/")
                if bucket and name and not wanders(path):
                    return Picture(url, unquote(bucket), unquote(name), unquote(name) == tried), None
                break
    return None, stranger


def _addresses(case: Case) -> Iterator[tuple[str, Evidence]]:
    for e in case.of("image_url"):
        if isinstance(e["url"], str):
            yield e["url"], e
    for e in case.of("payload"):
        for key in IMAGE_KEYS:
            value = e["body"].get(key)
            for url in value if isinstance(value, list) else [value]:
                if isinstance(url, str):
                    yield url, e


def object_url(storage: str, route: str, bucket: str, path: str) -> str:
    """An address of Storage's: `object/public`, `object/info/authenticated` and their like."""
    return f"{storage}/storage/v1/{route}/{quote(bucket, safe='')}/{quote(path, safe='/')}"


def is_here(url: str) -> bool:
    """Whether an address is of this machine, so that its processes can be looked at."""
    place = origin(url)
    return place is not None and (is_loopback(place[1]) or place[1] in ("0.0.0.0", "::"))  # noqa: S104 - compared, not bound
