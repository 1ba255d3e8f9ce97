"""The prompt log is not written.

What it looks at
    The backend's words when it could not save or find its log.

Why it matters
    Without it the newest decision can only be read from the backend's log. A container without a volume loses it at
    every build.

How to put it right
    Deploy the module that writes it, beside the backend, in a folder that can be written and is kept.

When it is wrong
    A backend that keeps no prompt log on purpose.
"""

import re

from diagnose.model import Case, Finding, Link, Remedy, passed, unknown, warned

link = Link.RECORD
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()

MISSING = re.compile(r"No module named|No such file|not found|Permission denied|Read-only|No space left|Errno", re.I)
REMEDY = Remedy(
    "Let the backend write its prompt log",
    (
        "See that the module that writes it is deployed and its folder can be written.",
        "In a container, mount the file or its folder.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    failure = next((e for e in case.of("record.save_failed") if MISSING.search(str(e["text"]))), None)
    if failure is not None:
        return warned("the prompt log was not written: {text}", failure, remedy=REMEDY, text=str(failure["text"])[:120])
    entry = case.best("record.entry")
    return passed("an entry was written", entry) if entry is not None else unknown("the prompt log was not seen")
