"""JSON as people paste it: with remarks, `...`, trailing commas, Python's quotes; and JSON standing in prose.

Strict JSON is tried first and costs what `json` costs. The tolerant reader keeps its own stack: nesting is
bounded without recursion, and what was whole inside something broken is neither lost nor read twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

DEPTH = 200
LIMIT = 256 * 1024 * 1024
_NEAR = 1024
_LONGEST_INTEGER = 4300  # beyond it Python refuses to convert


class NotJson(ValueError):
    """The text is not JSON, however tolerantly it is read."""

    def __init__(self, message: str, line: int, column: int, offset: int = 0, at_end: bool = False) -> None:
        super().__init__(f"{message} (line {line}, column {column})")
        self.message = message
        self.line = line
        self.column = column
        self.offset = offset
        """The character at which reading stopped."""
        self.at_end = at_end
        """The text ends before the value does."""


class Parsed(NamedTuple):
    """A value, and one note for each thing that strict JSON does not allow."""

    value: object
    notes: tuple[str, ...] = ()


class Block(NamedTuple):
    """A JSON object or array that stands in other text, `text[start:end]`; `line` counts from 1."""

    value: object
    start: int
    end: int
    line: int
    inner: bool = False
    """It stood inside another one, which is broken or not closed."""


def parse(text: str, limit: int = LIMIT) -> Parsed:
    """The value of a whole text. Raises NotJson and nothing else."""
    if len(text) > limit:
        raise NotJson(f"longer than {limit} characters", 1, 1)
    text = text.removeprefix("\ufeff")
    for strict in (True, False):
        try:
            value = json.loads(text, strict=strict)
        except (ValueError, RecursionError):
            continue
        if too_deep(value, text, 0, len(text)):
            break
        notes = () if strict else ("control characters in a string",)
        return Parsed(_without_lone_surrogates(value, text), notes)
    reader = _Reader(text)
    try:
        start = reader.skip(0)
        value, end = reader.read(start)
        end = reader.skip(end)
        if end < len(text):
            raise _Broken(end, "more text after the value")
    except _Broken as broken:
        raise _not_json(text, broken) from None
    return Parsed(_without_lone_surrogates(value, text), tuple(reader.notes))


def _not_json(text: str, broken: _Broken) -> NotJson:
    line_start = text.rfind("\n", 0, broken.at) + 1
    line = text.count("\n", 0, broken.at) + 1
    return NotJson(broken.message, line, broken.at - line_start + 1, broken.at, broken.at_end)


_OPENING = (
    r"""\{(?=\s*+(?:['“‘/.…#]|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"\s*+[:/#…]))"""
    r"""|\[(?=\s*+[\[{"'“‘/.…#\d\-tfnTFNI])"""
)


def blocks(text: str) -> Iterator[Block]:
    """Non-empty objects and arrays standing in prose or log lines, in order, in linear time."""
    reader = _Reader(text)
    opening = re.compile(_OPENING)
    pos, line, counted = 0, 1, 0
    while found := opening.search(text, pos):
        start = found.start()
        inner = True
        try:
            value, end = reader.strict(start, 0) or reader.read(start)
            whole = [(value, start, end)] if value and value != ["..."] else []
            inner = False
            pos = end
        except _Broken as broken:
            whole = broken.whole
            pos = max(start + 1, broken.resume)
        for value, first, last in whole:
            line += text.count("\n", counted, first)
            counted = first
            yield Block(_without_lone_surrogates(value, text, first, last), first, last, line, inner)


def strict_at(text: str, pos: int) -> tuple[object, int] | None:
    """The strict JSON value that begins at `pos` and where it ends; None when there is none."""
    try:
        value, end = _DECODER.raw_decode(text, pos)
    except (ValueError, RecursionError):
        return None
    if too_deep(value, text, pos, end):
        return None
    return _without_lone_surrogates(value, text, pos, end), end


_DECODER = json.JSONDecoder()


def too_deep(value: object, text: str, start: int, end: int, depth: int = DEPTH) -> bool:
    """Whether a value that was read from `text[start:end]` is nested deeper than `depth`."""
    if text.count("{", start, end) + text.count("[", start, end) <= depth:
        return False
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for box in level
            for inner in (box.values() if isinstance(box, dict) else box if isinstance(box, list) else ())
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


_SURROGATE = "[\ud800-\udfff]"


def _without_lone_surrogates(value: object, text: str, start: int = 0, end: int | None = None) -> object:
    """Half an emoji, cut in an escape, cannot be printed or written by anybody downstream."""
    end = len(text) if end is None else end
    escaped = text.find("\\ud", start, end) >= 0 or text.find("\\uD", start, end) >= 0
    return _mended(value) if escaped else value


def _mended(value: object) -> object:
    if isinstance(value, str):
        return re.sub(_SURROGATE, "\ufffd", value)
    if isinstance(value, list):
        return [_mended(inner) for inner in value]
    if isinstance(value, dict):
        return {re.sub(_SURROGATE, "\ufffd", key): _mended(inner) for key, inner in value.items()}
    return value


class _Broken(Exception):
    """Reading stopped at a character; what was whole until then, and where to go on."""

    def __init__(self, at: int, message: str, at_end: bool = False) -> None:
        super().__init__(message)
        self.at = at
        self.message = message
        self.at_end = at_end
        self.resume = at
        self.whole: list[tuple[object, int, int]] = []


class _Open:
    """An object or array that is not closed yet."""

    __slots__ = ("due", "elided", "items", "key", "members", "start", "whole")

    def __init__(self, start: int, bracket: str) -> None:
        self.start = start
        self.members: dict[str, object] | None = {} if bracket == "{" else None
        self.items: list[object] | None = [] if bracket == "[" else None
        self.key: str | None = None
        self.due = True  # a comma, or the beginning, stands before: a value may come
        self.elided = False
        self.whole: list[tuple[object, int, int]] = []

    @property
    def box(self) -> dict[str, object] | list[object]:
        return self.members if self.members is not None else self.items if self.items is not None else []


_SPACE = r"[\s\ufeff\u200b]*+"
_DOTS = r"(?:\.{3,}+|…)(?:[ \t]*+\([^()\n]*+\))?"
_NUMBER = r"-?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?(?![\w.])"
_WORD = r"-?[A-Za-z]++(?!\w)"
_WORDS: dict[str, object] = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
    "NaN": float("nan"),
    "nan": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
    "inf": float("inf"),
    "-inf": float("-inf"),
}
_LAST_WORD = r"[-+\w.]*+\s*+\Z"
_PYTHON_WORDS = ("True", "False", "None")
_CLOSING_QUOTE = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_STRING_ESCAPE = (
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([\"'\\/bfnrt]))"
)
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class _Reader:
    """The tolerant reader over one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._space = re.compile(_SPACE).match
        self._dots = re.compile(_DOTS).match
        self._digits = re.compile(_NUMBER).match
        self._word = re.compile(_WORD).match
        self._quoted: dict[str, re.Pattern[str]] = {}
        self.notes: dict[str, None] = {}
        # A failed strict attempt costs as much as the text before it (json counts lines for its message).
        self._patience = 16 * len(text) + (1 << 20)
        self._no_comment_end = False
        self._unclosed_until: dict[str, int] = {}
        self._last_string = -1
        self._string_end = 0
        self._length = len(text.rstrip())

    def strict(self, pos: int, depth: int) -> tuple[object, int] | None:
        """A value that is strict JSON, fast; None where it is not or trying has cost too much already."""
        if self._patience <= 0:
            return None
        try:
            value, end = _DECODER.raw_decode(self.text, pos)
        except json.JSONDecodeError as error:
            self._patience -= error.pos
            return None
        except (ValueError, RecursionError):
            self._patience -= max(pos, 1 << 16)
            return None
        if too_deep(value, self.text, pos, end, DEPTH - depth):
            self._patience -= end - pos + (1 << 16)
            return None
        return value, end

    def skip(self, pos: int) -> int:
        """Past white space and remarks."""
        text = self.text
        while True:
            begin = pos
            space = self._space(text, pos)
            pos = space.end() if space else pos
            char = text[pos : pos + 1]
            if char == "/" and text.startswith("/*", pos) and not self._no_comment_end:
                end = text.find("*/", pos + 2)
                self._no_comment_end = end < 0
                if end < 0:
                    return pos
                pos = end + 2
            elif (char == "/" and text.startswith("//", pos)) or (
                char == "#" and (begin == 0 or "\n" in text[begin:pos])
            ):
                pos = self._line_end(pos)
            elif char > "\x7f" and char != "…" and char not in _CLOSING_QUOTE:
                pos = self._line_end(pos)  # no value begins so: an arrow, and what was written beside the line
            elif char == "<" and text.startswith("<-", pos):
                pos = self._line_end(pos)
            else:
                return pos
            self.notes["remarks"] = None

    def _line_end(self, pos: int) -> int:
        end = self.text.find("\n", pos)
        return len(self.text) if end < 0 else end

    def read(self, start: int) -> tuple[object, int]:
        """The value that begins at `start` and where it ends. Raises _Broken."""
        stack: list[_Open] = []
        self._last_string = -1
        try:
            return self._read(start, stack)
        except _Broken as broken:
            # An unclosed quote has swallowed what stands behind it up to the next quote: look there again.
            # (Not beyond many remarks, or remarks full of quotes would be read again and again.)
            if self._last_string >= 0 and broken.at - self._string_end <= _NEAR:
                broken.resume = self._last_string + 1
            broken.whole = [found for opened in stack for found in opened.whole]
            raise

    def _read(self, pos: int, stack: list[_Open]) -> tuple[object, int]:
        while True:
            pos = self.skip(pos)
            char = self.text[pos : pos + 1]
            if not char:
                raise _Broken(pos, "the text ends inside a value", at_end=True)
            top = stack[-1] if stack else None
            start = pos
            value: object
            if top is not None:
                if char in "}]":
                    value, pos = self._close(top, pos)
                    stack.pop()
                    start = top.start
                    if not stack:
                        return value, pos
                    self._deliver(stack[-1], value, start, pos)
                    continue
                if char == "," and top.key is None:
                    if top.due:
                        raise _Broken(pos, "a comma without a value before it")
                    top.due = True
                    pos += 1
                    self._last_string = -1
                    continue
                dots = self._dots(self.text, pos)
                if dots:
                    pos = self._elide(top, dots)
                    continue
                if not top.due:
                    raise _Broken(pos, "a comma or a closing bracket is missing")
                if top.members is not None and top.key is None:
                    pos = self._key(top, pos)
                    continue
            if char in "{[":
                quick = self.strict(pos, len(stack)) if stack else None
                if quick is None:
                    if len(stack) >= DEPTH:
                        raise _Broken(pos, f"nested deeper than {DEPTH}")
                    stack.append(_Open(pos, char))
                    self._last_string = -1
                    pos += 1
                    continue
                value, pos = quick
                self._last_string = -1
            else:
                value, pos = self._scalar(pos, char)
            if top is None:
                return value, pos
            self._deliver(top, value, start, pos)

    def _close(self, top: _Open, pos: int) -> tuple[object, int]:
        if top.key is not None or (self.text[pos] == "}") != (top.members is not None):
            raise _Broken(pos, f"{self.text[pos]!r} does not fit here")
        if top.due and top.box and not top.elided:
            self.notes["trailing commas"] = None
        if top.items is not None and top.elided and not top.items:
            top.items.append("...")  # `[...]` is not an empty list: something was there
        self._last_string = -1
        return top.box, pos + 1

    def _elide(self, top: _Open, dots: re.Match[str]) -> int:
        self.notes["'...' for what was left out"] = None
        self._last_string = -1
        if top.key is not None:
            self._deliver(top, "...", dots.start(), dots.end())
        else:
            top.elided = top.due = True
            after = self.skip(dots.end())
            if self.text.startswith(",", after):
                return after + 1
        return dots.end()

    def _key(self, top: _Open, pos: int) -> int:
        char = self.text[pos]
        if char not in _CLOSING_QUOTE:
            raise _Broken(pos, "a name in quotes is missing")
        top.key, pos = self._string(pos, char)
        after = self.skip(pos)
        if not self.text.startswith(":", after):
            top.key = None
            raise _Broken(after, "a colon is missing", at_end=after >= len(self.text))
        self._last_string = -1
        return after + 1

    def _deliver(self, top: _Open, value: object, start: int, end: int) -> None:
        if value and isinstance(value, (dict, list)):
            top.whole.append((value, start, end))
        if top.members is not None and top.key is not None:
            top.members[top.key] = value
        elif top.items is not None:
            top.items.append(value)
        top.key, top.due = None, False

    def _scalar(self, pos: int, char: str) -> tuple[object, int]:
        if char in _CLOSING_QUOTE:
            return self._string(pos, char)
        self._last_string = -1
        number = self._digits(self.text, pos)
        if number:
            return self._number(number[0]), number.end()
        word = self._word(self.text, pos)
        if word and word[0] in _WORDS:
            if word[0] in _PYTHON_WORDS:
                self.notes["Python literals"] = None
            elif word[0] not in ("true", "false", "null"):
                self.notes["NaN or Infinity"] = None
            return _WORDS[word[0]], word.end()
        raise _Broken(pos, "a value is missing", at_end=self._cut_here(pos))

    def _cut_here(self, pos: int) -> bool:
        """The last thing in the text is half a word or half a number."""
        return self._length - pos < _NEAR and re.compile(_LAST_WORD).match(self.text, pos) is not None

    def _number(self, digits: str) -> object:
        if not digits.lstrip("-").isdigit():
            return float(digits)
        if len(digits) > _LONGEST_INTEGER:
            self.notes["a number too long to be one, kept as text"] = None
            return digits
        return int(digits)

    def _quoted_by(self, opening: str) -> re.Pattern[str]:
        if opening not in self._quoted:
            closing = _CLOSING_QUOTE[opening]
            other = rf"[^{closing}\\\n]*+"
            self._quoted[opening] = re.compile(rf"{opening}{other}(?:\\.{other})*+{closing}")
        return self._quoted[opening]

    def _string(self, pos: int, char: str) -> tuple[str, int]:
        self._last_string = self._string_end = pos
        if pos < self._unclosed_until.get(char, 0):
            found = None
        else:
            found = self._quoted_by(char).match(self.text, pos)
        if found is None:
            end = self._unclosed_until.get(char, 0)
            if pos >= end:
                end = self._unclosed_until[char] = self._line_end(pos)
            # A string ends in its line, so one that does not was cut off there.
            raise _Broken(pos, "a string is not closed", at_end=end >= self._length)
        if char != '"':
            self.notes["quotes other than JSON's"] = None
        self._string_end = found.end()
        body = self.text[pos + 1 : self._string_end - 1]
        return (re.sub(_STRING_ESCAPE, _character, body) if "\\" in body else body), self._string_end


def _character(found: re.Match[str]) -> str:
    high, low, four, eight, two, short = found.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    if short:
        return _SHORT.get(short, short)
    code = int(four or eight or two, 16)
    return chr(code) if code <= 0x10FFFF else found[0]
