"""Asks all questions at once, waits no longer than it may, and keeps what was answered."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from diagnose.live.ask import SECONDS, Silence
from diagnose.model import Evidence, Witness

AT_ONCE = 8
GRACE = 0.3
"""Seconds in which a question may say itself that it was late."""


class Question(NamedTuple):
    """One thing to find out; asking it may take long, and may raise."""

    name: str
    ask: Callable[[], Any]
    seconds: float = SECONDS
    """How long it is waited for; what comes later is lost."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back, by the questions' names: an answer, or a Silence."""

    by_name: Mapping[str, Any]
    interrupted: bool = False

    def __getitem__(self, name: str) -> Any:
        return self.by_name.get(name)


def look(questions: Sequence[Question], until: float, told: Callable[[int, Sequence[str]], None]) -> Answers:
    """The answers that came in time. `told` hears how many there are, and which questions are still open.

    Threads that are given up are left behind as daemons: a name that does not resolve cannot be interrupted. An
    interrupt ends the look, and what is known is kept.
    """
    by_name = {question.name: question for question in questions}
    assert len(by_name) == len(questions), "two questions of one name"
    waiting: queue.SimpleQueue[Question] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    for question in questions:
        waiting.put(question)
    begun: dict[str, float] = {}

    def work() -> None:
        threading.Thread(target=_work, args=(waiting, done, begun, until), daemon=True, name="probe").start()

    for _ in range(min(AT_ONCE, len(questions))):
        work()
    found: dict[str, Any] = {}
    interrupted = False
    try:
        while len(found) < len(questions):
            told(len(found), [name for name in by_name if name not in found])
            left = until - time.monotonic()
            if left <= 0:
                break
            try:
                name, reply = done.get(timeout=min(left, 0.1))
                found.setdefault(name, reply)
            except queue.Empty:
                now = time.monotonic()
                for name, began in list(begun.items()):
                    if name not in found and now - began > by_name[name].seconds + GRACE:
                        found[name] = _unanswered(by_name[name], began, False)
                        work()  # in the place of the one that is stuck
    except KeyboardInterrupt:
        interrupted = True
    for name, question in by_name.items():
        if name not in found:
            found[name] = _unanswered(question, begun.get(name), interrupted)
    told(len(questions), ())
    return Answers(found, interrupted)


def _work(
    waiting: queue.SimpleQueue[Question],
    done: queue.SimpleQueue[tuple[str, Any]],
    begun: dict[str, float],
    until: float,
) -> None:
    while time.monotonic() < until:
        try:
            question = waiting.get_nowait()
        except queue.Empty:
            return
        begun[question.name] = time.monotonic()
        try:
            reply = question.ask()
        except Exception as error:  # one question's fault must not cost the others their answers
            reply = Silence("broken", f"looking failed ({type(error).__name__})")
        done.put((question.name, reply))


def _unanswered(question: Question, began: float | None, interrupted: bool) -> Silence:
    if interrupted:
        return Silence("interrupted", "it was interrupted")
    if began is None:
        return Silence("late", "there was no time left to ask")
    waited = min(question.seconds, time.monotonic() - began)
    return Silence("late", f"no answer within {waited:.2g} s")


def silent(about: str, source: str, reply: Silence) -> Evidence:
    """The look at `about`, a kind of evidence, that got no answer."""
    fields = {"about": about, "cause": reply.cause, "reason": reply.reason}
    return Evidence("live.silent", source, Witness.OBSERVED, fields)
