"""Real runs of real backends, with the truth beside them: the answer is right, and never blames what is not proved.

The corpus is not part of this project. Where it lies beside the checkout (or `DIAGNOSE_CORPUS` names it) it is run, with
all evidence and with every combination of sources taken away.
"""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from diagnose import collect, explain, normalise, profile
from diagnose.model import Diagnosis

CORPUS = Path(os.environ.get("DIAGNOSE_CORPUS", Path(__file__).parents[2] / "shared" / "corpus"))
SOURCES = ("backend.log", "prompt_log.json", "request.json", "response.json", "source")
RUNS = sorted(p.parent for p in CORPUS.glob("*/label.json")) if CORPUS.is_dir() else []

pytestmark = pytest.mark.skipif(not RUNS, reason="the corpus of real runs does not lie beside this checkout")


@dataclass(frozen=True)
class Label:
    outcome: str
    generation: str
    root: tuple[str, ...]
    named: bool

    @property
    def sound(self) -> bool:
        return self.outcome == "switched" and self.generation == "succeeded"


def label(run: Path) -> Label:
    data = json.loads((run / "label.json").read_text())
    return Label(data["outcome"], data["generation"], tuple(data["root"]), data.get("model_named_in_evidence", True))


def answer(run: Path, present: tuple[str, ...]) -> Diagnosis:
    name = json.loads((run / "label.json").read_text())["profile"]
    toml = CORPUS / f"{name}.toml"
    judged = profile.load(str(toml) if toml.exists() else name, run)
    bundle = collect.gather([run / source for source in present])
    return explain.diagnose(normalise.cases(bundle, judged)[0])


def given(run: Path) -> tuple[str, ...]:
    return tuple(source for source in SOURCES if (run / source).exists())


def root_right(found: Diagnosis, truth: Label) -> bool:
    name = found.root.check if found.root else None
    return name in truth.root or (name is None and (truth.sound or not truth.root))


def outcome_right(found: Diagnosis, truth: Label) -> bool:
    undetermined = found.outcome == "undetermined" and not truth.named
    return (found.outcome == truth.outcome or undetermined) and (found.generation == truth.generation or undetermined)


@pytest.mark.parametrize("run", RUNS, ids=lambda p: p.name)
def test_the_answer_with_all_evidence_is_right(run: Path, record_property) -> None:
    truth = label(run)
    found = answer(run, given(run))
    name = found.root.check if found.root else None
    record_property("answer", f"{run.name}: {found.outcome}/{found.generation}/{name}")
    assert outcome_right(found, truth), (found.outcome, found.generation, truth)
    assert root_right(found, truth) or (name is None and set(truth.root) & set(found.suspects)), (
        name,
        found.suspects,
        truth.root,
    )


@pytest.mark.parametrize("run", RUNS, ids=lambda p: p.name)
def test_a_folder_is_answered_as_its_files_are(run: Path) -> None:
    name = json.loads((run / "label.json").read_text())["profile"]
    toml = CORPUS / f"{name}.toml"
    bundle = collect.gather([run])
    assert "label.json" not in bundle.read
    whole = explain.diagnose(normalise.cases(bundle, profile.load(str(toml) if toml.exists() else name, run))[0])
    parts = answer(run, given(run))
    assert (whole.outcome, whole.generation, whole.root and whole.root.check) == (
        parts.outcome,
        parts.generation,
        parts.root and parts.root.check,
    )


def test_the_whole_corpus_is_named_well_enough(capsys) -> None:
    rows, right = [], {"first": 0, "others": 0}
    for run in RUNS:
        truth, found = label(run), answer(run, given(run))
        good = outcome_right(found, truth) and root_right(found, truth)
        first = not run.name.startswith(("imggen", "comic"))
        right["first" if first else "others"] += good
        name = found.root.check if found.root else "-"
        rows.append(
            f"{'right' if good else 'WRONG':<6} {run.name:<34} {found.outcome:<13} {found.generation:<13} {name}"
        )
    with capsys.disabled():
        print("\n" + "\n".join(rows) + f"\nfirst backend {right['first']}, others {right['others']}, of {len(RUNS)}")
    assert right["first"] == len([r for r in RUNS if not r.name.startswith(("imggen", "comic"))])
    assert right["others"] >= 17


@pytest.mark.parametrize("run", RUNS, ids=lambda p: p.name)
def test_with_sources_taken_away_nothing_innocent_is_blamed(run: Path) -> None:
    truth, sources = label(run), given(run)
    for count in range(1, len(sources)):
        for present in itertools.combinations(sources, count):
            found = answer(run, present)
            name = found.root.check if found.root else None
            assert name is None or name in truth.root, (present, name, found.outcome)
            unsound = found.root is None and not explain.sound(found)
            if unsound and truth.root and not truth.sound:
                assert set(truth.root) & set(found.suspects), (present, found.outcome, found.suspects)
