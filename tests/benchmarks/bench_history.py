"""How fast a history is counted: every figure a ratio to a peer that ran in the same breath. By hand; nothing is asserted.

    python tests/benchmarks/bench_history.py [--entries 1000 100000 1000000] [--runs 5] [--cluster]

Times are medians of interleaved runs of whole processes, byte-compiled before; the data is seeded and lies in the page
cache. `--cluster` adds Dask against the local pool on 2 GB.
Peers that are not installed (jq, duckdb, pysimdjson) are left out and said so.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests import histories  # noqa: E402 - from the checkout, wherever this is started

COUNT = """
import sys, time
from pathlib import Path
from diagnose import profile
from diagnose.history import Wish, survey
if len(sys.argv) > 4:  # the checks are loaded and the first shapes judged before the clock starts
    survey([sys.argv[4]], profile.build(profile.BUILT_IN["seed"], "seed"))
begin = time.perf_counter()
wish = Wish(jobs=int(sys.argv[2]), scheduler=sys.argv[3] if sys.argv[3:] and sys.argv[3] else None, offline=False)
found = survey([sys.argv[1]], profile.build(profile.BUILT_IN["seed"], "seed"), wish)
print(found.entries, time.perf_counter() - begin)
"""
SLOW = """
import json, sys, jsonschema
form = json.load(open("schemas/prompt_log.schema.json"))
check = jsonschema.Draft202012Validator({**form["$defs"]["entry"], "$defs": form["$defs"]}).is_valid
print(sum(check(json.loads(line)) for line in open(sys.argv[1], "rb")))
"""
SIMD = """
import sys, simdjson
parser = simdjson.Parser()
count = 0
with open(sys.argv[1], "rb") as file:
    for line in file:
        document = parser.parse(line)
        count += document["fal_request"]["model"] is not None
        del document
