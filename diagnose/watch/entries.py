"""Follows a prompt log that is rewritten at every save: finds the entries that are new in it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diagnose.collect import prompt_log
from diagnose.watch.tail import SETTLE, Say, State

REMEMBERED = 20_000
"""Entries of a prompt log that are recognised when they are seen again."""
NEWEST = 1000
"""Entries that are shown of a long prompt log with `--from-start`."""


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """An entry that is new, and when it was seen."""

    entry: prompt_log.Entry
    log: prompt_log.PromptLog
    """The file it was read from, without its other entries."""
    at: float

    @property
    def after_the_fact(self) -> bool:
        """Whether it was written when the generation had ended, and not before the call."""
        return prompt_log.era(self.entry.value) == "own"


class EntryFollower:
    """The new entries of a prompt log, whatever is done to the file: appended to, rewritten, moved into place, cut.

    A list that slides is laid over the one before: what follows the longest part they share is new. Where they share
    nothing, what was never seen is new. A file that is found half written is looked at again.
    """

    def __init__(self, path: Path, say: Say) -> None:
        self.path, self.name = path, path.name
        self.state = State(path, say)
        self.unsettled = False
        """Whether the file was found half written."""
        self._known: tuple[int, ...] = ()
        self._gone = 0
        """The number of the file that stood here before."""
        self._since = 0.0
        self._list: list[bytes] = []
        """The newest entries as they stood in the file."""
        self._whole = True
        self._seen: dict[bytes, None] = {}
        self._skipping = False

    def skip(self, now: float) -> None:
        """Begin at the end: the entries that are there are not told."""
        self._skipping = True
        self.poll(now)
        # the first look at a whole file is the beginning; an empty one is the beginning too
        self._skipping = self.unsettled and self._known[2:3] != (0,)

    def poll(self, now: float) -> list[Saved]:
        """The entries that are new, oldest first."""
        try:
            there = self.path.stat()
            known = (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns)
            if known == self._known and not self.unsettled:
                return []
            if known != self._known:
                self._gone = self._known[1] if self._known and self._known[1] != known[1] else self._gone
                self._known, self._since = known, now
            self.state.fine()
            return self._look(now)
        except OSError as error:
            self._known = ()
            self.state.trouble(error)
            return []

    def _look(self, now: float) -> list[Saved]:
        count = NEWEST if not self._list else 50
        while True:
            log = prompt_log.read_newest(self.path, count)
            if log.whole or len(log.entries) < count or count >= REMEMBERED or self._shared(log) or not self._list:
                break
            count *= 8
        # a list can be empty, and the last of JSON Lines can be under way, and all is well
        kinds = ("truncated", "corrupt") if log.form != "none" else ("empty", "truncated", "corrupt")
        fault = next((f for f in log.faults if f.kind in kinds and log.form != "json_lines"), None)
        self.unsettled = fault is not None and now - self._since < SETTLE
        if self.unsettled:
            return []
        if fault is not None and fault.kind != "empty":
            self.state.once(fault.message)
        if not log.whole and not self._list and not self._skipping:
            self.state.once(f"only its newest {len(log.entries):,} entries are shown")
        new = self._from_renamed(log, now) + self._new(log, now)
        skipped, self._skipping = self._skipping, False
        return [] if skipped else new

    def _from_renamed(self, log: prompt_log.PromptLog, now: float) -> list[Saved]:
        """The last entries of a file that was renamed; one that was rewritten goes on in the file that took its place."""
        gone, self._gone = self._gone, 0
        if not gone or self._shared(log):
            return []
        with os.scandir(self.path.parent) as beside:
            renamed = next((e.path for e in beside if e.inode() == gone and e.name != self.name), None)
        old = prompt_log.read_newest(renamed, NEWEST) if renamed is not None else prompt_log.PromptLog()
        return self._new(old, now) if self._shared(old) else []

    def _new(self, log: prompt_log.PromptLog, now: float) -> list[Saved]:
        entries = [e for e in log.entries if prompt_log.looks_like_entry(e.value)]
        marks = [_mark(e.value) for e in entries]
        shared = self._overlap(marks, log.whole)
        if shared:
            fresh = list(zip(entries, marks, strict=True))[shared:]
            self._list, self._whole = marks[-REMEMBERED:], log.whole and len(marks) <= REMEMBERED
        else:
            fresh = [(e, mark) for e, mark in zip(entries, marks, strict=True) if mark not in self._seen]
            self._list = (self._list + [mark for _, mark in fresh])[-REMEMBERED:]
            self._whole = self._whole and log.whole
        self._seen |= dict.fromkeys(marks)
        while len(self._seen) > 2 * REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return [Saved(e, log._replace(entries=(e,)), now) for e, _ in fresh]

    def _shared(self, log: prompt_log.PromptLog) -> int:
        return self._overlap([_mark(e.value) for e in log.entries if prompt_log.looks_like_entry(e.value)], log.whole)

    def _overlap(self, marks: Sequence[bytes], whole: bool) -> int:
        """How many entries of a list stood at the end of the one before."""
        known = self._list
        whole = whole and self._whole
        for end in range(min(len(marks), len(known)) if whole else len(marks), 0, -1):
            length = min(end, len(known))
            if known and marks[end - 1] == known[-1] and list(marks[end - length : end]) == known[-length:]:
                return end
        return 0


def _mark(value: object) -> bytes:
    """What an entry is known again by."""
    try:
        told = json.dumps(value, sort_keys=True, default=str)
    except (ValueError, TypeError, RecursionError):
        told = str([(key, str(inner)[:200]) for key, inner in value.items()]) if isinstance(value, dict) else ""
    return hashlib.blake2b(told.encode(), digest_size=16).digest()
