"""Planted secrets: every kind of secret, as people's files carry it, in every dress that files put on it.

No value here was ever a key of anybody.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import quote

FAL = "e8ef8061-1234-4abc-9def-0123456789ab:0123456789abcdef0123456789abcdef"
HEAD = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
CLAIMS = "eyJpc3MiOiJzdXBhYmFzZSIsInJlZiI6InFod3p2Ym5rZG10eXJjeGFlcGxvIiwicm9sZSI6InNlcnZpY2Vfcm9sZSJ9"
JWT = f"{HEAD}.{CLAIMS}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
UNSIGNED = f"{HEAD}.{CLAIMS}"
SECRET_KEY = "sb_secret_Nq7vXw2LkPz0aBcD3eFgHi_1jK4mNoP"
PUBLISHABLE = "sb_publishable_Zx9yWv8uTs7rQp6oNm5lKj_4iHgF3e"
MANAGEMENT = "sbp_0123456789abcdef0123456789abcdef01234567"
OPAQUE = "v7Kq2mZx9Lw4Rt8Yp3Ns6Bd1"
OPENAI = "sk-proj-Ab12Cd34Ef56Gh78Ij90Kl12Mn34"
PASSWORD = "hunter2-Correct9Horse"
BASIC = "c3ZjOmh1bnRlcjItQ29ycmVjdDlIb3JzZQ=="
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAA" + "AbCdEfGh0123456789+/" * 12
EMAIL = "ana.wijaya@example.org"
COOKIE = "base64-" + base64.b64encode(json.dumps({"access_token": JWT, "user": {"email": EMAIL}}).encode()).decode()
KEY_BODY = "\n".join("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8c" + letter for letter in "Kq7Zx") + "\nw9Zt3="
PRIVATE_KEY = f"-----BEGIN PRIVATE KEY-----\n{KEY_BODY}\n-----END PRIVATE KEY-----"

CARRIERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "fal": (FAL, ("{}", "Authorization: Key {}", "FAL_KEY={}", '{{"Authorization": "Key {}"}}', "https://{}@fal.run/x",
                  "headers=[(b'Authorization', b'Key {}')]", "Illegal header value b'Key {}'")),
    "jwt": (JWT, ("{}", "Authorization: Bearer {}", '{{"apikey": "{}"}}', "SUPABASE_KEY='{}'", "https://p.supabase.co/storage/v1/object/sign/b/a.jpg?token={}")),
    "unsigned": (UNSIGNED, ("{}", "token: {}", '{{"access_token": "{}"}}')),
    "secret": (SECRET_KEY, ("{}", "SUPABASE_SERVICE_ROLE_KEY={}", '{{"apikey": "{}"}}')),
    "publishable": (PUBLISHABLE, ("{}", '{{"apikey": "{}"}}')),
    "management": (MANAGEMENT, ("{}", "Authorization: Bearer {}")),
    "openai": (OPENAI, ("{}", "OPENAI_API_KEY={}")),
    "opaque": (OPAQUE, ("Authorization: Bearer {}", '{{"client_secret": "{}"}}', "https://x.io/a?b=1&token={}", "x-api-key: {}",
                        "Cookie: session={}; theme=dark", '{{"name": "x-api-key", "value": "{}"}}')),
    "password": (PASSWORD, ("postgres://postgres:{}@db.host:5432/x", '{{"password": "{}"}}', "DB_PASSWORD={}")),
    "basic": (BASIC, ("Authorization: Basic {}",)),
    "picture": (PICTURE, ("data:image/png;base64,{}", '{{"face_image": "data:image/png;base64,{}"}}')),
    "email": (EMAIL, ("{}", '{{"email": "{}"}}')),
    "cookie": (COOKIE, ("Cookie: sb-qhwzvbnkdmtyrcxaeplo-auth-token={}; theme=dark", "sb-qhwzvbnkdmtyrcxaeplo-auth-token.0={}",
                        '{{"name": "sb-qhwzvbnkdmtyrcxaeplo-auth-token.1", "value": "{}"}}')),
}  # fmt: skip
"""Of each kind the secret, and what it stands in: bare only where its form tells."""


def _unicode(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if n % 3 else c for n, c in enumerate(text))


def _times(dress: Callable[[str], str], times: int) -> Callable[[str], str]:
    def dressed(text: str) -> str:
        for _ in range(times):
            text = dress(text)
        return text

    return dressed


def _json(text: str) -> str:
    return json.dumps({"detail": text})


DRESSES: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": _json,
    "json twice": _times(_json, 2),
    "json three times": _times(_json, 3),
    "json with slashes": lambda text: _json(text).replace("/", "\\/"),
    "json all escaped": lambda text: '{"detail": "' + _unicode(text) + '"}',
    "json all escaped twice": lambda text: '{"detail": "' + _unicode(text).replace("\\", "\\\\") + '"}',
    "url": lambda text: f"GET /log?said={quote(text, safe='')}",
    "url twice": lambda text: f"GET /log?said={quote(quote(text, safe=''), safe='')}",
    "html": lambda text: f"<p>{html.escape(text)}</p>",
    "html numbers": lambda text: "<p>" + "".join(f"&#{ord(c)};" if n % 3 else html.escape(c) for n, c in enumerate(text)) + "</p>",
    "html in json": lambda text: _json(f"<p>{html.escape(text)}</p>"),
    "repr": repr,
    "bytes": lambda text: repr(text.encode()),
    "bytes in a repr": lambda text: repr({"body": repr(text.encode())}),
    "hexadecimal escapes": lambda text: "b'" + "".join(f"\\x{ord(c):02x}" if n % 4 == 1 else c for n, c in enumerate(text)) + "'",
    "exception": lambda text: f"httpx.LocalProtocolError: {text}",
    "header": lambda text: f"< x-debug: {text}",
    "base64": lambda text: f"config: {base64.b64encode((text + ' ').encode()).decode()}",
    "file name": lambda text: f"cannot open '/tmp/{text}.json'",
}  # fmt: skip
"""Dresses on one line."""


def _cut(text: str, secret: str, part: float) -> tuple[str, str]:
    at = text.index(secret) + int(len(secret) * part)
    return text[:at], text[at:]


def _wrapped(width: int) -> Callable[[str, str, float], str]:
    """As a terminal of this width shows it, the secret over the edge."""

    def spread(text: str, secret: str, part: float) -> str:
        before, behind = _cut(text, secret, part)
        line = before.rjust(-(-len(before) // width) * width, "m")
        line = line.replace("m" + before[:1], " " + before[:1], 1) if line != before else line
        whole = line + behind
        return "\n".join(whole[at : at + width] for at in range(0, len(whole), width))

    return spread


def _between(middle: str, start: str = "") -> Callable[[str, str, float], str]:
    return lambda text, secret, part: start + middle.join(_cut(text, secret, part))


STAMP = "2026-01-11T06:44:32.716926Z "
SPREAD: dict[str, Callable[[str, str, float], str]] = {
    "terminal of 80": _wrapped(80),
    "terminal of 120": _wrapped(120),
    "backslash": _between("\\\n    "),
    "docker": _between("\napi-1  | ", "api-1  | "),
    "timestamps": _between("\n" + STAMP, STAMP),
    "escaped line end": lambda text, secret, part: '{"detail": "' + _between("\\n")(text.replace('"', "'"), secret, part) + '"}',
    "quoted lines": lambda text, secret, part: "\n".join(f'  "{one}"' for one in _cut(text.replace('"', "'"), secret, part)),
}  # fmt: skip
"""Dresses over several lines, cut in some part of the secret."""

MULTILINE: dict[str, tuple[str, str]] = {
    "private key": (KEY_BODY, PRIVATE_KEY),
    "private key in a log": (KEY_BODY, "\n".join("api-1  | " + line for line in PRIVATE_KEY.split("\n"))),
    "private key in json": (KEY_BODY, json.dumps({"private_key": PRIVATE_KEY})),
    "private key in settings": (KEY_BODY, f'FIREBASE_KEY="{PRIVATE_KEY}"'),
    "private key in Python": (KEY_BODY, "\n".join(f'    "{line}\\n"' for line in PRIVATE_KEY.split("\n"))),
    "mail": (PICTURE, "Content-Transfer-Encoding: base64\n\n" + "\n".join(PICTURE[at : at + 76] for at in range(0, len(PICTURE), 76))),
    "narrow mail": (PICTURE, "\n".join(PICTURE[at : at + 64] for at in range(0, len(PICTURE), 64))),
    "browser": (OPAQUE, json.dumps({"log": {"entries": [{"request": {"headers": [{"name": "apikey", "value": OPAQUE}]}}]}}, indent=2)),
    "yaml": (OPAQUE, f"env:\n  api_key: >-\n    {OPAQUE}\n"),
    "headers": (OPAQUE, f'[\n  "Authorization",\n  "Bearer {OPAQUE}"\n]'),
    "settings in quotes": (OPAQUE, f'FAL_KEY="{OPAQUE[:12]}\n{OPAQUE[12:]}"\nMODE=live'),
    "said once by name": (OPAQUE, f"SUPABASE_KEY={OPAQUE}\nconnected with {OPAQUE} to p\n"),
    "its own file": (FAL, f"SUPABASE_KEY={FAL}\nread /run/secrets/{FAL.replace(':', '_')}.txt\n"),
    "chunks of a cookie": (COOKIE, f"Cookie: sb-abcdefgh-auth-token.0={COOKIE[:90]}; sb-abcdefgh-auth-token.1={COOKIE[90:]}"),
    "traceback": (FAL, f'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    send("Key {FAL}")\nhttpx.LocalProtocolError: Illegal header value b\'Key {FAL}\\n\'\n'),
    "cut key": (FAL, f"key {FAL[:36]}... is not valid\nkey {FAL[:36]}\n'{FAL[:36]}' is not a valid key\nFAL: {FAL[:36]}\n{FAL[:37]}"),
}  # fmt: skip
"""Whole passages with a secret."""


class Planted(NamedTuple):
    """A secret in a text."""

    name: str
    secret: str
    text: str


def on_one_line() -> Iterator[Planted]:
    """Every kind of secret in every dress that leaves it on its line."""
    for kind, (secret, carriers) in CARRIERS.items():
        for carrier in carriers:
            said = carrier.format(secret)
            for name, dress in DRESSES.items():
                yield Planted(f"{kind}, {carrier}, {name}", secret, dress(said))


def over_lines() -> Iterator[Planted]:
    """Every kind of secret in every dress that spreads it over lines."""
    for kind, (secret, carriers) in CARRIERS.items():
        for carrier in carriers:
            for name, spread in SPREAD.items():
                for part in (0.2, 0.5, 0.8):
                    yield Planted(f"{kind}, {carrier}, {name}, {part}", secret, spread(carrier.format(secret), secret, part))
    for name, (secret, text) in MULTILINE.items():
        yield Planted(name, secret, text)


def leaked(text: str, secret: str) -> str | None:
    """Twelve characters in a row of a secret that stand in a text, whatever was done to its white space."""
    squeezed = re.sub(r"\s+", "", text)
    secret = re.sub(r"\s+", "", re.sub(r"^(?:sb(?:p|_secret|_publishable)_|sk-proj-|base64-)", "", secret))
    parts = (secret[at : at + 12] for at in range(len(secret) - 11))
    return next((part for part in parts if part in squeezed), None)
