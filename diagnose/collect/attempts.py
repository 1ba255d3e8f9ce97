"""Gives each thing a log tells to the request it belongs to.

With a request id that is simple. Without one, events follow each other until the access line; when a second request
begins before that, an event goes to the attempt that shares a key with it (a path's uuid, a URL, a prompt), and what
could belong to either is left out rather than guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from diagnose.collect import wording
from diagnose.collect.lines import Line
from diagnose.model import Evidence, Witness

MAX_OPEN = 40
"""Requests that are held open at once; a log with more has lost its access lines."""
GENERATING_PATH = re.compile(
    r"generat|image|img|picture|photo|edit|render|predict|flux|fal|create|batch|transform|draw|portrait|avatar|task",
    re.I,
)
OTHER_PATH = re.compile(r"health|ready|debug|login|auth|static|metrics|docs|openapi|favicon|profile|webhook", re.I)
UPLOAD_PATH = re.compile(r"upload|/files?/?$|/media/?$|/assets?/?$", re.I)
_START = re.compile(
    r"Images? received from|Received image file upload|/auth/v1/user|Generating panel|[Nn]ew generat\w+ request|[Rr]eceived generat\w+ request"
    r"|\b(?:edit|generat\w+|image|picture) request\b(?! (?:failed|error|to|finished|completed))|_requested$|Task \S+ received"
)
_THEN_RAISED = re.compile(
    r"Exception in ASGI application|^Traceback \(most recent call last\)|Error handling request|Unhandled"
)
_INCOMING = re.compile(
    r"Images? received from|\b[Nn]ew generat\w+ request|\b[Rr]eceived (?:a )?(?:new )?(?:generat\w+|image) request"
)
_FIRST = re.compile(r"\bimage (\d+)/\d+")

_PICTURE_KINDS = (
    "fal.call", "payload", "model", "request.received", "upload.started", "storage.upload", "decode.failed", "decode.done", "storage.error",
    "fal.error", "fal.queue",
)  # fmt: skip
_WORK_KINDS = (*_PICTURE_KINDS, "error", "upload.done", "image_url", "fal.result", "fal.empty", "deployment.exception")
_INPUT_KINDS = (
    "request.received", "upload.started", "upload.done", "storage.upload", "storage.error", "supabase.error", "decode.failed", "decode.done",
    "image_url", "error",
)  # fmt: skip
"""What an upload of its own tells of the picture that a later request uses."""


@dataclass
class Attempt:
    """One request for a picture, as far as the log tells."""

    evidence: list[Evidence] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    first: int = 0
    last: int = 0
    time: str | None = None
    request_id: str | None = None
    status: int | None = None
    saved: bool = False
    done: bool = False
    path: str | None = None
    prompts: set[str] = field(default_factory=set)
    ambiguous: int = 0
    """Lines that could belong to another attempt that ran at the same time, and were left out."""
    access: str = ""
    """The access line that ended it, as written."""

    def has(self, *kinds: str) -> bool:
        """Whether evidence of one of these kinds was seen."""
        return any(e.kind in kinds for e in self.evidence)

    @property
    def about_a_picture(self) -> bool:
        """Whether this is a request for a picture at all."""
        return self.has(*_PICTURE_KINDS) or bool(
            self.path and GENERATING_PATH.search(self.path) and not OTHER_PATH.search(self.path)
        )

    @property
    def only_an_upload(self) -> bool:
        """Whether this request did nothing but store a picture for a later one."""
        return bool(self.path and UPLOAD_PATH.search(self.path)) and not self.has(
            "fal.call", "fal.queue", "payload", "model", "fal.result"
        )


class Grouping:
    """Gives each event to the attempt it belongs to."""

    def __init__(self, has_access: bool) -> None:
        self.has_access = has_access
        self.open: list[Attempt] = []
        self.closed: list[Attempt] = []
        self.common: list[Evidence] = []
        self.current: Attempt | None = None
        self.idle: bool | None = None
        """Whether nothing was told since the last attempt ended; None where nothing was told at all."""

    def seen(self, line: Line) -> None:
        """Lengthen the current attempt to this line, or begin another where a line says that a request came in."""
        newest = self.open[-1] if self.open else None
        if newest is not None and newest.about_a_picture and not line.request_id and _INCOMING.search(line.message):
            self._begin(line)
            return
        if self.current is not None and self.current in self.open:
            self.current.last = line.number

    def add(self, line: Line, event: Evidence) -> None:
        """Take one event in."""
        if event.kind in ("deployment.bind_failed", "deployment.started"):
            if event.kind == "deployment.started":
                self._close_all()
            self.common.append(event)
            return
        if event.kind == "request.access":
            self._access(line, event)
            return
        attempt = self.closed[-1] if self._raised(line) else self._owner(line, event)
        if attempt is None:
            return
        if attempt not in self.open:
            attempt.evidence.append(event)
            return
        self.idle = False
        attempt.evidence.append(event)
        attempt.keys |= keys_of(event)
        attempt.last = line.number
        attempt.time = attempt.time or line.time
        attempt.request_id = attempt.request_id or line.request_id
        attempt.saved = attempt.saved or event.kind == "record.saved"
        if event.kind == "prompt":
            attempt.prompts.add(event["text"])
        if event.kind == "payload":
            attempt.prompts.add(str(event["body"].get("prompt")))
        if "Total generate" in line.message or "generated successfully" in line.message:
            attempt.done = True
        self.current = attempt

    def _raised(self, line: Line) -> bool:
        """Whether a line is of the request just answered: some servers answer 500 first and print the exception then."""
        if self.open or not self.idle or not self.closed or self.closed[-1].status != 500:
            return False
        return line.number - self.closed[-1].last <= 2 and bool(_THEN_RAISED.search(line.message))

    def _owner(self, line: Line, event: Evidence) -> Attempt | None:
        if line.request_id and not event.kind.startswith("fal.queue"):
            known = next((a for a in self.open if a.request_id == line.request_id), None)
            if known is not None:
                return known
            anonymous = [a for a in self.open if a.request_id is None]
            return anonymous[-1] if len(anonymous) == 1 and len(self.open) == 1 else self._begin(line)
        if self._begins(line, event):
            return self._begin(line)
        keys = keys_of(event)
        sharing = [a for a in self.open if keys & a.keys]
        if len(sharing) == 1:
            return sharing[0]
        if len(self.open) == 1:
            return self.open[0]
        if not self.open:
            return self._begin(line)
        if line.message.startswith("   ") and self.current in self.open:
            return self.current  # an indented line goes on with what was said before it
        return self._fitting(event)

    def _fitting(self, event: Evidence) -> Attempt | None:
        """The one open attempt this event can belong to, else none."""
        fit = self.open
        if event.kind == "fal.call":
            fit = [
                a for a in self.open if any(e.kind in ("model", "payload") and _expects(e, event) for e in a.evidence)
            ]
        elif event.kind == "storage.upload":
            fit = [a for a in self.open if a.has("upload.started") and not a.has("storage.upload")]
        elif event.kind in ("decode.done", "decode.failed", "upload.started"):
            fit = [a for a in self.open if _received(a) and not a.has("fal.call", "payload")]
        if len(fit) == 1:
            return fit[0]
        for attempt in self.open:
            attempt.ambiguous += 1
        return None

    def _begins(self, line: Line, event: Evidence) -> bool:
        if not _START.search(line.message) and event.kind != "supabase.call":
            first = _FIRST.search(line.message)
            return bool(
                first and first[1] == "1" and self.current and self.current.has("fal.call") and not self.has_access
            )
        if not self.open:
            return True
        if event.kind == "supabase.call" and event["service"] != "auth":
            return False
        newest = self.current if self.current in self.open else self.open[-1]
        return newest.about_a_picture or (event.kind == "supabase.call" and newest.has("supabase.call"))

    def _begin(self, line: Line) -> Attempt:
        if not self.has_access or all(a.done for a in self.open):
            self._close_all()
        if len(self.open) >= MAX_OPEN:
            oldest = self.open.pop(0)
            self.closed += [oldest] if oldest.about_a_picture else []
        attempt = Attempt(first=line.number, last=line.number, time=line.time, request_id=line.request_id)
        self.open.append(attempt)
        self.current = attempt
        return attempt

    def _access(self, line: Line, event: Evidence) -> None:
        path, method = event["path"], event["method"]
        candidates = [a for a in self.open if line.request_id and a.request_id == line.request_id] or list(self.open)
        if method in ("GET", "HEAD", "OPTIONS") or OTHER_PATH.search(path):
            idle = [a for a in candidates if not a.about_a_picture]
            if idle and method != "OPTIONS":
                self.open.remove(idle[-1])
            return
        if not candidates and self._again(line, event):
            return
        if not candidates:
            candidates = [self._begin(line)]
        generating = bool(GENERATING_PATH.search(path)) or bool(UPLOAD_PATH.search(path))
        busy = [a for a in candidates if a.about_a_picture] if len(candidates) > 1 else candidates
        fitting = [a for a in busy if _ended_with(a, event["status"])] or busy or candidates
        attempt = next((a for a in fitting if a.done), fitting[0])
        attempt.path = path
        attempt.last = line.number
        attempt.access = line.message
        attempt.time = attempt.time or line.time
        if len(fitting) == 1:
            attempt.evidence.append(event)
            attempt.status = event["status"]
        self.open.remove(attempt)
        self.idle = True
        if generating or attempt.about_a_picture:
            self.closed.append(attempt)

    def _again(self, line: Line, event: Evidence) -> bool:
        """Whether an access line repeats the last: printed twice, or by the proxy that stands before the backend."""
        last = self.closed[-1] if self.closed else None
        if last is None or not self.idle or last.path != event["path"] or last.status != event["status"]:
            return False
        return same_access(line.message, last.access)

    def _close_all(self) -> None:
        self.closed += [a for a in self.open if a.about_a_picture]
        self.open.clear()
        self.current = None

    def finish(self) -> list[Attempt]:
        """All attempts, oldest first."""
        self._close_all()
        self.closed.sort(key=lambda a: a.last)
        attempts = _continued(self.closed)
        for attempt in attempts:
            attempt.evidence = _joined(attempt)
        return _untangled(attempts)


def settled(attempt: Attempt) -> bool:
    """Whether no later attempt can be a part of this one, or be taken for it: see `_continued` and `_untangled`."""
    accepted = attempt.status is not None and attempt.status < 300 and not attempt.has(*_WORK_KINDS)
    calls = {
        (e["model"] or e["app"], e["status"])
        for e in attempt.evidence
        if (e.kind == "fal.call" and e["final"]) or (e.kind == "fal.queue" and e["step"] in _Queue.ENDS)
    }
    return not (attempt.only_an_upload or accepted or len(calls) > 1)


def keys_of(event: Evidence) -> set[str]:
    """What ties an event to an attempt: uuids of paths, addresses of pictures, fal's request id."""
    found: set[str] = set()
    for name in ("path", "url", "text", "input", "request_id"):
        value = event[name]
        if isinstance(value, str):
            found.update(wording.last_uuid(value[:2000]))
            if name == "path":
                found.add(re.sub(r"^.*/|\.\w+$", "", value))
            if value.startswith("http"):
                found.add(value.rstrip("?"))
    if event.kind == "payload":
        for key in ("image_url", "image_urls", "image"):
            value = event["body"].get(key)
            for url in value if isinstance(value, list) else [value]:
                if isinstance(url, str) and url.startswith("http"):
                    found.update(wording.last_uuid(url))
    return found


