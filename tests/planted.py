"""Secrets to plant in evidence: every kind in every dress, and an eye of its own that looks for them.

A *kind* says what a secret is and how files name it; a *dress* is what files, terminals and programs do to a text. The eye
shares no code with `diagnose.mask`: it undoes escapes with the standard library and looks for any twelve characters.
"""

from __future__ import annotations

import base64
import html
import json
import quopri
import random
import re
import string
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus, unquote

PART = 12
"""Characters of a secret that are too many to be seen."""


class Kind(NamedTuple):
    """A kind of secret and the ways in which files name one."""

    name: str
    make: Callable[[random.Random], str]
    carriers: tuple[str, ...]
    """With `{}` for the secret. The first names it most plainly."""
    public: str = ""
    """What every secret of the kind begins with."""
    named: bool = True
    """Whether a file's name or a line of its own can hold it."""


class Planted(NamedTuple):
    """A text that holds a secret."""

    kind: str
    carrier: str
    dress: str
    text: str
    secret: str
    """What must not survive, whole or in any twelve characters."""

    @property
    def name(self) -> str:
        """Its kind, how it is named, and its dress."""
        return f"{self.kind}, {self.carrier}, {self.dress}"


def _drawn(rng: random.Random, alphabet: str, length: int) -> str:
    """Letters and digits by lot; always some of each, as keys that machines draw have."""
    made = "".join(rng.choice(alphabet) for _ in range(length - 3))
    return made[: length // 2] + "q7" + made[length // 2 :] + "d"


WORD = string.ascii_letters + string.digits
URLSAFE = WORD + "-_"
HEX = "0123456789abcdef"


def _hex(rng: random.Random, length: int) -> str:
    return "".join(rng.choice(HEX) for _ in range(length))


def _uuid(rng: random.Random) -> str:
    return "-".join(_hex(rng, n) for n in (8, 4, 4, 4, 12))


def fal_key(rng: random.Random) -> str:
    return f"{_uuid(rng)}:{_hex(rng, 32)}"


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def unsigned(rng: random.Random) -> str:
    """A JWT whose signature was cut off."""
    claims = {"iss": "supabase", "ref": _hex(rng, 20), "role": "service_role", "sub": _uuid(rng), "exp": 2083680000}
    return f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment(claims)}"


def jwt(rng: random.Random) -> str:
    return f"{unsigned(rng)}.{_drawn(rng, URLSAFE, 43)}"


def _basic(rng: random.Random) -> str:
    return base64.b64encode(f"svc:{_drawn(rng, WORD, 21)}".encode()).decode()


def _session(rng: random.Random) -> str:
    held = {"access_token": jwt(rng), "token_type": "bearer", "refresh_token": _drawn(rng, WORD, 22)}
    return "base64-" + base64.urlsafe_b64encode(json.dumps(held).encode()).decode().rstrip("=")


def private_key(rng: random.Random) -> str:
    """The body of one, in one line."""
    return "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" + _drawn(rng, WORD + "+/", 800)


def _picture(rng: random.Random) -> str:
    return "iVBORw0KGgoAAAANSUhEUgAA" + _drawn(rng, WORD + "+/", 600)


_NAMED = ('"api_key": "{}"', "SUPABASE_KEY={}", "x-api-key: {}")

FAL = fal_key(random.Random(1))
JWT = jwt(random.Random(1))
SECRET_KEY = "sb_secret_" + _drawn(random.Random(1), URLSAFE, 31)
OPAQUE = _drawn(random.Random(2), WORD, 26)

