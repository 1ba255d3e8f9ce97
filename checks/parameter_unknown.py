"""A key sent is not in the model's schema; fal normally ignores it, and a default takes effect.

What it looks at
    The keys of the payload beside the model's input schema, which is bundled with its source and date.

Why it matters
    The wrong name of a required key is a loud 422; the wrong name of an optional key is silent: 200, the default, and
    a charge. `image_strength` is not a key of flux-general: its `strength` then stays at 0.85.

How to put it right
    Use the schema's own name for the value.

When it is wrong
    fal does not promise to ignore unknown keys, and schemas change: the message gives the schema's date.
"""

from collections.abc import Mapping
from typing import Any

from diagnose.model import Case, Finding, Link, Remedy, passed, unknown, warned

link = Link.PAYLOAD
because: tuple[str, ...] = ()
reads = ("fal_request.model", "fal_request", "fal_request.steps", "fal_request.cfg_scale")

MEANT = {
    "image_strength": "strength",
    "steps": "num_inference_steps",
    "cfg_scale": "guidance_scale",
    "image_url": "image_urls",
    "image_urls": "image_url",
}


def look(case: Case) -> Finding:
    """The finding of this check."""
    sent = case.payload
    if sent is None or case.model is None:
        return unknown("the payload was not seen")
    model = case.model["model"]
    known = next((e for e in case.of("fal.schema") if e["model"] == model), None)
    if known is None:
        return unknown("the input schema of '{model}' is not known", model=model)
    properties = known["schema"].get("properties")
    if not isinstance(properties, Mapping):
        return unknown("the input schema of '{model}' is not known", model=model)
    strange = [key for key in sent["body"] if key not in properties and not sent_as_well(key, sent["body"], properties)]
    if not strange:
        return passed("every key sent is in the schema of '{model}'", sent, model=model)
    strange.sort(key=lambda key: MEANT.get(key) not in properties)
    return reported(strange, sent["body"], properties, model, sent, known)


def sent_as_well(key: str, body: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Whether the same value is sent under the schema's own name too: the unknown name then does no harm."""
    meant = MEANT.get(key, "")
    return meant in properties and meant in body and body[meant] == body[key]


def reported(
    strange: list[str], body: Mapping[str, Any], properties: Mapping[str, Any], model: str, *evidence: Any
) -> Finding:
    """The most telling unknown key first, with what takes effect in its place."""
    key = strange[0]
    meant = MEANT.get(key, "")
    names = ", ".join(f"'{name}'" for name in strange)
    if meant in properties and meant not in body and "default" in properties[meant]:
        default = properties[meant]["default"]
        remedy = Remedy(
            "Send '{meant}' instead of '{key}'",
            ("Rename '{key}' to '{meant}' in the payload for {model}; keep the value {value}.",),
            values={"meant": meant, "key": key, "model": model, "value": str(body[key])[:40]},
        )
        return warned(
            "{meant} {default} takes effect: {names} not in the schema of '{model}', and fal normally ignores such a key",
            *evidence,
            remedy=remedy,
            names=names,
            model=model,
            meant=meant,
            default=default,
        )
    remedy = Remedy(
        "Remove the keys the model does not take",
        ("Remove {names} from the payload for {model}, or use the schema's own names.",),
        values={"names": names, "model": model},
    )
    return warned(
        "{names} not in the schema of '{model}', and fal normally ignores such a key",
        *evidence,
        remedy=remedy,
        names=names,
        model=model,
    )
