"""A history on a terminal: its report, drawn as wide as the window is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from rich.console import Console

from diagnose.model.history import History
from diagnose.render import history_report, numbers
from diagnose.render.report import Facts, Section, Stretch, Timeline
from diagnose.render.text import Page, ratio
from diagnose.render.words import Words

_NO_TITLES: Mapping[str, str] = MappingProxyType({})


def show(
    history: History, console: Console, words: Words, verbose: bool, titles: Mapping[str, str] = _NO_TITLES
) -> None:
    """Writes a history to a console: the report of `history_report.of`, with neighbours of a long timeline in one line.

    `titles` says in a sentence what each check finds. With `verbose` lists are longer (1000 lines instead of 8), faults
    stand among what was also seen, and files are listed.
    """
    screen = _Screen(console, words, verbose)
    said = history_report.of(history, words, verbose=verbose, titles=titles)
    screen.line(said.headline, "bold", hang=0)
    screen.read(said.facts)
    for section in said.sections:
        screen.section(section)


class _Screen(Page):
    def read(self, facts: Facts) -> None:
        """What was read, and by which profile, in one line."""
        *about, (name, profile) = facts.rows
        self.line(f"  {', '.join([*(said for _, said in about), f'{name} {profile}'])}", "dim")

    def inside(self, section: Section) -> None:
        for block in section.blocks:
            if isinstance(block, Timeline) and len(block.stretches) >= 3 and any(one.bad for one in block.stretches):
                self.sparkline(block.stretches)
        super().inside(section)

    def sparkline(self, stretches: Sequence[Stretch]) -> None:
        """The share of bad ones, a character for each stretch of time, or for neighbours where there are many."""
        sums = history_report.merged(stretches, self.width - 4, self.words)
        low, high = min(sums, key=ratio), max(sums, key=ratio)
        self.line(f"  {''.join(self.height(ratio(one), ratio(high)) for one in sums)}", "red")
        shares = {name: numbers.share(one.bad, one.entries, self.words) for name, one in (("low", low), ("high", high))}
        self.line(f"  {self.words('not sound: {low} at the lowest, {high} at the highest', **shares)}", "dim")
