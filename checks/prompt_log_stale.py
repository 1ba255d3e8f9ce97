"""The newest entry belongs to an older attempt.

What it looks at
    The newest entry beside the attempt in question: their addresses, prompts, models and order; and the backend's
    words when a save failed. With a live look: the newest entry that the running backend tells, beside the file's.

Why it matters
    A failed attempt often leaves no entry, so the newest entry answers another question than the one that was asked.

How to put it right
    Judge the attempt by the backend's log; put right what stopped it, and generate again.

When it is wrong
    Two attempts with the same prompt and no address are told apart by order alone. A file that was copied before the
    newest attempt is older than the backend's, and nothing is wrong with it.
"""

from diagnose.model import Case, Finding, Link, Remedy, passed, unknown, warned
from diagnose.model.running import compared

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
ELSEWHERE = Remedy(
    "Read the prompt log that the running backend writes",
    (
        "If the file was copied: copy it again.",
        "Else another process, or one in another folder, writes the log: compare the backend's folder with the file's.",
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
    other = elsewhere(case)
    if other is not None:
        return other
    entry = case.best("record.entry")
    joined = entry is not None and case.best("fal.call", "answer", "request.access") is not None
    if entry is not None and joined:
        return passed("the entry belongs to this attempt", entry)
    return unknown("nothing but the prompt log tells which attempt is the newest")


def elsewhere(case: Case) -> Finding | None:
    """The running backend's newest entry beside the file's; None where one of them was not seen."""
    now, newest = case.best("live.last_prompt"), case.best("record.newest")
    if now is None or newest is None:
        return None
    order = compared(newest["timestamp"], now["timestamp"])
    if order == 0:
        return passed("the running backend's newest entry is the file's newest", now, newest)
    if order is None or order > 0:
        return None
    return warned(
        "the running backend's newest entry is of {now} and the file's of {file}: another log is written, or this is a copy",
        now,
        newest,
        remedy=ELSEWHERE,
        now=now["timestamp"],
        file=newest["timestamp"],
    )
