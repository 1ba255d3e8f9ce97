"""Drafts a profile from evidence, and says where evidence and a profile differ.

Every key is told by witnesses: what an attempt did (its wire lines, its entry) and what the source says. The strongest
wins, of equals the newest attempt; the source is believed last, for it can be newer or older than what runs. A constant of
the source that agrees with what was sent says that the others serve another purpose, so only then they are no conflict.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from diagnose import mask, normalise, profile, schema
from diagnose.errors import NothingReadable
from diagnose.model import (
    IMAGE_KEYS,
    IMAGE_TO_IMAGE,
    TEXT_TO_IMAGE,
    Absent,
    Case,
    Evidence,
    Link,
    Phrase,
    Profile,
    Seen,
    Witness,
    mode_by_name,
    refused,
    same_number,
    succeeded,
)

if TYPE_CHECKING:
    from diagnose.collect import Bundle, backend_log, long_log

PARAMETERS = ("strength", "image_strength", "num_inference_steps", "guidance_scale")
"""Keys of a payload that a backend sets itself."""
ATTEMPTS = 200
"""Of each kind of attempt the newest are looked at."""
ENOUGH = 2 * 1024 * 1024
"""Bytes about pictures that are read of a log."""
LONGEST = 200
_MODEL = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[\w.-]+)+", re.A)
_NAME = re.compile(r"[\w.\- ]{1,100}")
_PICTURE = re.compile(r"image|photo|picture|face|selfie|avatar", re.I)
_NO_PICTURE = re.compile(
    r"strength|size|format|count|num_|_num|width|height|quality|_id$|type|mode|model|max_|result|generated|output", re.I
)
_PLACE = re.compile(r"/storage/v1/object/(?:public/|sign/|authenticated/)?([^/?#]{1,100})/")
_BODIES = frozenset(
    {"body", "data", "payload", "params", "req", "request", "request_data", "json_data", "form", "files"}
)
_ORDER = (
    "name",
    "fallback",
    "models.image_to_image",
    "models.text_to_image",
    "payload.image_key",
    *(f"payload.{name}" for name in PARAMETERS),
    "storage.bucket",
    "request.image_fields",
    "request.multipart_field",
    "backend.url",
    "record.prompt_log",
    "record.keep",
)


class Told(NamedTuple):
    """What one witness says of one key of a profile."""

    key: str
    value: Any
    source: str
    rank: tuple[int, int]
    """How strong the witness is, then how new the attempt; the lowest is believed."""

    @property
    def from_source(self) -> bool:
        """Whether the source says so, and no attempt."""
        return self.rank[0] >= _SOURCE


_FELL_BACK, _SOURCE, _SCHEMA = 50, 100, 200
"""Added to a witness's rank: after a lost picture; of the source; of fal's schema alone."""


class Draft(NamedTuple):
    """What evidence says of a backend."""

    chosen: Mapping[str, Told]
    """By dotted key."""
    conflicts: Mapping[str, tuple[Told, ...]]
    """What else was told of a key; of one that is not chosen, all that was."""
    names: tuple[str, ...] = ()
    """What was read."""


class Difference(NamedTuple):
    """A key of which evidence says something else than the profile."""

    key: str
    declared: Any
    seen: Any
    source: str


# --- reading ----------------------------------------------------------------------------------------------------------


def gathered(paths: Iterable[Path], stdin: bytes | None = None) -> Bundle:
    """Evidence to draft from; of a longer log what its last ENOUGH bytes about pictures tell.

    Raises NothingReadable for a path that does not exist or cannot be opened.
    """
    from diagnose import collect

    bundle = collect.gather(paths, stdin=stdin)
    for place, log in enumerate(bundle.logs):
        first = next((e for each in log.attempts for e in each.evidence), None)
        name, cut, _ = first.source.rpartition("@") if first is not None else ("", "", "")
        path = next((origin for origin in bundle.origins.get(name, ()) if isinstance(origin, Path)), None)
        if cut and path is not None:  # the newest attempts alone were read
            bundle.logs[place], whole = _end_of(path, name)
            if not whole and name in bundle.read:
                bundle.read[bundle.read.index(name)] = f"{name} (its end)"
    return bundle


def _end_of(path: Path, name: str) -> tuple[backend_log.BackendLog, bool]:
    """The attempts of a log's last bytes about pictures, and whether these are all that there are."""
    from diagnose.collect import backend_log, long_log, text

    size = path.stat().st_size
    span = ENOUGH
    while True:
        parts: deque[long_log.Stretch] = deque()
        held, dropped = 0, size > span
        with path.open("rb") as file:
            for part in long_log.stretches(file, max(0, size - span)):
                parts.append(part)
                held += len(part.data)
                while held > ENOUGH and len(parts) > 1:
                    held -= len(parts.popleft().data)
                    dropped = True
        if size <= span or held > ENOUGH // 2:
            break
        span *= 4
    logs = [backend_log.read(text.decode(each.data).text, f"{name}@{each.start}") for each in parts]
    log = backend_log.BackendLog(
        tuple(attempt for each in logs for attempt in each.attempts),
        tuple(e for each in logs for e in each.common),
        sum(each.recognised for each in logs),
    )
    return log, not dropped


