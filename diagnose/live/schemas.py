"""Keeps fal's own schemas of its models, with the date on which they were fetched, where a program keeps such things."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from diagnose.model import IMAGE_TO_IMAGE, TEXT_TO_IMAGE, mode_by_name

MAX_PROPERTIES = 200
MAX_BYTES = 1_000_000
_MODEL = re.compile(r"[\w.-]+(?:/[\w.-]+)+")
_KEPT = ("type", "default", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "items")
"""What of a property a check looks at; the rest is prose."""


def folder() -> Path:
    """Where they are kept: `DIAGNOSE_CACHE`, else the user's folder for caches."""
    named = os.environ.get("DIAGNOSE_CACHE")
    if named:
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("diagnose", appauthor=False)


def _file(model: str) -> Path | None:
    # the name comes from evidence: nothing but a plain id may become a file's name
    plain = len(model) <= 200 and _MODEL.fullmatch(model) and ".." not in model
    return folder() / "fal" / f"{model.replace('/', '--')}.json" if plain else None


def cached(model: str, today: bool = False) -> Mapping[str, Any] | None:
    """The schema that was kept; with `today` only one that was fetched today."""
    file = _file(model)
    try:
        if file is None or file.stat().st_size > MAX_BYTES:
            return None
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(known, dict) or known.get("x-model") != model or not isinstance(known.get("properties"), dict):
        return None
    return None if today and known.get("x-date") != _today() else known


def keep(model: str, schema: Mapping[str, Any]) -> None:
    """Keeps it, whole or not at all; where nothing can be kept it is fetched again next time."""
    file = _file(model)
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, delete=False) as new:
            json.dump(schema, new)
        Path(new.name).replace(file)
    except OSError:
        return


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def of_openapi(model: str, document: object) -> dict[str, Any] | None:
    """The input schema in a model's OpenAPI document, in the form of the bundled ones; None where it holds none."""
    paths = _table(_table(document).get("paths"))
    path = next((p for p in paths if str(p).strip("/") == model), None)
    posted = _table(_table(_table(paths.get(path or "")).get("post")).get("requestBody"))
    form = _table(_table(_table(posted.get("content")).get("application/json")).get("schema"))
    form = _followed(form, document)
    properties = _table(form.get("properties"))
    required = form.get("required")
    if not properties or len(properties) > MAX_PROPERTIES:
        return None
    needed = [str(name) for name in required] if isinstance(required, list) else []
    image = next((key for key in ("image_url", "image_urls") if key in properties), None)
    mode = IMAGE_TO_IMAGE if image in needed else mode_by_name(model) or TEXT_TO_IMAGE
    return {
        "x-model": model,
        "x-source": "fal's OpenAPI document of the model",
        "x-date": _today(),
        "x-mode": mode,
        "x-image-key": image,
        "type": "object",
        "required": needed,
        "properties": {str(name): _property(value, document) for name, value in properties.items()},
    }


def _property(value: object, document: object) -> dict[str, Any]:
    """A property without its prose; of several forms nothing is said but the default."""
    given = _table(value)
    forms = [
        _table(one) for key in ("anyOf", "oneOf", "allOf") for one in given.get(key) or () if isinstance(one, dict)
    ]
    forms = [one for one in forms if one.get("type") != "null"]
    inner = _followed(forms[0], document) if len(forms) == 1 else _followed(given, document) if not forms else {}
    kept = {key: inner[key] for key in _KEPT if key in inner} | {key: given[key] for key in _KEPT if key in given}
    if isinstance(kept.get("items"), dict) and "type" not in kept["items"]:
        del kept["items"]
    return kept


def _followed(form: Mapping[str, Any], document: object) -> Mapping[str, Any]:
    for _ in range(8):
        reference = form.get("$ref")
        if not isinstance(reference, str):
            return form
        found: object = document
        for part in reference.removeprefix("#/").split("/"):
            found = _table(found).get(part)
        form = _table(found)
    return {}


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
