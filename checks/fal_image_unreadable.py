"""fal could not download or load the picture: 422.

What it looks at
    The error type in fal's body: `file_download_error`, `image_load_error`, `image_too_small`, `image_too_large`,
    `file_too_large`, `unsupported_image_format`.

Why it matters
    The switch worked and the picture's address was sent, but what stands there is not a picture fal can use: a private
    bucket, a local address, a text file.

How to put it right
    Open the address in a private browser window: it must show the picture without a login.

When it is wrong
    Hosts that refuse robots or answer slowly give the same error for a good picture.
"""

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, passed, unknown

link = Link.GENERATION
because = ("bucket_private", "init_image_url_unreachable", "image_unusable")
reads: tuple[str, ...] = ()

TYPES = (
    "file_download_error",
    "image_load_error",
    "image_too_small",
    "image_too_large",
    "file_too_large",
    "unsupported_image_format",
    "face_detection_error",
)
REMEDY = Remedy(
    "Give fal a picture it can fetch and read",
    (
        "Open the picture's address in a private browser window: it must show the picture without a login.",
        "If it does not: make the bucket public, or send a signed URL or a data URI.",
        "If it does: re-encode the picture as JPEG or PNG, and mind fal's size limits.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    proof = case.fal_type(*TYPES)
    if proof:
        return failed("fal could not use the picture: {type}", *proof[:2], remedy=REMEDY, type=proof[0]["type"])
    other = next((e for e in case.fal_refusals if e["type"] or (e["status"] and e["status"] != 422)), None)
    if other is not None:
        return passed("fal refused for another reason", other)
    made = case.product(Link.GENERATION)
    if isinstance(made, Seen):
        return passed("fal made a picture", made.evidence)
    return unknown("no answer of fal about the picture was seen")
