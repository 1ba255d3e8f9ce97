"""Reads what the browser recorded itself: a HAR file, a saved console.

A HAR is the strongest witness of what was sent and of what came back. Its makers differ: Chrome leaves the bytes of
files out, and whole bodies that are large; Firefox cuts long ones; Safari and proxies write fewer fields. What was not
recorded is unknown here, never absent. Cookies, keys and query strings are not taken over.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from diagnose.collect import documents, loose_json
from diagnose.collect.documents import Exchange
from diagnose.collect.posted import Posted, body_of, text_of
from diagnose.model import Evidence, Phrase, Witness

MAX_GENERATIONS = 200
"""The newest requests for pictures that are read from one HAR."""
MAX_CONSOLE = 4 * 1024 * 1024
"""Characters of a console that are read, the newest."""
MAX_LINE = 2000
REPEATED_WITHIN = 10.0
"""Seconds in which a service worker sends on what it took."""

# --- a HAR's entries --------------------------------------------------------------------------------------------------


class Recording(NamedTuple):
    """The requests for pictures in a HAR, each with its answer, oldest first; and what was left aside."""

    pairs: tuple[tuple[Exchange, Exchange], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One exchange of a HAR, its loose types made firm."""

    at: str
    """Where a reader finds it: `session.har#/log/entries/4`."""
    method: str
    address: str
    """Without user, query and fragment, which can hold secrets."""
    query: str
    status: int
    """0: no answer reached the browser."""
    error: str
    """The browser's own name for what went wrong."""
    time: str | None
    started: float | None
    asked: Mapping[str, Any] = field(repr=False)
    got: Mapping[str, Any] = field(repr=False)
    sent: Mapping[str, str] = field(repr=False)
    """The request's headers; looked at here and never taken over."""
    said: Mapping[str, str] = field(repr=False)
    """The answer's headers."""
    relayed: bool = False
    """A service worker took it and sent a request of its own."""


def har(value: Mapping[str, Any], name: str) -> Recording:
    """The requests for pictures in a HAR file."""
    log = value.get("log")
    listed = log.get("entries") if isinstance(log, Mapping) else None
    if not isinstance(listed, list):
        return Recording((), ("its entries are not a list",))
    entries = [entry for index, item in enumerate(listed) if (entry := _entry(item, f"{name}#/log/entries/{index}"))]
    chosen = _in_order(_generations(entries))
    notes = ["no request in it asks for a picture"] if not chosen else []
    if len(chosen) > MAX_GENERATIONS:
        notes.append(
            Phrase(
                "only the newest {most} of {chosen} requests for pictures were read",
                most=MAX_GENERATIONS,
                chosen=len(chosen),
            )
        )
    by_address: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_address[entry.address].append(entry)
    return Recording(tuple(_pair(entry, by_address) for entry in chosen[-MAX_GENERATIONS:]), tuple(notes))


def _entry(item: object, at: str) -> Entry | None:
    if not isinstance(item, Mapping) or not isinstance(item.get("request"), Mapping):
        return None
    asked: Mapping[str, Any] = item["request"]
    got: Mapping[str, Any] = item["response"] if isinstance(item.get("response"), Mapping) else {}
    url = asked.get("url")
    found = _ADDRESS.match(url[:4000]) if isinstance(url, str) else None
    if found is None:
        return None
    errors = (
        box.get(key) for box in (item, got, asked) for key in ("_error", "_failureText", "_errorText", "_blockedReason")
    )
    time = item.get("startedDateTime")
    return Entry(
        at=at,
        method=str(asked.get("method") or "").upper()[:20],
        address=_address(found),
        query=found["rest"][:500],
        status=_status(got.get("status")),
        error=next((e[:300] for e in errors if isinstance(e, str) and e.strip()), ""),
        time=time[:40] if isinstance(time, str) else None,
        started=_seconds(time),
        asked=asked,
        got=got,
        sent=_headers(asked.get("headers")),
        said=_headers(got.get("headers")),
        relayed=any(box.get("_fetchedViaServiceWorker") is True for box in (item, got)),
    )


_ADDRESS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]{1,20})://(?:[^/?#@\s]*@)?(?P<host>[^/?#\s'\"<>]{1,255})(?P<path>[^?#;\s'\"<>]*)(?P<rest>.*)",
    re.I | re.S,
)


