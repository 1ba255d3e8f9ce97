"""Breaks the demo's pipeline, diagnoses what it leaves, and counts right answers and false blame."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from diagnose import collect, explain, normalise, profile, registry
from diagnose.generator import faults
from diagnose.generator.demo import Stage
from diagnose.model import Diagnosis, Link, Status

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
    return judged(read(folder, present), profile_name)


def read(folder: Path, present: Sequence[str]) -> collect.Bundle:
    """The evidence in some files of a folder."""
    return collect.gather([folder / name for name in present])


def judged(bundle: collect.Bundle, profile_name: str) -> Diagnosis:
    """The answer to evidence, by a built-in profile."""
    meant = profile.build(profile.BUILT_IN[profile_name], profile_name)
    return explain.diagnose(normalise.cases(bundle, meant)[0], notes=bundle.notes)


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


# --- what it comes to


@dataclass(frozen=True, slots=True)
class Score:
    """What the answers to some faults come to. Shares are from 0 to 1."""

    faults: int
    top1: float
    """The share of faults whose answer from all evidence is right: root, outcome and generation."""
    removals: int
    """Answers with some sources taken away."""
    false_blame: int
    """Of these, those that name an innocent."""
    suspected: float
    """Of these, those in which the fault is named or suspected."""
    named_with_log: float
    """Of those that kept the backend's log, the share in which the fault is named."""


def total(rows: Sequence[Row]) -> Score:
    """The sums."""
    removals = [r for row in rows for r in row.removals]
    kept = [r for r in removals if "backend.log" in r.present]
    return Score(
        len(rows),
        sum(row.right for row in rows) / max(1, len(rows)),
        len(removals),
        sum(r.blamed for r in removals),
        sum(r.suspected for r in removals) / max(1, len(removals)),
        sum(r.named for r in kept) / max(1, len(kept)),
    )


def line(row: Row) -> str:
    """One fault in a line."""
    one, root = total([row]), row.found.root
    named_with_log = [r.named for r in row.removals if "backend.log" in r.present]
    told = root.check if root is not None else (row.fault.check if row.right else "-")
    return (
        f"{'right' if row.right else 'WRONG':<6} {row.fault.name:<36} {told:<28} blamed {one.false_blame}/{one.removals}"
        f"  named with log {sum(named_with_log)}/{len(named_with_log)}"
    )


def summary(rows: Sequence[Row]) -> str:
    """The sums in words."""
    s = total(rows)
    return (
        f"\nTop-1 {s.top1:.2f} over {s.faults} faults with full evidence\n"
        f"False blame {s.false_blame} in {s.removals} answers with sources taken away\n"
        f"The fault is named or suspected in {s.suspected:.3f}, and named where the backend's log is kept in {s.named_with_log:.3f}"
    )


def markdown(rows: Sequence[Row]) -> str:
    """The sums for each link, as a table for a document."""
    lines = [
        "| link | faults | right, all evidence | with sources taken away | innocent named | named or suspected | named, log kept |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    links = {row.fault.name: _link(row.fault) for row in rows}
    for link in Link:
        own = [row for row in rows if links[row.fault.name] is link]
        if own:
            lines.append(_cells(str(link), total(own)))
    return "\n".join([*lines, _cells("**all**", total(rows))])


def _link(fault: faults.Fault) -> Link:
    return registry.by_id()[fault.check].link


def _cells(name: str, s: Score) -> str:
    right = round(s.top1 * s.faults)
    return f"| {name} | {s.faults} | {right} | {s.removals} | {s.false_blame} | {s.suspected:.1%} | {s.named_with_log:.1%} |"


def dumps(rows: Sequence[Row]) -> str:
    """The sums and every answer, as JSON."""
    table = [
        {
            "broken": row.fault.name,
            "named": row.found.root.check if row.found.root else None,
            "right": row.right,
            "removals": [
                {"present": list(r.present), "root": r.root, "suspected": r.suspected, "false_blame": r.blamed}
                for r in row.removals
            ],
        }
        for row in rows
    ]
    return json.dumps({**asdict(total(rows)), "rows": table}, indent=2)
