"""Reads a backend's log into attempts: every request for a picture, with the evidence its lines give.

Nothing here depends on one backend's prefixes: a line is looked at for what stands in it, whatever stands before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from diagnose.collect import loose_json, wording
from diagnose.collect.text import strip_ansi, unescape
from diagnose.model import Evidence, Witness

MAX_BLOCK = 400
"""Lines that one payload or traceback may span."""

_PREFIX = re.compile(
    r"^(?:\S{1,60}\s+\|\s)?"
    r"(?:[A-Z][a-z]{2}\s+\d+ [\d:]{8} \S+ \S+?(?:\[\d+\])?: )?"
    r"(?:\[?\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?\]?[\s|:-]*)*"
)
_LEVEL = re.compile(
    r"^(?:\[(?P<logger0>[\w.]+)\]\s*)?\[?(?P<level>DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|SUCCESS)\]?"
    r"(?::(?P<logger>[\w.\-]+):|\s*\|\s*(?P<logger2>[\w.]+(?::[\w<>]+)*(?::\d+)?)\s*[-|]\s|(?P<plain>:|\s+-)?)(?P<rest>.*)$",
    re.S,
)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?")
_METHOD_URL = re.compile(r"\b(GET|POST|PUT|PATCH|HEAD|DELETE)\b[\s\"':,\w(]{0,24}?(https?://[^\s\"'<>,)\]]+)")
_URLLIB3 = re.compile(r"(https?://[\w.\-]+)(?::\d+)? \"(GET|POST|PUT|HEAD) (/\S*) HTTP/[\d.]+\" (\d{3})")
_URL_METHOD = re.compile(r"(https?://[^\s\"'<>,)\]]+)")
_HTTP_STATUS = re.compile(
    r"HTTP/\d(?:\.\d)?\"? (\d{3})|(?:->|→|=>|status(?:[ _]?code)?[\s\"'=:]{1,4}|returned |responded )\s*(\d{3})\b|[\s(\[](\d{3})(?: [A-Z]|[)\]\s]|$)"
)
_ACCESS = re.compile(r"\"?\b(GET|POST|PUT|PATCH|OPTIONS|HEAD|DELETE) (/[^\s\"?]*)[^\s\"]*(?: HTTP/[\d.]+)?\"?[\s:>=-]{1,4}(\d{3})\b")
_GENERATING_PATH = re.compile(r"generat|image|img|picture|photo|edit|render|predict|flux|fal|create|batch|transform|draw", re.I)
_OTHER_PATH = re.compile(r"health|ready|debug|login|auth|static|metrics|docs|openapi|favicon|profile|webhook", re.I)
_UPLOAD_PATH = re.compile(r"upload|files?$|media$|assets?$", re.I)
_MODEL = re.compile(r"\b(fal-ai/[\w.\-]+(?:/[\w.\-]+)*)")
_MODEL_LABEL = re.compile(r"(?:\bmodel(?:_name|_id|_endpoint)?|\bendpoint)\s*[=:]\s*['\"]?([\w.\-]+/[\w.\-/]+)", re.I)
_MODE = re.compile(r"\b(image-to-image|text-to-image|img2img|txt2img|image2image|text2image)\b", re.I)
_INIT = re.compile(r"\b(?:init[ _]image(?:[ _]url)?|image_url|reference(?:_image)?_url)\s*[:=]\s*(\S+)", re.I)
_COUNT = re.compile(r"(?P<name>Product|Face|Background|Reference|Input|Init)[ _]images?\s*[:=]\s*(?P<value>\d+|yes|no|true|false|none)\b", re.I)
_RECEIVED_NONE = re.compile(r"\bno (?:reference |input |init )?images? (?:was |were )?(?:received|provided|uploaded|sent|in request)|without (?:a )?reference|\(no reference\)", re.I)
_RECEIVED_FILE = re.compile(r"[Rr]eceived (?:image file upload|image|file|upload|reference image)\b:?\s*(?P<name>\S*)")
_PREPROCESSED = re.compile(r"Input validation passed|reprocessing complete|Normalized resolution|Final resize|[Dd]ecoded (?:reference |input )?image")
_PREPROCESSING = re.compile(r"Preprocessing (?P<name>\w+)")
_UPLOADED = re.compile(r"uploaded (?:successfully|to \w+[\w ]*successfully)|Supabase upload response: UploadResponse\(")
_UPLOADING = re.compile(r"Uploading (?:preprocessed )?\w* ?(?:image )?(?:to Supabase|\(size)|📤 Uploading", re.I)
_PUBLIC_URL = re.compile(r"https?://[^\s\"'<>)\]]+/storage/v1/object/(?:public|sign)/[^\s\"'<>)\]]+")
_PAYLOAD_MARK = re.compile(r"PAYLOAD|payload|[Rr]equest body|arguments|Sending to fal", re.S)
_RESULT = re.compile(r"Extracted (\d+) image URL|Successfully generated (\d+)/\d+|Generated (\d+) images?\b|Image saved|images? generated successfully", re.I)
_NO_RESULT = re.compile(r"No image URL found|no images? (?:returned|in (?:the )?response|found in)|returned no images?|empty images? (?:list|array)", re.I)
_SAVE_FAILED = re.compile(r"Failed to (?:save|load) prompt log: (.*)")
_SAVED = re.compile(r"Prompt saved to|prompt log saved|Saved prompt log", re.I)
_BIND = re.compile(r"address already in use|only one usage of each socket address|Errno (?:98|10048|48)\b")
_UNHANDLED = re.compile(r"Exception in ASGI application|Unhandled exception|Internal Server Error: /|Exception on /")
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Timeout|Warning|Interrupt|Refused|Exit)): ?(.*)$|^([A-Za-z_][\w.]*(?:Error|Exception|Timeout))$")
_STARTED = re.compile(r"Started server process|Uvicorn running on|Listening at:|Booting worker")
_ERROR_WORDS = re.compile(r"fail|error|exception|refused|denied|invalid|missing|not found|timed out|rejected|cannot|unable|gagal", re.I)
_BENIGN = re.compile(r"^\s*(?:Error type|File size|Content-Type|Bucket|Path|Input type|File content type|Full traceback)\b|fallback to heuristic|^\s*Skipping image|embed trends")
_FIRST = re.compile(r"\bimage (\d+)/\d+")
_START = re.compile(r"Images? received from|Received image file upload|/auth/v1/user|Generating panel|[Nn]ew generat\w+ request|Received generat\w+ request")
_REQUEST_ID = re.compile(r"\b(?:request_id|req_id|x-request-id|trace_id|correlation_id|rid)[\"']?\s*[=:]\s*[\"']?([\w-]{6,64})")
_PROMPT = re.compile(r"^\s*Prompt: (.+)$", re.S)
_EXPECTED = re.compile(r"←|<--|⇐|â†")
_CLAIMED_STATUS = {"yes": True, "true": True, "no": False, "none": False, "false": False, "null": False}


@dataclass(frozen=True, slots=True)
class Line:
    """One record of a log."""

    number: int
    message: str
    level: str = ""
    logger: str = ""
    request_id: str | None = None
    time: str | None = None
    extras: dict[str, Any] = field(default_factory=dict)


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

    def has(self, *kinds: str) -> bool:
        return any(e.kind in kinds for e in self.evidence)

    @property
    def about_a_picture(self) -> bool:
        """Whether this is a request for a picture at all."""
        return self.has(*_PICTURE_KINDS) or bool(self.path and _GENERATING_PATH.search(self.path) and not _OTHER_PATH.search(self.path))


_PICTURE_KINDS = (
    "fal.call", "payload", "model", "request.received", "upload.started", "storage.upload", "decode.failed", "decode.done", "storage.error",
    "fal.error",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BackendLog:
    """A log, read."""

    attempts: tuple[Attempt, ...]
    common: tuple[Evidence, ...]
    """Evidence that belongs to no one attempt: a port that was taken, a process that started."""
    recognised: int
    """Lines in which something was recognised."""


def records(text: str, first: int = 1) -> Iterator[Line]:
    """The log's records, prefixes taken off."""
    for number, raw in enumerate(text.split("\n"), first):
        yield record(number, raw)


