"""`profile init`, `profile show`, `profile check`: a profile drafted from evidence judges that evidence as sound."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from diagnose import collect, explain, normalise, profile, profile_draft
from diagnose.cli.profile import profile as command
from diagnose.errors import DiagnoseError, Exit, NothingReadable, ProfileError
from diagnose.model import Profile

SOURCE = """\
from fastapi import FastAPI, File, UploadFile
FAL_IMAGE_TO_IMAGE = "fal-ai/flux/dev/image-to-image"
FAL_TEXT_TO_IMAGE = "fal-ai/flux/schnell"
BUCKET = os.getenv("BUCKET", "pictures")
LOG = "data/prompt_log.json"

def endpoint(image_url):
    return FAL_IMAGE_TO_IMAGE if image_url else FAL_TEXT_TO_IMAGE

async def generate(photo: UploadFile = File(None)):
    face = body.get("face_image")
    client.storage.from_(BUCKET).upload("x", face)
    client.from_("users").select("*")
    payload = {"num_inference_steps": 28, "strength": 0.8}
    payload["image_url"] = url
    entries = entries[-25:]
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(each) for each in arguments])


def error(result: Result) -> DiagnoseError:
    assert isinstance(result.exception, DiagnoseError), result.exception
    return result.exception


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """What the small backend leaves when nothing is wrong, by profile."""
    from diagnose.generator.demo import stage
    from diagnose.generator.faults import sound as world

    top = tmp_path_factory.mktemp("sound")
    with stage() as on:
        for name in ("seed", "flux-2-edit"):
            on.write_world(world(name), top / name)
        broken = next(f for f in _faults() if f.name == "bucket_missing")
        on.write_case(broken, top / "broken")
    yield {"seed": top / "seed", "flux-2-edit": top / "flux-2-edit", "broken": top / "broken"}


def _faults() -> Any:
    from diagnose.generator import faults

    return faults.FAULTS


def drafted(*paths: Path) -> tuple[Profile, profile_draft.Draft]:
    found = profile_draft.draft(collect.gather(paths, every=True))
    return profile.parse(profile_draft.toml(found), "the draft"), found


@pytest.mark.parametrize("name", ["seed", "flux-2-edit"])
def test_a_profile_drafted_from_a_sound_run_judges_it_as_sound(sound: dict[str, Path], name: str) -> None:
    made, found = drafted(sound[name])
    meant = profile.build(profile.BUILT_IN[name], name)
    assert (made.image_to_image, made.text_to_image) == (meant.image_to_image, meant.text_to_image)
    assert (made.image_key, made.bucket, made.fallback) == (meant.image_key, meant.bucket, meant.fallback)
    assert meant.payload.items() <= made.payload.items()
    d = explain.diagnose(normalise.cases(collect.gather([sound[name]]), made)[0])
    assert (d.outcome, d.intended, d.root) == ("switched", True, None)
    drift = d.finding("parameter_drift")
    assert drift is not None and drift.status == "pass"
    assert not found.conflicts and not profile_draft.differences(made, found)


def test_each_value_says_where_it_comes_from(sound: dict[str, Path]) -> None:
    result = run("init", sound["seed"])
    assert result.exit_code == 0
    lines = [
        line for line in result.stdout.splitlines() if line and line[0] not in "#[" and not line.startswith("name")
    ]
    assert len(lines) > 8
    assert all("  # " in line for line in lines)
    assert 'image_to_image = "fal-ai/flux-general/image-to-image"  # backend.log:' in result.stdout


def test_without_a_log_the_source_is_believed(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SOURCE, encoding="utf-8")
    result = run("init", tmp_path)
    assert result.exit_code == 0
    table = tomllib.loads(result.stdout)
    assert table["models"] == {
        "image_to_image": "fal-ai/flux/dev/image-to-image",
        "text_to_image": "fal-ai/flux/schnell",
    }
    assert table["payload"] == {"image_key": "image_url", "strength": 0.8, "num_inference_steps": 28}
    assert table["storage"] == {"bucket": "pictures"}
    assert table["request"] == {"image_fields": ["face_image"], "multipart_field": "photo"}
    assert table["record"] == {"prompt_log": "data/prompt_log.json", "keep": 25}
    assert "# main.py:8" in result.stdout and "# main.py:14" in result.stdout


