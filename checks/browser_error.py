"""The browser's console or network shows an error on this request.

What it looks at
    A saved console log and the network entries of a HAR file.

Why it matters
    A request that the browser blocks, or whose answer it cannot read, never becomes a picture on the page, whatever
    the backend did.

How to put it right
    Read the first red line: CORS needs the frontend's origin in the backend's settings; a refused connection needs a
    running backend; a failed fetch needs the right API address.

When it is wrong
    Errors of other requests of the same page. Where the picture was delivered this is only a warning.
"""

from diagnose.model import Case, Finding, Link, Remedy, Seen, failed, passed, unknown, warned

link = Link.REQUEST
because = ("proxy_rejected", "backend_down")
reads: tuple[str, ...] = ()

REMEDY = Remedy(
    "Read the first error in the browser's console",
    (
        "Open the developer tools, Console and Network, and repeat the request.",
        "CORS: allow the frontend's origin in the backend. Refused or failed to fetch: compare the API address with the backend's.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    error = case.best("browser.error")
    if error is None:
        console = case.was_given("console")
        answer = case.best("answer")
        if console and answer is not None:
            return passed("the browser shows no error on this request", answer)
        return unknown("neither the console nor the network panel was seen")
    report = warned if isinstance(case.product(Link.GENERATION), Seen) else failed
    return report("the browser shows: {text}", error, remedy=REMEDY, text=str(error["text"])[:160])
