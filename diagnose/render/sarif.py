"""Answers as SARIF 2.1.0, for CI that shows code scanning.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html. A failing or warning check is a result; a
note is informational, since it explains what is by design; a suspect of an answer that could not be given is open; a
check that crashed is a notification of the tool's own. The chain is the code flow of the root.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from diagnose import __version__, mask
from diagnose.model import Diagnosis, Evidence, Finding, LinkState, Status
from diagnose.model.comparison import Comparison, HistoryComparison
from diagnose.model.history import History, Tally
from diagnose.render import report
from diagnose.render.markdown import plain
from diagnose.render.text import visible
from diagnose.render.words import LINKS, STATUSES, Words

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {Status.FAIL: "error", Status.WARN: "warning"}
LONGEST = 4000
"""Characters of a text."""
MOST = 1000
"""Results of a run."""
_LINE = re.compile(r"(?P<name>.+?)(?:@(?P<byte>\d{1,18}))?:(?P<line>\d{1,9})", re.S)
_BYTE = re.compile(r"(?P<name>.+)@(?P<byte>\d{1,18})", re.S)
_POINTER = re.compile(r"(?P<name>.+?)#(?P<pointer>/.*)", re.S)
_NO_FILE = re.compile(r"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) .*|\(.*\)|[a-z][a-z0-9+.-]+://.*", re.S)
_NONE: Mapping[str, str] = MappingProxyType({})


def diagnoses(
    found: Sequence[Diagnosis], words: Words, exit_code: int | None = None, faults: Mapping[str, str] = _NONE
) -> str:
    """The answers as one run. `faults` says in a sentence what each check finds."""
    results = [result for d in found for result in _results(d, words)]
    crashed = [(f.check, words.message(f.message)) for d in found for f in d.findings if f.status is Status.CRASH]
    return _log(results, words, exit_code, faults, crashed)


def history(found: History, words: Words, exit_code: int | None = None, faults: Mapping[str, str] = _NONE) -> str:
    """A result for each cause of generations that are not sound, at its first example."""
    design = {check for check, statuses in found.checks.items() if statuses.keys() == {str(Status.NOTE)}}
    results = [
        _tallied(check, tally, found, kind)
        for kind, tallies in (("root", found.roots), ("symptom", found.symptoms))
        for check, tally in tallies.items()
        if check not in design
    ]
    named = sum(t.count for c, t in (*found.roots.items(), *found.symptoms.items()) if c not in design)
    if found.bad.count > named:
        results.append(
            _tallied("unexplained", Tally(found.bad.count - named, example=found.bad.example), found, "unknown")
        )
    return _log(results, words, exit_code, faults)


def comparison(
    found: Comparison | HistoryComparison, words: Words, exit_code: int | None = None, faults: Mapping[str, str] = _NONE
) -> str:
    """A result for each difference that changes an answer, or each shift that is more than chance."""
    from diagnose.render import compare_report

    said = compare_report.of(found, words, verbose=False)
    names: list[tuple[str, str, tuple[str, ...]]]
    if isinstance(found, HistoryComparison):
        names = [
            (s.name, f"{s.kind} {s.name}: {s.points:+.1f}", ()) for s in found.shifts if s.beyond_chance is not False
        ]
    else:
        names = [
            (d.field, d.field, tuple(told.source for told in (d.a, d.b) if told is not None))
            for d in found.differences
            if d.matters
        ]
    if not names and exit_code == 1:
        names = [("outcome", said.headline, ())]
    results = [
        {
            "ruleId": "difference",
            "level": "warning",
            "message": {"text": _text(f"{said.headline}: {text}" if text != said.headline else text)},
            **_places(sources),
            "partialFingerprints": {"diagnose/v1": _fingerprint("difference", name)},
        }
        for name, text, sources in names
    ]
    return _log(results, words, exit_code, faults)


# --- one answer


def _results(d: Diagnosis, words: Words) -> Iterator[dict[str, Any]]:
    subject = {"entry": d.subject.entry, "timestamp": d.subject.timestamp, "source": d.subject.source}
    answer = {"subject": subject, "outcome": d.outcome, "generation": d.generation}
    told = [f for f in d.findings if f.status in (*LEVELS, Status.NOTE)]
    for finding in told:
        root = d.root is not None and finding.check == d.root.check
        yield {**_finding(d, finding, words, root), "properties": _properties({**answer, "root": root}, finding, words)}
    for check in d.suspects if d.root is None else ():
        if any(finding.check == check for finding in told):
            continue
        yield {
            "ruleId": check,
            "kind": "open",
            "level": "none",
            "message": {"text": _text(words("This is not excluded as the cause"))},
            **_places([d.subject.source] if d.subject.source else []),
            "partialFingerprints": {"diagnose/v1": _fingerprint(check, d.outcome, "open")},
            "properties": mask.value(answer),
        }


def _finding(d: Diagnosis, f: Finding, words: Words, root: bool) -> dict[str, Any]:
    said = words.message(f.message)
    message = {"text": _text(said)}
    if f.remedy is not None:
        cure = words.remedy(f.remedy)
        steps = [f"{number}. {step}" for number, step in enumerate(cure.steps, 1)]
        message["text"] = _text("\n".join([said, "", cure.title, *steps, *([cure.command] if cure.command else [])]))
        message["markdown"] = "\n".join([f"**{plain(said)}**", "", plain(cure.title), "", *(plain(s) for s in steps)])
    shown = {"kind": "informational", "level": "none"} if f.status is Status.NOTE else {"level": LEVELS[f.status]}
    made = {
        "ruleId": f.check,
        **shown,
        "message": message,
        **_places(e.source for e in f.evidence),
        "partialFingerprints": {
            "diagnose/v1": _fingerprint(
                f.check,
                str(f.link),
                d.outcome,
                str(d.decision.model),
                str(d.decision.expected_model),
                f.message.template,
            )
        },
    }
    if root:
        made["rank"] = 100.0
        made["codeFlows"] = [{"message": {"text": _text(words("Chain"))}, "threadFlows": [_flow(d, words)]}]
        witnesses = [(c.fact, value, e) for c in d.conflicts for value, e in c.witnesses]
        if witnesses:
            made["relatedLocations"] = [
                {**_location(e.source), "id": number, "message": {"text": _text(f"{fact}: {value} ({e.witness})")}}
                for number, (fact, value, e) in enumerate(witnesses[:50], 1)
            ]
    return made


def _flow(d: Diagnosis, words: Words) -> dict[str, Any]:
    """The links in order; the one at which it broke is the essential one."""
    places = {link.link: link for link in report.chain(d, words)}
    return {
        "locations": [
            {
                "location": {
                    **_location(_where(state, d)),
                    "message": {"text": _text(f"{words(LINKS[state.link])}: {words(STATUSES[state.status])}")},
                },
                "importance": "essential" if places[state.link].broken else "important",
                "executionOrder": number,
                "nestingLevel": 0,
            }
            for number, state in enumerate(d.chain, 1)
        ]
    }


def _where(state: LinkState, d: Diagnosis) -> str:
    faults: list[Evidence] = [e for f in d.findings if f.check in state.findings for e in f.evidence]
    if state.proof is not None:
        return state.proof.source
    return faults[0].source if faults else f"({state.link})"


def _properties(answer: dict[str, Any], f: Finding, words: Words) -> Any:
    remedy = None
    if f.remedy is not None:
        cure = words.remedy(f.remedy)
        remedy = {"title": cure.title, "steps": list(cure.steps), "command": cure.command, "safe": cure.safe}
    return mask.value({**answer, "link": str(f.link), "status": str(f.status), "remedy": remedy})


# --- a history


def _tallied(check: str, tally: Tally, h: History, kind: str) -> dict[str, Any]:
    share = f"{tally.count:,} / {h.entries:,}"
    when = f", {tally.first} - {tally.last}" if tally.first and tally.last else ""
    return {
        "ruleId": check,
        "level": "error" if kind == "root" else "warning",
        "message": {"text": _text(f"{check}: {share}{when}")},
        "occurrenceCount": tally.count,
        **_places([str(tally.example)] if tally.example is not None else []),
        "partialFingerprints": {"diagnose/v1": _fingerprint(check, kind)},
    }


# --- the log


def _log(
    results: Sequence[dict[str, Any]],
    words: Words,
    exit_code: int | None,
    faults: Mapping[str, str],
    crashed: Iterable[tuple[str, str]] = (),
) -> str:
    kept = list(results[:MOST])
    ids = sorted({str(result["ruleId"]) for result in kept})
    for result in kept:
        result["ruleIndex"] = ids.index(result["ruleId"])
    notices = [
        {"level": "error", "message": {"text": _text(said)}, "associatedRule": {"id": check}} for check, said in crashed
    ]
    invocation: dict[str, Any] = {"executionSuccessful": not notices}
    if exit_code is not None:
        invocation["exitCode"] = int(exit_code)
    if notices:
        invocation["toolExecutionNotifications"] = notices
    run = {
        "tool": {
            "driver": {
                "name": "diagnose",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [_rule(check, faults, words) for check in ids],
            }
        },
        "language": words.language,
        "columnKind": "utf16CodeUnits",
        "invocations": [invocation],
        "results": kept,
    }
    return json.dumps(
        {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=True, allow_nan=False
    )


def _rule(check: str, faults: Mapping[str, str], words: Words) -> dict[str, Any]:
    return {"id": check, "shortDescription": {"text": _text(words(faults.get(check, "")) or check)}}


def _places(sources: Iterable[str]) -> dict[str, Any]:
    """The places of a result, each once."""
    return {"locations": [_location(source) for source in list(dict.fromkeys(sources))[:20]]}


def _location(source: str) -> dict[str, Any]:
    """A place: a line or a byte of a file, a part of a document, or what is in no file."""
    source = mask.text(source)
    if not _NO_FILE.fullmatch(source):
        at = _LINE.fullmatch(source) or _BYTE.fullmatch(source) or _POINTER.fullmatch(source)
        groups = at.groupdict() if at is not None else {"name": source}
        place: dict[str, Any] = {"artifactLocation": {"uri": uri(groups["name"])}}
        line, byte = groups.get("line"), groups.get("byte")
        if byte is not None:
            place["region"] = {"byteOffset": int(byte)}  # lines are counted from there, and not from the beginning
        elif line is not None and 0 < int(line) < 1 << 31:
            place["region"] = {"startLine": int(line)}
        located: dict[str, Any] = {"physicalLocation": place}
        if groups.get("pointer"):
            located["logicalLocations"] = [{"fullyQualifiedName": _text(groups["pointer"])}]
        return located
    return {"logicalLocations": [{"fullyQualifiedName": _text(source)}]}


def uri(name: str) -> str:
    """A file's name as a relative reference."""
    told = quote(name.replace("\\", "/").encode("utf-8", "replace"), safe="/-._~()+,=@")
    return told[:LONGEST] or "unnamed"


def _text(text: object) -> str:
    """A text without what commands a terminal or reverses a line; masked and bounded."""
    safe = mask.cut(str(text), LONGEST)
    return "\n".join(visible(line) for line in safe.split("\n")) or "-"


def _fingerprint(*parts: str) -> str:
    """The same for the same fault in tomorrow's log: of what is found, and not of where or when."""
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
