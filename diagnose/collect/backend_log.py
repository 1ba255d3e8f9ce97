"""Reads a backend's log into attempts: every request for a picture, with the evidence its lines give.

Nothing here depends on one backend's prefixes or phrases: a line is looked at for what stands in it. What an HTTP client
or server wrote of its own exchange is read first; only a line that is none is read for what the backend says of its work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from diagnose.collect import loose_json, wording
from diagnose.collect.attempts import Attempt as Attempt
from diagnose.collect.attempts import Grouping
from diagnose.collect.lines import Line, exchanged, records
from diagnose.model import Evidence, Witness

MAX_DOCUMENT = 4_000_000
MIN_LINE = 4
PATIENCE = 20_000
MAX_PRINTED = 1500
MANY_PARTS = 60
MAX_BLOCK = 400
"""Lines that one payload, object or traceback may span."""

_METHOD_URL = re.compile(r"\b(GET|POST|PUT|PATCH|HEAD|DELETE)\b[\s\"':,\w(]{0,24}?(https?://[^\s\"'<>,)\]]{1,2000})")
_URLLIB3 = re.compile(r"(https?://[\w.\-]{1,200})(?::\d+)? \"(GET|POST|PUT|HEAD) (/\S{0,2000}) HTTP/[\d.]+\" (\d{3})")
_HTTP_STATUS = re.compile(
    r"HTTP/\d(?:\.\d)?\"? (\d{3})|(?:->|→|=>|status(?:[ _]?code)?[\s\"'=:]{1,4}|returned |responded(?: with)? |answered )\s*(\d{3})\b"
    r"|[\s(\[](\d{3})(?: [A-Z]|[)\]\s]|$)"
)
_URL_STATUS = re.compile(
    r"(https?://(?:queue\.)?fal\.run/[^\s\"'<>,)\]]{1,500})[\"']?\s*(?:->|→|=>|[:,]?\s*status(?:[ _]?code)?[\s=:]{1,3}|responded(?: with)?|returned|answered)\s*(\d{3})\b"
)
_ACCESS = re.compile(
    r"\"?\b(GET|POST|PUT|PATCH|OPTIONS|HEAD|DELETE) (/[^\s\"?]{0,500})[^\s\"]{0,2000}(?: HTTP/[\d.]+)?\"?[\s:>=-]{1,4}(\d{3})\b"
)
_TASK = re.compile(
    r"Task (?P<name>[\w.]+)\[[\w-]+\] (?P<end>succeeded in [\d.]+s|raised unexpected: |failed: )(?P<said>.*)", re.S
)
_MODEL = re.compile(r"\b(fal-ai/[\w.\-]+(?:/[\w.\-]+)*)")
_MODEL_LABEL = re.compile(
    r"(?:\bmodel(?:_name|_id|_endpoint)?|\bendpoint)\s{0,4}[=:]\s{0,4}['\"]?([\w.\-]{1,80}/[\w.\-/]{1,120})", re.I
)
_MODEL_STATUS = re.compile(
    r"\b(fal-ai/[\w.\-]{1,80}(?:/[\w.\-]{1,80}){0,6})['\"]?[\s,:;]{1,3}(?:HTTP )?(?:(?:status(?:[ _]?code)?|code)[\s=:]{1,3}|->|→|=>|(?:has )?(?:responded|returned|answered|replied|said)(?: with)?(?: status)?)"
    r"\s{0,2}(\d{3})\b"
)
_MODE = re.compile(r"\b(image-to-image|text-to-image|img2img|txt2img|image2image|text2image)\b", re.I)
_INSTEAD = re.compile(
    r"fall(?:ing|s)? ?back|fallback|instead\b|retry\w{0,4} (?:as|without)|continuing without|proceed\w{0,4} without|without (?:the |an? )?(?:input |reference |init )?(?:image|photo|picture|reference)"
    r"|prompt only|text mode|plain (?:model|generation)|using text|ignoring (?:it|the)|ignored\b|text only|tanpa (?:foto|gambar)|skipping (?:the )?(?:image|photo|picture)",
    re.I,
)
_GOES_ON = re.compile(
    r"\bretry(?:ing)?\b|try(?:ing)? again|attempt \d+ (?:of \d+ )?failed|attempt \d+/\d+|(?:fall(?:ing|s)? ?back|fallback)|instead\b|without (?:it|the |an? )?(?:image|photo|picture|reference)?",
    re.I,
)
_INIT = re.compile(
    r"\b(?:init[ _]image(?:[ _]url)?|image_url|reference(?:_image)?_url|public_url|signed_url)\s*[:=]\s*(\S+)", re.I
)
_COUNT = re.compile(
    r"(?P<name>Product|Face|Background|Reference|Input|Init)[ _]images?\s*[:=]\s*(?P<value>\d+|yes|no|true|false|none)\b",
    re.I,
)
_HAS = re.compile(
    r"\b(?:has_(?:init_|input_|reference_|source_)?(?:image|photo|source|reference|picture)|with_image|(?:reference |input |init )?(?:image|photo|selfie|picture|reference|source))"
    r"\s{0,3}[:=]\s{0,3}[\"']?(?P<value>yes|no|true|false|none|null|undefined)\b",
    re.I,
)
_RECEIVED_NONE = re.compile(
    r"\bno (?:reference |input |init )?images? (?:was |were )?(?:received|provided|uploaded|sent|in request)|without (?:a )?reference|\(no reference\)",
    re.I,
)
_RECEIVED_FILE = re.compile(r"[Rr]eceived (?:image file upload|image|file|upload|reference image)\b:?\s*(?P<name>\S*)")
_PREPROCESSED = re.compile(
    r"Input validation passed|reprocessing complete|Normalized resolution|Final resize|[Dd]ecoded (?:reference |input )?image"
)
_PREPROCESSING = re.compile(r"Preprocessing (?P<name>\w+)")
_UPLOADED = re.compile(
    r"uploaded (?:successfully|to \w+[\w ]*successfully)|Supabase upload response: UploadResponse\("
    r"|(?:image|photo|picture|selfie|reference|input|file|source)\s(?:was )?(?:uploaded|stored)\b|\b[Uu]ploaded (?:the )?(?:image|photo|picture|selfie|reference|input|file)\b"
    r"|\b[Ss]tored (?:the )?(?:image|photo|picture|selfie|reference|input)\b"
)
_UPLOADING = re.compile(r"Uploading (?:preprocessed )?\w* ?(?:image )?(?:to Supabase|\(size)|📤 Uploading", re.I)
_PUBLIC_URL = re.compile(r"https?://[^\s\"'<>)\]]{1,300}/storage/v1/object/(?:public|sign)/[^\s\"'<>)\]]{1,2000}")
_URL = re.compile(r"https?://[^\s\"'<>)\]]{1,2000}")
_RESULT = re.compile(
    r"Extracted (\d+) image URL|Successfully generated (\d+)/\d+|Generated (\d+) images?\b|Image saved|images? generated successfully",
    re.I,
)
_SAVE_FAILED = re.compile(r"Failed to (?:save|load) prompt log: (.*)")
_SAVED = re.compile(r"Prompt saved to|prompt log saved|Saved prompt log", re.I)
_BIND = re.compile(r"address already in use|only one usage of each socket address|Errno (?:98|10048|48)\b|EADDRINUSE")
_UNHANDLED = re.compile(
    r"Exception in ASGI application|Unhandled exception|Internal Server Error: /|Exception on /|Error handling request|[Uu]nhandled ?(?:promise )?rejection|Uncaught exception"
)
_EXCEPTION = re.compile(
    r"^([A-Za-z_][\w.]{0,120}(?:Error|Exception|Timeout|Warning|Interrupt|Refused|Exit|DoesNotExist|Configured)): ?(.*)$|^([A-Za-z_][\w.]{0,120}(?:Error|Exception|Timeout))$",
    re.S,
)
_FRAME = re.compile(
    r"^(?:\s|File |> File|[|│└>]|Traceback|During handling|The above exception|For more information check|\S{0,40}\s?\^+\s*$)"
)
_TRACEBACK = "Traceback (most recent call last)"
_ON_PURPOSE = re.compile(
    r"\bcredits?\b|\bcoins?\b|quota|not authenticated|token (?:has |is )?(?:expired|invalid)|unauthori[sz]ed|permission",
    re.I,
)
"""Exceptions with which a backend refuses a request; they are no mistake in its code."""
_STARTED = re.compile(
    r"Started server process|Uvicorn running on|Listening at:|Booting worker|celery@\S+ ready|Starting development server at|Running on http|[Ll]istening on (?:port )?\d"
)
_ERROR_WORDS = re.compile(
    r"fail|error|exception|refused|denied|invalid|missing|not found|timed? ?out|rejected|can ?not|can't|could(?: not|n't)|unable|unsupported|gagal|ignor|not stored|gave up|empty|no images?\b",
    re.I,
)
_SURELY = re.compile(r"fail|error|gagal|exception|could(?: not|n't)|timed out|rejected", re.I)
_BENIGN = re.compile(
    r"^\s*(?:Error type|File size|Content-Type|Bucket|Path|Input type|File content type|Full traceback)\b|fallback to heuristic|^\s*Skipping image|embed trends"
    r"|Retrying request to|^\s*(?:Bad Request|Bad Gateway|Not Found|Forbidden|Unauthorized|Internal Server Error|Service Unavailable|Unprocessable \w+|Gateway Timeout): /"
    r"|development server|superuser|--uid option"
)
_PROMPT = re.compile(r"^\s*Prompt: (.+)$", re.S)
_EXPECTED = re.compile(r"←|<--|⇐|â†")
_TOLD_KEY = re.compile(
    r"^\s*'?(?:url|method|status|statusText|statusCode|code|message|data|detail|error|msg|type|hostname|syscall|body|input|\[cause\])'?:|^\s*[\[\]{}]"
)
_AXIOS_URL = re.compile(r"\n[ \t]{0,40}url: '(https?://[^'\s]{1,2000})'")
_AXIOS_STATUS = re.compile(r"\n[ \t]{0,40}status: (\d{3})\b")
_AXIOS_METHOD = re.compile(r"\n[ \t]{0,40}method: '(\w{3,6})'")
_AXIOS_BODY = re.compile(r"\n[ \t]{0,40}data: '(\{[^\n]{0,8000}\})'")
_STACK = re.compile(r"^\s+at \S")
_CLAIMED_STATUS = {
    "yes": True,
    "true": True,
    "no": False,
    "none": False,
    "false": False,
    "null": False,
    "undefined": False,
}
_TROUBLED = ("ERROR", "CRITICAL", "FATAL", "WARNING", "WARN")


@dataclass(frozen=True, slots=True)
class BackendLog:
    """A log, read."""

    attempts: tuple[Attempt, ...]
    common: tuple[Evidence, ...]
    """Evidence that belongs to no one attempt: a port that was taken, a process that started."""
    recognised: int
    """Lines in which something was recognised."""


def read(text: str, name: str, first: int = 1) -> BackendLog:
    """The attempts in a log, oldest first. `first` is the number of its first line in the file."""
    if is_document(text):
        return BackendLog((), (), 0)
    events = list(told(list(records(text, first)), name))
    grouping = Grouping(has_access=any(ends_a_request(event) for one in events for event in one.events))
    recognised = sum(grouped(events, grouping))
    return BackendLog(tuple(grouping.finish()), tuple(grouping.common), recognised)


class Told(NamedTuple):
    """What one event of a log tells; it can span several records."""

    line: Line
    """Its first record."""
    last: int
    """Number of its last record."""
    events: list[Evidence]


def told(lines: Sequence[Line], name: str) -> Iterator[Told]:
    """What a log's records tell, one event after the other; together they cover every record."""
    patience = _Patience(PATIENCE + 4 * len(lines))
    index = 0
    while index < len(lines):
        line = lines[index]
        used, events = _block(lines, index, name, patience)
        yield Told(line, line.number + used - 1, events)
        index += used


