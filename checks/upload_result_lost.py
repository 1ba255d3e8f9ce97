"""The upload succeeded and `init_image_url` stayed empty.

What it looks at
    `Init Image URL: NO`, `image_url: null` and their like, beside an image that did arrive. With a live look: whether the
    object that the attempt named stands in Storage, though no answer to its upload was seen; and the newest object beside
    the attempt.

Why it matters
    The decision looks at this address alone. When it is empty the picture plays no part, whatever happened before.

How to put it right
    Follow the value from the upload's return to the decision: an ignored return value, a wrong key of the answer, an
    exception that is swallowed.

When it is wrong
    It is a symptom: it becomes the answer only when decoding and upload were seen to succeed. An object counts only where
    its name is one of its own (a uuid, a time).
"""

from diagnose.model import (
    Absent,
    Case,
    Evidence,
    Finding,
    Link,
    Message,
    Remedy,
    Seen,
    Status,
    not_applicable,
    passed,
    symptom,
    unknown,
)

link = Link.IMAGE_URL
because = (
    "image_unusable",
    "bucket_missing",
    "storage_key_rejected",
    "storage_key_role",
    "storage_project_mismatch",
    "storage_policy_denied",
    "object_refused",
    "storage_unavailable",
    "upload_error",
)
reads = ("request.image_url", "request.has_image_url")

REMEDY = Remedy(
    "Follow the upload's result to init_image_url",
    (
        "Print the upload's return value and the public URL next to each other.",
        "Look for a swallowed exception, a wrong key, or a variable set in another branch.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    address = case.product(Link.IMAGE_URL)
    if isinstance(address, Seen):
        return passed("init_image_url is set", address.evidence)
    received = case.product(Link.REQUEST)
    if isinstance(received, Absent) or case.sent_images == ():
        return not_applicable("there was no image to address")
    newest = case.best("live.newest")
    if not isinstance(address, Absent):
        return unknown("init_image_url was not seen") if newest is None else beside(case, newest)
    if not isinstance(received, Seen):
        return unknown("init_image_url is empty, and it is not known whether an image arrived")
    stored = case.product(Link.UPLOAD)
    proof = (stored.evidence,) if isinstance(stored, Seen) else (received.evidence,)
    if proof[0].kind == "live.object":
        return symptom(
            "the picture stands in Storage at '{path}', and init_image_url stayed empty",
            address.evidence,
            *proof,
            remedy=REMEDY,
            path=proof[0]["path"],
        )
    found = (*proof, newest) if newest is not None else proof
    return symptom("an image arrived and init_image_url stayed empty", address.evidence, *found, remedy=REMEDY)


def beside(case: Case, newest: Evidence) -> Finding:
    """The newest object beside the newest attempt: others upload too, so it decides nothing by itself."""
    said = Message(
        "init_image_url was not seen; the newest object of '{bucket}' is of {created}, the attempt of {at}",
        {
            "bucket": newest["bucket"],
            "created": newest.fields.get("created"),
            "at": case.subject.timestamp or "a time that was not seen",
        },
    )
    return Finding(Status.UNKNOWN, said, (newest,))
