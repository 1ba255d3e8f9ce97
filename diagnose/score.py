"""Breaks the demo's pipeline, diagnoses what it leaves, and counts right answers and false blame."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diagnose import collect, explain, normalise, profile
from diagnose.generator import faults
from diagnose.generator.demo import Stage
from diagnose.model import Diagnosis, Status

CAUSED = {"image_field_unknown": ("no_image_sent",), "image_not_received": ("no_image_sent",)}
"""Without the request, a backend that received no image is all that can be seen, and is said as that."""
SOURCES = ("backend.log", "prompt_log.json", "request.json", "response.json", "source", ".env")


@dataclass(frozen=True, slots=True)
class Removal:
    """One answer with some sources taken away."""

    present: tuple[str, ...]
    root: str | None
    suspected: bool
    """The true fault is named, or among the suspects, or nothing was found unsound."""
    blamed: bool
    """An innocent check is named."""
    named: bool
    """The fault is named, or what it caused where its own proof was taken away."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the answers to one fault came to."""

    fault: faults.Fault
    found: Diagnosis
    right: bool
    removals: tuple[Removal, ...]


def answer(folder: Path, present: Sequence[str], profile_name: str) -> Diagnosis:
    """The ordinary answer to the evidence in a folder, of which only some files are read."""
    judged = profile.build(profile.BUILT_IN[profile_name], profile_name)
    bundle = collect.gather([folder / name for name in present])
    return explain.diagnose(normalise.cases(bundle, judged)[0], notes=bundle.notes)


def written(folder: Path) -> tuple[str, ...]:
    """The sources that a fault left."""
    return tuple(name for name in SOURCES if (folder / name).exists())


def row(fault: faults.Fault, stage: Stage, folder: Path) -> Row:
    """Write one fault's evidence, and diagnose it whole and with every combination of sources taken away."""
    stage.write_case(fault, folder)
    sources = written(folder)
    found = answer(folder, sources, fault.profile)
    removals = tuple(
        _removal(fault, answer(folder, present, fault.profile), present)
        for count in range(1, len(sources))
        for present in itertools.combinations(sources, count)
    )
    right = named(fault, found) and (found.outcome, found.generation) == (
        fault.expected.outcome,
        fault.expected.generation,
    )
    return Row(fault, found, right, removals)


def named(fault: faults.Fault, found: Diagnosis) -> bool:
    """Whether the answer names the fault: as its root, or, where nothing in the chain is broken, as a warning."""
    if found.root is not None:
        return found.root.check == fault.check
    own = found.finding(fault.check)
    return explain.sound(found) and own is not None and own.status is Status.WARN


def _removal(fault: faults.Fault, found: Diagnosis, present: tuple[str, ...]) -> Removal:
    root = found.root.check if found.root is not None else None
    hit = named(fault, found)
    # a deeper cause may stay unseen: the refusal that it led to is then the right answer
    innocent = found.root is not None and found.root.status is not Status.NOTE
    blamed = innocent and not hit and fault.check not in found.deeper
    suspected = (
        hit or fault.check in found.suspects or fault.check in found.deeper or (root is None and explain.sound(found))
    )
    caused = root is not None and (fault.check in found.deeper or root in CAUSED.get(fault.check, ()))
    return Removal(present, root, suspected or caused, blamed and not caused, hit or caused)