def ends_a_request(event: Evidence) -> bool:
    """Whether an event is an access line as a request for a picture can end with."""
    return event.kind == "request.access" and event["method"] in ("POST", "PUT", "TASK")


def grouped(events: Iterable[Told], grouping: Grouping) -> Iterator[int]:
    """Gives one event after the other to the attempt it belongs to; how many things each told."""
    before: Line | None = None
    for line, last, found in events:
        grouping.seen(line if last == line.number else replace(line, number=last))
        twice = before is not None and line.message == before.message and line.request_id == before.request_id
        before = line
        for event in () if twice else found:  # printed twice, by two handlers
            grouping.add(line, event)
        yield 0 if twice else len(found)


def is_document(text: str) -> bool:
    """Whether a text is one JSON document over several lines, and no log."""
    stripped = text.strip() if len(text) < MAX_DOCUMENT else ""
    if stripped[:1] not in ("{", "[") or stripped[-1:] not in ("}", "]") or "\n" not in stripped:
        return False
    try:
        json.loads(stripped)
    except (ValueError, RecursionError):
        return False
    return True


# --- records that span lines ------------------------------------------------------------------------------------------


@dataclass
class _Patience:
    """How many lines may still be looked at for objects that never close: a log of nothing but `{` is read once."""

    left: int


