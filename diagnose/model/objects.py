"""What is seen of pictures and buckets now, beside what the attempt tells of them.

Pure functions over evidence, for the checks that say so.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import NamedTuple

from diagnose.model import FAULTS, IMAGE_KEYS, Case, Evidence, Finding, Link, Message, Remedy, Status

EXPIRED = re.compile(r"InvalidJWT|claim timestamp")
_HOST = re.compile(r"^https?://(?:[^/@?#]*@)?(\[[^\]]+\]|[^/:?#]+)", re.I)
_LOCAL_NAME = re.compile(r"^localhost$|\.(?:localhost|local|internal|lan|home)$|^host\.docker\.internal$", re.I)
_ANY_PICTURE = {"*", "*/*", "image/*"}


class Told(NamedTuple):
    """What a look comes to: a fault (`FAIL`, or `WARN` where it can explain nothing), in order, or not to be told."""

    status: Status
    said: Message
    evidence: tuple[Evidence, ...] = ()


def judged(case: Case, link: Link, told: Told, remedy: Remedy) -> Finding:
    """The finding; a fault that cannot be why the attempt failed waits for the next photo, and is a warning."""
    status = Status.WARN if told.status is Status.FAIL and not case.could_fail_now(link) else told.status
    return Finding(status, told.said, told.evidence, remedy if status in FAULTS else None)


# --- addresses --------------------------------------------------------------------------------------------------------


def addresses(case: Case) -> Iterator[tuple[str, Evidence]]:
    """The addresses handed to fal, strongest witness first."""
    for e in case.of("fal.error"):
        if isinstance(e["input"], str) and e["input"].startswith(("http", "blob:")):
            yield e["input"], e
    sent = case.payload
    for key in IMAGE_KEYS if sent is not None else ():
        value = sent["body"].get(key)  # type: ignore[index]
        for url in value if isinstance(value, list) else [value]:
            if isinstance(url, str) and url.startswith(("http", "blob:")):
                yield url, sent  # type: ignore[misc]
    for e in case.of("image_url"):
        if isinstance(e["url"], str) and e["url"].startswith(("http", "blob:")):
            yield e["url"], e


def private_host(seen: list[tuple[str, Evidence]]) -> tuple[str, Evidence] | None:
    """The first address that nobody outside can reach."""
    for url, e in seen:
        host = _HOST.match(url)
        if url.startswith("blob:"):
            return "blob:", e
        if host and private(host[1]):
            return host[1], e
    return None


def private(host: str) -> bool:
    """Whether a host is not on the public internet: a local name, a bare name, or an address of a private range."""
    name = host.strip("[]").rstrip(".")
    try:
        return not ipaddress.ip_address(name).is_global
    except ValueError:
        return bool(_LOCAL_NAME.search(name)) or "." not in name


def fetched(case: Case, now: Evidence) -> Told | None:
    """What came of asking for the case's address; None where that proves no fault of the address's own."""
    kind, bucket = now["mime_type"], case.best("live.bucket")
    why = f"{now['status']} {now['message'] or ''}".strip()
    values = {"path": now["path"], "bucket": now["bucket"], "why": why, "kind": kind}
    if now["exists"] is False:
        return Told(Status.FAIL, Message("there is no object '{path}' in the bucket '{bucket}'", values), (now,))
    if now["fetchable"] and now["size"] == 0:
        return Told(Status.FAIL, Message("the address serves an empty object"), (now,))
    if now["fetchable"] and kind and not kind.lower().startswith("image/"):
        return Told(Status.WARN, Message("the address serves '{kind}', which is no picture's type", values), (now,))
    if EXPIRED.search(f"{now['code']} {now['message']}"):
        return Told(Status.UNKNOWN, Message("the address's signature is refused now ({why}); whether it was then is not known", values))  # fmt: skip
    if now["fetchable"] is False and now["bucket"] is None:
        return Told(Status.FAIL, Message("nothing is served at the address: {why}", values), (now,))
    hidden = bucket is None or bucket["public"] is not True  # a private bucket serves nothing, whatever is in it
    if now["fetchable"] is False and now["exists"] and not hidden:
        return Told(Status.FAIL, Message("Storage has '{path}' on record and does not serve it: {why}", values), (now,))
    return None


def unserved(case: Case) -> Told | None:
    """A test object in a public bucket that is not served."""
    written = next((e for e in case.of("live.written") if e["written"] and e["fetchable"] is False), None)
    bucket = case.best("live.bucket")
    if written is None or bucket is None or not bucket["public"]:
        return None
    values = {"bucket": written["bucket"], "text": written["message"] or "no reason is given"}
    said = Message("a test object in the public bucket '{bucket}' is not served: {text}", values)
    return Told(Status.FAIL, said, (written, bucket))


# --- what a bucket takes ----------------------------------------------------------------------------------------------


def takes_no_picture(case: Case) -> Told | None:
    """The bucket's settings allow no picture's type."""
    now = case.best("live.bucket")
    kinds = [str(kind) for kind in now["mime_types"] or ()] if now is not None else []
    if now is None or not kinds or any(kind in _ANY_PICTURE or kind.startswith("image/") for kind in kinds):
        return None
    values = {"bucket": now["bucket"], "types": ", ".join(kinds)[:120]}
    return Told(Status.FAIL, Message("the bucket '{bucket}' takes no picture, only {types}", values), (now,))


def takes_no_such_size(case: Case) -> Told | None:
    """The bucket's settings allow nothing as large as the attempt's picture."""
    now = case.best("live.bucket")
    size = next((e for e in case.of("upload.started") if isinstance(e["size"], int)), None)
    limit = now["size_limit"] if now is not None else None
    if now is None or size is None or not isinstance(limit, int) or size["size"] <= limit:
        return None
    values = {"size": size["size"], "limit": limit, "bucket": now["bucket"]}
    return Told(Status.FAIL, Message("the picture has {size} bytes and the bucket '{bucket}' takes {limit}", values), (now, size))  # fmt: skip


def takes(now: Evidence) -> Told:
    """What a bucket's settings leave open."""
    kinds, limit = [str(kind) for kind in now["mime_types"] or ()], now["size_limit"]
    if limit is None and (not kinds or _ANY_PICTURE.intersection(kinds)):
        said = Message("the bucket '{bucket}' takes pictures of any type and size", {"bucket": now["bucket"]})
        return Told(Status.PASS, said, (now,))
    values = {"bucket": now["bucket"], "types": ", ".join(kinds)[:120] or "any type", "limit": "any number" if limit is None else limit}  # fmt: skip
    return Told(Status.UNKNOWN, Message("the bucket '{bucket}' takes {types} of at most {limit} bytes; the picture was not seen", values))  # fmt: skip


def left_behind(written: Evidence | None) -> Told | None:
    """What was written to see, and was not seen to be removed."""
    if written is None or written["removed"] is not False:
        return None
    values = {"path": written["path"], "bucket": written["bucket"]}
    if written["written"] is None:
        said = Message(
            "no answer came to a test upload: '{path}' is left in the bucket '{bucket}' if it arrived", values
        )
    else:
        said = Message("the test object '{path}' in the bucket '{bucket}' was not seen to be removed", values)
    return Told(Status.WARN, said, (written,))