def same_access(one: str, other: str) -> bool:
    """Whether two access lines of the same path and status are of one request: the same, or by different writers."""
    return one == other or _shape(one) != _shape(other)


def _shape(text: str) -> str:
    return re.sub(r"[\d.]+", "0", text)


def _expects(said: Evidence, call: Evidence) -> bool:
    return bool(said["model"] == call["model"])


def _received(attempt: Attempt) -> bool:
    counts = [e for e in attempt.evidence if e.kind in ("request.count", "request.received")]
    return not counts or any(e["images"] for e in counts)


def _ended_with(attempt: Attempt, code: int) -> bool:
    """Whether an attempt can have been answered so: a picture was made for 2xx, none for the rest."""
    good = attempt.has("fal.result", "fal.picture") or any(
        e.kind == "fal.call" and isinstance(e["status"], int) and e["status"] < 300 for e in attempt.evidence
    )
    return good if code < 300 else not attempt.done


# --- attempts that are parts of one another ---------------------------------------------------------------------------


def _continued(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Joins what one picture took: an upload before its request, and the work that went on after the answer."""
    kept: list[Attempt] = []
    upload: Attempt | None = None
    for attempt in attempts:
        before = kept[-1] if kept else None
        if attempt.only_an_upload:
            if upload is not None:
                kept.append(upload)
            upload = attempt
            continue
        if upload is not None:
            if not attempt.has(*_INPUT_KINDS[:-1]) and upload.last < attempt.last:
                _absorb(attempt, upload, [e for e in upload.evidence if e.kind in _INPUT_KINDS])
            else:
                kept.append(upload)
            upload = None
        if before is not None and _goes_on(before, attempt):
            _absorb(attempt, before, before.evidence)
            attempt.status, attempt.path = before.status, before.path
            kept[-1] = attempt
        else:
            kept.append(attempt)
    return kept if upload is None else [*kept, upload]


def _goes_on(answered: Attempt, work: Attempt) -> bool:
    """Whether a request was answered before its work began: accepted first, done in the background."""
    accepted = answered.status is not None and answered.status < 300 and not answered.has(*_WORK_KINDS)
    return (
        accepted
        and work.status is None
        and work.has("fal.call", "fal.queue", "storage.upload", "model")
        and work.first > answered.last
    )


def _absorb(attempt: Attempt, other: Attempt, evidence: Sequence[Evidence]) -> None:
    attempt.evidence = [*evidence, *attempt.evidence]
    attempt.keys |= other.keys
    attempt.prompts |= other.prompts
    attempt.first = min(attempt.first, other.first)
    attempt.time = other.time or attempt.time
    attempt.ambiguous += other.ambiguous


# --- events that explain each other -----------------------------------------------------------------------------------


def _joined(attempt: Attempt) -> list[Evidence]:
    """Queue results joined to their submits, counts summed to one receipt, a payload and a refusal given their model."""
    evidence: list[Evidence] = []
    queue = _Queue()
    payload: Evidence | None = None
    counts = [e for e in attempt.evidence if e.kind == "request.count"]
    for e in attempt.evidence:
        if e.kind == "request.count":
            continue
        if e.kind == "payload":
            payload = e
        if e.kind == "fal.call":
            if payload is not None and payload["model"] is None:
                known = Evidence("payload", payload.source, payload.witness, {**payload.fields, "model": e["model"]})
                evidence = [known if old is payload else old for old in evidence]
                payload = None
            if e["queue"] and not e["final"]:
                queue.submitted(e)
        if e.kind == "fal.queue":
            evidence += queue.step(e)
            continue
        evidence.append(e)
    evidence = _with_models(_placed(evidence))
    evidence += _emptiness(attempt, evidence)
    evidence = _ended(attempt, evidence)
    if counts:
        total = sum(e["images"] for e in counts)
        names = [e["name"] for e in counts if e["images"]]
        evidence.insert(
            0,
            Evidence(
                "request.received", counts[-1].source, Witness.LOGGED, {"images": total, "names": names, "by": "log"}
            ),
        )
    return evidence


class _Queue:
    """fal's queue: which model a request id stands for.

    It answers a bad payload only when the result is fetched, at an address without the model's sub-path; the id is
    first seen when the status is asked for, which follows the submit.
    """

    ENDS = ("result", "response")

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.seen: set[str] = set()
        self.models: dict[str, str | None] = {}

    def submitted(self, call: Evidence) -> None:
        """A submit that was accepted; the same line printed twice is one submit."""
        model = str(call["model"])
        self.seen.add(model)
        if self.waiting[-1:] != [model]:
            self.waiting.append(model)

    def step(self, step: Evidence) -> Iterator[Evidence]:
        """A status or result that was fetched: the result ends the call."""
        model = self._model(step)
        if step["step"] not in self.ENDS:
            return
        status = step["status"]
        if model is not None:
            fields = {
                "model": model,
                "status": status,
                "method": "GET",
                "queue": True,
                "final": True,
                "request_id": step["request_id"],
            }
            yield Evidence("fal.call", step.source, step.witness, fields)
        elif isinstance(status, int) and status >= 400:
            told: dict[str, Any] = {
                "status": status,
                "type": None,
                "message": None,
                "loc": [],
                "input": None,
                "text": "",
            }
            yield Evidence("fal.error", step.source, step.witness, told)
        else:
            yield Evidence("fal.result", step.source, step.witness, {"pictures": 1})

    def _model(self, step: Evidence) -> str | None:
        name = step["request_id"]
        if name in self.models:
            return self.models[name]
        waiting = {m for m in self.waiting if m == step["app"] or m.startswith(step["app"] + "/")}
        known = waiting or {m for m in self.seen if m == step["app"] or m.startswith(step["app"] + "/")}
        model = known.pop() if len(known) == 1 else None
        if model in self.waiting:
            self.waiting.remove(model)
        self.models[name] = model
        return model


def _placed(evidence: list[Evidence]) -> list[Evidence]:
    """A generation that failed for want of an answer, after its model was named or its queue was asked, waited for fal."""
    placed: list[Evidence] = []
    begun = False
    for e in evidence:
        begun = begun or e.kind in ("model", "payload", "fal.call", "fal.queue")
        if begun and e.kind == "error" and e["stage"] == "generation" and e["network"] and not e["service"]:
            e = Evidence(e.kind, e.source, e.witness, {**e.fields, "service": wording.FAL})
        placed.append(e)
    return placed


def _with_models(evidence: list[Evidence]) -> list[Evidence]:
    """fal's words given the model they are about: that of the refused call beside them, else the one named last before them."""
    told: list[Evidence] = []
    for index, e in enumerate(evidence):
        if e.kind == "fal.error" and not e["model"]:
            model = _refused_model(e, evidence, index)
            if model is not None:
                e = Evidence(e.kind, e.source, e.witness, {**e.fields, "model": model})
        told.append(e)
    return told


def _refused_model(said: Evidence, evidence: Sequence[Evidence], index: int) -> str | None:
    def fits(call: Evidence) -> bool:
        return (
            call.kind == "fal.call"
            and isinstance(call["status"], int)
            and call["status"] >= 400
            and said["status"] in (None, call["status"])
        )

    before = next((e for e in reversed(evidence[:index]) if fits(e)), None)
    after = next((e for e in evidence[index + 1 :] if e.kind == "fal.call"), None)
    if before is not None:
        return str(before["model"])
    if after is not None and fits(after):
        return str(after["model"])
    named = next((e for e in reversed(evidence[:index]) if e.kind in ("fal.call", "model") and e["model"]), None)
    if named is None or (named.kind == "fal.call" and named["final"]):
        return None
    return str(named["model"])


def _ended(attempt: Attempt, evidence: list[Evidence]) -> list[Evidence]:
    """A failure after which the backend went on keeps its mark only where nothing tells how that ended."""
    marked = [index for index, e in enumerate(evidence) if e["goes_on"]]
    if not marked:
        return evidence
    known = attempt.status is not None and attempt.status >= 400
    later = any(e.kind in ("fal.call", "fal.error", "fal.result", "fal.empty") for e in evidence[marked[-1] + 1 :])
    if not (known or later):
        return evidence
    return [
        Evidence(e.kind, e.source, e.witness, {k: v for k, v in e.fields.items() if k != "goes_on"})
        if e["goes_on"]
        else e
        for e in evidence
    ]


def _emptiness(attempt: Attempt, evidence: Sequence[Evidence]) -> Iterator[Evidence]:
    """fal answered 200 and the backend found no picture where it looked for one."""
    if attempt.status is None or attempt.status < 400 or any(e.kind == "fal.empty" for e in evidence):
        return
    calls = [i for i, e in enumerate(evidence) if e.kind == "fal.call" and e["final"]]
    if not calls or evidence[calls[-1]]["status"] != 200:
        return
    for e in evidence[calls[-1] + 1 :]:
        text = e["text"]
        if e.kind in ("error", "deployment.exception") and isinstance(text, str) and wording.EMPTY_ANSWER.search(text):
            yield Evidence("fal.empty", e.source, Witness.LOGGED, {"text": text[:300]})
            return


def _untangled(attempts: list[Attempt]) -> list[Attempt]:
    """Calls of two requests that ran at once and left nothing else cannot be told apart: they are left out."""
    for one, two in pairwise(attempts):
        calls = [e for e in one.evidence if e.kind == "fal.call" and e["final"]]
        alone = (
            not two.has("fal.call", "error", "model", "request.received")
            and two.status is not None
            and two.status < 300
        )
        if alone and len({(c["model"], c["status"]) for c in calls}) > 1:
            one.evidence = [e for e in one.evidence if e.kind != "fal.call"]
            one.ambiguous += len(calls)
            two.ambiguous += len(calls)
    return attempts
