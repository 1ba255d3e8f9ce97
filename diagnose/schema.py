"""Reads the JSON Schemas, and says what is wrong with a document and where. The only door to `schemas`."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from diagnose.errors import UnknownName
from diagnose.model import Phrase
from diagnose.siblings import sibling

if TYPE_CHECKING:
    import jsonschema
    import jsonschema_rs

Place = tuple[str | int, ...]
"""Keys and indices from the root of a document down to a value."""

LISTED = 20
"""How many errors are told; the others are counted."""

_FORMS = ("prompt_log", "diagnosis", "case", "history", "compare", "profile", "contract")
_ENTRY = "entry"
_MODEL = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)+")
_LONGEST_MODEL = 200
_DEEPEST = 64
"""No schema of ours looks deeper."""
_WIDEST = 300
"""Digits of a whole number that are kept; Python refuses to read or show numbers of some thousand digits."""


# The schemas.


def names() -> tuple[str, ...]:
    """Every schema's name."""
    return (*_FORMS, *(f"fal/{model}" for model in known_fal_models()))


def text(name: str) -> str:
    """The schema as it is written. Raises UnknownName."""
    if name in _FORMS:
        return _read(f"{name}.schema.json")
    if name.startswith("fal/") and fal_input(name[4:]) is not None:
        return _read(_fal_file(name[4:]))
    import difflib

    near = difflib.get_close_matches(name, names(), 1)
    hint = (
        Phrase("; did you mean '{near}'?", near=near[0])
        if near
        else Phrase("; known are {names}", names=", ".join(names()))
    )
    raise UnknownName(Phrase("no schema is named '{name}'{hint}", name=name, hint=hint))


def load(name: str) -> dict[str, Any]:
    """The schema. Raises UnknownName."""
    schema: dict[str, Any] = json.loads(text(name))
    return schema


@lru_cache(maxsize=256)
def fal_input(model: str) -> dict[str, Any] | None:
    """What a model of fal takes; None when that is not known. Shared: it must not be changed."""
    # Model names come from evidence, so they are hostile: nothing but a plain id may become a file name.
    if len(model) > _LONGEST_MODEL or not _MODEL.fullmatch(model):
        return None
    try:
        schema: dict[str, Any] = json.loads(_read(_fal_file(model)))
    except FileNotFoundError:
        return None
    return schema if schema["x-model"] == model else None


def known_fal_models() -> tuple[str, ...]:
    """The models whose schema is bundled."""
    return tuple(sorted(file.stem.replace("--", "/") for file in (_folder() / "fal").glob("*.json")))


def _fal_file(model: str) -> str:
    return f"fal/{model.replace('/', '--')}.json"


@cache
def _folder() -> Path:
    # importlib.resources would cost more than all the rest of this module.
    return Path(str(sibling("schemas").__file__)).parent


def _read(file: str) -> str:
    return (_folder() / file).read_text(encoding="utf-8")


# Judging a value.


class _Error(NamedTuple):
    rank: tuple[int, bool]
    """Errors higher up in the document come first: more is wrong there."""
    path: Place
    message: str


def entry_fault(entry: object) -> tuple[str, str] | None:
    """JSON pointer and message of what is most wrong with a prompt-log entry; None when it is valid."""
    if _plainly_valid(entry) or _accepts(_ENTRY, entry):
        return None
    errors = sorted(_worded(_ENTRY, entry), key=lambda error: error.rank)
    return (_pointer(errors[0].path), errors[0].message) if errors else None


_TEXT, _NUMBER = (str, type(None)), (int, float)
_ENTRY_TYPES: dict[str, tuple[type, ...]] = {"enhanced_prompt": _TEXT, "prompt_length": (int,)}
_REQUEST_TYPES: dict[str, tuple[type, ...]] = {
    "num_product_images": (int,),
    "image_url": _TEXT,
    "request_format": _TEXT,
    "original_prompt": _TEXT,
    "image_urls": (),
}
_FAL_TYPES: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "prompt": _TEXT,
    "negative_prompt": _TEXT,
    "num_inference_steps": (int,),
    "guidance_scale": _NUMBER,
    "strength": _NUMBER,
    "image_strength": _NUMBER,
    "image_url": _TEXT,
    "image": _TEXT,
    "image_size": (str,),
    **dict.fromkeys(("image_urls", "width", "height", "loras", "ip_adapters"), ()),
}
_PLAIN_TIME = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]{1,9})?"


