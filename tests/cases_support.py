"""Reads the cases of a check from `tests/cases/<id>.toml`, and runs one check on one of them.

A case in TOML:

    [[case]]
    name = "a sentence about the fault"
    status = "fail"
    profile = "seed"                            # a built-in profile
    override = { fallback = "refuse" }          # optional: tables of a profile that replace the built-in's
    message_contains = "'public'"               # optional

    [[case.evidence]]
    kind = "storage.error"
    source = "backend.log:214"
    witness = "logged"
    fields = { status = 404, code = "NoSuchBucket" }

TOML has no null, and nobody wants a megabyte in a test: "@null", "@huge" (100 000 letters), "@deep" (a list in a list,
two hundred times) and "@endless" (a number of 400 digits) stand for these values wherever a value can stand.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from diagnose import profile as profiles
from diagnose import registry
from diagnose.model import Case, Evidence, Finding, Profile, Witness

FOLDER = Path(__file__).parent / "cases"
IMAGE_MODEL = "fal-ai/flux-general/image-to-image"
TEXT_MODEL = "fal-ai/flux/schnell"


@dataclass(frozen=True)
class Example:
    """One case of a check, with what must come of it."""

    check: str
    name: str
    status: str
    says: str
    case: Case

    def __str__(self) -> str:
        return self.name

    def finding(self) -> Finding:
        """What the check says of this case."""
        return look(self.check, self.case)

    def verify(self) -> None:
        """Raise AssertionError, in words, when the check says otherwise."""
        found = self.finding()
        if found.status != self.status:
            raise AssertionError(
                f"{self.name}: {self.status} was wanted, and {self.check} says {found.status}: {found.message}"
            )
        if self.says not in str(found.message):
            raise AssertionError(f"{self.name}: {self.says!r} was wanted in the message: {found.message}")


def look(check: str, case: Case) -> Finding:
    """The finding of one check on a case, as the registry runs it."""
    return registry.run(case, [registry.by_id()[check]])[0]


@cache
def examples(check: str) -> tuple[Example, ...]:
    """Every case of a check, in the file's order."""
    file = FOLDER / f"{check}.toml"
    return tuple(_example(check, table) for table in tomllib.loads(file.read_text(encoding="utf-8"))["case"])


def fault(check: str) -> Example:
    """The first case in which a check sees its fault."""
    return next(
        e for e in examples(check) if e.status in ("fail", "warn") or (check == "no_image_sent" and e.status == "note")
    )


def case_of(*evidence: Evidence, profile: str = "seed", **override: Any) -> Case:
    """A case of this evidence."""
    return Case(judged_by(profile, override), evidence)


def seen(kind: str, /, witness: str = "logged", source: str = "backend.log:1", **fields: Any) -> Evidence:
    """One thing that was seen."""
    return Evidence(kind, source, Witness(witness), fields)


def without(case: Case, *kinds: str) -> Case:
    """The case without the evidence of these kinds."""
    return Case(case.profile, tuple(e for e in case.evidence if e.kind not in kinds), case.subject)


def instead(case: Case, kind: str, /, **fields: Any) -> Case:
    """The case in which the evidence of this kind has these fields instead of its own."""
    changed = [
        e if e.kind != kind else Evidence(kind, e.source, e.witness, {**e.fields, **fields}) for e in case.evidence
    ]
    return Case(case.profile, tuple(changed), case.subject)


def also(case: Case, *evidence: Evidence) -> Case:
    """The case with more evidence."""
    return Case(case.profile, (*case.evidence, *evidence), case.subject)


def judged_by(name: str, override: Mapping[str, Any]) -> Profile:
    """A built-in profile, some of its tables replaced."""
    return profiles.build({**profiles.BUILT_IN[name], **override}, name)


def _example(check: str, table: Mapping[str, Any]) -> Example:
    evidence = tuple(
        Evidence(e["kind"], e["source"], Witness(e["witness"]), _value(e.get("fields", {})))
        for e in table.get("evidence", ())
    )
    judged = judged_by(table.get("profile", "seed"), table.get("override", {}))
    return Example(check, table["name"], table["status"], table.get("message_contains", ""), Case(judged, evidence))


def _value(value: Any) -> Any:
    match value:
        case "@null":
            return None
        case "@huge":
            return "x" * 100_000
        case "@deep":
            return _deep(200)
        case "@endless":
            return 10**400
        case dict():
            return {key: _value(inner) for key, inner in value.items()}
        case list():
            return [_value(inner) for inner in value]
        case _:
            return value


def _deep(depth: int) -> list[Any]:
    return [] if depth == 0 else [_deep(depth - 1)]
