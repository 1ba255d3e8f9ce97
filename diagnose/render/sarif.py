"""Answers as SARIF 2.1.0, for CI that shows code scanning.

Source: OASIS, https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html. One run; what it says:

failing or warning check    a result of level `error` or `warning`; the root is the first, with rank 100
note                        kind `informational`, level `none`: it explains an outcome that is by design, and that kind
                            is for results "that do not indicate the presence of a problem"; any kind but `fail` must
                            have the level `none`
suspect                     kind `open`, where the root cannot be told: not enough was seen to decide it
check that crashed          a result of level `error`, and a notification of the tool's execution
unknown, passed             no result

The chain is the code flow of the root, or of the first suspect; witnesses that contradict each other are its related
locations. Remedies are no changes of code, so they are no `fixes`: they stand in the message and in `properties`.

`locations` are places in files, for GitHub refuses a whole document in which one of them is none. What is in no file
(`GET /health`) stands in `properties.evidence`. Where no piece is in a file, the file in which the generation stands is
the place, with the others as logical locations; where that is none either, only logical locations are left.

`partialFingerprints["diagnose/v1"]` is the same for the same fault in tomorrow's log: the first 32 digits of the SHA-256
of a JSON list of kind (`fault`, `open`, `root`, `symptom`, `difference`, `shift`), check, link, outcome, model used,
model expected, and the sorted facts of the evidence that say what is broken (`FACTS`: bucket, error code, setting). No
place, time, address, id, wording or language goes into it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote

from diagnose import __version__, mask
from diagnose.model import CHAIN, Conflict, Diagnosis, Evidence, Finding, Link, LinkState, Status
from diagnose.model.comparison import Comparison, HistoryComparison
from diagnose.model.history import History
from diagnose.render import ci, markdown, numbers, pages, report
from diagnose.render.words import LINKS, STATUSES, Words, shown

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {Status.FAIL: "error", Status.WARN: "warning", Status.CRASH: "error"}
MOST = 25_000
"""Results of a run. GitHub takes no more: https://docs.github.com/en/code-security/reference/code-scanning."""
PLACES = 20
"""Places of a result."""
WITNESSES = 50
"""Related locations of a result."""
NOTICES = 100
"""Notifications of a run."""
LONGEST_NAME = 1000
"""Characters of a file's name."""
DIFFERENCE, SHIFT, UNEXPLAINED = "difference", "shift", "unexplained"
"""Rules that are no checks."""
FACTS = ("bucket", "code", "type", "role", "setting")
"""Fields of evidence that say what is broken, whenever it is; of settings the name as well."""
_FORMS = (
    r"(?P<name>.+?)(?:\[(?P<item>\d{1,12})\])?#(?P<pointer>/.*)",
    r"(?P<name>.+?)@(?P<byte>\d{1,18})(?::(?P<line>\d{1,9}))?",
    r"(?P<name>.+?):(?P<line>\d{1,9})",
    r"(?P<name>.{2,}?):(?P<setting>[A-Za-z_]\w{0,200})",
)
_PLACE = tuple(re.compile(form, re.S) for form in _FORMS)
_NO_FILE = re.compile(
    r"[A-Z]{3,7} .*|\(.*\)|[a-z][a-z0-9+.-]+://.*|(?:stdin|entry|environment|-)(?:[@:#].*)?"
    r"|listener \S+:\d+|process \d+(?::\w+)?|the key in .*|fal's input schema of .*",
    re.S,
)
_NONE: Mapping[str, str] = MappingProxyType({})


def diagnoses(
    found: Sequence[Diagnosis], words: Words, exit_code: int | None = None, checks: Mapping[str, str] = _NONE
) -> str:
    """The answers as one run, without an end of line after it.

    `checks` holds for each check its page, or only the first line of it, which states the fault. Each result says in
    `properties.subject` which generation it is of; `properties.generations` of the run has them all.
    """
    results = [result for d in found for result in _results(d, words)]
    links = {f.check: f.link for d in found for f in d.findings}
    notices = [
        _notice("error", words.message(f.message), f.check)
        for d in found
        for f in d.findings
        if f.status is Status.CRASH
    ]
    notices += [_notice("note", words.say(note)) for d in found for note in d.notes]
    run = _run("generation", results, notices, words, exit_code, checks, links)
    run["properties"] = {"generations": [_generation(d, words) for d in found[:MOST]]}
    return _dumps(run)


