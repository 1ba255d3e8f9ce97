"""Masks secrets in everything that leaves the program. A secret gets the same pseudonym wherever it appears.

A secret is known by its form (a fal key, a JWT, a data URI), by its name (`FAL_KEY=`, `"apikey":`, `?token=`, `Cookie:`)
or by both. The beginning of one is a secret too: messages quote what somebody else has cut. What only looks like one
stays: uuids of paths and requests, model ids, file names, and words such as "token".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_END = r"(?=\Z|\.\.\.|…|[\"'])"
_AFTER_NAME = r"[\"'\\]{0,4}\s{0,4}(?::|=>?|%3[AD])\s{0,4}b?[\"'\\]{0,4}"
_VALUE = r"[^\s\"'\\,;<>)}\]]"

LONGEST = 2000
"""Characters of an endless text that are printed."""
_SHORT = 1000
_WINDOW = 1 << 16
"""Of a longer text only so much is looked at before it is cut."""

_STATEMENTS = (
    "absent bearer basic configured correct deleted disabled does empty enabled exists expired false found invalid is key loaded"
    " malformed missing must needed none null ok present refused rejected required set should string token true undefined unset valid"
    " was wrong"
)
"""What is said of a secret where its value could stand."""


def _anything(secret: str) -> bool:
    return secret.lower().strip(".:") not in _STATEMENTS.split()


def _random(secret: str) -> bool:
    """Whether it looks drawn by lot, and is no word."""
    parts = [part[1:] for part in re.split(r"[-_.]", secret)]
    return (
        any(c.isdigit() for c in secret) or len(secret) >= 24 or any(p != p.lower() and p != p.upper() for p in parts)
    )


def _unlike_word(secret: str) -> bool:
    return _anything(secret) and not re.fullmatch(r"[A-Za-z]?[a-z_]{0,18}", secret)


def _blob(secret: str) -> bool:
    return max(len(part) for part in re.split(r"[/_-]", secret)) >= 40


class _Rule(NamedTuple):
    """The form of a secret: its group `s`, or the whole, is replaced where `holds`."""

    kind: str
    hints: tuple[str, ...]
    """One of these stands, in lower case, in every text in which the pattern can be found; none: any long text."""
    pattern: str
    """Plain text, compiled and kept by `re` when first needed. Every repetition is bounded or cannot be read two ways."""
    holds: Callable[[str], bool] = _anything


_RULES = (
    _Rule("private-key", ("private key",), r"(?P<s>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:(?!-----END)[\s\S])*+)"),
    _Rule(
        "data",
        ("base64,",),
        r"data:(?P<type>[\w.+-]{1,80}/[\w.+-]{1,80})?(?:;[\w.+-]{1,80}(?:=[\w.+-]{0,80})?){0,6};base64,"
        r"(?P<s>[A-Za-z0-9+/=_%-]{8,}+(?:(?:\\n|\s)[A-Za-z0-9+/_-]{60,}+=*)*+)",
    ),
    _Rule("jwt", ("eyj",), r"eyJ[A-Za-z0-9_+/=-]{6,}(?:\.[A-Za-z0-9_+/=-]*){0,4}"),
    _Rule("supabase-key", ("sb_", "sbp_"), r"sb(?:p|_secret|_publishable)_[A-Za-z0-9_-]{6,}"),
    _Rule("fal-key", (":", "%3a"), rf"(?i){_UUID}(?::|%3A)(?:[0-9a-f]{{4,}}|[0-9a-f]{{0,3}}{_END})"),
    _Rule(
        "key",
        ("sk-", "sk_", "rk_", "gh", "hf_", "r8_", "akia", "asia", "aiza", "xox"),
        r"(?<![A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{16,}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|gh[pousr]_[A-Za-z0-9]{16,}|hf_[A-Za-z0-9]{16,}"
        r"|r8_[A-Za-z0-9]{16,}|A[KS]IA[0-9A-Z]{12,}|AIza[A-Za-z0-9_-]{20,}|xox[abpr]-[A-Za-z0-9-]{10,})",
        _random,
    ),
    _Rule(
        "token",
        ("=", "%3d"),
        r"(?i)(?:[?&;]|%3F|%26|\\u0026)(?:[\w-]{0,40}(?:token|signature|secret|api[_-]?key|password|credential|jwt)[\w-]{0,20}"
        r"|key|sig|auth|policy|key-pair-id|[\w-]{0,12}accesskeyid|googleaccessid)(?:=|%3D)(?P<s>(?:(?!%26)[^&#\s\"'\\,;<>)}\]]){4,})",
    ),
    _Rule("password", ("://",), r"://(?P<s>[^/?#\s\"'<>\\]{1,512})@"),
    _Rule(
        "password",
        ("://",),
        rf"://(?P<s>[^/?#\s\"'<>\\@:\[]{{0,256}}:(?!\d{{1,5}}(?![^/?#\s]))[^/?#\s\"'<>\\@:]{{1,256}}){_END}",
        lambda s: not s.rpartition(":")[2].rstrip(".").isdigit(),
    ),
    _Rule(
        "token",
        ("authorization",),
        r"(?i)authorization[\"'\\]{0,4}\s{0,4}(?::|=>?|,|%3[AD])\s{0,4}\(?\[?b?[\"'\\]{0,4}"
        rf"(?:(?:bearer|basic|key|token|apikey)(?:\s|%20|\+){{1,4}})?(?P<s>{_VALUE}{{4,}})",
        _random,
    ),
    _Rule(
        "cookie",
        ("cookie",),
        r"(?i)cookie[\"'\\]{0,4}\s{0,4}[:=,]\s{0,4}b?[\"'\\]{0,4}(?P<s>[^\s\"'\\=;,<>]{1,200}=[^\r\n\"'\\]{4,})",
    ),
    _Rule("cookie", ("-auth-token",), rf"sb-\w{{4,40}}-auth-token[\w.-]{{0,30}}=(?P<s>{_VALUE}{{4,}})"),
    _Rule(
        "key",
        ("value",),
        r"(?i)[\"']name[\"']\s{0,4}:\s{0,4}[\"'][\w-]{0,40}?(?:authorization|api-?key|token|secret|cookie|password|signature)[\w-]{0,20}[\"']"
        r"\s{0,4},\s{0,4}[\"']value[\"']\s{0,4}:\s{0,4}[\"'](?P<s>[^\"'\\<>]{4,})(?=[\"'\\]|\Z)",
    ),
    _Rule(
        "key",
        ("key", "secret", "token", "pass", "credential"),
        r"(?<![A-Za-z0-9_])(?:[A-Z0-9_]{1,60}_)?(?:KEY|SECRET|TOKEN|PASSWORD|PASSWD|PASS|CREDENTIALS?)(?:_[A-Z0-9]{1,20}){0,2}"
        rf"{_AFTER_NAME}(?:(?:Bearer|Basic|Key)\s)?(?P<s>{_VALUE}{{6,}})",
        _unlike_word,
    ),
    _Rule(
        "password",
        ("pass", "pwd"),
        rf"(?i)(?<![a-z0-9<])(?:password|passwd|passphrase|pwd){_AFTER_NAME}(?P<s>{_VALUE}{{4,}})",
    ),
    _Rule(
        "key",
        ("key", "secret", "token", "signature", "credential"),
        r"(?i)(?<![a-z0-9<])(?:(?:api|fal|supabase|service|service[\s_-]?role|anon|access|secret|private|auth|signing|publishable)[\s_-]?key"
        r"|(?:client[_-]?)?secret|(?:[a-z]{1,20}[_-]){0,3}token|signature|credential)"
        rf"{_AFTER_NAME}(?:(?:bearer|basic|key)\s)?(?P<s>{_VALUE}{{8,}})",
        lambda s: _unlike_word(s) and _random(s) and not s.startswith(("http:", "https:")),
    ),
    _Rule(
        "token", ("bearer", "basic"), r"(?i)\b(?:bearer|basic)(?:\s|%20|\+){1,4}(?P<s>[A-Za-z0-9_.~+/=:-]{8,})", _random
    ),
    _Rule(
        "key",
        ("key",),
        r"\bK(?:ey|EY)(?:\s|%20|\+){1,4}(?P<s>[A-Za-z0-9_.:-]{8,})",
        lambda s: any(c.isdigit() for c in s),
    ),
    _Rule(
        "key",
        (" with",),
        r"(?i)(?:starts|begins|ends)\s{1,4}with:?\s{0,4}[\"'`(]{0,2}(?P<s>[A-Za-z0-9_:-]{6,})",
        _random,
    ),
    _Rule(
        "key",
        ("key", "token", "secret", "credential", "jwt"),
        r"(?i)(?:key|token|secret|credential|jwt)\b[^\n:=<]{0,30}[:=]\s{0,4}[\"'`(]{0,2}(?P<s>[A-Za-z0-9_-]{4,64})(?=\.\.|…|\*\*)",
        _random,
    ),
    _Rule(
        "key",
        ("header value",),
        r"(?i)header value\b[^'\"\n]{0,20}[\"'](?P<s>[^\"'<>\n]{4,4096}?)(?=[\"']|\.\.\.|…|\Z)",
    ),
    _Rule("key", ("://",), rf"(?i)(?<=://){_UUID}(?![\w/-]|\.\w)"),
    _Rule(
        "key",
        ("key", "secret", "credential"),
        rf"(?i)(?:key|secret|credential)\b[^\n/<]{{0,24}}?(?P<s>{_UUID})(?![\w/-]|\.\w)",
    ),
    _Rule(
        "key",
        ("-",),
        r"(?i)(?:(?<![/\w.-])|(?<=://))(?!(?:19|20)\d{6}-)[0-9a-f]{8}-(?:[0-9a-f]{0,4}|[0-9a-f]{4}-[0-9a-f]{0,4}|(?:[0-9a-f]{4}-){2}[0-9a-f]{0,4}"
        r"|(?:[0-9a-f]{4}-){3}[0-9a-f]{0,11})(?![\w-])",
    ),
    _Rule("data", (), r"(?<![A-Za-z0-9+/_-])(?P<s>[A-Za-z0-9+/_-]{72,}+={0,2})", _blob),
    _Rule(
        "email",
        ("@",),
        r"(?<![\w.+%-])[\w.+%-]{1,256}@(?:[\w-]{1,63}\.){1,6}(?!(?:png|jpe?g|webp|gif|svg|heic|json|log|py|txt|har)\b)[A-Za-z]{2,24}\b"
        rf"|(?<![\w.+%-])[\w.+%-]{{1,256}}@[A-Za-z][\w-]{{0,62}}(?:\.[\w-]{{0,63}}){{0,3}}{_END}",
    ),
)


def text(value: str) -> str:
    """The text with its secrets replaced by `<kind:pseudonym>`. Masking twice changes nothing more."""
    if len(value) < 6 or (len(value) < 72 and value.isalpha() and value.islower()):
        return value
    return _remembered(value) if len(value) < _SHORT else _rewritten(value)


_KNOWN: set[str] = set()


def remember(*secrets: str) -> None:
    """Mask these wherever they appear from now on, whatever they look like: they are in use in this very process."""
    for secret in secrets:
        parts = [secret.strip().strip("\"'"), *re.split(r"[.:\s\"']+", secret)]
        _KNOWN.update(part for part in parts if len(part) >= 12 and _unlike_word(part))
    _remembered.cache_clear()


def _rewritten(value: str) -> str:
    value = _by_form(value)
    for secret in sorted(_KNOWN, key=len, reverse=True) if _KNOWN else ():
        if secret in value:
            value = value.replace(secret, _pseudonym("key", secret))
    return value


def _by_form(value: str) -> str:
    lower = value.lower()
    for rule in _RULES:
        if any(hint in lower for hint in rule.hints) or (not rule.hints and len(value) >= 72):
            value = re.sub(rule.pattern, lambda found, rule=rule: _masked(rule, found), value)  # type: ignore[misc]
    return value


_remembered = lru_cache(maxsize=4096)(_rewritten)  # the same few strings stand in many places of an answer


def _masked(rule: _Rule, found: re.Match[str]) -> str:
    whole = found[0]
    named = "s" in found.re.groupindex
    secret = found["s"] if named else whole
    if not rule.holds(secret):
        return whole
    if rule.kind == "data":
        kind = found.groupdict().get("type")
        return f"<data{' ' + kind if kind else ''}, {len(secret)} characters>"
    start = found.start("s") - found.start() if named else 0
    return whole[:start] + _pseudonym(rule.kind, secret) + whole[start + len(secret) :]


def _pseudonym(kind: str, secret: str) -> str:
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
    r"|secret|private)[_-]?key)"
)


def value(data: Any, depth: int = 0) -> Any:
    """A JSON value with every string in it masked, and what stands under a secret's name; what is endless is cut."""
    if isinstance(data, str):
        return text(data) if len(data) <= _WINDOW else cut(data, LONGEST)
    if depth > 40:
        return "(nested too deeply)"
    if isinstance(data, dict):
        return {text(str(k)): _under(str(k), v, depth + 1) for k, v in data.items()}
    if isinstance(data, (list, tuple)):
        return [value(v, depth + 1) for v in data]
    return data


def _under(name: str, data: Any, depth: int) -> Any:
    shown = value(data, depth)
    plain = isinstance(shown, str) and shown == data and len(shown) >= 6 and not shown.startswith("<")
    if plain and re.fullmatch(_NAMED_SO, name) and _unlike_word(shown) and " " not in shown:
        return _pseudonym("key", shown)
    return shown
