"""A setting the chain needs is missing, malformed, or differs between files.

What it looks at
    Names and shapes of the settings in `.env` and its like, never values; what the backend says is not configured. With
    a live look: the variables a backend was started with, its `/ready`, and the address that the frontend calls.

Why it matters
    A missing key breaks a link far from its file; a wrong address is answered by somebody else.

How to put it right
    Set the named setting in the environment of the running backend, and restart it.

When it is wrong
    A name counts as missing only where the files and the process's variables were looked at; a secrets service can
    still supply it. A proxy between frontend and backend has another address with reason.
"""

from collections.abc import Sequence

from diagnose.model import Case, Evidence, Finding, Link, Remedy, Seen, noted, passed, settings, unknown, warned

link = Link.ENVIRONMENT
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()

FRONTEND = Remedy(
    "Let the frontend call the backend",
    ("Set the frontend's API address to the backend's, and build or start the frontend anew.",),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    made = case.product(Link.GENERATION)
    said = next((e for e in case.of("error") if e["setting"]), None)
    if said is not None and not isinstance(made, Seen):
        name = said["setting"]
        return warned("the backend says that '{name}' is not configured", said, remedy=remedy(name), name=name)
    header = next((e for e in case.of("error") if "Illegal header value b'Key" in e["text"]), None)
    if header is not None and not isinstance(made, Seen):
        return warned("'{name}' is empty or holds a line break", header, remedy=remedy("FAL_KEY"), name="FAL_KEY")
    found = settings.effective(case.of("env.setting"))
    broken = next((e for e in found if e["fault"]), None)
    if broken is not None:
        values = {"name": broken["name"], "file": settings.place(broken), "fault": broken["fault"]}
        return warned("'{name}' in {file} {fault}", broken, remedy=remedy(broken["name"]), **values)
    unready = next(((e, str(name)) for e in case.of("live.backend") for name in e["missing"] or ()), None)
    if unready is not None:
        e, name = unready
        return warned("the running backend says that '{name}' is missing", e, remedy=remedy(name), name=name)
    return compared(case, found) or sound(case, found)


def compared(case: Case, found: Sequence[Evidence]) -> Finding | None:
    """What several places show together: a name that none has, one that two files set, an address that leads elsewhere."""
    lacking = settings.lacking(case, found)
    if lacking is not None:
        name, file, process = lacking
        report = warned if settings.concerns(case, name) else noted
        return report(
            "'{name}' stands neither in {file} nor among the variables of pid {pid}",
            *(file, process),
            remedy=remedy(name),
            name=name,
            file=settings.place(file),
            pid=process["pid"],
        )
    pair = settings.contradicting(found)
    if pair is not None:
        name, one, two = pair[0]["name"], settings.place(pair[0]), settings.place(pair[1])
        report = warned if settings.concerns(case, name) else noted
        return report(
            "'{name}' differs between {one} and {two}", *pair, remedy=remedy(name), name=name, one=one, two=two
        )
    astray = settings.astray(case, found)
    if astray is not None:
        called, backend, proof = astray
        report = warned if settings.concerns(case, "") else noted
        return report(
            "the frontend calls {called} ('{name}' in {file}) and the backend is at {backend}",
            *(called, *proof),
            remedy=FRONTEND,
            called=called["origin"],
            name=called["name"],
            file=settings.place(called),
            backend=backend,
        )
    return None


def sound(case: Case, found: Sequence[Evidence]) -> Finding:
    """No fault was seen: with settings they are well formed, and where two places set one, it is said which wins."""
    pair = settings.overruled(found)
    if pair is not None:
        values = {"name": pair[0]["name"], "one": settings.place(pair[0]), "two": settings.place(pair[1])}
        return passed("'{name}' differs between {one} and {two}: {one} wins over a file", *pair, **values)
    if found:
        return passed("the settings shown are well formed", found[0])
    made = case.product(Link.GENERATION)
    if case.best("fal.call") is not None and isinstance(made, Seen):
        return passed("the settings were enough for a picture", made.evidence)
    return unknown("no settings were seen")


def remedy(name: str) -> Remedy:
    """What to do about one setting."""
    step = "Set {name} in the environment the backend really reads (one file, no quotes, no spaces)."
    return Remedy("Set '{name}'", (step, "Restart the backend."), values={"name": name})