def history(found: History, words: Words, exit_code: int | None = None, checks: Mapping[str, str] = _NONE) -> str:
    """A result for each cause of generations that are not sound, at its first example, as one run.

    A root is of level `error`, a symptom whose root cannot be told of level `warning`; both are so often there as
    `occurrenceCount` says. What could not be counted is a notification.
    """
    results = []
    for cause in ci.causes(found):
        title = _fault(cause.check, checks, words).removesuffix(".")
        said = ci.counted(cause.tally, found.entries, words)
        kind = "symptom" if cause.symptom else "root"
        design = {"kind": "informational", "level": "none"}
        results.append(
            {
                "ruleId": cause.check,
                **(design if cause.by_design else {"level": "warning" if cause.symptom else "error"}),
                "message": _message(f"{title}: {said}"),
                "occurrenceCount": max(1, cause.tally.count),
                "locations": _places([str(cause.tally.example)] if cause.tally.example else [], _sources(found)),
                "partialFingerprints": _fingerprint(kind, cause.check),
                "properties": _plain({"cause": kind, "first": cause.tally.first, "last": cause.tally.last}),
            }
        )
    left = ci.unexplained(found)
    if left:
        example = [str(found.bad.example)] if found.bad.example else []
        said = words("no check names a cause of {n}", n=numbers.counted(left, found.entries, words))
        results.append(
            {
                "ruleId": UNEXPLAINED,
                "level": "error",
                "message": _message(said),
                "occurrenceCount": left,
                "locations": _places(example, _sources(found)),
                "partialFingerprints": _fingerprint("root", UNEXPLAINED),
            }
        )
    notices = [
        _notice("warning", f"{missed.source}@{missed.start}: {words.say(missed.why)}") for missed in found.not_counted
    ]
    notices += [
        _notice("warning", f"{place.source}@{place.byte}: {words.say(place.message)}") for place in found.malformed_at
    ]
    notices += [_notice("note", words.say(note)) for note in found.notes]
    run = _run("history", results, notices, words, exit_code, checks)
    totals = {"entries": found.entries, "bad": found.bad.count, "first": found.first, "last": found.last}
    outcomes = {name: tally.count for name, tally in found.outcomes.items()}
    run["properties"] = {"history": _plain({**totals, "outcomes": outcomes})}
    return _dumps(run)


def _sources(found: History) -> str:
    return found.sources[0].name if found.sources else ""


def comparison(
    found: Comparison | HistoryComparison, words: Words, exit_code: int | None = None, checks: Mapping[str, str] = _NONE
) -> str:
    """A result for each difference that changes an answer or a check, or each shift that is more than chance.

    What makes the difference is of level `warning`; what changes a check alone, or a shift of something that is no
    fault, is of level `note`.
    """
    from diagnose.render import compare_report

    headline = compare_report.of(found, words, verbose=False).headline
    sides: dict[str, dict[str, str | None]]
    if isinstance(found, HistoryComparison):
        results = list(_shifts(found, words))
        sides = {letter: {"name": side.name} for letter, side in (("a", found.a), ("b", found.b))}
        notes = [*found.a.notes, *found.b.notes]
    else:
        results = list(_differences(found, words))
        sides = {
            letter: {"name": side.name, "outcome": side.diagnosis.outcome, "cause": side.cause}
            for letter, side in (("a", found.a), ("b", found.b))
        }
        notes = [*found.a.diagnosis.notes, *found.b.diagnosis.notes]
    same = ci.same(found)
    if not results and same is False:
        results = [
            {
                "ruleId": DIFFERENCE,
                "level": "warning",
                "message": _message(headline),
                "locations": _places([], found.b.name),
                "partialFingerprints": _fingerprint(DIFFERENCE, "outcome"),
            }
        ]
    notices = [_notice("note", words.say(note)) for note in notes]
    run = _run("comparison", results, notices, words, exit_code, checks)
    run["properties"] = {"comparison": _plain({"headline": headline, "same": same, **sides})}
    return _dumps(run)


def _differences(found: Comparison, words: Words) -> Iterator[dict[str, Any]]:
    for d in ci.differences(found):
        told = [side.source for side in (d.b, d.a) if side is not None]
        decides = d.trial is not None and d.trial.decides
        yield {
            "ruleId": DIFFERENCE,
            "level": "warning" if decides else "note",
            "message": _message(f"{shown(d.field)}: {ci.difference(d, words)}"),
            "locations": _places(told, found.b.name),
            "partialFingerprints": _fingerprint(DIFFERENCE, d.field),
            "properties": _plain({"field": d.field, "link": str(d.link), "decides": decides}),
        }


