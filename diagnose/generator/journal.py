"""Keeps the backend's log: its own events, and what the HTTP client and the server print of theirs.

Whoever serves a request says so once, in a context variable; from then on every line carries the request's id, also those
of libraries that know nothing of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import datetime
from typing import Literal, Protocol, TextIO

from diagnose.generator import events
from diagnose.generator.records import Line, phrase, words

Form = Literal["plain", "json"]
RELAYED = ("httpx", "uvicorn.error", "uvicorn.access")
"""The loggers of others whose lines tell of a generation."""

_UNSAFE = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_INERT = {code: repr(chr(code))[1:-1] for code in _UNSAFE if chr(code) not in "\n\t"}
"""Whoever reads the log must not be commanded by it, nor shown lines that are none."""
TOLD = 2000
"""Lines of one request that are kept while it is under way."""

_serving: ContextVar[tuple[Journal, str | None] | None] = ContextVar("serving", default=None)


class Sink(Protocol):
    """Takes bytes: a file without a buffer, or memory."""

    def write(self, data: bytes, /) -> int:
        """Takes as many as it can, or raises OSError; how many."""


class Journal:
    """Writes log lines, the lines of an event in one write, so that those of two requests interleave whole.

    A log that cannot be written stops no request: its lines go to the terminal, and `trouble` says why.
    """

    def __init__(
        self, stream: Sink, clock: Callable[[], datetime], form: Form = "plain", echo: TextIO | None = None
    ) -> None:
        self.trouble: str | None = None
        self._stream = stream
        self._clock = clock
        self._form = form
        self._echo = echo
        self._lock = threading.Lock()
        self._told: dict[str, list[str]] = {}
        self._cut = False

    def enter(self) -> None:
        """From here on, in this thread or task, lines belong to this journal."""
        relay()
        _serving.set((self, None))

    @contextlib.contextmanager
    def serving(self, request_id: str) -> Iterator[None]:
        """In this block lines belong to this request, and are kept."""
        relay()
        self._told[request_id] = []
        _serving.set((self, request_id))
        try:
            yield
        finally:
            del self._told[request_id]

    def told(self, request_id: str) -> str:
        """What was taken down of a request that is under way."""
        with self._lock:
            return "".join(self._told.get(request_id, ()))

    def __call__(self, event: events.Event, /) -> None:
        """Takes down one event."""
        serving = _serving.get()
        self.write(list(words(event)), serving[1] if serving else None)

    def write(self, lines: list[Line], request_id: str | None) -> None:
        """Takes down lines as they are."""
        text = "".join(self._worded(line, request_id) + "\n" for line in lines)
        with self._lock:
            kept = self._told.get(request_id or "")
            if kept is not None and len(kept) < TOLD:
                kept.append(text)
            try:
                self._put(text.encode("utf-8", "backslashreplace"))
            except (OSError, ValueError) as error:  # a full disk, or a stream that is closed already
                reason = getattr(error, "strerror", None) or str(error)
                if self.trouble != reason:
                    self._say(f"the log cannot be written: {reason}; its lines follow here\n")
                self.trouble = reason
                if self._echo is None:
                    self._say(text)
            if self._echo is not None:
                self._say(text)

    def _put(self, data: bytes) -> None:
        """Writes all of it; what a full disk cut off before is ended first, so that no two lines run into one."""
        left = b"\n" + data if self._cut else data
        self._cut = True
        while left:
            left = left[self._stream.write(left) :]
        self._cut = False

    def _say(self, text: str) -> None:
        try:
            (self._echo or sys.stderr).write(text)
        except (OSError, ValueError):  # whoever read the terminal has left
            self._echo = None

    def _worded(self, line: Line, request_id: str | None) -> str:
        time = self._clock()
        line = line._replace(text=line.text.translate(_INERT))
        if self._form == "plain":
            return f"{time.isoformat(' ', 'milliseconds')} {line.plain(request_id)}"
        record = {"asctime": time.isoformat(), "levelname": line.level, "name": line.logger, "message": line.text}
        return json.dumps({**record, "request_id": request_id} if request_id else record, ensure_ascii=False)


class _Relay(logging.Handler):
    """Carries what a library logs to the journal of whoever is being served."""

    def emit(self, record: logging.LogRecord) -> None:
        serving = _serving.get()
        raised = record.exc_info[1] if record.exc_info else None
        if serving is None or isinstance(raised, asyncio.CancelledError):  # a server that is stopped is no fault
            return
        text = record.getMessage()
        if record.name == "uvicorn.access" and isinstance(record.args, tuple):
            text += f" {phrase(record.args[-1])}"
        if raised is not None:
            text = "\n".join([text.rstrip(), "".join(traceback.format_exception(raised)).rstrip()])
        serving[0].write([Line(record.levelname, record.name, text)], serving[1])


_RELAY = _Relay()


def relay() -> None:
    """Listens to the libraries, once; their lines go nowhere else."""
    for name in RELAYED:
        logger = logging.getLogger(name)
        if _RELAY not in logger.handlers:
            logger.addHandler(_RELAY)
            logger.setLevel(logging.INFO)
            logger.propagate = False
