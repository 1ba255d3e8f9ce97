"""Row-level security refused the upload.

What it looks at
    Storage's message `new row violates row-level security policy`. With a live look: a dry run of an upload, which Storage
    tries and takes back; it leaves nothing behind.

Why it matters
    The key is valid and the bucket is there, but no policy lets this role insert. An upload that overwrites needs
    INSERT, SELECT and UPDATE.

How to put it right
    Use the service key in the backend, which no policy binds; or add an INSERT policy for the role in use.

When it is wrong
    Storage answers 403 for a bad key as well; that has other messages and is `storage_key_rejected`. To an anon key it
    says this of a bucket that does not exist, too. A key that by its name is the browser's need not upload: a dry run
    that is refused to it is a warning.
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
    healed,
    not_applicable,
    passed,
    unseen,
    warned,
)

link = Link.UPLOAD
because = ("storage_key_role",)
reads: tuple[str, ...] = ()

DENIED = "row-level security"
BROWSERS = re.compile("ANON|PUBLISHABLE", re.I)
REMEDY = Remedy(
    "Upload with the service key, or allow the role to insert",
    (
        "Check that the backend's setting holds the service_role or sb_secret_ key, not the anon key.",
        "Or add a policy: INSERT on storage.objects for this role and bucket (and SELECT and UPDATE for overwriting).",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    stored, now = case.product(Link.UPLOAD), case.best("live.upload")
    for refusal in case.storage_refusals:
        if DENIED in str(refusal["message"]):
            found = failed(
                "row-level security refused the upload: {text}",
                refusal,
                *case.of("storage.upload")[:1],
                remedy=REMEDY,
                text=refusal["message"],
            )
            return healed(
                found, now if now and now["allowed"] else None, "the key in the settings is allowed to upload"
            )
    written = next((e for e in case.of("live.written") if e["written"] is False and DENIED in str(e["message"])), None)
    denied = written or (now if now is not None and now["allowed"] is False else None)
    if denied is not None:
        return denied_now(case, denied)
    if isinstance(stored, Seen):
        return passed("the upload was allowed", stored.evidence)
    if case.sent_images == ():
        return not_applicable("there was nothing to upload")
    if now is not None and now["allowed"]:
        return passed("the key is allowed to upload to '{bucket}'", now, bucket=now["bucket"])
    return unseen(case, "live.upload", "no answer of Storage about its policies was seen")


def denied_now(case: Case, denied: Evidence) -> Finding:
    """An upload that was only tried is refused."""
    key = case.best("live.key")
    name = str(key["name"]) if key is not None and key["name"] else "the settings"
    proof = (denied, key) if key is not None else (denied,)
    report = warned if BROWSERS.search(name) or not case.could_fail_now(link) else failed
    return report(
        "row-level security refuses an upload to '{bucket}' with the key in '{name}': {text}",
        *proof,
        remedy=REMEDY,
        bucket=denied["bucket"],
        name=name,
        text=denied["message"],
    )
