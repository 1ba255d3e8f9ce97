"""How the backend bears load: its memory over many requests, and /health while slow pictures are being made.

Run by hand: python tests/benchmarks/bench_server.py [requests]
The server is a process of its own, so that its memory is its own. /health alone is the peer of /health under load.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil

from diagnose.generator.faults import photo

SLOW = 100
"""Generations under way at once."""


def health(http: httpx.Client, times: int) -> list[float]:
    """Milliseconds of each."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        http.get("/health").raise_for_status()
        found.append((time.perf_counter() - began) * 1000)
    return found


def memory(http: httpx.Client, process: psutil.Process, requests: int) -> None:
    """Resident memory as the requests go by."""
    body = {"prompt": "a chair", "face_image": photo(900, 1200)}
    print(f"{'requests':>10} {'RSS MB':>8}")
    for done in range(1, requests + 1):
        http.post("/api/generate-image", json={**body, "prompt": f"chair {done}"}).raise_for_status()
        if done in (50, 100, 200, 500) or done % 500 == 0:
            print(f"{done:>10} {process.memory_info().rss / 2**20:>8.0f}")


def slow(http: httpx.Client) -> None:
    """/health with nothing to do, and while fal keeps everybody waiting."""
    alone = health(http, 50)
    http.post("/break", data={"name": "fal_unavailable:silent"})
    with ThreadPoolExecutor(SLOW) as pool:
        under_way = [pool.submit(http.post, "/api/generate-image", json={"prompt": f"p {n}"}) for n in range(SLOW)]
        time.sleep(0.05)
        busy = []
        while not all(one.done() for one in under_way):
            busy += health(http, 1)
    http.post("/break", data={"name": ""})
    for name, found in (("alone", alone), (f"with {SLOW} slow generations", busy)):
        print(f"/health {name}: median {statistics.median(found):.1f} ms, worst {max(found):.1f} ms of {len(found)}")
    print(f"ratio of medians {statistics.median(busy) / statistics.median(alone):.1f}")


def main() -> None:
    """Prints both tables."""
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "diagnose", "serve", "--embedded", "--port", "0", "--data", data]
        served = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ)
        assert served.stdout is not None
        try:
            address = next(m[1] for m in (re.search(r"serving (http://\S+)", line) for line in served.stdout) if m)
            limits = httpx.Limits(max_connections=SLOW + 10)
            with httpx.Client(base_url=address, timeout=120, limits=limits) as http:
                slow(http)
                memory(http, psutil.Process(served.pid), requests)
        finally:
            served.kill()
            served.wait()


if __name__ == "__main__":
    main()
