"""fal did not answer, or with a server error.

What it looks at
    5xx on the call to fal, and network errors of it: timed out, refused, a name that does not resolve.

Why it matters
    Nothing in the backend is wrong. fal does not charge for 5xx, and does not retry a direct call.

How to put it right
    Try again; look at fal's status page; use the queue, which waits and retries.

When it is wrong
    A firewall or a time limit of the backend's own gives the same picture.
"""

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, passed, unknown

link = Link.GENERATION
because = ("environment_incomplete",)
reads: tuple[str, ...] = ()

REMEDY = Remedy(
    "Try again, and let the backend wait longer",
    (
        "Repeat the request; look at fal's status page.",
        "Raise the backend's time limit for fal, or use fal's queue, which waits and retries.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    proof = tuple(e for e in case.fal_refusals if isinstance(e["status"], int) and e["status"] >= 500)
    proof += case.fal_type(
        "internal_server_error", "generation_timeout", "downstream_service_unavailable", "downstream_service_error"
    )
    if proof:
        return failed("fal answered {status}", *proof[:2], remedy=REMEDY, status=proof[0]["status"] or proof[0]["type"])
    made = case.product(Link.GENERATION)
    lost = next((e for e in case.errors("generation") if e["network"] and e["service"] == "fal"), None)
    if lost is not None and not isinstance(made, Seen):
        return failed("fal did not answer: {text}", lost, remedy=REMEDY, text=str(lost["text"])[:160])
    if case.fal_refusals and case.fal_refusals[0]["status"]:
        return passed("fal answered", case.fal_refusals[0])
    if isinstance(made, Seen):
        return passed("fal made a picture", made.evidence)
    return unknown("it was not seen whether fal answered")
