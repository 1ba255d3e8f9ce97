"""The README says what is so: its screen is the real one, and its commands and options exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from diagnose.cli import cli, help_texts
from tests.screens import FOLDER, SCREENS, drawn, said

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCREENS)
def test_the_screens_are_what_the_commands_print(name: str) -> None:
    assert said((FOLDER / f"{name}.svg").read_text(encoding="utf-8")) == said(drawn(name))
    assert f"(tests/screens/{name}.svg)" in README


def test_the_screens_load_nothing() -> None:
    for name in SCREENS:
        found = set(re.findall(r"https?://[^\"' )]+", (FOLDER / f"{name}.svg").read_text(encoding="utf-8")))
        assert found <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}, name


def test_every_command_in_it_exists() -> None:
    named = set(re.findall(r"^(?:docker logs api 2>&1 \| )?diagnose ([a-z][a-z-]+)", README, re.M))
    assert named == set(cli.commands)


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", README))))
def test_every_option_in_it_exists(option: str) -> None:
    known = {
        name for told in help_texts.told(cli) for parameter in getattr(told, "params", ()) for name in parameter.opts
    }
    assert option in known
