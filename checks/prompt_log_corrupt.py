"""The prompt log is cut off or not JSON.

What it looks at
    The file itself, and the backend's words when it could not load it.

Why it matters
    The backend loads the file before each save: while it is broken, no new entry is written, and the newest one that
    is shown is old.

How to put it right
    Set the file aside and let the backend begin a new one; whole entries can be kept.

When it is wrong
    A file that was being written while it was read.
"""

import re

from diagnose.model import Case, Finding, Link, Remedy, passed, unknown, warned

link = Link.RECORD
because: tuple[str, ...] = ()
reads: tuple[str, ...] = ()

PARSING = re.compile(r"Expecting|Unterminated|Extra data|Invalid control|char \d+|not iterable|JSONDecodeError")
REMEDY = Remedy(
    "Set the broken prompt log aside",
    ("Move prompt_log.json to another name; the backend begins a new one at the next generation.",),
    command="mv prompt_log.json prompt_log.broken.json",
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    fault = next((e for e in case.of("record.fault") if e["kind"] != "empty"), None)
    said = next((e for e in case.of("record.save_failed") if PARSING.search(str(e["text"]))), None)
    if fault is not None:
        return warned(
            "the prompt log is broken: {text}",
            fault,
            *((said,) if said else ()),
            remedy=REMEDY,
            text=str(fault["message"])[:160],
        )
    if said is not None:
        return warned(
            "the backend could not load its prompt log: {text}", said, remedy=REMEDY, text=str(said["text"])[:120]
        )
    entry = case.best("record.entry", "record.stale")
    return passed("the prompt log is whole", entry) if entry is not None else unknown("the prompt log was not seen")
