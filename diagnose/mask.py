"""Masks secrets in everything that leaves the program. A secret gets the same pseudonym wherever it appears."""

from __future__ import annotations

import hashlib
import re
from typing import Any

_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*;base64,([A-Za-z0-9+/=_\s-]{24,})")
_SECRETS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}")),
    ("supabase-key", re.compile(r"\bsb[_p]?_?(?:secret|publishable)?_[A-Za-z0-9_-]{12,}")),
    ("fal-key", re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}:[0-9a-f]{16,}\b", re.I)),
    ("key", re.compile(r"(?<=Key )[A-Za-z0-9_:.-]{12,}")),
    ("token", re.compile(r"(?<=Bearer )[A-Za-z0-9_.~+/=-]{8,}|(?<=Basic )[A-Za-z0-9+/=]{8,}")),
    ("key", re.compile(r"(?<=starts with: )[A-Za-z0-9_:-]{6,}")),
    ("token", re.compile(r"(?<=[?&]token=)[^&\s\"'<>]+|(?<=[?&]apikey=)[^&\s\"'<>]+|(?<=[?&]signature=)[^&\s\"'<>]+", re.I)),
    ("password", re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")),
    ("key", re.compile(r"(?i)(?<![\w])(?:[\w]*(?:_key|_secret|_token|password|apikey|api-key))\s*[=:]\s*[\"']?(?!\s|None|null|true|false|not |is )([A-Za-z0-9_:./+=~-]{12,})")),
    ("email", re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}\b")),
)  # fmt: skip


def text(value: str) -> str:
    """The text with its secrets replaced by `<kind:pseudonym>`."""
    value = _DATA_URI.sub(lambda m: f"<data {m[1] or 'text/plain'}, {len(m[2])} characters>", value)
    for kind, pattern in _SECRETS:
        value = pattern.sub(lambda m, kind=kind: _named(kind, m), value)  # type: ignore[misc]
    return value


def _named(kind: str, found: re.Match[str]) -> str:
    if found.re.groups and found[1]:
        return found[0].replace(found[1], _pseudonym(kind, found[1]))
    return _pseudonym(kind, found[0])


def _pseudonym(kind: str, secret: str) -> str:
    return f"<{kind}:{hashlib.sha256(secret.encode('utf-8', 'replace')).hexdigest()[:6]}>"


def value(data: Any, depth: int = 0) -> Any:
    """A JSON value with every string in it masked; deeper than 40 levels is cut."""
    if isinstance(data, str):
        return text(data)
    if depth > 40:
        return "(nested too deeply)"
    if isinstance(data, dict):
        return {text(str(k)): value(v, depth + 1) for k, v in data.items()}
    if isinstance(data, (list, tuple)):
        return [value(v, depth + 1) for v in data]
    return data