KINDS = (
    Kind("fal key", fal_key, ("FAL_KEY={}", "Authorization: Key {}", "{}", "headers=[(b'Authorization', b'Key {}')]", '{{"Authorization": "Key {}"}}', "https://{}@fal.run/x")),
    Kind("JWT", jwt, ("SUPABASE_SERVICE_KEY={}", "Authorization: Bearer {}", "{}", "apikey: {}", '{{"apikey": "{}"}}'), "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."),
    Kind("JWT without its signature", unsigned, ("token: {}", "{}", '{{"access_token": "{}"}}'), "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."),
    Kind("Supabase secret key", lambda r: "sb_secret_" + _drawn(r, URLSAFE, 31), ("SUPABASE_SERVICE_KEY='{}'", "{}", '"apikey":"{}"'), "sb_secret_"),
    Kind("Supabase publishable key", lambda r: "sb_publishable_" + _drawn(r, URLSAFE, 31), ("apikey={}", "{}"), "sb_publishable_"),
    Kind("Supabase access token", lambda r: "sbp_" + _hex(r, 40), ("SUPABASE_ACCESS_TOKEN={}", "{}"), "sbp_"),
    Kind("vendor's key", lambda r: "sk-proj-" + _drawn(r, WORD, 30), ("OPENAI_API_KEY={}", "{}"), "sk-proj-"),
    Kind("opaque key", lambda r: _drawn(r, WORD, 26), (*_NAMED, "FAL_KEY_SECRET={}", "Authorization: Bearer {}", "'client_secret': '{}'", "Cookie: session={}; theme=dark", '{{"name": "x-api-key", "value": "{}"}}')),
    Kind("token of a signed URL", jwt, ("https://qhwzvbnkdmtyrcxaeplo.supabase.co/storage/v1/object/sign/public/face/a.jpg?token={}",), "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."),
    Kind("signature of a URL", lambda r: _hex(r, 64), ("https://b.s3.amazonaws.com/k.jpg?X-Amz-Expires=60&X-Amz-Signature={}", "https://x.io/a.png?e=1&sig={}")),
    Kind("basic authorization", _basic, ("Authorization: Basic {}", "Basic {}")),
    Kind("session cookie", _session, ("Cookie: sb-qhwzvbnkdmtyrcxaeplo-auth-token={}", "set-cookie: sb-qhwzvbnkdmtyrcxaeplo-auth-token.0={}; Path=/; HttpOnly", "Cookie: theme=dark; sb-qhwzvbnkdmtyrcxaeplo-auth-token.1={}"), "base64-eyJhY2Nlc3NfdG9rZW4"),
    Kind("password in a URL", lambda r: _drawn(r, WORD, 20), ("postgres://postgres:{}@db.example.test:5432/postgres", "redis://:{}@cache.example.test")),
    Kind("password", lambda r: _drawn(r, WORD, 20), ("DB_PASSWORD={}", '"password": "{}"', "password={}")),
    Kind("picture", _picture, ("data:image/png;base64,{}", '"face_image": "data:image/jpeg;base64,{}"'), "iVBORw0KGgoAAAANSUhEUgAA", named=False),
    Kind("private key", private_key, ("-----BEGIN PRIVATE KEY----- {} -----END PRIVATE KEY-----",), "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", named=False),
    Kind("e-mail", lambda r: f"ana.{_drawn(r, string.ascii_lowercase, 14)}@example.org", ("{}", "user <{}>", '"email": "{}"')),
)  # fmt: skip


# --- dresses -------------------------------------------------------------------------------------------------------------


class Dress(NamedTuple):
    """What is done to a text that names a secret."""

    name: str
    on: Callable[[str, str], str]
    """Given the text and the secret in it."""
    depth: int = 0
    """0: as programs print it, in one line; 1: escaped in some way, in one line; 2: over lines."""


def _json(text: str, _: str) -> str:
    return json.dumps({"detail": f"Failed: {text}", "status": 500})


def _nested(levels: int) -> Callable[[str, str], str]:
    def on(text: str, _: str) -> str:
        for _level in range(levels):
            text = json.dumps({"body": text})
        return f"DEBUG:main:{text}"

    return on


def _unicode(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in text)


def _first_escaped(text: str, secret: str) -> str:
    return f'{{"detail": "{json.dumps(text)[1:-1].replace(secret, _unicode(secret[0]) + secret[1:])}"}}'


def _exception(text: str, _: str) -> str:
    return f"httpx.LocalProtocolError: Illegal header value {text.encode()!r}"


def _headers(text: str, _: str) -> str:
    return f"DEBUG:httpcore:send_request_headers.started request=<Request [b'POST']> headers={[('host', 'fal.run'), ('x-note', text)]!r}"


def _entities(form: str) -> Callable[[str, str], str]:
    return lambda text, _: "<p>" + "".join(form.format(ord(c)) for c in text) + "</p>"


def _file_name(text: str, _: str) -> str:
    return f"FileNotFoundError: [Errno 2] No such file or directory: {text + '.json'!r}"


def _wrapped(width: int, prefix: str = "", end: str = "\n") -> Callable[[str, str], str]:
    def on(text: str, _: str) -> str:
        line = f"INFO:     request failed with {text} and was sent again"
        room = width - len(prefix)
        return end.join(prefix + line[at : at + room] for at in range(0, len(line), room))

    return on


