"""An unhandled exception ended the request.

What it looks at
    The last exception of a traceback that is not about decoding, uploading or fal, beside a 5xx of the backend.

Why it matters
    The request ended in the backend's own code; the picture and the services play no part.

How to put it right
    Read the traceback's last line and the last frame of the backend's own files.

When it is wrong
    A traceback that was logged and handled: where a picture was made it ended nothing.
"""

import re
from dataclasses import replace

from diagnose.model import Case, Finding, Link, Remedy, Seen, passed, refused, unknown, warned

link = Link.DEPLOYMENT
because = ("environment_incomplete",)
reads: tuple[str, ...] = ()

LOST = re.compile(r"Timeout|Connect|Network|ReadError|WriteError|Protocol|SSL|gaierror|Cancelled|HTTPStatus")


def look(case: Case) -> Finding:
    """The finding of this check."""
    made = case.product(Link.GENERATION)
    if isinstance(made, Seen):
        return passed("the request ended with a picture", made.evidence)
    end = case.end_status
    placed = {e.source for stage in ("decode", "upload", "generation") for e in case.errors(stage)}
    # frameworks raise these on purpose to answer with an error
    raised = [
        e
        for e in case.of("deployment.exception")
        if e.source not in placed and not str(e["type"]).endswith("HTTPException")
    ]
    # a lost connection is the fault of what was called, though it ended the request here
    raised = [e for e in raised if not LOST.search(f"{e['type']}")]
    named = [e for e in raised if e["type"] != "unhandled"] or raised
    if named and (end is None or refused(end)) and not case.fal_refusals and not case.storage_refusals and not placed:
        remedy = Remedy(
            "Mend the backend's exception",
            (
                "Read the traceback that ends at {source}: its last frame in the backend's own files is the place.",
                "Restart the backend after the change.",
            ),
            values={"source": named[-1].source},
        )
        text = str(named[-1]["text"])[:160]
        found = warned("an exception ended the request: {text}", named[-1], remedy=remedy, text=text)
        # a bare error page does not say which exception it was
        return replace(found, symptom=named[-1]["type"] == "unhandled")
    if end is not None and not refused(end):
        return passed("the backend answered without an error", end)
    if end is not None and end["status"] < 500:
        return passed("the backend refused on purpose", end)
    if placed or case.fal_refusals or case.storage_refusals:
        return passed(
            "the error is explained by what was called",
            (
                *case.errors("decode"),
                *case.errors("upload"),
                *case.errors("generation"),
                *case.fal_refusals,
                *case.storage_refusals,
            )[0],
        )
    return unknown("no traceback was seen")
