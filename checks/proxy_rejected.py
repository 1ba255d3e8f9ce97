"""Something between browser and backend answered instead.

What it looks at
    The answer: an HTML page, or 413, 502 or 504 without the backend's own body, beside the backend's access line.

Why it matters
    A proxy's size limit (1 MB in nginx unless raised) or time limit (60 s) is shorter than pictures and fal need. The
    backend may not even have seen the request, or goes on working and charges for a picture nobody gets.

How to put it right
    Raise `client_max_body_size` and `proxy_read_timeout` (or their like) above the largest picture and fal's time.

When it is wrong
    A backend that answers in HTML itself; its access line with the same status then rules this out.
"""

from diagnose.model import Case, Finding, Link, Remedy, failed, passed, unknown

link = Link.REQUEST
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()


def look(case: Case) -> Finding:
    """The finding of this check."""
    answer = case.best("answer")
    access = case.best("request.access")
    if answer is None:
        if access is not None and case.joined:
            return passed("the backend answered this request itself", access)
        return unknown("the answer was not seen")
    status = answer["status"]
    own = access is not None and status in (None, access["status"])
    if own or not answer["html"]:
        return passed("the answer is the backend's own", answer)
    if status is not None and status < 400 and access is not None:
        return passed("the backend answered", answer)
    return failed(
        "an HTML page answered instead of the backend ({status}: {text})",
        answer,
        remedy=Remedy(
            "Raise the limits of what stands before the backend",
            (
                "413: raise the body size limit (nginx: client_max_body_size 25m).",
                "502 or 504: see that the backend runs, and raise the read timeout above fal's time (nginx: proxy_read_timeout 300s).",
                "Any other page: the address leads elsewhere; compare the frontend's API address with the backend's.",
            ),
        ),
        status=status or "no status",
        text=str(answer["text"])[:80],
    )