def _continued(text: str, _: str) -> str:
    return (
        "curl -X POST \\\n  -H '"
        + "\\\n".join(text[at : at + 30] for at in range(0, len(text), 30))
        + "' \\\n  https://fal.run/x"
    )


def _concatenated(text: str, _: str) -> str:
    parts = [text[at : at + 40] for at in range(0, len(text), 40)]
    return "KEY = (\n" + "\n".join(f"    {part!r}" for part in parts) + "\n)"


def _broken_by_escapes(text: str, _: str) -> str:
    return json.dumps({"detail": "\n".join(text[at : at + 64] for at in range(0, len(text), 64))})


def _mime(text: str, _: str) -> str:
    coded = base64.b64encode(f"the settings were: {text} and so on, until the end of this message".encode()).decode()
    return (
        "Content-Transfer-Encoding: base64\n\n"
        + "\n".join(coded[at : at + 76] for at in range(0, len(coded), 76))
        + "\n"
    )


def _base64(text: str, _: str) -> str:
    return f"payload={base64.b64encode(text.encode()).decode()}"


def _pem(text: str, secret: str) -> str:
    lines = "\n".join(secret[at : at + 64] for at in range(0, len(secret), 64))
    return f"before\n-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----\nafter"


def _pem_logged(text: str, secret: str) -> str:
    return "\n".join(f"api-1  | {line}" for line in _pem(text, secret).split("\n"))


def _next_line(text: str, secret: str) -> str:
    name, _, rest = text.partition(secret)
    return f"{name.rstrip()}\n  {secret}{rest}"


def _traceback(text: str, _: str) -> str:
    return (
        'Traceback (most recent call last):\n  File "fal_service.py", line 31, in call\n'
        f"    answer = client.post(url, headers={{'x': {text!r}}})\nRuntimeError: {text}\n"
    )


DRESSES = (
    Dress("plain", lambda text, _: f"INFO: {text} and more"),
    Dress("alone", lambda text, _: text),
    Dress("quoted", lambda text, _: f"value '{text}'."),
    Dress("JSON", _json),
    Dress("JSON in JSON", _nested(2)),
    Dress("Python's repr", lambda text, _: f"ERROR:main:{({'note': text, 'n': 1})!r}"),
    Dress("bytes", lambda text, _: f"INFO:main:body={text.encode()!r}"),
    Dress("exception", _exception),
    Dress("headers", _headers),
    Dress("coloured", lambda text, _: f"\x1b[31m{text}\x1b[0m"),
    Dress("coloured alone", lambda text, secret: text.replace(secret, f"\x1b[32m{secret}\x1b[0m")),
    Dress("backticks", lambda text, secret: text.replace(secret, f"`{secret}`")),
    Dress("told in part", lambda text, secret: text.replace(secret, f"{secret[: len(secret) // 2]}...{secret[-14:]}")),
    Dress("query", lambda text, _: f'INFO: 127.0.0.1:9 - "GET /x?q={quote(text, safe="")} HTTP/1.1" 200 OK'),
    Dress("form", lambda text, _: f"a=1&note={quote_plus(text)}&b=2"),
    Dress("file name", _file_name),
    Dress("JSON three times", _nested(3), 1),
    Dress("JSON four times", _nested(4), 1),
    Dress("unicode escapes", lambda text, _: f'{{"detail": "{_unicode(text)}"}}', 1),
    Dress("one unicode escape", _first_escaped, 1),
    Dress("escaped slashes", lambda text, _: json.dumps({"detail": text}).replace("/", "\\/"), 1),
    Dress("hexadecimal escapes", lambda text, _: "b'" + "".join(f"\\x{ord(c):02x}" for c in text) + "'", 1),
    Dress("URL-encoded twice", lambda text, _: f"next={quote(quote(text, safe=''), safe='')}", 1),
    Dress("each character URL-encoded", lambda text, _: "q=" + "".join(f"%{ord(c):02X}" for c in text), 1),
    Dress("HTML", lambda text, _: f"<pre>{html.escape(text)}</pre>", 1),
    Dress("HTML of JSON", lambda text, _: f"<pre>{html.escape(json.dumps({'b': text}))}</pre>", 1),
    Dress("decimal entities", _entities("&#{};"), 1),
    Dress("hexadecimal entities", _entities("&#x{:x};"), 1),
    Dress("URL in JSON", lambda text, _: json.dumps({"u": "https://x.io/?q=" + quote(text, safe="")}).replace("/", "\\/"), 1),
    Dress("base64", _base64, 1),
    Dress("wrapped at 80", _wrapped(80), 2),
    Dress("wrapped at 120", _wrapped(120), 2),
    Dress("wrapped at 80, CRLF", _wrapped(80, end="\r\n"), 2),
    Dress("wrapped behind compose's prefix", _wrapped(80, "api-1  | "), 2),
    Dress("wrapped behind a time", _wrapped(100, "2026-01-11T06:44:32.716Z "), 2),
    Dress("continued by backslashes", _continued, 2),
    Dress("strings put together", _concatenated, 2),
    Dress("escaped line ends", _broken_by_escapes, 2),
    Dress("quoted-printable", lambda text, _: quopri.encodestring(f"it said {text} and no more".encode()).decode(), 2),
    Dress("MIME", _mime, 2),
    Dress("value on the next line", _next_line, 2),
    Dress("traceback", _traceback, 2),
    Dress("indented JSON", lambda text, _: json.dumps({"request": {"headers": {"x": text}}}, indent=2), 2),
)  # fmt: skip