def draft(bundle: Bundle) -> Draft:
    """What the evidence says. Raises NothingReadable where it names no model."""
    told = [*_of_attempts(bundle), *_of_source(bundle)]
    chosen: dict[str, Told] = {}
    conflicts: dict[str, tuple[Told, ...]] = {}
    for key in _ORDER:
        here = sorted((each for each in told if each.key == key and _usable(each.value)), key=lambda each: each.rank)
        different = (_merged(here),) if here and key == "request.image_fields" else _different(here)
        if not different:
            continue
        if different[0].from_source and len(different) > 1 and key.startswith("payload."):
            conflicts[key] = different  # a literal of which nobody knows the purpose
            continue
        chosen[key] = different[0]
        if len(different) > 1:
            conflicts[key] = different[1:]
    used = chosen.get("models.image_to_image")
    known = schema.fal_input(used.value) if used is not None else None
    if used is not None and known is not None and "payload.image_key" not in chosen and known.get("x-image-key"):
        said = f"fal's input schema of {used.value}"
        chosen["payload.image_key"] = Told("payload.image_key", known["x-image-key"], said, (_SCHEMA, 0))
    if not {"models.image_to_image", "models.text_to_image"} & chosen.keys():
        raise NothingReadable(
            Phrase("nothing in the evidence names a model of fal; give the backend's source folder, or its log")
        )
    return Draft(chosen, conflicts, tuple(dict.fromkeys([*bundle.read, *(name for name, _ in bundle.prompt_logs)])))


def _merged(told: Sequence[Told]) -> Told:
    """All fields that were read: an attempt shows only those that it used."""
    names = dict.fromkeys(name for each in (*reversed(told),) for name in each.value)
    first = next((each for each in told if each.from_source), told[0])
    return first._replace(value=list(names)[:50])


def _usable(value: Any) -> bool:
    """Whether a value can stand in a profile: short, finite, and nothing secret."""
    if isinstance(value, str):
        return 0 < len(value) <= LONGEST and value.isprintable() and mask.text(value) == value
    if isinstance(value, list):
        return bool(value) and all(_usable(each) for each in value)
    return isinstance(value, bool) or (isinstance(value, (int, float)) and math.isfinite(value) and abs(value) < 1e15)


def _same(one: Any, two: Any) -> bool:
    return same_number(one, two)


def _different(told: Sequence[Told]) -> tuple[Told, ...]:
    """One witness for each value, strongest first. Where an attempt agrees with the source, the source is heard."""
    attempts = [each for each in told if not each.from_source]
    source = [each for each in told if each.from_source]
    if attempts and any(_same(attempts[0].value, each.value) for each in source):
        source = []
    found: list[Told] = []
    for each in (*attempts, *source):
        if not any(_same(each.value, known.value) for known in found):
            found.append(each)
    return tuple(found[:6])


