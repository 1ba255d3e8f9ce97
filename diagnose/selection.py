"""Decides which model makes the picture. The generator runs it, the explanation replays it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prerequisites:
    """What the decision looks at."""

    image_sent: bool
    init_image_url: str | None


@dataclass(frozen=True, slots=True)
class Rule:
    """What is meant to be chosen."""

    image_to_image: str
    text_to_image: str
    fallback: str
    """What happens without an image URL: "text-to-image" or "refuse"."""


@dataclass(frozen=True, slots=True)
class Selected:
    """A model was chosen."""

    mode: str
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The request ends here: the rule allows no picture without an image."""

    reason: str


def select(rule: Rule, given: Prerequisites) -> Selected | Refused:
    """The model for a request, or its refusal.

    `reason` is one of the decision's closed set: IMAGE_TO_IMAGE_SELECTED, NO_IMAGE_SENT, PREREQUISITE_FAILED.
    """
    if given.init_image_url:
        return Selected("image-to-image", rule.image_to_image, "IMAGE_TO_IMAGE_SELECTED")
    reason = "PREREQUISITE_FAILED" if given.image_sent else "NO_IMAGE_SENT"
    if rule.fallback == "refuse":
        return Refused(reason)
    return Selected("text-to-image", rule.text_to_image, reason)
