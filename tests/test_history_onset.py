"""Since when: the change point is where it is, none is told where there is none, and what separates is what differs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from diagnose import profile
from diagnose.errors import ExtraMissing
from diagnose.history import Wish, onset, survey
from diagnose.history.onset import Step
from diagnose.model.history import Onset, Share
from tests import histories

SEED = profile.build(profile.BUILT_IN["seed"], "seed")


def steps(*stretches: tuple[int, float], each: int = 50, seed: int = 1) -> list[Step]:
    """Stretches of so many steps with this share of bad generations."""
    chance = random.Random(seed)
    found = []
    for length, share in stretches:
        for _ in range(length):
            bad = sum(chance.random() < share for _ in range(each))
            found.append(Step(f"{len(found):04}", bad, each, f"{len(found):04}"))
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("before", "after"), [(0.0, 0.1), (0.02, 0.4), (0.3, 0.6), (0.0, 1.0)])
def test_a_rise_is_found_where_it_is(before: float, after: float, seed: int) -> None:
    found = onset.change(steps((60, before), (40, after), seed=seed))
    assert found is not None
    assert abs(found.start - 60) <= 2
    assert found.end == 100
    assert found.before.ratio < found.after.ratio
    assert found.p_value < 0.001


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.5, 1.0])
def test_where_nothing_changes_nothing_is_told(share: float) -> None:
    assert sum(onset.change(steps((120, share), seed=seed)) is not None for seed in range(20)) == 0


def test_a_fault_that_was_there_for_a_while() -> None:
    found = onset.change(steps((40, 0.02), (15, 0.6), (45, 0.02)))
    assert found is not None
    assert (found.start, found.end) == (40, 55)


def test_a_fall_is_no_onset() -> None:
    assert onset.change(steps((50, 0.6), (50, 0.1))) is None


def test_a_few_bad_ones_say_nothing_of_their_beginning() -> None:
    assert onset.change([Step("a", 0, 1000, ""), Step("b", 3, 3, "b")]) is None


def test_a_p_value_is_that_of_fisher() -> None:
    from scipy import stats

    assert onset.p_value(Share(3, 20), Share(12, 20)) == stats.fisher_exact([[3, 17], [12, 8]]).pvalue
    assert onset.p_value(Share(30_000, 200_000), Share(30_100, 200_000)) > 0.5


def told(tmp_path: Path, entries: list[dict[str, Any]], **wish: Any) -> tuple[Onset, ...]:
    path = tmp_path / "prompt_log.jsonl"
    path.write_bytes(b"".join(map(histories.line, entries)))
    found = survey([str(path)], SEED, Wish(onset=True, **wish)).onsets
    assert found is not None
    return found


def test_the_first_bad_generation_and_what_came_with_it(tmp_path: Path) -> None:
    """From the 300th generation on, a new version of the app loses the photo in nine of ten."""
    entries = []
    for number in range(500):
        late = number >= 300
        made = histories.without_photo(number, lost=True) if late and number % 10 else histories.entry(number)
        made["timestamp"] = histories.entry(number * 97)["timestamp"]
        made["request"] |= {
            "app": "2.4.0" if late else "2.3.1",
            "device": f"d{number}",
            "region": "eu" if number % 2 else "us",
        }
        entries.append(made)
    (onset_,) = told(tmp_path, entries)
    assert onset_.cause == "upload_result_lost"
    assert onset_.at == entries[301]["timestamp"]
    assert onset_.first.first == entries[301]["timestamp"]
    assert (onset_.before.count, onset_.after.count) == (0, 180)
    changed = [(a.field, a.value) for a in onset_.changed]
    assert changed == [("request.app", '"2.4.0"'), ("request.has_image_url", "false"), ("request.image_url", "null")]
    assert onset_.until is None
    fields = {a.field for a in onset_.separating}
    assert "request.device" not in fields
    assert "fal_request.model" not in fields, "it follows from the loss, and is no reason for it"


def test_the_model_is_told_where_it_is_what_changed(tmp_path: Path) -> None:
    entries = [histories.entry(number * 60) for number in range(400)]
    for made in entries[250:]:
        made["fal_request"]["model"] = "fal-ai/flux-2/lora/edit"
    onset_ = told(tmp_path, entries)[0]
    assert onset_.cause == "wrong_target_model"
    assert onset_.at == entries[250]["timestamp"]
    assert [(a.field, a.value) for a in onset_.changed] == [("fal_request.model", '"fal-ai/flux-2/lora/edit"')]


def test_what_separates_bad_from_good_throughout(tmp_path: Path) -> None:
    entries = []
    for number in range(400):
        broken = number % 4 == 0
        made = histories.without_photo(number * 60, lost=True) if broken else histories.entry(number * 60)
        made["request"]["client"] = "ios" if broken and number % 40 else "web"
        made["timestamp"] = histories.entry(number * 60)["timestamp"]
        entries.append(made)
    (onset_,) = told(tmp_path, entries)
    assert onset_.at is None and onset_.p_value is None
    best = onset_.separating[0]
    assert (best.field, best.value, best.in_bad, best.in_good) == (
        "request.client",
        '"ios"',
        Share(90, 100),
        Share(0, 300),
    )


def test_a_coarse_history_is_looked_at_once_more(tmp_path: Path) -> None:
    """Over years stretches are days; the moment is told nevertheless."""
    entries = [histories.entry(number * 40_000) for number in range(3000)]
    for number in range(2000, 3000):
        lost = histories.without_photo(number, lost=True)
        entries[number] = lost | {"timestamp": entries[number]["timestamp"]}
    onset_ = told(tmp_path, entries)[0]
    assert onset_.at == entries[2000]["timestamp"]


def test_in_many_processes_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diagnose.history import plan

    entries = list(histories.realistic(600, seed=5))
    monkeypatch.setattr(plan, "RANGE", 100_000)
    one = told(tmp_path, entries)
    assert told(tmp_path, entries, jobs=2) == one
    changed = next(each for each in one if each.at is not None)
    assert ("request.app_version", '"2.4.0"') in {(a.field, a.value) for a in changed.changed}


def test_without_the_extra_it_says_which_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ruptures", None)
    with pytest.raises(ExtraMissing, match=r"diagnose-generation\[onset\]"):
        told(tmp_path, [histories.entry(1)])