def _shifts(found: HistoryComparison, words: Words) -> Iterator[dict[str, Any]]:
    for s in ci.shifts(found):
        worse = s.kind != "outcome" and s.points > 0
        yield {
            "ruleId": SHIFT,
            "level": "warning" if worse else "note",
            "message": _message(f"{ci.named(s, words)}: {ci.shift(s, words)}"),
            "locations": _places([], found.b.name),
            "partialFingerprints": _fingerprint(SHIFT, s.kind, s.name),
            "properties": _plain({"shift": s.kind, "of": s.name, "points": round(s.points, 6)}),
        }


# --- one answer


def _generation(d: Diagnosis, words: Words) -> Any:
    return _plain(
        {
            "subject": d.subject._asdict(),
            "profile": d.profile,
            "headline": words.headline(d),
            "outcome": d.outcome,
            "generation": d.generation,
            "intended": d.intended,
            "root": d.root.check if d.root is not None else None,
            "suspects": list(d.suspects),
        }
    )


def _results(d: Diagnosis, words: Words) -> Iterator[dict[str, Any]]:
    root = d.root.check if d.root is not None else None
    told = [f for f in d.findings if f.status in (*LEVELS, Status.NOTE)]
    told.sort(key=lambda f: f.check != root)
    results = [_result(d, f, words, root=f.check == root) for f in told]
    faults = {f.check for f in told}
    results += [_suspect(d, check, words) for check in d.suspects if root is None and check not in faults]
    lead = next((r for r in results if r["properties"]["root"] or r["properties"]["suspect"]), None)
    if lead is not None:
        lead["codeFlows"] = [{"message": _message(words("Chain")), "threadFlows": [_flow(d, words)]}]
        related = list(_witnesses(d.conflicts))
        if related:
            lead["relatedLocations"] = related
    yield from results


def _result(d: Diagnosis, f: Finding, words: Words, root: bool) -> dict[str, Any]:
    shown_as = {"kind": "informational", "level": "none"} if f.status is Status.NOTE else {"level": LEVELS[f.status]}
    return {
        "ruleId": f.check,
        **shown_as,
        **({"rank": 100.0} if root else {}),
        "message": _said(f, words),
        "locations": _seen(d, f.evidence),
        "partialFingerprints": _fingerprint("fault", f.check, *_about(d, f)),
        "properties": _properties(d, f, words, root=root, suspect=f.check in d.suspects and d.root is None),
    }


def _suspect(d: Diagnosis, check: str, words: Words) -> dict[str, Any]:
    f = d.finding(check)
    said = words("This is not excluded as the cause")
    return {
        "ruleId": check,
        "kind": "open",
        "level": "none",
        "message": _message(f"{said}: {words.message(f.message)}" if f is not None else said),
        "locations": _seen(d, f.evidence if f is not None else ()),
        "partialFingerprints": _fingerprint("open", check, *_about(d, f)),
        "properties": _properties(d, f, words, root=False, suspect=True),
    }


def _said(f: Finding, words: Words) -> dict[str, str]:
    said = words.message(f.message)
    if f.remedy is None:
        return _message(said)
    cure = words.remedy(f.remedy)
    steps = "\n".join(f"{number}. {markdown.plain(step)}" for number, step in enumerate(cure.steps, 1))
    command = "\n".join(markdown.fenced(ci.inert(cure.command))) if cure.command else ""
    title, *_ = ci.remedy(cure._replace(steps=(), command=None), words)
    blocks = (f"**{markdown.plain(said)}**", markdown.plain(title), steps, command)
    return {
        "text": ci.inert("\n".join([said, "", *ci.remedy(cure, words)])),
        "markdown": "\n\n".join(block for block in blocks if block),
    }


def _properties(d: Diagnosis, f: Finding | None, words: Words, root: bool, suspect: bool) -> Any:
    made: dict[str, Any] = {
        "subject": d.subject._asdict(),
        "outcome": d.outcome,
        "generation": d.generation,
        "root": root,
        "suspect": suspect,
    }
    if f is not None:
        made |= {"link": str(f.link), "status": str(f.status), "symptom": f.symptom, "remedy": None}
        made["evidence"] = [
            {"kind": e.kind, "source": e.source, "witness": str(e.witness)} for e in f.evidence[: ci.PIECES]
        ]
        if f.remedy is not None:
            cure = words.remedy(f.remedy)
            made["remedy"] = {
                "title": cure.title,
                "steps": list(cure.steps),
                "command": cure.command,
                "safe": cure.safe,
            }
    return _plain(made)


