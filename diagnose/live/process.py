"""Looks at who listens on a port of this machine: which processes, since when, from which folder. Nothing is stopped.

What another user owns, or a container hides, is not known and is None.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from diagnose.live.ask import Silence, origin

MAX_LISTENERS = 64
_SECRET = re.compile(r"(--?[\w-]{0,40}(?:pass|passwd|password|pwd|token|secret|key)[ =]|\s-[kp][ =]?)\S+", re.I)
"""What an option of a command holds that is nobody else's business."""
MAX_COMMAND = 300
_ANYWHERE = ("0.0.0.0", "::", "::ffff:0.0.0.0")  # noqa: S104 - compared, not bound
_HERE = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
_FORWARDERS = ("docker-proxy", "rootlessport", "com.docker.backend")
"""Programs that hold a port for a container, one for each address: together they are one backend."""
_WORKER = re.compile(r"multiprocessing[.\-](?:spawn|fork)")
"""How Python starts a worker that stands for its parent: reloaders and server workers."""
_SERVERS = ("uvicorn", "gunicorn", "hypercorn", "granian", "daphne", "fastapi", "flask", "waitress-serve")
_APP = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*(?:\(\))?")
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*w?", re.I)


class Socket(NamedTuple):
    """A socket that listens, and a process that holds it, where that is known."""

    host: str
    port: int
    pid: int | None
    descriptor: int

    @property
    def address(self) -> str:
        """As it is written in an address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Process:
    """What is known of a process."""

    pid: int
    command: tuple[str, ...] | None = None
    folder: str | None = None
    """Where it works; None too where that is a folder of a container."""
    started: float | None = None
    ancestors: tuple[int, ...] = ()
    parent_command: tuple[str, ...] | None = None
    variables: Mapping[str, str] | None = field(default=None, repr=False)
    """Those it was started with; what it loaded from files since is not among them."""

    @property
    def line(self) -> str | None:
        """Its command in one line."""
        return _SECRET.sub(r"\1<hidden>", " ".join(self.command))[:MAX_COMMAND] if self.command else None


@dataclass(frozen=True, slots=True)
class Listener:
    """One process on one address, with those that are one backend with it."""

    address: str
    process: Process | None
    family: tuple[int, ...] = ()
    entry: str | None = None
    """The script or `module:app` that its family's command names."""
    module: str | None = None
    """The file that this leads to, where there is one."""


def look(url: str) -> tuple[Listener, ...] | Silence:
    """Who listens where this address leads. Never raises."""
    place = origin(url)
    if place is None:
        return Silence("unsendable", "it is not an http(s) address")
    try:
        return _listeners(place[1], place[2])
    except ImportError:
        return Silence("broken", "psutil is not installed, so that processes cannot be seen")
    except Exception as error:  # psutil reads what other systems change under its hands
        return Silence("broken", f"who listens could not be seen ({type(error).__name__})")


def _listeners(host: str, port: int) -> tuple[Listener, ...]:
    sockets = [s for s in _sockets(port) if s.host in (host, *_ANYWHERE, *_HERE) or host in _ANYWHERE][:MAX_LISTENERS]
    sharing = _sharing(sockets)
    known: dict[int, Process] = {}
    for pid in {pid for pids in sharing.values() for pid in pids}:
        known[pid] = _process(pid)
    families = _families(known, sharing.values())
    found: dict[tuple[str, int | None], Listener] = {}
    for socket in sorted(sockets, key=lambda s: (s.host, s.pid or 0)):
        if not sharing[socket]:
            found[socket.address, None] = Listener(socket.address, None)
        for pid in sorted(sharing[socket]):
            family = families[pid]
            entry, module = _code([known[pid], *(known[other] for other in family if other != pid)])
            found[socket.address, pid] = Listener(socket.address, known[pid], family, entry, module)
    return tuple(found.values())[:MAX_LISTENERS]


def _sockets(port: int) -> list[Socket]:
    import psutil

    try:
        found = [(c, c.pid) for c in psutil.net_connections("tcp")]
    except psutil.AccessDenied:  # some systems show each process its own alone
        found = [(c, pid) for pid in psutil.pids() for c in _connections(pid)]
    listening = [(c, pid) for c, pid in found if c.status == psutil.CONN_LISTEN]
    return [Socket(c.laddr.ip, port, pid, c.fd) for c, pid in listening if c.laddr and c.laddr.port == port]


def _connections(pid: int) -> Sequence[Any]:
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        return psutil.Process(pid).net_connections("tcp")
    return ()


def _sharing(sockets: Sequence[Socket]) -> dict[Socket, set[int]]:
    """Every process that holds each socket: a list of connections names only one of those that share it."""
    import psutil

    held: dict[Socket, set[int]] = {s: set() if s.pid is None else {s.pid} for s in sockets}
    links: dict[str, Socket] = {}
    for socket in sockets:
        with contextlib.suppress(OSError):  # elsewhere than on Linux there is no such folder
            links[str(Path(f"/proc/{socket.pid}/fd/{socket.descriptor}").readlink())] = socket
    for pid in psutil.pids() if links else ():
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - there are thousands
                with contextlib.suppress(OSError):
                    shared = links.get(os.readlink(f"/proc/{pid}/fd/{name}"))  # noqa: PTH115
                    if shared is not None:
                        held[shared].add(pid)
    if not links:  # there a worker is known by the process that started it
        for pids in held.values():
            for pid in tuple(pids):
                pids.update(_workers(pid))
    return held