def record(number: int, raw: str) -> Line:
    """One raw line without its prefixes."""
    raw = unescape(strip_ansi(raw))[: wording.MAX_TEXT * 4]
    time = _TIME.search(raw[:80])
    body = _PREFIX.sub("", raw, count=1)
    stripped = body.lstrip()
    if stripped.startswith("{") and stripped.rstrip().endswith("}"):
        parsed = _json_record(number, stripped)
        if parsed is not None:
            return parsed
    matched = _LEVEL.match(body)
    stamp = time[0] if time else None
    if matched is None:
        return Line(number, body, time=stamp)
    rest = matched["rest"]
    logger = matched["logger"] or matched["logger2"] or matched["logger0"] or ""
    if matched["plain"] and rest.startswith("    "):
        rest = rest.strip()  # uvicorn pads its own prefix
    elif not matched["logger"]:
        rest = rest.removeprefix(": ").removeprefix(" ")
        if matched["logger0"]:
            rest = rest.removeprefix(": ").lstrip(":").strip()
    return Line(number, rest, matched["level"], logger, _own_id(rest), stamp)


def _json_record(number: int, text: str) -> Line | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    message = next((value[k] for k in ("message", "msg", "event", "log", "text") if isinstance(value.get(k), str)), None)
    if message is None:
        return None
    inner = record(number, message) if message[:1] in "{[I" or message[:5] in ("ERROR", "WARNI") else None
    given = next((value[k] for k in ("request_id", "req_id", "requestId", "trace_id", "correlation_id") if value.get(k)), None)
    level = str(value.get("levelname") or value.get("level") or value.get("severity") or "").upper()
    logger = str(value.get("name") or value.get("logger") or "")
    time = next((value[k] for k in ("asctime", "timestamp", "time", "ts") if isinstance(value.get(k), str)), None)
    trace = next((value[k] for k in ("exc_info", "exception", "traceback", "stack") if isinstance(value.get(k), str)), None)
    body = inner.message if inner else message
    if trace:
        body = f"{body}: {trace.strip().splitlines()[-1]}"
    return Line(number, body, (inner.level if inner else "") or level, (inner.logger if inner else "") or logger,
                str(given) if given else _own_id(body), time, value)  # fmt: skip


