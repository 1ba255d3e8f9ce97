"""Makes records of a log's lines: whatever a process manager or a logging library put before the message is taken off.

Prefixes are peeled one after the other (a container's name, a host's time, a logger's own time, its level, its name), so
that any combination of them is read without being listed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from diagnose.collect.text import strip_ansi, unescape

MAX_LINE = 16_000
"""Characters of one line that are looked at; a picture as base64 in a log is longer and says no more."""
MAX_PREFIXES = 8

_ISO = r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
_LEVELS = "DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|FATAL|SUCCESS|TRACE"
_LOGGER = r"[A-Za-z_][\w.\-]{0,80}"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

# Only before everything else: what carried the line here.
_CARRIERS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?!(?:{_LEVELS})\b)[\w./-]{{1,60}} {{1,40}}\| ?",  # docker compose
        rf"(?P<time>{_ISO}) (?:stdout|stderr) [FP] ",  # kubernetes
        r"\[pod/[\w./-]{1,120}\] ",
        r"(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) [\w.-]{1,80} [\w./@-]{1,60}(?:\[\d+\])?: ",  # journald, syslog
        rf"(?P<time>{_ISO}) [\w.-]{{1,80}} [\w./@-]{{1,60}}\[\d+\]: ",  # journald, short-iso
        rf"(?P<time>{_ISO}) (?:app|heroku|web|worker)\[[\w.-]{{1,40}}\]:? ",  # Heroku, fly.io
        r"[A-Z][a-z]{2} [ \d]?\d,? (?:\d{4},? )?\d\d:\d\d:\d\d ?(?:[AP]M)? {1,2}(?:\[\w{1,30}\] {1,2})?",  # Render
        r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9}(?:Z|[+-]\d\d:\d\d)) ",  # docker logs -t, Railway
    )
)
_PREFIXES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\[(?P<time>{_ISO}): (?P<level>{_LEVELS})/[\w-]{{1,60}}\] ",  # celery
        rf"(?P<level>{_LEVELS}) (?P<time>{_ISO}) (?P<logger>{_LOGGER}) \d+ \d+ ",  # Django's own example
        rf"[\[(]?(?P<time>{_ISO})[\])]?(?:\s*[|:-])?\s+",
        r"[\[(]?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?[\])]?(?:\s*[|-])?\s+",
        r"\[\d{1,8}\]\s+",  # a process id
        rf"(?P<id>{_UUID})\t",  # AWS Lambda
        rf"\[(?P<id>{_UUID})\] ",
        rf"(?P<level>{_LEVELS})\s*\|\s*(?P<logger>[\w.<>]{{1,80}}:[\w<>]{{1,80}}:\d{{1,6}}) - ",  # loguru
        rf"(?P<level>{_LEVELS}) +in (?P<logger>{_LOGGER}): ",  # Flask
        rf"(?P<level>{_LEVELS}):(?P<logger>{_LOGGER}):",
        rf"(?:- )?(?P<logger>{_LOGGER}) [-|] (?P<level>{_LEVELS}) *[-|] ",
        rf"(?P<logger>[a-z_][\w.]{{0,80}}) (?P<level>{_LEVELS}):? +",
        rf"\[(?!{_UUID}\])(?P<logger>{_LOGGER})\]\s*(?P<level>{_LEVELS})(?:\s*[:|-])?\s+",
        rf"\[?(?P<level>{_LEVELS})\s*\]?\s*[:|-]?\s*\[(?!{_UUID}\])(?P<logger>{_LOGGER})\](?:\s*[:|-])?\s+",
        rf"(?P<level>{_LEVELS})\s*\|\s*(?P<logger>{_LOGGER})\s*\|\s*",
        rf"(?P<level>{_LEVELS}):(?:\s{{5,}}|\s?)",  # uvicorn pads its own
        rf"\[(?P<level>{_LEVELS}) *\](?:\s*[:|-])?\s*|(?P<level2>{_LEVELS})(?:\s+[|-]\s+|\t|\s{{1,12}}(?=\S))",
        r"\[(?P<level>debug|info|warning|warn|error|critical|fatal) *\]:? +",  # structlog's console
        r"(?P<level>debug|info|warn|warning|error|fatal): +(?=\S)",  # winston, npm
        rf"(?P<logger>{_LOGGER})\[(?P<id>{_UUID})\]: ",  # a celery task
    )
)
RICH_SAMPLE = 100_000
_RICH = re.compile(
    rf"^(?:\[[\d/: APM]{{5,24}}\]| {{4,26}}) (?:{_LEVELS}) {{1,9}}(?P<message>\S[^\n]{{0,400}}?) {{1,300}}(?P<path>[\w.<>-]{{1,80}}\.py:\d{{1,6}}) *$",
    re.M,
)
"""The first line of a record as rich's handler prints it: time, level, message, and the file at the right edge."""
_BARE = (" ", "{", "}", "\t", "")
"""What a prefix does not begin with."""
_PAIR = re.compile(
    r"([A-Za-z_][\w.\-]{0,60})=(?:\"((?:[^\"\\]|\\.){0,4000})\"|'((?:[^'\\]|\\.){0,4000})'|([^\s,;]{1,2000}))"
)
_WORTH_PAIRS = re.compile(r"\b(?:event|msg|message|url|status|status_code|path|model|error|level)=")
_OWN_ID = re.compile(
    r"\b(?:request_id|req_id|requestId|reqId|x-request-id|trace_id|correlation_id|rid)[\"']?\s*[=:]\s*[\"']?([\w-]{6,64})"
)
_PINO = {10: "TRACE", 20: "DEBUG", 30: "INFO", 40: "WARNING", 50: "ERROR", 60: "CRITICAL"}
_ERROR_FIELDS = (
    "error", "err", "exception", "exc_info", "exc", "traceback", "stack_trace", "reason", "error_message", "detail", "details", "cause",
    "body", "response_body", "response_text",
)  # fmt: skip
_ERROR_TYPES = ("exc_type", "error_type", "exception_type", "error_class", "exc_name")
_MESSAGES = ("message", "msg", "event", "textPayload", "text", "MESSAGE", "@message")
_IDS = (
    "request_id",
    "req_id",
    "requestId",
    "reqId",
    "trace_id",
    "traceId",
    "correlation_id",
    "correlationId",
    "task_id",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One record of a log."""

    number: int
    message: str
    level: str = ""
    logger: str = ""
    request_id: str | None = None
    time: str | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    """What a structured line holds beside its message."""


def records(text: str, first: int = 1) -> Iterator[Line]:
    """The log's records, prefixes taken off."""
    lines = text.split("\n")
    if _RICH.search(text[:RICH_SAMPLE]):
        lines = _unfolded(lines)
    for number, raw in enumerate(lines, first):
        yield record(number, raw)


def _unfolded(lines: list[str]) -> list[str]:
    """rich prints a record as columns, its message folded; here it stands on its first line again, its columns empty below."""
    unfolded: list[str] = []
    column, width, full, first = 0, 0, False, -1
    for line in lines:
        begins = _RICH.match(line)
        if begins is not None:
            column, width = begins.start("message"), begins.start("path") - begins.start("message") - 1
            message = begins["message"].rstrip()
            full, first = len(message) == width, len(unfolded)
            unfolded.append(line[:column].lstrip() + message)
        elif first >= 0 and line[:column].isspace() and len(line) > column and not line[column].isspace():
            message = line[column : column + width].rstrip()
            unfolded[first] += message if full else " " + message
            full = len(message) == width
            unfolded.append("")
        else:
            first = -1
            unfolded.append(line)
    return unfolded


def record(number: int, raw: str, depth: int = 0) -> Line:
    """One raw line without its prefixes."""
    if len(raw) < 4 or raw.isspace():
        return Line(number, raw)
    raw = unescape(strip_ansi(raw[: MAX_LINE * 2]))[:MAX_LINE]
    body, found = _peeled(raw)
    if body[:1] == "{" and body.rstrip()[-1:] == "}" and depth < 3:
        parsed = _structured(number, body.strip(), found, depth)
        if parsed is not None:
            return parsed
    level, logger = found.get("level", ""), found.get("logger", "")
    given = found.get("id")
    if "=" in body and _WORTH_PAIRS.search(body):
        found_pairs = list(_PAIR.finditer(body))
        pairs = {m[1]: next(g for g in m.groups()[1:] if g is not None) for m in found_pairs}
        if len(pairs) > 1:
            whole = found_pairs[0].start() == 0  # else they stand behind a message of the line's own
            return _from_pairs(number, body, pairs, whole, Line(0, "", level, logger, given, found.get("time")))
    return Line(number, body, level, logger, given or _own_id(body), found.get("time"))


def _peeled(raw: str) -> tuple[str, dict[str, str]]:
    """The message, and what the prefixes before it told."""
    found: dict[str, str] = {}
    position = 0
    if raw[:1] in _BARE:
        return raw, found
    carriers = list(_CARRIERS)
    while carriers:  # a container's line can stand in a host's
        carrier = next((c for c in carriers if (m := c.match(raw, position)) and _keep(m, found)), None)
        if carrier is None:
            break
        position = carrier.match(raw, position).end()  # type: ignore[union-attr]
        carriers.remove(carrier)
    for _ in range(MAX_PREFIXES):
        if raw[position : position + 1] in _BARE:
            break
        matched = next((m for p in _PREFIXES if (m := p.match(raw, position))), None)
        if matched is None or ("level" in found and _level(matched)):
            break
        _keep(matched, found)
        position = matched.end()
    return raw[position:], found


def _level(matched: re.Match[str]) -> str | None:
    groups = matched.groupdict()
    return groups.get("level") or groups.get("level2")


def _keep(matched: re.Match[str], found: dict[str, str]) -> bool:
    groups = matched.groupdict()
    for name in ("time", "logger", "id"):
        if groups.get(name):
            found[name] = groups[name]
    level = _level(matched)
    if level:
        found["level"] = level.upper()
    return True


def _own_id(text: str) -> str | None:
    found = _OWN_ID.search(text[:4000])
    return found[1] if found else None


def _from_pairs(number: int, body: str, pairs: dict[str, str], whole: bool, known: Line) -> Line:
    """A line of `key=value` pairs: logfmt, structlog."""
    message = next((pairs[key] for key in ("event", "msg", "message") if key in pairs), None) if whole else None
    extras: dict[str, Any] = {
        k: int(v) if v.isdigit() and len(v) < 10 else None if v in ("None", "null") else v for k, v in pairs.items()
    }
    said = next((str(extras[k]) for k in _IDS if extras.get(k)), None)
    level = known.level or str(pairs.get("level", "")).upper()
    time = known.time or pairs.get("timestamp") or pairs.get("time") or pairs.get("ts")
    text = body if message is None else _told(message, extras)
    return Line(number, text, level, known.logger, known.request_id or said or _own_id(text), time, extras)


def _structured(number: int, text: str, found: Mapping[str, str], depth: int) -> Line | None:
    """A JSON line, of any library's names; None when it is no record."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("jsonPayload"), dict):
        value = {**value, **value["jsonPayload"]}
    carried = value.get("log")
    if isinstance(carried, str) and carried.strip():  # docker's json-file
        line = record(number, carried.rstrip("\n"), depth + 1)
        return replace(line, time=line.time or value.get("time"))
    message = next((value[key] for key in _MESSAGES if isinstance(value.get(key), str)), None)
    given = next((value[key] for key in _IDS if value.get(key)), None)
    levels = (value.get(key) for key in ("levelname", "level", "severity", "lvl", "log.level"))
    level = next((_PINO.get(v, "") if isinstance(v, int) else str(v).upper() for v in levels if v), "") or found.get(
        "level", ""
    )
    if message is None and not (level and given) and exchanged(value) is None:
        return None
    inner = (
        record(number, message or "", depth + 1)
        if message and (message[:1] in "{[" or message[:4] in ("INFO", "ERRO", "WARN", "DEBU"))
        else None
    )
    logger = str(value.get("name") or value.get("logger") or value.get("logger_name") or found.get("logger", ""))
    times = (value.get(key) for key in ("asctime", "timestamp", "time", "ts", "@timestamp"))
    time = next((v for v in times if isinstance(v, str)), None) or found.get("time")
    body = _told(inner.message if inner else message or "", value)
    extras = {**(inner.extras if inner else {}), **value}
    own = str(given) if given else (inner.request_id if inner else None) or _own_id(body)
    return Line(
        number,
        body,
        (inner.level if inner else "") or level,
        (inner.logger if inner else "") or logger,
        own,
        time,
        extras,
    )


def _told(message: str, fields: Mapping[str, Any]) -> str:
    """A structured line's message, with the error it carries beside it."""
    parts = [message] if message else []
    for key in _ERROR_FIELDS:
        value = fields.get(key)
        if not value or value is True:
            continue
        text = value if isinstance(value, str) else _compact(value)
        if "Traceback" in text:
            text = " <- ".join(_exceptions(text)) or text
        if text and text not in parts:
            parts.append(text[:4000])
    kind = next((fields[k] for k in _ERROR_TYPES if isinstance(fields.get(k), str)), None)
    if kind and not any(kind in part for part in parts):
        parts.insert(1, kind)
    return ": ".join(parts)


_FINAL = re.compile(r"^(?:[A-Za-z_][\w.]*(?:Error|Exception|Timeout|Refused|Exit|Status|Interrupt|Group))\b.*", re.M)


def _exceptions(trace: str) -> list[str]:
    """The exceptions of a formatted traceback, the last first."""
    return [found[:1500] for found in reversed(_FINAL.findall(trace[-12_000:]))][:4]


def _compact(value: object) -> str:
    """JSON without the frames of a stack."""
    if isinstance(value, Mapping):
        value = {k: v for k, v in value.items() if k not in ("stack", "config", "request") and not str(k).isupper()}
    try:
        return json.dumps(value, ensure_ascii=False, default=str)[:4000]
    except (ValueError, RecursionError):
        return ""


# --- exchanges in structured lines ------------------------------------------------------------------------------------

_URL_KEYS = (
    "url",
    "uri",
    "http_url",
    "request_url",
    "requestUrl",
    "target",
    "path",
    "request_path",
    "endpoint",
    "route",
)
_METHOD_KEYS = ("method", "http_method", "request_method", "requestMethod", "verb")
_STATUS_KEYS = ("status_code", "status", "statusCode", "http_status", "response_status", "http_status_code", "code")


def exchanged(fields: Mapping[str, Any]) -> tuple[str, str, int] | None:
    """(method, address or path, status) of a line that records an exchange; None for any other."""
    places: list[Mapping[str, Any]] = [fields]
    for name in ("req", "request", "res", "response", "http", "httpRequest", "http_request"):
        inner = fields.get(name)
        if isinstance(inner, Mapping):
            places.append(inner)
    status = _first(places, _STATUS_KEYS)
    if isinstance(status, str) and status[:3].isdigit():
        status = int(status[:3])
    url = next(
        (v for p in places for k in _URL_KEYS if isinstance(v := p.get(k), str) and v.startswith(("/", "http"))), None
    )
    method = _first(places, _METHOD_KEYS)
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599 or url is None:
        return None
    if not isinstance(method, str):
        return ("", url, status) if url.startswith("http") else None
    return method.upper(), url, status


def _first(places: list[Mapping[str, Any]], keys: tuple[str, ...]) -> Any:
    return next(
        (
            place[key]
            for place in places
            for key in keys
            if place.get(key) is not None and not isinstance(place[key], Mapping)
        ),
        None,
    )
