"""What the processes that run, the source on disk and the attempt establish together: whether old code is running.

Pure functions over evidence of the living system, for the check that says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from diagnose.model import IMAGE_TO_IMAGE, Case, Evidence, Message, same_number

MARGIN = 2.0
"""Seconds by which a process's start and a file's time can be told apart."""
_PICTURES = re.compile(r"image|img|photo|picture|generat|predict|edit|batch", re.I)


class Sign(NamedTuple):
    """One comparison of what runs with what is shown."""

    stale: bool
    said: Message
    evidence: tuple[Evidence, ...]

    @property
    def process(self) -> Evidence | None:
        """The process it is about."""
        return next((e for e in self.evidence if e.kind == "live.listener"), None)


def signs(case: Case) -> Iterator[Sign]:
    """Every comparison that the evidence allows."""
    running, sources = case.best("live.backend"), case.of("live.source")
    processes = [e for e in case.of("live.listener") if e["pid"]]
    yield from _elsewhere(processes, [s for s in sources if s["given"]])
    for source in sources:
        yield from _by_time([p for p in processes if p["pid"] in (source["runs"] or ())], source)
        if running is not None:
            yield from _by_commit(running, source)
            yield from _by_routes(running, source)
    if running is not None and running["installed"] and running["source"] not in (None, running["installed"]):
        values = {"running": running.fields["source"], "installed": running["installed"]}
        said = Message("the backend runs the code '{running}' and '{installed}' is installed: it was not restarted since", values)  # fmt: skip
        yield Sign(True, said, (running,))


def _elsewhere(processes: Sequence[Evidence], given: Sequence[Evidence]) -> Iterator[Sign]:
    """A process whose file stands in none of the folders shown."""
    shown = [pid for source in given for pid in source["runs"] or ()]
    for process in processes:
        if given and process["module"] and process["pid"] not in shown:
            values = {"pid": process["pid"], "module": process["module"], "folder": given[0]["folder"]}
            said = Message("pid {pid} runs '{module}' and the code shown stands in '{folder}': another checkout runs", values)  # fmt: skip
            yield Sign(True, said, (process, given[0]))
            return


def _by_time(processes: Sequence[Evidence], source: Evidence) -> Iterator[Sign]:
    """The newest process of a family beside the newest file; a reloader's child is newer than the reloader."""
    families: dict[str, list[Evidence]] = {}
    for process in processes:
        families.setdefault(str(process["family"] or process["pid"]), []).append(process)
    modified = _seconds(source["modified"])
    for members in families.values():
        starts = [_seconds(p["started"]) for p in members]
        if modified is None or any(start is None for start in starts):
            continue
        started, newest = max(
            ((s, p) for s, p in zip(starts, members, strict=True) if s is not None), key=lambda x: x[0]
        )
        if modified - MARGIN <= started < modified:
            continue
        values = {"pid": newest["pid"], "since": newest["since"], "file": source["file"], "changed": source["changed"]}
        if started + MARGIN < modified:
            said = Message("pid {pid} runs since {since}, and '{file}' was changed {changed}: the change is not running", values)  # fmt: skip
        else:
            said = Message("pid {pid} runs since {since}, and nothing was changed after '{file}' at {changed}", values)
        yield Sign(started + MARGIN < modified, said, (newest, source))


def _seconds(value: Any) -> float | None:
    """Seconds since 1970, where it is that."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _by_commit(running: Evidence, source: Evidence) -> Iterator[Sign]:
    """The commit that the backend tells of beside the source's; either can be shortened."""
    one, two = str(running["commit"] or ""), str(source["commit"] or "")
    if one and two and not (one.startswith(two) or two.startswith(one)):
        values = {"running": one[:12], "commit": two[:12], "folder": source["folder"]}
        yield Sign(True, Message("the backend runs commit {running} and {folder} stands at {commit}", values), (running, source))  # fmt: skip


