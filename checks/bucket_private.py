"""The bucket is not public, so its public URL serves nothing.

What it looks at
    A fetch of the public address that Storage refused, and `Bucket not found` said of an address after a successful
    upload (that is how Storage answers for a private bucket). With a live look: the bucket's own settings, or what
    Storage says without a key of an object of a random name, where another call has proved that the bucket exists.

Why it matters
    `get_public_url()` asks nobody and always returns an address. fal cannot fetch it and refuses the request.

How to put it right
    Make the bucket public, or hand fal a signed URL that lives longer than the generation.

When it is wrong
    A missing object in a private bucket answers at random at its public address, so that one answer there proves
    nothing. A backend that hands out signed URLs has a private bucket on purpose: where one was seen it is no fault.
"""

import re

from diagnose.model import (
    IMAGE_KEYS,
    Case,
    Finding,
    Link,
    Remedy,
    Seen,
    failed,
    healed,
    live_fault,
    not_applicable,
    passed,
    refused,
    succeeded,
    unseen,
)

link = Link.IMAGE_URL
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()


def look(case: Case) -> Finding:
    """The finding of this check."""
    fetched, now = case.of("storage.fetch"), case.best("live.bucket")
    good = next((e for e in fetched if succeeded(e)), None)
    made, stored = case.product(Link.GENERATION), case.product(Link.UPLOAD)
    used = made.evidence if isinstance(made, Seen) and case.mode == "image-to-image" else None
    gone = any("bject not found" in f"{e['message']}" or e["code"] == "NoSuchKey" for e in case.of("storage.error"))
    denied = next((e for e in fetched if refused(e)), None) if not gone else None
    said = next((e for e in case.of("storage.error") if "ucket not found" in str(e["message"])), None)
    proof = denied or said
    if proof is not None and isinstance(stored, Seen) and good is None and used is None:
        found = failed(
            "the upload succeeded and the public address is refused: the bucket is not public",
            proof,
            stored.evidence,
            remedy=remedy(proof["bucket"] or stored.evidence["bucket"] or case.profile.bucket),
        )
        return healed(found, now if now and now["public"] else None, "the bucket is public")
    private = now is not None and now["exists"] and now["public"] is False
    if now is not None and private and not signed(case):
        name = str(now["bucket"] or case.profile.bucket)
        return live_fault(
            case,
            link,
            "the bucket '{bucket}' exists and is not public: its public addresses serve nothing",
            now,
            remedy=remedy(name),
            bucket=name,
        )
    if good is not None:
        return passed("the public address was fetched", good)
    if used is not None:
        return passed("fal fetched the picture", used)
    if case.sent_images == () or isinstance(made, Seen):
        return not_applicable("no public address was needed")
    if now is not None and now["public"]:
        return passed("the bucket '{bucket}' is public", now, bucket=now["bucket"])
    if now is not None and private:
        return passed("the address is signed, so that the bucket need not be public", now)
    return unseen(case, "live.bucket", "nobody was seen to fetch the public address")


def signed(case: Case) -> bool:
    """Whether the attempt handed out a signed address, which a private bucket serves as well."""
    named = [e["url"] for e in case.of("image_url")]
    named += [e["body"].get(key) for e in case.of("payload") for key in IMAGE_KEYS]
    return any("/object/sign/" in str(one) for one in named)


def remedy(bucket: str) -> Remedy:
    """How to let fal fetch pictures; what was private is then open to all."""
    return Remedy(
        "Make the bucket '{bucket}' public",
        (
            "Supabase dashboard, Storage: edit the bucket and switch 'Public bucket' on.",
            "Or create a signed URL for each picture and send that to fal.",
        ),
        command=f"update storage.buckets set public = true where id = '{bucket}';"
        if re.fullmatch(r"[\w.-]+", bucket)
        else None,
        safe=False,
        values={"bucket": bucket},
    )
