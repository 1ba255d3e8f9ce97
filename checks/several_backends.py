"""Several processes answer, or one could not start because another holds its port.

What it looks at
    `address already in use` in the log (Linux errno 98, Windows 10048).

Why it matters
    The new process ends, the old one goes on answering with the old code, and each writes its own prompt log.

How to put it right
    Find who holds the port, stop that process, and start one backend.

When it is wrong
    An error of an earlier start that was put right since.
"""

from diagnose.model import Case, Finding, Link, Remedy, passed, unknown, warned

link = Link.DEPLOYMENT
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()

REMEDY = Remedy(
    "Leave one process on the port",
    (
        "Find who holds it (Linux: ss -ltnp; Windows: netstat -ano).",
        "Stop that process, then start the backend and see that it stays.",
    ),
    command="ss -ltnp 'sport = :8000'",
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    taken = case.best("deployment.bind_failed")
    started = case.best("deployment.started")
    if taken is None and started is not None:
        return passed("the backend took its port and started", started)
    if taken is None:
        return unknown("who listens on the backend's port can only be seen while it runs")
    return warned(
        "a backend could not start because its port was taken: {text}",
        taken,
        remedy=REMEDY,
        text=str(taken["text"])[:120],
    )
