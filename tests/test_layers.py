"""Imports point one way. Every import of the program is read with `ast`, and the wrong arrows are named."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("diagnose", "checks", "schemas")

LEAVES = frozenset({"model", "selection", "errors"})
ALLOWED: dict[str, frozenset[str]] = {
    "model": frozenset({"model"}),
    "selection": frozenset(),
    "errors": frozenset(),
    "registry": LEAVES | {"siblings", "plugins"},
    "plugins": frozenset({"model", "mask"}),
    "profile_draft": frozenset({"collect", "normalise", "schema", "mask", "profile", "model", "errors"}),
    "schema": LEAVES | {"siblings"},
    "fingerprint": frozenset(),
    "siblings": LEAVES | {"siblings"},
    "mask": LEAVES | {"siblings", "mask"},
    "coverage": LEAVES | {"siblings"},
    "profile": frozenset({"model", "errors"}),
    "collect": frozenset({"collect", "model", "errors"}),
    "live": frozenset({"live", "collect", "fingerprint", "schema", "mask", "model", "errors"}),
    "compare": frozenset({"collect", "history", "normalise", "explain", "model"}),
    "explain": frozenset({"registry", "coverage", "model", "selection", "errors"}),
    "normalise": frozenset({"collect", "schema", "model", "errors"}),
    "generator": frozenset({"generator", "model", "selection", "errors", "profile", "schema", "mask", "fingerprint"}),
    "render": frozenset({"render", "model", "mask", "errors"}),
    "case_file": frozenset({"profile", "mask", "model", "errors"}),
    "examine": frozenset({"collect", "live", "normalise", "case_file", "mask", "model", "errors"}),
    "bundle": frozenset({"collect", "case_file", "mask", "model", "errors"}),
    "excerpts": frozenset({"collect", "schema", "mask", "model"}),
    "history": frozenset({"history", "collect", "normalise", "explain", "registry", "schema", "model", "errors"}),
    "serve": frozenset(
        {"collect", "normalise", "explain", "registry", "render", "generator", "profile", "model", "errors"}
    ),
    "watch": frozenset({"watch", "collect", "normalise", "explain", "model", "errors"}),
    "score": frozenset({"collect", "explain", "normalise", "profile", "registry", "generator", "model"}),
}
"""What each part of the program may import of ours. `cli` and `__main__` may import anything."""

FREE = frozenset({"cli", "__main__"})
LATE = frozenset({"httpx", "supabase", "psutil", "dask", "distributed", "fsspec", "numpy", "ruptures", "scipy"})
"""Imported nowhere at module level: they are slow, and most runs need none of them."""
SERVER = (
    "diagnose/generator/app.py",
    "diagnose/generator/client.py",
    "diagnose/generator/entrance.py",
    "diagnose/generator/openapi.py",
    "diagnose/generator/embedded.py",
    "diagnose/generator/faults.py",
    "diagnose/generator/demo.py",
    "diagnose/generator/standins/",
    "diagnose/score.py",
)
"""Modules that only the server and the demo load; they may import at once what those need, and nobody else may import them so."""
INSIDE = frozenset({"jsonschema", "jsonschema_rs", "referencing", "ftfy", "dotenv"})
"""Imported only inside the function that needs them."""


@dataclass(frozen=True)
class Arrow:
    """One import."""

    file: str
    line: int
    target: str
    inside: bool
    """Whether it stands in a function, and so costs nothing until it is called."""
    typing: bool
    """Whether it stands under `if TYPE_CHECKING:`, and so never runs."""

    @property
    def package(self) -> str:
        return self.target.partition(".")[0]

    @property
    def part(self) -> str:
        """The part of the program an import of ours leads to."""
        return self.target.split(".")[1] if "." in self.target else ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.target}"


def files() -> Iterator[Path]:
    for package in OURS:
        yield from sorted((ROOT / package).rglob("*.py"))


def part_of(file: str) -> str:
    """`diagnose/collect/text.py` belongs to collect, `diagnose/model.py` to model."""
    first = file.split("/")[1]
    return first.removesuffix(".py")


def arrows(path: Path) -> Iterator[Arrow]:
    name = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from _walk(tree, name, inside=False, typing=False)


def _walk(node: ast.AST, file: str, inside: bool, typing: bool) -> Iterator[Arrow]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            for target in _targets(child, file):
                yield Arrow(file, child.lineno, target, inside, typing)
            continue
        function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield from _walk(child, file, inside or function, typing or checking)


def _targets(node: ast.Import | ast.ImportFrom, file: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        above = file.removesuffix(".py").split("/")[: -node.level]
        base = ".".join([*above, *([base] if base else [])])
    folder = ROOT / base.replace(".", "/")
    modules = [
        alias.name for alias in node.names if (folder / f"{alias.name}.py").exists() or (folder / alias.name).is_dir()
    ]
    if base in OURS or base.startswith(tuple(f"{name}." for name in OURS)):
        return [f"{base}.{name}" for name in modules] or [base]
    return [base]


ARROWS = [arrow for path in files() for arrow in arrows(path)]
OUTSIDE_TYPING = [arrow for arrow in ARROWS if not arrow.typing]


def wrong(found: list[Arrow]) -> str:
    return "\n".join(str(arrow) for arrow in found)


def test_the_program_was_read() -> None:
    assert len(ARROWS) > 100
    assert any(arrow.inside for arrow in ARROWS) and any(not arrow.inside for arrow in ARROWS)


def test_the_package_itself_imports_nothing() -> None:
    found = [arrow for arrow in ARROWS if arrow.file == "diagnose/__init__.py"]
    assert not found, wrong(found)


def test_every_part_has_its_place() -> None:
    parts = {part_of(arrow.file) for arrow in ARROWS if arrow.file.startswith("diagnose/")} - {"__init__"}
    homeless = parts - ALLOWED.keys() - FREE
    assert not homeless, f"{', '.join(sorted(homeless))}: say in ALLOWED what this part may import"


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_imports_point_one_way(part: str) -> None:
    own = [a for a in ARROWS if a.file.startswith("diagnose/") and part_of(a.file) == part and a.package in OURS]
    # `from diagnose import __version__` takes a word, not a module
    found = [a for a in own if a.package != "diagnose" or (a.part and a.part not in ALLOWED[part])]
    assert not found, f"{part} may import {', '.join(sorted(ALLOWED[part])) or 'nothing of ours'}:\n{wrong(found)}"


def test_a_check_imports_the_model_and_no_more_of_ours() -> None:
    found = [
        a
        for a in ARROWS
        if a.file.startswith("checks/") and a.package in OURS and not f"{a.target}.".startswith("diagnose.model.")
    ]
    assert not found, wrong(found)


def test_only_the_command_line_imports_click() -> None:
    found = [a for a in OUTSIDE_TYPING if a.package == "click" and part_of(a.file) != "cli"]
    assert not found, wrong(found)


def test_only_rendering_imports_rich() -> None:
    found = [
        a
        for a in OUTSIDE_TYPING
        if a.package == "rich" and part_of(a.file) != "render" and not (part_of(a.file) == "cli" and a.inside)
    ]
    assert not found, wrong(found)


def test_slow_packages_are_imported_nowhere_at_module_level() -> None:
    found = [a for a in OUTSIDE_TYPING if a.package in LATE and not a.inside and not a.file.startswith(SERVER)]
    assert not found, wrong(found)


def test_only_the_server_imports_what_belongs_to_it() -> None:
    theirs = {file.removesuffix(".py").removesuffix("/").replace("/", ".") for file in SERVER}
    packages = {"fastapi", "starlette", "uvicorn", "filelock", "jinja2", "PIL"}
    found = [
        a
        for a in OUTSIDE_TYPING
        if not a.inside
        and not a.file.startswith(SERVER)
        and (a.package in packages or any(f"{a.target}.".startswith(f"{name}.") for name in theirs))
    ]
    assert not found, wrong(found)


def test_validators_are_imported_only_inside_functions() -> None:
    found = [a for a in OUTSIDE_TYPING if a.package in INSIDE and not a.inside]
    assert not found, wrong(found)


def test_only_the_command_line_and_rendering_print() -> None:
    found = []
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(("diagnose/cli/", "diagnose/render/")):
            continue
        calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
        found += [f"{name}:{c.lineno} prints" for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]
    assert not found, "\n".join(found)


def test_a_wrong_arrow_would_be_seen(tmp_path: Path) -> None:
    tree = ast.parse(
        "import httpx\n\ndef f():\n    import dask\nif TYPE_CHECKING:\n    import rich\nfrom diagnose import explain\n"
    )
    found = list(_walk(tree, "diagnose/model.py", inside=False, typing=False))
    assert [(a.target, a.inside, a.typing) for a in found] == [
        ("httpx", False, False),
        ("dask", True, False),
        ("rich", False, True),
        ("diagnose.explain", False, False),
    ]
