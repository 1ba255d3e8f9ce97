"""fal cannot fetch the address: loopback, private network, `localhost`, missing object, expired signature.

What it looks at
    The host and the signature of the address that was handed to fal, as the log, the payload or fal's own error quote
    it. With a live look: its first byte, asked for without a key as fal does, and Storage's record of the object. An
    address of any host but the configured Storage's is fetched with `--allow-host` only.

Why it matters
    fal's machines fetch the picture from the public internet. An address that works in the developer's browser, such
    as `http://localhost:54321/...`, is refused there.

How to put it right
    Give fal a public address: a hosted project, fal's own storage, or the picture as a data URI.

When it is wrong
    A local stand-in for fal can fetch loopback addresses; where a picture was made from it there is no fault. An object
    that is not there now can have been there then; where fal gave another reason it is a warning.
"""

import ipaddress
import re
from collections.abc import Iterator

from diagnose.model import (
    IMAGE_KEYS,
    Case,
    Evidence,
    Finding,
    Link,
    Remedy,
    Seen,
    failed,
    healed,
    live_fault,
    not_applicable,
    passed,
    unknown,
    unseen,
    warned,
)

link = Link.IMAGE_URL
because: tuple[str, ...] = ()
reads = ("request.image_url", "fal_request.image_url", "fal_request.image_urls")

HOST = re.compile(r"^https?://(?:[^/@?#]*@)?(\[[^\]]+\]|[^/:?#]+)", re.I)
LOCAL_NAME = re.compile(r"^localhost$|\.(?:localhost|local|internal|lan|home)$|^host\.docker\.internal$", re.I)
GONE = re.compile(r"Object not found|NoSuchKey")
EXPIRED = re.compile(r"InvalidJWT|claim timestamp")
STORE = Remedy(
    "Store the picture again",
    (
        "Send the photo again, and open the new address in a private browser window: it must show the picture.",
        "If it does not: upload with the content type of the picture ('content-type': 'image/jpeg') and its bytes.",
    ),
)
REMEDY = Remedy(
    "Give fal an address it can fetch",
    (
        "Use the hosted project's public URL, or upload to fal's storage, or send the picture as a data URI.",
        "For local work, put a public tunnel before the local server and use its address.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    made = case.product(Link.GENERATION)
    if isinstance(made, Seen) and case.mode == "image-to-image":
        return passed("fal fetched the picture", made.evidence)
    seen, now = list(addresses(case)), case.best("live.object")
    served = now if now is not None and now["fetchable"] else None
    found = told(case, seen)
    if found is not None:
        return found if private_host(seen) else healed(found, served, "the address is served")
    found = fetched(case, now) if now is not None and seen else None
    if found is not None:
        return found
    written = next((e for e in case.of("live.written") if e["written"] and e["fetchable"] is False), None)
    bucket = case.best("live.bucket")
    if written is not None and bucket is not None and bucket["public"]:
        values = {"bucket": written["bucket"], "text": written["message"] or "no reason is given"}
        return live_fault(
            case,
            link,
            "a test object in the public bucket '{bucket}' is not served: {text}",
            written,
            bucket,
            remedy=STORE,
            **values,
        )
    if not seen and case.sent_images == ():
        return not_applicable("there was no address")
    if served is not None and seen:
        return passed("the address is served now", served)
    return unseen(case, "live.object", "whether fal can fetch the address is not in the evidence")


def told(case: Case, seen: list[tuple[str, Evidence]]) -> Finding | None:
    """What the attempt's own evidence says of the address."""
    local = private_host(seen)
    if local is not None:
        host, e = local
        if host == "blob:":
            return failed("a blob: address exists only inside the browser", e, remedy=REMEDY)
        return failed(
            "fal cannot reach '{host}': the address is not on the public internet", e, remedy=REMEDY, host=host
        )
    for e in case.of("storage.error") if isinstance(case.product(Link.UPLOAD), Seen) else ():
        words, text = f"{e['code']} {e['message']}", str(e["message"])[:80]
        if GONE.search(words):
            return failed("Storage has no object at the address: {text}", e, remedy=REMEDY, text=text)
        if EXPIRED.search(words) and any("/object/sign/" in url for url, _ in seen):
            return failed("the address's signature has expired: {text}", e, remedy=REMEDY, text=text)
    return None


def fetched(case: Case, now: Evidence) -> Finding | None:
    """What came of asking for the address; None where that proves no fault of the address's own."""
    kind, size, bucket = now["mime_type"], now["size"], case.best("live.bucket")
    why = f"{now['status']} {now['message'] or ''}".strip()
    if now["exists"] is False:
        values = {"path": now["path"], "bucket": now["bucket"]}
        return live_fault(
            case, link, "there is no object '{path}' in the bucket '{bucket}'", now, remedy=STORE, **values
        )
    if now["fetchable"] and size == 0:
        return live_fault(case, link, "the address serves an empty object", now, remedy=STORE)
    if now["fetchable"] and kind and not kind.lower().startswith("image/"):
        return warned("the address serves '{kind}', which is no picture's type", now, remedy=STORE, kind=kind)
    if EXPIRED.search(f"{now['code']} {now['message']}"):
        return unknown("the address's signature is refused now ({why}); whether it was then is not known", why=why)
    if now["fetchable"] is False and now["bucket"] is None:
        return live_fault(case, link, "nothing is served at the address: {why}", now, remedy=STORE, why=why)
    hidden = bucket is None or bucket["public"] is not True  # a private bucket serves nothing, whatever is in it
    if now["fetchable"] is False and now["exists"] and not hidden:
        return live_fault(
            case,
            link,
            "Storage has '{path}' on record and does not serve it: {why}",
            now,
            remedy=STORE,
            path=now["path"],
            why=why,
        )
    return None


def private_host(seen: list[tuple[str, Evidence]]) -> tuple[str, Evidence] | None:
    """The first address that nobody outside can reach."""
    for url, e in seen:
        host = HOST.match(url)
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
        return bool(LOCAL_NAME.search(name)) or "." not in name


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