def _block(lines: Sequence[Line], index: int, name: str, patience: _Patience) -> tuple[int, list[Evidence]]:
    """How many records the event at `index` spans, and its evidence."""
    line = lines[index]
    text = line.message.strip()
    if not text and not line.extras:
        return 1, []
    if text.startswith(_TRACEBACK):
        return _traceback(lines, index, name)
    if index + 1 < len(lines) and lines[index + 1].message.startswith(_TRACEBACK) and _announces(line):
        used, events = _traceback(lines, index + 1, name, heading=line)
        if events:
            return used + 1, events
    follower = lines[index + 1].message if index + 1 < len(lines) else ""
    opens = text in ("{", "[") and follower.lstrip()[:1] in ('"', "'", "{" if text == "[" else "}")
    if opens or (text[:1] == "{" and text[-1:] != "}" and '"' in text):
        spanned = _payload_block(lines, index, name, patience)
        if spanned is not None:
            return spanned
    if len(text) < MIN_LINE and text not in ("{", "[") and not line.extras:
        return 1, []
    if (text[-1:] in ("{", "[") and follower[:1] in (" ", "\t", "}", "]")) or _STACK.match(follower):
        used, whole = _printed(lines, index)
        found = _axios(whole, f"{name}:{line.number}") if "AxiosError" in whole.message else []
        return used, found or list(_events(whole, name))
    return 1, list(_events(line, name))


