"""An entry of the prompt log does not fit its schema.

What it looks at
    The entry beside `schemas/prompt_log.schema.json`, which takes every era of the log.

Why it matters
    A field of the wrong type is read wrongly by everything that comes after, this tool included.

How to put it right
    Correct the writer at the field the message names; `diagnose validate` lists every error with its line.

When it is wrong
    A log of another tool that merely looks like one.
"""

from diagnose.model import Case, Finding, Link, Remedy, passed, unknown, warned

link = Link.RECORD
because: tuple[str, ...] = ()
reads = ("timestamp", "request", "fal_request")

REMEDY = Remedy(
    "Correct the writer of the prompt log",
    ("Run the command to see every error with its line.",),
    command="diagnose validate prompt_log.json",
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    invalid = case.best("record.invalid")
    if invalid is not None:
        return warned(
            "the entry is invalid at {pointer}: {text}",
            invalid,
            remedy=REMEDY,
            pointer=invalid["pointer"],
            text=str(invalid["message"])[:160],
        )
    entry = case.best("record.entry")
    return passed("the entry fits the schema", entry) if entry is not None else unknown("no entry was seen")