def _of_attempts(bundle: Bundle) -> Iterator[Told]:
    seed = profile.build(profile.BUILT_IN["seed"], "seed")
    cases = normalise.cases(bundle, seed, every=True)[-10 * ATTEMPTS :]
    with_image = [case for case in reversed(cases) if _with_image(case) is True][:ATTEMPTS]
    without = [case for case in reversed(cases) if _with_image(case) is False][:ATTEMPTS]
    # a call that was refused shows what the backend means as well, but less surely than one that made a picture
    for age, case in enumerate(sorted(with_image, key=lambda case: not _made(case))):
        yield from _of_one(case, age, "models.image_to_image")
    for age, case in enumerate(sorted(without, key=lambda case: not _made(case))):
        for told in _of_one(case, age, "models.text_to_image"):
            # where a picture came and was lost, the model is what the backend falls back to, and most often the same
            yield told._replace(rank=(told.rank[0] + _FELL_BACK, age)) if case.image_expected else told
    for age, case in enumerate(reversed(cases)):
        yield from _fallback(case, age)
        for e in case.of("storage.upload", "upload.started"):
            if e["bucket"]:
                yield _told("storage.bucket", e["bucket"], e, age)
        for e in case.of("image_url"):
            place = _PLACE.search(e["url"] or "")
            if place:
                yield _told("storage.bucket", place[1], e, age)
    for name, log in bundle.prompt_logs:
        origin = next((place for place in bundle.origins.get(name, ()) if isinstance(place, Path)), None)
        if log.entries and origin is not None and not name.startswith("GET "):
            yield Told("record.prompt_log", _written(origin), name, (Witness.OBSERVED.rank, 0))


def _written(path: Path) -> str:
    """A path as it is best written down: from the current folder where it stands below it."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def _told(key: str, value: Any, e: Evidence, age: int) -> Told:
    return Told(key, value, e.source, (e.witness.rank, age))


def _made(case: Case) -> bool:
    return isinstance(case.product(Link.GENERATION), Seen)


def _picture_key(body: Mapping[str, Any]) -> str | None:
    return next((key for key in ("image_urls", "image_url", "image") if key in IMAGE_KEYS and body.get(key)), None)


def _with_image(case: Case) -> bool | None:
    """Whether the call carried a picture: its body says so before the model's name does."""
    if case.model is None:
        return None
    sent = case.payload
    if sent is not None and _picture_key(sent["body"]):
        return True
    mode = case.mode_of(case.model["model"])
    if mode == IMAGE_TO_IMAGE:
        return True
    return False if mode == TEXT_TO_IMAGE or (sent is not None and sent["complete"]) else None


def _of_one(case: Case, age: int, key: str) -> Iterator[Told]:
    """What one attempt says of the model and, with a picture, of its payload and its request."""
    assert case.model is not None
    model = case.model["model"]
    if _MODEL.fullmatch(model):
        yield _told(key, model, case.model, age)
    if key != "models.image_to_image":
        return
    sent = case.payload
    request = case.best("request.body")
    asked = set(request["params"] or {}) if request is not None else set()
    if sent is not None:
        picture = _picture_key(sent["body"])
        if picture:
            yield _told("payload.image_key", picture, sent, age)
        for name in PARAMETERS:
            value = sent["body"].get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and name not in asked:
                yield _told(f"payload.{name}", value, sent, age)
    if request is not None and case.joined and case.sent_images and not refused_by(case):
        files = [i["name"] for i in case.sent_images if i.get("carrier") == "file" and _NAME.fullmatch(i["name"])]
        others = [i["name"] for i in case.sent_images if i.get("carrier") != "file" and _NAME.fullmatch(i["name"])]
        if files:
            yield _told("request.multipart_field", files[0], request, age)
        if others:
            yield _told("request.image_fields", sorted(set(others)), request, age)


