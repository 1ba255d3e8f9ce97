"""How long a look at the living system takes: whole processes, by hand, nothing is asserted.

    python tests/benchmarks/bench_live.py [--runs 9]

The system is the tests' own, on the loopback. The peers, run in turn with it: an empty process, the same command without
a look, and one that only imports what a look needs. With a delay before every answer of Storage the difference to the
sound system is what one answer costs, and not what all of them do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from diagnose.generator import faults  # noqa: E402
from diagnose.generator.demo import stage  # noqa: E402
from tests.living import black_hole, clean, living  # noqa: E402

PYTHON = sys.executable
DELAY = 0.5
DEADLINE = 3


def seconds(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> float:
    """One run of a process."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=dict(env), capture_output=True, check=False)
    assert done.returncode in (0, 3), done.stderr.decode()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as scratch, living() as system, black_hole() as hole, stage() as on:
        folder = Path(scratch)
        on.write_world(faults.sound(), folder)
        env = {**clean(system.environment()), "PYTHONPATH": str(ROOT)}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        sound, slow = system.supabase.project, replace(system.supabase.project, delay=DELAY)
        checklist = [PYTHON, "-m", "diagnose", "checklist", "."]
        look = [*checklist, "--live", "--backend-url", system.backend_url]
        commands = {
            "an empty process": ([PYTHON, "-c", "pass"], sound),
            "importing httpx, psutil, ssl": ([PYTHON, "-c", "import httpx, psutil, ssl"], sound),
            "checklist, files only": (checklist, sound),
            "checklist --live, sound": (look, sound),
            f"checklist --live, Storage {DELAY} s late": (look, slow),
        }
        found: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs + 1):  # the first compiles
            for name, (command, project) in commands.items():
                system.supabase.project = project
                found[name].append(seconds(command, folder, env))
        base = statistics.median(found["an empty process"][1:])
        print(f"{os.cpu_count()} cores, medians of {runs}")
        print(f"{'':<44} {'seconds':>8} {'ratio':>7}")
        for name, times in found.items():
            print(f"{name:<44} {statistics.median(times[1:]):>8.2f} {statistics.median(times[1:]) / base:>7.1f}")
        gone = {**env, "SUPABASE_URL": hole, "DIAGNOSE_FAL_API": hole, "DIAGNOSE_FAL_SCHEMAS": hole}
        dead = [*checklist, "--live", "--online", "--backend-url", hole, "--deadline", str(DEADLINE)]
        print(f"{f'every host silent, --deadline {DEADLINE}':<44} {seconds(dead, folder, gone):>8.2f}")


if __name__ == "__main__":
    main()
