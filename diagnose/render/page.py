"""The page of `diagnose serve`: the form, the pictures, and beside each batch its diagnosis."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from diagnose import mask
from diagnose.model import CHAIN, IMAGE_TO_IMAGE, TEXT_TO_IMAGE, Diagnosis, Finding, Link
from diagnose.render import report
from diagnose.render.text import visible
from diagnose.render.words import ANSWERS, LANGUAGES, LINKS, QUESTIONS, Words, shown

if TYPE_CHECKING:
    import jinja2

FOLDER = Path(__file__).with_suffix("")
ASSETS = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
RATIOS = ("9:16", "3:4", "1:1", "4:3", "16:9")
COUNTS = (1, 2, 3, 4)
UPLOADS = (("face_image", False), ("product_images", True), ("background_image", False))
NAMES = {"en": "English", "id": "Indonesia"}
"""What each language calls itself."""
LONGEST = 4000
"""Characters of one text of the page."""

LABELS = {
    "tagline": "Why does the picture ignore my photo?",
    "skip": "Skip to the results",
    "language": "Language",
    "missing": "Settings are missing",
    "missing_hint": "Set them where the backend reads its environment, and restart it.",
    "embedded": "Stand-ins take the place of Supabase and fal",
    "embedded_hint": "No account is needed and nothing is charged. The pictures are drawn here.",
    "form": "New batch",
    "prompt": "Prompt",
    "prompt_hint": "What the picture should show",
    "photos": "Photos",
    "photos_hint": "With a photo the image-to-image model is used, without one the text-to-image model.",
    "face_image": "Face",
    "product_images": "Products",
    "background_image": "Background",
    "one": "One photo",
    "several": "One photo or several",
    "choose": "Choose a photo or drop it here",
    "choose_several": "Choose photos or drop them here",
    "options": "Options",
    "aspect_ratio": "Aspect ratio",
    "num_images": "Number of pictures",
    "image_strength": "Image strength",
    "image_strength_hint": "From 0.01 to 1. Left empty, the profile's value is used.",
    "generate": "Generate Batch",
    "cancel": "Cancel",
    "progress": "Progress",
    "refused": "This could not be sent",
    "break": "Break a link",
    "break_hint": "Break one thing, generate a batch, and watch the diagnosis find it.",
    "break_what": "What to break",
    "break_apply": "Apply",
    "break_mend": "Mend",
    "results": "Results",
    "empty": "Nothing has been generated yet",
    "empty_hint": "A photo passes seven links on its way into a picture. Each batch shows here how far its photo came.",
    "errors": "Errors in this browser",
    "your_photo": "The photo that was sent",
    "used": "used",
    "not_used": "not used",
    "picture": "Picture {n}",
    "no_picture": "No picture was made",
    "answered": "The backend answered",
    "mode": "Mode",
    "model": "Model",
    "expected": "Expected model",
    "generation": "Generation",
    "not_seen": "not seen",
    "no_diagnosis": "No diagnosis could be made of this batch",
    "broke": "Broke here",
    "between": "Perhaps here",
    "outside": "The cause lies beside the chain",
    "irreversible": "cannot simply be undone",
    "copy": "Copy",
    "copy_command": "Copy the command",
    "copy_id": "Copy the request id",
    "why": "Why this model",
    "led": "One thing led to the other",
    "more": "More about this answer",
    "request_id": "Request id",
    "profile": "Profile",
}
"""The texts of the templates, by the name they have there."""

SPOKEN = {
    "reading": "Reading the photos…",
    "sending": "Sending…",
    "waiting": "Waiting for the picture…",
    "diagnosing": "Reading the diagnosis…",
    "done": "Done.",
    "cancelled": "Cancelled. Everything you typed is still here.",
    "seconds": "{n} s",
    "unread": "The file '{name}' could not be read. Choose it again.",
    "unreachable": "The backend could not be reached. See that it runs, and try again. Everything you typed is still here.",
    "no_json": "What answered was not the backend: HTTP {status}, and no JSON. Something between may have stopped the request. Everything you typed is still here.",
    "no_id": "The backend answered with HTTP {status}: {detail}",
    "no_fragment": "The batch {id} was answered, and its diagnosis could not be fetched: HTTP {status}.",
    "break_failed": "The switch could not be set: HTTP {status}.",
    "remove": "Remove {name}",
    "removed": "{name} was removed.",
    "copied": "Copied",
    "copy_yourself": "Selected: press Ctrl+C",
    "mended": "Everything is whole",
    "broken": "Broken now: {what}",
}
"""What the script says."""

GENERATIONS = {
    "succeeded": "a picture was made",
    "failed": "no picture was made",
    "not_attempted": "fal was not called",
    "unknown": "unknown",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was made."""

    source: str
    """An address that this page may load."""
    alt: str