def _announces(line: Line) -> bool:
    """Whether a line says what went wrong, so that the traceback under it is of the same failure."""
    return line.level in _TROUBLED or bool(_SURELY.search(line.message) or _UNHANDLED.search(line.message))


def is_access(message: str) -> bool:
    """Whether a server's access line stands in a record."""
    return _ACCESS.search(message) is not None


def goes_on(message: str) -> bool:
    """Whether a record can belong to an object, a stack or a traceback that begins before it."""
    return (
        message[:1] in ("", " ", "\t", "}", "]", "{", '"', "'")
        or _FRAME.match(message) is not None
        or _EXCEPTION.match(message) is not None
    )


def _printed(lines: Sequence[Line], index: int) -> tuple[int, Line]:
    """What Node prints of an error or an object, over several lines, as one; the frames of its stack left out."""
    parts, end = [lines[index].message], index + 1
    while end < len(lines) and end - index < MAX_PRINTED:
        message = lines[end].message
        if not message.startswith((" ", "\t", "}", "]")) or lines[end].level:
            break
        end += 1
        if not _STACK.match(message):
            parts.append(message)
        elif message.rstrip().endswith("{"):
            parts.append("{")
        if message.startswith(("}", "]")):
            break
    if len(parts) > MANY_PARTS:  # a client's error prints its whole configuration
        parts = [parts[0], *(part for part in parts[1:] if _TOLD_KEY.match(part))]
    return end - index, replace(lines[index], message="\n".join(parts)[: wording.MAX_TEXT * 2])


