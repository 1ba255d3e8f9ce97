"""The sentences of the answer, one place for both languages: what happened, said to somebody in a hurry."""

from __future__ import annotations

import gettext as _gettext
from functools import cache
from pathlib import Path

from diagnose.model import Diagnosis, Link, Message, Status

LANGUAGES = ("en", "id")
QUESTIONS = {
    "backend_restarted": "Backend restarted since the code changed?",
    "image_uploaded": "Image really uploaded in the browser?",
    "console_clean": "No error in the browser's console?",
    "init_image_url_yes": "Log shows 'Init Image URL: YES'?",
    "model_right": "The right model was called?",
    "image_url_in_payload": "The image's address is in the payload, not null?",
    "strength_in_payload": "The strength in the payload is the profile's?",
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


@cache
def catalogue(language: str) -> _gettext.NullTranslations:
    """The translations of a language; English, and anything unknown, is the text itself."""
    folder = str(Path(__file__).parent.parent / "locale")
    return _gettext.translation("diagnose", folder, [language], fallback=True)


class Words:
    """Says things in one language."""

    def __init__(self, language: str) -> None:
        self._translate = catalogue(language).gettext

    def __call__(self, template: str, **values: object) -> str:
        """A sentence of ours with its values."""
        said = self._translate(template)
        return said.format_map(values) if values else said

    def message(self, message: Message) -> str:
        """What a check says."""
        said = self._translate(message.template)
        return said.format_map(message.values) if message.values else said

    def headline(self, d: Diagnosis) -> str:
        """The answer in one line."""
        model = d.decision.model or ""
        root = self.message(d.root.message) if d.root is not None else ""
        if d.outcome == "switched":
            if d.generation == "failed":
                said = self("Image-to-image was chosen ({model}), and no picture was made", model=model)
            elif d.root is not None:
                said = self("Image-to-image was used ({model}), with a fault", model=model)
            else:
                said = self("Image-to-image was used ({model}): the photo was sent", model=model)
        elif d.outcome == "not_switched":
            if d.intended and d.root is not None and d.root.status is Status.NOTE:
                return self("Text-to-image was used ({model}), by design: {root}", model=model, root=root)
            if d.generation == "failed":
                said = self("Text-to-image was chosen ({model}), and no picture was made", model=model)
            else:
                said = self("Text-to-image was used ({model}): the photo was not used", model=model)
        elif d.outcome == "wrong_model":
            said = self("The wrong model was used ({model})", model=model)
        elif d.outcome == "refused":
            if d.intended and d.root is not None and d.root.status is Status.NOTE:
                return self("The request was refused, by design: {root}", root=root)
            said = self("The request was refused before a model was chosen")
        else:
            said = self("Cannot tell which model was used")
        return self._reason(d, said, root)

    def _reason(self, d: Diagnosis, said: str, root: str) -> str:
        warning = d.finding("parameter_unknown")
        if root:
            return self("{said}, because {root}", said=said, root=root)
        if d.outcome == "switched" and warning is not None and warning.status is Status.WARN and d.generation != "failed":
            return self("{said}. But {warning}", said=said, warning=self.message(warning.message))
        if d.interval:
            good, bad = (self(LINKS[link]) for link in d.interval)
            return self("{said}. It broke after '{good}' and at or before '{bad}'", said=said, good=good, bad=bad)
        if d.suspects:
            return self("{said}. The cause cannot be told from this evidence", said=said)
        return said
