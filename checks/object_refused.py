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
    Remedy,
    Seen,
    failed,
    live_fault,
    not_applicable,
    passed,
    unknown,
    unseen,
    warned,
)

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


ANY = {"*", "*/*", "image/*"}


def look(case: Case) -> Finding:
    """The finding of this check."""
    stored, written = case.product(Link.UPLOAD), case.best("live.written")
    refusal = next((e for e in case.storage_refusals if reason(e)), None)
    if refusal is not None:
        return refused(case, refusal)
    found = limited(case) or left_behind(written)
    if found is not None:
        return found
    if written is not None and written["written"] is False and reason(written):
        return refused(case, written)
    if isinstance(stored, Seen):
        return passed("Storage took the object", stored.evidence)
    if case.sent_images == ():
        return not_applicable("there was nothing to upload")
    if written is not None and written["written"]:
        return passed("Storage took a picture, which was removed again", written)
    return allowed(case)


def reason(e: Evidence) -> tuple[str, str] | None:
    """Why Storage refused the object, and what to do about it."""
    said = f"{e['code']} {e['message']} {e['error']}"
    return next(((why, step) for pattern, why, step in REASONS if pattern.search(said)), None)


def refused(case: Case, e: Evidence) -> Finding:
    """An object was refused: the attempt's, or the one that was written to see."""
    why, step = reason(e) or ("", "")
    remedy = Remedy("Send an object that Storage takes", (step,))
    values = {"reason": why, "text": str(e["message"])[:120]}
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


def limited(case: Case) -> Finding | None:
    """The bucket's settings allow no picture at all, or none of the size of the attempt's."""
    now = case.best("live.bucket")
    kinds, limit = (now["mime_types"], now["size_limit"]) if now is not None else (None, None)
    if now is not None and kinds and not any(str(k) in ANY or str(k).startswith("image/") for k in kinds):
        remedy = Remedy(
            "Let the bucket take pictures",
            ("Allow image/jpeg, image/png and image/webp in the bucket's settings.",),
        )
        values = {"types": ", ".join(map(str, kinds))[:120]}
        return live_fault(
            case,
            link,
            "the bucket '{bucket}' takes no picture, only {types}",
            now,
            remedy=remedy,
            bucket=now["bucket"],
            **values,
        )
    size = next((e for e in case.of("upload.started") if isinstance(e["size"], int)), None)
    if now is not None and size is not None and isinstance(limit, int) and size["size"] > limit:
        remedy = Remedy("Send an object that Storage takes", (REASONS[0][2],))
        return live_fault(
            case,
            link,
            "the picture has {size} bytes and the bucket '{bucket}' takes {limit}",
            now,
            size,
            remedy=remedy,
            size=size["size"],
            limit=limit,
            bucket=now["bucket"],
        )
    return None


def left_behind(written: Evidence | None) -> Finding | None:
    """What was written to see, and was not seen to be removed."""
    if written is None or written["removed"] is not False:
        return None
    return warned(
        "no answer came to a test upload: '{path}' is left in the bucket '{bucket}' if it arrived"
        if written["written"] is None
        else "the test object '{path}' in the bucket '{bucket}' was not seen to be removed",
        written,
        remedy=Remedy(
            "Remove the test object", ("Supabase dashboard, Storage: delete the object of this name.",), safe=False
        ),
        path=written["path"],
        bucket=written["bucket"],
    )


def allowed(case: Case) -> Finding:
    """What the settings leave open; the attempt's picture is not known well enough where they limit anything."""
    now = case.best("live.bucket")
    if now is None or not now["exists"] or now["created"] is None:  # its settings were not seen
        return unseen(case, "live.bucket", "no answer of Storage about the object was seen")
    kinds, limit = now["mime_types"], now["size_limit"]
    if limit is not None or (kinds and not ANY.intersection(map(str, kinds))):
        types = ", ".join(map(str, kinds))[:120] if kinds else "any type"
        return unknown(
            "the bucket '{bucket}' takes {types} of at most {limit} bytes; the picture was not seen",
            bucket=now["bucket"],
            types=types,
            limit="any number" if limit is None else limit,
        )
    return passed("the bucket '{bucket}' takes pictures of any type and size", now, bucket=now["bucket"])
