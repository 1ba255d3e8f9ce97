"""The sentences of the answer, one place for both languages: what happened, said to somebody in a hurry."""

from __future__ import annotations

import gettext as _gettext
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from diagnose import mask
from diagnose.model import Diagnosis, Link, Message, Phrase, Remedy, Status, Witness

LANGUAGES = ("en", "id")
VALUE = 240
"""Characters of a value that a sentence quotes; the whole of it stands in the JSON document."""
QUESTIONS = {
    "backend_restarted": "Backend restarted since the code changed?",
    "image_uploaded": "Image really uploaded in the browser?",
    "console_clean": "No error in the browser's console?",
    "init_image_url_yes": "Log shows 'Init Image URL: YES'?",
    "model_right": "The right model called?",
    "image_url_in_payload": "Image address in the payload, not null?",
    "strength_in_payload": "Strength in the payload as the profile says?",
}
LINKS = {
    Link.REQUEST: "image received from the browser",
    Link.DECODE: "image decoded",
    Link.UPLOAD: "image uploaded to Storage",
    Link.IMAGE_URL: "init_image_url set",
    Link.SELECTION: "model chosen",
    Link.PAYLOAD: "image in the payload",
    Link.GENERATION: "picture made by fal",
    Link.DEPLOYMENT: "running code",
    Link.RECORD: "prompt log",
    Link.ENVIRONMENT: "settings",
}
STATUSES = {
    Status.PASS: "pass",
    Status.FAIL: "FAIL",
    Status.WARN: "warn",
    Status.NOTE: "note",
    Status.UNKNOWN: "unknown",
    Status.NOT_APPLICABLE: "not applicable",
    Status.NOT_REACHED: "not reached",
    Status.CRASH: "crash",
}
ANSWERS = {
    Status.PASS: "yes",
    Status.FAIL: "NO",
    Status.WARN: "no",
    Status.NOTE: "no",
    Status.UNKNOWN: "cannot tell",
    Status.NOT_APPLICABLE: "does not apply",
    Status.CRASH: "cannot tell",
}


@cache
def catalogue(language: str) -> _gettext.NullTranslations:
    """The translations of a language; English, and anything unknown or unreadable, is the text itself."""
    folder = str(Path(__file__).parent.parent / "locale")
    try:
        return _gettext.translation("diagnose", folder, [language], fallback=True)
    except (OSError, ValueError):
        return _gettext.NullTranslations()