@dataclass(frozen=True, slots=True)
class Batch:
    """One request, what came of it, and why."""

    request_id: str
    status: int
    """The HTTP status of the answer."""
    prompt: str
    detail: str | None
    """What the backend answered where it made no picture."""
    pictures: tuple[Picture, ...]
    reference: str | None
    """The address of the photo that was sent."""
    diagnosis: Diagnosis | None


@dataclass(frozen=True, slots=True)
class Break:
    """One thing that can be broken."""

    name: str
    title: str
    link: str


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows."""

    language: str
    embedded: bool
    """Stand-ins are used, and can be broken."""
    breaks: tuple[Break, ...] = ()
    broken: str | None = None
    missing: tuple[str, ...] = ()
    """Names of settings that the backend lacks."""
    batch: Batch | None = None
    """The last batch, where no script fetches it."""
    prompt: str = ""
    """What was typed."""
    error: str | None = None
    """Why the form was not accepted."""


class AsIs(str):
    """An address, or what somebody typed and sends again. It is escaped, and not masked."""

    __slots__ = ()


def home(view: View) -> str:
    """The whole page."""
    words = Words(view.language)
    return (
        _templates()
        .get_template("page.html")
        .render(
            **{**_common(words), "focus": True},
            view=view,
            languages=[(code, NAMES[code]) for code in LANGUAGES],
            spoken=AsIs(json.dumps({name: words(text) for name, text in SPOKEN.items()}, ensure_ascii=False)),
            typed=AsIs(_typed(view.prompt)),
            links=[words(LINKS[link]) for link in CHAIN],
            groups=_groups(words, view.breaks),
            state=_state(words, view),
            uploads=UPLOADS,
            ratios=RATIOS,
            counts=COUNTS,
            batch=_batch(words, view.batch) if view.batch is not None else None,
        )
    )


def fragment(view: View) -> str:
    """The article of the view's batch alone; nothing where there is none."""
    if view.batch is None:
        return ""
    words = Words(view.language)
    return _templates().get_template("batch.html").render(**_common(words), batch=_batch(words, view.batch))


def asset(name: str) -> tuple[bytes, str] | None:
    """The content and the media type of a file of the page."""
    kind = ASSETS.get(name)
    if kind is None:
        return None
    content = (FOLDER / name).read_bytes()
    return (report.COLOURS.read_bytes() + b"\n" + content if name == "page.css" else content), kind


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_inert,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _inert(value: object) -> object:
    """Every text on its way into the page: masked, bounded, and without control characters."""
    if type(value) is not str:
        return value
    safe = mask.cut(value.replace("\r\n", "\n").expandtabs(4), LONGEST)
    return "\n".join(visible(line) for line in safe.split("\n"))


def _typed(prompt: str) -> str:
    """A prompt as it goes back into its field: a masked one would be another prompt."""
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", " ", prompt.replace("\r\n", "\n"))


def _common(words: Words) -> dict[str, Any]:
    # not a dictionary: a template that says `say.copy` would get its method
    say = SimpleNamespace(**{name: words(text) for name, text in LABELS.items()})
    return {"words": words, "say": say, "shown": shown, "focus": False}


def _groups(words: Words, breaks: Iterable[Break]) -> dict[str, list[Break]]:
    """What can be broken, under the names of the links."""
    order = list(Link)
    groups: dict[str, list[Break]] = {}
    for link in order:
        found = [b for b in breaks if b.link == link]
        if found:
            groups[words(LINKS[link])] = found
    for b in breaks:
        if b.link not in order:
            groups.setdefault(b.link, []).append(b)
    return groups


