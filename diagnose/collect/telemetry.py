"""Reads a span or log record with OpenTelemetry's names for generative AI as an entry of a prompt log.

The names, and what each is read as:

    gen_ai.request.model, gen_ai.response.model    the model of `fal_request`; what was asked for before what answered
    gen_ai.request.<key>                           the key of the payload: `image_url`, `strength`, `seed`, ...
    gen_ai.operation.name                          `generation_mode`, where it is one of its two words
    gen_ai.response.id                             `fal_request_id`
    gen_ai.provider.name, gen_ai.system            another provider's record is no entry
    http.response.status_code, http.status_code    `status`
    url.full, http.url                             the model, where nothing else names it and fal is asked
    server.address                                 where it is fal's, the record is of fal whatever its provider says
    error.type                                     `outcome`

They stand as flat dotted keys, as nested objects, or as OTLP's list of `{"key": ..., "value": {"stringValue": ...}}`; in
the record itself or under `attributes`. Such a record is written when the call has ended, so it is read like an entry
that was written after the fact.

Source: OpenTelemetry's GenAI semantic conventions (github.com/open-telemetry/semantic-conventions-genai,
docs/gen-ai/gen-ai-spans.md, status Development, schema gen-ai-dev/1.42.0-dev, read November 2026), where
`gen_ai.provider.name` has replaced `gen_ai.system`; `error.type`, `http.response.status_code`, `url.full` and
`server.address` are stable names of the general conventions, in which they replaced `http.status_code` and `http.url`.
The conventions have no name for a picture that is sent along, so a backend's own `gen_ai.request.image_url` is read.
OTLP's JSON is the encoding of opentelemetry-proto (`AnyValue`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

MOST = 300
"""Attributes of one record that are looked at."""
DEEPEST = 6
_FAL = re.compile(r"https?://(?:queue\.)?fal\.run/([\w.-]+(?:/[\w.-]+)+)")
_REQUESTS = re.compile(r"/requests/.*$")
_MODES = ("image-to-image", "text-to-image")
_NANOS = ("startTimeUnixNano", "timeUnixNano", "observedTimeUnixNano", "start_time_unix_nano", "time_unix_nano")
_TIMES = ("timestamp", "time", "start_time", "startTime", "@timestamp")


def entry(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record as a nested entry; None where it tells of no generation of fal's."""
    known = _attributes(record)
    provider = _text(known, "gen_ai.provider.name", "gen_ai.system")
    host = _text(known, "server.address") or ""
    if provider is not None and "fal" not in provider.lower() and not host.endswith(("fal.run", "fal.ai")):
        return None
    model = _text(known, "gen_ai.request.model", "gen_ai.response.model") or _of_address(known)
    if model is None:
        return None
    body = {
        key.removeprefix("gen_ai.request."): value
        for key, value in known.items()
        if key.startswith("gen_ai.request.") and key != "gen_ai.request.model"
    }
    status = next((s for s in map(known.get, ("http.response.status_code", "http.status_code")) if s is not None), None)
    status = int(status) if isinstance(status, str) and status.isdecimal() and len(status) == 3 else status
    failed = bool(known.get("error.type")) or (isinstance(status, int) and status >= 400)
    time = _time(record)
    trace = next((v for v in map(_identity(record).get, ("spanId", "span_id", "traceId", "trace_id")) if v), None)
    asked = _text(known, "gen_ai.response.id") or trace
    url = body.get("image_url")
    mode = (_text(known, "gen_ai.operation.name") or "").lower().replace("_", "-")
    return {
        **({"timestamp": time} if time is not None else {}),
        "request": {"image_url": url} if isinstance(url, str) else {},
        **({"generation_mode": mode} if mode in _MODES else {}),
        "fal_request": {"model": model, **body},
        "request_id": asked,
        "outcome": "failed" if failed else "succeeded",
        "sent": body or None,
        "status": status,
        # without an id of its own, the call is known by when it was made
        "fal_request_id": asked or (f"the call at {time}" if time else None),
    }


def _attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    """Every attribute by its dotted name; what stands under `attributes` counts before what stands beside it."""
    inner = record.get("attributes")
    found: dict[str, Any] = {}
    if isinstance(inner, list):
        for each in inner[:MOST]:
            if isinstance(each, Mapping) and isinstance(each.get("key"), str):
                found.setdefault(each["key"], _otlp(each.get("value")))
    elif isinstance(inner, Mapping):
        _flatten(inner, "", found, 0)
    _flatten({key: value for key, value in record.items() if key != "attributes"}, "", found, 0)
    return found


def _flatten(value: Mapping[str, Any], prefix: str, found: dict[str, Any], depth: int) -> None:
    for key, inner in value.items():
        if len(found) >= MOST:
            return
        name = f"{prefix}{key}"
        if isinstance(inner, Mapping) and depth < DEEPEST and not name.startswith("gen_ai.request.image_size"):
            _flatten(inner, f"{name}.", found, depth + 1)
        else:
            found.setdefault(name, inner)


def _otlp(value: Any, depth: int = 0) -> Any:
    """A value of OTLP's JSON: `{"stringValue": "x"}`, `{"intValue": "7"}` (64 bits are written as a string), lists, maps."""
    if not isinstance(value, Mapping) or depth > DEEPEST:
        return None
    for kind, inner in value.items():
        match kind:
            case "intValue":
                return int(inner) if isinstance(inner, str) and re.fullmatch(r"-?\d{1,19}", inner) else inner
            case "arrayValue":
                items = inner.get("values") if isinstance(inner, Mapping) else None
                return [_otlp(each, depth + 1) for each in items[:MOST]] if isinstance(items, list) else []
            case "kvlistValue":
                return dict(_pairs(inner, depth))
            case "stringValue" | "doubleValue" | "boolValue" | "bytesValue":
                return inner
    return None


def _pairs(value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    pairs = value.get("values") if isinstance(value, Mapping) else None
    for each in pairs[:MOST] if isinstance(pairs, list) else ():
        if isinstance(each, Mapping) and isinstance(each.get("key"), str):
            yield each["key"], _otlp(each.get("value"), depth + 1)


def _text(known: Mapping[str, Any], *names: str) -> str | None:
    return next((value for value in map(known.get, names) if isinstance(value, str) and value), None)


def _of_address(known: Mapping[str, Any]) -> str | None:
    """The model that an address of fal names. A status address leaves out the end of the model's name, so it names none."""
    address = _text(known, "url.full", "http.url")
    found = _FAL.match(address) if address is not None else None
    if found is None or _REQUESTS.search(found[1]):
        return None
    return found[1]


def _identity(record: Mapping[str, Any]) -> dict[str, str]:
    """The ids of a span: in the record, or under `context` as Python's exporter prints it."""
    context = record.get("context")
    both = {**(context if isinstance(context, Mapping) else {}), **record}
    return {key: value for key, value in both.items() if isinstance(value, str)}


def _time(record: Mapping[str, Any]) -> str | None:
    """When the call was made: ISO 8601, in UTC where it was given as nanoseconds."""
    for name in _TIMES:
        value = record.get(name)
        if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[T ]", value):
            return value
    for name in _NANOS:
        value = record.get(name)
        text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
        if re.fullmatch(r"\d{1,19}", text):
            try:
                moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(text) // 1000)
            except OverflowError:
                continue
            return moment.isoformat().replace("+00:00", "Z")
    return None
