"""Answers as JUnit XML, for CI that shows tests.

A suite is a generation: its outcome, each link of its chain and each of the seven questions are its test cases. A case
fails only in a generation that is not sound, so that there are failures exactly where the exit code is 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from diagnose import mask
from diagnose.model import Diagnosis, Finding, Status
from diagnose.model.comparison import Comparison, HistoryComparison
from diagnose.model.history import History
from diagnose.render import report
from diagnose.render.text import visible
from diagnose.render.words import LINKS, QUESTIONS, STATUSES, Words

LONGEST = 4000
"""Characters of a text."""
_SKIPPED = (Status.UNKNOWN, Status.NOT_APPLICABLE, Status.NOT_REACHED)


class Case(NamedTuple):
    """A test case: passed, unless it says otherwise."""

    group: str
    name: str
    status: Status
    """FAIL is a failure, CRASH an error, WARN and NOTE pass with a word, and what is unknown is skipped."""
    message: str = ""
    kind: str = ""
    body: str = ""


def diagnoses(found: Sequence[Diagnosis], words: Words, exit_code: int | None = None) -> str:
    """A suite for each answer."""
    suites = [(_subject(d), _cases(d, words)) for d in found]
    failing = any(case.status is Status.FAIL for _, cases in suites for case in cases)
    if exit_code == 1 and not failing:
        told = words("Another mode was used than --expect names")
        suites.append(("diagnose", [Case("diagnose.expect", "--expect", Status.FAIL, told, "expect")]))
    return _document(suites)


def history(found: History, words: Words) -> str:
    """One suite: a case for each cause of generations that are not sound."""
    from diagnose.render import history_report

    said = history_report.of(found, words, verbose=False, titles={})
    bad = Status.FAIL if found.bad.count else Status.PASS if found.entries else Status.UNKNOWN
    cases = [Case("diagnose.history", "outcome", bad, said.headline, "outcome")]
    design = {check for check, statuses in found.checks.items() if statuses.keys() == {str(Status.NOTE)}}
    for tallies in (found.roots, found.symptoms):
        for check, tally in tallies.items():
            status = Status.NOTE if check in design else Status.FAIL
            place = f"{tally.example}" if tally.example is not None else ""
            cases.append(Case("diagnose.history", check, status, f"{tally.count:,} / {found.entries:,}", check, place))
    cases += [
        Case("diagnose.history", missed.source, Status.CRASH, missed.why, "not counted") for missed in found.not_counted
    ]
    return _document([("diagnose history", cases)])


def comparison(found: Comparison | HistoryComparison, words: Words) -> str:
    """One suite: a case for each difference that changes an answer, or each shift that is more than chance."""
    from diagnose.render import compare_report

    said = compare_report.of(found, words, verbose=False)
    status = Status.UNKNOWN if found.same is None else Status.PASS if found.same else Status.FAIL
    if isinstance(found, Comparison):
        if not (found.a.readable and found.b.readable) or found.undetermined:
            status = Status.UNKNOWN
        names = [d.field for d in found.differences if d.matters]
    else:
        names = [f"{shift.kind} {shift.name}" for shift in found.shifts if shift.beyond_chance]
    beside = Status.FAIL if status is Status.FAIL else Status.NOTE
    cases = [Case("diagnose.compare", "outcome", status, said.headline, "outcome")]
    cases += [Case("diagnose.compare", name, beside, said.headline, "difference") for name in names]
    return _document([("diagnose compare", cases)])


# --- one answer


def _subject(d: Diagnosis) -> str:
    return ", ".join(part for part in (d.subject.source, d.subject.timestamp) if part) or "diagnose"


def bad(d: Diagnosis) -> bool:
    """Whether the answer's exit code is 1."""
    by_design = d.root is not None and d.root.status is Status.NOTE
    sound = by_design or (d.root is None and d.outcome == "switched" and not d.suspects)
    return d.generation == "failed" or (d.outcome != "undetermined" and not sound)


