"""Builds from the prompt log's JSON Schema the types that msgspec decodes an entry into, and so validates it.

What cannot be said exactly in a type is said more narrowly: msgspec can refuse a valid entry, which then goes to the
exact validator, and never accepts an invalid one. Only a timestamp's pattern is left to the caller, who has to look at
every timestamp anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

import msgspec

from diagnose import schema

_PLAIN: dict[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None, "object": dict}


OWN_KEYS = frozenset({"outcome", "generation_mode", "enhanced_prompt", "prompt_length"})
"""The keys of an entry itself that are decoded whatever is learned: the schema limits them, or they tell who wrote it."""


def entry_type(learned: Mapping[str, frozenset[str]]) -> Any:
    """The type of an entry that holds no key but those of `learned`, by the object that holds them.

    The objects are "" (the entry itself, where other keys are passed over), "request" and "fal_request". There any
    other key is refused: checks look at every key of a payload, and the schema speaks of a request's keys by how their
    names begin.
    """
    form = schema.load("prompt_log")
    wanted = {**learned, "": learned[""] | OWN_KEYS}
    return _struct(form["$defs"]["entry"], form["$defs"], "", wanted)


def _struct(rule: Mapping[str, Any], defs: Mapping[str, Any], name: str, wanted: Mapping[str, frozenset[str]]) -> Any:
    required = set(rule.get("required", ()))
    fields: list[Any] = []
    properties = rule.get("properties", {})
    for key in sorted(required | wanted.get(name, frozenset(properties))):
        told = properties.get(key) or _by_pattern(rule, key)
        kind = _type({**_by_pattern(rule, key), **told}, defs, key, wanted)
        fields.append((key, kind) if key in required else (key, Union[kind, msgspec.UnsetType], msgspec.UNSET))  # noqa: UP007 - built at run time
    fields.sort(key=lambda field: len(field))
    strict = name in ("request", "fal_request")
    return msgspec.defstruct(name or "entry", fields, forbid_unknown_fields=strict, gc=False)


def _by_pattern(rule: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The rule for a key that is known by how its name begins."""
    found = [told for pattern, told in rule.get("patternProperties", {}).items() if key.startswith(pattern.strip("^"))]
    return found[0] if found else {}


def _type(rule: Mapping[str, Any], defs: Mapping[str, Any], name: str, wanted: Mapping[str, frozenset[str]]) -> Any:
    if "$ref" in rule:
        return _struct(defs[rule["$ref"].rpartition("/")[2]], defs, name, wanted)
    if "enum" in rule:
        return Literal[tuple(rule["enum"])]
    kinds = rule.get("type")
    if kinds is None:
        return Any
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return Union[tuple(_one(kind, rule, defs, wanted) for kind in kinds)]  # noqa: UP007 - built at run time


def _one(kind: str, rule: Mapping[str, Any], defs: Mapping[str, Any], wanted: Mapping[str, frozenset[str]]) -> Any:
    if kind == "array":
        return list[_type(rule["items"], defs, "(item)", wanted)] if "items" in rule else list[Any]  # type: ignore[misc]
    if kind == "object" and "properties" in rule:
        return _struct(rule, defs, "(object)", {})
    if kind == "string" and "minLength" in rule:
        return Annotated[str, msgspec.Meta(min_length=rule["minLength"])]
    return _PLAIN[kind]