def refused_by(case: Case) -> bool:
    """Whether the attempt ended with an error: its fields can be the reason."""
    return any(refused(e) for e in case.of("answer"))


def _fallback(case: Case, age: int) -> Iterator[Told]:
    """What the backend did without a picture."""
    if not isinstance(case.product(Link.REQUEST), Absent):
        return
    call = case.call
    if call is not None and succeeded(call) and case.mode == TEXT_TO_IMAGE:
        yield _told("fallback", "text-to-image", call, age)
    end = case.end_status
    if call is None and end is not None and end["status"] in (400, 422):
        yield _told("fallback", "refuse", end, age)


# --- the source -------------------------------------------------------------------------------------------------------


def _of_source(bundle: Bundle) -> Iterator[Told]:
    found = [e for e in bundle.common if e.kind.startswith("source.")]
    choices = [e for e in found if e.kind == "source.choice"]
    for e in choices:
        yield _said("models.image_to_image", e["with_image"], e.source)
        yield _said("models.text_to_image", e["without_image"], e.source)
        yield _said("fallback", "text-to-image", e.source)
    for e in found:
        if e.kind == "source.model" and e["role"] in ("image_to_image", "text_to_image"):
            yield _said(f"models.{e['role']}", e["model"], e.source, 1 if choices else 0)
        elif e.kind == "source.parameter":
            yield _said(f"payload.{e['name']}", e["value"], e.source)
    names = dict.fromkeys(e.source.rpartition(":")[0] for e in found)
    trees = [(name, tree) for name in names for tree in _trees(bundle, name)]
    constants = {
        target.id: node.value
        for _, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    fields: list[tuple[str, str]] = []
    for name, tree in trees:
        for node in ast.walk(tree):
            yield from _of_node(node, name, constants)
            fields += [(field, f"{name}:{line}") for field, line in _fields(node)]
        yield from _record(tree, name)
    if fields:
        yield _said("request.image_fields", list(dict.fromkeys(field for field, _ in fields))[:20], fields[0][1])


def _said(key: str, value: Any, source: str, weaker: int = 0) -> Told:
    return Told(key, value, source, (_SOURCE, weaker))


def _trees(bundle: Bundle, name: str) -> Iterator[ast.Module]:
    for place in bundle.origins.get(name, ())[:1]:
        try:
            data = place if isinstance(place, bytes) else place.read_bytes()[:1_000_000]
            yield ast.parse(data.decode("utf-8-sig", "replace"))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue


def _of_node(node: ast.AST, name: str, constants: Mapping[str, ast.expr]) -> Iterator[Told]:
    """What one piece of the source says of the bucket, the picture's key and the form's field."""
    line = getattr(node, "lineno", 1)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "from_" and node.args:
        bucket = _text(node.args[0], constants)
        if bucket and _on_storage(node.func.value):
            yield _said("storage.bucket", bucket, f"{name}:{line}")
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        if "BUCKET" in node.targets[0].id.upper():
            bucket = _text(node.value, constants)
            if bucket:
                yield _said("storage.bucket", bucket, f"{name}:{line}")
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        key = _text(node.targets[0].slice, {})
        if key in ("image_url", "image_urls"):
            yield _said("payload.image_key", key, f"{name}:{line}")
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for argument in node.args.args + node.args.kwonlyargs:
            if argument.annotation is not None and _mentions(argument.annotation, "UploadFile"):
                yield _said("request.multipart_field", argument.arg, f"{name}:{argument.lineno}")


def _mentions(node: ast.expr, word: str) -> bool:
    """Whether a name of an expression holds a word; `ast.unparse` would run out of stack in a deep one."""
    names = (getattr(n, "id", None) or getattr(n, "attr", None) or getattr(n, "value", None) for n in ast.walk(node))
    return any(isinstance(name, str) and word in name for name in names)


def _on_storage(node: ast.expr) -> bool:
    """`client.storage.from_(...)`: the same method of a client asks a table."""
    return isinstance(node, ast.Attribute) and node.attr == "storage"


def _text(node: ast.expr, constants: Mapping[str, ast.expr], depth: int = 0) -> str | None:
    """The text of a literal, of a constant, or of an environment variable's default."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) and _NAME.fullmatch(node.value) else None
    if isinstance(node, ast.Name) and node.id in constants and depth < 3:
        return _text(constants[node.id], constants, depth + 1)
    if isinstance(node, ast.Call) and len(node.args) == 2:
        return _text(node.args[1], constants, depth + 1) if depth < 3 else None
    return None


def _fields(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Names under which a request's pictures are read: a model's attributes, and what is taken from a body."""
    found: list[tuple[object, int]] = []
    if isinstance(node, ast.ClassDef) and any(_mentions(base, "Model") for base in node.bases):
        found = [
            (n.target.id, n.lineno)
            for n in node.body
            if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
        ]
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in _BODIES
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ):
        found = [(node.args[0].value, node.lineno)]
    for name, line in found:
        if isinstance(name, str) and _PICTURE.search(name) and not _NO_PICTURE.search(name) and _NAME.fullmatch(name):
            yield name, line


