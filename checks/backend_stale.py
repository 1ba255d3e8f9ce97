"""The running code is not the code shown: it was not restarted, or another checkout runs.

What it looks at
    The models that the source's constants and its conditional would choose, beside the model that was really used.
    With a live look: since when the process runs and from which folder, the commit and the routes it tells of, beside
    the source on disk.

Why it matters
    An edited file changes nothing until the process is restarted; an old process that keeps the port goes on
    answering. The times of files that were sent say nothing; only those beside a process that runs are looked at.

How to put it right
    Stop every process on the port, start the backend from the folder that was shown, and repeat the request.

When it is wrong
    A model that comes from an environment variable, or source of another branch than the one that is deployed. A file
    that was changed and is not part of the backend. Where the code shown does what was done, and where the attempt
    came before the change, an old process is not the reason, and this is only a note.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from diagnose.model import (
    FAULTS,
    IMAGE_TO_IMAGE,
    Case,
    Evidence,
    Finding,
    Link,
    Remedy,
    Seen,
    Status,
    noted,
    passed,
    same_number,
    unknown,
    unseen,
    warned,
)

link = Link.DEPLOYMENT
because: tuple[str, ...] = ()
reads = ("fal_request.model",)

MARGIN = 2.0
"""Seconds by which a process's start and a file's time can be told apart."""
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
    now = next((f for f in living(case) if f.status in FAULTS), None) or next(living(case), None)
    if now is None:
        told = shown.message
        return unseen(case, "live.listener", told.template, **told.values) if shown.status is Status.UNKNOWN else shown
    if now.status not in FAULTS:
        return replace(now, evidence=(*now.evidence, *shown.evidence))
    if case.model is None or meant(case):
        return now
    proof = (*now.evidence, *shown.evidence)
    if earlier(case.subject.timestamp, next((e["changed"] for e in now.evidence if e["changed"]), None)):
        return noted(
            "{said}; the attempt came before the change, so this is not its reason",
            *proof,
            remedy=now.remedy,
            said=now.message,
        )
    if shown.status is Status.PASS and same_numbers(case):
        return noted(
            "{said}; the code shown does what was done, so this is not the reason",
            *proof,
            remedy=now.remedy,
            said=now.message,
        )
    return now


# What files tell.


def by_model(case: Case) -> Finding:
    """Whether the code shown chooses the model that was used."""
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


def meant(case: Case) -> bool:
    """Whether the attempt used what the profile wants."""
    wanted = case.profile.image_to_image if case.image_expected else case.profile.text_to_image
    return case.model is not None and case.model["model"] == wanted and not drifted(case)


def drifted(case: Case) -> dict[str, object]:
    """The values sent that are not the profile's."""
    sent = case.payload["body"] if case.payload is not None and case.mode == IMAGE_TO_IMAGE else {}
    return {k: sent[k] for k, v in case.profile.payload.items() if k in sent and not same_number(v, sent[k])}


def same_numbers(case: Case) -> bool:
    """Whether every value that drifted stands in the code shown too."""
    literals = [(e["name"], e["value"]) for e in case.of("source.parameter")]
    return all(any(n == name and same_number(v, value) for n, v in literals) for name, value in drifted(case).items())


def earlier(attempt: str | None, changed: str | None) -> bool:
    """Whether one time is before the other; a time that names no zone is of this machine's."""
    try:
        then, now = datetime.fromisoformat(str(attempt)), datetime.fromisoformat(str(changed))
    except ValueError:
        return False
    then = then if then.tzinfo else then.replace(tzinfo=now.tzinfo)
    return then < (now if now.tzinfo else now.replace(tzinfo=then.tzinfo))


# What the running process tells.


def living(case: Case) -> Iterator[Finding]:
    """What each sign says; a process that runs the code shown, and is newer, passes."""
    running, sources = case.best("live.backend"), case.of("live.source")
    processes = [e for e in case.of("live.listener") if e["pid"]]
    yield from elsewhere(processes, [s for s in sources if s["given"]])
    for source in sources:
        yield from by_time([p for p in processes if p["pid"] in (source["runs"] or ())], source)
        if running is not None:
            yield from by_build(running, source)
    if running is not None and running["installed"] and running["source"] not in (None, running["installed"]):
        yield warned(
            "the backend runs the code '{running}' and '{installed}' is installed: it was not restarted since",
            running,
            remedy=REMEDY,
            running=running.fields["source"],
            installed=running["installed"],
        )


def elsewhere(processes: list[Evidence], given: list[Evidence]) -> Iterator[Finding]:
    """A process whose file stands in none of the folders shown."""
    shown = [pid for source in given for pid in source["runs"] or ()]
    for process in processes:
        if given and process["module"] and process["pid"] not in shown:
            values = {"pid": process["pid"], "module": process["module"], "folder": given[0]["folder"]}
            yield warned(
                "pid {pid} runs '{module}' and the code shown stands in '{folder}': another checkout runs",
                process,
                given[0],
                remedy=restart(process),
                **values,
            )
            return


def by_time(processes: list[Evidence], source: Evidence) -> Iterator[Finding]:
    """The newest process of a family beside the newest file; a reloader's child is newer than the reloader."""
    families: dict[tuple[int, ...], list[Evidence]] = {}
    for process in processes:
        families.setdefault(tuple(process["family"] or (process["pid"],)), []).append(process)
    for members in families.values():
        if source["modified"] is None or any(p["started"] is None for p in members):
            continue
        newest = max(members, key=lambda p: float(p["started"]))
        values = {"pid": newest["pid"], "since": newest["since"], "file": source["file"], "changed": source["changed"]}
        if newest["started"] + MARGIN < source["modified"]:
            yield warned(
                "pid {pid} runs since {since}, and '{file}' was changed {changed}: the change is not running",
                newest,
                source,
                remedy=restart(newest),
                **values,
            )
        else:
            yield passed(
                "pid {pid} runs since {since}, and nothing was changed after '{file}' at {changed}",
                newest,
                source,
                **values,
            )


def by_build(running: Evidence, source: Evidence) -> Iterator[Finding]:
    """The commit, and the routes, that the backend tells of beside those of the source."""
    one, two = str(running["commit"] or ""), str(source["commit"] or "")
    if one and two and not (one.startswith(two) or two.startswith(one)):
        values = {"running": one[:12], "commit": two[:12], "folder": source["folder"]}
        yield warned(
            "the backend runs commit {running} and {folder} stands at {commit}",
            running,
            source,
            remedy=REMEDY,
            **values,
        )
    modules: dict[str, list[str]] = {}
    for route in source["routes"] or ():
        if isinstance(route, dict):
            name = str(route.get("source")).partition(":")[0]
            modules.setdefault(name, []).append(f"{route.get('method')} {route.get('path')}")
    for name, declared in modules.items() if running["routes"] else ():
        lacking = [route for route in declared if route not in running["routes"]]
        if lacking and len(declared) - len(lacking) > max(1, len(lacking)):
            yield warned(
                "'{module}' declares the route '{route}', and the backend that runs has it not",
                running,
                source,
                remedy=REMEDY,
                module=name,
                route=lacking[0],
            )


def restart(process: Evidence) -> Remedy:
    """The remedy, with the process named."""
    first = f"Stop pid {process['pid']}, and make sure that nothing answers at {process['address']} any more."
    return REMEDY._replace(steps=(first, *REMEDY.steps[1:]))
