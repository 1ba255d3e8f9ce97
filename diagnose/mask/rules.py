"""The forms of secrets, and what only looks like one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_END = r"(?=\Z|\.\.\.|…|[\"'])"
_AFTER_NAME = r"[\"'\\]{0,4}\s{0,4}(?::|=>?|%3[AD])[\s+]{0,4}(?:b(?=[\"'\\]))?[\"'\\`]{0,4}"
_VALUE = r"[^\s\"'\\,;<>)}\]]"


_STATEMENTS = (
    "absent bearer basic configured correct deleted disabled does empty enabled exists expired false found invalid is key loaded"
    " malformed missing must needed none null ok present refused rejected required set should string token true undefined unset valid"
    " was wrong"
)
"""What is said of a secret where its value could stand."""


def _anything(secret: str) -> bool:
    return secret.lower().strip(".:") not in _STATEMENTS.split()


def random(secret: str) -> bool:
    """Whether it looks drawn by lot, and is no word."""
    parts = [part[1:] for part in re.split(r"[-_.]", secret)]
    return (
        any(c.isdigit() for c in secret) or len(secret) >= 24 or any(p != p.lower() and p != p.upper() for p in parts)
    )


def unlike_word(secret: str) -> bool:
    return _anything(secret) and not re.fullmatch(r"[A-Za-z]?[a-z_]{0,18}", secret)


def _blob(secret: str) -> bool:
    return max(len(part) for part in re.split(r"[/_-]", secret)) >= 40


class Rule(NamedTuple):
    """The form of a secret: its group `s`, or the whole, is replaced where `holds`."""

    kind: str
    hints: tuple[str, ...]
    """One of these stands, in lower case, in every text in which the pattern can be found; none: any long text."""
    pattern: str
    """Plain text, compiled and kept by `re` when first needed. Every repetition is bounded or cannot be read two ways."""
    holds: Callable[[str], bool] = _anything


RULES = (
    Rule("private-key", ("private key",), r"(?P<s>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:(?!-----END)[\s\S])*+)"),
    Rule(
        "data",
        ("base64,",),
        r"data:(?P<type>[\w.+-]{1,80}/[\w.+-]{1,80})?(?:;[\w.+-]{1,80}(?:=[\w.+-]{0,80})?){0,6};base64,"
        r"(?P<s>[A-Za-z0-9+/=_%-]{8,}+(?:(?:\\n|\s)[A-Za-z0-9+/_-]{60,}+=*)*+)",
    ),
    Rule("jwt", ("eyj",), r"eyJ[A-Za-z0-9_+/=-]{6,}(?:\.[A-Za-z0-9_+/=-]*){0,4}"),
    Rule("supabase-key", ("sb_", "sbp_"), r"sb(?:p|_secret|_publishable)_[A-Za-z0-9_-]{6,}"),
    Rule("fal-key", (":", "%3a"), rf"(?i){UUID}(?::|%3A)(?:[0-9a-f]{{4,}}|[0-9a-f]{{0,3}}{_END})"),
    Rule(
        "key",
        ("sk-", "sk_", "rk_", "gh", "hf_", "r8_", "akia", "asia", "aiza", "xox", "glpat-", "npm_", "ya29.", "sg."),
        r"(?<![A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{16,}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|gh[pousr]_[A-Za-z0-9]{16,}|hf_[A-Za-z0-9]{16,}"
        r"|r8_[A-Za-z0-9]{16,}|A[KS]IA[0-9A-Z]{12,}|AIza[A-Za-z0-9_-]{20,}|xox[abpr]-[A-Za-z0-9-]{10,}|glpat-[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{20,}|ya29\.[A-Za-z0-9_-]{16,}"
        r"|SG\.[A-Za-z0-9_-]{10,64}\.[A-Za-z0-9_-]{10,64})",
        random,
    ),
    Rule(
        "token",
        ("=", "%3d"),
        r"(?i)(?:[?&;]|%3F|%26|\\u0026)(?:[\w-]{0,40}(?:token|signature|secret|api[_-]?key|password|credential|jwt)[\w-]{0,20}"
        r"|key|sig|auth|policy|key-pair-id|[\w-]{0,12}accesskeyid|googleaccessid)(?:=|%3D)(?P<s>(?:(?!%26)[^&#\s\"'\\,;<>)}\]]){4,})",
    ),
    Rule("password", ("://",), r"://(?P<s>[^/?#\s\"'<>\\]{1,512})@"),
    Rule(
        "password",
        ("://",),
        rf"://(?P<s>[^/?#\s\"'<>\\@:\[]{{0,256}}:(?!\d{{1,5}}(?![^/?#\s]))[^/?#\s\"'<>\\@:]{{1,256}}){_END}",
        lambda s: not s.rpartition(":")[2].rstrip(".").isdigit(),
    ),
    Rule(
        "token",
        ("authorization",),
        r"(?i)authorization[\"'\\]{0,4}\s{0,4}(?::|=>?|,|%3[AD])\s{0,4}\(?\[?(?:b(?=[\"'\\]))?[\"'\\`]{0,4}"
        rf"(?:(?:bearer|basic|key|token|apikey)(?:\s|%20|\+){{1,4}}[`(\"']{{0,2}})?(?P<s>{_VALUE}{{4,}})",
        random,
    ),
    Rule(
        "cookie",
        ("cookie",),
        r"(?i)cookie[\"'\\]{0,4}\s{0,4}[:=,]\s{0,4}b?[\"'\\]{0,4}(?P<s>[^\s\"'\\=;,<>]{1,200}=[^\r\n\"'\\]{4,})",
    ),
    Rule("cookie", ("-auth-token",), rf"sb-\w{{4,40}}-auth-token[\w.-]{{0,30}}=(?P<s>{_VALUE}{{4,}})"),
    Rule(
        "key",
        ("value",),
        r"(?i)[\"']name[\"']\s{0,4}:[\s+]{0,4}[\"'][\w-]{0,40}?(?:authorization|api-?key|token|secret|cookie|password|signature)[\w.-]{0,20}[\"']"
        r"\s{0,64},[\s+]{0,64}[\"']value[\"']\s{0,4}:[\s+]{0,4}[\"'](?P<s>[^\"'\\<>]{4,})(?=[\"'\\]|\Z)",
    ),
    Rule(
        "key",
        ("key", "secret", "token", "pass", "credential"),
        r"(?<![A-Za-z0-9_])(?:[A-Z0-9_]{1,60}_)?(?:KEY|SECRET|TOKEN|PASSWORD|PASSWD|PASS|CREDENTIALS?)(?:_[A-Z0-9]{1,20}){0,2}"
        rf"{_AFTER_NAME}(?:(?:Bearer|Basic|Key)\s)?(?P<s>{_VALUE}{{6,}})",
        unlike_word,
    ),
    Rule(
        "password",
        ("pass", "pwd"),
        rf"(?i)(?<![a-z0-9<])(?:password|passwd|passphrase|pwd){_AFTER_NAME}(?P<s>{_VALUE}{{4,}})",
    ),
    Rule(
        "key",
        ("key", "secret", "token", "signature", "credential"),
        r"(?i)(?<![a-z0-9<])(?:(?:api|fal|supabase|service|service[\s_-]?role|anon|access|secret|private|auth|signing|publishable)[\s_-]?key"
        r"|(?:client[_-]?)?secret|(?:[a-z]{1,20}[_-]){0,3}token|signature|credential)"
        rf"{_AFTER_NAME}(?:(?:bearer|basic|key)\s)?(?P<s>{_VALUE}{{8,}})",
        lambda s: unlike_word(s) and random(s) and not s.startswith(("http:", "https:")),
    ),
    Rule(
        "token",
        ("bearer", "basic"),
        r"(?i)\b(?:bearer|basic)(?:\s|%20|\+){1,4}[`(\"']{0,2}(?P<s>[A-Za-z0-9_.~+/=:-]{8,})",
        random,
    ),
    Rule(
        "key",
        ("key",),
        r"\bK(?:ey|EY)(?:\s|%20|\+){1,4}`?(?P<s>[A-Za-z0-9_.:-]{8,})",
        lambda s: any(c.isdigit() for c in s),
    ),
    Rule(
        "key",
        (" with",),
        r"(?i)(?:starts|begins|ends)\s{1,4}with:?\s{0,4}[\"'`(]{0,2}(?P<s>[A-Za-z0-9_:-]{6,})",
        random,
    ),
    Rule(
        "key",
        ("key", "token", "secret", "credential", "jwt"),
        r"(?i)(?:key|token|secret|credential|jwt)\b[^\n:=<]{0,30}[:=]\s{0,4}[\"'`(]{0,2}(?P<s>[A-Za-z0-9_-]{4,64})(?=\.\.|…|\*\*)",
        random,
    ),
    Rule(
        "key",
        ("header value",),
        r"(?i)header value\b[^'\"\n]{0,20}[\"'](?P<s>[^\"'<>\n]{4,4096}?)(?=[\"']|\.\.\.|…|\Z)",
    ),
    Rule("key", ("://",), rf"(?i)(?<=://){UUID}(?![\w/-]|\.\w)"),
    Rule(
        "key",
        ("key", "secret", "credential", "fal ", "fal:", "fal="),
        rf"(?i)(?:(?:key|secret|credential)\b[^\n/<]{{0,24}}?|(?-i:\bFAL)[\s:=\"'`(]{{1,4}}"
        rf"|(?<![\w/.-])(?={UUID}[\"'`)]{{0,2}}\s(?:is (?:not )?|as |was )(?:an? |the )?(?:in)?(?:valid |known |our )?(?:api |fal |access )?(?:key|credential)\b))"
        rf"(?P<s>{UUID})(?![\w/-]|\.\w)",
    ),
    Rule(
        "key",
        ("-",),
        r"(?i)(?:(?<![/\w.-])|(?<=://))(?!(?:19|20)\d{6}-)[0-9a-f]{8}-(?:[0-9a-f]{0,4}|[0-9a-f]{4}-[0-9a-f]{0,4}|(?:[0-9a-f]{4}-){2}[0-9a-f]{0,4}"
        r"|(?:[0-9a-f]{4}-){3}[0-9a-f]{0,11})(?![\w-])",
    ),
    Rule("data", (), r"(?<![A-Za-z0-9+/_-])(?P<s>[A-Za-z0-9+/_-]{72,}+={0,2})", _blob),
    Rule(
        "email",
        ("@",),
        r"(?<![\w.+%-])[\w.+%-]{1,256}@(?:[\w-]{1,63}\.){1,6}(?!(?:png|jpe?g|webp|gif|svg|heic|json|log|py|txt|har)\b)[A-Za-z]{2,24}\b"
        rf"|(?<![\w.+%-])[\w.+%-]{{1,256}}@[A-Za-z][\w-]{{0,62}}(?:\.[\w-]{{0,63}}){{0,3}}{_END}",
    ),
    Rule(
        "key", ("...", "…"), r"(?<=[<>])(?:\.{3}|…)(?P<s>[A-Za-z0-9_+/-]{6,})", random
    ),  # the end of a key told in part
)

_HINTS = tuple(dict.fromkeys(hint for rule in RULES for hint in rule.hints))
_RULES_OF = {hint: [number for number, rule in enumerate(RULES) if hint in rule.hints] for hint in _HINTS}
_LONG = [number for number, rule in enumerate(RULES) if not rule.hints]


def worth_trying(text: str, *, blobs: bool = True) -> list[int]:
    """The numbers of the rules that can hold somewhere in a text, in their order; without those for `blobs` if so wanted."""
    lower = text.lower()
    numbers = {number for hint in _HINTS if hint in lower for number in _RULES_OF[hint]}
    if blobs and len(text) >= 72:
        numbers.update(_LONG)
    return sorted(numbers)
