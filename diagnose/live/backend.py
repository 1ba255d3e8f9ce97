"""Looks at the backend that runs: what answers at its address, which build, its newest entry, and who holds the port.

Nothing is sent but GET, and no picture is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from diagnose.collect import prompt_log
from diagnose.fingerprint import fingerprint
from diagnose.live import checkout, environment, process
from diagnose.live.ask import Answer, Asker, Silence, origin
from diagnose.live.look import Answers, Question, silent
from diagnose.live.targets import Targets, is_here
from diagnose.model import Evidence, Witness, flatten

HEALTH, OPENAPI, LAST, READY, ROOT = "/health", "/openapi.json", "/api/debug/last-prompt", "/ready", "/"
ASKED = {
    "backend health": HEALTH,
    "backend openapi": OPENAPI,
    "backend last-prompt": LAST,
    "backend ready": READY,
    "backend root": ROOT,
}
LISTENERS, SOURCE = "backend listeners", "backend source"
OURS = "diagnose: a backend that makes pictures"
"""The title of our own backend's OpenAPI document."""
MAX_ROUTES = 500
MAX_DEPTH, MAX_ITEMS = 30, 1000
_COMMITS = ("commit", "git_commit", "commit_sha", "git_sha", "sha", "revision", "git_revision", "hash")
_VERSIONS = ("version", "build", "release")
_STARTED = ("started_at", "started", "start_time", "boot_time")
_SETTING = re.compile(r"[A-Z][A-Z0-9_]{2,60}")
_KNOWN = re.compile(r"/+(?:api(?:/.*)?|health|ready|docs|redoc|openapi\.json)?/*$")


def questions(targets: Targets, asker: Asker) -> Iterator[Question]:
    """What is asked: five addresses that change nothing, and who listens."""
    if targets.source:
        yield Question(SOURCE, lambda: tuple(filter(None, (checkout.read(f, given=True) for f in targets.source))))
    url = base(targets)
    if url is None:
        return
    for name, path in ASKED.items():
        yield Question(name, partial(asker.get, url + path))
    if is_here(url):
        yield Question(LISTENERS, lambda: _around(url, read_source=not targets.source))


def base(targets: Targets) -> str | None:
    """The address under which the backend's routes stand; None where there is none to ask."""
    url = targets.backend or ""
    url = url if "://" in url else f"http://{url}"
    place = origin(url)
    if place is None:
        return None
    parts = urlsplit(url)
    # what is bound to every address is reached at this machine's own
    netloc = parts.netloc.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")  # noqa: S104
    return urlunsplit((parts.scheme, netloc, _KNOWN.sub("", f"{parts.path}/").rstrip("/"), "", ""))


def _around(url: str, read_source: bool) -> tuple[Evidence, ...] | Silence:
    """Who listens, what they were started with, and the folders they run from."""
    found = process.look(url)
    if isinstance(found, Silence):
        return found
    evidence = [_listener(listener) for listener in found]
    for head in {listener.family: listener for listener in found if listener.process is not None}.values():
        evidence += _settings(head)
        folder = _folder(head)
        if read_source and folder is not None:
            source = checkout.read(folder, given=False)
            evidence += [source] if source is not None else []
    return tuple(evidence)


def _listener(listener: process.Listener) -> Evidence:
    known = listener.process
    variables = known.variables if known is not None else None
    fields = {
        "address": listener.address,
        "pid": known.pid if known is not None else None,
        "command": known.line if known is not None else None,
        "folder": known.folder if known is not None else None,
        "started": known.started if known is not None else None,
        "since": checkout.local(known.started) if known is not None and known.started is not None else None,
        "family": list(listener.family),
        "entry": listener.entry,
        "module": listener.module,
        "variables": sorted(filter(environment.is_ours, variables)) if variables is not None else None,
    }
    source = f"process {known.pid}" if known is not None else f"listener {listener.address}"
    return Evidence("live.listener", source, Witness.OBSERVED, fields)


def _folder(listener: process.Listener) -> Path | None:
    """The folder whose code this process demonstrably runs."""
    if listener.module is None:
        return None
    module = Path(listener.module)
    folder = listener.process.folder if listener.process is not None else None
    return Path(folder) if folder and module.is_relative_to(folder) else module.parent


