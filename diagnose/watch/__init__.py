"""Follows a prompt log and a backend's log while they are written, and says each generation once, when it has ended.

Three steps, each of which knows only what stands below it: a `Tail` gives the new lines of a file, a `LogFollower` makes
attempts of them and an `EntryFollower` finds the new entries of a prompt log; a `Watch` puts both together. Nobody here
looks at a clock: every poll is told the time.
"""

from __future__ import annotations

import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from diagnose import normalise
from diagnose.collect import Bundle, backend_log
from diagnose.errors import NothingReadable
from diagnose.model import Case, Phrase, Profile
from diagnose.watch.entries import EntryFollower, Saved
from diagnose.watch.log import HANDOVER, PATIENCE, LogFollower
from diagnose.watch.tail import RECENT, SETTLE, Say

Row = tuple[backend_log.Attempt | None, Saved | None]


@dataclass
class _Waiting:
    """What is not yet told, or was told and can still turn up in the other file."""

    attempts: list[tuple[backend_log.Attempt, float]] = field(default_factory=list)
    entries: list[Saved] = field(default_factory=list)
    told_alone: deque[tuple[backend_log.Attempt, float]] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Attempts that were told without an entry: one that comes late is of the same generation."""
    told_entries: deque[tuple[Saved, float]] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Entries that were told without an attempt: a log can be written late."""


