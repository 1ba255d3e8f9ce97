"""The bucket is not public, so its public URL serves nothing.

What it looks at
    A fetch of the public address that Storage refused, and `Bucket not found` said of an address after a successful
    upload (that is how Storage answers for a private bucket).

Why it matters
    `get_public_url()` asks nobody and always returns an address. fal cannot fetch it and refuses the request.

How to put it right
    Make the bucket public, or hand fal a signed URL that lives longer than the generation.

When it is wrong
    A missing object in a private bucket answers at random; only the bucket's own settings are final proof.
"""

import re

from diagnose.model import (
    Case,
    Finding,
    Link,
    Remedy,
    Seen,
    failed,
    not_applicable,
    passed,
    refused,
    succeeded,
    unknown,
)

link = Link.IMAGE_URL
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()


def look(case: Case) -> Finding:
    """The finding of this check."""
    fetched = case.of("storage.fetch")
    good = next((e for e in fetched if succeeded(e)), None)
    if good is not None:
        return passed("the public address was fetched", good)
    made = case.product(Link.GENERATION)
    if isinstance(made, Seen) and case.mode == "image-to-image":
        return passed("fal fetched the picture", made.evidence)
    stored = case.product(Link.UPLOAD)
    gone = any("bject not found" in f"{e['message']}" or e["code"] == "NoSuchKey" for e in case.of("storage.error"))
    denied = next((e for e in fetched if refused(e)), None) if not gone else None
    said = next((e for e in case.of("storage.error") if "ucket not found" in str(e["message"])), None)
    proof = denied or said
    if proof is not None and isinstance(stored, Seen):
        return failed(
            "the upload succeeded and the public address is refused: the bucket is not public",
            proof,
            stored.evidence,
            remedy=remedy(proof["bucket"] or stored.evidence["bucket"] or case.profile.bucket),
        )
    if case.sent_images == () or isinstance(made, Seen):
        return not_applicable("no public address was needed")
    return unknown("nobody was seen to fetch the public address")


def remedy(bucket: str) -> Remedy:
    """How to let fal fetch pictures; what was private is then open to all."""
    return Remedy(
        f"Make the bucket '{bucket}' public",
        (
            "Supabase dashboard, Storage: edit the bucket and switch 'Public bucket' on.",
            "Or create a signed URL for each picture and send that to fal.",
        ),
        command=f"update storage.buckets set public = true where id = '{bucket}';"
        if re.fullmatch(r"[\w.-]+", bucket)
        else None,
        safe=False,
    )