def _settings(listener: process.Listener) -> Iterator[Evidence]:
    """Names and shapes of what the process was started with, and of the files beside it."""
    known = listener.process
    assert known is not None
    if known.variables is not None:
        yield from environment.told(known.variables, f"process {known.pid}")
    folder = _folder(listener)
    if folder is not None:
        yield from environment.beside(folder)


# --- what follows -----------------------------------------------------------------------------------------------------


def evidence(targets: Targets, answers: Answers) -> Iterator[Evidence]:
    """What the answers prove."""
    found = tuple(_seen(targets, answers))
    listeners = [e for e in found if e.kind == "live.listener"]
    for e in found:
        yield e if e.kind != "live.source" else _run_by(listeners, e)


def _run_by(listeners: Sequence[Evidence], source: Evidence) -> Evidence:
    """The source, with the processes that were started from it: their file stands there, or it beside their file."""
    folder = Path(source.fields["folder"])
    started = {e.fields["pid"]: Path(e.fields["module"]) for e in listeners if e.fields["module"]}
    beside = {pid for pid, module in started.items() if len(module.parts) > 3 and folder.is_relative_to(module.parent)}
    inside = {pid for pid, module in started.items() if module.is_relative_to(folder)}
    return replace(source, fields={**source.fields, "runs": sorted(inside | beside)})


def _seen(targets: Targets, answers: Answers) -> Iterator[Evidence]:
    yield from _found(answers[SOURCE], "live.source", "source")
    if targets.backend is None:
        return
    url = base(targets)
    if url is None:
        wrong = Silence("unsendable", "the backend's address is not an http(s) address")
        yield silent("live.backend", targets.backend[:200], wrong)
        return
    replies = {path: answers[name] for name, path in ASKED.items()}
    got = {path: reply for path, reply in replies.items() if isinstance(reply, Answer)}
    lost = {path: reply for path, reply in replies.items() if isinstance(reply, Silence)}
    if got:
        yield _backend(url, targets, got)
        yield from _last_prompt(url, replies[LAST])
    elif lost:
        yield from _nobody(url, targets, lost)
    if is_here(url):
        yield from _found(answers[LISTENERS], "live.listener", f"listeners of {url}")
    else:
        far = Silence("forbidden", "the backend runs on another machine, whose processes cannot be seen from here")
        yield silent("live.listener", f"listeners of {url}", far)


def _found(reply: Any, kind: str, source: str) -> Iterator[Evidence]:
    if isinstance(reply, tuple):
        yield from (e for e in reply if isinstance(e, Evidence))
    elif isinstance(reply, Silence):
        yield silent(kind, source, reply)


def _nobody(url: str, targets: Targets, lost: Mapping[str, Silence]) -> Iterator[Evidence]:
    """No question was answered: nothing listens, what listens speaks no HTTP, or nothing is known."""
    causes = {reply.cause for reply in lost.values()}
    first = next(iter(lost.values()))
    source = f"GET {url}{HEALTH}"
    if "refused" in causes and "not_http" not in causes:
        if targets.backend_given:
            yield Evidence("deployment.refused", source, Witness.OBSERVED, {"url": url, "given": True})
        else:
            reason = f"nothing listens at the usual address {url}; --backend-url names another"
            yield silent("live.backend", source, Silence("refused", reason))
    elif "not_http" in causes:
        if targets.backend_given:
            fields = {"url": url, "status": None, "fault": "speaks no HTTP", "given": True}
            yield Evidence("live.backend", source, Witness.OBSERVED, fields)
        else:
            reason = f"what listens at the usual address {url} does not speak HTTP; --backend-url names another"
            yield silent("live.backend", source, Silence("not_http", reason))
    else:
        yield silent("live.backend", source, first)
    yield silent("live.last_prompt", f"GET {url}{LAST}", lost.get(LAST, first))


