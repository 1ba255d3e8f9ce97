"""Reads a backend's source: which models and parameters its constants name, the conditional that chooses, its routes."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from diagnose.model import Evidence, Witness, mode_by_name

MAX_FILES, MAX_BYTES = 400, 1_000_000
SKIPPED = {
    "node_modules",
    "venv",
    ".venv",
    "env",
    "site-packages",
    "__pycache__",
    ".git",
    "dist",
    "build",
    "tests",
    "test",
    "migrations",
}
_MODEL = re.compile(r"^(?:https?://(?:queue\.)?fal\.run/)?((?:fal-ai|fal)/[\w.\-]+(?:/[\w.\-]+)*)/?$")
_FIELD = re.compile(r"image|photo|picture|face|selfie|avatar|reference", re.I)
_IMAGE_ROLE = re.compile(r"image_?to_?image|i2i|img2img|edit|with_image|reference", re.I)
_TEXT_ROLE = re.compile(r"text_?to_?image|t2i|txt2img|schnell|without_image", re.I)
PARAMETERS = ("strength", "image_strength", "num_inference_steps", "guidance_scale")
_PARAMETER = re.compile(rf"(?:(?:default|fal|i2i|img2img|image_to_image)_)*({'|'.join(PARAMETERS)})")
_METHODS = ("get", "post", "put", "patch", "delete")
_APPS = ("FastAPI", "Starlette", "Flask", "Quart", "Litestar")
_RUNS = ("run", "serve", "run_app", "main", "start", "cli")
"""Names of what starts a server when a module's last line calls it."""
_ABOUT_IMAGE = re.compile(r"image|img|photo|picture|url|ref|i2i|face", re.I)


@dataclass
class _Module:
    file: str
    tree: ast.Module
    constants: dict[str, tuple[str, int]] = field(default_factory=dict)


def read(folder: Path) -> list[Evidence]:
    """Constants, conditionals and field names of every Python file below a folder; what cannot be parsed is left out."""
    modules = [m for m in (_parse(folder, path) for path in _files(folder)) if m is not None]
    shared = {name: value for m in modules for name, (value, _) in m.constants.items()}
    evidence: list[Evidence] = []
    for module in modules:
        known = {**shared, **{name: value for name, (value, _) in module.constants.items()}}
        try:
            evidence += [*_models(module), *_choices(module, known), *_parameters(module), *_fields(module)]
        except RecursionError:  # an expression as deep as no author writes
            continue
    return evidence


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
        return
    count = 0
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(d for d in folders if d not in SKIPPED and not d.startswith("."))
        for name in sorted(files):
            if name.endswith(".py") and count < MAX_FILES:
                count += 1
                yield Path(top) / name


def _parse(folder: Path, path: Path) -> _Module | None:
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        tree = ast.parse(path.read_text(encoding="utf-8-sig", errors="replace"))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    name = path.name if folder.is_file() else path.relative_to(folder).as_posix()
    module = _Module(name, tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            model = _literal(node.value)
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if model and isinstance(target, ast.Name):
                    module.constants.setdefault(target.id, (model, node.lineno))
    return module


def _literal(node: ast.expr) -> str | None:
    """The model a literal names, also as fal.run's address or as an environment default."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        found = _MODEL.match(node.value)
        return found[1] if found else None
    if isinstance(node, ast.Call) and len(node.args) == 2:
        return _literal(node.args[1])  # os.getenv("FAL_MODEL", "fal-ai/...")
    return None


def _models(module: _Module) -> Iterator[Evidence]:
    for name, (model, line) in module.constants.items():
        role = (
            "image_to_image"
            if _IMAGE_ROLE.search(name)
            else "text_to_image"
            if _TEXT_ROLE.search(name)
            else _role(model)
        )
        fields = {"name": name, "model": model, "role": role}
        yield Evidence("source.model", f"{module.file}:{line}", Witness.FORECAST, fields)


def _role(model: str) -> str | None:
    mode = mode_by_name(model)
    return mode.replace("-", "_") if mode else None


def _choices(module: _Module, known: dict[str, str]) -> Iterator[Evidence]:
    tests = {
        t.id: n.value
        for n in ast.walk(module.tree)
        if isinstance(n, ast.Assign)
        for t in n.targets
        if isinstance(t, ast.Name)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.IfExp):
            yes, no = _named(node.body, known), _named(node.orelse, known)
        elif isinstance(node, ast.If) and node.orelse:
            yes, no = _assigned(node.body, known), _assigned(node.orelse, known)
        else:
            continue
        if not yes or not no or yes == no:
            continue
        holds = _with_image(node.test, tests)
        if holds is None:
            continue
        fields = {
            "test": ast.unparse(node.test)[:160],
            "with_image": yes if holds else no,
            "without_image": no if holds else yes,
        }
        yield Evidence("source.choice", f"{module.file}:{node.lineno}", Witness.FORECAST, fields)


def _named(node: ast.expr, known: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        return known.get(node.attr)
    return _literal(node)


def _assigned(body: list[ast.stmt], known: dict[str, str]) -> str | None:
    for statement in body:
        value = getattr(statement, "value", None)
        if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Return)) and isinstance(value, ast.expr):
            model = _named(value, known)
            if model:
                return model
    return None


def _with_image(test: ast.expr, tests: dict[str, ast.expr], depth: int = 0) -> bool | None:
    """Whether a condition holds when there is an image URL; None when it does not speak of one."""
    if depth > 6:
        return None
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _with_image(test.operand, tests, depth + 1)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        parts = [p for p in (_with_image(v, tests, depth + 1) for v in test.values) if p is not None]
        if not parts:
            return None
        return all(parts) if isinstance(test.op, ast.And) else any(parts)
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        subject = _with_image(test.left, tests, depth + 1)
        empty = isinstance(test.comparators[0], ast.Constant) and test.comparators[0].value in (None, "", 0)
        if subject is None or not empty:
            return None
        return subject if isinstance(test.ops[0], (ast.IsNot, ast.NotEq, ast.Gt)) else not subject
    if isinstance(test, ast.Call):
        if isinstance(test.func, ast.Name) and test.func.id in ("bool", "len", "any", "all") and test.args:
            return _with_image(test.args[0], tests, depth + 1)
        return None
    name = test.id if isinstance(test, ast.Name) else test.attr if isinstance(test, ast.Attribute) else ""
    set_to = tests.get(name)
    if isinstance(set_to, (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Call, ast.Constant)):
        value = _with_image(set_to, {k: v for k, v in tests.items() if k != name}, depth + 1)
        if value is not None and not (isinstance(set_to, ast.Constant) and set_to.value is None):
            return value
    return True if name and _ABOUT_IMAGE.search(name) else None


def _parameters(module: _Module) -> Iterator[Evidence]:
    """Numbers that stand as literals where a payload is built; defaults that a request may replace are not among them."""
    seen: set[tuple[str, object]] = set()
    for name, value, line in _literals(module.tree):
        match = _PARAMETER.fullmatch(name.lower())
        number = _number(value)
        if match is not None and number is not None and (match[1], number) not in seen:
            seen.add((match[1], number))
            fields = {"name": match[1], "value": number}
            yield Evidence("source.parameter", f"{module.file}:{line}", Witness.FORECAST, fields)


def _literals(tree: ast.Module) -> Iterator[tuple[str, ast.expr, int]]:
    """Every name that is given a value: constants, keys of a dictionary, arguments by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value, value.lineno
        elif isinstance(node, ast.Call):
            for argument in node.keywords:
                if argument.arg:
                    yield argument.arg, argument.value, argument.value.lineno
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value, node.lineno
                elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                    yield str(target.slice.value), node.value, node.lineno


def _number(node: ast.expr) -> int | float | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _fields(module: _Module) -> Iterator[Evidence]:
    """Names of image fields that the source reads from a request."""
    seen: set[str] = set()
    for node in ast.walk(module.tree):
        name: object = None
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("get", "pop")
            and node.args
        ):
            first = node.args[0]
            name = first.value if isinstance(first, ast.Constant) else None
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            name = node.slice.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif isinstance(node, ast.arg):
            name = node.arg
        if isinstance(name, str) and _FIELD.search(name) and name not in seen:
            seen.add(name)
            yield Evidence(
                "source.field", f"{module.file}:{getattr(node, 'lineno', 1)}", Witness.FORECAST, {"name": name}
            )


