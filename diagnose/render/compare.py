"""A comparison on a terminal: its report, drawn as wide as the window is."""

from __future__ import annotations

from rich.console import Console

from diagnose.model import Status
from diagnose.model.comparison import Comparison, HistoryComparison, Side
from diagnose.render import compare_report
from diagnose.render.report import Facts, Lines, Section
from diagnose.render.text import STYLES, Page
from diagnose.render.words import Words

UNTITLED = ("fields", "untested")
"""Sections that are a remark at the end: here their sentences need no title."""


def show(comparison: Comparison | HistoryComparison, console: Console, words: Words, verbose: bool) -> None:
    """Writes a comparison to a console: the report of `compare_report.of`.

    With `verbose` the fields that are the same are listed, differences that do not matter are listed up to 1000, and every
    change of an answer is named.
    """
    screen = _Screen(console, words, verbose)
    said = compare_report.of(comparison, words, verbose=verbose, room=2 * screen.width - 12)
    screen.line(said.headline, "bold", hang=0)
    screen.sides(said.facts, _styles(comparison))
    for section in said.sections:
        screen.section(section)


class _Screen(Page):
    def sides(self, facts: Facts, answers: tuple[str, str]) -> None:
        """Each side's name, its answer in a colour of its own, and what is said of it."""
        styles = iter(answers)
        style = ""
        for name, said in facts.rows:
            if name:
                self.line(f"  {name}  {said}", hang=5)
                style = next(styles)
            else:
                self.line(f"     {said}", style, hang=5)
                style = "dim"

    def section(self, section: Section) -> None:
        if section.key not in UNTITLED:
            super().section(section)
            return
        self.console.print()
        for block in section.blocks:
            if isinstance(block, Lines):
                for said in block.lines:
                    self.line(said, "" if block.status is None else STYLES[block.status], hang=0)


def _styles(comparison: Comparison | HistoryComparison) -> tuple[str, str]:
    """The colour of what is said first of each side."""
    if isinstance(comparison, Comparison):
        return _style(comparison.a), _style(comparison.b)
    return "dim", "dim"


def _style(side: Side) -> str:
    if side.diagnosis.outcome == "undetermined":
        return STYLES[Status.UNKNOWN]
    return STYLES[Status.PASS] if side.sound else STYLES[Status.FAIL]
