"""Reads `.env` and `config.env`: names, roles and shapes of settings, never their values.

What a Supabase key says of itself stands in the key's own text (Supabase facts, section 5); nobody is contacted.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import logging
import re
import time
from collections.abc import Iterator
from typing import Any

from diagnose.model import Evidence, Witness

_WANTED = re.compile(r"SUPABASE|FAL|API_URL|BACKEND_URL|STORAGE|BUCKET", re.I)
_PROJECT = re.compile(r"^https?://([a-z0-9]{20})\.(?:storage\.)?supabase\.(?:co|in)\b")
_PLACEHOLDER = re.compile(r"^(?:your|changeme|xxx|<|\.\.\.|todo|replace)", re.I)
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
    raw = {m[1]: m[2] for m in re.finditer(r"^\s*(?:export\s+)?(\w+)\s*=(.*)$", text, re.M)}
    lines = {m[1]: text.count("\n", 0, m.start(1)) + 1 for m in re.finditer(r"^\s*(?:export\s+)?(\w+)\s*=", text, re.M)}
    return [
        Evidence(
            "env.setting",
            f"{name}:{lines.get(key, 1)}",
            Witness.LOGGED,
            {"name": key, "file": name, **describe(key, value, raw.get(key, ""))},
        )
        for key, value in values.items()
        if _WANTED.search(key)
    ]


def describe(name: str, value: str | None, raw: str = "") -> dict[str, Any]:
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
    elif text[:1] in "\"'“”" and raw.strip()[:1] != text[:1]:
        fields["fault"] = "has quotation marks in its value"
    if re.match(r"https?://", text):
        project = _PROJECT.match(text)
        host = re.sub(r"^https?://(?:[^@/]*@)?([^/?#]+).*$", r"\1", text)
        return {**fields, "shape": "url", "project": project[1] if project else None, "host": host}
    if "URL" in name.upper() and "KEY" not in name.upper():
        return {**fields, "fault": "is not an http(s) address"}
    if text.startswith("sb_secret_"):
        return {**fields, "shape": "sb_secret", "role": "service_role"}
    if text.startswith("sb_publishable_"):
        return {**fields, "shape": "sb_publishable", "role": "anon"}
    if text.startswith("sbp_"):
        return {**fields, "shape": "management", "fault": "is a management token, not a project key"}
    if text.count(".") == 2 and text.startswith("ey"):
        return {**fields, **_jwt(text, fields["fault"])}
    if "FAL" in name.upper() and "KEY" in name.upper():
        whole = re.fullmatch(r"[0-9a-f-]{30,40}:[0-9a-f]{24,64}", text, re.I)
        return {
            **fields,
            "shape": "fal",
            "fault": fields["fault"] or (None if whole else "is not of the form id:secret"),
        }
    return fields


def _jwt(text: str, fault: str | None) -> dict[str, Any]:
    _, body, signature = text.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        return {"shape": "jwt", "fault": "cannot be decoded: the key is cut or altered"}
    expires = claims.get("exp")
    expired = isinstance(expires, (int, float)) and expires < time.time()
    if len(signature) < 43 and not fault:
        fault = "is cut off: its signature is shorter than 43 characters"
    role, ref = claims.get("role"), claims.get("ref")
    return {
        "shape": "jwt",
        "role": str(role) if role else None,
        "project": str(ref) if ref else None,
        "expired": expired,
        "fault": "has expired" if expired else fault,
    }


def names(evidence: list[Evidence]) -> Iterator[str]:
    """The names of the settings read."""
    return (e["name"] for e in evidence)
