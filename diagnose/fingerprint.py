"""Which source our own backend runs: the same files give the same twelve characters. It imports nothing of ours."""

from __future__ import annotations

import hashlib
from pathlib import Path


def fingerprint() -> str:
    """Of the backend's code as it is installed now; a process that runs keeps the one it was started with."""
    here = Path(__file__).parent
    files = [*sorted((here / "generator").rglob("*.py")), here / "selection.py", here / "profile.py"]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]
