"""Judges a shape by the ordinary checks, once."""

from __future__ import annotations

import json
from collections.abc import Sequence

from diagnose import explain, normalise
from diagnose.errors import Exit
from diagnose.history.shape import Shape
from diagnose.model import CHAIN, Case, Diagnosis, Evidence, Profile, Status
from diagnose.model.history import Verdict


def of_shape(shape: Shape, profile: Profile) -> Verdict:
    """The verdict of every entry that has this shape."""
    return of_case(normalise.case_of_entry(json.loads(shape.entry), shape.valid, profile))


def of_attempt(evidence: Sequence[Evidence], common: Sequence[Evidence], profile: Profile) -> Verdict:
    """The verdict of every attempt whose log says the same."""
    return of_case(normalise.case_of_attempt(evidence, common, profile))


def of_case(case: Case) -> Verdict:
    """What a case comes to, without its texts."""
    return of_diagnosis(explain.diagnose(case))


def of_diagnosis(d: Diagnosis) -> Verdict:
    """What a diagnosis comes to, without its texts."""
    code = _code(d)
    failing = [f for link in CHAIN for f in d.findings if f.link is link and f.status is Status.FAIL]
    root = d.root.check if d.root is not None else None
    symptom = failing[0].check if root is None and code is Exit.NOT_SOUND and failing else None
    statuses = tuple((f.check, str(f.status)) for f in d.findings)
    return Verdict(d.outcome, d.generation, int(code), root, symptom, statuses)


def _code(d: Diagnosis) -> Exit:
    if d.generation == "failed":
        return Exit.NOT_SOUND
    if d.outcome == "undetermined":
        return Exit.UNDETERMINED
    return Exit.OK if explain.sound(d) else Exit.NOT_SOUND
