"""fal cannot fetch the address: loopback, private network, `localhost`, missing object, expired signature.

What it looks at
    The host and the signature of the address that was handed to fal, as the log, the payload or fal's own error quote
    it. The address itself is not fetched.

Why it matters
    fal's machines fetch the picture from the public internet. An address that works in the developer's browser, such
    as `http://localhost:54321/...`, is refused there.

How to put it right
    Give fal a public address: a hosted project, fal's own storage, or the picture as a data URI.

When it is wrong
    A local stand-in for fal can fetch loopback addresses; where a picture was made from it there is no fault.
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
    not_applicable,
    passed,
    unknown,
)

link = Link.IMAGE_URL
because: tuple[str, ...] = ()
reads = ("request.image_url", "fal_request.image_url", "fal_request.image_urls")

HOST = re.compile(r"^https?://(?:[^/@?#]*@)?(\[[^\]]+\]|[^/:?#]+)", re.I)
LOCAL_NAME = re.compile(r"^localhost$|\.(?:localhost|local|internal|lan|home)$|^host\.docker\.internal$", re.I)
GONE = re.compile(r"Object not found|NoSuchKey")
EXPIRED = re.compile(r"InvalidJWT|claim timestamp")
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
    seen = list(addresses(case))
    for url, e in seen:
        host = HOST.match(url)
        if url.startswith("blob:"):
            return failed("a blob: address exists only inside the browser", e, remedy=REMEDY)
        if host and private(host[1]):
            return failed(
                "fal cannot reach '{host}': the address is not on the public internet", e, remedy=REMEDY, host=host[1]
            )
    if isinstance(case.product(Link.UPLOAD), Seen):
        for e in case.of("storage.error"):
            said = f"{e['code']} {e['message']}"
            if GONE.search(said):
                return failed(
                    "Storage has no object at the address: {text}", e, remedy=REMEDY, text=str(e["message"])[:80]
                )
            if EXPIRED.search(said) and any("/object/sign/" in url for url, _ in seen):
                return failed(
                    "the address's signature has expired: {text}", e, remedy=REMEDY, text=str(e["message"])[:80]
                )
    if not seen and case.sent_images == ():
        return not_applicable("there was no address")
    return unknown("whether fal can fetch the address is not in the evidence")


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