def _address(found: re.Match[str]) -> str:
    return f"{found['scheme'].lower()}://{found['host'].lower()}{found['path'][:1000]}"


def _headers(given: object) -> dict[str, str]:
    """Headers by their names in small letters, from a list of pairs or from an object."""
    if isinstance(given, Mapping):
        pairs: Iterable[tuple[object, object]] = given.items()
    elif isinstance(given, list):
        pairs = [(h.get("name"), h.get("value")) for h in given[:200] if isinstance(h, Mapping)]
    else:
        return {}
    return {k.lower(): v for k, v in pairs if isinstance(k, str) and isinstance(v, str)}


def _status(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d{3}", value):
        value = int(value)
    return value if isinstance(value, int) and 100 <= value <= 599 else 0


def _seconds(time: object) -> float | None:
    if not isinstance(time, str):
        return None
    try:
        moment = datetime.fromisoformat(time.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


# --- which requests ask for a picture ---------------------------------------------------------------------------------

_MAKES = re.compile(r"generat|render|img2img|image-to-image|edit|inpaint|variation|styli[sz]e|transform", re.I)
_NAMES = re.compile(r"image|picture|photo", re.I)
_OF_SOMETHING_ELSE = re.compile(
    r"prompt|token|link|otp|passw|caption|title|descri|video|audio|speech|pdf|upload|status|history|feedback|rating"
    r"|delete|download|poll|cancel",
    re.I,
)
"""`/generate-prompt` makes no picture, nor does `/upload-image`."""
_ELSEWHERE = re.compile(
    r"^[a-z]+://[^/]*(?:google-analytics|googletagmanager|analytics\.google|doubleclick|facebook\.|sentry\.io|posthog|segment\.(?:io|com)"
    r"|mixpanel|amplitude\.com|hotjar|clarity\.ms|datadoghq|bugsnag|logrocket|nr-data|fullstory|intercom|plausible\.io|fal\.(?:run|ai|media))"
    r"|/(?:storage|rest|auth|realtime)/v1/"
    r"|/(?:telemetry|analytics|collect|track(?:ing)?|events?|metrics|beacon|envelope|rum|csp-report|browser-errors)(?:/|$)"
    r"|/(?:login|logout|sign-?(?:in|up|out)|oauth2?|auth|token|refresh)/?$",
    re.I,
)
"""Telemetry, signing in, and what a page asks of Storage or fal itself."""


def _generations(entries: Sequence[Entry]) -> list[Entry]:
    """The requests that make a picture: by their path, else the only one that carries an image."""
    posts = [e for e in entries if e.method in ("POST", "PUT") and not _ELSEWHERE.search(e.address)]
    posts = _without_doubles(posts)
    named = [e for e in posts if _MAKES.search(_route(e)) or _NAMES.search(_route(e))]
    making = [e for e in named if _MAKES.search(_route(e)) and not _OF_SOMETHING_ELSE.search(_route(e))]
    chosen = making or named
    if not chosen:
        carrying = [e for e in posts if _posted(e).has_picture]
        chosen = carrying if len(carrying) == 1 else []
    if not chosen:  # a preflight that was refused, of a request that was never sent
        asked = [e for e in entries if e.method == "OPTIONS" and _MAKES.search(_route(e)) and _refused_preflight(e)]
        chosen = asked[-1:]
    return chosen


def _route(entry: Entry) -> str:
    """The path after the host, and the query: what the page asks of its backend."""
    return entry.address.split("://", 1)[1].partition("/")[2] + entry.query


def _without_doubles(posts: Sequence[Entry]) -> list[Entry]:
    """Without the requests that a service worker took: what it sent on is what went over the wire."""
    direct: dict[str, list[float]] = defaultdict(list)
    for entry in posts:
        if not entry.relayed and entry.started is not None:
            direct[entry.address].append(entry.started)
    for times in direct.values():
        times.sort()

    def sent_on(entry: Entry) -> bool:
        if not entry.relayed or entry.started is None:
            return False
        times = direct.get(entry.address, [])
        index = bisect_left(times, entry.started)
        return index < len(times) and times[index] - entry.started < REPEATED_WITHIN

    return [entry for entry in posts if not sent_on(entry)]


def _in_order(entries: list[Entry]) -> list[Entry]:
    if any(e.started is None for e in entries):
        return entries
    return sorted(entries, key=lambda e: e.started or 0.0)


# --- one request and its answer ---------------------------------------------------------------------------------------


def _pair(entry: Entry, by_address: Mapping[str, Sequence[Entry]]) -> tuple[Exchange, Exchange]:
    final = _redirected(entry, by_address)
    error = _wire_error(entry, final, by_address)
    answer = _answer(final) if final.status else Exchange((), frozenset())
    arrived = not (error and error["reached"] is False)
    evidence = (*answer.evidence, *([error] if error else []))
    if entry.method == "OPTIONS":
        asked = Exchange((), frozenset(), time=entry.time, arrived=False)
    else:
        asked = _asked(entry, arrived)
    return asked, Exchange(evidence, answer.keys, answer.prompt, answer.status, final.time, arrived)


def _redirected(entry: Entry, by_address: Mapping[str, Sequence[Entry]]) -> Entry:
    """Where a redirect of the request ended; the entry itself when nothing was asked there."""
    seen = {entry.at}
    while entry.status in (301, 302, 303, 307, 308):
        found = _ADDRESS.match(_location(entry))
        there = by_address.get(_address(found), ()) if found else ()
        later = [e for e in there if e.at not in seen and _is_later(e, entry) and e.method != "OPTIONS"]
        if not later:
            break
        entry = later[0]
        seen.add(entry.at)
    return entry


def _location(entry: Entry) -> str:
    where = entry.got.get("redirectURL") or entry.said.get("location") or ""
    where = where[:4000] if isinstance(where, str) else ""
    if where.startswith("/") and not where.startswith("//"):
        where = "/".join(entry.address.split("/", 3)[:3]) + where
    return where


def _is_later(entry: Entry, than: Entry) -> bool:
    if entry.started is None or than.started is None:
        return True
    return entry.started >= than.started


def _posted(entry: Entry) -> Posted:
    return body_of(entry.asked, entry.sent)


def _asked(entry: Entry, arrived: bool) -> Exchange:
    """What was sent. A body that was not recorded leaves the images unknown, not absent."""
    posted = _posted(entry)
    at = f"{entry.at}/request/postData"
    value: dict[str, Any] = {
        "method": entry.method,
        "url": entry.address,
        "content_type": posted.kind,
        "body": posted.values,
        "files": list(posted.files),
    }
    read = documents.request(value, entry.at, Witness.WIRE, at)
    body, *others = read.evidence
    fields = {**body.fields, "size": posted.size, "timestamp": entry.time}
    if posted.form:
        fields["format"] = posted.form
    if not (posted.whole or fields["images"]):
        fields["images"] = None
    keys = read.keys | ({entry.sent["x-request-id"][:200]} if entry.sent.get("x-request-id") else set())
    evidence = (Evidence(body.kind, at, Witness.WIRE, fields), *others)
    return Exchange(evidence, frozenset(keys), read.prompt, None, entry.time, arrived)


def _answer(entry: Entry) -> Exchange:
    given = entry.got.get("content")
    content: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    at = f"{entry.at}/response/content"
    headers = {name: entry.said[name] for name in ("server", "x-request-id") if name in entry.said}
    kind = str(content.get("mimeType") or entry.said.get("content-type") or "").lower()[:200]
    if kind.startswith("image/") and entry.status < 300:
        fields = documents.answer_fields(entry.status, headers, "picture", [])
        told = Evidence("answer", at, Witness.WIRE, {**fields, "pictures": 1})
        return Exchange((told,), frozenset(), None, entry.status)
    text = text_of(content, kind)
    if text is None:
        empty = entry.status == 204 or entry.said.get("content-length") == "0"
        fields = documents.answer_fields(entry.status, headers, "empty" if empty else "unseen", None)
        return Exchange((Evidence("answer", at, Witness.WIRE, fields),), frozenset(), None, entry.status)
    value = {"status": entry.status, "body": _parsed(text, kind), "headers": headers}
    return documents.response(value, entry.at, Witness.WIRE, at)


def _parsed(text: str, kind: str) -> object:
    """JSON, the last event of a stream, or the text as it is."""
    if "event-stream" in kind or "ndjson" in kind:
        lines = [line.removeprefix("data:").strip() for line in text[-200_000:].split("\n")]
        text = next((line for line in reversed(lines) if line.startswith("{")), text)
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return loose_json.parse(text).value
    except loose_json.NotJson:
        return text


# --- what went wrong on the wire --------------------------------------------------------------------------------------

_NEVER_SENT = re.compile(
    r"(?:CONNECTION_REFUSED|NAME_NOT_RESOLVED|UNKNOWN_HOST|INTERNET_DISCONNECTED|ADDRESS_UNREACHABLE|BLOCKED_BY_\w+"
    r"|NET_OFFLINE|SSL_\w+|CERT_\w+)|^(?:mixed-content|csp)",
    re.I,
)


def _wire_error(entry: Entry, final: Entry, by_address: Mapping[str, Sequence[Entry]]) -> Evidence | None:
    """What the recording says went wrong with a request: one fact, the most telling first."""
    refusal = _preflight(entry, by_address.get(entry.address, ()))
    if entry.method == "OPTIONS" or (not final.status and refusal):
        return _fault(entry, entry, f"CORS: {refusal}", "cors", reached=False)
    asked = f"{final.method} {final.address}"
    if not final.status and not final.error:
        return _fault(entry, final, f"{asked}: no answer had reached the browser when this was saved", "no_answer")
    if not final.status:
        code = re.search(r"\b(?:ERR|NS_ERROR|NS_BINDING)_\w+", final.error)
        never = False if _NEVER_SENT.search(final.error) else None
        return _fault(entry, final, f"{asked} {final.error}", code[0] if code else "failed", reached=never)
    hidden = _hidden(final)
    if hidden:
        return _fault(entry, final, f"CORS: {asked} was answered {final.status} {hidden}", "cors")
    if final.method != entry.method and _same_place(entry, final):
        text = f"{entry.status} redirected {entry.method} {entry.address}, and {final.method} was sent without the body"
        return _fault(entry, final, text, "redirect")
    if final.status >= 400:
        return _fault(entry, final, f"{asked} {final.status}", "http")
    return None


def _preflight(entry: Entry, same: Sequence[Entry]) -> str | None:
    """Why the preflight of this very request was refused: of several, the one nearest in time."""
    asked = [e for e in same if e.method == "OPTIONS"]
    if not asked:
        return None
    if entry.started is None or any(e.started is None for e in asked):
        return _refused_preflight(asked[-1])
    at = entry.started
    return _refused_preflight(min(asked, key=lambda e: abs((e.started or 0.0) - at)))


def _fault(entry: Entry, final: Entry, text: str, code: str, reached: bool | None = None) -> Evidence:
    """An error on a request, under the address that the page asked for, with the status it ended with."""
    fields = {
        "text": text[:300],
        "status": final.status or None,
        "url": entry.address,
        "code": code,
        "reached": reached,
        "timestamp": entry.time,
    }
    return Evidence("browser.error", final.at, Witness.WIRE, fields)


def _same_place(one: Entry, two: Entry) -> bool:
    """Whether a redirect only corrects the address: the scheme, or a slash at its end."""
    return _route(one).partition("?")[0].rstrip("/") == _route(two).partition("?")[0].rstrip("/")


def _hidden(entry: Entry) -> str | None:
    """Why the browser keeps an answer from the page; None where it does not, or where the headers were not recorded."""
    origin = entry.sent.get("origin", "").lower()
    mode = entry.sent.get("sec-fetch-mode", "cors").lower()
    if not origin or mode != "cors" or not entry.said or _same_origin(origin, entry.address):
        return None
    return _not_allowed(origin, entry.said)


def _same_origin(origin: str, address: str) -> bool:
    ports = {"http": ":80", "https": ":443"}
    scheme, _, host = "/".join(address.split("/", 3)[:3]).partition("://")
    own_scheme, _, own_host = origin.rstrip("/").partition("://")
    default = ports.get(scheme, "")
    return scheme == own_scheme and host.removesuffix(default) == own_host.removesuffix(default)


def _not_allowed(origin: str, said: Mapping[str, str]) -> str | None:
    allowed = said.get("access-control-allow-origin")
    if allowed is None:
        return f"without access-control-allow-origin for {origin[:200]}"
    if allowed.strip() != "*" and allowed.strip().lower().rstrip("/") != origin.rstrip("/"):
        return f"with access-control-allow-origin for {allowed[:200]}, not for {origin[:200]}"
    return None


def _refused_preflight(entry: Entry) -> str | None:
    """Why the browser did not send the request after this preflight; None where it was allowed, or is none."""
    if entry.method != "OPTIONS" or not entry.status:
        return None
    said = f"the preflight OPTIONS {entry.address} was answered {entry.status}"
    if not 200 <= entry.status < 300:
        return said
    origin = entry.sent.get("origin", "").lower()
    if not origin or not entry.said or _same_origin(origin, entry.address):
        return None
    fault = _not_allowed(origin, entry.said)
    if fault:
        return f"{said} {fault}"
    asked = _words(entry.sent.get("access-control-request-headers", ""))
    allowed = _words(entry.said.get("access-control-allow-headers", ""))
    missing = sorted(asked - allowed) if "*" not in allowed else []
    return f"{said} without {missing[0][:80]} in access-control-allow-headers" if missing else None


def _words(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",") if word.strip()}


# --- a saved console --------------------------------------------------------------------------------------------------

_NOISE = re.compile(
    r"(?:chrome|moz|safari-web|ms-browser)-extension://|React DevTools|DevTools failed to load|source ?map|favicon|\[HMR\]|\[vite\]"
    r"|\[Fast Refresh\]|\[webpack|webpack-hmr|hot-update|sockjs-node|\bwss?://|Receiving end does not exist|message channel closed"
    r"|\[Violation\]|third-party cookie|preloaded using link preload",
    re.I,
)
"""Extensions, developers' tools and hot reloading: no request of the page."""
_STACK = re.compile(r"^\s*(?:at\s|\S{1,200}\s@\s\S|[\w.<>$/*-]{0,200}@https?://)")
_ASSET = re.compile(r"\.(?:ico|map|css|m?js|woff2?|ttf|svg|webmanifest|png|jpe?g|webp|gif|avif)$", re.I)
_SAYS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("csp", re.compile(r"Content[- ]Security[- ]Policy", re.I)),
    ("mixed_content", re.compile(r"Mixed Content:", re.I)),
    ("failed", re.compile(r"^(?=.*\bCORS\b).*\(null\)")),  # Firefox: not even a connection
    ("cors", re.compile(r"\bCORS policy|Cross-Origin Request Blocked|Access-Control-Allow-\w+|access control checks", re.I)),
    ("cors", re.compile(r"\([^()]{0,60}\bCORS\b")),
    ("cors", re.compile(r"net::ERR_FAILED [1-5]\d\d\b")),  # Chrome got an answer and keeps it from the page
    ("", re.compile(r"\bnet::(ERR_\w{3,60})|\b(NS_(?:ERROR|BINDING)_\w{3,60}|ERR_(?:NETWORK|CONNECTION|NAME|INTERNET)\w{0,60})\b")),
    ("", re.compile(r"\b(ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ECONNABORTED)\b")),
    ("ECONNREFUSED", re.compile(r"Could not connect to the server", re.I)),
    ("failed", re.compile(r"Failed to fetch|NetworkError when attempting|\bLoad failed|\bfetch failed\b|\bNetwork Error\b|socket hang up", re.I)),
    ("http", re.compile(r"a status of [45]\d\d|status code:? [45]\d\d|\bHTTP/[\d.]+ [45]\d\d|\bHTTP error\D{0,20}[45]\d\d", re.I)),
    ("http", re.compile(r"\b(?:GET|POST|PUT)\s+https?://\S+\s+[45]\d\d\b")),
    ("aborted", re.compile(r"\bAbortError\b|The user aborted a request|timeout of \d+ ?ms exceeded", re.I)),
    ("not_json", re.compile(r"Unexpected token '?<|JSON\.parse: unexpected character|Unrecognized token '<'")),
    ("failed", re.compile(r"Failed to load resource", re.I)),
    ("exception", re.compile(r"\bUncaught \(?\w+")),
)  # fmt: skip
"""What an error line is recognised by, the most telling first: codes and headers stay the same in every language."""
_CONSOLE = re.compile(
    r"Failed to fetch|net::ERR_\w+|blocked by CORS policy|Cross-Origin Request Blocked|Access-Control-Allow-Origin|NetworkError when attempting"
    r"|\bUncaught \(?\w+|Failed to load resource|\bLoad failed|a status of \d{3}|Mixed Content:|NS_ERROR_\w+", re.I,
)  # fmt: skip
"""What only a browser prints; a backend's log can hold the other errors as well."""
_STATUS = re.compile(
    r"a status of (\d{3})\b|\)\W{0,3}[^()\d:]{1,40}:\s*(\d{3})\b|status code:? (\d{3})\b|ERR_FAILED (\d{3})\b"
    r"|\bhttps?://\S+\s+(\d{3})\b|\bHTTP/[\d.]+ (\d{3})\b|HTTP error\D{0,20}(\d{3})\b",
    re.I,
)
_REDIRECTED = re.compile(r"redirected from '?(https?://[^\s'\"<>`’‘“”)]+)", re.I)
_ORIGIN = re.compile(r"\borigin\s+['\"‘’“”]?https?://[^\s'\"<>`’‘“”)]+", re.I)
_URL = re.compile(r"https?://[^\s'\"<>`’‘“”)]+", re.I)
_PLACE_IN_CODE = re.compile(r"^https?://[^/]+/\S*:\d+$", re.I)
_MANUAL = re.compile(
    r"^https?://(?:developer\.mozilla|go\.microsoft|react(?:js)?\.|nextjs\.org|(?:www\.)?chromestatus|goo\.gl|fb\.me)",
    re.I,
)
_RESOURCE = re.compile(r"^(?:\d[\d:.]* +)?(\S{1,500}?):\d+\s+Failed to load resource", re.I)
_HOSTED = re.compile(r"^(?:localhost|[\w-]+(?:\.[\w-]+)+)(?::\d+)?/")
_PEER = re.compile(r"\bECONN\w+ (\[?[\w.:-]{2,100}\]?:\d{2,5})\b")
_CALLED = re.compile(r"^\s*(?:\S{1,200}\s+)?(?:XHR\s?)?(GET|HEAD|POST|PUT)\s*(https?://\S+)\s*$")
_FETCHED = re.compile(r"(?:\b|XHR)(?:GET|HEAD)\s*https?://")