def _own_id(text: str) -> str | None:
    found = _REQUEST_ID.search(text)
    return found[1] if found else None


def read(text: str, name: str, first: int = 1) -> BackendLog:
    """The attempts in a log, oldest first. `first` is the number of its first line in the file."""
    grouping = _Grouping(name, has_access='"POST ' in text or '"method": "POST"' in text or '"method":"POST"' in text)
    lines = list(records(text, first))
    index = 0
    recognised = 0
    while index < len(lines):
        used, events = _block(lines, index, name)
        for line in lines[index : index + used]:
            grouping.seen(line)
        for event in events:
            recognised += 1
            grouping.add(lines[index], event)
        index += used
    return BackendLog(tuple(grouping.finish()), tuple(grouping.common), recognised)


def _block(lines: list[Line], index: int, name: str) -> tuple[int, list[Evidence]]:
    """How many records the event at `index` spans, and its evidence."""
    line = lines[index]
    text = line.message.strip()
    if text.startswith("Traceback (most recent call last)"):
        return _traceback(lines, index, name)
    if text in ("{", "[") or (text[:1] == "{" and text[-1:] != "}" and '"' in text):
        spanned = _payload_block(lines, index, name)
        if spanned is not None:
            return spanned
    return 1, list(_events(line, name))


def _traceback(lines: list[Line], index: int, name: str) -> tuple[int, list[Evidence]]:
    """A traceback is read to its last exception; chained ones are of the same failure."""
    end, last = index + 1, None
    while end < len(lines) and end - index < MAX_BLOCK:
        message = lines[end].message
        final = _EXCEPTION.match(message)
        if final:
            last = (lines[end], message)
        elif not (message.startswith((" ", "Traceback", "During handling", "The above exception")) or not message.strip()
                  or message.startswith("For more information check")):  # fmt: skip
            break
        end += 1
    if last is None:
        return 1, []
    line, message = last
    source = f"{name}:{line.number}"
    evidence = list(wording.read(message, source))
    matched = _EXCEPTION.match(message)
    kind = (matched[1] or matched[3]) if matched else "Exception"
    evidence.append(Evidence("deployment.exception", source, Witness.LOGGED, {"type": kind, "text": message[:400]}))
    return end - index, evidence


