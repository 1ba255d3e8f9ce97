"""Makes cases of what was collected: finds the attempts, joins each with its entry, request and answer, picks the subject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from diagnose import schema
from diagnose.collect import prompt_log
from diagnose.collect.text import last_uuid
from diagnose.errors import NothingReadable
from diagnose.model import Case, Evidence, Phrase, Profile, Subject, Witness

if TYPE_CHECKING:
    from diagnose.collect import Bundle, backend_log, documents


class Selector(NamedTuple):
    """Which attempt is asked about; all None: the newest."""

    entry: int | None = None
    at: str | None = None
    match: str | None = None


@dataclass
class _Row:
    """One attempt: what of it was found in the log, the prompt log, the request and the answer."""

    attempt: backend_log.Attempt | None = None
    entry: prompt_log.Entry | None = None
    entry_source: str = ""
    excerpt: bool = False
    """The entry was pasted in part: what it lacks is no fault of its writer."""
    request: documents.Exchange | None = None
    answer: documents.Exchange | None = None
    extra: list[Evidence] = field(default_factory=list)

    @property
    def keys(self) -> set[str]:
        keys = set(self.attempt.keys) if self.attempt else set()
        if self.entry is not None:
            keys |= _entry_keys(self.entry.value)
        return keys

    @property
    def time(self) -> str | None:
        stamp = self.entry.value.get("timestamp") if self.entry else None
        if isinstance(stamp, str):
            return stamp
        written = self.attempt.time if self.attempt else None
        return written or (self.request.time if self.request else None)


def cases(bundle: Bundle, profile: Profile, selector: Selector | None = None, every: bool = False) -> list[Case]:
    """The case that was asked about, or with `every` all of them, oldest first.

    Raises NothingReadable when the selector fits no attempt.
    """
    rows = _rows(bundle)
    subject = _attach(bundle, rows)
    if every:
        return [_case(row, bundle, profile, _leftover(rows, row)) for row in rows] or [
            _case(_Row(), bundle, profile, None)
        ]
    if selector is not None and (selector.entry, selector.at, selector.match) != (None, None, None):
        row = _select(rows, selector)
    else:
        row = subject or (rows[-1] if rows else _Row())
    return [_case(row, bundle, profile, _leftover(rows, row))]


# --- joining ----------------------------------------------------------------------------------------------------------


def _rows(bundle: Bundle) -> list[_Row]:
    """Attempts and entries, oldest first, each entry beside the attempt that wrote it."""
    attempts = [_Row(attempt=a) for log in bundle.logs for a in log.attempts]
    free = list(attempts)
    rows: list[_Row] = []
    saves = any(row.attempt and row.attempt.saved for row in attempts)
    for name, log in bundle.prompt_logs:
        for entry in reversed(log.entries):
            row = _partner(entry, free, saves)
            if row is None:
                rows.append(_Row(entry=entry, entry_source=name, excerpt=log.form in ("ticket", "flattened")))
                continue
            row.entry, row.entry_source = entry, name
            free = free[: free.index(row)] if row in free else free
    rows.reverse()
    return _merge(rows, attempts)


def _merge(lonely: list[_Row], attempts: list[_Row]) -> list[_Row]:
    """Entries that no attempt wrote stand before the attempts unless their time says they came later."""
    last = next((row.time for row in reversed(attempts) if row.attempt and row.attempt.time and not row.entry), None)
    later = [row for row in lonely if last and row.time and _stamp(row.time) > _stamp(last)] if last else []
    earlier = [row for row in lonely if row not in later]
    return earlier + attempts + later


def _stamp(text: str) -> str:
    return text.replace(" ", "T").replace(",", ".")[:19]


def _partner(entry: prompt_log.Entry, rows: Sequence[_Row], saves: bool) -> _Row | None:
    """The attempt that wrote an entry: by a key they share, else the newest that does not contradict it."""
    keys = _entry_keys(entry.value)
    for row in reversed(rows):
        assert row.attempt is not None
        if keys & row.attempt.keys:
            return row
    for row in reversed(rows):
        assert row.attempt is not None
        if saves and not row.attempt.saved:
            continue
        return row if _compatible(entry.value, row.attempt) else None
    return None


def _entry_keys(value: Mapping[str, Any]) -> set[str]:
    request = value.get("request") if isinstance(value.get("request"), Mapping) else {}
    sent = value.get("fal_request") if isinstance(value.get("fal_request"), Mapping) else {}
    keys: set[str] = set()
    assert isinstance(request, Mapping) and isinstance(sent, Mapping)
    addresses = [request.get("image_url"), sent.get("image_url"), sent.get("image")]
    urls = sent.get("image_urls")
    addresses += urls if isinstance(urls, list) else []
    for url in addresses:
        if isinstance(url, str) and url.startswith("http"):
            keys |= {url.rstrip("?"), *last_uuid(url)}
    if isinstance(value.get("request_id"), str):
        keys.add(value["request_id"])
    return keys


def _compatible(entry: Mapping[str, Any], attempt: backend_log.Attempt) -> bool:
    """Whether nothing the attempt shows contradicts the entry."""
    models = {e["model"] for e in attempt.evidence if e.kind in ("model", "fal.call") and e["model"]}
    sent, model = entry.get("fal_request"), _entry_model(entry)
    if not models and not attempt.saved:
        return False  # ended before a model was chosen: such an attempt leaves no entry
    if models and model and model not in models:
        return False
    if _entry_keys(entry) and any(
        e.kind == "image_url" and e["url"] and e["url"].startswith("http") for e in attempt.evidence
    ):
        return False  # both name a picture, and not the same
    prompt = sent.get("prompt") if isinstance(sent, Mapping) else None
    return not (attempt.prompts and isinstance(prompt, str)) or any(_same_prompt(prompt, p) for p in attempt.prompts)


def _same_prompt(one: str, two: str) -> bool:
    short, long = sorted(
        (" ".join(one.split()).removesuffix("..."), " ".join(two.split()).removesuffix("...")), key=len
    )
    return bool(short) and long.startswith(short[:180])


def _attach(bundle: Bundle, rows: list[_Row]) -> _Row | None:
    """Give requests and answers to the attempts they belong to; the row of the newest pair, or None."""
    pairs = _pairs(bundle.requests, bundle.responses)
    last: _Row | None = None
    bound = len(rows)
    for request, answer in reversed(pairs):
        row = _home(request, answer, rows[:bound])
        if row is None:
            row = _Row()
            rows.insert(bound, row)
        else:
            bound = rows.index(row)
        row.request, row.answer = request, answer
        shared = (request.keys if request else frozenset()) & row.keys
        if shared or (answer is not None and answer.status is not None):
            row.extra.append(Evidence("joined", "(matched)", Witness.LOGGED, {"by": "key" if shared else "answer"}))
        last = last or row
    return last


def _pairs(
    requests: Sequence[documents.Exchange], answers: Sequence[documents.Exchange]
) -> list[tuple[documents.Exchange | None, documents.Exchange | None]]:
    """Requests beside their answers, from the end: a list of each is in the order they were made."""
    longest = max(len(requests), len(answers))
    asked = [None] * (longest - len(requests)) + list(requests)
    got = [None] * (longest - len(answers)) + list(answers)
    return list(zip(asked, got, strict=True))


def _home(request: documents.Exchange | None, answer: documents.Exchange | None, rows: Sequence[_Row]) -> _Row | None:
    if request is not None and not request.arrived:
        return None  # no attempt of the backend's is this one
    keys = (answer.keys if answer else frozenset()) | (request.keys if request else frozenset())
    for row in reversed(rows):
        if keys & row.keys:
            return row
    fitting = [row for row in rows if not _contradicts(request, answer, row)]
    prompts = [row for row in fitting if request and request.prompt and _has_prompt(row, request.prompt)]
    return next(reversed(prompts or fitting), None)


def _has_prompt(row: _Row, prompt: str) -> bool:
    return bool(row.attempt) and any(_same_prompt(prompt, p) for p in row.attempt.prompts)  # type: ignore[union-attr]


def _contradicts(request: documents.Exchange | None, answer: documents.Exchange | None, row: _Row) -> bool:
    attempt, entry = row.attempt, row.entry
    if answer is not None:
        if attempt and answer.status and attempt.status and answer.status != attempt.status:
            return True
        pictures = {k for k in answer.keys if "fal.media" in k}
        logged = {k for k in row.keys if "fal.media" in k}
        if pictures and logged and not pictures & logged:
            return True
        if attempt is None and entry is not None and _no_entry_of(answer, entry):
            return True
    if request is not None and request.prompt and attempt is None and entry is not None:
        sent = entry.value.get("fal_request")
        prompt = sent.get("prompt") if isinstance(sent, Mapping) else None
        given = entry.value.get("request")
        original = given.get("original_prompt") if isinstance(given, Mapping) else None
        known = [p for p in (prompt, original) if isinstance(p, str)]
        return bool(known) and not any(_same_prompt(request.prompt, p) or request.prompt in p for p in known)
    return False


def _no_entry_of(answer: documents.Exchange, entry: prompt_log.Entry) -> bool:
    """Whether an answer shows that its attempt ended before an entry is written, or names another model."""
    model = _entry_model(entry.value)
    told = {e["model"] for e in answer.evidence if e.kind == "model" and e.source.find("debug_info") >= 0}
    if told and model and model not in told:
        return True
    if "request_id" in entry.value and "outcome" in entry.value:
        return False
    if not answer.status or answer.status < 400:
        return False
    stages = {e["stage"] for e in answer.evidence if e.kind == "error"}
    early = any(e.kind == "request.invalid" for e in answer.evidence) or stages & {"decode", "upload"}
    return bool(early) or (answer.status in (401, 402, 413, 415) and "generation" not in stages)


def _leftover(rows: Sequence[_Row], subject: _Row) -> _Row | None:
    """The newest entry, when it is not the subject's and the subject came later."""
    entries = [row for row in rows if row.entry is not None]
    if not entries or subject.entry is not None or subject not in rows:
        return None
    newest = entries[-1]
    return newest if rows.index(newest) < rows.index(subject) else None


