"""Two places name different models: two constants in the source, or what one module logs and what was posted.

What it looks at
    The model constants of the source, and the models that log lines announce beside the one that was posted.

Why it matters
    One place is corrected and the other forgotten: the log says what was meant and fal is sent something else.

How to put it right
    Keep the model's name in one place and import it from there.

When it is wrong
    Two constants for two purposes. Where the intended model was called a difference is only a warning.
"""

from diagnose.model import Case, Evidence, Finding, Link, Remedy, Witness, failed, passed, unknown, warned

link = Link.SELECTION
because: tuple[str, ...] = ()
reads = ("fal_request.model",)

REMEDY = Remedy(
    "Name the model in one place",
    (
        "Keep one constant for each mode and import it wherever the model is logged, recorded or posted.",
        "Correct the value, and restart the backend.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    pair = in_source(case) or in_log(case)
    if pair is None:
        known = case.best("source.model") or (case.call if announced(case) else None)
        return (
            passed("every place names the same model", known)
            if known is not None
            else unknown("neither the source nor two lines of the log name the model")
        )
    one, two = pair
    called = case.model["model"] if case.model is not None else None
    right = (
        called == case.profile.image_to_image
        and case.model is not None
        and case.model.witness.rank < Witness.FORECAST.rank
    )
    by_design = called == case.profile.text_to_image and not case.image_expected
    report = warned if right or by_design else failed
    return report(
        "one place names '{one}' and another '{two}'", one, two, remedy=REMEDY, one=one["model"], two=two["model"]
    )


def in_source(case: Case) -> tuple[Evidence, Evidence] | None:
    """Two places of the source that name different models for one role."""
    for role in ("image_to_image", "text_to_image"):
        named = [e for e in case.of("source.model") if e["role"] == role]
        key = "with_image" if role == "image_to_image" else "without_image"
        # a conditional the wrong way round names the other role's model: that is not a second constant
        others = {e["model"] for e in case.of("source.model") if e["role"] not in (role, None)}
        chosen = [c for c in case.of("source.choice") if c[key] not in others]
        named += [Evidence("source.model", c.source, c.witness, {"model": c[key], "role": role}) for c in chosen]
        for other in named[1:]:
            if other["model"] != named[0]["model"]:
                return named[0], other
    return None


def announced(case: Case) -> list[Evidence]:
    """Models that the backend's own modules announce; an answer's literal and a prompt log are judged elsewhere."""
    return [e for e in case.of("model") if e["by"] not in ("answer", "entry")]


def in_log(case: Case) -> tuple[Evidence, Evidence] | None:
    """A model that was announced, beside another of the same mode that was posted (or announced elsewhere)."""
    said = announced(case)
    posted = case.call if case.call is not None else (said[0] if said else None)
    if posted is None or not posted["model"]:
        return None
    models = {c["model"] for c in case.of("fal.call")}
    other = next(
        (
            e
            for e in said
            if e["model"] != posted["model"]
            and e["model"] not in models
            and case.mode_of(e["model"]) == case.mode_of(posted["model"])
        ),
        None,
    )
    return (other, posted) if other is not None else None