def _payload_block(lines: list[Line], index: int, name: str) -> tuple[int, list[Evidence]] | None:
    """A JSON object over several records, prefixed or bare."""
    depth, parts = 0, []
    for end in range(index, min(len(lines), index + MAX_BLOCK)):
        message = lines[end].message
        parts.append(message)
        bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', message)
        depth += bare.count("{") + bare.count("[") - bare.count("}") - bare.count("]")
        if depth <= 0:
            try:
                value = loose_json.parse("\n".join(parts)).value
            except loose_json.NotJson:
                return None
            if not isinstance(value, dict):
                return None
            claimed = any(_EXPECTED.search(part) for part in parts)
            return end - index + 1, list(_payload(value, f"{name}:{lines[index].number}", claimed))
    return None


def _payload(value: dict[str, Any], source: str, claimed: bool = False) -> Iterator[Evidence]:
    """The body that is about to be posted."""
    inner = next((value[k] for k in ("input", "arguments", "payload", "body", "json") if isinstance(value.get(k), dict)), value)
    if "prompt" not in inner or not isinstance(inner.get("prompt"), str):
        return
    body = {k: v for k, v in inner.items() if not k.endswith("_full")}
    for key in wording_full_keys(inner):
        body[key.removesuffix("_full")] = inner[key]
    model = next((v for k in ("model", "endpoint", "application") if isinstance(v := value.get(k), str) and "/" in v), None)
    if value is inner:
        body.pop("model", None)
    fields = {"body": body, "model": model, "complete": True}
    yield Evidence("payload", source, Witness.CLAIMED if claimed else Witness.SENT, fields)


def wording_full_keys(value: dict[str, Any]) -> list[str]:
    """Keys that repeat a shortened URL at full length and were not sent."""
    return [k for k in value if k.endswith("_full") and k.removesuffix("_full") in value]


def _events(line: Line, name: str) -> Iterator[Evidence]:
    """The evidence in one record."""
    text, source = line.message, f"{name}:{line.number}"
    if not text.strip():
        return
    claimed = bool(_EXPECTED.search(text))
    exchange = _exchange(line, source)
    events = exchange if exchange is not None else list(_words(line, source))
    for event in events:
        if claimed and event.witness is not Witness.WIRE:
            yield Evidence(event.kind, event.source, Witness.CLAIMED, event.fields)
        else:
            yield event


def _exchange(line: Line, source: str) -> list[Evidence] | None:
    """What a line that an HTTP client or server wrote of its own exchange proves; None for any other line."""
    text = line.message
    fields = line.extras
    url = fields.get("url") or fields.get("http_url")
    code = fields.get("status_code") or fields.get("status")
    path = fields.get("path")
    method = str(fields.get("method") or "POST").upper()
    if isinstance(code, int) and isinstance(url, str) and "://" in url:
        return list(wording.exchange(method, url, code, source))
    if isinstance(code, int) and isinstance(path, str) and fields.get("method"):
        return [Evidence("request.access", source, Witness.WIRE, {"method": method, "path": path, "status": code})]
    if "://" in text:
        return _client(text, source)
    access = _ACCESS.search(text)
    if access is None:
        return None
    return [Evidence("request.access", source, Witness.WIRE, {"method": access[1], "path": access[2], "status": int(access[3])})]


