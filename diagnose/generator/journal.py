"""Keeps the backend's log: its own events, and what the HTTP client and the server print of theirs.

Whoever serves a request says so once, in a context variable; from then on every line carries the request's id, also those
of libraries that know nothing of it.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from http import HTTPStatus
from typing import Literal, Protocol, TextIO

from diagnose.generator import events
from diagnose.generator.records import Line, words

Form = Literal["plain", "json"]
RELAYED = ("httpx", "uvicorn.error", "uvicorn.access")
"""The loggers of others whose lines tell of a generation."""

_INERT = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
"""Whoever reads the log in a terminal must not be commanded by it."""

_serving: ContextVar[tuple[Journal, str | None] | None] = ContextVar("serving", default=None)


class Sink(Protocol):
    """Takes bytes: a file without a buffer, or memory."""

    def write(self, data: bytes, /) -> object:
        """Takes them all, or raises OSError."""


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

    def enter(self, request_id: str | None = None) -> None:
        """From here on, in this thread or task, lines belong to this journal and this request."""
        relay()
        _serving.set((self, request_id))

    def __call__(self, event: events.Event, /) -> None:
        """Takes down one event."""
        serving = _serving.get()
        self.write(list(words(event)), serving[1] if serving else None)

    def write(self, lines: list[Line], request_id: str | None) -> None:
        """Takes down lines as they are."""
        text = "".join(self._worded(line, request_id) + "\n" for line in lines).translate(_INERT)
        with self._lock:
            echo = self._echo
            try:
                self._stream.write(text.encode("utf-8", "backslashreplace"))
            except OSError as error:
                echo = echo or sys.stderr
                reason = error.strerror or str(error)
                if self.trouble != reason:
                    echo.write(f"the log cannot be written: {reason}; its lines follow here\n")
                self.trouble = reason
            if echo is not None:
                echo.write(text)

    def _worded(self, line: Line, request_id: str | None) -> str:
        time = self._clock()
        if self._form == "plain":
            return f"{time.isoformat(' ', 'milliseconds')} {line.plain(request_id)}"
        record = {"asctime": time.isoformat(), "levelname": line.level, "name": line.logger, "message": line.text}
        return json.dumps({**record, "request_id": request_id} if request_id else record, ensure_ascii=False)


class _Relay(logging.Handler):
    """Carries what a library logs to the journal of whoever is being served."""

    def emit(self, record: logging.LogRecord) -> None:
        serving = _serving.get()
        if serving is None:
            return
        text = record.getMessage()
        if record.name == "uvicorn.access" and isinstance(record.args, tuple):
            text += f" {_phrase(record.args[-1])}"
        if record.exc_info and record.exc_info[1] is not None:
            text = "\n".join([text.rstrip(), "".join(traceback.format_exception(record.exc_info[1])).rstrip()])
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


def _phrase(status: object) -> str:
    try:
        return HTTPStatus(int(str(status))).phrase
    except ValueError:
        return ""
