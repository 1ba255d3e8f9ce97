"""The browser sent an image that the backend did not receive.

What it looks at
    The image fields of the request beside what the backend says arrived.

Why it matters
    The picture was lost between the browser and the handler: everything after it works as if none had been sent.

How to put it right
    Compare the request in the browser's network panel with the log line of the same request; look at what stands
    between them (a proxy's size limit, a middleware that reads the body first, another content type).

When it is wrong
    When the log or the entry belongs to another request. It is a symptom: it becomes the answer only when an unknown
    field and a proxy have been ruled out.
"""

from diagnose.model import Absent, Case, Finding, Link, Remedy, Seen, not_applicable, passed, symptom, unknown

link = Link.REQUEST
because = ("image_field_unknown", "proxy_rejected")
reads = ("request.has_face_image", "request.has_product_images", "request.has_background_image")


def look(case: Case) -> Finding:
    """The finding of this check."""
    if case.sent_images is None:
        return unknown("the request was not seen")
    if not case.sent_images:
        return not_applicable("the request carried no image")
    received = case.product(Link.REQUEST)
    if isinstance(received, Seen):
        return passed("the image reached the backend", received.evidence)
    if not isinstance(received, Absent):
        return unknown("nothing tells what the backend received")
    return symptom(
        "the browser sent '{field}' and the backend received no image",
        case.of("request.body")[0],
        received.evidence,
        remedy=Remedy(
            "Find where the picture is dropped between browser and handler",
            (
                "Compare the request in the browser's network panel with the backend's log of the same request.",
                "Check the content type, and any middleware or proxy that reads or limits the body.",
            ),
        ),
        field=case.sent_images[0]["name"],
    )
