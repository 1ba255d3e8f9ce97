"""fal does not know the model: 404.

What it looks at
    404 on the call to fal, and fal's words `Application ... not found` or `Path ... not found`. With a live look:
    whether fal lists the profile's models.

Why it matters
    A model id that was renamed or misspelt is never found. Some backends report it as a database problem, because of
    the words "not found".

How to put it right
    Look the id up in fal's model gallery, and correct the constant.

When it is wrong
    A 404 of the queue's status address says that the request is unknown, not the model; it is not counted.
"""

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, live_fault, passed, unseen

link = Link.GENERATION
because = ("wrong_target_model", "backend_stale")
reads: tuple[str, ...] = ()


def look(case: Case) -> Finding:
    """The finding of this check."""
    proof = tuple(e for e in case.fal_status(404) if not (e["queue"] and e["request_id"])) or tuple(
        e for e in case.fal_refusals if str(e["message"]).endswith("not found")
    )
    if proof:
        model = next(
            (e["model"] for e in proof if e["model"]), case.model["model"] if case.model is not None else "the model"
        )
        return failed("fal answered 404: it does not know '{model}'", *proof[:2], remedy=remedy(model), model=model)
    if case.fal_refusals and case.fal_refusals[0]["status"]:
        return passed("fal refused for another reason", case.fal_refusals[0])
    listed = case.of("live.fal_model")
    stranger = next((e for e in listed if e["known"] is False), None)
    if stranger is not None:
        model = stranger["model"]
        return live_fault(case, link, "fal does not list '{model}' now", stranger, remedy=remedy(model), model=model)
    made = case.product(Link.GENERATION)
    if isinstance(made, Seen):
        return passed("fal made a picture", made.evidence)
    if listed:
        return passed("fal lists '{model}' now", *listed, model=listed[0]["model"])
    return unseen(case, "live.fal_model", "no answer of fal about the model was seen")


def remedy(model: str) -> Remedy:
    """What to do about an id that fal does not know."""
    return Remedy(
        "Correct the model's id",
        (
            "Look up '{model}' in fal's model gallery; copy the id as it stands there.",
            "Set the constant to it, and restart the backend.",
        ),
        values={"model": model},
    )
