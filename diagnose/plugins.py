"""Checks that somebody else wrote: finds them, loads them, and lets none of them break an answer.

They are found in two places. An installed distribution names them in its entry points of the group `diagnose.checks`,
each of which is a module with the manners of a file of `checks/`. A folder that the user names (`--checks`,
`DIAGNOSE_CHECKS`) holds them as `*.py` files, which are imported under a private name; a file that begins with `_` is a
helper, which the others import relatively. Nothing is ever loaded from the current folder or from evidence.

Entry points are read from the distributions' own files, as the packaging specification has them (packaging.python.org,
"Entry points specification", read November 2026): `importlib.metadata` costs more to import than a whole answer.
Distributions in zip files, and those of import hooks, are not seen.

What a plugin does is held as far as one process can hold it: it is given its own copy of the case, what it prints goes to
standard error, what it raises is caught (`sys.exit` too, Ctrl-C not), and after `DEADLINE` seconds it is interrupted. That
takes a signal, so on Windows and outside the main thread (a server's, a Dask worker's) nothing interrupts it; nor does
anything stop code that ends the process or changes this program's own modules.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import replace
from typing import Any, NamedTuple

from diagnose.model import FAULTS, Case, Evidence, Finding, Link, Message, Remedy, Status, Witness

GROUP = "diagnose.checks"
VARIABLE = "DIAGNOSE_CHECKS"
"""Names the folder of checks; worker processes inherit it."""
DEADLINE = 10.0
"""Seconds that one check may take for one case, or to be imported."""
MOST = 500
"""Checks that are loaded from one folder."""
_LONGEST_LIST = 200_000
"""Bytes of a list of entry points that are read."""
_LONGEST_PAGE = 100_000
_DEEPEST = 60
_LONGEST_ID = 64
_PACKAGE = "_diagnose_checks"
STATUSES = (Status.PASS, *FAULTS, Status.NOTE, Status.UNKNOWN, Status.NOT_APPLICABLE)
"""What a check can come to by itself."""


class Named(NamedTuple):
    """A check by its name, before it is loaded."""

    id: str
    origin: str
    """Where it comes from, for people: a file, or an entry point with its distribution."""
    target: str
    """The module, and what of it, as an entry point writes it."""


class Declared(NamedTuple):
    """What a check says of itself."""

    id: str
    origin: str
    link: Link
    because: tuple[str, ...]
    reads: tuple[str, ...]
    page: str
    look: Callable[[Case], Finding]


class Broken(NamedTuple):
    """A check that cannot be used."""

    id: str
    origin: str
    error: str


class Fault(Exception):
    """What a plugin did wrong, in one line that is masked and short."""


class TooLong(Fault):
    """It did not end in time."""


class _Overrun(BaseException):
    """The deadline of a plugin has passed. No Exception, so that a plugin's own `except` lets it through."""


def is_id(name: str) -> bool:
    """Whether a name can be a check's id."""
    plain = name.isascii() and name.isidentifier() and name == name.lower()
    return plain and name[0] != "_" and len(name) <= _LONGEST_ID


def safe_id(name: str, taken: Mapping[str, object]) -> str:
    """An id like a name, which nobody else has."""
    kept = "".join(each if each.isascii() and each.isalnum() else "_" for each in name.lower()[:48])
    wanted = kept.strip("_") or "plugin"
    wanted = wanted if wanted[0].isalpha() else f"plugin_{wanted}"
    if wanted in taken:
        wanted = f"{wanted}_plugin"
    number, free = 1, wanted
    while free in taken:
        number += 1
        free = f"{wanted}_{number}"
    return free


# --- where they are ---------------------------------------------------------------------------------------------------


def installed() -> list[Named]:
    """The entry points of the group, by distribution and in the order of their names."""
    found: list[Named] = []
    seen: set[str] = set()
    library = os.path.dirname(os.__file__)  # noqa: PTH120 - of a few microseconds
    for folder in _search_path():
        if folder == library or folder.endswith((".zip", "lib-dynload")):
            continue  # Python's own
        try:
            with os.scandir(folder) as listed:
                names = sorted(e.name for e in listed if e.name.endswith((".dist-info", ".egg-info")))
        except OSError:
            continue
        for name in names:
            distribution = name.partition("-")[0].removesuffix(".egg-info").replace("_", "-").replace(".", "-").lower()
            if distribution in seen:
                continue
            seen.add(distribution)
            text = _read(f"{folder}/{name}/entry_points.txt")
            if GROUP.encode() in text:
                found += _listed(text.decode("utf-8", "replace"), distribution)
    return found


def _read(path: str) -> bytes:
    """A small file; nothing where there is none. There are a hundred of them, so it is asked of the system itself."""
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return b""
    try:
        return os.read(file, _LONGEST_LIST)
    except OSError:
        return b""
    finally:
        os.close(file)


