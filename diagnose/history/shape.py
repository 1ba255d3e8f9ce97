"""What of a prompt-log entry decides its verdict: its shape, an entry that stands for all that differ in nothing else.

A shape keeps which fields are there, of which type, and the values that checks compare; everything else is replaced. A
number becomes one that stands at the same place among the limits the profile and fal's schemas name; an address keeps
its scheme, host and bucket; words that no check reads become "text". Equal values stay equal and different ones
different. The fields that count are those in the checks' `reads`, and those from which `normalise` makes evidence.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from diagnose import normalise, registry, schema
from diagnose.collect import prompt_log
from diagnose.model import IMAGE_KEYS, Profile

LONGEST = 200
"""Characters of a word that are kept; of a longer one its beginning and a digest."""
MAX_KEYS = 200
"""Keys of one object that are looked at; what has more is no payload."""
MAX_ITEMS = 8
"""Items of a list that are looked at, one by one."""
TIME = "2026-01-01T00:00:00"
"""Stands for any timestamp: when something happened is counted beside its shape."""

_HEAD = re.compile(
    r"https?://[^/?#]*(?:/storage/v1/object/(?:public|sign|authenticated)/[^/?#]{1,100}(?=/)|/object/sign/)?", re.I
)
PROJECT = re.compile(r"\b[a-z0-9]{20}\.(?:storage\.)?supabase\.(?:co|in)\b")
_FOLDED = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|\b[0-9a-f]{12,}\b|\d{5,}", re.I)
"""What differs in every error message: uuids, digests, long numbers."""


class Shape(NamedTuple):
    """An entry that stands for all of its kind, as JSON, and whether they fit the schema."""

    entry: str
    valid: bool


class Folding:
    """Folds entries to their shapes, for one profile."""

    def __init__(self, profile: Profile) -> None:
        self._points = sorted({0.0, *_limits(), *_numbers(profile.payload.values())})
        self._exact = [float(value) for value in _numbers(profile.payload.values())]
        self._known = {name for _, name, _ in _rules()} | {*profile.payload, *IMAGE_KEYS, profile.image_key}
        self.decisive = {name for _, name, rule in _rules() if "enum" in rule} | {*profile.payload}
        """Keys of a payload whose words count: fal or the profile names the ones it takes."""
        self._words = _choices() | {str(value) for value in profile.payload.values()}
        read = {path for check in registry.checks() for path in check.reads} | set(normalise.READS)
        payload = {path.removeprefix("fal_request.") for path in read if path.startswith("fal_request.")}
        bounded = {name for _, name, rule in _rules() if {"minimum", "maximum"} & rule.keys()}
        self.limited = frozenset((payload | bounded | {*profile.payload}) - {"model", *IMAGE_KEYS})
        """Keys of a payload whose values count: words as they are, numbers by their place among the limits."""
        self.kept = frozenset(path for path in read - set(normalise.READS) if not path.startswith("fal_request."))
        """Fields that only a check reads: nothing is known of what it makes of them, so their values are kept."""
        self.decides = self.kept | set(normalise.READS)
        """All fields that count by their name, dotted."""

    def shape(self, entry: Mapping[str, Any], valid: bool) -> Shape:
        """The shape of a nested entry."""
        same = _Same()
        kept: dict[str, Any] = {}
        if "timestamp" in entry:
            kept["timestamp"] = TIME if isinstance(entry["timestamp"], str) else None
        if "generation_mode" in entry:
            kept["generation_mode"] = self._kept(entry["generation_mode"])
        for name, fold in (("request", self._request), ("fal_request", self._body)):
            if name in entry:
                value = entry[name]
                kept[name] = fold(value, same) if isinstance(value, Mapping) else self._value("", value, same)
        if prompt_log.era(dict(entry)) == "own":
            kept |= self._own(entry, same)
        for path in self.kept:
            self._keep(path, entry, kept)
        return Shape(json.dumps(kept, sort_keys=True, separators=(",", ":"), default=str), valid)

    def _request(self, request: Mapping[str, Any], same: _Same) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in request.items():
            if name == "request_format":
                kept[name] = self._kept(content_type(value) if isinstance(value, str) else value)
            elif name == "num_product_images":
                kept[name] = self._count(value)
            elif f"request.{name}" in normalise.READS:
                kept[name] = self._value(name, value, same)
            elif name.startswith("has_"):
                kept["has_other"] = True
        return kept

    def _count(self, value: Any) -> Any:
        """A number of things: some, none, or no such number."""
        if isinstance(value, int) and not isinstance(value, bool):
            return max(-1, min(1, value))
        return 0.5 if isinstance(value, float) else value if value is None or isinstance(value, bool) else "text"

    def _body(self, body: Mapping[str, Any], same: _Same) -> dict[str, Any]:
        """A payload: checks look at every key of it."""
        named = sorted(body.items())
        if len(named) > MAX_KEYS:
            named = sorted(named, key=lambda each: each[0] not in self._known)[:MAX_KEYS]
        return {
            word(name): self._kept(value) if name == "model" else self._value(name, value, same)
            for name, value in named
        }

    def _own(self, entry: Mapping[str, Any], same: _Same) -> dict[str, Any]:
        """What our own generator writes of the upload, the body that was sent, and the answer."""
        kept: dict[str, Any] = {"request_id": "x", "outcome": "x"}
        upload, sent = entry.get("upload"), entry.get("sent")
        if isinstance(upload, Mapping):
            error = upload.get("error")
            kept["upload"] = {
                "bucket": self._kept(upload.get("bucket")),
                "path": "x" if upload.get("path") else None,
                "status": self._kept(upload.get("status")),
                "error": word(_FOLDED.sub("0", error)) if isinstance(error, str) else None,
            }
        if isinstance(sent, Mapping):
            kept["sent"] = self._body(sent, same)
        kept["status"] = self._kept(entry.get("status"))
        kept["fal_request_id"] = "x" if entry.get("fal_request_id") else None
        return kept

    def _keep(self, path: str, entry: Mapping[str, Any], kept: dict[str, Any]) -> None:
        """Keep the value at a dotted path as it is."""
        value: Any = entry
        *outer, last = path.split(".")
        for name in outer:
            value = value.get(name) if isinstance(value, Mapping) else None
            inner = kept.setdefault(name, {}) if isinstance(value, Mapping) else None
            if not isinstance(inner, dict):
                return
            kept = inner
        if isinstance(value, Mapping) and last in value:
            kept[last] = self._kept(value[last])

    def _kept(self, value: Any) -> Any:
        """A value that decides by itself."""
        if value is None or isinstance(value, (bool, int, float)):
            return value if not isinstance(value, int) or abs(value) < 1 << 53 else 1 << 53
        if isinstance(value, str):
            return word(value)
        told = word(json.dumps(value, sort_keys=True, default=str))
        if isinstance(value, Mapping):
            return {told: 0} if value else {}
        return [told] if value else []

    def _value(self, name: str, value: Any, same: _Same) -> Any:
        """Something of the same kind."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return self._number(value, same) if name in self.limited else int(bool(value) and name in IMAGE_KEYS)
        if name in self.limited:
            return self._kept(value)
        if isinstance(value, str):
            address = name in IMAGE_KEYS and value.startswith(("http", "blob:"))
            if address:
                return same.address(value)
            decides = name in self.decisive and value in self._words
            return value if decides or (name in IMAGE_KEYS and not value) else text(value)
        picture = name in IMAGE_KEYS
        if isinstance(value, list):
            return [self._value(name, item, same) for item in value[:MAX_ITEMS]] if picture else [0]
        return {} if picture and not value else {"x": 0}

    def _number(self, value: float, same: _Same) -> float:
        """A number at the same place among the limits."""
        try:
            number = float(value)
        except OverflowError:
            number = math.inf if value > 0 else -math.inf
        if math.isnan(number) or any(abs(number - exact) < 1e-6 for exact in self._exact):
            return number
        place = bisect_left(self._points, number)
        if place < len(self._points) and self._points[place] == number:
            return number
        rank = same.rank(number)
        if place == 0:
            return self._points[0] - 1 - rank
        if place == len(self._points):
            return self._points[-1] + 1 + rank
        low, high = self._points[place - 1], self._points[place]
        return low + (high - low) * (rank + 1) / (MAX_KEYS * 2)


