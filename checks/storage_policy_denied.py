"""Row-level security refused the upload.

What it looks at
    Storage's message `new row violates row-level security policy`.

Why it matters
    The key is valid and the bucket is there, but no policy lets this role insert. An upload that overwrites needs
    INSERT, SELECT and UPDATE.

How to put it right
    Use the service key in the backend, which no policy binds; or add an INSERT policy for the role in use.

When it is wrong
    Storage answers 403 for a bad key as well; that has other messages and is `storage_key_rejected`.
"""

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, not_applicable, passed, unknown

link = Link.UPLOAD
because = ("storage_key_role",)
reads: tuple[str, ...] = ()

REMEDY = Remedy(
    "Upload with the service key, or allow the role to insert",
    (
        "Check that the backend's setting holds the service_role or sb_secret_ key, not the anon key.",
        "Or add a policy: INSERT on storage.objects for this role and bucket (and SELECT and UPDATE for overwriting).",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    stored = case.product(Link.UPLOAD)
    if isinstance(stored, Seen):
        return passed("the upload was allowed", stored.evidence)
    for refusal in case.storage_refusals:
        if "row-level security" in str(refusal["message"]):
            return failed(
                "row-level security refused the upload: {text}",
                refusal,
                *case.of("storage.upload")[:1],
                remedy=REMEDY,
                text=refusal["message"],
            )
    if case.sent_images == ():
        return not_applicable("there was nothing to upload")
    return unknown("no answer of Storage about its policies was seen")