def _state(words: Words, view: View) -> str:
    if view.broken is None:
        return words(SPOKEN["mended"])
    title = next((b.title for b in view.breaks if b.name == view.broken), view.broken)
    return words(SPOKEN["broken"], what=words(title))


# --- one batch


def _batch(words: Words, batch: Batch) -> dict[str, Any]:
    """What the article of a batch shows."""
    d = batch.diagnosis
    told: dict[str, Any] = {
        "key": re.sub(r"[^A-Za-z0-9_-]", "-", batch.request_id)[:80],
        "id": batch.request_id,
        "status": batch.status,
        "prompt": batch.prompt,
        "detail": batch.detail,
        "pictures": [(AsIs(p.source), p.alt, _opens(p.source)) for p in batch.pictures],
        "reference": AsIs(batch.reference) if batch.reference is not None else None,
        "d": None,
    }
    return told if d is None else {**told, **_diagnosis(words, d)}


def _opens(address: str) -> bool:
    """Whether a picture may be a link: a browser opens no data: address, and no other scheme is let in."""
    return bool(re.match(r"https?://|/(?!/)", address))


def _diagnosis(words: Words, d: Diagnosis) -> dict[str, Any]:
    cause = report.proof(d)
    return {
        "d": d,
        "tone": _tone(d),
        "verdict": words.message(report.VERDICTS[report.verdict(d)]),
        "headline": words.headline(d),
        "passage": _passage(d),
        "generation": words(GENERATIONS.get(d.generation, "unknown")),
        "cause": _cause(words, cause) if cause is not None else None,
        "beside": words(LINKS[cause.link]) if cause is not None and cause.link not in CHAIN else None,
        "chain": [
            {
                **link._asdict(),
                "tone": report.TONES[link.status],
                "expanded": cause is not None and link.link == cause.link,
            }
            for link in report.chain(d, words)
        ],
        "reason": report.reason(d, words),
        "because": tuple(reversed(d.because)) if len(d.because) > 1 else (),
        "otherwise": list(report.otherwise(d, words)),
        "checklist": [
            (
                report.TONES[q.status],
                words(ANSWERS.get(q.status, "cannot tell")),
                words(QUESTIONS[q.id]),
                q.evidence[0].source if q.evidence else "",
            )
            for q in d.checklist
        ],
        "more": [(words(title), lines) for title, lines in _more(words, d).items() if lines],
    }


def _tone(d: Diagnosis) -> str:
    """The colour of an answer."""
    tones = {"unknown": "unknown", "design": "note", "used": "pass", "faulty": "warn"}
    return tones.get(report.verdict(d), "fail")


def _passage(d: Diagnosis) -> str | None:
    """Whether the photo went into the picture; None where there is no picture, or nothing tells."""
    if d.generation != "succeeded":
        return None
    return {IMAGE_TO_IMAGE: "used", TEXT_TO_IMAGE: "not_used"}.get(d.decision.mode or "")


def _cause(words: Words, found: Finding) -> dict[str, Any]:
    return {
        "check": found.check,
        "tone": report.TONES[found.status],
        "message": words.message(found.message),
        "evidence": [(", ".join(p.sources), p.witness, p.said) for p in report.pieces(found.evidence)],
        "remedy": words.remedy(found.remedy) if found.remedy is not None else None,
    }


def _more(words: Words, d: Diagnosis) -> Mapping[str, list[str]]:
    """What the text answer says after its chain, under the same titles."""
    return {
        "Also seen": [
            f"{told.name}: {told.text}" + (f" ({told.source})" if told.source else "")
            for told in (report.told(f, words) for f in report.beside(d))
        ],
        "Not excluded": list(d.suspects),
        "Witnesses that disagree": [f"{fact}: {heard}" for fact, heard in report.conflicts(d)],
        "What could not be seen": [f"{told.name}: {told.text}. {told.more}" for told in report.missing(d, words)],
        "How it was read": [words.say(note) for note in d.notes],
    }