class _Same:
    """Keeps what is equal in an entry equal in its shape, and what differs different."""

    def __init__(self) -> None:
        self._numbers: dict[float, int] = {}
        self._addresses: dict[str, int] = {}

    def rank(self, number: float) -> int:
        """Which of the different numbers this is."""
        return self._numbers.setdefault(number, len(self._numbers))

    def address(self, value: str) -> str:
        """A URL with the same scheme, host and bucket."""
        rank = self._addresses.setdefault(value, len(self._addresses))
        head = address_head(value)
        return word(value) if head is None else f"{head}/{rank}"


def text(value: str) -> str:
    """Words of which only their presence counts."""
    return "data:text" if value.startswith("data:") else "text"


def address_head(url: str) -> str | None:
    """The part of an address that checks look at: scheme, host, and in Supabase Storage the bucket.

    None where the whole address counts: it is none, or a project's name stands behind its host.
    """
    match = _HEAD.match(url)
    if match is None or len(match[0]) > LONGEST:
        return None
    return match[0].rstrip("/") if PROJECT.search(match[0]) or not PROJECT.search(url) else None


def content_type(value: str) -> str:
    """A content type without its parameters, which hold a new boundary in every request."""
    kind, _, rest = value.partition(";")
    return value if "json" in rest.lower() else kind


def word(value: str) -> str:
    """A word, shortened so that different ones stay different."""
    if len(value) <= LONGEST:
        return value
    return f"{value[: LONGEST // 2]}...{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _numbers(values: Iterable[Any]) -> Iterator[float]:
    return (float(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool))


class _Rule(NamedTuple):
    """What a model of fal says of one key."""

    model: str
    name: str
    rule: Mapping[str, Any]


def _rules() -> Iterator[_Rule]:
    for model in schema.known_fal_models():
        known = schema.fal_input(model)
        if known is not None:
            yield from (_Rule(model, name, rule) for name, rule in known["properties"].items())


def _limits() -> Iterator[float]:
    for _, _, rule in _rules():
        yield from _numbers(rule.get(limit) for limit in ("minimum", "maximum"))


def _choices() -> set[str]:
    return {choice for _, _, rule in _rules() for choice in rule.get("enum", ()) if isinstance(choice, str)}
