"""Says of any number of generations how many broke, where, and since when.

The verdict of a generation depends on its shape alone, so a history is one map and one sum: `ranges.count` counts the
shapes of a range of a file, `counts.add` adds counts up, and the checks judge each distinct shape once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from diagnose import normalise, registry
from diagnose.history import engines, judge, onset, plan, summary
from diagnose.history.attributes import Attributes, Sides
from diagnose.history.counts import MOST_SHAPES, WIDTHS, AttemptShape, Counts, Key, Lost, add
from diagnose.history.entries import Question
from diagnose.history.ranges import File, Task, count, judged
from diagnose.history.shape import Shape
from diagnose.model import Phrase, Profile
from diagnose.model.history import History, Onset, Verdict

Progress = Callable[[int, int | None], None]
"""Told how many bytes are done, of how many (None: not known)."""


@dataclass(frozen=True)
class Wish:
    """How a history is made."""

    by: str | None = None
    since: str = ""
    until: str = ""
    only: str | None = None
    onset: bool = False
    kind: str | None = None
    """`prompt_log` or `backend_log`; None: backend logs where there are any, since they know more."""
    jobs: int = 1
    scheduler: str | None = None
    offline: bool = True
    scratch: str | None = None
    """The file that standard input was written to."""


def survey(paths: Sequence[str], profile: Profile, wish: Wish = Wish(), told: Progress | None = None) -> History:
    """The history of the files behind paths, patterns and addresses. Raises NothingReadable, ExtraMissing, DiagnoseError."""
    if wish.onset:
        onset.needed()
    planned = plan.plan(paths, wish.kind, wish.offline, wish.scratch)
    planned = _one_kind(planned)
    question = Question(profile, wish.by, wish.since, wish.until, checks=registry.folder())
    counts = _counted(planned.files, question, wish, told)
    verdicts = _judged(counts, profile)
    found = summary.history(profile.name, counts, verdicts, planned.files, wish.by, wish.only)
    if wish.onset:
        found = replace(found, onsets=_onsets(planned.files, question, counts, verdicts, found, wish, told))
    notes = [*planned.notes]
    if wish.by and counts.too_many:
        notes.append(Phrase("--by {by}: it has too many different values to count them one by one", by=wish.by))
    return replace(found, not_counted=(*planned.missed, *found.not_counted), notes=tuple(notes))


def _one_kind(planned: plan.Plan) -> plan.Plan:
    """A generation stands in the prompt log and in the backend's log: counted in both it would count twice."""
    kinds = {file.kind for file in planned.files}
    if len(kinds) < 2:
        return planned
    kept = tuple(file for file in planned.files if file.kind == "backend_log")
    left = ", ".join(file.name for file in planned.files if file.kind != "backend_log")
    note = Phrase(
        "the backend's logs were counted and not {left}, which tell of the same generations; see --kind", left=left
    )
    return planned._replace(files=tuple(f._replace(number=i) for i, f in enumerate(kept)), notes=(*planned.notes, note))


def _counted(files: Sequence[File], question: Question, wish: Wish, told: Progress | None) -> Counts:
    """The counts of all files. What changed while it was read is counted again once, and else said to be lost."""
    total = question.nothing
    whole = sum(file.size or 0 for file in files) if all(file.size is not None for file in files) else None
    done = 0
    tasks = [task for file in files for task in plan.tasks(file, question)]
    reached: dict[int, int] = {}
    held: dict[int, Counts] = {}
    for task, part in _run(tasks, wish):
        index = task.file.number
        if part.ranges and reached.get(index, part.ranges[0].began) != part.ranges[0].began:
            part = count(task._replace(begin=reached[index]))
        if part.lost:
            reached.pop(index, None)  # what follows begins where it finds its first entry
        elif part.ranges:
            reached[index] = part.ranges[-1].stopped
        _added(held.setdefault(index, question.nothing), part, question)
        if task.end is None:
            _added(total, _settled(task.file, held.pop(index), question), question)
        done += (task.end or task.file.size or task.start) - task.start
        if told is not None:
            told(done, whole)
    return total


def _added(total: Counts, part: Counts, question: Question) -> None:
    """Add a part; shapes that are too many to keep are judged."""
    add(total, part)
    if len(total.cells) > MOST_SHAPES:
        judged(total, question.profile)


