"""Reads a backend's source: which models its constants name, and the conditional that chooses between them."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from diagnose.model import Evidence, Witness, mode_by_name

MAX_FILES, MAX_BYTES = 400, 1_000_000
_SKIPPED = {
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
        evidence += _models(module)
        evidence += _choices(module, known)
        evidence += _fields(module)
    return evidence


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
        return
    count = 0
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(d for d in folders if d not in _SKIPPED and not d.startswith("."))
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