def _record(tree: ast.Module, name: str) -> Iterator[Told]:
    """The prompt log's name, and how many entries the module that writes it keeps."""
    nodes = list(ast.walk(tree))
    paths = [
        (n.value, n.lineno)
        for n in nodes
        if isinstance(n, ast.Constant)
        and isinstance(n.value, str)
        and re.fullmatch(r"[\w./-]*prompt_?log\w*\.jsonl?", n.value)
    ]
    if not paths:
        return
    yield _said("record.prompt_log", paths[0][0], f"{name}:{paths[0][1]}")
    for node in nodes:
        lower = node.slice.lower if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) else None
        if (
            isinstance(lower, ast.UnaryOp)
            and isinstance(lower.op, ast.USub)
            and isinstance(lower.operand, ast.Constant)
        ):
            kept = lower.operand.value
            if isinstance(kept, int) and not isinstance(kept, bool) and 0 < kept < 1_000_000:
                yield _said("record.keep", kept, f"{name}:{getattr(node, 'lineno', 1)}")


# --- writing ----------------------------------------------------------------------------------------------------------


def toml(found: Draft, name: str = "drafted") -> str:
    """The draft as a profile, each value with where it comes from."""
    seed = profile.build(profile.BUILT_IN["seed"], "seed")
    default = dict(profile.settings(Profile("drafted", seed.image_to_image, seed.text_to_image)))
    lines = [f"# Drafted by `diagnose profile init` from: {_comment(', '.join(found.names) or 'what was given')}"]
    section = ""
    for key in _ORDER:
        inside, _, last = key.rpartition(".")
        if inside != section:
            section = inside
            lines += ["", f"[{section}]"]
        told = found.chosen.get(key)
        if key == "name":
            lines.append(f"name = {_toml(name)}")
        elif told is not None and _only_some(told, default.get(key)):
            lines.append(
                f"# {last} = {_toml(default[key])}  # the default; {_comment(told.source)} used {_toml(told.value)}"
            )
        elif told is not None:
            lines.append(f"{last} = {_toml(told.value)}  # {_comment(told.source)}")
        elif section == "models":
            lines.append(f"{last} = {_toml(default[key])}  # not seen: the default")
        elif key in default:
            lines.append(f"# {last} = {_toml(default[key])}  # not seen: the default")
        for other in found.conflicts.get(key, ()):
            lines.append(f"# conflict: {_comment(other.source)} says {_comment(_toml(other.value))}")
    return "\n".join(lines) + "\n"


def _only_some(told: Told, default: Any) -> bool:
    """Whether attempts used some of the default's fields and nothing says that the others are not read."""
    return told.key == "request.image_fields" and not told.from_source and set(told.value) <= set(default)


