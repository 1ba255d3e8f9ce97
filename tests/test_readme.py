"""The README says what is so: its screen is the real one, and its commands and options exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from diagnose.cli import cli

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SCREEN = "demo --break bucket_missing --color never --lang en"


def test_the_screen_is_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = re.search(r"<!-- screen -->\n```text\n(.*?)\n```", README, re.S)
    assert shown is not None
    ran = CliRunner().invoke(cli, shlex.split(SCREEN))
    assert shown[1].split("\n", 1)[1].strip() == ran.output.strip()


def test_every_command_in_it_exists() -> None:
    named = set(re.findall(r"^(?:docker logs api 2>&1 \| )?diagnose ([a-z][a-z-]+)", README, re.M))
    assert named == set(cli.commands) - {"checks", "schema"}


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", README))))
def test_every_option_in_it_exists(option: str) -> None:
    known = {name for command in cli.commands.values() for parameter in command.params for name in parameter.opts}
    assert option in known