class Words:
    """Says things in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._catalogue = catalogue(language)

    def __call__(self, template: str, **values: object) -> str:
        """A sentence of ours with its values."""
        said = self._catalogue.gettext(template) if template else ""
        try:
            return said.format_map(values) if values else said
        except (LookupError, ValueError, AttributeError, TypeError):
            return said  # a plugin's template that names what it does not give

    def say(self, text: str) -> str:
        """A text of the program in this language, with the phrases that stand in it; what is none of ours stays."""
        if not isinstance(text, Phrase):
            return self(text)
        return self(text.template, **{k: self.say(v) if isinstance(v, str) else v for k, v in text.values.items()})

    def message(self, message: Message, limit: int = VALUE) -> str:
        """What a check says; its values are quoted, masked and shortened, and never read as templates."""
        if not message.values:
            return self(message.template)
        values = {
            name: self.message(value, limit) if isinstance(value, Message) else shown(value, limit)
            for name, value in message.values.items()
        }
        return self(message.template, **values)

    def remedy(self, remedy: Remedy, limit: int = VALUE) -> Remedy:
        """The remedy with its title and steps said whole; nothing in its values is read as a template."""
        title, *steps = (self.message(Message(text, remedy.values), limit) for text in (remedy.title, *remedy.steps))
        return Remedy(title, tuple(steps), remedy.command, remedy.safe)

    def headline(self, d: Diagnosis, room: int = 10_000) -> str:
        """The answer in one line; long quotations are shortened until it fits into so many characters."""
        said = self._headline(d, VALUE)
        for limit in (120, 80, 56, 40):
            if len(said) <= room:
                break
            said = self._headline(d, limit)
        return said

    def _headline(self, d: Diagnosis, limit: int) -> str:
        root = self.message(d.root.message, limit) if d.root is not None else ""
        warning = d.finding("parameter_unknown")
        by_design = d.intended and d.root is not None and d.root.status is Status.NOTE
        if d.outcome == "switched":
            if d.generation == "failed":
                said = self("Image-to-image was chosen, and no picture was made")
            elif d.root is not None:
                said = self("Image-to-image was used, with a fault")
            elif warning is not None and warning.status is Status.WARN:
                return self("Image-to-image was used, but {warning}", warning=self.message(warning.message, limit))
            else:
                said = self("Image-to-image was used, with the photo")
        elif d.outcome == "not_switched":
            if by_design:
                return self("Text-to-image was used, by design: {root}", root=root)
            if d.generation == "failed":
                said = self("Text-to-image was chosen, and no picture was made")
            else:
                said = self("Text-to-image was used, without the photo")
        elif d.outcome == "wrong_model":
            said = self("The wrong model was used")
        elif d.outcome == "refused":
            if by_design:
                return self("The request was refused, by design: {root}", root=root)
            said = self("The request was refused before a model was chosen")
        elif d.subject.source is None and _looked(d):
            return self._living(d, root)
        elif not any(f.evidence for f in d.findings):
            return self("Nothing that was given tells which model was used")
        else:
            said = self("Cannot tell which model was used")
        return self._reason(d, said, root)

    def _living(self, d: Diagnosis, root: str) -> str:
        """The answer where only the living system was looked at."""
        if root:
            return self("No generation was seen; as it stands now the chain is broken: {root}", root=root)
        if _looked(d) <= {"live.silent", "deployment.refused"}:
            return self("No generation was seen, and nothing that was asked answered")
        return self("No generation was seen; what answered shows no broken link")

    def _reason(self, d: Diagnosis, said: str, root: str) -> str:
        if root:
            return self("{said}: {root}", said=said, root=root)
        if d.interval:
            good, bad = (self(LINKS[link]) for link in d.interval)
            return self("{said}. It broke after '{good}', and no later than '{bad}'", said=said, good=good, bad=bad)
        if d.suspects:
            return self("{said}. The cause cannot be told from this evidence", said=said)
        return said


def _looked(d: Diagnosis) -> set[str]:
    """What a look at the living system showed."""
    kinds = {e.kind for f in d.findings for e in f.evidence if e.witness is Witness.OBSERVED}
    return {kind for kind in kinds if kind.startswith("live.") or kind == "deployment.refused"}


def shown(value: object, limit: int = VALUE) -> str:
    """A value of the evidence in words: masked first, then shortened in the middle. Never raises."""
    return shorten(mask.cut(_flat(value), 4096), limit)


def _flat(value: object, depth: int = 0) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        pairs = list(value.items())[:20] if depth < 4 else []
        return ", ".join(f"{_flat(key, depth + 1)}={_flat(inner, depth + 1)}" for key, inner in pairs) or "..."
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(_flat(inner, depth + 1) for inner in list(value)[:20]) if depth < 4 else "..."
    if isinstance(value, int) and abs(value) >= 1 << 1024:
        return "(a number too large to show)"
    return str(value)


_UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{8}([0-9a-f]{4})\b", re.I)
_ADDRESS = re.compile(r"(https?://[^/\s\"'<>]{1,120}/)[^\s\"'<>]{20,}([^\s\"'<>]{20})")


def shorten(text: str, limit: int) -> str:
    """A long text with its middle left out; ids and addresses first, for what they end with is enough to find them again."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    text = _UUID.sub(r"\1...\2", text)
    if len(text) > limit:
        text = _ADDRESS.sub(r"\1...\2", text)
    if len(text) <= limit:
        return text
    tail = max(12, limit // 4)
    return f"{text[: limit - tail - 3].rstrip()}...{text[-tail:].lstrip()}"
