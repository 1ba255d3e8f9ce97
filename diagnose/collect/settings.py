"""Reads `.env` and `config.env`: names, roles and shapes of settings, never their values.

What a Supabase key says of itself stands in the key's own text (Supabase facts, section 5); nobody is contacted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import logging
import re
import time
from collections.abc import Iterator
from typing import Any

from diagnose.model import Evidence, Witness

_WANTED = re.compile(r"SUPABASE|FAL|API_URL|API_BASE|API_ENDPOINT|BACKEND_URL|SERVER_URL|STORAGE|BUCKET", re.I)
_PROJECT = re.compile(r"^https?://([a-z0-9]{20})\.(?:storage\.)?supabase\.(?:co|in)\b")
_PLACEHOLDER = re.compile(
    r"^(?:your|changeme|change_me|xxx|<|\.\.\.|todo|replace|placeholder|insert|paste)|.*(?:\.\.\.|…)$", re.I
)
_ISSUER = re.compile(r"^https://([a-z0-9]{20})\.supabase\.(?:co|in)/auth/v1$")
_ROLES = {"anon", "service_role", "supabase_admin"}
_SIGNATURE = 43
"""Characters of an HS256 signature, which every project key of the older kind has (Supabase facts, section 5)."""
_OPAQUE = 20
"""Characters that a key of the newer kind has after its prefix, at the least."""
_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")
_LOGGED = {"timestamp", "ts", "time", "level", "lvl", "event", "msg", "message", "at"}
"""With these a line of `key=value` is a log's, not a setting."""


def looks_like(text: str) -> bool:
    """Whether a text is a settings file: nothing but `NAME=value`, comments and blank lines, each name set about once."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")][:200]
    names = [match[1] for line in lines if (match := _LINE.match(line))]
    if not lines or len(names) < len(lines) or _LOGGED.intersection(name.lower() for name in names):
        return False
    return len(set(names)) * 2 >= len(names)


def read(text: str, name: str) -> list[Evidence]:
    """One evidence a setting that the chain needs; the value itself is never kept."""
    from dotenv import dotenv_values

    logging.getLogger("dotenv.main").setLevel(logging.ERROR)  # it tells stderr of every line it cannot read
    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    lines = {m[1]: text.count("\n", 0, m.start(1)) + 1 for m in re.finditer(r"^\s*(?:export\s+)?(\w+)\s*=", text, re.M)}
    return [
        Evidence(
            "env.setting",
            f"{name}:{lines.get(key, 1)}",
            Witness.LOGGED,
            {"name": key, "file": name, **told(key, value)},
        )
        for key, value in values.items()
        if _WANTED.search(key)
    ]


def told(name: str, value: str | None) -> dict[str, Any]:
    """All that is told of a setting: its shape, what makes it another than one of the same shape, whose address it is.

    Eight characters of a hash tell two keys apart and lead to neither.
    """
    text = (value or "").strip()
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8] if text else None
    place = re.match(r"(https?://)(?:[^@/?#]*@)?([^/?#\s]+)", text, re.I)
    return {
        **describe(name, value),
        "digest": digest,
        "origin": (place[1] + place[2]).lower()[:200] if place is not None else None,
    }


def describe(name: str, value: str | None) -> dict[str, Any]:
    """The shape of a setting: what kind of key it is, whose, and what is wrong with its text."""
    text = (value or "").strip()
    fields: dict[str, Any] = {
        "shape": "other",
        "role": None,
        "project": None,
        "fault": None,
        "expired": None,
        "host": None,
    }
    if not text:
        return {**fields, "shape": "empty", "fault": "is empty"}
    if _PLACEHOLDER.match(text):
        return {**fields, "shape": "placeholder", "fault": "still holds a placeholder"}
    if text != (value or ""):
        fields["fault"] = "has white space around its value"
    if text.lower().startswith("bearer "):
        fields["fault"] = "begins with 'Bearer '"
        text = text[7:].strip()
    elif text[:1] in "\"'“”" or text[-1:] in "\"'“”":
        fields["fault"] = "has quotation marks in its value"
        text = text.strip("\"'“”").strip()
    if "KEY" in name.upper() and not (text.isascii() and text.isprintable()):
        fields["fault"] = "holds characters that no HTTP header can carry"
    if re.match(r"https?://", text):
        project = _PROJECT.match(text)
        host = re.sub(r"^https?://(?:[^@/]*@)?([^/?#]+).*$", r"\1", text)
        return {**fields, "shape": "url", "project": project[1] if project else None, "host": host}
    if text.startswith("/") and re.search(r"API|BACKEND|SERVER", name, re.I):
        return {**fields, "shape": "path"}  # a page calls its own host, which passes the call on
    if "URL" in name.upper() and "KEY" not in name.upper():
        return {**fields, "fault": "is not an http(s) address"}
    for kind, role in (("sb_secret", "service_role"), ("sb_publishable", "anon")):
        if text.startswith(f"{kind}_"):
            cut = "is cut off" if len(text) - len(kind) - 1 < _OPAQUE else None
            return {**fields, "shape": kind, "role": role, "fault": fields["fault"] or cut}
    if text.startswith("sbp_"):
        return {**fields, "shape": "management", "fault": "is a management token, not a project key"}
    if text.count(".") == 2 and text.startswith("ey"):
        return {**fields, **_jwt(text, fields["fault"], "SUPABASE" in name.upper() and "KEY" in name.upper())}
    if "FAL" in name.upper() and "KEY" in name.upper():
        whole = re.fullmatch(r"[0-9a-f-]{30,40}:[0-9a-f]{24,64}", text, re.I)
        return {
            **fields,
            "shape": "fal",
            "fault": fields["fault"] or (None if whole else "is not of the form id:secret"),
        }
    return fields


def _jwt(text: str, fault: str | None, is_key: bool) -> dict[str, Any]:
    """What a token says of itself; its signature is not verified, only measured."""
    head, body, signature = text.split(".")
    header, claims = _part(head), _part(body)
    if claims is None:
        return {"shape": "jwt", "fault": fault or "cannot be decoded: the key is cut or altered"}
    algorithm = header.get("alg") if header is not None else None
    if isinstance(algorithm, str) and algorithm.lower() == "none":
        fault = fault or "is not signed"
    elif len(signature) < _SIGNATURE and algorithm in (None, "HS256"):
        fault = fault or "is cut off: its signature is shorter than 43 characters"
    expires, role, ref, issuer = (claims.get(name) for name in ("exp", "role", "ref", "iss"))
    expired = isinstance(expires, (int, float)) and expires < time.time()
    own = _ISSUER.match(issuer) if isinstance(issuer, str) else None
    if is_key and not fault:
        fault = _of_role(role)
    return {
        "shape": "jwt",
        "role": str(role)[:60] if role else "anon" if is_key else None,
        "project": str(ref)[:60] if ref else own[1] if own else None,
        "expired": expired,
        "fault": "has expired" if expired else fault,
    }


def _of_role(role: object) -> str | None:
    """What is wrong with whom a key stands for."""
    if not role:
        return "names no role, and counts as an anon key"
    if role == "authenticated":
        return "is a signed-in user's token, not a project key"
    return None if role in _ROLES else f"names the role '{str(role)[:40]}', which no project key has"


def _part(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def names(evidence: list[Evidence]) -> Iterator[str]:
    """The names of the settings read."""
    return (e["name"] for e in evidence)
