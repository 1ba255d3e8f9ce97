"""Storage refused this object: size, type, name, already there.

What it looks at
    Storage's codes and messages about the object itself: 413 `EntityTooLarge`, 415 `InvalidMimeType`, `InvalidKey`,
    409 `KeyAlreadyExists`. With a live look: the types and the size that the bucket's settings allow, and with
    `--probe-upload` what became of the object that was written.

Why it matters
    The bucket has its own limits beside the backend's: a picture can pass every check of the backend and still be
    refused.

How to put it right
    Shrink or re-encode the picture, set its content type, use ASCII names and a new name for every upload.

When it is wrong
    The global size limit gives the same text as the bucket's; the message does not tell which one was met, and Storage
    does not show the global one.
"""

import re

from diagnose.model import (
    Case,
    Evidence,
    Finding,
    Link,
    Message,
    Remedy,
    Seen,
    failed,
    live_fault,
    not_applicable,
    passed,
    unseen,
)
from diagnose.model.objects import judged, left_behind, takes, takes_no_picture, takes_no_such_size

link = Link.UPLOAD
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()

REASONS = (
    (re.compile(r"EntityTooLarge|maximum allowed size|payload too large", re.I), "it is too large", "Shrink the picture, or raise the bucket's size limit."),
    (re.compile(r"InvalidMimeType|invalid_mime_type|mime type .* is not supported", re.I), "its type is not allowed", "Set the content type ('content-type': 'image/jpeg'), or allow the type in the bucket's settings."),
    (re.compile(r"InvalidKey|Invalid key", re.I), "its name is not allowed", "Use ASCII letters, digits and -_./ in object names; a uuid is best."),
    (re.compile(r"KeyAlreadyExists|Duplicate|already exists", re.I), "an object of that name is already there", "Use a new name (a uuid) for every upload, or upsert on purpose."),
    (re.compile(r"No content provided", re.I), "it has no content", "Send the picture's bytes, and a path that does not end in '/'."),
)  # fmt: skip
TAKE = Remedy("Let the bucket take pictures", ("Allow image/jpeg, image/png and image/webp in the bucket's settings.",))
REMOVE = Remedy("Remove the test object", ("Supabase dashboard, Storage: delete the object of this name.",), safe=False)


def look(case: Case) -> Finding:
    """The finding of this check."""
    stored, written = case.product(Link.UPLOAD), case.best("live.written")
    refusal = next((e for e in case.storage_refusals if reason(e)), None)
    if refusal is not None:
        return refused(case, refusal)
    kinds, size, left = takes_no_picture(case), takes_no_such_size(case), left_behind(written)
    if kinds is not None:
        return judged(case, link, kinds, TAKE)
    if size is not None:
        return judged(case, link, size, Remedy("Send an object that Storage takes", (REASONS[0][2],)))
    if left is not None:
        return judged(case, link, left, REMOVE)
    if written is not None and written["written"] is False and reason(written):
        return refused(case, written)
    if isinstance(stored, Seen):
        return passed("Storage took the object", stored.evidence)
    if case.sent_images == ():
        return not_applicable("there was nothing to upload")
    if written is not None and written["written"]:
        return passed("Storage took a picture, which was removed again", written)
    bucket = case.best("live.bucket")
    if bucket is None or not bucket["exists"] or bucket["created"] is None:  # its settings were not seen
        return unseen(case, "live.bucket", "no answer of Storage about the object was seen")
    return judged(case, link, takes(bucket), TAKE)


def reason(e: Evidence) -> tuple[str, str] | None:
    """Why Storage refused the object, and what to do about it."""
    said = f"{e['code']} {e['message']} {e['error']}"
    return next(((why, step) for pattern, why, step in REASONS if pattern.search(said)), None)


def refused(case: Case, e: Evidence) -> Finding:
    """An object was refused: the attempt's, or the one that was written to see."""
    why, step = reason(e) or ("", "")
    remedy = Remedy("Send an object that Storage takes", (step,))
    values = {"reason": Message(why), "text": str(e["message"])[:120]}
    if e.kind == "live.written":
        return live_fault(
            case, link, "Storage refuses a test upload because {reason}: {text}", e, remedy=remedy, **values
        )
    return failed(
        "Storage refused the object because {reason}: {text}",
        e,
        *case.of("storage.upload")[:1],
        remedy=remedy,
        **values,
    )