def _plainly_valid(entry: object) -> bool:
    """Whether an entry is of the usual kind, without loading a validator (that alone costs more than all else).

    True only for what the schema accepts as well; everything unusual is left to the validator.
    """
    if type(entry) is not dict or not isinstance(entry.get("timestamp"), str):
        return False
    request, sent, mode = entry.get("request"), entry.get("fal_request"), entry.get("generation_mode", "text-to-image")
    return (
        re.fullmatch(_PLAIN_TIME, entry["timestamp"]) is not None
        and mode in ("image-to-image", "text-to-image")
        and type(request) is dict
        and type(sent) is dict
        and bool(sent.get("model"))
        and _typed(entry, _ENTRY_TYPES)
        and _typed(request, _REQUEST_TYPES)
        and all(type(value) is bool for key, value in request.items() if key.startswith("has_"))
        and _typed(sent, _FAL_TYPES)
    )


def _typed(table: dict[str, Any], types: dict[str, tuple[type, ...]]) -> bool:
    return all(type(value) in types[key] for key, value in table.items() if key in types)


def _accepts(name: str, value: object) -> bool:
    try:
        return _fast(name).is_valid(value)
    except ValueError:  # too deep for it, or no JSON value at all
        return _exact(name).is_valid(_tame(value))


def _count(name: str, value: object) -> int:
    try:
        return sum(1 for _ in _fast(name).iter_errors(value))
    except ValueError:
        return sum(1 for _ in _exact(name).iter_errors(_tame(value)))


def _worded(name: str, value: object, path: Place = ()) -> list[_Error]:
    from jsonschema.exceptions import best_match

    errors = []
    for error in _exact(name).iter_errors(_tame(value)):
        best = best_match([error]) or error
        place = (*path, *best.absolute_path)
        if best.validator == "additionalProperties" and best.validator_value is False:
            extra, known = _unknown_keys(best)
            errors += [_Error((len(place), False), (*place, key), _unknown_key(key, known)) for key in extra]
        else:
            weak = best.validator in ("anyOf", "oneOf")
            errors.append(_Error((len(place), weak), place, _message(best, _subject(place, name))))
    return errors


@cache
def _fast(name: str) -> jsonschema_rs.Validator:
    import jsonschema_rs

    schema = _schema(name)
    if name in (_ENTRY, "prompt_log"):
        return jsonschema_rs.validator_for(schema)
    known = jsonschema_rs.Registry([(form["$id"], form) for form in map(load, _FORMS)])
    return jsonschema_rs.validator_for(schema, registry=known)


@cache
def _exact(name: str) -> jsonschema.Draft202012Validator:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    known: Registry[Any] = Registry()
    for form in map(load, _FORMS):
        known = Resource.from_contents(form) @ known
    return Draft202012Validator(_schema(name), registry=known)


def _schema(name: str) -> dict[str, Any]:
    if name != _ENTRY:
        return load(name)
    whole = load("prompt_log")
    return {"$schema": whole["$schema"], "$defs": whole["$defs"], "$ref": "#/$defs/entry"}


def _tame(value: object, depth: int = 0) -> Any:
    """The value without needless depth and endless numbers, which jsonschema cannot put into its messages."""
    match value:
        case bool() | float() | str() | None:
            return value
        case int():
            limit: int = 10**_WIDEST
            return max(-limit, min(limit, value))
        case dict():
            inner = value.items() if depth < _DEEPEST else ()
            return {str(key): _tame(item, depth + 1) for key, item in inner}
        case list() | tuple():
            return [_tame(item, depth + 1) for item in value] if depth < _DEEPEST else []
        case _:
            return type(value).__name__


# Wording an error.

_KINDS = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}


def _message(error: jsonschema.ValidationError, subject: str) -> str:
    """What was seen, then what was wanted. Long or nested values are not repeated."""
    wanted: Any = error.validator_value
    value: Any = error.instance
    schema: Any = error.schema
    match error.validator:
        case "required":
            return f"{error.message.removesuffix(' is a required property')} is missing"
        case "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            return f"{subject} is {_kind(value, kinds)}, not {' or '.join(_KINDS[kind] for kind in kinds)}"
        case "enum":
            choice = ", ".join(_shown(one) for one in wanted)
            return f"{subject} is {_shown(value)}; it must be one of {choice}"
        case "const":
            return f"{subject} is {_shown(value)}; it must be {_shown(wanted)}"
        case "pattern":
            return f"{subject} is {_shown(value)}; it must be {schema.get('x-form', 'of another form')}"
        case "minLength":
            return f"{subject} is empty"
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            return f"{subject} is {_shown(value)}; it must be {_BOUNDS[str(error.validator)]} {wanted}"
        case "minItems":
            return f"{subject} holds {len(value)} items; it must hold at least {wanted}"
        case "maxItems" | "items":
            most = wanted if error.validator == "maxItems" else len(schema.get("prefixItems", ()))
            return f"{subject} holds {len(value)} items; it must hold at most {most}"
        case _:
            return f"{subject} does not fit '{error.validator}'"