print(count)
"""
DUCK = """
import sys, duckdb
print(duckdb.sql(f"set threads=1; select generation_mode, fal_request.model, count(*) from read_json('{sys.argv[1]}', format='newline_delimited') group by all"))
"""
JSON = "import json, sys\nprint(sum(1 for line in open(sys.argv[1], 'rb') if json.loads(line)))"
JQ = r"reduce inputs as $e ({}; .[[$e.generation_mode, $e.fal_request.model, ($e.request.image_url == null)] | tostring] += 1)"


class Run:
    """A command, and its times and the largest memory of any of its processes."""

    def __init__(self, name: str, command: Sequence[str], part: float = 1.0) -> None:
        self.name, self.command, self.part = name, list(command), part
        self.seconds: list[float] = []
        self.megabytes = 0.0

    def go(self) -> None:
        begin = time.perf_counter()
        process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
        output = process.communicate()[0]
        self.seconds.append((time.perf_counter() - begin) / self.part)
        if process.returncode:
            raise SystemExit(f"{self.name} failed: {output.decode()[-500:]}")

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def interleaved(runs: Sequence[Run], rounds: int) -> None:
    for _ in range(rounds):
        for run in runs:
            run.go()


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def written(folder: Path, entries: int) -> Path:
    path = folder / f"{entries}.jsonl"
    with path.open("wb") as file:
        for made in histories.realistic(entries):
            file.write(histories.line(made))
    return path


def head(path: Path, lines: int) -> Path:
    short = path.with_suffix(".head.jsonl")
    with path.open("rb") as source, short.open("wb") as target:
        for _, line in zip(range(lines), source, strict=False):
            target.write(line)
    return short


def peak(command: Sequence[str]) -> list[float]:
    """The largest resident memory of a command and of each of its children, in MB, sampled."""
    import psutil

    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    seen: dict[int, float] = {}
    while process.poll() is None:
        try:
            own = psutil.Process(process.pid)
            for each in (own, *own.children(recursive=True)):
                memory = each.memory_info()
                seen[each.pid] = max(seen.get(each.pid, 0), memory.rss / 1e6)
        except psutil.Error:
            pass
        time.sleep(0.005)
    return sorted(seen.values(), reverse=True)


def table(title: str, runs: Sequence[Run], size: float) -> None:
    ours = runs[0]
    print(f"\n{title} ({size:,.0f} MB)")
    for run in runs:
        ratio = run.median / ours.median
        print(f"  {run.name:42} {run.median:8.2f} s {size / run.median:8.0f} MB/s   one core takes 1/{ratio:.2f} of it")


def peers(path: Path, short: Path) -> list[Run]:
    """What a user has otherwise; the slowest on a part of the data, scaled."""
    part = short.stat().st_size / path.stat().st_size
    found = [
        Run("json + jsonschema", python(SLOW, short), part),
        Run("json, which validates nothing", python(JSON, path)),
    ]
    if shutil.which("jq"):
        found.append(Run("jq, which validates nothing", ["jq", "-n", JQ, str(path)]))
    for name, module, code in (
        ("DuckDB, one thread, inexact", "duckdb", DUCK),
        ("simdjson pass (pysimdjson), the limit", "simdjson", SIMD),
    ):
        if importlib.util.find_spec(module):
            found.append(Run(name, python(code, path)))
        else:
            print(f"  left out: {name} is not installed")
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--entries", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--cluster", action="store_true")
    asked = arguments.parse_args()
    compileall.compile_dir(ROOT / "diagnose", quiet=1)
    compileall.compile_dir(ROOT / "checks", quiet=1)
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, medians of {asked.runs} interleaved runs")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for entries in asked.entries:
            of_entries(written(folder, entries), entries, asked.runs)
        growth(folder, asked.runs)
        forms(folder, asked.runs)
        if asked.cluster:
            of_cluster(folder, asked.runs)


def of_entries(path: Path, entries: int, rounds: int) -> None:
    size = path.stat().st_size / 1e6
    one, two = (
        Run("diagnose history, one core", python(COUNT, path, 1)),
        Run("diagnose history, two cores", python(COUNT, path, 2)),
    )
    runs = [one, two, *peers(path, head(path, min(entries, 4_000)))]
    interleaved(runs, rounds if entries < 500_000 else max(3, rounds - 2))
    table(f"{entries:,} entries, whole processes", runs, size)
    if entries >= 100_000:
        print(f"  memory of each process: {', '.join(f'{mb:.0f} MB' for mb in peak(two.command)[:3])}")


def inside(path: Path, rounds: int) -> float:
    """Seconds of the counting alone, the start of the process left out."""
    took = []
    warm = head(path, 1_000)
    for _ in range(rounds):
        out = subprocess.run(
            python(COUNT, path, 1, "", warm), capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout
        took.append(float(out.split()[1]))
    return statistics.median(took)


def growth(folder: Path, rounds: int) -> None:
    print("\nTime per entry, one core, the start of the process left out")
    per_entry = {}
    for entries in (10_000, 100_000, 1_000_000):
        path = folder / f"{entries}.jsonl"
        path = path if path.exists() else written(folder, entries)
        per_entry[entries] = inside(path, rounds) / entries * 1e6
        print(
            f"  {entries:9,} entries: {per_entry[entries]:.2f} us an entry, {per_entry[entries] / per_entry[min(per_entry)]:.2f} of the first"
        )


def forms(folder: Path, rounds: int) -> None:
    """An array against JSON Lines."""
    lines = folder / "100000.jsonl"
    lines = lines if lines.exists() else written(folder, 100_000)
    array, compact = folder / "array.json", folder / "compact.json"
    entries = [json.loads(line) for line in lines.open("rb")]
    array.write_text(json.dumps(entries, indent=2, ensure_ascii=False), encoding="utf-8")
    compact.write_text(json.dumps(entries), encoding="utf-8")
    del entries
    runs = [(path, Run(path.name, python(COUNT, path, 1))) for path in (lines, array, compact)]
    interleaved([run for _, run in runs], rounds)
    rate = {path.name: path.stat().st_size / 1e6 / run.median for path, run in runs}
    print("\nArrays, one core")
    for path, run in runs:
        memory = peak(run.command)[0]
        print(
            f"  {path.name:16} {rate[path.name]:6.0f} MB/s, {rate[path.name] / rate[lines.name]:.2f} of JSON Lines, {memory:.0f} MB of memory"
        )


def of_cluster(folder: Path, rounds: int) -> None:
    """Dask with two workers against two processes."""
    from distributed import LocalCluster

    path = folder / "large.jsonl"
    million = folder / "1000000.jsonl"
    million = million if million.exists() else written(folder, 1_000_000)
    with path.open("wb") as file:
        for _ in range(1 if million.stat().st_size > 1_900_000_000 else 2):
            file.write(million.read_bytes())
    begin = time.perf_counter()
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        print(f"\nDask, two workers: started in {time.perf_counter() - begin:.2f} s")
        local = Run("local pool, two processes", python(COUNT, path, 2))
        remote = Run("Dask, two workers", python(COUNT, path, 1, cluster.scheduler_address))
        interleaved([local, remote], max(3, rounds - 2))
        print(
            f"  {path.stat().st_size / 1e9:.2f} GB: pool {local.median:.2f} s, Dask {remote.median:.2f} s, {remote.median / local.median:.2f}x"
        )


if __name__ == "__main__":
    main()
