"""An image-to-image model other than the profile's was called.

What it looks at
    The model of the strongest witness beside the profile's `image_to_image`.

Why it matters
    Models take the picture under different keys and honour different parameters: the wrong one ignores some of them.

How to put it right
    Set the constant to the intended model and restart; or, if the new model is meant, say so in the profile.

When it is wrong
    A profile that was not updated with the code. It is a symptom of a stale process or of two constants.
"""

from diagnose.model import IMAGE_TO_IMAGE, Case, Finding, Link, Remedy, not_applicable, passed, symptom, unknown

link = Link.SELECTION
because = ("backend_stale", "model_constant_conflict")
reads = ("fal_request.model",)


def look(case: Case) -> Finding:
    """The finding of this check."""
    if case.model is None or case.mode is None:
        return unknown("no witness names the model that was called")
    if case.mode != IMAGE_TO_IMAGE:
        return not_applicable("no image-to-image model was called")
    model, wanted = case.model["model"], case.profile.image_to_image
    if model == wanted:
        return passed("the intended model was called", case.model)
    return symptom(
        "'{model}' was called, and the profile '{profile}' wants '{wanted}'",
        case.model,
        *[e for e in case.of("source.model") if e["model"] == model][:1],
        remedy=Remedy(
            "Call the intended model",
            (
                "Set the image-to-image constant to '{wanted}' in every place that names it, and restart the backend.",
                "If '{model}' is meant, write it into the profile's [models].",
            ),
            values={"wanted": wanted, "model": model},
        ),
        model=model,
        profile=case.profile.name,
        wanted=wanted,
    )