def _subject(path: Place, name: str) -> str:
    if not path:
        return "the entry" if name == _ENTRY else "the document"
    if isinstance(path[-1], str):
        return _shown(path[-1])
    owner = next((f" of {_shown(part)}" for part in reversed(path) if isinstance(part, str)), "")
    return f"item {path[-1]}{owner}"


def _kind(value: object, wanted: Collection[str]) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {_shown(value)}" if "integer" in wanted else "a number"
        case str():
            return "a string"
        case dict():
            return "an object"
        case _:
            return "an array"


def _shown(value: object) -> str:
    match value:
        case None | bool() | dict() | list():
            return _kind(value, ())
        case _:
            # repr keeps control characters of hostile strings from the reader's terminal.
            shown = repr(value)
            return shown if len(shown) <= 60 else f"{shown[:40]}... ({len(shown)} characters)"


def _unknown_keys(error: jsonschema.ValidationError) -> tuple[list[str], list[str]]:
    instance: Any = error.instance
    schema: Any = error.schema
    known = list(schema.get("properties", {}))
    return [key for key in instance if key not in known], known


def _unknown_key(key: str, known: Sequence[str]) -> str:
    import difflib

    near = difflib.get_close_matches(key, known, 1)
    return f"unknown key {_shown(key)}" + (f"; did you mean '{near[0]}'?" if near else "")


def _pointer(path: Iterable[str | int]) -> str:
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
    # A key can hold half a character, which no output could print.
    return pointer.encode("utf-8", "replace").decode("utf-8")


# Judging a file.


class SchemaFault(NamedTuple):
    """One error of a file."""

    pointer: str
    """JSON Pointer to what is wrong; in JSON Lines its first part is the zero-based place of the line."""
    line: int
    """From 1, as editors count."""
    column: int
    message: str


class Validation(NamedTuple):
    """Whether a file keeps to its schema."""

    valid: bool
    errors: tuple[SchemaFault, ...]
    """The errors that matter most first, no more than LISTED."""
    total: int


class _Text(NamedTuple):
    """A JSON text, or one line of JSON Lines."""

    text: str
    path: Place = ()
    first_line: int = 1

    def fault(self, offset: int, message: str, path: Iterable[str | int] = ()) -> SchemaFault:
        line = self.text.count("\n", 0, offset) + self.first_line
        column = offset - self.text.rfind("\n", 0, offset)
        return SchemaFault(_pointer((*self.path, *path)), line, column, message)


class _NotJsonError(Exception):
    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message


def validate(data: bytes, schema_name: str) -> Validation:
    """Whether a file keeps to a schema: one JSON document, or JSON Lines, each line judged by itself.

    A prompt log is an array of entries; a single object is judged as one entry. Raises UnknownName.
    """
    load(schema_name)
    try:
        decoded = data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        before = _Text(error.object[: error.start].decode(error.encoding, "replace"))
        message = f"byte {error.start} is not {error.encoding.upper()}: save the file as UTF-8"
        return _validation([before.fault(len(before.text), message)], 1)
    whole = _Text(decoded)
    try:
        value = _parse(decoded)
    except _NotJsonError as error:
        lines = _lines(decoded)
        if lines:
            return _validate_lines(lines, schema_name)
        return _validation([whole.fault(error.offset, error.message)], 1)
    if schema_name == "prompt_log" and isinstance(value, list):
        errors, total = _judge((((index,), entry) for index, entry in enumerate(value)), _ENTRY)
    else:
        errors, total = _judge([((), value)], _unit(schema_name, value))
    return _validation(_placed(whole, errors[:LISTED]), total)


def _validate_lines(lines: Sequence[_Text], schema_name: str) -> Validation:
    faults: list[SchemaFault] = []
    units: list[tuple[Place, object]] = []
    for line in lines:
        try:
            value = _parse(line.text)
        except _NotJsonError as error:
            faults.append(line.fault(error.offset, error.message))
        else:
            units.append((line.path, value))
    errors, total = _judge(units, _ENTRY if schema_name == "prompt_log" else schema_name)
    total += len(faults)
    by_path = {line.path: line for line in lines}
    for found in errors[:LISTED]:
        inner = _Error(found.rank, found.path[1:], found.message)
        faults += _placed(by_path[found.path[:1]], [inner])
    return _validation(faults, total)


def _unit(schema_name: str, value: object) -> str:
    return _ENTRY if schema_name == "prompt_log" and isinstance(value, dict) else schema_name


