"""The settings as a backend finds them: told by name, shape and digest, from files, this shell and a running process."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnose.collect import settings, source
from diagnose.live import environment
from diagnose.live.backend import _settings
from diagnose.live.process import Listener, Process
from diagnose.model import Evidence
from tests.cases_support import case_of, look

SECRET = "8f14e45f-ceea-467f-9a6b-1d2c3b4a5968:" + "0123456789abcdef" * 2
OTHER = SECRET[:-1] + "0"


def fields(evidence: list[Evidence], name: str) -> list[Evidence]:
    return [e for e in evidence if e["name"] == name]


def test_values_are_told_apart_and_not_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"FAL_KEY={SECRET}\n")
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend/.env").write_text(f"FAL_KEY='{SECRET}'\n")
    found = environment.read({"FAL_KEY": OTHER, "PATH": "/bin"}, (), tmp_path)
    ours, one, two = fields(list(found.evidence), "FAL_KEY")
    assert ours["file"] == "environment" and one["digest"] == two["digest"] != ours["digest"]
    assert SECRET[:12] not in str([dict(e.fields) for e in found.evidence]) + repr(found)
    assert found.first("FAL_KEY").value == OTHER  # type: ignore[union-attr]
    said = look("environment_incomplete", case_of(*found.evidence))
    assert said.status == "pass" and "environment wins" in str(said.message)


def test_two_keys_of_one_shape_differ(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"FAL_KEY={SECRET}\n")
    (tmp_path / "config.env").write_text(f"FAL_KEY={OTHER}\n")
    said = look("environment_incomplete", case_of(*environment.read({}, (), tmp_path).evidence))
    assert said.status == "warn" and "differs between .env and config.env" in str(said.message)


def test_a_process_s_variables_and_the_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend/main.py").write_text("app = 1\n")
    (tmp_path / "backend/.env").write_text("SUPABASE_URL=https://abcdefghijklmnopqrst.supabase.co\n")
    (tmp_path / "config.env").write_text(f"FAL_KEY={SECRET}\nSUPABASE_URL=https://another.example\n")
    running = Process(7, ("x",), str(tmp_path / "backend"), variables={"FAL_KEY": OTHER, "HOME": "/root"})
    found = list(_settings(Listener("127.0.0.1:1", running, (7,), "main:app", str(tmp_path / "backend/main.py"))))
    assert [(e["name"], Path(str(e["file"])).name) for e in found] == [
        ("FAL_KEY", "process 7"),
        ("SUPABASE_URL", ".env"),
        ("FAL_KEY", "config.env"),
    ]
    assert SECRET not in str([e.fields for e in found]) and OTHER not in repr(running)


@pytest.mark.parametrize(
    ("name", "value", "shape", "origin"),
    [
        ("NEXT_PUBLIC_API_URL", "http://me:pw@Localhost:8001/api", "url", "http://localhost:8001"),
        ("VITE_API_URL", "/api", "path", None),
        ("VITE_API_BASE", "", "empty", None),
        ("REACT_APP_API_URL", "localhost:8000", "other", None),
    ],
)
def test_a_frontend_s_address(name: str, value: str, shape: str, origin: str | None) -> None:
    (found,) = settings.read(f"{name}={value}\n", ".env")
    assert (found["shape"], found["origin"]) == (shape, origin) and "pw" not in str(dict(found.fields))


@pytest.mark.parametrize("value", ["\ud800", "\x00" * 10, "x" * 100_000, "http://[", "http://" + "a" * 5000])
def test_no_value_raises(value: str) -> None:
    assert settings.told("API_URL", value)["digest"]


def test_what_cannot_be_opened_is_left_out(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    (tmp_path / "config.env").symlink_to(tmp_path / "config.env")
    assert environment.read({}, (), tmp_path).evidence == () and environment.beside(tmp_path / "nowhere") == []


def test_literals_where_a_payload_is_built(tmp_path: Path) -> None:
    (tmp_path / "fal_service.py").write_text(
        "IMAGE_STRENGTH = 0.5\nCONTROL_STRENGTH = 9\n"
        "def build(guidance_scale: float = 1.0):\n"
        "    body = {'num_inference_steps': 7, 'guidance_scale': guidance_scale, 'strength': True}\n"
        "    body['strength'] = 0.6\n    return post(guidance_scale=3.5)\n"
    )
    told = {(e["name"], e["value"]) for e in source.read(tmp_path) if e.kind == "source.parameter"}
    assert told == {("image_strength", 0.5), ("num_inference_steps", 7), ("strength", 0.6), ("guidance_scale", 3.5)}
