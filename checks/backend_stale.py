"""The running code is not the code shown: it was not restarted, or another checkout runs.

What it looks at
    The models that the source's constants and its conditional would choose, beside the model that was really used.

Why it matters
    An edited file changes nothing until the process is restarted; an old process that keeps the port goes on
    answering. File times say nothing about a process and are not looked at.

How to put it right
    Stop every process on the port, start the backend from the folder that was shown, and repeat the request.

When it is wrong
    A model that comes from an environment variable, or source of another branch than the one that is deployed.
"""

from diagnose.model import IMAGE_TO_IMAGE, Case, Evidence, Finding, Link, Remedy, Seen, passed, unknown, warned

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
    if case.model is None or case.mode is None:
        return unknown("no witness names the model that was used")
    used = case.model["model"]
    named = case.of("source.model", "source.choice")
    if not named:
        return unknown("the backend's source was not seen")
    choice = expected(case)
    everywhere = {e["model"] for e in case.of("source.model")} | {
        m for c in case.of("source.choice") for m in (c["with_image"], c["without_image"])
    }
    wanted = (
        {c["with_image" if choice else "without_image"] for c in case.of("source.choice")}
        if choice is not None
        else set()
    )
    if used not in everywhere and (case.mode == IMAGE_TO_IMAGE or wanted):
        return stale(case, used, sorted(wanted or everywhere)[0], named[0])
    if wanted and used not in wanted and used not in constants(case, case.mode):
        return stale(case, used, sorted(wanted)[0], case.of("source.choice")[0])
    if wanted and used not in wanted and choice and case.mode != IMAGE_TO_IMAGE and not case.of("fal.error"):
        return stale(case, used, sorted(wanted)[0], case.of("source.choice")[0])
    return passed("the code shown chooses '{model}' as well", named[0], model=used)


def expected(case: Case) -> bool | None:
    """Whether the decision had an image URL to look at; None when that was not seen."""
    return True if isinstance(case.product(Link.IMAGE_URL), Seen) or case.mode == IMAGE_TO_IMAGE else None


def constants(case: Case, mode: str | None) -> set[str]:
    """The constants of one mode in the source."""
    return {e["model"] for e in case.of("source.model") if e["role"] == str(mode).replace("-", "_")}


def stale(case: Case, used: str, wanted: str, proof: Evidence) -> Finding:
    """The fault, with both models named."""
    assert case.model is not None
    return warned(
        "the code shown chooses '{wanted}' and '{used}' was used: not restarted, or another checkout runs",
        case.model,
        proof,
        remedy=REMEDY,
        wanted=wanted,
        used=used,
    )