def _select(rows: Sequence[_Row], selector: Selector) -> _Row:
    if selector.entry is not None:
        entries = [row for row in rows if row.entry is not None] or list(rows)
        index = selector.entry
        named = [row for row in entries if row.entry is not None and row.entry.index == index]
        if named:
            return named[0]
        if -len(entries) <= index < len(entries) and (index < 0 or entries[0].entry is None):
            return entries[index]
        span = f"0 to {len(entries) - 1}" if entries else "none"
        raise NothingReadable(
            Phrase(
                "--entry {index}: there is no such entry; there are {entries} ({span})",
                index=index,
                entries=len(entries),
                span=span,
            )
        )
    if selector.at is not None:
        at = _stamp(selector.at)
        timed = [row for row in rows if row.time and _stamp(row.time)[: len(at)] <= at]
        if not timed:
            raise NothingReadable(Phrase("--at {at}: no attempt at or before that time", at=selector.at))
        return max(timed, key=lambda row: _stamp(row.time or ""))
    wanted = selector.match or ""
    for row in reversed(rows):
        if wanted in _text_of(row):
            return row
    raise NothingReadable(Phrase("--match {wanted}: no attempt contains this text", wanted=repr(wanted)))


def _text_of(row: _Row) -> str:
    parts = [str(row.entry.value)] if row.entry else []
    parts += [str(dict(e.fields)) for e in (row.attempt.evidence if row.attempt else [])]
    parts += [str(dict(e.fields)) for x in (row.request, row.answer) if x for e in x.evidence]
    return "\n".join(parts)


