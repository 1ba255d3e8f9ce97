"""fal refused the content: its policy.

What it looks at
    The error type `content_policy_violation` in fal's body.

Why it matters
    The prompt or the picture was taken for something fal does not make. Nothing in the chain is broken.

How to put it right
    Change the prompt or the picture; if it is harmless, try another wording.

When it is wrong
    A safety checker that paints the picture black answers 200; that is not seen here.
"""

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, passed, unknown

link = Link.GENERATION
because = ()
reads: tuple[str, ...] = ()

REMEDY = Remedy(
    "Change the prompt or the picture",
    ("Read fal's message for what was refused.", "Word the prompt differently, or choose another picture."),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    proof = case.fal_type("content_policy_violation")
    if proof:
        return failed("fal refused the content: {text}", *proof[:2], remedy=REMEDY, text=str(proof[0]["message"])[:120])
    other = next((e for e in case.fal_refusals if e["type"] or (e["status"] and e["status"] != 422)), None)
    if other is not None:
        return passed("fal refused for another reason", other)
    made = case.product(Link.GENERATION)
    if isinstance(made, Seen):
        return passed("fal made a picture", made.evidence)
    return unknown("no answer of fal about the content was seen")
