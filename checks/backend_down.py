"""Nothing listens at the backend's address.

What it looks at
    `ERR_CONNECTION_REFUSED` in the browser's console; a backend that answered rules it out.

Why it matters
    A dead port refuses the connection. A 404 is not this fault: it means that somebody answered.

How to put it right
    Start the backend, and compare its address with the one the frontend uses.

When it is wrong
    A console line about another address than the backend's.
"""

import re

from diagnose.model import Case, Finding, Link, Remedy, passed, unknown, warned

link = Link.DEPLOYMENT
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()

REFUSED = re.compile(r"ERR_CONNECTION_REFUSED|Connection refused|ECONNREFUSED", re.I)
REMEDY = Remedy(
    "Start the backend",
    ("Start the backend and wait for its start-up lines.", "Compare its address with the frontend's API address."),
    command="uvicorn main:app --host 127.0.0.1 --port 8000",
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    answered = case.best("request.access")
    if answered is not None:
        return passed("the backend answered this request", answered)
    dead = next((e for e in case.of("browser.error") if REFUSED.search(str(e["text"]))), None)
    if dead is not None:
        return warned("the browser's connection was refused: {text}", dead, remedy=REMEDY, text=str(dead["text"])[:120])
    answer = case.best("answer")
    if answer is not None and not answer["html"]:
        return passed("the backend answered", answer)
    return unknown("whether the backend listens can only be seen while it should run")