def _flow(d: Diagnosis, words: Words) -> dict[str, Any]:
    """The links in order; the one at which it broke is the essential one, or those between which it broke."""
    drawn = {link.link: link for link in report.chain(d, words)}
    locations = []
    for number, state in enumerate(d.chain, 1):
        essential = drawn[state.link].broken or drawn[state.link].between
        passed_over = state.status in (Status.NOT_REACHED, Status.NOT_APPLICABLE)
        locations.append(
            {
                "location": {
                    **_location(_where(state, d)),
                    "message": _message(f"{words(LINKS[state.link])}: {words(STATUSES[state.status])}"),
                },
                "importance": "essential" if essential else "unimportant" if passed_over else "important",
                "executionOrder": number,
                "nestingLevel": 0,
            }
        )
    return {"locations": locations}


def _where(state: LinkState, d: Diagnosis) -> str:
    faults = [e for f in d.findings if f.check in state.findings for e in f.evidence]
    if state.proof is not None:
        return state.proof.source
    return faults[0].source if faults else f"({state.link})"


def _witnesses(conflicts: Iterable[Conflict]) -> Iterator[dict[str, Any]]:
    told = [(conflict.fact, value, e) for conflict in conflicts for value, e in conflict.witnesses]
    for number, (fact, value, e) in enumerate(told[:WITNESSES], 1):
        said = f"{fact}: {shown(value)} ({e.source}, {e.witness})"
        yield {"id": number, **_location(e.source), "message": _message(said)}


def _about(d: Diagnosis, f: Finding | None) -> Iterator[str]:
    """What of a finding is the same in tomorrow's log."""
    yield str(f.link) if f is not None else ""
    yield d.outcome
    yield d.decision.model or ""
    yield d.decision.expected_model or ""
    seen = f.evidence if f is not None else ()
    named = {f"name={e['name']}" for e in seen if e.kind == "env.setting"}
    facts = {f"{name}={e[name]}" for e in seen for name in FACTS if e[name]}
    yield from sorted(fact[:LONGEST_NAME] for fact in named | facts)


def _fingerprint(*parts: str) -> dict[str, str]:
    digest = hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()
    return {"diagnose/v1": digest[:32]}


# --- the log


