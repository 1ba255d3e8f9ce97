"""The running code is not the code shown: it was not restarted, or another checkout runs.

What it looks at
    The models that the source's constants and its conditional would choose, beside the model that was really used.
    With a live look: since when the process runs and from which folder, the commit and the routes it tells of, beside
    the source on disk.

Why it matters
    An edited file changes nothing until the process is restarted. The times of files that were sent say nothing; only
    those beside a process that runs are looked at.

How to put it right
    Stop every process on the port, start the backend from the folder that was shown, and repeat the request.

When it is wrong
    A model that comes from an environment variable, source of another branch, or a changed file that is no part of the
    backend. Where the code shown does what was done, or the attempt came before the change, it is only a note.
"""

from dataclasses import replace

from diagnose.model import (
    FAULTS,
    IMAGE_TO_IMAGE,
    Case,
    Finding,
    Link,
    Remedy,
    Seen,
    Status,
    noted,
    passed,
    unknown,
    unseen,
    warned,
)
from diagnose.model.running import Sign, later_than_attempt, meant, shown_too, signs

link = Link.DEPLOYMENT
because: tuple[str, ...] = ()
reads = ("fal_request.model",)

REMEDY = Remedy(
    "Restart the backend from the code shown",
    (
        "Stop the process that holds the backend's port; make sure nothing answers there any more.",
        "Start the backend from this folder, and see its start-up lines in the log.",
        "If it was restarted: another checkout or branch is deployed; compare the folders.",
    ),
    command="uvicorn main:app --host 127.0.0.1 --port 8000",
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    shown = by_model(case)
    if shown.status in FAULTS:
        return shown
    found = sorted(signs(case), key=lambda sign: not sign.stale)
    if not found:
        told = shown.message
        return unseen(case, "live.listener", told.template, **told.values) if shown.status is Status.UNKNOWN else shown
    sign, proof = found[0], (*found[0].evidence, *shown.evidence)
    if not sign.stale:
        return replace(passed("", *proof), message=sign.said)
    if case.model is not None and not meant(case):
        if later_than_attempt(case, sign):
            said = "{said}; the attempt came before the change, so this is not its reason"
            return noted(said, *proof, remedy=restart(sign), said=sign.said)
        if shown.status is Status.PASS and shown_too(case):
            said = "{said}; the code shown does what was done, so this is not the reason"
            return noted(said, *proof, remedy=restart(sign), said=sign.said)
    return replace(warned("", *sign.evidence, remedy=restart(sign)), message=sign.said)


def restart(sign: Sign) -> Remedy:
    """The remedy, with the process named where one is known."""
    if sign.process is None:
        return REMEDY
    pid, address = sign.process["pid"], sign.process["address"]
    first = "Stop pid {pid}, and make sure that nothing answers at {address} any more."
    return REMEDY._replace(steps=(first, *REMEDY.steps[1:]), values={"pid": pid, "address": address})


def by_model(case: Case) -> Finding:
    """Whether the code shown chooses the model that was used."""
    if case.model is None or case.mode is None:
        return unknown("no witness names the model that was used")
    models, choices = case.of("source.model"), case.of("source.choice")
    if not models and not choices:
        return unknown("the backend's source was not seen")
    used, proof = case.model["model"], (*models, *choices)[0]
    everywhere = {e["model"] for e in models} | {c[k] for c in choices for k in ("with_image", "without_image")}
    # what the conditional chose is known only where the address it looks at was seen
    decided = isinstance(case.product(Link.IMAGE_URL), Seen) or case.mode == IMAGE_TO_IMAGE
    wanted = {c["with_image"] for c in choices} if decided else set()
    of_mode = {e["model"] for e in models if e["role"] == case.mode.replace("-", "_")}
    stranger = used not in everywhere and (case.mode == IMAGE_TO_IMAGE or wanted)
    unlike = wanted and used not in wanted
    fell_back = case.mode == IMAGE_TO_IMAGE or bool(case.of("fal.error"))
    if stranger or (unlike and (used not in of_mode or not fell_back)):
        return warned(
            "the code shown chooses '{wanted}' and '{used}' was used: not restarted, or another checkout runs",
            case.model,
            proof if stranger else choices[0],
            remedy=REMEDY,
            wanted=sorted(wanted or everywhere)[0],
            used=used,
        )
    return passed("the code shown chooses '{model}' as well", proof, model=used)