def _axios(line: Line, source: str) -> list[Evidence]:
    """An error of axios prints the request with its body, and the answer."""
    text = line.message
    url, status, body = _AXIOS_URL.search(text), _AXIOS_STATUS.search(text), _AXIOS_BODY.search(text)
    if url is None:
        return []
    found: list[Evidence] = []
    if body is not None:
        with suppress(loose_json.NotJson):
            value = loose_json.parse(body[1].replace("\\'", "'")).value
            found += _payload(value, source) if isinstance(value, dict) else ()
    if status is not None:
        method = _AXIOS_METHOD.search(text)
        found += wording.exchange(method[1].upper() if method else "POST", url[1], int(status[1]), source)
    said = f"{text.splitlines()[0]} for url: {url[1]}\n{_AXIOS_BODY.sub('', text)}"
    return found + [e for e in wording.read(said, source) if e.kind != "fal.call"]


def _traceback(lines: Sequence[Line], index: int, name: str, heading: Line | None = None) -> tuple[int, list[Evidence]]:
    """A traceback is read to its last exception; chained ones are of the same failure, and often tell more."""
    end = index + 1
    finals: list[tuple[Line, str, str]] = []
    frames: list[str] = []
    while end < len(lines) and end - index < MAX_BLOCK:
        line = lines[end]
        message = (
            line.message.lstrip("| +-") if line.message.startswith(("  |", "  +", "    |", "    +")) else line.message
        )
        if _EXCEPTION.match(message):
            finals.append((line, message, "\n".join(frames)))
            frames = []
        elif not message.strip() or _FRAME.match(message):
            frames.append(message[:300])
        elif frames or not finals or line.level or line.time or len(message) > 400 or _ACCESS.search(message):
            break  # an exception's text can go on over some lines
        end += 1
    if not finals:
        return end - index, []  # frames without an exception, passed over once
    while end - 1 > index and not lines[end - 1].message.strip():
        end -= 1
    return end - index, list(_raised(finals, name, heading))


def _raised(finals: list[tuple[Line, str, str]], name: str, heading: Line | None) -> Iterator[Evidence]:
    """What the exceptions of a traceback prove; the line above it says what the backend was at."""
    said = heading.message.strip() if heading is not None and not _UNHANDLED.search(heading.message) else ""
    task = _TASK.search(said)
    line, last, _ = finals[-1]
    # in a chain the exception that was caught stands first, and the one that ended it last
    for first, message, before in finals[:-1]:
        found = list(wording.read(message, f"{name}:{first.number}", hint=wording.frames_hint(before)))
        if message != last and any(e.kind != "error" or e["stage"] for e in found):
            yield from found
    source = f"{name}:{line.number}"
    text = f"{said}: {last}" if said and task is None and last[:200] not in said else last
    hint = next((hint for _, _, before in reversed(finals) if (hint := wording.frames_hint(before))), None)
    yield from (e for e in wording.read(text, source, hint=hint) if e.kind != "deployment.exception")
    yield from _instead(said, source)
    matched = _EXCEPTION.match(last)
    kind = (matched[1] or matched[3]) if matched else "Exception"
    if not _ON_PURPOSE.search(last):
        yield Evidence("deployment.exception", source, Witness.LOGGED, {"type": kind, "text": last[:400]})
    if task is not None and heading is not None:
        yield from (e for e in _task(task, f"{name}:{heading.number}") if e.kind == "request.access")


def _payload_block(
    lines: Sequence[Line], index: int, name: str, patience: _Patience
) -> tuple[int, list[Evidence]] | None:
    """A JSON object over several records, prefixed or bare."""
    depth, parts = 0, []
    for end in range(index, min(len(lines), index + MAX_BLOCK)):
        message = lines[end].message
        parts.append(message)
        depth += _opened(message)
        patience.left -= 1
        if patience.left < 0:
            return None
        if depth > 0:
            continue
        try:
            value = loose_json.parse("\n".join(parts)).value
        except loose_json.NotJson:
            return None
        if not isinstance(value, dict):
            return None
        patience.left += len(parts)
        claimed = any(_EXPECTED.search(part) for part in parts)
        events = list(_payload(value, f"{name}:{lines[index].number}", claimed))
        if not events and value.keys() & _ANSWER_KEYS:  # an answer of fal or Storage, printed
            whole = " ".join(part.strip() for part in parts)[: wording.MAX_TEXT]
            events = list(_events(replace(lines[index], message=whole), name))
        return end - index + 1, events
    return None