# --- evidence ---------------------------------------------------------------------------------------------------------


def _case(row: _Row, bundle: Bundle, profile: Profile, stale: _Row | None) -> Case:
    evidence: list[Evidence] = []
    evidence += row.extra
    if row.request is not None:
        evidence += row.request.evidence
    if row.attempt is not None:
        evidence += row.attempt.evidence
    if row.answer is not None:
        evidence += row.answer.evidence
    source = None
    if row.entry is not None:
        source = f"{row.entry_source}#/{row.entry.index}"
        evidence += (e for e in entry_evidence(row.entry, source) if not (row.excerpt and e.kind == "record.invalid"))
    if stale is not None and stale.entry is not None:
        fields = {"timestamp": stale.time, "model": _entry_model(stale.entry.value)}
        evidence.append(
            Evidence("record.stale", f"{stale.entry_source}#/{stale.entry.index}", Witness.FORECAST, fields)
        )
    evidence += _record_faults(bundle)
    evidence += _newest_on_file(bundle)
    evidence += bundle.common
    evidence += [e for log in bundle.logs for e in log.common]
    evidence.append(Evidence("given", "(the evidence given)", Witness.CLAIMED, {"kinds": sorted(bundle.given)}))
    evidence += _schemas(evidence, profile)
    if source is None:
        first = row.attempt.evidence[0].source if row.attempt and row.attempt.evidence else None
        exchange = row.answer or row.request
        source = first or (exchange.evidence[0].source if exchange and exchange.evidence else None)
    index = row.entry.index if row.entry else None
    return Case(profile, tuple(evidence), Subject(index, row.time, source))


