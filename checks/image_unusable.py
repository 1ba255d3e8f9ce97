"""The image arrived and could not be used.

What it looks at
    What the backend says when it decodes or preprocesses the picture, and the picture's own text in the request: a
    `blob:` address, a data URL that is not base64, an empty or foreign file.

Why it matters
    A picture that cannot be decoded is not uploaded, so there is no `init_image_url`; many backends swallow the error
    and go on without it.

How to put it right
    Send a JPEG, PNG or WebP of at least 256 pixels a side, as a data URL with the real bytes.

When it is wrong
    With several pictures one can be bad and another used: then this is a warning.
"""

from diagnose.model import Case, Evidence, Finding, Link, Remedy, Seen, failed, not_applicable, passed, unknown, warned

link = Link.DECODE
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()

REMEDY = Remedy(
    "Send a picture the backend can decode",
    (
        "Use JPEG, PNG or WebP, at least 256 pixels a side; convert HEIC first.",
        "Send the bytes themselves as a data URL: a blob: address exists only inside the browser.",
        "Let the backend refuse a picture it cannot decode instead of going on without it.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    failure = case.best("decode.failed")
    addressed = isinstance(case.product(Link.IMAGE_URL), Seen)
    if failure is not None:
        text = str(failure["text"])[:160]
        report = warned if addressed else failed
        return report("a picture could not be used: {text}", failure, remedy=REMEDY, text=text)
    done = case.product(Link.DECODE)
    if isinstance(done, Seen):
        return passed("the picture was decoded", done.evidence)
    if addressed:
        return passed("the picture got as far as an address", case.product(Link.IMAGE_URL).evidence)  # type: ignore[union-attr]
    return by_the_request(case)


def by_the_request(case: Case) -> Finding:
    """What the request's own text tells of its pictures."""
    if case.sent_images == ():
        return not_applicable("the request carried no image")
    for image in case.sent_images or ():
        if image.get("fault"):
            body: Evidence = case.of("request.body")[0]
            return failed(
                "the picture in '{field}' cannot be used: {fault}",
                body,
                remedy=REMEDY,
                field=image["name"],
                fault=image.get("fault"),
            )
    if case.sent_images and all(image["carrier"] == "url" for image in case.sent_images):
        return not_applicable("the request carried an address, not a picture")
    return unknown("nothing tells whether the picture was decoded")
