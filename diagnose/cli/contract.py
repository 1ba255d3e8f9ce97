"""The command that says what a backend should write of each generation: `contract`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from diagnose.cli.terminal import FORMATS, say, write, write_json
from diagnose.siblings import sibling

SNIPPET = '''\
import json, os, uuid
from contextlib import contextmanager
from datetime import datetime, timezone

@contextmanager
def generation(path="prompt_log.jsonl"):
    """One JSON line for each generation, written when it has ended, whatever ended it."""
    entry = {"timestamp": datetime.now(timezone.utc).isoformat(), "request_id": uuid.uuid4().hex,
             "request": {"images": {}, "image_url": None}, "decode": None, "upload": None,
             "status": None, "fal_request_id": None, "outcome": "failed"}
    try:
        yield entry
    finally:
        if "decision" in entry and "sent" in entry:
            line = json.dumps(entry, default=str) + "\\n"
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, line.encode())
            finally:
                os.close(file)

def decide(entry, image_url, image_model, text_model):
    """The model to call; the reason is written down where it is known."""
    failed = [step for step in ("decode", "upload") if (entry[step] or {}).get("error")]
    received = any(entry["request"]["images"].values())
    reason = ("IMAGE_TO_IMAGE_SELECTED" if image_url else "PREREQUISITE_FAILED" if received else "NO_IMAGE_SENT")
    missing = (failed or ["image_url"])[0] if reason == "PREREQUISITE_FAILED" else None
    mode, model = ("image-to-image", image_model) if image_url else ("text-to-image", text_model)
    entry["request"]["image_url"], entry["generation_mode"] = image_url, mode
    entry["decision"] = {"mode": mode, "model": model, "reason": reason, "prerequisite": missing}
    return model

def sending(entry, body):
    """Call it with the body just before it is posted."""
    entry["sent"], entry["fal_request"] = dict(body), {"model": entry["decision"]["model"], **body}
'''
"""What a backend pastes: standard library alone, fewer than forty lines."""

USAGE = """\
with generation() as entry:
    entry["request"]["images"] = {"face_image": 1}          # pictures by field, as they arrived
    entry["decode"] = {"error": None}                       # or the error's own words
    entry["upload"] = {"bucket": "public", "path": path, "status": 200, "error": None}
    model = decide(entry, image_url, "fal-ai/flux-general/image-to-image", "fal-ai/flux/schnell")
    sending(entry, body)
    answer = httpx.post(f"https://fal.run/{model}", json=body, headers=headers)
    entry["status"], entry["fal_request_id"] = answer.status_code, answer.headers.get("x-fal-request-id")
    entry["outcome"] = "succeeded" if answer.is_success else "failed"
"""
"""How it is called."""


@click.command()
@click.option("--schema", "only", flag_value="schema", help="Print the JSON Schema of an entry, and nothing else.")
@click.option("--snippet", "only", flag_value="snippet", help="Print the Python to paste, and nothing else.")
@click.option(
    "--format", "form", type=FORMATS, default="text", show_default=True, help="Text for people, JSON for machines."
)
def contract(only: str | None, form: str) -> None:
    """Show what a backend should write of each generation.

    An entry that follows this contract tells by itself which link broke: what was
    received, what became of the upload, what was chosen and why, what was sent, and
    how it ended. JSON holds the schema, the snippet and how it is called.
    """
    schema = Path(str(sibling("schemas").__file__)).with_name("contract.schema.json").read_text(encoding="utf-8")
    if only == "schema":
        write(schema.rstrip())
    elif only == "snippet" and form == "text":
        write(SNIPPET.rstrip())
    elif form == "json":
        write_json({"schema": json.loads(schema), "snippet": SNIPPET, "usage": USAGE})
    else:
        write("\n".join(_shown(json.loads(schema))))


def _shown(schema: Mapping[str, Any]) -> Iterator[str]:
    """The entry's keys in words, then the snippet."""
    yield say("An entry holds, as one JSON object on a line:")
    yield ""
    required = schema["required"]
    for key, rule in schema["properties"].items():
        mark = "" if key in required else f" ({say('can be left out')})"
        yield f"  {key}{mark}"
        described = rule.get("description") or schema["$defs"][rule["$ref"].rpartition("/")[2]]["description"]
        yield f"      {described}"
    yield ""
    yield say("Paste this into the backend:")
    yield ""
    yield from SNIPPET.rstrip().splitlines()
    yield ""
    yield say("Call it so:")
    yield ""
    yield from USAGE.rstrip().splitlines()
    yield ""
    yield say(
        "Then: diagnose latest-log prompt_log.jsonl; one entry is checked with the schema of `diagnose contract --schema`."
    )
