"""How much the newest entry of a large prompt log costs: ratios, by hand, nothing is asserted.

    python tests/benchmarks/bench_latest_log.py [--runs 15] [--size 1000] [--json-load]

Times are medians of interleaved runs of whole processes, byte-compiled before. `--json-load` reads the large
file with `json.load`, which needs some 4 GB of memory. Memory is the largest resident set of the child;
systems report none below that of this process (see the first line).
"""

import argparse
import compileall
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1_000_000


def entry(number: int) -> dict[str, object]:
    """About 2.1 KB, as a backend writes it."""
    prompt = f"Picture {number}: a woman in a studio, natural daylight, eye-level angle, photorealistic, 9:16. " * 5
    url = f"https://abcdefghijklmnopqrst.supabase.co/storage/v1/object/public/public/user/face/{number:036}.jpg"
    return {
        "timestamp": "2026-01-11T06:35:30.766926",
        "request": {
            "has_product_images": False,
            "num_product_images": 0,
            "has_face_image": True,
            "has_background_image": False,
            "has_image_url": True,
            "image_url": url,
            "original_prompt": prompt[:200] + "...",
        },
        "enhanced_prompt": prompt,
        "fal_request": {
            "model": "fal-ai/flux-general/image-to-image",
            "prompt": prompt,
            "num_inference_steps": 7,
            "guidance_scale": 3.5,
            "image_strength": 0.5,
            "image_url": url,
        },
        "prompt_length": len(prompt),
        "generation_mode": "image-to-image",
    }


def make(path: Path, size: int) -> None:
    """An array of about `size` bytes."""
    block = [json.dumps(entry(number), indent=2).replace("\n", "\n  ") for number in range(500)]
    body = ",\n  ".join(block)
    rounds = max(1, size // len(body))
    with path.open("w", encoding="utf-8") as file:
        file.write("[\n  ")
        for number in range(rounds):
            file.write((",\n  " if number else "") + body)
        file.write("\n]")


def run(command: Sequence[str]) -> tuple[float, float, int]:
    """Seconds, megabytes of the largest resident set, and the exit code of one child."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    scale = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_maxrss * scale / MEGABYTE, child.returncode


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Ratios of diagnose latest-log on a large file.")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--size", type=int, default=1000, help="megabytes of the large file")
    parser.add_argument("--json-load", action="store_true", help="also json.load the large file (4 GB of memory)")
    options = parser.parse_args()
    for package in ("diagnose", "checks", "schemas"):
        compileall.compile_dir(ROOT / package, quiet=1)

    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "large" / "prompt_log.json", Path(folder) / "small" / "prompt_log.json"
        for path, size in ((large, options.size * MEGABYTE), (small, 2 * MEGABYTE)):
            path.parent.mkdir()
            make(path, size)
        python, load = sys.executable, "import json, sys; json.load(open(sys.argv[1], encoding='utf-8'))[-1]"

        def latest(path: Path, form: str) -> list[str]:
            return [python, "-m", "diagnose", "latest-log", str(path), "--format", form]

        commands = {
            "python -c pass": [python, "-c", "pass"],
            "latest-log, large, json": latest(large, "json"),
            "latest-log, small, json": latest(small, "json"),
            "latest-log, large, text": latest(large, "text"),
            "latest-log, small, text": latest(small, "text"),
            "json.load, small": [python, "-c", load, str(small)],
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        memory = dict.fromkeys(commands, 0.0)
        codes: dict[str, int] = {}
        for number in range(-1, options.runs):  # the first round warms the page cache and is not counted
            for name, command in commands.items():
                seconds, resident, codes[name] = run(command)
                memory[name] = max(memory[name], resident)
                if number >= 0:
                    taken[name].append(seconds)
        if options.json_load:
            seconds, memory["json.load, large"], codes["json.load, large"] = run([python, "-c", load, str(large)])
            taken["json.load, large"] = [seconds]
        report(taken, memory, codes, (large.stat().st_size, small.stat().st_size))


def report(
    taken: dict[str, list[float]], memory: dict[str, float], codes: dict[str, int], sizes: tuple[int, int]
) -> None:
    """One line a command; then the ratio that matters."""
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    base = medians["python -c pass"]
    print(f"large: {sizes[0] / MEGABYTE:.0f} MB, small: {sizes[1] / MEGABYTE:.1f} MB")
    print(f"{'':26}{'ms':>9}{'x pass':>9}{'RSS MB':>9}{'exit':>6}")
    for name, seconds in medians.items():
        print(f"{name:26}{seconds * 1000:9.1f}{seconds / base:9.2f}{memory[name]:9.1f}{codes[name]:6}")
    for form in ("json", "text"):
        large, small = medians[f"latest-log, large, {form}"], medians[f"latest-log, small, {form}"]
        print(f"large / small, {form}: {large / small:.2f}")
    if "json.load, large" in medians:
        gain = medians["json.load, large"] / medians["latest-log, large, json"]
        print(f"json.load / latest-log, large: {gain:.0f}")


if __name__ == "__main__":
    main()
