"""Answers as JUnit XML, for CI that shows tests: the form that GitHub, GitLab and Jenkins read.

A suite is a generation. Its outcome, each link of its chain, each of the seven questions and each check that crashed is a
test case; the names are the same from run to run, so that CI can follow them.

The rule: **there are failures exactly where the exit code is 1.**

* The case of the outcome fails in each generation that is not sound, or of which no picture was made; it is skipped
  where the outcome is undetermined, since nothing was shown to be wrong.
* A link or a question fails only in a generation whose outcome fails. Elsewhere what failed decided nothing, and it is
  skipped with its message.
* What is unknown, does not apply or was not reached is skipped. What is warned of or noted passes, and says so.
* Where the exit code is 1 for `--expect` alone, a suite of its own says so.
* A check that crashed, and a part of a file that could not be counted, is an error, which is no failure.

No time, duration or host of this run is in it: the same answer is the same bytes.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from diagnose.model import Diagnosis, Finding, Question, Status
from diagnose.model.comparison import Comparison, HistoryComparison
from diagnose.model.history import History
from diagnose.render import ci, numbers, report
from diagnose.render.words import ANSWERS, LINKS, QUESTIONS, STATUSES, Words

_SKIPPED = (Status.UNKNOWN, Status.NOT_APPLICABLE, Status.NOT_REACHED)
_OUTCOME = "outcome"


class Case(NamedTuple):
    """A test case: passed, unless it says otherwise."""

    group: str
    name: str
    status: Status
    """FAIL is a failure, CRASH an error, WARN and NOTE pass with a word, and what is unknown is skipped."""
    message: str = ""
    kind: str = ""
    """The check, or what else it is."""
    body: str = ""


class Suite(NamedTuple):
    """Test cases of one generation, history or comparison."""

    name: str
    cases: Sequence[Case]
    timestamp: str | None = None
    """When the generation was, as its record says."""


def diagnoses(found: Sequence[Diagnosis], words: Words, exit_code: int | None = None) -> str:
    """A suite for each answer, without an end of line after the last.

    `exit_code` is that of all answers together; without it, 1 is what the answers themselves come to.
    """
    suites = [Suite(ci.subject(d) or "diagnose", _cases(d, words), d.subject.timestamp) for d in found]
    if exit_code == 1 and not any(map(ci.failing, found)):
        told = words("Another mode was used than --expect names")
        suites.append(Suite("diagnose", [Case("diagnose.expect", "--expect", Status.FAIL, told, "expect")]))
    return _document(suites)


def history(found: History, words: Words) -> str:
    """One suite: the whole, each outcome, each cause of generations that are not sound, and what could not be counted.

    A cause fails where generations are not sound for it; an outcome by itself is neither sound nor not.
    """
    from diagnose.render import history_report

    group = "diagnose.history"
    headline = history_report.of(found, words, verbose=False, titles={}).headline
    undetermined = "undetermined" in found.outcomes or found.not_counted or found.malformed
    whole = Status.UNKNOWN if undetermined or not found.entries else Status.PASS
    if found.bad.count:
        whole = Status.FAIL
    place = str(found.bad.example) if found.bad.example is not None else ""
    cases = [Case(group, words("not sound"), whole, headline, _OUTCOME, place)]
    for outcome, tally in found.outcomes.items():
        status = Status.UNKNOWN if outcome == "undetermined" else Status.NOTE
        said = ci.counted(tally, found.entries, words)
        cases.append(Case(f"{group}.outcome", outcome, status, said, _OUTCOME))
    for cause in ci.causes(found):
        status = Status.NOTE if cause.by_design else Status.FAIL if found.bad.count else Status.UNKNOWN
        place = str(cause.tally.example) if cause.tally.example is not None else ""
        said = ci.counted(cause.tally, found.entries, words)
        kind = "symptom" if cause.symptom else "root"
        cases.append(Case(f"{group}.{kind}", cause.check, status, said, cause.check, place))
    if left := ci.unexplained(found):
        said = words("no check names a cause of {n}", n=numbers.counted(left, found.entries, words))
        cases.append(Case(f"{group}.root", "unexplained", Status.FAIL, said, "unexplained"))
    if found.malformed:
        said = words("Malformed entries: {n}", n=numbers.number(found.malformed, words))
        places = "\n".join(f"{at.source}@{at.byte}: {words.say(at.message)}" for at in found.malformed_at)
        cases.append(Case(f"{group}.read", "malformed", Status.UNKNOWN, said, "malformed", places))
    cases += [
        Case(f"{group}.read", f"{missed.source}@{missed.start}", Status.CRASH, words.say(missed.why), "not counted")
        for missed in found.not_counted
    ]
    return _document([Suite("diagnose history", cases)])


def comparison(found: Comparison | HistoryComparison, words: Words) -> str:
    """One suite: whether both are the same, and each difference that matters, or each shift that is more than chance.

    These fail where both were told and are not the same, and pass with a word where they change nothing but a check.
    """
    from diagnose.render import compare_report

    group = "diagnose.compare"
    headline = compare_report.of(found, words, verbose=False).headline
    same = ci.same(found)
    status = Status.UNKNOWN if same is None else Status.PASS if same else Status.FAIL
    if isinstance(found, Comparison):
        told = [
            (d.field, ci.difference(d, words), "difference", d.trial is not None and d.trial.decides)
            for d in ci.differences(found)
        ]
    else:
        told = [(ci.named(s, words), ci.shift(s, words), "shift", True) for s in ci.shifts(found)]
    cases = [Case(group, _OUTCOME, status, headline, _OUTCOME)]
    cases += [
        Case(f"{group}.{kind}", name, Status.FAIL if decides and status is Status.FAIL else Status.NOTE, said, kind)
        for name, said, kind, decides in told
    ]
    return _document([Suite("diagnose compare", cases)])


# --- one answer


def _cases(d: Diagnosis, words: Words) -> list[Case]:
    failing = ci.failing(d)
    whole = Status.FAIL if failing else Status.UNKNOWN if d.outcome == "undetermined" else Status.PASS
    if whole is Status.PASS and report.sign(d) in (Status.NOTE, Status.WARN):
        whole = report.sign(d)
    rests_on = report.proof(d)
    body = ci.proof(rests_on, words) if rests_on is not None else ""
    kind = d.root.check if d.root is not None else _OUTCOME
    cases = [Case("diagnose.outcome", words("outcome"), whole, words.headline(d), kind, body)]
    for state in d.chain:
        faults = [f for f in d.findings if f.check in state.findings]
        name = words(LINKS[state.link])
        cases.append(_case("diagnose.chain", name, state.status, faults, str(state.link), d, words))
    cases += [_answer(question, d, words) for question in d.checklist]
    cases += [
        Case("diagnose.checks", f.check, Status.CRASH, words.message(f.message), f.check)
        for f in d.findings
        if f.status is Status.CRASH
    ]
    return cases


def _case(
    group: str, name: str, status: Status, found: Sequence[Finding], kind: str, d: Diagnosis, words: Words
) -> Case:
    """A link with the findings that made it what it is, those of the root first."""
    found = sorted(found, key=lambda f: d.root is None or f.check != d.root.check)
    told = "; ".join(f"{f.check}: {words.message(f.message)}" for f in found) or words(STATUSES[status])
    body = "\n\n".join(ci.proof(f, words) for f in found if f.status in (Status.FAIL, Status.WARN))
    return _bounded(Case(group, name, status, told, found[0].check if found else kind, body), d, words)


def _answer(question: Question, d: Diagnosis, words: Words) -> Case:
    found = [f for f in d.findings if f.check in question.checks]
    found = [f for f in found if f.status is question.status and f.status in (Status.FAIL, Status.WARN, Status.NOTE)]
    said = words(ANSWERS.get(question.status, "cannot tell"))
    told = "; ".join([said, *(f"{f.check}: {words.message(f.message)}" for f in found)])
    seen = "\n".join(ci.evidence(question.evidence))
    body = "\n\n".join([ci.proof(f, words) for f in found] or ([seen] if seen else []))
    kind = found[0].check if found else question.id
    name = words(QUESTIONS.get(question.id, question.id))
    return _bounded(Case("diagnose.checklist", name, question.status, told, kind, body), d, words)


def _bounded(case: Case, d: Diagnosis, words: Words) -> Case:
    """In a generation that is as it should be, or cannot be judged, nothing fails; a crash has a case of its own."""
    if case.status is Status.CRASH:
        return case._replace(status=Status.UNKNOWN)
    if case.status is Status.FAIL and not ci.failing(d):
        return case._replace(status=Status.UNKNOWN, message=f"{words(STATUSES[Status.FAIL])}: {case.message}")
    return case


# --- the document


def _document(suites: Iterable[Suite]) -> str:
    top = ElementTree.Element("testsuites", name="diagnose")
    total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for name, cases, timestamp in suites:
        counts = {
            "tests": len(cases),
            "failures": sum(case.status is Status.FAIL for case in cases),
            "errors": sum(case.status is Status.CRASH for case in cases),
            "skipped": sum(case.status in _SKIPPED for case in cases),
        }
        total = {key: total[key] + count for key, count in counts.items()}
        attributes = {"name": _attribute(name), **{key: str(count) for key, count in counts.items()}}
        when = _moment(timestamp)
        suite = ElementTree.SubElement(top, "testsuite", {**attributes, **({"timestamp": when} if when else {})})
        for case in cases:
            _add(suite, case)
    # the schema of Jenkins has no count of skipped cases here
    top.attrib.update({key: str(total[key]) for key in ("tests", "failures", "errors")})
    ElementTree.indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(top, encoding="unicode")


def _add(suite: ElementTree.Element, case: Case) -> None:
    element = ElementTree.SubElement(suite, "testcase", classname=case.group, name=_attribute(case.name))
    message = _attribute(case.message)
    if case.status in (Status.FAIL, Status.CRASH):
        tag = "failure" if case.status is Status.FAIL else "error"
        told = ElementTree.SubElement(element, tag, message=message, type=_attribute(case.kind))
        told.text = ci.inert(case.body) or None
    elif case.status in _SKIPPED:
        ElementTree.SubElement(element, "skipped", message=message)
        if case.body:
            ElementTree.SubElement(element, "system-out").text = ci.inert(case.body)
    elif case.status in (Status.WARN, Status.NOTE):
        said = "\n".join(part for part in (case.message, case.body) if part)
        ElementTree.SubElement(element, "system-out").text = ci.inert(said)


def _attribute(text: str) -> str:
    """A text in one line."""
    return ci.inert(" ".join(text.split())) or "-"


_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII)


def _moment(timestamp: str | None) -> str | None:
    """A timestamp of ISO 8601 as XML Schema's dateTime; None for any other."""
    if timestamp is None or not _ISO.fullmatch(timestamp):
        return None
    try:
        return datetime.datetime.fromisoformat(timestamp).isoformat()
    except ValueError:
        return None
