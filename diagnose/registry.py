"""Finds the checks and runs them. The only door to the `checks` folder."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from diagnose.model import CHAIN, Case, Finding, Link, Message, Status
from diagnose.siblings import sibling


class Check(NamedTuple):
    """One file of `checks/`."""

    id: str
    link: Link
    because: tuple[str, ...]
    """Checks whose fault would explain this one's."""
    reads: tuple[str, ...]
    """The fields of a prompt-log entry it looks at, dotted."""
    page: str
    """Its docstring: the first line is the fault, stated as a fact."""
    look: Callable[[Case], Finding]

    @property
    def fault(self) -> str:
        """The fault in one line."""
        return self.page.strip().splitlines()[0]


@cache
def checks() -> tuple[Check, ...]:
    """Every check, in the order of the chain; within a link, causes before what they explain."""
    folder = sibling("checks")
    names = sorted(file.stem for file in Path(str(folder.__file__)).parent.glob("[a-z]*.py"))
    found = [_check(name, importlib.import_module(f"checks.{name}")) for name in names]
    order = list(Link)
    return tuple(sorted(found, key=lambda check: (order.index(check.link), len(check.because), check.id)))


def _check(name: str, module: ModuleType) -> Check:
    return Check(name, module.link, module.because, module.reads, module.__doc__ or "", module.look)


@cache
def by_id() -> dict[str, Check]:
    """The checks by their id."""
    return {check.id: check for check in checks()}


def run(case: Case, wanted: Iterable[Check] | None = None) -> tuple[Finding, ...]:
    """Every check's finding on a case; a check that raises yields a crash, which is its own fault."""
    return tuple(_look(check, case) for check in (checks() if wanted is None else wanted))


def _look(check: Check, case: Case) -> Finding:
    try:
        finding = check.look(case)
    except Exception as error:
        values = {"check": check.id, "error": f"{type(error).__name__}: {error}"[:200]}
        finding = Finding(Status.CRASH, Message("the check '{check}' crashed: {error}", values))
    return replace(finding, check=check.id, link=check.link)


def in_chain(check: str) -> bool:
    """Whether the check stands in the chain, and not beside it."""
    return by_id()[check].link in CHAIN
