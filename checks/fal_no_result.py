"""fal answered 200 without a picture.

What it looks at
    2xx on the call to fal beside the backend's word that no picture was in the answer; the type `no_media_generated`;
    a 404 of the queue where the result is fetched.

Why it matters
    A backend that reads the wrong key of the answer, or reads the queue's first answer as the result, finds nothing
    where a picture is.

How to put it right
    Read `images[0].url` of the result; with the queue, fetch the result after the status says COMPLETED.

When it is wrong
    A log line about one of several pictures.
"""

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, passed, unknown

link = Link.GENERATION
because = ()
reads: tuple[str, ...] = ()

REMEDY = Remedy(
    "Read the picture from fal's answer",
    (
        "Log the body of fal's answer once: the picture stands in images[0].url.",
        "With the queue, fetch response_url after the status says COMPLETED.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    made = case.product(Link.GENERATION)
    empty = case.best("fal.empty")
    proof = case.fal_type("no_media_generated") or ((empty,) if empty is not None else ())
    if isinstance(made, Seen):
        return passed("fal made a picture", made.evidence)
    lost = [e for e in case.fal_status(404) if e["queue"] and e["request_id"]]
    if lost:
        return failed("fal's queue knows no such request at the result's address", *lost[:1], remedy=REMEDY)
    if proof and not case.fal_status(401, 403, 404, 429, 500, 502, 503, 504):
        return failed("fal answered without a picture", *proof[:1], *case.of("fal.call")[:1], remedy=REMEDY)
    if case.fal_refusals:
        return passed("fal refused the call", case.fal_refusals[0])
    return unknown("fal's answer was not seen")
