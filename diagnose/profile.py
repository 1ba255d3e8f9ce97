"""Finds and reads the profile: what is meant to happen in the backend under examination."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from diagnose.errors import ProfileError
from diagnose.model import Phrase, Profile

MAX_BYTES = 1_000_000
_SECTIONS: dict[str, dict[str, type]] = {
    "models": {"image_to_image": str, "text_to_image": str},
    "storage": {"bucket": str},
    "request": {"image_fields": list, "multipart_field": str},
    "backend": {"url": str},
    "record": {"prompt_log": str, "keep": int},
}
_TOP = {"name", "fallback", "payload", *_SECTIONS}
_FALLBACKS = ("text-to-image", "refuse")
_IMAGE_FIELDS = ["face_image", "product_images", "background_image", "reference_image"]

BUILT_IN: Mapping[str, Mapping[str, Any]] = {
    "seed": {
        "name": "seed",
        "fallback": "text-to-image",
        "models": {
            "image_to_image": "fal-ai/flux-general/image-to-image",
            "text_to_image": "fal-ai/flux/schnell",
        },
        "payload": {
            "image_key": "image_url",
            "image_strength": 0.5,
            "num_inference_steps": 7,
            "guidance_scale": 3.5,
        },
        "storage": {"bucket": "public"},
        "request": {"image_fields": _IMAGE_FIELDS, "multipart_field": "image"},
    },
    "flux-2-edit": {
        "name": "flux-2-edit",
        "fallback": "refuse",
        "models": {"image_to_image": "fal-ai/flux-2/lora/edit", "text_to_image": "fal-ai/flux/schnell"},
        "payload": {
            "image_key": "image_urls",
            "image_strength": 0.67,
            "num_inference_steps": 24,
            "guidance_scale": 4.5,
        },
        "storage": {"bucket": "IMAGES_UPLOAD"},
        "request": {"image_fields": _IMAGE_FIELDS, "multipart_field": "image"},
    },
}


def load(wanted: str | None, folder: Path) -> Profile:
    """The profile named or pathed by `wanted`, else by `DIAGNOSE_PROFILE`, `diagnose.toml`, `pyproject.toml`, else `seed`.

    Raises ProfileError when it cannot be read, lacks `[models]`, or holds a key that does not exist.
    """
    return find(wanted, folder).profile


class Found(NamedTuple):
    """A profile, and where it was found."""

    profile: Profile
    where: str
    """A file, or the name of a built-in profile."""
    by: str
    """What led there: `argument`, `DIAGNOSE_PROFILE`, `folder`, or `default`."""


def find(wanted: str | None, folder: Path) -> Found:
    """As `load`, with where the profile was found. Raises ProfileError."""
    by = "argument" if wanted else "DIAGNOSE_PROFILE"
    wanted = wanted or os.environ.get("DIAGNOSE_PROFILE") or None
    if wanted is not None:
        if wanted in BUILT_IN:
            return Found(build(BUILT_IN[wanted], wanted), wanted, by)
        return Found(build(_read(Path(wanted), named=True), wanted), wanted, by)
    file = folder / "diagnose.toml"
    if file.is_file():
        return Found(build(_read(file), str(file)), str(file), "folder")
    project = folder / "pyproject.toml"
    if project.is_file():
        table = _read(project).get("tool", {})
        own = table.get("diagnose") if isinstance(table, dict) else None
        if isinstance(own, dict):
            where = f"{project} [tool.diagnose]"
            return Found(build(own, where), where, "folder")
    return Found(build(BUILT_IN["seed"], "seed"), "seed", "default")


def settings(profile: Profile) -> Iterator[tuple[str, Any]]:
    """Every key of a profile as it is written in TOML, dotted, with its value; defaults included."""
    yield "name", profile.name
    yield "fallback", profile.fallback
    yield "models.image_to_image", profile.image_to_image
    yield "models.text_to_image", profile.text_to_image
    yield "payload.image_key", profile.image_key
    yield from ((f"payload.{key}", value) for key, value in profile.payload.items())
    yield "storage.bucket", profile.bucket
    yield "request.image_fields", list(profile.image_fields)
    yield "request.multipart_field", profile.multipart_field
    yield "backend.url", profile.backend_url
    yield "record.prompt_log", profile.prompt_log
    yield "record.keep", profile.keep


def _read(path: Path, named: bool = False) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ProfileError(
                Phrase(
                    "profile '{path}': is larger than {most} bytes; is it a profile?",
                    path=path,
                    most=f"{MAX_BYTES:,}",
                )
            )
        return tomllib.loads(data.decode("utf-8-sig"))
    except FileNotFoundError:
        import difflib

        near = difflib.get_close_matches(str(path), list(BUILT_IN), 1) if named else []
        hint = (
            Phrase("; did you mean '{near}'?", near=near[0])
            if near
            else Phrase("; built in are {names}", names=", ".join(BUILT_IN))
        )
        raise ProfileError(Phrase("profile '{path}': no such file{hint}", path=path, hint=hint)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(Phrase("profile '{path}': cannot be read: {error}", path=path, error=error)) from None
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(Phrase("profile '{path}': not valid TOML: {error}", path=path, error=error)) from None


def parse(text: str, where: str) -> Profile:
    """A profile from TOML. Raises ProfileError."""
    import tomllib

    try:
        return build(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(Phrase("profile '{where}': not valid TOML: {error}", where=where, error=error)) from None


def build(table: Mapping[str, Any], where: str) -> Profile:
    """A profile from its TOML table. Raises ProfileError naming the key and the nearest known one."""
    _known(table, _TOP, where, "")
    for section, keys in _SECTIONS.items():
        inner = table.get(section, {})
        if not isinstance(inner, Mapping):
            raise ProfileError(Phrase("profile '{where}': [{section}] must be a table", where=where, section=section))
        _known(inner, keys, where, f"{section}.")
        for key, value in inner.items():
            if not isinstance(value, keys[key]) or isinstance(value, bool):
                raise ProfileError(
                    Phrase(
                        "profile '{where}': {section}.{key} must be {word}",
                        where=where,
                        section=section,
                        key=key,
                        word=_word(keys[key]),
                    )
                )
    models = table.get("models", {})
    for key in ("image_to_image", "text_to_image"):
        if not models.get(key):
            raise ProfileError(
                Phrase(
                    "profile '{where}': models.{key} is missing; name the model that is meant to be used",
                    where=where,
                    key=key,
                )
            )
    fallback = table.get("fallback", "text-to-image")
    if fallback not in _FALLBACKS:
        raise ProfileError(
            Phrase(
                "profile '{where}': fallback must be one of {names}, not {fallback}",
                where=where,
                names=", ".join(_FALLBACKS),
                fallback=repr(fallback),
            )
        )
    payload = table.get("payload", {})
    if not isinstance(payload, Mapping):
        raise ProfileError(Phrase("profile '{where}': [payload] must be a table", where=where))
    for key, value in payload.items():
        if not isinstance(value, (str, int, float, bool)):
            raise ProfileError(
                Phrase("profile '{where}': payload.{key} must be a string, a number or a boolean", where=where, key=key)
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise ProfileError(Phrase("profile '{where}': payload.{key} must be a finite number", where=where, key=key))
    return _assemble(table, models, payload, fallback)


def _assemble(
    table: Mapping[str, Any], models: Mapping[str, Any], payload: Mapping[str, Any], fallback: str
) -> Profile:
    request, storage = table.get("request", {}), table.get("storage", {})
    backend, record = table.get("backend", {}), table.get("record", {})
    return Profile(
        name=str(table.get("name", "unnamed")),
        image_to_image=models["image_to_image"],
        text_to_image=models["text_to_image"],
        fallback=fallback,
        image_key=str(payload.get("image_key", "image_url")),
        payload={key: value for key, value in payload.items() if key != "image_key"},
        bucket=storage.get("bucket", "public"),
        image_fields=tuple(str(name) for name in request.get("image_fields", _IMAGE_FIELDS)),
        multipart_field=request.get("multipart_field", "image"),
        backend_url=backend.get("url", "http://127.0.0.1:8000"),
        prompt_log=record.get("prompt_log", "backend/prompt_log.json"),
        keep=record.get("keep", 10),
        declared=frozenset(_dotted(table)),
    )


def _dotted(table: Mapping[str, Any]) -> list[str]:
    return [
        f"{section}.{key}" if isinstance(inner, Mapping) else section
        for section, inner in table.items()
        for key in (inner if isinstance(inner, Mapping) else [""])
    ]


def _known(table: Mapping[str, Any], keys: Any, where: str, prefix: str) -> None:
    for key in table:
        if key not in keys:
            import difflib

            near = difflib.get_close_matches(key, list(keys), 1)
            hint = (
                Phrase("; did you mean '{prefix}{near}'?", prefix=prefix, near=near[0])
                if near
                else Phrase("; known are {names}", names=", ".join(sorted(keys)))
            )
            raise ProfileError(
                Phrase(
                    "profile '{where}': unknown key '{prefix}{key}'{hint}",
                    where=where,
                    prefix=prefix,
                    key=key,
                    hint=hint,
                )
            )


def _word(kind: type) -> str:
    return {str: "a string", list: "a list of strings", int: "a whole number"}[kind]
