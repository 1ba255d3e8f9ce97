"""The newest entry belongs to an older attempt.

What it looks at
    The newest entry beside the attempt in question: their addresses, prompts, models and order; and the backend's
    words when a save failed.

Why it matters
    A failed attempt often leaves no entry, so the newest entry answers another question than the one that was asked.

How to put it right
    Judge the attempt by the backend's log; put right what stopped it, and generate again.

When it is wrong
    Two attempts with the same prompt and no address are told apart by order alone.
"""

from diagnose.model import Case, Finding, Link, Remedy, passed, unknown, warned

link = Link.RECORD
because: tuple[str, ...] = ()
reads = ("timestamp",)

REMEDY = Remedy(
    "Judge this attempt by the backend's log",
    (
        "The newest entry is of an older attempt; do not read this attempt's model from it.",
        "After the next whole generation the newest entry is the right one.",
    ),
)


def look(case: Case) -> Finding:
    """The finding of this check."""
    stale = case.best("record.stale")
    if stale is not None:
        return warned(
            "the newest entry (model '{model}') belongs to an older attempt",
            stale,
            remedy=REMEDY,
            model=stale["model"] or "none",
        )
    failed_save = next((e for e in case.of("record.save_failed") if not e["loading"]), None)
    if failed_save is not None and case.best("record.entry") is None:
        return warned(
            "this attempt's entry was not saved: {text}",
            failed_save,
            remedy=REMEDY,
            text=str(failed_save["text"])[:120],
        )
    entry = case.best("record.entry")
    joined = entry is not None and case.best("fal.call", "answer", "request.access") is not None
    if entry is not None and joined:
        return passed("the entry belongs to this attempt", entry)
    return unknown("nothing but the prompt log tells which attempt is the newest")
