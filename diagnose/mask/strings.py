"""Single strings and JSON values: what every output goes through, and what was seen on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from diagnose.mask.rules import RULES, UUID, Rule, unlike_word, worth_trying

LONGEST = 2000
"""Characters of an endless text that are printed."""
_SHORT = 1000
_WINDOW = 1 << 16
"""Of a longer text only so much is looked at before it is cut."""
_MOST_SEEN = 1 << 21
"""Characters of secrets that a collector keeps."""


def text(value: str) -> str:
    """The text with its secrets replaced by `<kind:pseudonym>`. Masking twice changes nothing more."""
    if len(value) < 6 or (len(value) < 72 and value.isalpha() and value.islower()):
        return value
    return _remembered(value) if len(value) < _SHORT else _rewritten(value)


KNOWN: set[str] = set()
_collectors: list[set[str]] = []


def remember(*secrets: str) -> None:
    """Mask these wherever they appear from now on, whatever they look like: they are in use in this very process."""
    for secret in secrets:
        parts = [secret.strip().strip("\"'"), *re.split(r"[.:\s\"']+", secret)]
        KNOWN.update(part for part in parts if len(part) >= 12 and unlike_word(part))
    _remembered.cache_clear()


@contextmanager
def seen() -> Iterator[set[str]]:
    """Collects the raw values of the secrets that are masked meanwhile, in any thread, to look for them elsewhere.

    Only what is a secret wherever it stands: no word, no path and no bare uuid, which can name a request elsewhere. The
    set grows to two million characters at most. It must never be printed.
    """
    found: set[str] = set()
    _collectors.append(found)
    _remembered.cache_clear()
    try:
        yield found
    finally:
        _collectors.remove(found)


def note(kind: str, secret: str) -> None:
    """Tell the collectors of a secret."""
    for found in _collectors:
        room = _MOST_SEEN - sum(map(len, found)) if len(found) % 64 == 0 or len(secret) > 4096 else len(secret)
        if len(secret) <= room:
            found.update(sure(kind, secret))


_ID = rf"(?i)(?:{UUID}|[0-9a-f]{{0,8}}(?:-[0-9a-f]{{0,4}}){{0,3}}-?[0-9a-f]{{0,12}})"


def sure(kind: str, secret: str) -> Iterator[str]:
    """The secret and those of its parts that are secrets wherever they stand."""
    secret = secret.strip().strip("\"'")
    if kind == "data":
        if len(secret) >= 512:
            yield secret[len(secret) // 2 :][:64]
        return
    parts = [secret, *re.split(r"[\s;=,.:%&]+", secret)] if kind != "email" else [secret]
    for number, part in enumerate(parts):
        if len(part) < (12 if number == 0 else 16) or part.startswith(("/", "~", "./", "http:", "https:", "<")):
            continue
        if number and part.startswith("eyJ") and len(part) < 60:
            continue  # the head of every JWT
        if _drawn(part) and not re.fullmatch(_ID, part):
            yield part


_WORDS = r"[A-Z]{0,4}[a-z]{2,}(?:[A-Z][a-z]{2,})*[A-Z]{0,4}"
"""`FileNotFoundError` and the like."""


def _drawn(secret: str) -> bool:
    """Whether nobody can have written it as words: digits among letters, or capitals anywhere."""
    if not unlike_word(secret):
        return False
    run = max(re.split(r"[^A-Za-z0-9]+", secret[:4096]), key=len)
    mixed = run != run.lower() and run != run.upper() and not re.fullmatch(_WORDS, run)
    return len(run) >= 6 and (mixed or any(c.isdigit() for c in secret))


_ESCAPED = (
    r"(?i)\\+(?:u00[2-7]|x[2-7]|/|[\"']name\\)|\\{2,}[\"']|%(?:25)*[2-7][0-9a-f]|&(?:amp;)*(?:#|[a-z]{2,6};)|\x1b\["
)
"""Escapes in which a secret can hide; quotes and line ends escaped once hide almost none from the rules."""


def _rewritten(value: str) -> str:
    dressed = "\\" in value or "%" in value or "&" in value or "\x1b" in value
    if dressed and re.search(_ESCAPED, value):
        from diagnose.mask import documents

        value = documents.masked(value, ()).text  # first: half a secret that is masked hides the other half
    value = _by_form(value)
    for secret in sorted(KNOWN, key=len, reverse=True) if KNOWN else ():
        if secret in value:
            note("key", secret)
            value = value.replace(secret, pseudonym("key", secret))
    return value


def _by_form(value: str) -> str:
    for number in worth_trying(value):
        rule = RULES[number]
        value = re.sub(rule.pattern, lambda found, rule=rule: _masked(rule, found), value)  # type: ignore[misc]
    return value


_remembered = lru_cache(maxsize=4096)(_rewritten)  # the same few strings stand in many places of an answer


def _masked(rule: Rule, found: re.Match[str]) -> str:
    whole = found[0]
    named = "s" in found.re.groupindex
    secret = found["s"] if named else whole
    if not rule.holds(secret):
        return whole
    if _collectors:
        note(rule.kind, secret)
    if rule.kind == "data":
        return data_pseudonym(found.groupdict().get("type"), len(secret))
    start = found.start("s") - found.start() if named else 0
    return whole[:start] + pseudonym(rule.kind, secret) + whole[start + len(secret) :]


def data_pseudonym(kind: str | None, length: int) -> str:
    """What stands for the bytes of a picture."""
    return f"<data{' ' + kind if kind else ''}, {length} characters>"


def pseudonym(kind: str, secret: str) -> str:
    """What stands for a secret, the same wherever it appears."""
    import hashlib

    return f"<{kind}:{hashlib.sha256(secret.encode('utf-8', 'replace')).hexdigest()[:6]}>"


def cut(value: str, limit: int) -> str:
    """The masked text, cut to a length: masked first, so that no part of a secret is left over."""
    length = len(value)
    if length > _WINDOW:
        value = value[: max(_WINDOW - 4096, *(value.rfind(white, 0, _WINDOW) for white in " \n\t"))]
    shown = text(value)
    return shown if length <= _WINDOW and len(shown) <= limit else f"{shown[:limit]}... ({length} characters)"


_NAMED_SO = (
    r"(?i)(?:[\w-]{0,40}[_-])?(?:authorization|cookie|password|passwd|passphrase|secret|token|api-?key|jwt|(?:api|fal|supabase|service|role|anon|access"
    r"|secret|private)[_-]?key)(?:\.\d{1,3})?"
)


def value(data: Any, depth: int = 0) -> Any:
    """A JSON value with every string in it masked, and what stands under a secret's name; what is endless is cut."""
    if isinstance(data, str):
        return text(data) if len(data) <= _WINDOW else cut(data, LONGEST)
    if depth > 40:
        return "(nested too deeply)"
    if isinstance(data, dict):
        shown = {value(str(k)): _under(str(k), v, depth + 1) for k, v in data.items()}
        if isinstance(data.get("name"), str) and "value" in data:  # a header or cookie as browsers save them
            shown["value"] = _under(data["name"], data["value"], depth + 1)
        return shown
    if isinstance(data, (list, tuple)):
        if len(data) == 2 and isinstance(data[0], str) and isinstance(data[1], str):  # a header as clients log them
            return [value(data[0], depth + 1), _under(data[0], data[1], depth + 1)]
        return [value(v, depth + 1) for v in data]
    return data


def _under(name: str, data: Any, depth: int) -> Any:
    if isinstance(data, list) and re.fullmatch(_NAMED_SO, name):
        return [_under(name, one, depth + 1) for one in data] if depth <= 40 else "(nested too deeply)"
    shown = value(data, depth)
    plain = isinstance(shown, str) and shown == data and len(shown) >= 6 and not shown.startswith("<")
    if plain and re.fullmatch(_NAMED_SO, name) and unlike_word(shown) and " " not in shown:
        if _collectors:
            note("key", shown)
        return pseudonym("key", shown)
    return shown
