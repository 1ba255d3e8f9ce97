"""Serves an ASGI app on an address of this machine, in a thread or until it is told to stop."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from diagnose.errors import PortTaken
from diagnose.model import Phrase

if TYPE_CHECKING:
    import uvicorn

LOOPBACK = "127.0.0.1"
_START_SECONDS = 20.0


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. Raises PortTaken."""
    if not host:
        raise PortTaken("--host is empty; give an address of this machine")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with its protocol named, asyncio sends small answers at once; else each waits 40 ms for the one before
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share the port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(1024)
    except (OSError, UnicodeError, TypeError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or error
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        raise PortTaken(
            Phrase(
                "cannot listen on {host}:{port}: {reason}{hint}",
                host=host,
                port=port,
                reason=reason,
                hint=_holder(port) if taken else "; give another --host or --port",
            )
        ) from None
    return bound


def _holder(port: int) -> str:
    """Who listens on a port, as far as this user may know."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            here = connection.laddr and connection.laddr.port == port
            if here and connection.status == psutil.CONN_LISTEN and connection.pid:
                process = psutil.Process(connection.pid)
                command = " ".join(process.cmdline())[:120]
                return (
                    f"; it is held by {process.name()}, pid {process.pid}: {command}. Stop it, or give another --port"
                )
    return "; give another --port"


def address(bound: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server(app: Any, grace: int = 5) -> uvicorn.Server:
    """A server of this app; its loggers are left as they are. What is under way when it stops has `grace` seconds to end."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_config=None,
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=grace,
        ws="none",
    )
    return uvicorn.Server(config)


@contextlib.contextmanager
def running(app: Any, enter: Callable[[], object] = lambda: None) -> Iterator[str]:
    """The app on a free port of the loopback, for as long as the block lasts; its URL.

    `enter` runs first in the server's thread, where context variables may be set for all that it serves.
    """
    bound = listen(LOOPBACK, 0)
    held = server(app, grace=1)

    def serve() -> None:
        enter()
        held.run(sockets=[bound])

    thread = threading.Thread(target=serve, daemon=True, name="server")
    thread.start()
    until = time.monotonic() + _START_SECONDS
    while not held.started:
        if not thread.is_alive() or time.monotonic() > until:
            raise RuntimeError("the server did not start")
        time.sleep(0.005)
    try:
        yield address(bound)
    finally:
        held.should_exit = True
        thread.join(_START_SECONDS)
        bound.close()