def _search_path() -> list[str]:
    """Where imports are looked for, but for the current folder, which `python -m` puts first."""
    return [folder for place, folder in enumerate(sys.path) if folder and not (place == 0 and _is_here(folder))]


def _is_here(folder: str) -> bool:
    try:
        return os.path.samefile(folder, ".")  # noqa: PTH121 - of a few microseconds
    except OSError:
        return False


def _listed(text: str, distribution: str) -> list[Named]:
    found: dict[str, Named] = {}
    inside = False
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            inside = line == f"[{GROUP}]"
        elif inside and "=" in line and line[0] not in "#;":
            name, _, target = line.partition("=")
            target = target.partition("[")[0].strip()
            found[name.strip()] = Named(name.strip(), f"{distribution} ({target})", target)
    return [found[name] for name in sorted(found)]


def in_folder(folder: str) -> list[Named]:
    """The checks of a folder, in the order of their names. Raises OSError where it cannot be listed."""
    names = sorted(
        name.removesuffix(".py")
        for name in os.listdir(folder)  # noqa: PTH208 - names are all that is wanted
        if name.endswith(".py") and not name.startswith(("_", "."))
    )
    return [Named(name, f"{folder}/{name}.py", "") for name in names[:MOST]]


# --- loading ----------------------------------------------------------------------------------------------------------


def load(named: Named, folder: str | None) -> Declared | Broken:
    """What a check declares; `folder` is where it stands, None for an entry point. Raises KeyboardInterrupt alone."""
    try:
        if not is_id(named.id):
            raise Fault("its name is no id: small letters, digits and '_', a letter first")
        module = held(lambda: _imported(named, folder))
        return _declared(named, module)
    except Fault as fault:
        return Broken(named.id, named.origin, str(fault))


def _imported(named: Named, folder: str | None) -> Any:
    import importlib
    from types import ModuleType

    before, writes = list(sys.path), sys.dont_write_bytecode
    sys.path[:] = _search_path()
    try:
        if folder is None:
            module, _, inner = named.target.partition(":")
            found: Any = importlib.import_module(module.strip())
            for name in filter(None, inner.strip().split(".")):
                found = getattr(found, name)
            return found
        sys.dont_write_bytecode = True  # the folder is somebody else's
        package = sys.modules.get(_PACKAGE)
        if package is None or list(package.__path__) != [folder]:
            for name in [n for n in sys.modules if n.startswith(f"{_PACKAGE}.")]:
                del sys.modules[name]
            package = ModuleType(_PACKAGE)
            package.__path__ = [folder]
            sys.modules[_PACKAGE] = package
            importlib.invalidate_caches()
        return importlib.import_module(f"{_PACKAGE}.{named.id}")
    finally:
        added = [each for each in sys.path if each not in before]
        sys.path[:] = [*before, *added]
        sys.dont_write_bytecode = writes


def _declared(named: Named, module: Any) -> Declared:
    def told(name: str) -> Any:
        value = getattr(module, name, None)
        if value is None:
            raise Fault(f"it declares no `{name}`" if name != "__doc__" else "it has no docstring, which is its page")
        return value

    def texts(name: str) -> tuple[str, ...]:
        value = told(name)
        if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
            raise Fault(f"its `{name}` is no tuple of strings")
        return tuple(value)

    page, look = told("__doc__"), told("look")
    try:
        link = Link(told("link"))
    except ValueError:
        raise Fault(f"its `link` is none of {', '.join(Link)}") from None
    if not isinstance(page, str) or not page.strip():
        raise Fault("it has no docstring, which is its page")
    if not callable(look):
        raise Fault("its `look` is no function")
    return Declared(named.id, named.origin, link, texts("because"), texts("reads"), shown(page), look)


def shown(page: str) -> str:
    """A page without what commands a terminal."""
    return "".join(each for each in page[:_LONGEST_PAGE] if each.isprintable() or each in "\n\t")


# --- running ----------------------------------------------------------------------------------------------------------


_given_up: dict[str, str] = {}
"""Checks that did not end in time: a history would wait for each of its shapes."""


def looked(look: Callable[[Case], Finding], case: Case, name: str) -> Finding:
    """A plugin's finding on its own copy of a case. Raises Fault for whatever goes wrong with it."""
    if name in _given_up:
        raise Fault(_given_up[name])
    own = Case(
        replace(case.profile, payload=_copied(dict(case.profile.payload))),
        tuple(Evidence(e.kind, e.source, e.witness, _copied(dict(e.fields))) for e in case.evidence),
        case.subject,
    )
    # what it returns can be made of objects of its own, whose methods then run as well
    try:
        finding: Finding = held(lambda: _checked(look(own)))
    except TooLong as fault:
        _given_up[name] = str(fault)
        raise
    return finding


def held(run: Callable[[], Any]) -> Any:
    """What `run` returns; what it prints goes to standard error. Raises Fault for all that it raises, KeyboardInterrupt as it is."""
    try:
        with _silenced(), redirect_stdout(sys.stderr), _deadline(DEADLINE):
            return run()
    except (KeyboardInterrupt, Fault):
        raise
    except _Overrun:
        raise TooLong(f"it was not done after {DEADLINE:g} seconds") from None
    except BaseException as error:
        raise Fault(in_words(error)) from None