def _workers(pid: int) -> Iterator[int]:
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for child in psutil.Process(pid).children():
            with contextlib.suppress(psutil.Error, OSError):
                if _WORKER.search(" ".join(child.cmdline())):
                    yield child.pid


def _process(pid: int) -> Process:
    """What may be known of a process; each part by itself, for each can be denied."""
    import psutil

    known: dict[str, Any] = {}
    try:
        process = psutil.Process(pid)
    except (psutil.Error, OSError):
        return Process(pid)
    asked = {
        "command": lambda: tuple(process.cmdline()) or None,
        "folder": lambda: process.cwd() or None if _same_root(pid) else None,
        "started": process.create_time,
        "ancestors": lambda: tuple(p.pid for p in process.parents()),
        "parent_command": lambda: tuple(parent.cmdline()) if (parent := process.parent()) is not None else None,
        "variables": process.environ,
    }
    for name, ask in asked.items():
        with contextlib.suppress(psutil.Error, OSError, ValueError, NotImplementedError, AttributeError):
            known[name] = ask()
    return Process(pid, **known)


def _same_root(pid: int) -> bool:
    """Whether a process sees the same files as this one; one in a container names folders of its own."""
    try:
        return Path(f"/proc/{pid}/root/").samefile("/")
    except FileNotFoundError:
        return True  # no Linux
    except OSError:
        return False


def _families(known: Mapping[int, Process], shared: Iterable[set[int]]) -> dict[int, tuple[int, ...]]:
    """Which processes are one backend: they share a socket, one started the other, or one parent's workers they are."""
    heads = {pid: pid for pid in known}

    def head(pid: int) -> int:
        while heads.setdefault(pid, pid) != pid:
            pid = heads[pid]
        return pid

    def join(one: int, two: int) -> None:
        heads[head(one)] = head(two)

    for pids in shared:
        for pid in pids:
            join(pid, min(pids))
    forwarders = [p.pid for p in known.values() if p.command and Path(p.command[0]).name in _FORWARDERS]
    for pid in forwarders:
        join(pid, forwarders[0])
    for process in known.values():
        for ancestor in process.ancestors:
            if ancestor in known:
                join(process.pid, ancestor)
        if process.ancestors and _is_worker(process):
            join(process.pid, process.ancestors[0])
    return {pid: tuple(sorted(other for other in known if head(other) == head(pid))) for pid in known}


def _is_worker(process: Process) -> bool:
    """Whether a process was split off its parent: it has the parent's command, or says that it is a worker."""
    command = process.command
    if not command:
        return False
    return command == process.parent_command or bool(_WORKER.search(" ".join(command)))


# --- the code a command names -----------------------------------------------------------------------------------------


def _code(family: Sequence[Process]) -> tuple[str | None, str | None]:
    """What the command of a family's first telling member starts, and the file this leads to."""
    for process in family:
        entry, within = entry_of(process.command or ())
        if entry is not None:
            return entry[:MAX_COMMAND], _file(entry, within, process.folder)
    return None, None


def entry_of(command: Sequence[str]) -> tuple[str | None, str | None]:
    """The script or `module:app` that a command starts, and the folder it is told to look in."""
    if not command:
        return None, None
    titled = re.match(r"gunicorn: \w+ \[(.+?)\]", command[0])
    if titled is not None:
        return titled[1], None
    name, rest = _stem(command[0]), list(command[1:])
    script: str | None = None
    if _PYTHON.fullmatch(name):
        while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c"):
            rest = rest[2:] if rest[0] in ("-W", "-X") else rest[1:]
        if not rest or rest[0] == "-c":
            return None, None
        script = None if rest[0] == "-m" else rest[0]
        rest = rest[1:] if rest[0] == "-m" else rest
        name, rest = (_stem(rest[0]) if script else rest[0], rest[1:]) if rest else ("", [])
    if name in _SERVERS:
        app = next((a for a in rest if _APP.fullmatch(a) or (name == "fastapi" and a.endswith(".py"))), None)
        return app, _option(rest, "--app-dir", "--chdir", "--pythonpath", "-d" if name == "uvicorn" else "--app-dir")
    if script is None and not _PYTHON.fullmatch(_stem(command[0])):
        return None, None
    return script or name or None, None


def _stem(path: str) -> str:
    name = re.split(r"[/\\]", path)[-1]
    return name[:-4] if name.lower().endswith(".exe") else name


def _option(arguments: Sequence[str], *names: str) -> str | None:
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument in names:
            return following or None
        name, _, value = argument.partition("=")
        if name in names and value:
            return value
    return None


def _file(entry: str, within: str | None, folder: str | None) -> str | None:
    """The Python file an entry leads to from a working folder, every link followed."""
    if folder is None and not Path(entry).is_absolute():
        return None
    base = Path(folder or "/") / (within or "")
    if entry.endswith(".py"):
        places = [base / entry]
    elif "/" in entry or "\\" in entry:
        return None  # an installed program
    else:
        path = base.joinpath(*entry.partition(":")[0].split("."))
        places = [path.with_name(f"{path.name}.py"), path / "__main__.py", path / "__init__.py"]
    for place in places:
        with contextlib.suppress(OSError, ValueError):
            if place.is_file():
                return os.path.realpath(place)
    return None
