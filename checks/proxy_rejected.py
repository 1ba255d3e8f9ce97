"""Something between browser and backend answered instead.

What it looks at
    The answer: an HTML page, or 413, 502 or 504 without the backend's own body, beside the backend's access line and
    the `server` header. A console that tells of such a status on an answer without CORS headers: the backend sets
    them, what stands before it does not.

Why it matters
    A proxy's size limit (1 MB in nginx unless raised) or time limit (60 s) is shorter than pictures and fal need. The
    backend may not even have seen the request, or goes on working and charges for a picture nobody gets.

How to put it right
    Raise `client_max_body_size` and `proxy_read_timeout` (or their like) above the largest picture and fal's time.

When it is wrong
    A backend that answers so itself, or never sets CORS headers; its access line with the same status rules this out.
"""

import re

from diagnose.model import Case, Evidence, Finding, Link, Remedy, failed, passed, unknown

link = Link.REQUEST
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()


GATEWAY = (413, 502, 504, *range(520, 528))
"""Statuses with which a proxy answers for itself; those from 520 on are Cloudflare's own."""
PROXY = re.compile(
    r"nginx|openresty|tengine|cloudflare|cloudfront|awselb|caddy|envoy|traefik|haproxy|varnish|vercel|netlify|fly/|heroku|cowboy|akamai"
    r"|google frontend|azure|ngrok|railway|kong",
    re.I,
)
PHRASE = re.compile(
    r"bad gateway|gateway time-?out|(?:entity|payload|content) too large|error code: 5\d\d|upstream|too_large|_timeout",
    re.I,
)
REMEDY = Remedy(
    "Raise the limits of what stands before the backend",
    (
        "413: raise the body size limit (nginx: client_max_body_size 25m).",
        "502 or 504: see that the backend runs, and raise the read timeout above fal's time (nginx: proxy_read_timeout 300s).",
        "Any other page: the address leads elsewhere; compare the frontend's API address with the backend's.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    answer, access, veiled = case.best("answer"), case.best("request.access"), without_cors(case)
    if access is not None and veiled is not None and access["status"] == veiled["status"]:
        veiled = None
    if answer is None:
        if veiled is not None:
            return unsigned(veiled)
        if access is not None and case.joined:
            return passed("the backend answered this request itself", access)
        return unknown("the answer was not seen")
    status = answer["status"]
    own = access is not None and status in (None, access["status"])
    if own or not (answer["html"] or is_bare(answer)):
        return passed("the answer is the backend's own", answer)
    if status is not None and status < 400 and access is not None:
        return passed("the backend answered", answer)
    if answer["html"]:
        message = "an HTML page answered instead of the backend ({status}: {text})"
        text = str(answer["text"])[:80]
        return failed(message, answer, remedy=REMEDY, status=status or "no status", text=text)
    if veiled is not None:
        return unsigned(veiled, answer)
    if answer["content"] != "unseen" and PROXY.search(answer["server"] or ""):
        message = "'{server}' answered {status} instead of the backend"
        return failed(message, answer, remedy=REMEDY, server=answer["server"][:80], status=status)
    return unknown("an answer with {status} was seen, and nothing tells who gave it", status=status)


def unsigned(veiled: Evidence, *answer: Evidence) -> Finding:
    """An answer that lacks the headers which the backend sets."""
    message = "an answer with {status} and without CORS headers came instead of the backend's: {text}"
    text = str(veiled["text"])[:160]
    return failed(message, veiled, *answer, remedy=REMEDY, status=veiled["status"], text=text)


def is_bare(answer: Evidence) -> bool:
    """Whether an answer with a proxy's status says nothing of its own."""
    told = answer["content"] == "text" and not PHRASE.search(answer["text"] or "")
    return answer["status"] in GATEWAY and answer["content"] in ("empty", "unseen", "text") and not told


def without_cors(case: Case) -> Evidence | None:
    """A proxy's status on an answer that the browser kept from the page for lack of CORS headers."""
    errors = here(case)
    if not any(e["code"] == "cors" for e in errors):
        return None
    return next((e for e in errors if e["status"] in GATEWAY), None)


def here(case: Case) -> list[Evidence]:
    """The errors that speak of this request: they name its address, else the declared backend's, or none."""
    own = next((place(e["url"]) for e in case.of("request.body")[:1] if e["url"] and "://" in e["url"]), "")
    if not own and "backend.url" in case.profile.declared:
        own = place(case.profile.backend_url)
    found = [(e, place(e["url"] or "")) for e in case.of("browser.error")]
    return [e for e, there in found if not (own and e["url"]) or there.startswith(own) or own.startswith(there)]


def place(address: str) -> str:
    """Host and path of an address, comparable."""
    return address.rpartition("://")[2].replace("localhost", "127.0.0.1", 1).rstrip("/") + "/"