def _toml(value: Any) -> str:
    """A value as TOML writes it; its strings are JSON's, of printable characters alone."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return json.dumps(value, ensure_ascii=False)


def _comment(text: str) -> str:
    """A text for a comment: one line, nothing secret, nothing that commands a terminal."""
    return "".join(each if each.isprintable() else "?" for each in mask.cut(text, LONGEST))


# --- judging ----------------------------------------------------------------------------------------------------------


def differences(declared: Profile, found: Draft) -> tuple[Difference, ...]:
    """Where the evidence says something else than the profile does."""
    known = dict(profile.settings(declared))
    different: list[Difference] = []
    for key, told in found.chosen.items():
        mine = known.get(key)
        agreed = told.from_source and any(_agrees(key, mine, o.value) for o in found.conflicts.get(key, ()))
        if told.rank[0] >= _SCHEMA or (key not in known and key.startswith("payload.")):
            continue  # no evidence; or the profile does not say that it must be sent
        if not agreed and not _agrees(key, mine, told.value):
            different.append(Difference(key, mine, told.value, told.source))
    return tuple(different)


def _agrees(key: str, declared: Any, seen: Any) -> bool:
    if key == "request.image_fields":
        return set(seen) <= set(declared)
    if key == "record.prompt_log":
        one, two = str(declared).split("/"), str(seen).split("/")
        return one[-1] == two[-1]
    return _same(declared, seen)


def remarks(declared: Profile) -> tuple[Phrase, ...]:
    """What fal's schemas, as they are bundled, say against a profile."""
    found: list[Phrase] = []
    for key, model in (("image_to_image", declared.image_to_image), ("text_to_image", declared.text_to_image)):
        known = schema.fal_input(model)
        if known is None:
            found.append(
                Phrase(
                    "models.{key}: the schema of '{model}' is not bundled, so its payload cannot be checked",
                    key=key,
                    model=model,
                )
            )
        wanted = key.replace("_", "-")
        mode = (known or {}).get("x-mode") or mode_by_name(model)
        if mode is not None and mode != wanted:
            found.append(Phrase("models.{key}: '{model}' is a model for {mode}", key=key, model=model, mode=mode))
    known = schema.fal_input(declared.image_to_image)
    if known is not None:
        found += _of_payload(declared, known["properties"])
    return tuple(found)


_MEANT = {
    "image_strength": "strength",
    "strength": "image_strength",
    "steps": "num_inference_steps",
    "cfg_scale": "guidance_scale",
    "image_url": "image_urls",
    "image_urls": "image_url",
}


def _of_payload(declared: Profile, properties: Mapping[str, Any]) -> Iterator[Phrase]:
    model = declared.image_to_image
    if declared.image_key not in properties:
        meant = _MEANT.get(declared.image_key)
        hint = Phrase("; it reads {meant}", meant=meant) if meant in properties else ""
        yield Phrase("payload.image_key: '{model}' has no {key}{hint}", model=model, key=declared.image_key, hint=hint)
    for key, value in declared.payload.items():
        rule = properties.get(key)
        if rule is None:
            meant = _MEANT.get(key, "")
            sent = meant in declared.payload
            effect: str = ""
            if meant in properties and not sent and "default" in properties[meant]:
                default = properties[meant]["default"]
                effect = Phrase("; {meant} {default} takes effect", meant=meant, default=default)
            yield Phrase(
                "payload.{key}: '{model}' has no such key and fal ignores it{effect}",
                key=key,
                model=model,
                effect=effect,
            )
        elif isinstance(rule, Mapping):
            low, high = rule.get("minimum"), rule.get("maximum")
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if number and ((low is not None and value < low) or (high is not None and value > high)):
                yield Phrase(
                    "payload.{key}: {value} is outside what '{model}' takes: {bounds}",
                    key=key,
                    value=value,
                    model=model,
                    bounds=f"[{'' if low is None else low}, {'' if high is None else high}]",
                )
            elif rule.get("type") in ("number", "integer") and not number:
                yield Phrase(
                    "payload.{key}: '{model}' takes a number, not {value}", key=key, model=model, value=repr(value)
                )