def test_the_strongest_witness_wins_and_the_others_are_named(sound: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SOURCE, encoding="utf-8")
    result = run("init", sound["seed"] / "backend.log", tmp_path)
    assert tomllib.loads(result.stdout)["models"]["image_to_image"] == "fal-ai/flux-general/image-to-image"
    assert '# conflict: main.py:8 says "fal-ai/flux/dev/image-to-image"' in result.stdout
    assert "models.image_to_image: 'fal-ai/flux-general/image-to-image'" in result.stderr
    assert "fal-ai/flux/dev/image-to-image" in result.stderr


def test_a_literal_told_in_two_ways_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SOURCE + 'other = {"num_inference_steps": 7}\n', encoding="utf-8")
    result = run("init", tmp_path)
    assert "num_inference_steps" not in tomllib.loads(result.stdout)["payload"]
    assert "payload.num_inference_steps: left out" in result.stderr


def test_a_picture_that_was_lost_does_not_make_the_wrong_model_the_right_one(sound: dict[str, Path]) -> None:
    made, _ = drafted(sound["broken"])
    assert made.image_to_image == "fal-ai/flux-general/image-to-image"
    d = explain.diagnose(normalise.cases(collect.gather([sound["broken"]]), made)[0])
    assert d.outcome == "not_switched" and d.root is not None and d.root.check == "bucket_missing"


def test_no_secret_and_no_command_gets_into_a_draft(tmp_path: Path) -> None:
    secret = "sb_secret_abcdefghijklmnopqrstuvwxyz012345"
    hostile = f'FAL_IMAGE_TO_IMAGE = "fal-ai/flux/dev/image-to-image"\nBUCKET = "{secret}"\nclient.storage.from_("a\\x1b[2J")\n'
    (tmp_path / "ma\x1b[31min.py").write_text(hostile, encoding="utf-8")
    result = run("init", tmp_path)
    assert result.exit_code == 0
    assert secret not in result.output and "\x1b" not in result.output
    assert "bucket" not in tomllib.loads(result.stdout).get("storage", {})


def test_a_draft_is_not_written_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text(SOURCE, encoding="utf-8")
    target = tmp_path / "diagnose.toml"
    assert run("init", tmp_path / "src", "-o", target).exit_code == 0
    first = target.read_text(encoding="utf-8")
    target.write_text("mine", encoding="utf-8")
    refused = run("init", tmp_path / "src", "-o", target)
    assert refused.exit_code == Exit.USAGE and "--force" in refused.stderr
    assert target.read_text(encoding="utf-8") == "mine"
    assert run("init", tmp_path / "src", "-o", target, "--force").exit_code == 0
    assert target.read_text(encoding="utf-8") == first
    assert run("check", target, tmp_path / "src").exit_code == 0


