"""The image came in a field that the backend does not read.

What it looks at
    The names of the request's image fields, beside the names the profile declares, the names the source reads, and
    whether the backend says that anything arrived.

Why it matters
    A field nobody reads is dropped without an error: the backend sees a request without an image and chooses
    text-to-image.

How to put it right
    Send the picture in one of the fields the backend reads, or teach the backend the new name.

When it is wrong
    A profile whose `[request] image_fields` is out of date. Where neither the profile nor the source names the
    fields, a name that only resembles a known one is left undecided.
"""

import re

from diagnose.model import (
    IMAGE_TO_IMAGE,
    Absent,
    Case,
    Finding,
    Link,
    Remedy,
    Seen,
    failed,
    not_applicable,
    passed,
    unknown,
)

link = Link.REQUEST
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()


def look(case: Case) -> Finding:
    """The finding of this check."""
    if case.sent_images is None:
        return unknown("the request was not seen")
    if not case.sent_images:
        return not_applicable("the request carried no image")
    body = case.of("request.body")[0]
    if body["format"] == "binary":
        return not_applicable("the picture was the body itself, in no field", body)
    names = [image["name"] for image in case.sent_images]
    if isinstance(case.product(Link.REQUEST), Seen) or case.mode == IMAGE_TO_IMAGE:
        return passed("the backend took an image from this request", body)
    readable = set(case.profile.image_fields) | {e["name"] for e in case.of("source.field")}
    if body["format"] == "multipart":
        readable |= {case.profile.multipart_field, "(file)"}
    known = next((name for name in names if field(name) in readable), None)
    if known is not None:
        return passed("the backend reads the field '{field}'", body, field=known)
    if not decided(case, names):
        return unknown("it is not known which image fields this backend reads")
    return failed(
        "the image came in '{field}', and the backend reads {known}",
        body,
        *case.of("request.received", "request.used")[:1],
        remedy=Remedy(
            "Send the picture in a field the backend reads",
            (
                "Rename the field '{name}' in the frontend to one of: {known}.",
                "Or read the new name in the backend, and add it to [request] image_fields of the profile.",
            ),
            values={"name": names[0], "known": ", ".join(sorted(readable)[:6])},
        ),
        field=names[0],
        known=", ".join(case.profile.image_fields),
    )


def decided(case: Case, names: list[str]) -> bool:
    """Whether it is known that none of these names is read."""
    declared = "request.image_fields" in case.profile.declared
    if declared or case.of("source.field"):
        return True
    denied = isinstance(case.product(Link.REQUEST), Absent) or any(e["used"] is False for e in case.of("request.used"))
    stems = {stem(known) for known in case.profile.image_fields}
    return denied and not any(stem(field(name)) in stems for name in names)


def field(name: str) -> str:
    """A field's own name, without the objects it stands in."""
    return name.rsplit(".", 1)[-1]


def stem(name: str) -> str:
    """A name without the ending that tells how the picture is carried."""
    return re.sub(r"(?:_?(?:base64|b64|url|uri|data|file|id))?s?$", "", name.lower())