class Watch:
    """The generations that end while somebody watches, each once."""

    def __init__(self, profile: Profile, prompts: Path | None, log: Path | None, say: Say) -> None:
        self.profile = profile
        self.prompts = EntryFollower(prompts, say) if prompts is not None else None
        self.log = LogFollower(log, say) if log is not None else None
        self._waiting = _Waiting()
        self._began: float | None = None
        """When what was there already was read; it waits for nothing."""
        self._skipped = False

    def skip(self, now: float) -> None:
        """Leave out what has ended before now."""
        self._skipped = True
        if self.prompts is not None:
            self.prompts.skip(now)
        if self.log is not None:
            self.log.skip(now)

    def close(self) -> None:
        """Stop following."""
        if self.log is not None:
            self.log.tail.close()

    def poll(self, now: float) -> Iterator[Case]:
        """The cases of the generations that ended since the last time, oldest first."""
        waiting = self._waiting
        if self._began is None:
            self._began = -1.0 if self._skipped else now
        # before the log, to know how many of its newest attempts have an entry; after it, since an entry is saved
        # before its request is answered
        waiting.entries += self.prompts.poll(now) if self.prompts else []
        for ended, more in self.log.poll(now) if self.log else ():
            waiting.attempts += ((attempt, now) for attempt in ended)
            hold = 2 * len(waiting.entries) + 20 if self.prompts else 0
            while more and len(waiting.attempts) > hold:
                yield self._alone(waiting.attempts.pop(0)[0], now)
            if not self.prompts:
                yield from self._settled(now)
        waiting.entries += self.prompts.poll(now) if self.prompts else []
        yield from self._settled(now)

    def _settled(self, now: float) -> Iterator[Case]:
        """What can be told: nothing that is still to come would change it."""
        waiting = self._waiting
        if not waiting.attempts and not waiting.entries:
            return
        for told in (waiting.told_alone, waiting.told_entries):
            while told and now - told[0][1] > PATIENCE:
                told.popleft()
        ended = {id(attempt): at for attempt, at in waiting.attempts}
        late = {id(attempt) for attempt, _ in waiting.told_alone}
        before = {id(saved) for saved, _ in waiting.told_entries}
        rows = self._rows()
        joined = max(
            (n for n, (attempt, saved) in enumerate(rows) if attempt is not None and saved is not None), default=-1
        )
        holds = False
        for number, (attempt, saved) in enumerate(rows):
            pending = saved is not None and id(saved) not in before
            if attempt is not None and id(attempt) in ended:
                if holds:
                    continue
                if saved is not None:
                    self._drop(attempt, saved)
                    if pending:  # else the log tells late of what the entry told
                        yield self._case(attempt, saved)
                elif number < joined or self._needs_no_entry(attempt, ended[id(attempt)], now):
                    self._drop(attempt, None)
                    yield self._alone(attempt, now)
                else:
                    holds = True  # for a moment, so that they are told in their order
            elif saved is None or not pending:
                if attempt is not None and saved is not None and id(attempt) not in late and self.log is not None:
                    self._drop(None, saved)
                    self.log.take(attempt)
            elif attempt is not None and id(attempt) in late:
                self._drop(attempt, saved)
            elif self._stands_alone(attempt, saved, now):
                self._drop(None, saved)
                if attempt is not None and self.log is not None:
                    yield self._case(self.log.take(attempt), saved)
                    continue
                bare = self.log.answered_bare() if self.log is not None else None
                if bare is not None and self.log is not None:
                    self.log.take(bare)
                waiting.told_entries.append((saved, now))
                yield self._case(None, saved)

    def _rows(self) -> list[Row]:
        """Attempts beside their entries, oldest first, as the reader of whole files joins them."""
        waiting = self._waiting
        attempts = [attempt for attempt, _ in (*waiting.told_alone, *waiting.attempts)]
        attempts += self.log.open if self.log is not None else []
        saved = [*(saved for saved, _ in waiting.told_entries), *waiting.entries]
        if not attempts:
            return [(None, one) for one in saved]
        if not saved:
            return [(attempt, None) for attempt in attempts]
        owner = {id(e): attempt for attempt in attempts for e in attempt.evidence}
        newest_first = list(enumerate(saved))[::-1]
        bundle = Bundle(
            prompt_logs=[(str(number), one.log._replace(faults=())) for number, one in newest_first],
            logs=[backend_log.BackendLog(tuple(a for a in attempts if a.evidence), (), 0)],
        )
        rows: list[Row] = [(attempt, None) for attempt in attempts if not attempt.evidence]
        for case in normalise.cases(bundle, self.profile, every=True):
            entry = next((e for e in case.evidence if e.kind == "record.entry"), None)
            attempt = next((owner[id(e)] for e in case.evidence if id(e) in owner), None)
            rows.append((attempt, saved[int(entry.source.partition("#")[0])] if entry is not None else None))
        return rows

    def _needs_no_entry(self, attempt: backend_log.Attempt, since: float, now: float) -> bool:
        """Whether no entry is to be awaited for an attempt that has ended."""
        age = now - since
        if self.prompts is None or (since == self._began and not self.prompts.unsettled):
            return True
        chosen = attempt.saved or attempt.has("model", "fal.call", "payload")
        return (not chosen and not self.prompts.unsettled) or age >= SETTLE * (3 if self.prompts.unsettled else 1)

    def _stands_alone(self, attempt: backend_log.Attempt | None, saved: Saved, now: float) -> bool:
        """Whether nothing more is to be awaited from the log for an entry."""
        age = now - saved.at
        if self.log is None:
            return True
        if attempt is not None:  # the log tells of its end, or never will
            return self.log.quiet(now) and age >= SETTLE and (saved.after_the_fact or self.log.ends_unsaid(attempt))
        if not saved.after_the_fact and any(self.log.under_way(a) for a in self.log.open):
            return age >= PATIENCE
        if saved.at == self._began:
            return True
        return age >= SETTLE and (self.log.quiet(now) or age >= HANDOVER)

    def _drop(self, attempt: backend_log.Attempt | None, saved: Saved | None) -> None:
        waiting = self._waiting
        waiting.attempts = [(a, at) for a, at in waiting.attempts if a is not attempt]
        waiting.entries = [one for one in waiting.entries if one is not saved]
        for told in (waiting.told_alone, waiting.told_entries):  # each is recognised once
            for pair in [p for p in told if p[0] is attempt or p[0] is saved]:
                told.remove(pair)  # type: ignore[arg-type]

    def _alone(self, attempt: backend_log.Attempt, now: float) -> Case:
        self._waiting.told_alone.append((attempt, now))
        return self._case(attempt, None)

    def _case(self, attempt: backend_log.Attempt | None, saved: Saved | None) -> Case:
        bundle = Bundle()
        if attempt is not None and self.log is not None:
            bundle.logs.append(backend_log.BackendLog((attempt,), tuple(self.log.common), len(attempt.evidence)))
            bundle.given.add("backend_log")
        if saved is not None and self.prompts is not None:
            bundle.prompt_logs.append((self.prompts.name, saved.log))
            bundle.given.add("prompt_log")
        return normalise.cases(bundle, self.profile)[0]


def followable(path: Path) -> Path:
    """A path that can be followed: a file, or one that does not exist yet. Raises NothingReadable."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except FileNotFoundError:
        return path
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else None
        raise NothingReadable(Phrase("'{path}': {said}", path=str(path)[:200], said=said or error)) from None
    if stat.S_ISDIR(mode):
        raise NothingReadable(Phrase("'{path}': is a folder where a file was expected", path=path))
    if not stat.S_ISREG(mode):
        raise NothingReadable(
            Phrase("'{path}': is not a file that grows; pipe it into a file, and watch that", path=path)
        )
    return path