def _dumps(run: dict[str, Any]) -> str:
    """ASCII, so that no character of the evidence can do anything where the document is printed."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=True, allow_nan=False)


def _run(
    about: str,
    results: Sequence[dict[str, Any]],
    notices: list[dict[str, Any]],
    words: Words,
    exit_code: int | None,
    checks: Mapping[str, str],
    links: Mapping[str, Link] = MappingProxyType({}),
) -> dict[str, Any]:
    kept = results[:MOST]
    if len(results) > MOST:
        more = words(" ({n} more not shown)", n=numbers.number(len(results) - MOST, words))
        notices = [_notice("warning", more.strip()), *notices]
    ids = {check: index for index, check in enumerate(sorted({str(result["ruleId"]) for result in kept}))}
    for result in kept:
        result["ruleIndex"] = ids[result["ruleId"]]
    invocation: dict[str, Any] = {"executionSuccessful": True}
    if exit_code is not None:
        invocation["exitCode"] = int(exit_code)
    if notices:
        invocation["toolExecutionNotifications"] = notices[:NOTICES]
    return {
        "tool": {
            "driver": {
                "name": "diagnose",
                "semanticVersion": __version__,
                "rules": [_rule(check, checks, links, words) for check in ids],
            }
        },
        "automationDetails": {"id": f"diagnose/{about}/"},
        "language": words.language,
        "columnKind": "utf16CodeUnits",
        "invocations": [invocation],
        "results": list(kept),
    }


def _rule(check: str, checks: Mapping[str, str], links: Mapping[str, Link], words: Words) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": ci.inert(check), "shortDescription": _message(_fault(check, checks, words))}
    parts = list(pages.parts(checks.get(check, "")))
    if len(parts) > 1:
        rule["fullDescription"] = _message("\n\n".join(words(part.text) for part in parts[:2]))
        told = [
            "\n\n".join([f"**{markdown.plain(words(p.heading))}**"] * bool(p.heading) + [markdown.plain(words(p.text))])
            for p in parts
        ]
        rule["help"] = {"text": ci.inert(pages.page(checks[check], words)), "markdown": "\n\n".join(told)}
    if check in links:
        rule["defaultConfiguration"] = {"level": "error" if links[check] in CHAIN else "warning"}
        rule["properties"] = {"link": str(links[check])}
    return rule


def _fault(check: str, checks: Mapping[str, str], words: Words) -> str:
    """What a rule finds, in a sentence."""
    match check:
        case "difference":
            return words("A difference that changes an answer, or a check beside it.")
        case "shift":
            return words("Something happens more often, or less often, than before.")
        case "unexplained":
            return words("Generations are not sound, and no check tells why.")
        case _:
            return words(next(iter(checks.get(check, "").strip().splitlines()), "")) or check


def _notice(level: str, said: str, check: str | None = None) -> dict[str, Any]:
    return {
        "level": level,
        "message": _message(said),
        **({"associatedRule": {"id": ci.inert(check)}} if check else {}),
    }


# --- places


class Place(NamedTuple):
    """Where something stands."""

    name: str | None
    """The file as it was named; None for what is in none."""
    line: int | None = None
    byte: int | None = None
    """Where the lines are counted from, or where it stands."""
    inside: str = ""
    """A JSON pointer, the name of a setting, or what is in no file."""


def place(source: str) -> Place:
    """The place that a source of evidence names: `FILE:LINE`, `FILE@BYTE`, `FILE@BYTE:LINE`, `FILE#/POINTER`,
    `FILE[ITEM]#/POINTER` (a pointer in an element of the file's array), `FILE:SETTING`, a file, or what is in none.
    """
    if not source.strip() or _NO_FILE.fullmatch(source):
        return Place(None, inside=source)
    for form in _PLACE:
        at = form.fullmatch(source)
        if at is None:
            continue
        found = at.groupdict()
        item = f"/{found['item']}" if found.get("item") else ""
        inside = f"{item}{found['pointer']}" if found.get("pointer") else found.get("setting") or ""
        name, byte = found["name"], int(found["byte"]) if found.get("byte") else None
        if inside.startswith("/") and (begun := re.fullmatch(r"(.+)@(\d{1,18})", name, re.S)):
            name, byte = begun[1], int(begun[2])
        return Place(name, int(found["line"]) if found.get("line") else None, byte, inside)
    return Place(source)


def uri(name: str) -> str:
    """A file's name as a relative reference (RFC 3986): slashes, the rest percent-encoded, never with a host or scheme."""
    path = re.sub(r"^/{2,}", "/", mask.cut(name, LONGEST_NAME).replace("\\", "/"))
    return quote(path.encode("utf-8", "replace"), safe="/-._~()+,=@") or "unnamed"


def _location(source: str) -> dict[str, Any]:
    at = place(mask.text(source))
    made: dict[str, Any] = {}
    if at.name is not None:
        physical: dict[str, Any] = {"artifactLocation": {"uri": uri(at.name)}}
        if at.byte is not None:
            physical["region"] = {"byteOffset": at.byte}
        elif at.line:
            physical["region"] = {"startLine": at.line}
        made["physicalLocation"] = physical
        if at.byte is not None and at.line:
            made["properties"] = {"lineCountedFromByte": at.line}
    if at.inside:
        made["logicalLocations"] = [{"fullyQualifiedName": ci.inert(at.inside)}]
    return made


def _places(sources: Iterable[str], otherwise: str | None) -> list[dict[str, Any]]:
    """The places in files, each once; where there are none, the file that is given, with the others in it."""
    found = [_location(source) for source in list(dict.fromkeys(sources))[:PLACES]]
    files = [location for location in found if "physicalLocation" in location]
    if files:
        return files
    logical = [one for location in found for one in location.get("logicalLocations", ())]
    home = _location(otherwise) if otherwise else {}
    logical = [*home.pop("logicalLocations", ()), *logical]
    unique = [one for index, one in enumerate(logical) if one not in logical[:index]]
    whole = {**home, **({"logicalLocations": unique} if unique else {})}
    return [whole] if whole else []


def _seen(d: Diagnosis, evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """Where the evidence of a finding stands, with what stands there."""
    said: dict[str, str] = {}
    for e in evidence:
        said.setdefault(e.source, report.quoted(e))
    made = []
    for source in list(said)[:PLACES]:
        location = _location(source)
        if "physicalLocation" in location:
            made.append({**location, **({"message": _message(said[source])} if said[source] else {})})
    return made or _places(said, d.subject.source)


# --- texts


def _message(text: str) -> dict[str, str]:
    """A message; no reader has to show an empty one."""
    return {"text": ci.inert(text) or "-"}


def _plain(value: Any, depth: int = 0) -> Any:
    """Properties: every text inert, masked and bounded, also as what stands under a secret's name."""
    return _inert(mask.value(value), depth)


def _inert(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return ci.inert(value)
    if isinstance(value, dict) and depth < 8:
        return {ci.inert(key): _inert(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)) and depth < 8:
        return [_inert(inner, depth + 1) for inner in value[:100]]
    return value if value is None or isinstance(value, (bool, int, float)) else ci.inert(value)