def _client(text: str, source: str) -> list[Evidence] | None:
    """The line of an HTTP client: method, address and status, in any dress."""
    debug = _URLLIB3.search(text)
    if debug:
        return list(wording.exchange(debug[2], debug[1] + debug[3], int(debug[4]), source))
    called = _METHOD_URL.search(text)
    status = _HTTP_STATUS.search(text[called.end() :]) if called else None
    if called and status:
        return list(wording.exchange(called[1], called[2].rstrip("\"'"), int(next(g for g in status.groups() if g)), source))
    access = _ACCESS.search(text)  # an access line can carry a referrer
    if access and not called and access.start() < text.index("://"):
        return [Evidence("request.access", source, Witness.WIRE, {"method": access[1], "path": access[2], "status": int(access[3])})]
    return None


def _words(line: Line, source: str) -> Iterator[Evidence]:
    """Lines in which the backend says something of its own work."""
    text = line.message

    def logged(kind: str, **fields: Any) -> Evidence:
        return Evidence(kind, source, Witness.LOGGED, fields)

    if _BIND.search(text):
        yield logged("deployment.bind_failed", text=text[:300])
        return
    if _STARTED.search(text):
        yield logged("deployment.started", text=text[:300])
        return
    save = _SAVE_FAILED.search(text)
    if save:
        yield logged("record.save_failed", text=save[1][:300], loading="load" in text)
        return
    if _UNHANDLED.search(text):
        yield logged("deployment.exception", type="unhandled", text=text[:300])
        return
    troubled = line.level in ("ERROR", "CRITICAL", "WARNING", "WARN") or bool(_ERROR_WORDS.search(text))
    if troubled and not _BENIGN.search(text) and not _RESULT.search(text):
        if not (line.level in ("INFO", "DEBUG") and not re.search(r"fail|error|gagal", text, re.I)):
            yield from wording.read(text, source)
            if _NO_RESULT.search(text):
                yield logged("fal.empty", text=text[:300])
            return
    yield from _progress(text, source, line)


def _progress(text: str, source: str, line: Line) -> Iterator[Evidence]:
    def logged(kind: str, **fields: Any) -> Evidence:
        return Evidence(kind, source, Witness.LOGGED, fields)

    def forecast(kind: str, **fields: Any) -> Evidence:
        return Evidence(kind, source, Witness.FORECAST, fields)

    count = _COUNT.search(text)
    if count and "preprocess" not in text.lower():
        value = count["value"].lower()
        number = int(value) if value.isdigit() else int(bool(_CLAIMED_STATUS.get(value)))
        yield logged("request.count", name=count["name"].lower(), images=number)
        return
    file = _RECEIVED_FILE.search(text)
    if file and "frontend" not in text:
        yield logged("request.received", images=1, names=[file["name"]], by="log")
        return
    if _RECEIVED_NONE.search(text):
        yield logged("request.received", images=0, names=[], by="log", weak=True)
    if _SAVED.search(text):
        yield logged("record.saved")
        return
    if _PREPROCESSED.search(text):
        yield logged("decode.done", text=text[:200])
        return
    preprocessing = _PREPROCESSING.search(text)
    if preprocessing:
        yield logged("request.received", images=1, names=[preprocessing["name"]], by="log")
        return
    prompt = _PROMPT.match(text)
    if prompt:
        yield logged("prompt", text=prompt[1].strip())
        return
    url = _PUBLIC_URL.search(text)
    if _UPLOADED.search(text) and not text.rstrip().endswith("..."):
        yield logged("upload.done", url=url[0] if url else None)
    elif _UPLOADING.search(text):
        yield logged("upload.started", text=text[:200])
    if url and not url[0].endswith("..."):
        yield logged("image_url", url=url[0], origin="public URL")
    else:
        init = _INIT.search(text)
        if init:
            yield from _init(init[1], source)
    result = _RESULT.search(text)
    if result:
        number = next((int(g) for g in result.groups() if g), 1)
        yield logged("fal.result", pictures=number) if number else logged("fal.empty", text=text[:300])
        return
    if _NO_RESULT.search(text):
        yield logged("fal.empty", text=text[:300])
    picture = wording._PICTURE.search(text)
    if picture and re.search(r"generated|result|output|saved", text, re.I):
        yield logged("fal.result", pictures=1, url=picture[0].rstrip("."))
    yield from _chosen(text, source, line)