def _backend(url: str, targets: Targets, got: Mapping[str, Answer]) -> Evidence:
    """What answered at the address, from all that it said."""
    path, first = next(iter(got.items()))
    health = got[HEALTH].fields if HEALTH in got and got[HEALTH].status == 200 else {}
    document = got[OPENAPI].fields if OPENAPI in got and got[OPENAPI].status == 200 else {}
    info = document.get("info")
    info = info if isinstance(info, Mapping) else {}
    routes = _routes(document)
    title = _text(info.get("title"), 200)
    said = list(islice(flatten(health), 200))
    fields = {
        "url": url,
        "status": first.status,
        "statuses": {asked: answer.status for asked, answer in got.items()},
        "server": _text(first.headers.get("server"), 100),
        "title": title,
        "version": _text(info.get("version"), 60) or _text(health.get("version"), 60),
        # a list that was cut does not say what is missing
        "routes": routes if routes is None or len(routes) <= MAX_ROUTES else None,
        "commit": _commit(said),
        "started_at": next((t for k, v in said if k in _STARTED and (t := _text(v, 40))), None),
        "missing": _missing(got.get(READY)),
        "source": _text(health.get("source"), 60) if title == OURS else None,
        "installed": fingerprint() if title == OURS else None,
        "fault": None,
        "given": targets.backend_given,
    }
    return Evidence("live.backend", f"GET {url}{path}", Witness.OBSERVED, fields)


def _text(value: object, length: int) -> str | None:
    return value.strip()[:length] or None if isinstance(value, str) else None


def _routes(document: Mapping[str, Any]) -> list[str] | None:
    """`METHOD /path` of each route; None where the document tells of none."""
    paths = document.get("paths")
    if not isinstance(paths, Mapping):
        return None
    methods = ("get", "post", "put", "patch", "delete")
    found = (
        f"{method.upper()} {path[:200]}"
        for path, operations in paths.items()
        if isinstance(path, str) and path.startswith("/") and isinstance(operations, Mapping)
        for method in methods
        if method in operations
    )
    return sorted(islice(found, MAX_ROUTES + 1))


def _commit(said: Sequence[tuple[str, object]]) -> str | None:
    """The commit a build says it is of; a version is one only where it cannot be a number or a word."""
    for names, form in ((_COMMITS, r"[0-9a-f]{7,64}"), (_VERSIONS, r"(?=\w*\d)(?=\w*[a-f])[0-9a-f]{7,64}")):
        for name, value in said:
            if name.lower() in names and isinstance(value, str) and re.fullmatch(form, value.strip(), re.I):
                return value.strip().lower()
    return None


def _missing(ready: Answer | None) -> list[str] | None:
    """Names of settings that the backend itself says are missing."""
    if ready is None or ready.status not in (200, 503):
        return None
    named = ready.fields.get("missing")
    if not isinstance(named, list):
        return None
    return [name for name in named[:20] if isinstance(name, str) and _SETTING.fullmatch(name)]


def _last_prompt(url: str, reply: Any) -> Iterator[Evidence]:
    source = f"GET {url}{LAST}"
    if isinstance(reply, Silence):
        yield silent("live.last_prompt", source, reply)
        return
    if not isinstance(reply, Answer):
        return
    entry = _entry(reply.json) if reply.status == 200 and reply.whole else None
    sent = entry.get("fal_request") if entry is not None else None
    sent = sent if isinstance(sent, Mapping) else {}
    fields = {
        "url": url + LAST,
        "status": reply.status,
        "timestamp": _text(entry.get("timestamp"), 60) if entry is not None else None,
        "model": _text(sent.get("model"), 200),
        "value": entry,
        "message": None if entry is not None else _said(reply),
    }
    yield Evidence("live.last_prompt", source, Witness.OBSERVED, fields)


def _entry(value: Any) -> dict[str, Any] | None:
    """The entry in an answer, alone or in an envelope, of any era; what is nested without end is cut."""
    if not isinstance(value, dict):
        return None
    for found in (value, *islice(value.values(), 20)):
        if isinstance(found, dict) and prompt_log.looks_like_entry(found):
            cut = _bounded(prompt_log.normalise_entry(found))
            return cut if isinstance(cut, dict) else None
    return None


def _bounded(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {key: _bounded(inner, depth + 1) for key, inner in islice(value.items(), MAX_ITEMS)}
    if isinstance(value, list):
        return [_bounded(inner, depth + 1) for inner in value[:MAX_ITEMS]]
    return value


def _said(reply: Answer) -> str | None:
    """The refusal in the backend's own words."""
    for name, value in islice(flatten(reply.fields), 20):
        if name in ("detail", "message", "error") and isinstance(value, str):
            return _text(value, 200)
    return None if reply.whole else "the answer is longer than is read"


def last_entry(evidence: Sequence[Evidence]) -> dict[str, Any] | None:
    """The newest entry as the running backend tells it; None where it tells none."""
    for e in evidence:
        if e.kind == "live.last_prompt" and isinstance(e.fields.get("value"), dict):
            return dict(e.fields["value"])
    return None
