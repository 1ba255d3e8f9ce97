"""Looks at what runs now: the backend, Storage, fal and the settings. It reads, and answers are evidence like any other.

Every part is asked at once: a module has `questions` (what to ask, none of it changes anything) and `evidence` (what
may be concluded from the answers, each only from a call that proves it).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diagnose.live import backend, fal, storage
from diagnose.live.ask import Asker
from diagnose.live.look import look
from diagnose.live.targets import Targets
from diagnose.model import Evidence

SECONDS = 10.0
"""How long the whole look lasts unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look saw."""

    evidence: tuple[Evidence, ...]
    interrupted: bool
    told: tuple[str, ...]
    """One line for each question."""


def at(targets: Targets, until: float, told: Callable[[int, Sequence[str]], None]) -> Look:
    """Look at all of it, until the monotonic clock says `until` at the latest."""
    asker = Asker(until)
    parts = (backend, storage, fal)
    questions = [question for part in parts for question in part.questions(targets, asker)]
    try:
        answers = look(questions, until, told)
    finally:
        asker.close()
    evidence = tuple(e for part in parts for e in part.evidence(targets, answers))
    return Look(evidence, answers.interrupted, tuple(asker.told))


def deadline(seconds: float) -> float:
    """When a look that begins now has to end, on the monotonic clock."""
    return time.monotonic() + seconds
