"""An image URL was there and text-to-image was chosen.

What it looks at
    `init_image_url` beside the model that was really called.

Why it matters
    Every prerequisite was met and the decision went the other way: the code that ran does not decide as it should.

How to put it right
    Read the conditional that picks the model, and see that the running process holds it.

When it is wrong
    When the address and the call belong to two requests. It is a symptom: a stale process, two constants or a refusal
    by fal that the backend answered with text-to-image explain it, and are looked at first.
"""

from diagnose.model import IMAGE_TO_IMAGE, Case, Finding, Link, Remedy, Seen, not_applicable, passed, symptom, unknown

link = Link.SELECTION
because = (
    "backend_stale",
    "model_constant_conflict",
    "fal_key_rejected",
    "fal_balance_exhausted",
    "fal_rate_limited",
    "fal_model_missing",
    "fal_image_unreadable",
    "fal_parameters_rejected",
    "fal_content_refused",
    "fal_unavailable",
)
reads = ("request.image_url", "fal_request.model")

REMEDY = Remedy(
    "Correct the conditional that picks the model",
    (
        "Read the line that chooses between the two model constants: it must choose image-to-image when init_image_url is set.",
        "Restart the backend, and repeat the request.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    if case.mode is None or case.model is None:
        return unknown("no witness names the model that was called")
    if case.mode == IMAGE_TO_IMAGE:
        return passed("an image-to-image model was called", case.model)
    address = case.product(Link.IMAGE_URL)
    if not isinstance(address, Seen):
        return not_applicable("there was no image URL to switch for")
    choice = case.of("source.choice")[:1]
    return symptom(
        "init_image_url was set and '{model}' was called",
        case.model,
        address.evidence,
        *choice,
        remedy=REMEDY,
        model=case.model["model"],
    )
