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

import re

from diagnose.model import Case, Evidence, Finding, Link, Remedy, Seen, failed, healed, not_applicable, passed, unseen
from diagnose.model.objects import EXPIRED, addresses, fetched, judged, private_host, unserved

link = Link.IMAGE_URL
because: tuple[str, ...] = ()
reads = ("request.image_url", "fal_request.image_url", "fal_request.image_urls")

GONE = re.compile(r"Object not found|NoSuchKey")
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
    look_at = fetched(case, now) if now is not None and seen else None
    look_at = look_at or unserved(case)
    if look_at is not None:
        return judged(case, link, look_at, STORE)
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