def _entry_model(entry: Mapping[str, Any]) -> str | None:
    sent = entry.get("fal_request")
    model = sent.get("model") if isinstance(sent, Mapping) else None
    return model if isinstance(model, str) else None


_FLAGS = ("has_product_images", "has_face_image", "has_background_image")
READS = (
    "timestamp",
    "generation_mode",
    "request",
    "fal_request",
    *(f"request.{flag}" for flag in _FLAGS),
    "request.num_product_images",
    "request.image_url",
    "request.has_image_url",
    "request.request_format",
    *(f"fal_request.{key}" for key in ("model", "image_url", "image_urls", "image", "strength", "image_strength")),
    *(f"fal_request.{key}" for key in ("num_inference_steps", "guidance_scale")),
    *("request_id", "outcome", "upload", "sent", "status", "fal_request_id"),
)
"""The fields of an entry from which its evidence is made, dotted; what another check reads, history keeps as it is."""


def case_of_entry(value: Mapping[str, Any], valid: bool, profile: Profile) -> Case:
    """The case of one nested entry alone, of which it is known whether it fits the schema."""
    from diagnose.collect import Bundle

    row = _Row(entry=prompt_log.Entry(0, dict(value)), entry_source="entry")
    bundle = Bundle(given={"prompt_log"})
    case = _case(row, bundle, profile, None)
    evidence = [e for e in case.evidence if e.kind != "record.invalid"]
    if not valid:
        fields = {"pointer": "/", "message": "it does not fit the schema"}
        evidence.append(Evidence("record.invalid", "entry#/0", Witness.FORECAST, fields))
    return replace(case, evidence=tuple(evidence))


def case_of_attempt(evidence: Sequence[Evidence], common: Sequence[Evidence], profile: Profile) -> Case:
    """The case of one attempt of a backend's log; `common` is what the whole log tells."""
    from diagnose.collect import Bundle
    from diagnose.collect.attempts import Attempt

    bundle = Bundle(given={"backend_log"}, common=list(common))
    return _case(_Row(attempt=Attempt(evidence=list(evidence))), bundle, profile, None)


def entry_evidence(entry: prompt_log.Entry, source: str) -> Iterator[Evidence]:
    """What one prompt-log entry tells: a forecast, except where our own generator wrote it afterwards."""
    value = dict(entry.value)
    era = prompt_log.era(value)

    def forecast(kind: str, path: str, **fields: Any) -> Evidence:
        return Evidence(kind, source + path, Witness.FORECAST, fields)

    yield forecast(
        "record.entry", "", era=era, timestamp=value.get("timestamp"), mode=value.get("generation_mode"), value=value
    )
    fault = schema.entry_fault(value)
    if fault is not None:
        yield forecast("record.invalid", fault[0], pointer=fault[0] or "/", message=fault[1])
    request = value.get("request")
    request = request if isinstance(request, Mapping) else {}
    yield from _flags(value, request, source)
    url = request.get("image_url")
    if isinstance(url, str) and url:
        yield forecast("image_url", "/request/image_url", url=url, origin="entry")
    elif "image_url" in request and url is None and prompt_log.absence_is_proved(value):
        yield forecast("image_url", "/request/image_url", url=None, origin="entry")
    sent = value.get("fal_request")
    if isinstance(sent, Mapping):
        model = sent.get("model")
        if isinstance(model, str) and model:
            yield forecast("model", "/fal_request/model", model=model, by="entry")
        body = {k: v for k, v in sent.items() if k != "model"}
        if body:
            yield forecast(
                "payload", "/fal_request", body=body, model=model if isinstance(model, str) else None, complete=True
            )
    mode = value.get("generation_mode")
    if isinstance(mode, str):
        # derived by the logger from what it was given, so the model's name outranks it
        yield forecast("mode", "/generation_mode", mode=mode, derived=True)
    if era == "own":
        yield from _own(value, source)