def _cases(d: Diagnosis, words: Words) -> list[Case]:
    failing = bad(d)
    whole = Status.FAIL if failing else Status.UNKNOWN if d.outcome == "undetermined" else Status.PASS
    proof = report.proof(d)
    body = _proof(proof, words) if proof is not None else ""
    cases = [Case("diagnose.outcome", d.outcome, whole, words.headline(d), d.root.check if d.root else "outcome", body)]
    for state in d.chain:
        faults = [f for f in d.findings if f.check in state.findings]
        told = "; ".join(f"{f.check}: {words.message(f.message)}" for f in faults) or words(STATUSES[state.status])
        kind = faults[0].check if faults else str(state.link)
        said = "\n\n".join(_proof(f, words) for f in faults if f.status in (Status.FAIL, Status.WARN))
        status = _bounded(state.status, failing)
        cases.append(Case("diagnose.chain", words(LINKS[state.link]), status, told, kind, said))
    for question in d.checklist:
        where = question.evidence[0].source if question.evidence else ""
        kind = ", ".join(question.checks)
        status = _bounded(question.status, failing)
        cases.append(Case("diagnose.checklist", words(QUESTIONS[question.id]), status, where, kind))
    crashed = [f for f in d.findings if f.status is Status.CRASH]
    cases += [Case("diagnose.checks", f.check, Status.CRASH, words.message(f.message), f.check) for f in crashed]
    return cases


def _bounded(status: Status, failing: bool) -> Status:
    """In a generation that is as it should be, or cannot be judged, nothing fails."""
    return Status.WARN if status is Status.FAIL and not failing else status


def _proof(f: Finding, words: Words) -> str:
    lines = [f"{', '.join(piece.sources)} [{piece.witness}] {piece.said}" for piece in report.pieces(f.evidence)]
    if f.remedy is not None:
        cure = words.remedy(f.remedy)
        lines += ["", cure.title, *(f"{n}. {step}" for n, step in enumerate(cure.steps, 1))]
        lines += [cure.command] if cure.command else []
    return "\n".join(lines)


# --- the document


def _document(suites: Iterable[tuple[str, Sequence[Case]]]) -> str:
    top = ElementTree.Element("testsuites", name="diagnose")
    total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for name, cases in suites:
        counts = {
            "tests": len(cases),
            "failures": sum(case.status is Status.FAIL for case in cases),
            "errors": sum(case.status is Status.CRASH for case in cases),
            "skipped": sum(case.status in _SKIPPED for case in cases),
        }
        total = {key: total[key] + count for key, count in counts.items()}
        suite = ElementTree.SubElement(
            top, "testsuite", {"name": _text(name), **{k: str(v) for k, v in counts.items()}}
        )
        for case in cases:
            _add(suite, case)
    top.attrib.update({key: str(count) for key, count in total.items()})
    ElementTree.indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(top, encoding="unicode")


def _add(suite: ElementTree.Element, case: Case) -> None:
    element = ElementTree.SubElement(suite, "testcase", classname=case.group, name=_text(case.name))
    message = _text(case.message)
    if case.status in (Status.FAIL, Status.CRASH):
        tag = "failure" if case.status is Status.FAIL else "error"
        ElementTree.SubElement(element, tag, message=message, type=_text(case.kind)).text = _text(case.body) or None
    elif case.status in _SKIPPED:
        ElementTree.SubElement(element, "skipped", message=message)
    elif case.status in (Status.WARN, Status.NOTE):
        said = "\n".join(part for part in (case.message, case.body) if part)
        ElementTree.SubElement(element, "system-out").text = _text(said)


def _text(text: str) -> str:
    """A text that XML 1.0 can hold, in which nothing commands a terminal; masked and bounded."""
    safe = mask.cut(text, LONGEST).encode("utf-8", "replace").decode()
    return "\n".join(visible(line) for line in safe.split("\n"))