# --- the server -------------------------------------------------------------------------------------------------------


class Route(NamedTuple):
    """A route that a module declares whatever its settings are."""

    method: str
    path: str
    source: str


class Server(NamedTuple):
    """What the source says of the server it makes."""

    routes: tuple[Route, ...] = ()
    entry: str | None = None
    """The app as a server is told to load it: `main:app`."""
    starts: bool | None = None
    """Whether `python main.py` starts anything; None where there is no such file."""


def server(folder: Path) -> Server:
    """The routes of every app below a folder, and how it is started."""
    routes: list[Route] = []
    apps: dict[str, str] = {}
    starts: bool | None = None
    for path in _files(folder):
        if not _about_server(path):
            continue
        module = _parse(folder, path)
        if module is None:
            continue
        made = _made(module.tree)
        if made:
            apps.setdefault(module.file, f"{module.file.removesuffix('.py').replace('/', '.')}:{made[0]}")
        routes += _routes(module, {*made, *_taken(module.tree)})
        if module.file == "main.py":
            starts = _starts(module.tree)
            for name in _taken(module.tree):
                apps.setdefault(module.file, f"main:{name}")
    first = sorted(apps, key=lambda file: (file != "main.py", file.count("/"), file))
    return Server(tuple(routes), apps[first[0]] if first else None, starts)


def _about_server(path: Path) -> bool:
    """Whether a file is worth parsing for what it says of a server."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return False
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return False
    return path.name == "main.py" or any(f"{name}(" in text for name in _APPS) or "@app." in text


def _made(tree: ast.Module) -> list[str]:
    """Names of the apps that a module makes."""
    return [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _called(node.value) in _APPS
        for target in node.targets
        if isinstance(target, ast.Name)
    ]


def _taken(tree: ast.Module) -> list[str]:
    """Apps that a module takes from another."""
    names = [
        (alias.asname or alias.name) for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    return [name for name in names if name in ("app", "application")]


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _routes(module: _Module, apps: set[str]) -> Iterator[Route]:
    for node in module.tree.body:  # what stands in a condition or a function may never be declared
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for call in node.decorator_list:
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            owner = call.func.value
            if not (isinstance(owner, ast.Name) and owner.id in apps and call.func.attr in _METHODS):
                continue
            named = {k.arg: k.value for k in call.keywords}
            path = call.args[0] if call.args else named.get("path")
            if isinstance(path, ast.Constant) and isinstance(path.value, str) and "include_in_schema" not in named:
                # OpenAPI leaves a parameter's converter out
                shown = re.sub(r"\{(\w+):\w+\}", r"{\1}", path.value)
                yield Route(call.func.attr.upper(), shown, f"{module.file}:{call.lineno}")


def _starts(tree: ast.Module) -> bool:
    """Whether running a module as a script starts a server, and not merely declares one."""
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _called(node.value) in _RUNS:
            return True
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
            if any(_called(call) not in ("print", "info", "debug") for call in calls):
                return True
    return False
