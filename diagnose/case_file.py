"""A case as a file: all that was seen of one generation, masked, so that its answer can be repeated anywhere, offline.

The form is `schemas/case.schema.json`. Masking twice changes nothing more, so the answer from the file is the answer
from the originals, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from diagnose import mask
from diagnose import profile as profiles
from diagnose.errors import NothingReadable
from diagnose.model import Case, Evidence, Phrase, Profile, Subject, Witness

NOTE = "note"
"""The kind of evidence that says how the evidence was read."""
_KEYS = {"schema_version", "profile", "subject", "evidence"}
MAX_DEPTH = 40


def is_case(value: object) -> bool:
    """Whether a JSON document is a saved case."""
    return isinstance(value, Mapping) and value.keys() >= _KEYS and isinstance(value["evidence"], list)


def noted(case: Case, notes: list[str]) -> Case:
    """The case with the notes that its readers made."""
    told = tuple(Evidence(NOTE, "(how it was read)", Witness.CLAIMED, _told(note)) for note in notes)
    return Case(case.profile, (*case.evidence, *told), case.subject)


def _told(note: str) -> dict[str, Any]:
    return {"text": note, **({"template": note.template, "values": note.values} if isinstance(note, Phrase) else {})}


def notes(case: Case) -> list[str]:
    """The notes that stand in a case."""
    return [_note(e.fields) for e in case.evidence if e.kind == NOTE]


def _note(fields: Mapping[str, Any]) -> str:
    """A note; of one that was saved the template is kept beside its text, so that it can still be translated."""
    text, template, values = fields.get("text"), fields.get("template"), fields.get("values")
    if isinstance(text, Phrase) or not (isinstance(text, str) and isinstance(template, str)):
        return text if isinstance(text, str) else str(text)
    return Phrase.known(text, template, {k: str(v) for k, v in values.items()} if isinstance(values, Mapping) else {})


def dumps(case: Case) -> str:
    """The case as JSON, with every secret masked."""
    subject = case.subject
    shown = {
        "schema_version": 1,
        "profile": _table(case.profile),
        "subject": {"entry": subject.entry, "timestamp": subject.timestamp, "source": subject.source},
        "evidence": [
            {"kind": e.kind, "source": e.source, "witness": str(e.witness), "fields": _plain(dict(e.fields))}
            for e in case.evidence
        ],
    }
    return json.dumps(mask.value(shown), ensure_ascii=True, indent=1, allow_nan=False)


def masked(case: Case) -> Case:
    """The case as its file would hold it, so that both give the same answer."""
    return loads(json.loads(dumps(case)), "(this case)")


def loads(value: Any, name: str) -> Case:
    """The case in a JSON document. Raises NothingReadable, ProfileError."""
    if not is_case(value) or value["schema_version"] != 1:
        raise NothingReadable(
            Phrase(
                "'{name}': is not a saved case of this version; `diagnose validate --schema case` says why", name=name
            )
        )
    given = value["profile"] if isinstance(value["profile"], Mapping) else {}
    profile = profiles.build(given, f"{name}#/profile")
    subject = value["subject"] if isinstance(value["subject"], Mapping) else {}
    evidence = tuple(e for e in map(_evidence, value["evidence"]) if e is not None)
    if len(evidence) != len(value["evidence"]):
        raise NothingReadable(
            Phrase(
                "'{name}': some of its evidence is malformed; `diagnose validate --schema case` says where", name=name
            )
        )
    entry, timestamp, source = subject.get("entry"), subject.get("timestamp"), subject.get("source")
    return Case(
        profile,
        evidence,
        Subject(
            entry if isinstance(entry, int) and not isinstance(entry, bool) else None,
            timestamp if isinstance(timestamp, str) else None,
            source if isinstance(source, str) else None,
        ),
    )


def _evidence(value: object) -> Evidence | None:
    if not isinstance(value, Mapping):
        return None
    kind, source, fields = value.get("kind"), value.get("source"), value.get("fields")
    if not (isinstance(kind, str) and isinstance(source, str) and isinstance(fields, Mapping)):
        return None
    try:
        return Evidence(kind, source, Witness(str(value.get("witness"))), dict(fields))
    except ValueError:
        return None


def _table(profile: Profile) -> dict[str, Any]:
    """The profile as it was declared: what is left out keeps its default, and stays undeclared."""
    values: dict[str, dict[str, Any]] = {
        "models": {"image_to_image": profile.image_to_image, "text_to_image": profile.text_to_image},
        "payload": {"image_key": profile.image_key, **profile.payload},
        "storage": {"bucket": profile.bucket},
        "request": {"image_fields": list(profile.image_fields), "multipart_field": profile.multipart_field},
        "backend": {"url": profile.backend_url},
        "record": {"prompt_log": profile.prompt_log, "keep": profile.keep},
    }
    whole = {"name": profile.name, "fallback": profile.fallback}
    table: dict[str, Any] = {key: value for key, value in whole.items() if key in profile.declared}
    for section, inner in values.items():
        kept = {key: value for key, value in inner.items() if f"{section}.{key}" in profile.declared}
        if kept:
            table[section] = kept
    return table


def _plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON can hold it; what it cannot is said in words."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v, depth + 1) for k, v in value.items()} if depth < MAX_DEPTH else "(nested too deeply)"
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v, depth + 1) for v in value] if depth < MAX_DEPTH else "(nested too deeply)"
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**300:
        return "(a number too large to show)"
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