STAMP = "2026-01-11T06:44:32.716926Z "


def _cut(text: str, secret: str, part: float) -> tuple[str, str]:
    at = text.index(secret) + int(len(secret) * part)
    return text[:at], text[at:]


def _edge(width: int, part: float) -> Callable[[str, str], str]:
    """As a terminal of this width shows it, the secret over the edge in this part of it."""

    def on(text: str, secret: str) -> str:
        before, behind = _cut(text, secret, part)
        whole = f"{'m' * (-(len(before) + 1) % width)} {before}{behind}"
        return "\n".join(whole[at : at + width] for at in range(0, len(whole), width))

    return on


def _between(middle: str, part: float, start: str = "") -> Callable[[str, str], str]:
    return lambda text, secret: start + middle.join(_cut(text, secret, part))


def _in_quotes(part: float) -> Callable[[str, str], str]:
    return lambda text, secret: "\n".join(f'  "{one}"' for one in _cut(text.replace('"', "'"), secret, part))


CUTS = tuple(
    Dress(f"{name}, cut at {part}", on(part), 2)
    for part in (0.2, 0.5, 0.8)
    for name, on in (
        ("a terminal's edge at 80", lambda part: _edge(80, part)),
        ("a terminal's edge at 120", lambda part: _edge(120, part)),
        ("a backslash", lambda part: _between("\\\n    ", part)),
        ("compose's prefix", lambda part: _between("\napi-1  | ", part, "api-1  | ")),
        ("times", lambda part: _between("\n" + STAMP, part, STAMP)),
        ("strings in lines", _in_quotes),
    )
)
"""Between two lines in one place."""

PEM = (Dress("PEM", _pem, 2), Dress("PEM in a log", _pem_logged, 2),
       Dress("PEM in JSON", lambda t, s: json.dumps({"key": _pem(t, s)}), 2), Dress("PEM in .env", lambda t, s: f'SIGNING="{_pem(t, s)}"', 2))  # fmt: skip


def on_one_line() -> Iterator[Planted]:
    """All that stands in one line."""
    return corpus(frozenset({0, 1}))


def over_lines() -> Iterator[Planted]:
    """All that stands in several lines."""
    yield from corpus(frozenset({2}))
    yield from PASSAGES


def corpus(depths: frozenset[int] = frozenset({0, 1, 2}), seed: int = 0) -> Iterator[Planted]:
    """Each kind, by each of its names, in each dress that it can wear."""
    for kind in KINDS:
        rng = random.Random(f"{seed} {kind.name}")
        for carrier in kind.carriers:
            for dress in (*DRESSES, *CUTS, *(PEM if kind.name == "private key" else ())):
                if dress.depth not in depths or not _worn(kind, carrier, dress):
                    continue
                secret = kind.make(rng)
                yield Planted(
                    kind.name,
                    carrier,
                    dress.name,
                    dress.on(carrier.format(secret), secret),
                    secret.removeprefix(kind.public),
                )


def _worn(kind: Kind, carrier: str, dress: Dress) -> bool:
    """Whether the dress can be met: nobody has a file named by a private key, and a bare word names no secret."""
    if dress.name == "value on the next line":
        return kind.name in ("fal key", "JWT", "Supabase secret key", "opaque key", "password") and "://" not in carrier
    if dress.name == "told in part":
        return kind.name != "e-mail"
    return kind.named or dress.name != "file name"