def _init(value: str, source: str) -> Iterator[Evidence]:
    word = value.strip("\"',;()").lower()
    if word in ("no", "none", "null", "false", "''", ""):
        yield Evidence("image_url", source, Witness.LOGGED, {"url": None, "origin": "log"})
    elif word.startswith("http") and not word.endswith("..."):
        yield Evidence("image_url", source, Witness.LOGGED, {"url": value.strip("\"',;()"), "origin": "log"})
    elif word in ("yes", "true"):
        yield Evidence("image_url", source, Witness.FORECAST, {"url": "(said to be there)", "origin": "log"})


def _chosen(text: str, source: str, line: Line) -> Iterator[Evidence]:
    """Models and modes named before the call: a forecast."""
    model = _MODEL.search(text) or _MODEL_LABEL.search(text)
    mode = _MODE.search(text)
    if model and not re.search(r"https?://\S*$", text[: model.start()]):
        yield Evidence("model", source, Witness.FORECAST, {"model": model[1].rstrip("."), "by": line.logger or None})
    if mode and not model and not re.search(r"✅|pipeline:", text):
        word = mode[1].lower()
        derived = "image-to-image" if word in ("image-to-image", "img2img", "image2image") else "text-to-image"
        yield Evidence("mode", source, Witness.FORECAST, {"mode": derived})


# --- grouping -------------------------------------------------------------------------------------------------------


class _Grouping:
    """Gives each event to the attempt it belongs to.

    With a request id that is simple. Without one, events follow each other until the access line; when a second
    request begins before that, an event goes to the attempt that shares a key with it (a path's uuid, a URL, a
    prompt), and what could belong to either is left out rather than guessed.
    """

    def __init__(self, name: str, has_access: bool) -> None:
        self.name = name
        self.has_access = has_access
        self.open: list[Attempt] = []
        self.closed: list[Attempt] = []
        self.common: list[Evidence] = []
        self.current: Attempt | None = None

    def seen(self, line: Line) -> None:
        """Lengthen the current attempt to this line."""
        if self.current is not None and self.current in self.open:
            self.current.last = line.number

    def add(self, line: Line, event: Evidence) -> None:
        if event.kind in ("deployment.bind_failed", "deployment.started"):
            if event.kind == "deployment.started":
                self._close_all()
            self.common.append(event)
            return
        if event.kind == "request.access":
            self._access(line, event)
            return
        attempt = self._owner(line, event)
        if attempt is None:
            return
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
            fit = [a for a in self.open if any(e.kind in ("model", "payload") and _expects(e, event) for e in a.evidence)]
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
            return bool(first and first[1] == "1" and self.current and self.current.has("fal.call") and not self.has_access)
        if not self.open:
            return True
        if event.kind == "supabase.call" and event["service"] != "auth":
            return False
        newest = self.current if self.current in self.open else self.open[-1]
        return newest.about_a_picture or (event.kind == "supabase.call" and newest.has("supabase.call"))

    def _begin(self, line: Line) -> Attempt:
        if not self.has_access or all(a.done for a in self.open):
            self._close_all()
        attempt = Attempt(first=line.number, last=line.number, time=line.time, request_id=line.request_id)
        self.open.append(attempt)
        self.current = attempt
        return attempt

    def _access(self, line: Line, event: Evidence) -> None:
        path, method = event["path"], event["method"]
        candidates = [a for a in self.open if line.request_id and a.request_id == line.request_id] or list(self.open)
        if method in ("GET", "HEAD", "OPTIONS") or _OTHER_PATH.search(path):
            idle = [a for a in candidates if not a.about_a_picture]
            if idle and method != "OPTIONS":
                self.open.remove(idle[-1])
            return
        if not candidates:
            candidates = [self._begin(line)]
        generating = bool(_GENERATING_PATH.search(path))
        busy = [a for a in candidates if a.about_a_picture] if len(candidates) > 1 else candidates
        fitting = [a for a in busy if _ended_with(a, event["status"])] or busy or candidates
        attempt = next((a for a in fitting if a.done), fitting[0])
        attempt.path = path
        attempt.last = line.number
        attempt.time = attempt.time or line.time
        if len(fitting) == 1:
            attempt.evidence.append(event)
            attempt.status = event["status"]
        self.open.remove(attempt)
        if generating or attempt.about_a_picture:
            self.closed.append(attempt)

    def _close_all(self) -> None:
        self.closed += [a for a in self.open if a.about_a_picture]
        self.open.clear()
        self.current = None

    def finish(self) -> list[Attempt]:
        """All attempts, oldest first."""
        self._close_all()
        self.closed.sort(key=lambda a: a.last)
        for attempt in self.closed:
            attempt.evidence = _joined(attempt)
        return _untangled(self.closed)


