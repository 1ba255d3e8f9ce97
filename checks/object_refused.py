"""Storage refused this object: size, type, name, already there.

What it looks at
    Storage's codes and messages about the object itself: 413 `EntityTooLarge`, 415 `InvalidMimeType`, `InvalidKey`,
    409 `KeyAlreadyExists`.

Why it matters
    The bucket has its own limits beside the backend's: a picture can pass every check of the backend and still be
    refused.

How to put it right
    Shrink or re-encode the picture, set its content type, use ASCII names and a new name for every upload.

When it is wrong
    The global size limit gives the same text as the bucket's; the message does not tell which one was met.
"""

import re

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, not_applicable, passed, unknown

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


def look(case: Case) -> Finding:
    """The finding of this check."""
    stored = case.product(Link.UPLOAD)
    if isinstance(stored, Seen):
        return passed("Storage took the object", stored.evidence)
    for refusal in case.storage_refusals:
        said = f"{refusal['code']} {refusal['message']} {refusal['error']}"
        for pattern, reason, step in REASONS:
            if pattern.search(said):
                remedy = Remedy("Send an object that Storage takes", (step,))
                return failed(
                    "Storage refused the object because {reason}: {text}",
                    refusal,
                    *case.of("storage.upload")[:1],
                    remedy=remedy,
                    reason=reason,
                    text=str(refusal["message"])[:120],
                )
    if case.sent_images == ():
        return not_applicable("there was nothing to upload")
    return unknown("no answer of Storage about the object was seen")
