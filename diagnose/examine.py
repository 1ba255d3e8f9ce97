"""From what was given to the cases it is about: reads the files, looks where that is allowed, and joins both."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from diagnose import case_file, mask, normalise
from diagnose.errors import NothingReadable
from diagnose.model import Case, Phrase, Profile

if TYPE_CHECKING:
    from diagnose.collect import Bundle
    from diagnose.live.targets import Wish

NOTHING = "nothing was found that tells of a generation; give a prompt log, a backend log or an answer"


@dataclass(frozen=True, slots=True)
class Examined:
    """The cases, each with the notes of how it was read."""

    cases: tuple[Case, ...]
    readable: bool = True
    interrupted: bool = False
    asked: tuple[str, ...] = ()
    """One line for each question that was put to the living system."""


@dataclass(frozen=True, slots=True)
class Looking:
    """How the living system is looked at."""

    wish: Wish
    until: float
    told: Callable[[int, Sequence[str]], None]


def examine(
    bundle: Bundle,
    profile: Profile,
    selector: normalise.Selector,
    every: bool = False,
    looking: Looking | None = None,
) -> Examined:
    """The cases of what was collected. Raises NothingReadable where the selector fits no attempt."""
    interrupted, asked = _look(bundle, profile, selector, looking) if looking is not None else (False, ())
    readable, notes = is_readable(bundle), list(bundle.notes)
    if not readable:
        notes += [
            Phrase("{name}: {message}", name=name, message=fault.message)
            for name, log in bundle.prompt_logs
            for fault in log.faults
        ]
        notes.append(NOTHING)
    cases = normalise.cases(bundle, profile, selector, every)
    return Examined(tuple(case_file.noted(case, notes) for case in cases), readable, interrupted, asked)


def is_readable(bundle: Bundle) -> bool:
    """Whether anything in it tells of a generation, or of the living system."""
    only_record = bundle.given <= {"prompt_log"}
    return not bundle.empty and not (only_record and not any(log.entries for _, log in bundle.prompt_logs))


def nothing(profile: Profile, notes: Sequence[str]) -> Examined:
    """What is left to say where nothing could be read."""
    from diagnose.collect import Bundle

    return Examined((case_file.noted(normalise.cases(Bundle(), profile)[0], list(notes)),), readable=False)


def saved(bundle: Bundle, profile: Profile | None) -> Examined:
    """A saved case, as it was; judged by another profile only where one is named. Raises NothingReadable."""
    name, value = bundle.cases[0]
    if len(bundle.cases) > 1 or bundle.given != {"case"}:
        raise NothingReadable(Phrase("'{name}': a saved case holds all its evidence; give it alone", name=name))
    case = case_file.loads(value, name)
    return Examined((replace(case, profile=profile) if profile is not None else case,))


def _look(
    bundle: Bundle, profile: Profile, selector: normalise.Selector, looking: Looking
) -> tuple[bool, tuple[str, ...]]:
    """Adds what the living system shows to what was collected."""
    from diagnose import live
    from diagnose.live import backend, environment, targets

    wish = looking.wish
    case = normalise.cases(bundle, profile, selector)[0]
    known = environment.Environment()
    if wish.live:
        known = environment.of_this_process(Path.cwd(), bundle.settings_files)
    found = targets.targets(wish, case, known, os.environ)
    mask.remember(*(setting.value for setting in known.settings if "URL" not in setting.name.upper()))
    if wish.live and found.storage is None:
        bundle.notes.append(
            Phrase(
                "--live: no SUPABASE_URL stands in the environment, {names} or beside",
                names=", ".join(environment.FILES[:2]),
            )
        )
    elif wish.live and found.storage_key is None:
        bundle.notes.append("--live: no Supabase key stands where SUPABASE_URL does, so Storage was asked without one")
    looked = live.at(found, looking.until, looking.told)
    bundle.common += [*known.evidence, *looked.evidence]
    bundle.given.add("live")
    entry = backend.last_entry(looked.evidence)
    if entry is not None and not bundle.prompt_logs:
        from diagnose.collect import prompt_log

        newest = prompt_log.Entry(0, prompt_log.normalise_entry(entry), None, None)
        log = prompt_log.PromptLog((newest,), "array", (), (), True)
        bundle.prompt_logs.append(("GET /api/debug/last-prompt", log))
        bundle.given.add("prompt_log")
    return looked.interrupted, looked.told
