"""Reports as Markdown that pastes well into a ticket: headings, tables, quoted lines. Nothing of the evidence is markup in it.

GitHub's dialect, and what is common to it and others: no HTML, no link, no image, no mention is left to be recognised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from diagnose import mask
from diagnose.model import Remedy
from diagnose.model.excerpts import Excerpt
from diagnose.render.report import (
    Answer,
    Bar,
    Bars,
    Block,
    Chain,
    Checklist,
    Cure,
    Facts,
    Findings,
    Item,
    Lines,
    Outline,
    Passed,
    Piece,
    Proof,
    Report,
    Row,
    Stretch,
    Table,
    Timeline,
    Told,
)
from diagnose.render.text import MARKS, MAX_LINE, visible
from diagnose.render.words import Words

_MARKUP = re.compile(r"[\\`*\[\]<|~$]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)|^>")
"""What is markup where it stands; within a word an underscore is none."""
_LEADING = re.compile(r"^(\d*)([-+=#]|(?<=\d)[.)](?=\s|$))")
"""What makes a line a heading, a rule or an item of a list."""
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]{1,20}://|www\.|mailto:|xmpp:)[^\s|]+|[\w.+-]+@[\w.-]+", re.I)
"""What is made a link where it stands bare."""
_NAMED = re.compile(r"(?<!\w)([@#!])(?=\w)|(?<=\w)([@#!])(?=\w)")
"""Names of people, tickets and merge requests."""
BARS = 20


def dumps(reports: Sequence[Report], words: Words) -> str:
    """The reports under each other."""
    return "\n\n---\n\n".join("\n\n".join(_report(report, words)).rstrip() for report in reports)


def _report(report: Report, words: Words) -> Iterator[str]:
    yield f"## {MARKS[report.status][0]} {plain(report.headline)}"
    yield _facts(report.facts)
    for section in report.sections:
        yield f"### {plain(section.title)}"
        for block in section.blocks:
            yield _block(block, words)


def _block(block: Block, words: Words) -> str:
    match block:
        case Facts():
            return _facts(block)
        case Checklist(answers):
            return _table(("", "", "", ""), map(_answer, answers))
        case Proof(pieces):
            return "\n".join(line for piece in pieces for line in _piece(piece))
        case Cure(remedy):
            return "\n".join(_remedy(remedy, words))
        case Chain(links):
            return _table(("", "", "", ""), map(_link, links))
        case Findings(told):
            return "\n".join(line for one in told for line in _told(one))
        case Lines(lines):
            return "\n".join(f"- {plain(line)}" for line in lines)
        case Table(heads, rows, numbers):
            return "\n".join(_rows(heads, rows, numbers))
        case Bars(bars):
            return _bars(bars)
        case Timeline(stretches):
            return _stretches(stretches)
        case Outline(items):
            return "\n".join(_outline(items, ""))


def _facts(facts: Facts) -> str:
    return "\n".join(f"- **{plain(name)}**: {plain(said)}" if name else f"- {plain(said)}" for name, said in facts.rows)


def _answer(answer: Answer) -> tuple[str, ...]:
    return (
        MARKS[answer.status][0],
        f"**{plain(answer.answer)}**",
        plain(answer.question),
        code(answer.source) if answer.source else "",
    )


def _link(link: Passed) -> tuple[str, ...]:
    word = f"**{plain(link.word)}**" if link.broken else plain(link.word)
    return MARKS[link.status][0], plain(link.name), word, code(link.seen) if link.seen else ""


def _piece(piece: Piece) -> Iterator[str]:
    said = f": {plain(piece.said)}" if piece.said else ""
    yield f"- {', '.join(map(code, piece.sources))} ({piece.witness}){said}"
    for excerpt in piece.excerpts:
        yield from _excerpt(excerpt)


def _excerpt(excerpt: Excerpt) -> Iterator[str]:
    lines = [
        f"{'>' if line.marked else ' '} {'' if line.number is None else line.number:>6} | {inert(line.text)}"
        for line in excerpt.lines
    ]
    yield ""
    yield from (f"  {line}" for line in fenced("\n".join(lines)))
    yield ""


def _remedy(remedy: Remedy, words: Words) -> Iterator[str]:
    warning = "" if remedy.safe else f" ({words('cannot simply be undone')})"
    yield f"**{plain(remedy.title)}**{warning}"
    if remedy.steps:
        yield ""
    for number, step in enumerate(remedy.steps, 1):
        yield f"{number}. {plain(step)}"
    if remedy.command:
        yield ""
        yield from fenced(inert(remedy.command))


def _told(told: Told) -> Iterator[str]:
    source = f" ({code(told.source)})" if told.source else ""
    yield f"- {MARKS[told.status][0]} **{plain(told.name)}**: {plain(told.text)}{source}"
    if told.more:
        yield f"  {plain(told.more)}"


def _rows(heads: Sequence[str], rows: Sequence[Row], numbers: int) -> Iterator[str]:
    yield _table(heads, (tuple(plain(cell) for cell in row.cells) for row in rows), numbers)
    below = [row for row in rows if row.under or row.command]
    if below:
        yield ""
    for row in below:
        yield f"- **{plain(row.cells[0])}**" + "".join(f"; {plain(said)}" for said in row.under)
        if row.command:
            yield f"  {code(row.command)}"


def _bars(bars: Sequence[Bar]) -> str:
    worded = any(bar.tail for bar in bars)
    count = max((len(bar.numbers) for bar in bars), default=0)
    rows = (
        (
            plain(bar.name),
            *map(plain, bar.numbers),
            _drawn(bar.length),
            *((plain(bar.tail),) if worded else ()),
        )
        for bar in bars
    )
    return _table(("",) * (count + 2 + worded), rows, count)


def _stretches(stretches: Sequence[Stretch]) -> str:
    top = max((stretch.entries for stretch in stretches), default=0)
    count = max((len(stretch.numbers) for stretch in stretches), default=0)
    rows = (
        (plain(s.name), *map(plain, s.numbers), _drawn(s.entries / top if top else 0), plain(s.cause))
        for s in stretches
    )
    return _table(("",) * (count + 3), rows, count)


def _drawn(length: float) -> str:
    return "█" * max(1 if length > 0 else 0, round(length * BARS))


def _outline(items: Iterable[Item], indent: str) -> Iterator[str]:
    for item in items:
        yield f"{indent}- {f'**{plain(item.text)}**' if item.strong else plain(item.text)}"
        yield from _outline(item.under, indent + "  ")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """A table. Tables need a head, which can be empty."""
    edges = ["---:" if 0 < column <= numbers else "---" for column in range(len(heads))]
    lines = [[plain(head) for head in heads], edges, *rows]
    return "\n".join(f"| {' | '.join(cell or ' ' for cell in line)} |" for line in lines)


# --- what makes texts inert


def inert(text: str) -> str:
    """A line without what commands a terminal; masked and bounded."""
    return visible(mask.cut(text, MAX_LINE))


def plain(text: str) -> str:
    """A line in which nothing is markup; addresses stand as code, so that none is a link."""
    safe = " ".join(inert(text).split()) if text.strip() else text
    parts, last = [], 0
    for found in _ADDRESS.finditer(safe):
        parts += [_escaped(safe[last : found.start()]), code(found[0])]
        last = found.end()
    said = "".join([*parts, _escaped(safe[last:])])
    return _LEADING.sub(r"\1\\\2", said)


def _escaped(text: str) -> str:
    return _NAMED.sub(lambda found: f"\\{found[0]}", _MARKUP.sub(lambda found: f"\\{found[0]}", text))


def code(text: str) -> str:
    """A line as code."""
    safe = inert(text).replace("|", "¦")  # no dialect agrees on how a bar is written in a table's code
    if not safe.strip():
        return ""
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", safe)), default=0))
    edge = " " if safe[0] in " `" or safe[-1] in " `" else ""
    return f"{fence}{edge}{safe}{edge}{fence}"


def fenced(text: str) -> Iterator[str]:
    """Lines as a block of code."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    yield f"{fence}text"
    yield from text.split("\n")
    yield fence
