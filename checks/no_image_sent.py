"""The request carried no image.

What it looks at
    The request's image fields; where the request was not seen, what the backend says it received, its refusal of a
    request without an image, and the `has_*` flags of a prompt-log entry in those eras in which a false flag means
    absence.

Why it matters
    Without an image text-to-image is what the backend is built to choose. Nothing is broken, and no setting will
    change the answer.

How to put it right
    Add a face, product or background picture in the page, see its preview, and generate again.

When it is wrong
    The flags of some eras are false whatever arrived; they are not counted there. When the request itself was not
    seen, only "the backend received no image" is known: the picture can have been lost on its way.
"""

import re

from diagnose.model import (
    Absent,
    Case,
    Finding,
    Link,
    Remedy,
    Seen,
    not_applicable,
    noted,
    passed,
    unknown,
)

link = Link.REQUEST
because: tuple[str, ...] = ()
reads = (
    "request.has_face_image",
    "request.has_product_images",
    "request.has_background_image",
    "request.num_product_images",
    "request.request_format",
)

REMEDY = Remedy(
    "Send a picture with the request",
    (
        "Add a face, product or background picture in the page and wait for its preview.",
        "Generate again and look at the newest entry.",
    ),
)
MISSING = re.compile(
    r"[Mm]issing required image|at least one image|image is required|no image (?:provided|supplied)", re.I
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    if case.sent_images:
        return passed(
            "the request carries an image in '{field}'", case.of("request.body")[0], field=case.sent_images[0]["name"]
        )
    received = case.product(Link.REQUEST)
    if isinstance(received, Seen):
        return passed("an image reached the backend", received.evidence)
    if case.sent_images == ():
        return noted("the request carried no image", case.of("request.body")[0], remedy=REMEDY)
    if isinstance(received, Absent):
        return noted("the backend received no image", received.evidence, remedy=REMEDY)
    refusal = next((e for e in case.of("error") if MISSING.search(e["text"])), None)
    if refusal is not None:
        return noted(
            "the backend received no image and says so: {text}", refusal, remedy=REMEDY, text=refusal["text"][:160]
        )
    if case.best("request.invalid") is not None and case.sent_images is None:
        return not_applicable("the request was refused before its image was looked at")
    return unknown("neither the request nor what the backend received was seen")