def keys_of(event: Evidence) -> set[str]:
    """What ties an event to an attempt: uuids of paths, addresses of pictures, fal's request id."""
    found: set[str] = set()
    for name in ("path", "url", "text", "input", "request_id"):
        value = event[name]
        if isinstance(value, str):
            found.update(wording.last_uuid(value))
            if value.startswith("http"):
                found.add(value.rstrip("?"))
    if event.kind == "payload":
        for key in ("image_url", "image_urls", "image"):
            value = event["body"].get(key)
            for url in value if isinstance(value, list) else [value]:
                if isinstance(url, str) and url.startswith("http"):
                    found.update(wording.last_uuid(url))
    return found


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


def _joined(attempt: Attempt) -> list[Evidence]:
    """Queue results joined to their submits; counts summed to one receipt; a payload given the model it was posted to."""
    evidence: list[Evidence] = []
    submits: list[Evidence] = []
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
            if e["queue"]:
                submits.append(e)
        if e.kind == "fal.queue":
            evidence += _queue_step(e, submits)
            continue
        evidence.append(e)
    if counts:
        total = sum(e["images"] for e in counts)
        names = [e["name"] for e in counts if e["images"]]
        evidence.insert(0, Evidence("request.received", counts[-1].source, Witness.LOGGED, {"images": total, "names": names, "by": "log"}))
    return evidence


def _queue_step(step: Evidence, submits: list[Evidence]) -> Iterator[Evidence]:
    """fal's queue answers a bad payload only when the result is fetched, at an address without the model's sub-path."""
    if step["step"] not in ("result", "response"):
        return
    same = {s["model"] for s in submits if s["model"] == step["app"] or s["model"].startswith(step["app"] + "/")}
    if len(same) != 1:
        return
    fields = {"model": same.pop(), "status": step["status"], "method": "GET", "queue": True, "final": True, "request_id": step["request_id"]}
    yield Evidence("fal.call", step.source, step.witness, fields)


def _untangled(attempts: list[Attempt]) -> list[Attempt]:
    """Calls of two requests that ran at once and left nothing else cannot be told apart: they are left out."""
    for one, two in zip(attempts, attempts[1:], strict=False):
        calls = [e for e in one.evidence if e.kind == "fal.call" and e["final"]]
        alone = not two.has("fal.call", "error", "model", "request.received") and two.status is not None and two.status < 300
        if alone and len({(c["model"], c["status"]) for c in calls}) > 1:
            one.evidence = [e for e in one.evidence if e.kind != "fal.call"]
            one.ambiguous += len(calls)
            two.ambiguous += len(calls)
    return attempts
