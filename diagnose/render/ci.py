"""What SARIF and JUnit have in common: what CI is told, in words that are inert wherever it shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from diagnose import mask
from diagnose.model import Diagnosis, Evidence, Finding, Link, Remedy, Status
from diagnose.model.comparison import Change, Comparison, Difference, HistoryComparison, Shift, Told
from diagnose.model.history import History, Tally
from diagnose.render import numbers, report
from diagnose.render.compare_document import under
from diagnose.render.compare_report import CHANGED, CHANGES, KINDS
from diagnose.render.text import visible
from diagnose.render.words import LINKS, STATUSES, Words, shown

LONGEST = 4000
"""Characters of a text."""
PIECES = 20
"""Pieces of evidence of a finding."""


def inert(text: object) -> str:
    """A text without what commands a terminal, reverses a line, or cannot stand in XML 1.0; masked and bounded.

    Of what is not printable only line ends stay: control and format characters, halves of characters and what is no
    character (U+FFFE, U+FFFF) are shown as escapes.
    """
    return "\n".join(map(visible, mask.cut(str(text), LONGEST).split("\n")))


def failing(d: Diagnosis) -> bool:
    """Whether the exit code of this answer is 1: not sound or no picture made, and not undetermined."""
    by_design = d.root is not None and d.root.status is Status.NOTE
    sound = by_design or (d.root is None and d.outcome == "switched" and not d.suspects)
    return d.generation == "failed" or (d.outcome != "undetermined" and not sound)


def subject(d: Diagnosis) -> str:
    """Which generation; empty where only the living system was looked at."""
    return ", ".join(part for part in (d.subject.source, d.subject.timestamp) if part)


def remedy(cure: Remedy, words: Words) -> list[str]:
    """What to do, in lines: the title, the steps, the command. `cure` is in the language already."""
    warning = "" if cure.safe else f" ({words('cannot simply be undone')})"
    steps = [f"{number}. {step}" for number, step in enumerate(cure.steps, 1)]
    return [f"{cure.title}{warning}", *steps, *([cure.command] if cure.command else [])]


def evidence(seen: Iterable[Evidence]) -> list[str]:
    """What was seen, a line for each piece, with its places and its rank."""
    pieces = list(report.pieces(list(seen)[:PIECES]))
    return [f"{', '.join(p.sources)} [{p.witness}] {p.said}".rstrip() for p in pieces]


def proof(f: Finding, words: Words) -> str:
    """What a finding rests on, and what to do about it."""
    cure = ["", *remedy(words.remedy(f.remedy), words)] if f.remedy is not None else []
    return "\n".join([*evidence(f.evidence), *cure]).strip("\n")


# --- a history


class Cause(NamedTuple):
    """Why generations are not sound."""

    check: str
    symptom: bool
    tally: Tally
    by_design: bool
    """Only ever noted: it explains an outcome, and is no fault."""


def causes(h: History) -> list[Cause]:
    """Every root, then every symptom where the root cannot be told, the most frequent first."""
    design = {check for check, statuses in h.checks.items() if statuses.keys() == {str(Status.NOTE)}}
    return [
        Cause(check, symptom, tally, check in design)
        for symptom, tallies in ((False, h.roots), (True, h.symptoms))
        for check, tally in tallies.items()
    ]


def unexplained(h: History) -> int:
    """How many generations are not sound without a check that tells why."""
    return max(0, h.bad.count - sum(cause.tally.count for cause in causes(h) if not cause.by_design))


def counted(tally: Tally, of: int, words: Words) -> str:
    """How many of how many, and from when to when."""
    said = words("{count} of {of}", count=numbers.number(tally.count, words), of=numbers.number(of, words))
    if tally.first and tally.last:
        said += words(", {first} to {last}", first=shown(tally.first, 40), last=shown(tally.last, 40))
    return said


# --- a comparison


def same(c: Comparison | HistoryComparison) -> bool | None:
    """Whether both came to the same; None where that cannot be told."""
    if isinstance(c, Comparison):
        return c.same if c.a.readable and c.b.readable and not c.undetermined else None
    return c.same if c.a.entries and c.b.entries else None


def differences(c: Comparison) -> list[Difference]:
    """Those that change an answer or a check."""
    return [d for d in c.differences if d.matters]


def shifts(c: HistoryComparison) -> list[Shift]:
    """Those that are more than chance; where chance was not tested, those of any size."""
    return [s for s in c.shifts if s.beyond_chance or (s.beyond_chance is None and s.points)]


def difference(d: Difference, words: Words) -> str:
    """Both values with their places, and what becomes of one side with the other's."""
    said = f"A: {_told(d.field, d.a, words)}; B: {_told(d.field, d.b, words)}"
    if d.trial is None:
        return said
    answer = [change for change in d.trial.changes if change.what in CHANGED]
    changes = "; ".join(_change(change, words) for change in (answer or d.trial.changes)[:CHANGES])
    if d.trial.together:
        told = words("all of these together, put into A: {changes}", changes=changes)
    elif d.trial.into == "a":
        told = words("with B's value, A changes: {changes}", changes=changes)
    else:
        told = words("with A's value, B changes: {changes}", changes=changes)
    return f"{said}; {told}"


def _told(field: str, told: Told | None, words: Words) -> str:
    if told is None:
        return words("not seen")
    said = words("absent") if told.absent else _value(under(field, told.value), words)
    return f"{said} ({told.source}, {told.witness})"


def _value(value: Any, words: Words) -> str:
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return " | ".join(_value(inner, words) for inner in value[:PIECES])
    return words("seen") if value == {} else shown(value) or '""'


def _change(change: Change, words: Words) -> str:
    name = change.name
    if change.what == "link":
        name = words(LINKS[Link(name)]) if name in tuple(Link) else name
    elif change.what in CHANGED:
        name = words.message(CHANGED[change.what])
    before, after = (_state(change, value, words) for value in (change.before, change.after))
    return f"{name} {before} -> {after}"


def _state(change: Change, value: str | None, words: Words) -> str:
    if value is None:
        return words("none")
    return words(STATUSES[Status(value)]) if change.what in ("link", "check") else value


def named(s: Shift, words: Words) -> str:
    """What shifted."""
    kind = words.message(KINDS[s.kind])
    return kind if s.kind == "bad" else f"{kind} {shown(s.name)}"


def shift(s: Shift, words: Words) -> str:
    """The shares in both."""
    return f"A: {numbers.parted(s.a, words)}; B: {numbers.parted(s.b, words)}"