def _opened(message: str) -> int:
    """Brackets that a line opens and does not close, those in strings left out."""
    bare = re.sub(r'"[^"]*"', "", message.replace("\\\\", "").replace('\\"', ""))
    return bare.count("{") + bare.count("[") - bare.count("}") - bare.count("]")


_ANSWER_KEYS = {"detail", "error", "errors", "statusCode", "error_type"}


def _payload(value: dict[str, Any], source: str, claimed: bool = False) -> Iterator[Evidence]:
    """The body that is about to be posted."""
    inner = next(
        (value[k] for k in ("input", "arguments", "payload", "body", "json") if isinstance(value.get(k), dict)), value
    )
    if "prompt" not in inner or not isinstance(inner.get("prompt"), str) or "timings" in inner or "images" in inner:
        return
    body = {k: v for k, v in inner.items() if not k.endswith("_full")}
    for key in wording_full_keys(inner):
        body[key.removesuffix("_full")] = inner[key]
    model = next(
        (v for k in ("model", "endpoint", "application") if isinstance(v := value.get(k), str) and "/" in v), None
    )
    if value is inner:
        body.pop("model", None)
    fields = {"body": body, "model": model, "complete": True}
    yield Evidence("payload", source, Witness.CLAIMED if claimed else Witness.SENT, fields)


def wording_full_keys(value: dict[str, Any]) -> list[str]:
    """Keys that repeat a shortened URL at full length and were not sent."""
    return [k for k in value if k.endswith("_full") and k.removesuffix("_full") in value]


# --- one record -------------------------------------------------------------------------------------------------------


def _events(line: Line, name: str) -> Iterator[Evidence]:
    """The evidence in one record."""
    text, source = line.message, f"{name}:{line.number}"
    if not text.strip() and not line.extras:
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
    structured = exchanged(line.extras) if line.extras else None
    if structured is not None:
        method, url, status = structured
        found: list[Evidence] = []
        if url.startswith("/"):
            found = [
                Evidence(
                    "request.access",
                    source,
                    Witness.WIRE,
                    {"method": method, "path": url.split("?")[0], "status": status},
                )
            ]
        else:
            found = list(wording.exchange(method or "POST", url, status, source))
        if found:
            troubled = status >= 400 and not url.startswith("/") and len(text) > 40
            return [*found, *(e for e in wording.read(text, source) if e.kind != "fal.call")] if troubled else found
    task = _TASK.search(text)
    if task is not None:
        return _task(task, source)
    if "://" in text:
        return _client(text, source)
    access = _ACCESS.search(text)
    if access is None:
        return None
    return [
        Evidence(
            "request.access", source, Witness.WIRE, {"method": access[1], "path": access[2], "status": int(access[3])}
        )
    ]


def _client(text: str, source: str) -> list[Evidence] | None:
    """The line of an HTTP client: method, address and status, in any dress."""
    debug = _URLLIB3.search(text)
    if debug:
        return list(wording.exchange(debug[2], debug[1] + debug[3], int(debug[4]), source))
    called = _METHOD_URL.search(text)
    status = _HTTP_STATUS.search(text[called.end() : called.end() + 300]) if called else None
    if called and status:
        return list(
            wording.exchange(called[1], called[2].rstrip("\"'"), int(next(g for g in status.groups() if g)), source)
        )
    bare = _URL_STATUS.search(text)
    if bare and not called:
        method = "GET" if "/requests/" in bare[1] else "POST"
        return list(wording.exchange(method, bare[1], int(bare[2]), source))
    access = _ACCESS.search(text)  # an access line can carry a referrer
    if access and not called and access.start() < text.index("://"):
        return [
            Evidence(
                "request.access",
                source,
                Witness.WIRE,
                {"method": access[1], "path": access[2], "status": int(access[3])},
            )
        ]
    return None


