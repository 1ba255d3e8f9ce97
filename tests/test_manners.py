"""Every check keeps to its manners: its page, its declarations, its purity, its cases, its test and its row in the README."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from diagnose import registry
from diagnose.model import Case, Evidence, Finding, Link, Message, Remedy, Status, Witness
from tests.cases_support import FOLDER, Example, examples, look, seen

ROOT = Path(__file__).parent.parent
CHECKS = sorted(file.stem for file in (ROOT / "checks").glob("[a-z]*.py"))
HEADINGS = ("What it looks at", "Why it matters", "How to put it right", "When it is wrong")
LONGEST = 110
IMPURE = frozenset(
    {
        "asyncio",
        "builtins",
        "datetime",
        "glob",
        "http",
        "importlib",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "pickle",
    }
    | {
        "random",
        "shutil",
        "signal",
        "socket",
        "sqlite3",
        "ssl",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "urllib",
    }
)
"""Modules of the standard library through which a check would see or touch more than its case."""
FORBIDDEN_CALLS = frozenset({"open", "print", "input", "eval", "exec", "compile", "__import__"})
VAGUE = re.compile(r"\bmay\b|\bmight\b|\bseems?\b|\bprobably\b|\bperhaps\b|\bmaybe\b", re.I)
HOSTILE: tuple[Any, ...] = (
    None,
    -1,
    10**400,
    float("nan"),
    True,
    "",
    "x\x1b[31m{0}{name}",
    [],
    [[None, 5]],
    {},
    {"name": ["x"]},
)
FAULTY = {"fail", "warn"}
SOUND = {"pass", "not_applicable", "note"}

every_check = pytest.mark.parametrize("check", CHECKS)


@cache
def tree(check: str) -> ast.Module:
    return ast.parse((ROOT / "checks" / f"{check}.py").read_text(encoding="utf-8"))


def page(check: str) -> str:
    return ast.get_docstring(tree(check)) or ""


def nodes(check: str, kind: type[ast.AST]) -> Iterator[Any]:
    return (node for node in ast.walk(tree(check)) if isinstance(node, kind))


def said(check: str) -> Iterator[str]:
    """Every text of a check that is not a docstring: its messages and remedies."""
    documented = {
        id(n.body[0].value)
        for n in ast.walk(tree(check))
        if isinstance(n, (ast.Module, ast.FunctionDef)) and ast.get_docstring(n)
    }
    return (n.value for n in nodes(check, ast.Constant) if isinstance(n.value, str) and id(n) not in documented)


def test_there_are_the_designs_checks() -> None:
    assert len(CHECKS) == 45
    assert sorted(registry.by_id()) == CHECKS


# --- the page ----------------------------------------------------------------------------------------------------------


@every_check
def test_its_page_begins_with_the_fault(check: str) -> None:
    first, _, rest = page(check).partition("\n")
    assert first.endswith(".") and "  " not in first, (
        f"{check}: the first line is one sentence that states the fault: {first!r}"
    )
    assert rest.startswith("\n"), f"{check}: a blank line follows the first"
    assert not VAGUE.search(first)


@every_check
def test_its_page_has_the_four_headings_in_order(check: str) -> None:
    found = [line for line in page(check).splitlines() if line in HEADINGS]
    assert tuple(found) == HEADINGS
    parts = re.split("|".join(rf"^{heading}$" for heading in HEADINGS), page(check), flags=re.M)
    assert all(part.strip() for part in parts), f"{check}: a heading stands over nothing"


# --- what it declares --------------------------------------------------------------------------------------------------


@every_check
def test_it_declares_link_because_and_reads(check: str) -> None:
    known = registry.by_id()[check]
    assert isinstance(known.link, Link)
    for name in (known.because, known.reads):
        assert isinstance(name, tuple) and all(isinstance(item, str) for item in name) and len(set(name)) == len(name)
    unknown = set(known.because) - set(CHECKS)
    assert not unknown, f"{check}: because names {', '.join(unknown)}, and there is no such check"


def test_no_check_explains_itself() -> None:
    def walk(check: str, path: tuple[str, ...]) -> None:
        assert check not in path, " because ".join((*path, check))
        for cause in registry.by_id()[check].because:
            walk(cause, (*path, check))

    for check in CHECKS:
        walk(check, ())


@every_check
def test_it_has_one_function_that_looks(check: str) -> None:
    functions = {n.name: n for n in tree(check).body if isinstance(n, ast.FunctionDef)}
    assert "look" in functions, f"{check}: there is no look(case)"
    looking = functions["look"]
    assert [a.arg for a in looking.args.args] == ["case"] and ast.unparse(
        looking.returns or ast.Constant("")
    ) == "Finding"
    for name, function in functions.items():
        assert ast.get_docstring(function), f"{check}: {name} has no docstring"


# --- purity ------------------------------------------------------------------------------------------------------------


@every_check
def test_it_needs_nothing_but_its_case(check: str) -> None:
    for node in nodes(check, ast.Import):
        for alias in node.names:
            assert alias.name.split(".")[0] in sys.stdlib_module_names - IMPURE, (
                f"{check}:{node.lineno} imports {alias.name}"
            )
    for node in nodes(check, ast.ImportFrom):
        package = (node.module or "").split(".")[0]
        pure = f"{node.module}.".startswith("diagnose.model.") or package in sys.stdlib_module_names - IMPURE
        assert pure and node.level == 0, f"{check}:{node.lineno} imports from {node.module}"
    for node in nodes(check, ast.Call):
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        assert called not in FORBIDDEN_CALLS, f"{check}:{node.lineno} calls {called}()"
    assert not list(nodes(check, ast.Global)), f"{check} keeps something between two looks"


@every_check
def test_it_is_short_enough_to_read(check: str) -> None:
    lines = len((ROOT / "checks" / f"{check}.py").read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{check}: {lines} lines; {LONGEST} are allowed"


@every_check
def test_its_words_are_certain(check: str) -> None:
    vague = [text for text in said(check) if VAGUE.search(text)]
    assert not vague, f"{check}: not sure is unknown, and is said as that: {vague}"
    for example in examples(check):
        assert not VAGUE.search(str(example.finding().message).replace(str(example.case.evidence), "")), example.name


@every_check
def test_looking_twice_gives_the_same(check: str) -> None:
    for example in examples(check):
        once, twice = (
            example.finding(),
            look(check, Case(example.case.profile, example.case.evidence, example.case.subject)),
        )
        assert (once.status, str(once.message), once.remedy) == (twice.status, str(twice.message), twice.remedy), (
            example.name
        )


# --- its cases, its test, its row ----------------------------------------------------------------------------------------


def test_every_file_of_cases_belongs_to_a_check() -> None:
    assert sorted(file.stem for file in FOLDER.glob("*.toml")) == CHECKS


@every_check
def test_it_has_cases_of_every_kind(check: str) -> None:
    found = examples(check)
    names = [example.name for example in found]
    assert len(found) >= 4 and len(set(names)) == len(names)
    wanted = {example.status for example in found}
    assert wanted & SOUND, f"{check}: no case in which all is well"
    assert wanted & FAULTY or (check == "no_image_sent" and "note" in wanted), f"{check}: no case of the fault"
    assert any(e.status == "unknown" and not e.case.evidence for e in found), f"{check}: no case without evidence"
    assert any(name.startswith("malformed") for name in names), f"{check}: no malformed case"
    assert "crash" not in wanted
    assert wanted <= set(Status)


@every_check
def test_it_has_a_test(check: str) -> None:
    test = ROOT / "tests" / f"test_check_{check}.py"
    assert test.is_file() and f'CHECK = "{check}"' in test.read_text(encoding="utf-8")


@cache
def rows() -> dict[str, str]:
    """The table of checks in the README: id and text."""
    readme = ROOT / "README.md"
    assert readme.is_file(), "there is no README.md"
    table = readme.read_text(encoding="utf-8").partition("<!-- checks -->")[2].partition("<!-- /checks -->")[0]
    return {m[1]: m[2] for m in re.finditer(r"^\| `(\w+)` \|(.*)$", table, re.M)}


@every_check
def test_it_has_a_row_in_the_readme(check: str) -> None:
    assert check in rows(), f"README.md: the table of checks has no row that begins with | `{check}` |"
    assert page(check).splitlines()[0] in rows()[check], (
        f"README.md: the row of {check} says something else than its page"
    )


def test_the_readme_has_no_row_of_a_check_that_does_not_exist() -> None:
    assert sorted(rows()) == CHECKS


# --- hostile evidence --------------------------------------------------------------------------------------------------


def spoilt(example: Example) -> Iterator[tuple[str, Case]]:
    """The case with one field of its evidence at a time missing, or holding what nobody expects."""
    for at, evidence in enumerate(example.case.evidence):
        for name in evidence.fields:
            for value in HOSTILE:
                fields = {**evidence.fields, name: value}
                changed = Evidence(evidence.kind, evidence.source, evidence.witness, fields)
                whole = (*example.case.evidence[:at], changed, *example.case.evidence[at + 1 :])
                yield f"{evidence.kind}.{name} = {value!r:.40}", Case(example.case.profile, whole, example.case.subject)


@every_check
def test_no_field_of_its_evidence_can_make_it_crash(check: str) -> None:
    crashes = {}
    for example in examples(check):
        if not example.name.startswith("malformed"):
            for what, case in spoilt(example):
                found = look(check, case)
                if found.status is Status.CRASH:
                    crashes[what] = str(found.message)
    assert not crashes, f"{len(crashes)} ways, such as " + "; ".join(
        f"{what}: {text}" for what, text in list(crashes.items())[:5]
    )


# --- a fault needs its proof ---------------------------------------------------------------------------------------------

PROOF = seen("storage.error", message="Bucket not found")
REMEDY = Remedy("Create the bucket")


@pytest.mark.parametrize("status", [Status.FAIL, Status.WARN])
@pytest.mark.parametrize(("evidence", "remedy"), [((), REMEDY), ((PROOF,), None), ((), None)])
def test_a_fault_cannot_be_built_without_evidence_and_remedy(
    status: Status, evidence: tuple[Evidence, ...], remedy: Remedy | None
) -> None:
    with pytest.raises(ValueError, match="needs evidence and a remedy"):
        Finding(status, Message("the bucket does not exist"), evidence, remedy)


@pytest.mark.parametrize("status", [Status.FAIL, Status.WARN])
def test_with_both_it_can(status: Status) -> None:
    assert Finding(status, Message("the bucket does not exist"), (PROOF,), REMEDY).status is status


def test_a_finding_cannot_be_changed_into_a_fault() -> None:
    found = Finding(Status.PASS, Message("all is well"))
    with pytest.raises(AttributeError):
        found.status = Status.FAIL  # type: ignore[misc]


def test_a_check_that_raises_is_a_crash_of_its_own() -> None:
    def raises(case: Case) -> Finding:
        raise KeyError("name")

    check = registry.Check("made_up", Link.UPLOAD, (), (), "", raises)
    found = registry.run(Case(examples("bucket_missing")[0].case.profile, ()), [check])[0]
    assert found.status is Status.CRASH and "'made_up' crashed" in str(found.message)
    assert found.check == "made_up" and found.link is Link.UPLOAD


def test_claims_are_no_evidence() -> None:
    claim = seen("storage.error", Witness.CLAIMED, message="Bucket not found", code="NoSuchBucket")
    assert look("bucket_missing", Case(examples("bucket_missing")[0].case.profile, (claim,))).status is Status.UNKNOWN
