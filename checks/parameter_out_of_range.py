"""A value sent is outside the model's schema.

What it looks at
    Numbers against the schema's limits, words against its choices, in the strongest record of the payload.

Why it matters
    fal refuses such a body with 422 and makes no picture; a backend may then fall back without a word.

How to put it right
    Bring the value inside the limits the message names.

When it is wrong
    Limits change with time; where fal accepted the body, fal is right and the bundled schema is old.
"""

from collections.abc import Mapping
from typing import Any

from diagnose.model import Case, Finding, Link, Message, Remedy, Seen, failed, passed, unknown

link = Link.PAYLOAD
because = ("backend_stale",)
reads = ("fal_request",)


def look(case: Case) -> Finding:
    """The finding of this check."""
    sent = case.payload
    if sent is None or case.model is None:
        return unknown("the payload was not seen")
    made = case.product(Link.GENERATION)
    if isinstance(made, Seen) and not case.fal_refusals:
        return passed("fal accepted the values sent", made.evidence)
    model = case.model["model"]
    known = next((e for e in case.of("fal.schema") if e["model"] == model), None)
    if known is None:
        return unknown("the input schema of '{model}' is not known", model=model)
    rules = known["schema"].get("properties")
    if not isinstance(rules, Mapping):
        return unknown("the input schema of '{model}' is not known", model=model)
    for key, value in sent["body"].items():
        limit = broken(value, rules.get(key, {}))
        if limit is not None:
            remedy = Remedy(
                "Send '{key}' {limit}",
                ("{model} takes '{key}' {limit}; set it where the payload is built, and restart the backend.",),
                values={"key": key, "limit": limit, "model": model},
            )
            return failed(
                "'{key}' was sent as {value}, and '{model}' takes it {limit}",
                sent,
                known,
                remedy=remedy,
                key=key,
                value=str(value)[:60],
                model=model,
                limit=limit,
            )
    return passed("every value sent is inside the schema of '{model}'", sent, known, model=model)


def broken(value: Any, rule: Any) -> Message | None:
    """The limit a value breaks, in words; None when it keeps within the rule."""
    if not isinstance(rule, Mapping):
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = (
            limit if isinstance(limit, (int, float)) else None for limit in (rule.get("minimum"), rule.get("maximum"))
        )
        if (low is not None and value < low) or (high is not None and value > high):
            return Message("from {low} to {high}", {"low": low, "high": high})
    choices = rule.get("enum")
    if isinstance(choices, (list, tuple)) and isinstance(value, str) and value not in choices:
        return Message("as one of {choices}", {"choices": ", ".join(map(str, choices))})
    return None
