"""The bucket does not exist.

What it looks at
    Storage's refusal of the upload: `Bucket not found`, code `NoSuchBucket`, whatever the HTTP status says. With a live
    look: what Storage says of an object of a random name in this bucket, which needs any valid key.

Why it matters
    Nothing can be stored, so there is no address to hand to fal. Names are case-sensitive: `Images` is not `images`.

How to put it right
    Create the bucket under exactly this name, public, or correct the name in the code.

When it is wrong
    With an anon key a bucket that exists can look missing, because policies hide its settings; the live look asks for an
    object, from which none hides it. A "Bucket not found" at a public address after an upload means a private bucket.
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
    live_fault,
    not_applicable,
    passed,
    unseen,
)

link = Link.UPLOAD
because = ("storage_key_role", "storage_project_mismatch")
reads: tuple[str, ...] = ()

MISSING = re.compile(r"bucket not found|NoSuchBucket|related resource does not exist", re.I)
SQL = "insert into storage.buckets (id, name, public) values ('{0}', '{0}', true);"


def look(case: Case) -> Finding:
    """The finding of this check."""
    stored, now = case.product(Link.UPLOAD), case.best("live.bucket")
    refusal = next(
        (e for e in case.storage_refusals if MISSING.search(f"{e['code']} {e['message']} {e['error']}")), None
    )
    if refusal is not None:
        return healed(refused(case, refusal, now), now if now and now["exists"] else None, "the bucket exists")
    if now is not None and now["exists"] is False:
        return missing(case, now)
    if isinstance(stored, Seen):
        return passed("the bucket took the upload", stored.evidence)
    if case.sent_images == ():
        return not_applicable("there was nothing to upload")
    if now is not None and now["exists"]:
        return passed("the bucket '{bucket}' exists", now, bucket=now["bucket"])
    return unseen(case, "live.bucket", "no answer of Storage about the bucket was seen")


def refused(case: Case, refusal: Evidence, now: Evidence | None) -> Finding:
    """Storage refused the attempt's upload so."""
    name, tried = bucket(case), case.of("storage.upload", "upload.started")[:1]
    anon = any(e["role"] == "anon" for e in case.of("env.setting") if "SERVICE" in e["name"].upper())
    gone = now is not None and now["exists"] is False
    proof = (refusal, *tried, *((now,) if now is not None and gone else ()))
    return failed(
        "Storage does not show the bucket '{bucket}' to an anon key: it is missing or hidden"
        if anon and not gone
        else "the bucket '{bucket}' does not exist",
        *proof,
        remedy=remedy(name),
        bucket=name,
    )


def missing(case: Case, now: Evidence) -> Finding:
    """Storage says now that there is no such bucket, and perhaps what there is instead."""
    name, near = str(now["bucket"] or case.profile.bucket), now["near"]
    if near is None:
        return live_fault(case, link, "the bucket '{bucket}' does not exist", now, remedy=remedy(name), bucket=name)
    return live_fault(
        case,
        link,
        "the bucket '{bucket}' does not exist; the nearest that does is '{near}'",
        now,
        remedy=remedy(name),
        bucket=name,
        near=near,
    )


def bucket(case: Case) -> str:
    """The bucket's name: what was seen wins over the profile."""
    tried = case.of("storage.upload", "upload.started")
    return str(next((e["bucket"] for e in tried if e["bucket"]), case.profile.bucket))


def remedy(name: str) -> Remedy:
    """How to give the backend a bucket."""
    return Remedy(
        "Create the bucket '{name}', public, or correct its name",
        (
            "Supabase dashboard, Storage: look for a bucket named exactly '{name}' (case matters).",
            "Create it as a public bucket, or write the existing name into the backend's code and restart it.",
        ),
        command=SQL.format(name) if re.fullmatch(r"[\w.-]+", name) else None,
        values={"name": name},
    )