def looks_like_console(text: str) -> bool:
    """Whether a text of unknown kind holds what only a browser's console prints."""
    return bool(_CONSOLE.search(text)) and bool(console(text, ""))


def console(text: str, name: str) -> list[Evidence]:
    """Errors in a saved browser console, each with the address that its line names."""
    found = []
    called = ""
    start = max(0, len(text) - MAX_CONSOLE)
    for number, line in enumerate(text[start:].split("\n"), 1 + text.count("\n", 0, start)):
        line = line[:MAX_LINE]
        if _CALLED.match(line):  # Firefox prints the answer on the line after
            called = line
            continue
        error = _line_error(line, called)
        if error is not None:
            found.append(Evidence("browser.error", f"{name}:{number}", Witness.LOGGED, error))
        if line.strip():
            called = ""
    return found


def _line_error(line: str, called: str) -> dict[str, Any] | None:
    """What an error line says; None for a line that is no error, or not one of a request for a picture."""
    if _NOISE.search(line) or _STACK.match(line):
        return None
    hit = next(((name, m) for name, pattern in _SAYS if (m := pattern.search(line))), None)
    if hit is None:
        return None
    code = hit[0] or next(group for group in hit[1].groups() if group)
    answered = line.lstrip().startswith("[HTTP/")
    address = _named(called if answered else line)
    route = address.partition("/")[2] if "://" not in address else address.split("://", 1)[1].partition("/")[2]
    if _ASSET.search(address) or _ELSEWHERE.search(address):
        return None
    if code == "http" and _FETCHED.search(called if answered else line):
        return None  # a picture is asked for with POST
    if code == "ERR_BLOCKED_BY_CLIENT" and not (_MAKES.search(route) or _NAMES.search(route)):
        return None  # what an ad-blocker keeps away
    told = _STATUS.search(line)
    status = next((int(group) for group in told.groups() if group), None) if told else None
    return {"text": line.strip()[:300], "status": _status(status) or None, "url": address or None, "code": code}


def _named(line: str) -> str:
    """The address a line speaks of: not the page's own origin, a place in the code, or a page of a manual."""
    redirected = _REDIRECTED.search(line)
    if redirected:
        return _plain(redirected[1])
    resource = _RESOURCE.match(line)
    if resource:
        told = _HOSTED.match(resource[1]) or _ASSET.search(resource[1])
        return _plain(resource[1]) or (resource[1] if told else "")
    for url in _URL.findall(_ORIGIN.sub("", line)):
        url = url.rstrip(".,;:")
        if not (_PLACE_IN_CODE.match(url) or _MANUAL.match(url)):
            return _plain(url)
    peer = _PEER.search(line)
    return peer[1] if peer else ""


def _plain(url: str) -> str:
    found = _ADDRESS.match(url)
    return _address(found) if found else ""
