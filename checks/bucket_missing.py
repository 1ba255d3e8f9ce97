"""The bucket does not exist.

What it looks at
    Storage's refusal of the upload: `Bucket not found`, code `NoSuchBucket`, whatever the HTTP status says.

Why it matters
    Nothing can be stored, so there is no address to hand to fal. Names are case-sensitive: `Images` is not `images`.

How to put it right
    Create the bucket under exactly this name, public, or correct the name in the code.

When it is wrong
    With an anon key a bucket that exists can look missing, because row-level security hides it. A "Bucket not found"
    at a public address after a successful upload means a private bucket, and is not this fault.
"""

import re

from diagnose.model import Case, Evidence, Finding, Link, Remedy, Seen, failed, not_applicable, passed, unknown

link = Link.UPLOAD
because = ("storage_key_role", "storage_project_mismatch")
reads: tuple[str, ...] = ()

MISSING = re.compile(r"bucket not found|NoSuchBucket|related resource does not exist", re.I)


def look(case: Case) -> Finding:
    """The finding of this check."""
    stored = case.product(Link.UPLOAD)
    if isinstance(stored, Seen):
        return passed("the bucket took the upload", stored.evidence)
    refusal = next(
        (e for e in case.storage_refusals if MISSING.search(f"{e['code']} {e['message']} {e['error']}")), None
    )
    if refusal is None:
        return absent(case)
    name = bucket(case)
    hidden = any(e["role"] == "anon" for e in case.of("env.setting") if "SERVICE" in e["name"].upper())
    tried = case.of("storage.upload", "upload.started")[:1]
    if hidden:
        return failed(
            "Storage does not show the bucket '{bucket}' to an anon key: it is missing or hidden",
            refusal,
            *tried,
            remedy=remedy(name),
            bucket=name,
        )
    return failed("the bucket '{bucket}' does not exist", refusal, *tried, remedy=remedy(name), bucket=name)


def absent(case: Case) -> Finding:
    """No such refusal was seen."""
    if case.sent_images == ():
        return not_applicable("there was nothing to upload")
    return unknown("no answer of Storage about the bucket was seen")


def bucket(case: Case) -> str:
    """The bucket's name: what was seen wins over the profile."""
    seen: list[Evidence] = [e for e in case.of("storage.upload", "upload.started") if e["bucket"]]
    return str(seen[0]["bucket"]) if seen else case.profile.bucket


def remedy(name: str) -> Remedy:
    """How to give the backend a bucket."""
    return Remedy(
        f"Create the bucket '{name}', public, or correct its name",
        (
            f"Supabase dashboard, Storage: look for a bucket named exactly '{name}' (case matters).",
            "Create it as a public bucket, or write the existing name into the backend's code and restart it.",
        ),
        command=f"insert into storage.buckets (id, name, public) values ('{name}', '{name}', true);"
        if re.fullmatch(r"[\w.-]+", name)
        else None,
    )