def _passages() -> Iterator[Planted]:
    """Whole passages of files."""
    rng = random.Random("passages")
    body = "\n".join("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" + _drawn(rng, WORD + "+/", 32) for _ in range(5)) + "\nw9Zt3="
    pem = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
    picture, session = _picture(rng), _session(rng)
    told = {
        "key in settings": (body, f'FIREBASE_KEY="{pem}"'),
        "key in Python": (body, "\n".join(f'    "{line}\\n"' for line in pem.split("\n"))),
        "mail": (picture, "Content-Transfer-Encoding: base64\n\n" + "\n".join(picture[at : at + 76] for at in range(0, len(picture), 76))),
        "narrow mail": (picture, "\n".join(picture[at : at + 64] for at in range(0, len(picture), 64))),
        "recording": (OPAQUE, json.dumps({"log": {"entries": [{"request": {"headers": [{"name": "apikey", "value": OPAQUE}]}}]}}, indent=2)),
        "YAML": (OPAQUE, f"env:\n  api_key: >-\n    {OPAQUE}\n"),
        "headers": (OPAQUE, f'[\n  "Authorization",\n  "Bearer {OPAQUE}"\n]'),
        "settings in quotes": (OPAQUE, f'FAL_KEY="{OPAQUE[:12]}\n{OPAQUE[12:]}"\nMODE=live'),
        "said once by name": (OPAQUE, f"SUPABASE_KEY={OPAQUE}\nconnected with {OPAQUE} to p\n"),
        "its own file": (FAL, f"SUPABASE_KEY={FAL}\nread /run/secrets/{FAL.replace(':', '_')}.txt\n"),
        "chunks of a cookie": (session, f"Cookie: sb-abcdefgh-auth-token.0={session[:90]}; sb-abcdefgh-auth-token.1={session[90:]}"),
        "traceback": (FAL, f"Traceback (most recent call last):\n  File \"a.py\", line 3, in f\n    send(\"Key {FAL}\")\nhttpx.LocalProtocolError: Illegal header value b'Key {FAL}\\n'\n"),
        "cut key": (FAL, f"key {FAL[:36]}... is not valid\nkey {FAL[:36]}\n'{FAL[:36]}' is not a valid key\nFAL: {FAL[:36]}\n{FAL[:37]}"),
    }  # fmt: skip
    for name, (secret, text) in told.items():
        public = "base64-eyJhY2Nlc3NfdG9rZW4" if secret == session else ""
        yield Planted(name, "", "passage", text, re.sub(r"\s+", "", secret).removeprefix(public))


PASSAGES = tuple(_passages())


# --- the eye -------------------------------------------------------------------------------------------------------------


def _unescaped(text: str) -> str:
    text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text)
    text = re.sub(r"\\+x([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), text)
    return re.sub(r"\\+[nrt]", "\n", text).replace("\\", "")


def _seen(text: str) -> Iterator[str]:
    """What can be read in a text without effort."""
    yield text
    view = text
    for _ in range(3):
        view = html.unescape(unquote(_unescaped(view)))
        yield view
    joined = "\n".join(re.sub(r"^(?:[\w-]+\s*\| |\d{4}-\d\d-\d\dT[\d:.]+Z )", "", line) for line in text.split("\n"))
    yield from (re.sub(r"[\s\"'\\]+", "", one) for one in (text, joined, view))
    for found in re.findall(r"[A-Za-z0-9+/]{24,}", joined + " " + re.sub(r"(?<=[A-Za-z0-9+/]{76})\s", "", joined)):
        yield base64.b64decode(found[: len(found) // 4 * 4]).decode("latin-1")


def leaked(text: str, *secrets: str) -> str | None:
    """Twelve characters of a secret that can still be read in a text; a shorter secret counts whole."""
    short = [secret for secret in secrets if len(secret) < PART]
    parts = {secret[at : at + PART] for secret in secrets for at in range(len(secret) - PART + 1)}
    for view in dict.fromkeys(_seen(text)):
        found = next(
            (view[at : at + PART] for at in range(len(view) - PART + 1) if view[at : at + PART] in parts), None
        )
        found = found or next((secret for secret in short if secret in view), None)
        if found:
            return found
    return None