def short(text: str) -> str:
    """A text of somebody else's for a message of ours: masked, then cut."""
    from diagnose import mask

    return mask.cut(text, 300)


def in_words(error: BaseException) -> str:
    """An error in one short text."""
    try:
        text = str(error)
    except Exception:
        text = "(its message cannot be read)"
    name = "SystemExit: it called sys.exit" if isinstance(error, SystemExit) else type(error).__name__
    return short(f"{name}: {text}" if text else name)


@contextmanager
def _silenced() -> Iterator[None]:
    """Standard output itself leads to standard error, for what a plugin's own processes and libraries write.

    The descriptor belongs to all threads, so a server's are left alone: theirs could have something to say meanwhile.
    """
    import threading

    kept = -1
    if threading.current_thread() is threading.main_thread() and threading.active_count() == 1:
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
            nowhere = -1 if sys.stderr is not None else os.open(os.devnull, os.O_WRONLY)
            kept = os.dup(1)
            os.dup2(2 if nowhere < 0 else nowhere, 1)
            if nowhere >= 0:
                os.close(nowhere)
    try:
        yield
    finally:
        if kept >= 0:
            with suppress(OSError, ValueError, AttributeError):
                if sys.__stdout__ is not None:
                    sys.__stdout__.flush()
            os.dup2(kept, 1)
            os.close(kept)


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Interrupts what runs longer, where a signal can."""
    import signal
    import threading

    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    armed = True

    def over(*_: object) -> None:
        if armed:
            raise _Overrun

    before = signal.signal(signal.SIGALRM, over)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)  # again and again: a bare `except` can swallow the first
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _copied(value: Any, depth: int = 0) -> Any:
    """A value of JSON's kinds that shares nothing which could be changed; what is nested too deeply is left out."""
    if depth > _DEEPEST:
        return None
    if isinstance(value, Mapping):
        return {key: _copied(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return (
            type(value)(_copied(inner, depth + 1) for inner in value) if type(value) in (list, tuple) else list(value)
        )
    return value


def _checked(finding: Any) -> Finding:
    """A finding that every renderer can show. Raises Fault."""
    if not isinstance(finding, Finding):
        raise Fault(f"`look` returned {_a(finding)} and no Finding")
    if finding.status not in STATUSES:
        raise Fault("the status of its finding is none that a check can come to")
    if not isinstance(finding.evidence, (list, tuple)):
        raise Fault("the evidence of its finding is no tuple")
    remedy = finding.remedy
    if remedy is not None:
        if not isinstance(remedy, Remedy) or not isinstance(remedy.steps, (list, tuple)):
            raise Fault("the remedy of its finding is no Remedy")
        if not isinstance(remedy.command, (str, type(None))):
            raise Fault("the command of its remedy is no text")
        values = _values(remedy.values)
        for text in (remedy.title, *remedy.steps):
            _said(text, values)
        remedy = Remedy(remedy.title, tuple(remedy.steps), remedy.command, bool(remedy.safe), values)
    message = finding.message
    if not isinstance(message, Message):
        raise Fault("the message of its finding is no Message")
    values = _values(message.values)
    _said(message.template, values)
    return Finding(
        Status(finding.status),
        Message(message.template, values),
        tuple(_evidence(each) for each in finding.evidence),
        remedy,
        bool(finding.symptom),
    )


def _said(text: object, values: Mapping[str, object]) -> None:
    if not isinstance(text, str):
        raise Fault("a text of its finding is no text")
    if values:
        text.format_map(values)


def _values(values: object) -> dict[str, object]:
    if not isinstance(values, Mapping):
        raise Fault("the values of a text of its finding are no mapping")
    plain: dict[str, object] = {}
    for name, value in values.items():
        kept = value if isinstance(value, (str, Message)) or type(value) in (int, float, bool) else str(value)
        plain[str(name)] = kept
    return plain


def _evidence(evidence: object) -> Evidence:
    if not isinstance(evidence, Evidence) or not isinstance(evidence.fields, Mapping):
        raise Fault("its finding holds evidence that is no Evidence")
    if not isinstance(evidence.kind, str) or not isinstance(evidence.source, str):
        raise Fault("the kind or the source of its evidence is no text")
    try:
        witness = Witness(evidence.witness)
    except ValueError:
        raise Fault("the witness of its evidence has no rank") from None
    return Evidence(evidence.kind, evidence.source, witness, _plain(evidence.fields))


def _plain(value: Any, depth: int = 0) -> Any:
    """A value of JSON's kinds."""
    if depth > _DEEPEST:
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner, depth + 1) for inner in value]
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)


def _a(value: object) -> str:
    with suppress(Exception):
        return f"a value of type {type(value).__name__}"
    return "something"