def _by_routes(running: Evidence, source: Evidence) -> Iterator[Sign]:
    """A route that the source declares and the backend lacks, while it has most of that module's."""
    modules: dict[str, list[str]] = {}
    for route in source["routes"] or ():
        if isinstance(route, dict):
            name = str(route.get("source")).partition(":")[0]
            modules.setdefault(name, []).append(f"{route.get('method')} {route.get('path')}")
    for name, declared in modules.items() if running["routes"] else ():
        lacking = [route for route in declared if route not in running["routes"]]
        if lacking and len(declared) - len(lacking) > max(1, len(lacking)):
            values = {"module": name, "route": lacking[0]}
            said = Message("'{module}' declares the route '{route}', and the backend that runs has it not", values)
            yield Sign(True, said, (running, source))


# --- whether it is the reason ------------------------------------------------------------------------------------------


def meant(case: Case) -> bool:
    """Whether the attempt used what the profile wants."""
    wanted = case.profile.image_to_image if case.image_expected else case.profile.text_to_image
    return case.model is not None and case.model["model"] == wanted and not _drifted(case)


def _drifted(case: Case) -> dict[str, object]:
    """The values sent that are not the profile's."""
    sent = case.payload["body"] if case.payload is not None and case.mode == IMAGE_TO_IMAGE else {}
    return {k: sent[k] for k, v in case.profile.payload.items() if k in sent and not same_number(v, sent[k])}


def shown_too(case: Case) -> bool:
    """Whether every value that drifted stands in the code shown too."""
    literals = [(e["name"], e["value"]) for e in case.of("source.parameter")]
    return all(any(n == name and same_number(v, value) for n, v in literals) for name, value in _drifted(case).items())


def later_than_attempt(case: Case, sign: Sign) -> bool:
    """Whether the change came after the attempt."""
    changed = next((e["changed"] for e in sign.evidence if e["changed"]), None)
    return before(case.subject.timestamp, changed)


def before(one: str | None, two: str | None) -> bool:
    """Whether one time is before the other; a time that names no zone is of the other's."""
    try:
        first, second = datetime.fromisoformat(str(one)), datetime.fromisoformat(str(two))
    except ValueError:
        return False
    first = first if first.tzinfo else first.replace(tzinfo=second.tzinfo)
    return first < (second if second.tzinfo else second.replace(tzinfo=first.tzinfo))


def compared(one: str | None, two: str | None) -> int | None:
    """-1, 0 or 1 as one time is before, the same as, or after the other; None where that cannot be told."""
    try:
        first, second = datetime.fromisoformat(str(one)), datetime.fromisoformat(str(two))
        return (first > second) - (first < second)
    except (ValueError, TypeError):
        return 0 if one and one == two else None


# --- who answers ---------------------------------------------------------------------------------------------------------


def is_of_backend(case: Case, error: Evidence) -> bool:
    """Whether a console line is about the backend's host: the request's, else the declared one; or names no host."""
    own = next((_host(e["url"]) for e in case.of("request.body")[:1] if e["url"] and "://" in e["url"]), None)
    if own is None and "backend.url" in case.profile.declared:
        own = _host(case.profile.backend_url)
    return own is None or not error["url"] or _host(error["url"]) == own


def _host(address: str) -> str:
    """Host and port of an address, comparable."""
    return address.rpartition("://")[2].partition("/")[0].replace("localhost", "127.0.0.1", 1)


def lacking_route(case: Case, now: Evidence) -> str | None:
    """The route that what answers lacks; None where it has it, or does not tell its routes."""
    paths = [route.partition(" ")[2] for route in now["routes"] or () if isinstance(route, str) and " /" in route]
    if not paths:
        return None
    if not any(_PICTURES.search(path) for path in paths):
        return "one that makes pictures"
    used = next((str(e["path"]).partition("?")[0] for e in case.of("request.access") if e["path"]), None)
    # a proxy between them may have cut the beginning off
    fits = used is None or any(_form(p).search(used) or p.endswith(used) for p in paths if p != "/")
    return None if fits else used


def _form(path: str) -> re.Pattern[str]:
    """A route as a pattern, its parameters open."""
    return re.compile(re.sub(r"\\\{[^/]*?\\\}", "[^/]+", re.escape(path)) + "/?$")


def nothing_behind(now: Evidence) -> bool:
    """Whether every answer was that of a proxy which reaches nobody."""
    statuses = now.fields.get("statuses")
    given = set(map(str, statuses.values())) if isinstance(statuses, Mapping) else set()
    return bool(given) and given <= {"502", "503", "504"}
