"""Finds the checks and runs them. The only door to the `checks` folder, and to the checks of others."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from diagnose import plugins
from diagnose.errors import UnknownName
from diagnose.model import CHAIN, Case, Finding, Link, Message, Phrase, Status
from diagnose.siblings import sibling


class Check(NamedTuple):
    """One file of `checks/`, or a plugin's."""

    id: str
    link: Link
    because: tuple[str, ...]
    """Checks whose fault would explain this one's."""
    reads: tuple[str, ...]
    """The fields of a prompt-log entry it looks at, dotted."""
    page: str
    """Its docstring: the first line is the fault, stated as a fact."""
    look: Callable[[Case], Finding]
    plugin: str = ""
    """Where a check that is not ours comes from: a file, or an entry point."""

    @property
    def fault(self) -> str:
        """The fault in one line."""
        return self.page.strip().splitlines()[0]


UNUSABLE = Phrase("This plugin cannot be used.")
"""The first line of the page of a plugin that could not be loaded; why stands below it."""


def use(folder: Path) -> None:
    """Let the checks of a folder stand beside ours, in this process and in those that it starts.

    Raises UnknownName where there is no such folder.
    """
    if not folder.is_dir():
        raise UnknownName(Phrase("--checks '{folder}': there is no such folder", folder=str(folder)))
    os.environ[plugins.VARIABLE] = str(folder.resolve())
    refresh()


def folder() -> str:
    """The folder of checks that is in use; empty for none."""
    named = os.environ.get(plugins.VARIABLE, "")
    return os.path.abspath(named) if named else ""  # noqa: PTH100 - Path.resolve would be asked for every answer


def refresh() -> None:
    """Look for checks again."""
    checks.cache_clear()
    by_id.cache_clear()


@cache
def checks() -> tuple[Check, ...]:
    """Every check, in the order of the chain; within a link, causes before what they explain."""
    home = sibling("checks")
    names = sorted(file.stem for file in Path(str(home.__file__)).parent.glob("[a-z]*.py"))
    found = {name: _check(name, importlib.import_module(f"checks.{name}")) for name in names}
    _add_plugins(found)
    order = list(Link)
    return tuple(sorted(found.values(), key=lambda check: (order.index(check.link), len(check.because), check.id)))


def _check(name: str, module: ModuleType) -> Check:
    return Check(name, module.link, module.because, module.reads, module.__doc__ or "", module.look)


def _add_plugins(found: dict[str, Check]) -> None:
    """Add the checks of others. One that cannot be used is there as well, and says so in every answer."""
    place = folder()
    loaded = [plugins.load(named, None) for named in plugins.installed()]
    if place:
        try:
            loaded += [plugins.load(named, place) for named in plugins.in_folder(place)]
        except OSError as error:
            loaded.append(plugins.Broken(plugins.VARIABLE, place, error.strerror or str(error)))
    for each in loaded:
        if isinstance(each, plugins.Declared) and each.id in found:
            owner = found[each.id].plugin or "diagnose"
            each = plugins.Broken(each.id, each.origin, f"{owner} has a check of this name already")
        check = _broken(each, found) if isinstance(each, plugins.Broken) else _of_plugin(each)
        found[check.id] = check
    for check in [check for check in found.values() if check.plugin]:
        strange = [name for name in check.because if name not in found]
        if strange:
            why = Phrase("its `because` names a check that does not exist: {names}", names=", ".join(strange))
            broken = plugins.Broken(check.id, check.plugin, plugins.short(why))
            del found[check.id]
            found[check.id] = _broken(broken, found)


def _of_plugin(told: plugins.Declared) -> Check:
    return Check(told.id, told.link, told.because, told.reads, told.page, told.look, told.origin)


def _broken(told: plugins.Broken, taken: dict[str, Check]) -> Check:
    def look(_: Case) -> Finding:
        raise plugins.Fault(told.error)

    page = plugins.shown(f"{UNUSABLE}\n\n{told.origin}: {told.error}")
    return Check(plugins.safe_id(told.id, taken), Link.ENVIRONMENT, (), (), page, look, told.origin)


@cache
def by_id() -> dict[str, Check]:
    """The checks by their id."""
    return {check.id: check for check in checks()}


def run(case: Case, wanted: Iterable[Check] | None = None) -> tuple[Finding, ...]:
    """Every check's finding on a case; a check that raises yields a crash, which is its own fault."""
    return tuple(_look(check, case) for check in (checks() if wanted is None else wanted))


def _look(check: Check, case: Case) -> Finding:
    if check.plugin:
        return _look_of_plugin(check, case)
    try:
        finding = check.look(case)
    except Exception as error:
        values = {"check": check.id, "error": plugins.in_words(error)}
        finding = Finding(Status.CRASH, Message("the check '{check}' crashed: {error}", values))
    return replace(finding, check=check.id, link=check.link)


def _look_of_plugin(check: Check, case: Case) -> Finding:
    """A plugin's finding. Its crash stands beside the chain: it must not make a link look unseen, nor be a suspect."""
    try:
        return replace(plugins.looked(check.look, case, check.id), check=check.id, link=check.link)
    except plugins.Fault as fault:
        values = {"check": check.id, "plugin": check.plugin, "error": str(fault)}
        said = Message("the check '{check}' of the plugin {plugin} crashed: {error}", values)
        return Finding(Status.CRASH, said, check=check.id, link=Link.ENVIRONMENT)


def in_chain(check: str) -> bool:
    """Whether the check stands in the chain, and not beside it."""
    return by_id()[check].link in CHAIN
