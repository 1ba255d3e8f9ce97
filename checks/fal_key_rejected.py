"""fal refused the key with 401.

What it looks at
    The status of the call to fal, and fal's body: `Cannot access application ... Authentication is required`. With a
    live look: what fal's list of models answers to the key in the settings; no model is run.

Why it matters
    fal answers the same for a missing and for a wrong key. No model runs, and a backend may blame something else.

How to put it right
    Copy the key again from fal's dashboard (`id:secret`), put it into `FAL_KEY`, and restart the backend.

When it is wrong
    A 403 is usually an exhausted balance, which is another fault; a backend's advice to "check FAL_KEY" proves nothing.
"""

import re

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, live_fault, passed, unseen

link = Link.GENERATION
because = ("environment_incomplete",)
reads: tuple[str, ...] = ()

FORBIDDEN = re.compile(r"balance|locked|top up", re.I)
REMEDY = Remedy(
    "Replace FAL_KEY",
    (
        "fal dashboard, Keys: create a key and copy it whole (id:secret).",
        "Set FAL_KEY in the backend's environment without quotes or spaces, and restart the backend.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    refusals = case.fal_status(401)
    named = [e for e in case.fal_refusals if "Cannot access application" in str(e["message"])]
    forbidden = [
        e
        for e in case.fal_status(403)
        if e["message"] and not any(FORBIDDEN.search(str(r["text"])) for r in case.fal_refusals)
    ]
    proof = tuple(refusals) + tuple(named) + tuple(forbidden)
    if proof:
        return failed(
            "fal refused the backend's key with {status}", *proof[:2], remedy=REMEDY, status=proof[0]["status"] or 401
        )
    if case.fal_refusals and case.fal_refusals[0]["status"]:
        return passed("fal took the key and refused for another reason", case.fal_refusals[0])
    asked = case.best("live.fal_key")
    if asked is not None and asked["accepted"] is False:
        return live_fault(
            case, link, "fal refuses the key in '{name}' now, with 401", asked, remedy=REMEDY, name=asked["name"]
        )
    made = case.product(Link.GENERATION)
    if isinstance(made, Seen):
        return passed("fal made a picture", made.evidence)
    if asked is not None and asked["accepted"]:
        return passed("fal takes the key in '{name}' now", asked, name=asked["name"])
    return unseen(case, "live.fal_key", "no answer of fal to the key was seen")
