"""Asks one question over HTTP: bounded in time and size, following nothing, and never quoting what was sent.

An answer is whatever a server said, a refusal included. Where none came there is a Silence, which proves nothing about
the system but says why.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from diagnose import mask

if TYPE_CHECKING:
    import httpx

MAX_BODY = 1024 * 1024
"""Bytes that are read of one answer."""
SECONDS = 5.0
"""How long one question waits for its answer."""
AGENT = "diagnose"
"""Supabase refuses a secret key with 401 where the User-Agent looks like a browser's (Supabase facts, section 5)."""

Cause = Literal["refused", "unresolved", "late", "tls", "broken", "not_http", "unsendable", "forbidden", "interrupted"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    """By lower-case names."""
    body: bytes
    whole: bool
    """Whether the body ended before the limit."""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def fields(self) -> Mapping[str, Any]:
        """The body where it is a JSON object, else nothing."""
        value = self.json
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer came; nothing follows from it but its own reason."""

    cause: Cause
    reason: str


Reply = Answer | Silence


@dataclass
class Asker:
    """Asks over HTTP for as long as there is time. Safe to use from several threads."""

    until: float
    """When the whole look ends, on the monotonic clock."""
    seconds: float = SECONDS
    told: list[str] = field(default_factory=list)
    """One line for each question, in the order of the answers, for whoever wants to see what was asked."""
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, url: str, headers: Mapping[str, str] | None = None, public: bool = False) -> Reply:
        """GET. With `public` the address came from evidence, and is asked only where all it resolves to is public."""
        return self.ask("GET", url, headers, public=public)

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        public: bool = False,
    ) -> Reply:
        """One request and its answer; a redirect is an answer and is not followed."""
        began = time.monotonic()
        reply = self._ask(method, url, dict(headers or {}), content, public, began)
        said = str(reply.status) if isinstance(reply, Answer) else reply.reason
        self.told.append(mask.text(f"{method} {url}: {said}, {(time.monotonic() - began) * 1000:.0f} ms"))
        return reply

    def _ask(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None, public: bool, began: float
    ) -> Reply:
        import httpx

        if wanders(urlsplit(url).path):
            return Silence("forbidden", "it was not asked: its path leads out of its place")
        left = min(self.seconds, self.until - began)
        if left <= 0:
            return Silence("late", "there was no time left to ask")
        if not all(_sendable(value) for value in headers.values()):
            return Silence("unsendable", "the key holds characters that no HTTP header can carry")
        extensions: dict[str, Any] = {}
        try:
            if public:
                address = _public_address(url)
                if isinstance(address, Silence):
                    return address
                url, host = address
                headers["Host"] = host
                extensions["sni_hostname"] = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
            client = self._client(url)
            with client.stream(
                method,
                url,
                headers={"User-Agent": AGENT, "Accept-Encoding": "identity", **headers},
                content=content,
                timeout=httpx.Timeout(left),
                extensions=extensions,
            ) as response:
                return _read(response, began + left)
        except Exception as error:  # whatever a hostile server or a broken URL makes the client raise
            return silence(error, self.seconds)

    def close(self) -> None:
        """Give the connections back; a question that is still open is silence from here on."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _client(self, url: str) -> httpx.Client:
        """A client for this kind of address: no proxy stands before this machine, and only TLS needs the roots."""
        import httpx

        here, secure = is_loopback(urlsplit(url).hostname or ""), url.lower().startswith("https:")
        with self._lock:
            kind = f"{here}/{secure}"
            if kind not in self._clients:
                verify: Any = True if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                self._clients[kind] = httpx.Client(trust_env=not here, verify=verify, follow_redirects=False)
            client: httpx.Client = self._clients[kind]
            return client


def _read(response: httpx.Response, until: float) -> Reply:
    body = b""
    for part in response.iter_raw():
        body += part
        if len(body) > MAX_BODY:
            break
        if time.monotonic() > until:
            return Silence("late", "the answer did not end in time")
    headers = {name.lower(): value[:2000] for name, value in list(response.headers.items())[:100]}
    return Answer(response.status_code, headers, body[:MAX_BODY], len(body) <= MAX_BODY)


def silence(error: BaseException, seconds: float) -> Silence:
    """Why no answer came, without what the error quotes: httpx prints the whole of a key that it cannot send."""
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return Silence("late", f"no answer within {seconds:g} s")
    if isinstance(error, httpx.LocalProtocolError):
        return Silence("unsendable", "the key holds characters that no HTTP header can carry")
    if isinstance(error, httpx.RemoteProtocolError):
        return Silence("not_http", "what answered does not speak HTTP, or hung up")
    deepest: BaseException | None = error
    while deepest is not None:
        if isinstance(deepest, ssl.SSLError):
            return Silence("tls", f"TLS failed: {deepest.reason or 'the certificate is not accepted'}")
        if isinstance(deepest, socket.gaierror):
            return Silence("unresolved", "the name does not resolve")
        if isinstance(deepest, ConnectionRefusedError):
            return Silence("refused", "the connection was refused")
        deepest = deepest.__cause__ or deepest.__context__
    said = str(error)
    for sign, found in _SIGNS:
        if sign in said:
            return found
    if isinstance(error, (httpx.ConnectError, httpx.NetworkError)):
        return Silence("broken", "the connection broke")
    return Silence("unsendable", f"the question could not be asked ({type(error).__name__})")


_SIGNS = (
    ("refused", Silence("refused", "the connection was refused")),
    ("Name or service not known", Silence("unresolved", "the name does not resolve")),
    ("nodename nor servname", Silence("unresolved", "the name does not resolve")),
    ("getaddrinfo failed", Silence("unresolved", "the name does not resolve")),
    ("Temporary failure in name resolution", Silence("unresolved", "the name does not resolve")),
    ("SSL", Silence("tls", "TLS failed")),
    ("unreachable", Silence("broken", "the network is unreachable")),
)
"""The operating system's words, where the error that bore its number is lost."""


def _sendable(value: str) -> bool:
    return value.isascii() and value.isprintable() and value == value.strip()


# --- addresses --------------------------------------------------------------------------------------------------------


def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an http(s) address; None where it is none."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        return None
    return parts.scheme.lower(), parts.hostname.lower().rstrip("."), port or (443 if parts.scheme == "https" else 80)


def wanders(path: str) -> bool:
    """Whether a path has a step that clients and servers resolve: it would be sent to another place than it names."""
    plain = unquote(unquote(path)).replace("\\", "/")
    return any(step in (".", "..") for step in plain.split("/"))


def is_loopback(host: str) -> bool:
    """Whether a host names this machine."""
    name = host.strip("[]").lower().rstrip(".")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _public_address(url: str) -> tuple[str, str] | Silence:
    """The address with its host resolved, and the host: what was looked at is what is asked, whatever the name becomes."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)}
    except OSError:
        return Silence("unresolved", "the name does not resolve")
    if not found or not all(ipaddress.ip_address(str(one).partition("%")[0]).is_global for one in found):
        return Silence("forbidden", "it was not fetched: the host is on a private network or on this machine")
    one = str(sorted(found, key=lambda a: ":" in str(a))[0])
    place = f"[{one}]" if ":" in one else one
    netloc = f"{place}:{parts.port}" if parts.port else place
    return parts._replace(netloc=netloc).geturl(), parts.netloc.rpartition("@")[2]
