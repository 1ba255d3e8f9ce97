"""The browser's console or network shows an error on this request.

What it looks at
    A saved console log and the network entries of a HAR file: a connection that failed, an answer that CORS keeps
    from the page, an error status. A line that names the address of another request is left aside.

Why it matters
    A request that the browser blocks, or whose answer it cannot read, never becomes a picture on the page, whatever
    the backend did.

How to put it right
    Read the first red line: CORS needs the frontend's origin in the backend's settings; a refused connection needs a
    running backend; a failed fetch needs the right API address.

When it is wrong
    A line that names no address can tell of another request. Where the picture was delivered, or the backend worked
    on the request, this is only a warning. A status, or an exception of the page, does not say where it comes from.
"""

from diagnose.model import (
    Case,
    Evidence,
    Finding,
    Link,
    Remedy,
    Seen,
    failed,
    passed,
    refused,
    symptom,
    unknown,
    warned,
)

link = Link.REQUEST
because = ("proxy_rejected", "backend_down", "backend_error")
reads: tuple[str, ...] = ()

REMEDY = Remedy(
    "Read the first error in the browser's console",
    (
        "Open the developer tools, Console and Network, and repeat the request.",
        "CORS: allow the frontend's origin in the backend. Refused or failed to fetch: compare the API address with the backend's.",
    ),
)


VAGUE = ("http", "no_answer", "aborted", "ERR_ABORTED", "NS_BINDING_ABORTED", "exception", "not_json")
"""They say that there was no picture, and not why."""
BLUNT = ("ERR_FAILED", "failed")
"""A browser's words for many causes, which another line can name."""
WORKED_ON = (
    "request.access", "fal.call", "fal.error", "payload", "upload.started", "storage.upload", "storage.error",
    "decode.done", "decode.failed", "deployment.exception",
)  # fmt: skip


def look(case: Case) -> Finding:
    """The finding of this check."""
    errors = here(case)
    if not errors:
        answer = case.best("answer", "request.access")
        if not case.was_given("console"):
            return unknown("neither the console nor the network panel was seen")
        if answer is None:
            return unknown("the console shows no error, and nothing tells whether the request was made")
        return passed("the browser shows no error on this request", answer)
    error = min(errors, key=lambda e: (e["code"] in (*VAGUE, *BLUNT), not e["url"]))
    beside = [e for e in errors[:1] if e is not error]  # the strongest witness, where it tells less
    vague = symptom if error["code"] in VAGUE else failed
    report = warned if worked_on(case, error) else vague
    return report("the browser shows: {text}", error, *beside, remedy=REMEDY, text=str(error["text"])[:160])


def here(case: Case) -> list[Evidence]:
    """The errors that speak of this request: they name its address, else the declared backend's, or none."""
    own = next((place(e["url"]) for e in case.of("request.body")[:1] if e["url"] and "://" in e["url"]), "")
    if not own and "backend.url" in case.profile.declared:
        own = place(case.profile.backend_url)
    found = [(e, place(e["url"] or "")) for e in case.of("browser.error")]
    return [e for e, there in found if not (own and e["url"]) or there.startswith(own) or own.startswith(there)]


def worked_on(case: Case, error: Evidence) -> bool:
    """Whether the backend had the request in spite of the error, and what it did there is the answer."""
    if error["reached"] is False:
        return False
    if isinstance(case.product(Link.GENERATION), Seen) or case.best(*WORKED_ON) is not None:
        return True
    answer = case.best("answer")
    if answer is None or answer["html"] or answer["content"] in ("empty", "unseen"):
        return False
    return error["code"] != "cors" or refused(answer)


def place(address: str) -> str:
    """Host and path of an address, comparable."""
    return address.rpartition("://")[2].replace("localhost", "127.0.0.1", 1).rstrip("/") + "/"