def _flags(value: dict[str, Any], request: Mapping[str, Any], source: str) -> Iterator[Evidence]:
    raised = [flag for flag in _FLAGS if request.get(flag) is True]
    number = request.get("num_product_images")
    if raised or (isinstance(number, int) and not isinstance(number, bool) and number > 0):
        at = f"{source}/request/{raised[0] if raised else 'num_product_images'}"
        names = [flag.removeprefix("has_") for flag in raised] or ["product_images"]
        yield Evidence(
            "request.received", at, Witness.FORECAST, {"images": max(len(raised), 1), "names": names, "by": "flags"}
        )
    elif any(flag in request for flag in _FLAGS) and prompt_log.absence_is_proved(value):
        at = f"{source}/request/{next(flag for flag in reversed(_FLAGS) if flag in request)}"
        yield Evidence("request.received", at, Witness.FORECAST, {"images": 0, "names": [], "by": "flags"})


def _own(value: Mapping[str, Any], source: str) -> Iterator[Evidence]:
    """An entry of our own generator is written after the fact: what was sent, and how it ended."""
    upload = value.get("upload")
    if isinstance(upload, Mapping) and isinstance(upload.get("status"), int):
        fields = {"host": None, "bucket": upload.get("bucket"), "path": upload.get("path"), "status": upload["status"]}
        yield Evidence("storage.upload", f"{source}/upload", Witness.LOGGED, fields)
    if isinstance(upload, Mapping) and isinstance(upload.get("error"), str):
        from diagnose.collect import wording

        yield from wording.read(upload["error"], f"{source}/upload/error")
    sent = value.get("sent")
    model = _entry_model(value)
    if isinstance(sent, Mapping) and sent:
        yield Evidence(
            "payload", f"{source}/sent", Witness.SENT, {"body": dict(sent), "model": model, "complete": True}
        )
    status = value.get("status")
    if isinstance(status, int) and not isinstance(status, bool) and model and value.get("fal_request_id"):
        fields = {
            "model": model,
            "status": status,
            "method": "POST",
            "queue": False,
            "final": True,
            "request_id": value.get("fal_request_id"),
        }
        yield Evidence("fal.call", f"{source}/status", Witness.LOGGED, fields)


def _record_faults(bundle: Bundle) -> Iterator[Evidence]:
    for name, log in bundle.prompt_logs:
        for fault in log.faults:
            at = name if fault.byte is None else f"{name}@{fault.byte}"
            yield Evidence(
                "record.fault",
                at,
                Witness.OBSERVED,
                {"kind": fault.kind, "message": fault.message, "byte": fault.byte, "entries": len(log.entries)},
            )


def _newest_on_file(bundle: Bundle) -> Iterator[Evidence]:
    """The newest entry of the file, whichever the case is about: a live look compares it with the running backend's."""
    files = [(name, log) for name, log in bundle.prompt_logs if log.entries and not name.startswith("GET ")]
    if "live" in bundle.given and files:
        name, log = files[-1]
        newest = log.entries[-1]
        fields = {"timestamp": newest.value.get("timestamp"), "model": _entry_model(newest.value)}
        yield Evidence("record.newest", f"{name}#/{newest.index}", Witness.FORECAST, fields)


def _schemas(evidence: Sequence[Evidence], profile: Profile) -> Iterator[Evidence]:
    """The input schemas of the models named: what a check needs to know of the world is evidence too."""
    named = [e["model"] for e in evidence if e.kind in ("fal.call", "model", "payload") and e["model"]]
    for model in dict.fromkeys([*named, profile.image_to_image]):
        known = schema.fal_input(model)
        if known is not None:
            date = known.get("x-date", "")
            yield Evidence(
                "fal.schema",
                f"fal's input schema of {model} ({date})",
                Witness.LOGGED,
                {"model": model, "schema": known},
            )
