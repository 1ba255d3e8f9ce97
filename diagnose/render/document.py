"""A diagnosis as the JSON document of `schemas/diagnosis.schema.json`."""

from __future__ import annotations

import json
from typing import Any

from diagnose import mask
from diagnose.model import Diagnosis, Evidence, Finding, Remedy
from diagnose.render.words import Words

ENGLISH = Words("en")


def dumps(diagnoses: list[Diagnosis], every: bool) -> str:
    """One document, or with `every` all of them under `diagnoses`."""
    documents = [document(d) for d in diagnoses]
    shown: Any = {"diagnoses": documents} if every else documents[0]
    return json.dumps(shown, ensure_ascii=True, indent=2, allow_nan=False)


def document(d: Diagnosis) -> dict[str, Any]:
    """The document of one diagnosis, masked and bounded."""
    shown: dict[str, Any] = {
        "schema_version": 1,
        "profile": d.profile,
        "subject": {"entry": d.subject.entry, "timestamp": d.subject.timestamp, "source": d.subject.source},
        "outcome": d.outcome,
        "generation": d.generation,
        "intended": d.intended,
        "decision": {
            "mode": d.decision.mode,
            "model": d.decision.model,
            "expected_model": d.decision.expected_model,
            "reason": d.decision.reason,
            "prerequisite": d.decision.prerequisite,
        },
        "root": _root(d.root),
        "suspects": list(d.suspects),
        "deeper": list(d.deeper),
        "interval": [str(link) for link in d.interval] if d.interval else None,
        "chain": [{"link": str(s.link), "status": str(s.status), "findings": list(s.findings)} for s in d.chain],
        "because": list(d.because),
        "counterfactual": _counterfactual(d),
        "conflicts": [
            {
                "fact": c.fact,
                "witnesses": [
                    {"value": _plain(v), "source": e.source, "witness": str(e.witness)} for v, e in c.witnesses
                ],
            }
            for c in d.conflicts
        ],
        "coverage": {
            "observed": sum(1 for s in d.chain if s.status != "unknown"),
            "of": len(d.chain),
            "missing": [{"link": str(m.link), "evidence": m.evidence, "how": m.how} for m in d.missing],
        },
        "checklist": [
            {
                "id": q.id,
                "status": str(q.status),
                "checks": list(q.checks),
                "evidence": [_evidence(e) for e in q.evidence],
            }
            for q in d.checklist
        ],
        "findings": [finding(f) for f in d.findings],
    }
    if d.notes:
        shown["notes"] = list(d.notes)
    masked: dict[str, Any] = mask.value(shown)
    return masked


def _root(f: Finding | None) -> dict[str, Any] | None:
    if f is None:
        return None
    whole = finding(f)
    return {key: whole[key] for key in ("check", "link", "message", "evidence", "remedy")}


def finding(f: Finding) -> dict[str, Any]:
    """One finding."""
    return {
        "check": f.check,
        "link": str(f.link),
        "status": str(f.status),
        "message": ENGLISH.message(f.message),
        "evidence": [_evidence(e) for e in f.evidence],
        "remedy": _remedy(f.remedy),
    }


def _remedy(r: Remedy | None) -> dict[str, Any] | None:
    if r is None:
        return None
    r = ENGLISH.remedy(r)
    return {"title": r.title, "steps": list(r.steps), "command": r.command, "safe": r.safe}


def _evidence(e: Evidence) -> dict[str, Any]:
    fields = {key: _plain(value) for key, value in e.fields.items() if key not in ("schema", "value")}
    return {"kind": e.kind, "source": e.source, "witness": str(e.witness), "fields": fields}


def _counterfactual(d: Diagnosis) -> dict[str, Any] | None:
    c = d.counterfactual
    if c is None:
        return None
    then = {"mode": c.mode, "model": c.model}
    return {
        "changes": list(c.changes),
        "then": then,
        "verified_by": c.verified_by,
        "next_blockers": list(c.next_blockers),
    }


def _plain(value: Any, depth: int = 0) -> Any:
    """A JSON value of bounded size and depth."""
    if isinstance(value, str):
        value = value.encode("utf-8", "replace").decode()
        return value if len(value) <= mask.LONGEST else mask.cut(value, mask.LONGEST)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return (
            value
            if abs(value) < 1 << 63
            else f"{value:.3e}"
            if abs(value) < 10**300
            else "(a number too large to show)"
        )
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if depth > 8:
        return "(nested too deeply)"
    if isinstance(value, dict):
        return {mask.cut(str(k), 200): _plain(v, depth + 1) for k, v in list(value.items())[:100]}
    if isinstance(value, (list, tuple)):
        return [_plain(v, depth + 1) for v in list(value)[:100]]
    return mask.cut(str(value), mask.LONGEST)
