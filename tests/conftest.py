"""What tests share: one stage for the demo, since services need not be started anew for every case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from diagnose.generator.demo import Stage, stage
from diagnose.generator.faults import FAULTS, sound


@pytest.fixture(scope="session")
def on_stage() -> Iterator[Stage]:
    """The demo's machine, with Supabase and fal on it."""
    with stage() as built:
        yield built


@pytest.fixture(scope="session")
def cases(on_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The evidence of every fault of the demo, and of a request that went well. To be read only."""
    top = tmp_path_factory.mktemp("cases")
    for fault in FAULTS:
        on_stage.write_case(fault, top / fault.name.replace(":", "-"))
    on_stage.write_world(sound(), top / "sound")
    return {path.name: path for path in sorted(top.iterdir())}


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    """The language of a run is the program's, and a test's run is one of many in one program."""
    yield
    from diagnose.cli import terminal

    if terminal.spoken() is not None:
        from diagnose.cli import cli, help_texts

        terminal.asked(None)
        help_texts.speak(cli, "en")