def _settled(file: File, counts: Counts, question: Question) -> Counts:
    """A file's counts, if it is still the file that was read."""
    if file.identity is None:
        return counts
    try:
        now = os.stat(file.path)  # noqa: PTH116 - as it was named
    except OSError:
        return counts  # what was counted was there
    if (now.st_dev, now.st_ino) != file.identity[:2]:
        return counts  # it was rotated away after it was read
    if now.st_mtime_ns == file.identity[2]:
        return counts
    if file.size is not None and now.st_size != file.size and file.form != "array":
        if now.st_size > file.size:
            counts.lost.append(Lost(file.number, file.size, None, "it was written after the counting began"))
        return counts  # a range that was cut off says so itself
    try:
        again = plan.look(file.path, file.number, file.name)
    except OSError:
        again = None
    if again is not None and again.kind == file.kind:
        counts = question.nothing
        for task in plan.tasks(again, question):
            _added(counts, count(task), question)
        if again.identity == plan.identity_now(file.path):
            return counts
    lost = Lost(file.number, 0, None, "it was rewritten while it was read")
    return replace(question.nothing, lost=[lost])


def _run(tasks: Sequence[Task], wish: Wish) -> Iterator[engines.Done]:
    if wish.scheduler:
        return engines.cluster(tasks, wish.scheduler)
    jobs = min(wish.jobs, len(tasks))
    return engines.pool(tasks, jobs) if jobs > 1 else engines.here(tasks)


def _judged(counts: Counts, profile: Profile) -> dict[Key, Verdict]:
    """The verdict of every shape."""
    verdicts: dict[Key, Verdict] = {}
    for key in counts.cells:
        if isinstance(key, Shape):
            verdicts[key] = judge.of_shape(key, profile)
        elif isinstance(key, AttemptShape):
            verdicts[key] = judge.of_attempt(counts.samples[key], counts.common.get(key.source, ()), profile)
        else:
            verdicts[key] = key
    return verdicts


def _onsets(
    files: Sequence[File],
    question: Question,
    counts: Counts,
    verdicts: Mapping[Key, Verdict],
    found: History,
    wish: Wish,
    told: Progress | None,
) -> tuple[Onset, ...]:
    """Since when, for each cause, and what came with it; the files are read again for what separates bad from good."""
    causes = onset.causes(verdicts, counts)
    changes, since, until = [], [], []
    for cause in causes:
        series = onset.steps(counts, verdicts, cause)
        change = onset.change(series)
        changes.append(change)
        if change is None:
            since.append("")
            until.append("")
            continue
        until.append(series[change.end].start if change.end < len(series) else "")
        since.append(_moment(series, change, cause, files, question, wish, told))
    sides = Sides(tuple(causes), tuple(since), tuple(until))
    if all(file.form == "log" for file in files):
        attributes = onset.of_attempts(counts, verdicts, sides)
    else:
        known = {key: verdict for key, verdict in verdicts.items() if isinstance(key, Shape)}
        asked = replace(question, by=None, sides=sides, verdicts=known)
        attributes = _counted(files, asked, wish, told).attributes or Attributes(4 * len(causes))
    firsts = [found.roots.get(cause) or found.symptoms.get(cause) or found.bad for cause in causes]
    return onset.onsets(sides, changes, firsts, attributes, _telling)


def _telling(cause: str, field: str) -> int | None:
    """A field that follows from what was chosen says nothing, unless the cause's own check reads it."""
    check = registry.by_id().get(cause)
    if check is not None and field in check.reads:
        return 1
    follows = field in normalise.READS or field.startswith(("fal_request.", "sent.", "decision."))
    return None if follows else 0


def _moment(
    series: Sequence[onset.Step],
    change: onset.Change,
    cause: str,
    files: Sequence[File],
    question: Question,
    wish: Wish,
    told: Progress | None,
) -> str:
    """The first bad generation behind the change, looked for once more in the stretch of time around it."""
    coarse = next(step.first for step in series[change.start :] if step.first)
    if len(series[change.start].start) >= WIDTHS[0]:
        return coarse
    asked = replace(question, by=None, since=series[change.start - 1].start, until=series[change.start].start)
    finer = _counted(files, asked, wish, told)
    inside = onset.steps(finer, _judged(finer, question.profile), cause)
    sharp = onset.change(inside)
    return next(step.first for step in inside[sharp.start :] if step.first) if sharp is not None else coarse