def test_of_a_long_log_the_end_is_read(sound: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = (sound["flux-2-edit"] / "backend.log").read_text(encoding="utf-8")
    new = (sound["seed"] / "backend.log").read_text(encoding="utf-8")
    file = tmp_path / "backend.log"
    idle = 'INFO:     127.0.0.1:1 - "GET /health HTTP/1.1" 200 OK\n' * 12_000
    file.write_text(old + idle + new * 6 + idle, encoding="utf-8")
    whole = profile_draft.draft(profile_draft.gathered([file]))
    assert whole.names == ("backend.log",)
    assert [told.value for told in whole.conflicts["models.image_to_image"]] == ["fal-ai/flux-2/lora/edit"]
    monkeypatch.setattr(profile_draft, "ENOUGH", len(new) * 2)
    end = profile_draft.draft(profile_draft.gathered([file]))
    assert end.names == ("backend.log (its end)",)
    told = end.chosen["models.image_to_image"]
    assert told.value == "fal-ai/flux-general/image-to-image" and not end.conflicts
    where, line = told.source.removeprefix("backend.log@").split(":")
    assert b"fal-ai/flux-general/image-to-image" in file.read_bytes()[int(where) :].splitlines()[int(line) - 1]


@pytest.mark.parametrize(
    "line", ["def f(x: {deep}): ...", "class A({deep}, BaseModel): ...", "x = {deep}.get('image')"]
)
def test_deep_source_is_read(tmp_path: Path, line: str) -> None:
    deep = "+".join(["a"] * 900)
    (tmp_path / "main.py").write_text(SOURCE + line.format(deep=deep) + "\n", encoding="utf-8")
    assert run("init", tmp_path).exit_code == 0


def test_nothing_readable_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here", encoding="utf-8")
    assert isinstance(error(run("init", tmp_path)), NothingReadable)
    assert isinstance(error(run("init", tmp_path / "missing")), NothingReadable)


def test_show_says_where_it_was_found_and_what_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIAGNOSE_PROFILE", raising=False)
    assert json.loads(run("show", "--format", "json").stdout)["by"] == "default"
    file = tmp_path / "diagnose.toml"
    file.write_text('[models]\nimage_to_image="a/b"\ntext_to_image="c/d"\n[record]\nkeep=3\n', encoding="utf-8")
    shown = json.loads(run("show", "--format", "json").stdout)
    assert (shown["where"], shown["by"]) == (str(file), "folder")
    rows = {row["key"]: row for row in shown["settings"]}
    assert rows["models.image_to_image"] == {"key": "models.image_to_image", "value": "a/b", "declared": True}
    assert rows["record.keep"]["declared"] and not rows["storage.bucket"]["declared"]
    text = run("show").stdout
    assert "keep" in text and "3  (declared)" in text and "public  (default)" in text
    monkeypatch.setenv("DIAGNOSE_PROFILE", "flux-2-edit")
    assert json.loads(run("show", "--format", "json").stdout)["by"] == "DIAGNOSE_PROFILE"


def test_check_names_the_nearest_key(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('[models]\nimage_to_imag="a/b"\ntext_to_image="c/d"\n', encoding="utf-8")
    fault = error(run("check", file))
    assert isinstance(fault, ProfileError) and "did you mean 'models.image_to_image'" in fault.message
    assert fault.exit == Exit.USAGE


def test_check_says_what_fals_schemas_say(tmp_path: Path) -> None:
    seed = run("check", "seed")
    assert seed.exit_code == 0 and "strength 0.85 takes effect" in seed.stdout
    file = tmp_path / "p.toml"
    file.write_text(
        '[models]\nimage_to_image="fal-ai/flux-general/image-to-image"\ntext_to_image="fal-ai/nobody-knows"\n'
        '[payload]\nimage_key="image_urls"\nstrength=3.5\nnum_inference_steps="many"\n',
        encoding="utf-8",
    )
    warnings = json.loads(run("check", file, "--format", "json").stdout)["warnings"]
    assert any("fal-ai/nobody-knows" in each and "not bundled" in each for each in warnings)
    assert any("payload.image_key" in each and "it reads image_url" in each for each in warnings)
    assert any("payload.strength: 3.5 is outside" in each for each in warnings)
    assert any("payload.num_inference_steps" in each and "takes a number" in each for each in warnings)


def test_check_compares_with_evidence(sound: dict[str, Path], tmp_path: Path) -> None:
    assert run("check", "seed", sound["seed"]).exit_code == 0
    other = run("check", "flux-2-edit", sound["seed"], "--format", "json")
    assert other.exit_code == Exit.NOT_SOUND
    keys = {row["key"] for row in json.loads(other.stdout)["differences"]}
    assert {"models.image_to_image", "storage.bucket", "payload.image_key", "payload.num_inference_steps"} <= keys
    assert "payload.strength" not in keys  # the profile does not speak of it
    text = run("check", "flux-2-edit", sound["seed"])
    assert "differs: storage.bucket is 'IMAGES_UPLOAD' in the profile, and 'public'" in text.stdout


def test_a_built_in_profile_survives_being_written_and_read() -> None:
    for name, table in profile.BUILT_IN.items():
        made = profile.build(table, name)
        told = {key: profile_draft.Told(key, value, "x", (0, 0)) for key, value in profile.settings(made)}
        text = profile_draft.toml(profile_draft.Draft(told, {}), name)
        assert dict(profile.settings(profile.parse(text, name))) == dict(profile.settings(made))
