"""fal refused with 429: too many requests at once.

What it looks at
    429 on the call to fal, or fal's `concurrent_requests_limit`.

Why it matters
    New accounts may run two requests at once. The backend's retry, or its lack, decides whether the user gets a
    picture.

How to put it right
    Wait and repeat, send fewer at once, or ask fal for a higher limit; the queue waits by itself.

When it is wrong
    A 429 of the backend's own limiter is not fal's.
"""

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, passed, unknown

link = Link.GENERATION
because = ()
reads: tuple[str, ...] = ()

REMEDY = Remedy(
    "Send fewer requests at once",
    (
        "Wait a minute and repeat.",
        "Limit how many requests the backend sends at once, or use fal's queue, or raise the account's limit.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    proof = case.fal_status(429) or tuple(
        e for e in case.fal_refusals if "concurrent_requests_limit" in str(e["message"])
    )
    if proof:
        return failed("fal answered 429: too many requests at once", *proof[:2], remedy=REMEDY)
    if case.fal_refusals and case.fal_refusals[0]["status"]:
        return passed("fal refused for another reason", case.fal_refusals[0])
    made = case.product(Link.GENERATION)
    if isinstance(made, Seen):
        return passed("fal made a picture", made.evidence)
    return unknown("no answer of fal about its limits was seen")