def _judge(units: Iterable[tuple[Place, object]], name: str) -> tuple[list[_Error], int]:
    """The errors of the first values that are wrong, and how many errors there are in all.

    A file can hold a million wrong entries: jsonschema words what is told, jsonschema-rs counts the rest.
    """
    errors: list[_Error] = []
    uncounted = 0
    for path, value in units:
        if _accepts(name, value):
            continue
        if len(errors) < LISTED:
            errors += _worded(name, value, path)
        else:
            uncounted += _count(name, value)
    return sorted(errors, key=lambda error: error.rank), len(errors) + uncounted


def _placed(whole: _Text, errors: Sequence[_Error]) -> list[SchemaFault]:
    offsets = locate(whole.text, {error.path for error in errors})
    return [whole.fault(offsets[error.path], error.message, error.path) for error in errors]


def _validation(faults: Sequence[SchemaFault], total: int) -> Validation:
    return Validation(total == 0, tuple(faults[:LISTED]), total)


# Reading JSON, and finding places in it.

# Possessive, so that a string of many megabytes is passed over without a backtracking stack.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}:,]|[^\s\[\]{}:,"]++', re.DOTALL)


def locate(document: str, paths: Collection[Place]) -> dict[Place, int]:
    """The offset at which the value of each place starts in a JSON text; of a key written twice, the last.

    The text must be JSON. It is read once, without recursion, and nothing of it is kept.
    """
    wanted, lengths = set(paths), {len(path) for path in paths}
    found: dict[Place, int] = {}
    path: list[str | int] = []
    key_follows = False
    for token in _TOKEN.finditer(document):
        start = token.start()
        match document[start]:
            case ":":
                pass
            case "," if isinstance(path[-1], int):
                path[-1] += 1
            case ",":
                key_follows = True
            case "]" | "}":
                path.pop()
                key_follows = False
            case _ if key_follows:
                path[-1] = json.loads(token[0])
                key_follows = False
            case first:
                if len(path) in lengths and (place := tuple(path)) in wanted:
                    found[place] = start
                if first == "[":
                    path.append(0)
                elif first == "{":
                    path.append("")
                    key_follows = True
    return found


def _parse(document: str) -> Any:
    if not document.strip():
        raise _NotJsonError(0, "the file is empty; expected a JSON document")
    try:
        return json.loads(document, parse_int=_whole, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _NotJsonError(error.pos, _expected(error)) from None
    except RecursionError:
        raise _NotJsonError(_too_deep(document), "nested too deeply to be read") from None
    except _ConstantError as error:
        offset = next(token.start() for token in _TOKEN.finditer(document) if token[0] == error.name)
        raise _NotJsonError(offset, f"expected a value, found {error.name}, which is not JSON") from None


def _whole(digits: str) -> int:
    if len(digits) <= _WIDEST:
        return int(digits)
    limit: int = 10**_WIDEST
    return -limit if digits.startswith("-") else limit


class _ConstantError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _refuse_constant(name: str) -> Any:
    raise _ConstantError(name)


def _too_deep(document: str) -> int:
    depth = 0
    for token in _TOKEN.finditer(document):
        first = document[token.start()]
        depth += (first in "[{") - (first in "]}")
        if depth > _DEEPEST:
            return token.start()
    return 0


_EXPECTED = {
    "Expecting value": "a value",
    "Expecting ',' delimiter": "',' or a closing bracket",
    "Expecting ':' delimiter": "':' after the key",
    "Expecting property name enclosed in double quotes": "a key in double quotes",
    "Illegal trailing comma before end of object": "another key, or no comma",
    "Illegal trailing comma before end of array": "another value, or no comma",
    "Extra data": "the end of the document",
}


def _expected(error: json.JSONDecodeError) -> str:
    if error.msg == "Unterminated string starting at":
        return "expected a closing '\"' to the string that starts here"
    if error.msg not in _EXPECTED:
        return f"not JSON: {error.msg[:1].lower()}{error.msg[1:].removesuffix(' at')}"
    rest = error.doc[error.pos :].strip()
    found = repr(rest[:12].split("\n")[0]) if rest else "the end of the file"
    return f"expected {_EXPECTED[error.msg]}, found {found}"


def _lines(document: str) -> list[_Text]:
    """The lines of JSON Lines; none when the text is something else."""
    lines = [(number, line) for number, line in enumerate(document.split("\n"), 1) if line.strip()]
    if len(lines) < 2 or not lines[0][1].lstrip().startswith("{"):
        return []
    if not any(_is_object(line) for _, line in lines[:2]):
        return []
    return [_Text(line, (index,), number) for index, (number, line) in enumerate(lines)]


def _is_object(line: str) -> bool:
    try:
        return isinstance(_parse(line), dict)
    except _NotJsonError:
        return False