def _task(task: re.Match[str], source: str) -> list[Evidence]:
    """A worker's own record of how a task ended."""
    succeeded = task["end"].startswith("succeeded")
    found: list[Evidence] = []
    picture = wording.PICTURE.search(task["said"])
    if succeeded and picture:
        found.append(Evidence("fal.result", source, Witness.LOGGED, {"pictures": 1, "url": picture[0]}))
    if not succeeded:
        found += wording.read(task["said"], source)
        kind = re.match(r"\w+", task["said"])
        if not _ON_PURPOSE.search(task["said"]):
            found.append(
                Evidence(
                    "deployment.exception",
                    source,
                    Witness.LOGGED,
                    {"type": kind[0] if kind else "Exception", "text": task["said"][:300]},
                )
            )
    found.append(
        Evidence(
            "request.access",
            source,
            Witness.WIRE,
            {"method": "TASK", "path": f"/task/{task['name']}", "status": 200 if succeeded else 500},
        )
    )
    return found


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
        told = text.partition(": ")[2]
        kind = re.match(r"[A-Za-z_][\w.]{0,120}", told)
        yield logged("deployment.exception", type=kind[0] if kind else "unhandled", text=text[:300])
        yield from (e for e in wording.read(told, source) if e.kind not in ("deployment.exception",) and told)
        return
    called = _MODEL_STATUS.search(text)
    if called:
        fields = {
            "model": called[1].rstrip("."),
            "status": int(called[2]),
            "method": "POST",
            "queue": False,
            "final": True,
            "request_id": None,
        }
        yield logged("fal.call", **fields)
        if int(called[2]) < 400:
            return
    troubled = line.level in _TROUBLED or bool(_ERROR_WORDS.search(text))
    meant = line.level not in ("INFO", "DEBUG") or bool(_SURELY.search(text))
    if troubled and meant and not _BENIGN.search(text) and not _RESULT.search(text):
        found = list(wording.read(text, source))
        yield from _going_on(found) if _GOES_ON.search(text) else found
        if not any(e.kind == "deployment.exception" for e in found):
            yield from _carried(line, source)
        yield from _instead(text, source)
        return
    yield from _progress(text, source, line)


def _going_on(found: list[Evidence]) -> Iterator[Evidence]:
    """Failures after which the backend says that it tries again, or goes on without: they did not end the request."""
    for e in found:
        marked = e.kind in ("fal.call", "fal.error") or (e.kind == "error" and e["stage"] == "generation")
        yield Evidence(e.kind, e.source, e.witness, {**e.fields, "goes_on": True}) if marked else e


def _carried(line: Line, source: str) -> Iterator[Evidence]:
    """The exception whose traceback a structured line carries."""
    trace = next((v for k in _TRACES if isinstance(v := line.extras.get(k), str) and _TRACEBACK in v), None)
    if trace is None:
        return
    last = next((text for text in reversed(trace[-12_000:].splitlines()) if _EXCEPTION.match(text)), None)
    if last is not None and not _ON_PURPOSE.search(last):
        fields = {"type": last.partition(":")[0], "text": last[:400]}
        yield Evidence("deployment.exception", source, Witness.LOGGED, fields)


_TRACES = ("exc_info", "exception", "traceback", "stack_trace", "error")


def _instead(text: str, source: str) -> Iterator[Evidence]:
    """A failure after which the backend says that it goes on with the prompt alone."""
    if not _INSTEAD.search(text):
        return
    mode = [m.lower() for m in _MODE.findall(text)]
    if mode and mode[-1] in ("image-to-image", "img2img", "image2image") and len(set(mode)) == 1:
        return
    yield Evidence("mode", source, Witness.LOGGED, {"mode": "text-to-image"})


TELLING = (
    "imag", "img", "photo", "picture", "url", "upload", "stor", "prompt", "model", "fal-ai", "endpoint", "receiv", "reference", "selfie",
    "source", "generat", "resol", "resize", "reprocess", "validation",
)  # fmt: skip
"""Without one of these a line says nothing of a picture; asked first, because most lines do not."""


def _progress(text: str, source: str, line: Line) -> Iterator[Evidence]:
    def logged(kind: str, **fields: Any) -> Evidence:
        return Evidence(kind, source, Witness.LOGGED, fields)

    low = text.lower()
    if not any(word in low for word in TELLING):
        return
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
    elif not _INIT.search(text):
        has = _HAS.search(text)
        if has:
            there = bool(_CLAIMED_STATUS[has["value"].lower()])
            yield logged("request.received", images=int(there), names=[], by="log", weak=not there)
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
    yield from _address(text, source, line)
    result = _RESULT.search(text)
    if result:
        number = next((int(g) for g in result.groups() if g), 1)
        yield logged("fal.result", pictures=number) if number else logged("fal.empty", text=text[:300])
        return
    if wording.NO_RESULT.search(text):
        yield logged("fal.empty", text=text[:300])
    picture = wording.PICTURE.search(text)
    if picture and re.search(r"generated|result|output|saved", text, re.I) and not _UPLOADED.search(text):
        yield logged("fal.result", pictures=1, url=picture[0].rstrip("."))
    yield from _chosen(text, source, line)


def _address(text: str, source: str, line: Line) -> Iterator[Evidence]:
    """Where the picture lies, once it is stored."""

    def logged(kind: str, **fields: Any) -> Evidence:
        return Evidence(kind, source, Witness.LOGGED, fields)

    extra = next(
        (
            v
            for k in ("public_url", "image_url", "signed_url", "publicUrl", "imageUrl")
            if isinstance(v := line.extras.get(k), str)
        ),
        None,
    )
    public = _PUBLIC_URL.search(text) or (_PUBLIC_URL.search(extra) if extra else None)
    url = public[0] if public else None
    uploaded = _UPLOADED.search(text)
    if uploaded and not text.rstrip().endswith("..."):
        any_url = _URL.search(text)
        url = url or (any_url[0] if any_url else extra)
        yield logged("upload.done", url=url)
    elif _UPLOADING.search(text):
        yield logged("upload.started", text=text[:200])
    if url and not url.endswith("..."):
        yield logged("image_url", url=url, origin="public URL" if public else "log")
        return
    init = _INIT.search(text)
    if init:
        yield from _init(init[1], source)
    elif "image_url" in line.extras or "imageUrl" in line.extras:
        yield from _init(str(extra), source)


def _init(value: str, source: str) -> Iterator[Evidence]:
    word = value.strip("\"',;()").lower()
    if word in ("no", "none", "null", "false", "''", "", "undefined"):
        yield Evidence("image_url", source, Witness.LOGGED, {"url": None, "origin": "log"})
    elif word.startswith("http") and not word.endswith("..."):
        yield Evidence("image_url", source, Witness.LOGGED, {"url": value.strip("\"',;()"), "origin": "log"})
    elif word in ("yes", "true"):
        yield Evidence("image_url", source, Witness.FORECAST, {"url": "(said to be there)", "origin": "log"})


def _chosen(text: str, source: str, line: Line) -> Iterator[Evidence]:
    """Models and modes named before the call: a forecast."""
    named = line.extras.get("model") or line.extras.get("endpoint")
    model = _MODEL.search(text) or _MODEL_LABEL.search(text)
    if isinstance(named, str) and re.fullmatch(r"[\w.\-]+(?:/[\w.\-]+)+", named):
        yield Evidence("model", source, Witness.FORECAST, {"model": named, "by": line.logger or None})
        return
    mode = _MODE.search(text)
    if model and not re.search(r"https?://\S*$", text[: model.start()][-300:]):
        yield Evidence("model", source, Witness.FORECAST, {"model": model[1].rstrip("."), "by": line.logger or None})
    if mode and not model and not re.search(r"✅|pipeline:", text):
        word = mode[1].lower()
        derived = "image-to-image" if word in ("image-to-image", "img2img", "image2image") else "text-to-image"
        yield Evidence("mode", source, Witness.FORECAST, {"mode": derived})
