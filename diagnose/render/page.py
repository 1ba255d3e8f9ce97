"""The page of `diagnose serve`: the form, the pictures, and beside each batch its diagnosis."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from diagnose import mask
from diagnose.model import CHAIN, IMAGE_TO_IMAGE, TEXT_TO_IMAGE, Diagnosis, Evidence, Finding, Link, Status
from diagnose.render.text import PLACE, quoted, visible
from diagnose.render.words import ANSWERS, LANGUAGES, LINKS, QUESTIONS, STATUSES, Words, shown

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

REASONS = {
    "IMAGE_TO_IMAGE_SELECTED": "A photo was sent and every link up to the choice held, so the image-to-image model was chosen.",
    "NO_IMAGE_SENT": "No photo was sent, and without one this backend is meant to do exactly that.",
    "PREREQUISITE_FAILED": "A photo was sent, but this link did not hold: {link}. Without it no image-to-image model can be chosen.",
    "REFUSED": "The request was refused before a model was chosen.",
    "STALE_CODE": "The code that runs is not the code that was shown.",
    "WRONG_MODEL_CONFIGURED": "The backend is set to another model than its profile names.",
    "UNKNOWN": "The evidence does not tell why.",
}
VERDICTS = {
    "used": "Photo used",
    "faulty": "Photo used, with a fault",
    "unused": "Photo not used",
    "design": "By design",
    "failed": "No picture",
    "wrong": "Wrong model",
    "refused": "Refused",
    "unknown": "Cannot tell",
}
GENERATIONS = {
    "succeeded": "a picture was made",
    "failed": "no picture was made",
    "not_attempted": "fal was not called",
    "unknown": "unknown",
}
TONES = {
    Status.PASS: "pass",
    Status.FAIL: "fail",
    Status.WARN: "warn",
    Status.NOTE: "note",
    Status.UNKNOWN: "unknown",
    Status.NOT_APPLICABLE: "none",
    Status.NOT_REACHED: "none",
    Status.CRASH: "fail",
}
"""The name of the icon and of the colour of each status."""


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
    return None if kind is None else ((FOLDER / name).read_bytes(), kind)


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
    unknown = d.finding("parameter_unknown")
    cause = d.root or (unknown if unknown is not None and unknown.status is Status.WARN else None)
    tone, verdict = _verdict(d)
    return {
        "d": d,
        "tone": tone,
        "verdict": words(VERDICTS[verdict]),
        "headline": words.headline(d),
        "passage": _passage(d),
        "generation": words(GENERATIONS.get(d.generation, "unknown")),
        "cause": _cause(words, cause) if cause is not None else None,
        "beside": words(LINKS[cause.link]) if cause is not None and cause.link not in CHAIN else None,
        "chain": _chain(words, d, cause),
        "reason": _reason(words, d),
        "because": tuple(reversed(d.because)) if len(d.because) > 1 else (),
        "otherwise": list(_otherwise(words, d)),
        "checklist": [
            (
                TONES[q.status],
                words(ANSWERS.get(q.status, "cannot tell")),
                words(QUESTIONS[q.id]),
                q.evidence[0].source if q.evidence else "",
            )
            for q in d.checklist
        ],
        "more": [(words(title), lines) for title, lines in _more(words, d, cause).items() if lines],
    }


def _verdict(d: Diagnosis) -> tuple[str, str]:
    """The colour of an answer, and its name in two words."""
    by_design = d.intended and d.root is not None and d.root.status is Status.NOTE
    if d.outcome == "undetermined":
        return "unknown", "unknown"
    if by_design:
        return "note", "design"
    if d.outcome == "switched" and d.generation == "succeeded":
        unknown = d.finding("parameter_unknown")
        whole = d.root is None and (unknown is None or unknown.status is not Status.WARN)
        return ("pass", "used") if whole else ("warn", "faulty")
    if d.outcome == "wrong_model":
        return "fail", "wrong"
    if d.outcome == "refused":
        return "fail", "refused"
    return ("fail", "failed") if d.generation == "failed" else ("fail", "unused")


def _passage(d: Diagnosis) -> str | None:
    """Whether the photo went into the picture; None where there is no picture, or nothing tells."""
    if d.generation != "succeeded":
        return None
    return {IMAGE_TO_IMAGE: "used", TEXT_TO_IMAGE: "not_used"}.get(d.decision.mode or "")


def _cause(words: Words, found: Finding) -> dict[str, Any]:
    return {
        "check": found.check,
        "tone": TONES[found.status],
        "message": words.message(found.message),
        "evidence": _evidence(found.evidence),
        "remedy": words.remedy(found.remedy) if found.remedy is not None else None,
    }


def _evidence(evidence: Iterable[Evidence]) -> list[tuple[str, str, str]]:
    """Each piece: its places, its witness, an excerpt. Places that say the same stand together."""
    said: dict[tuple[str, str], list[str]] = {}
    for e in evidence:
        said.setdefault((str(e.witness), quoted(e)), []).append(e.source)
    return [(", ".join(dict.fromkeys(sources)), witness, what) for (witness, what), sources in said.items()]


def _chain(words: Words, d: Diagnosis, cause: Finding | None) -> Iterator[dict[str, Any]]:
    """The seven links; a link is `whole` as far as the photo came."""
    broken = cause.link if cause is not None and cause.status is Status.FAIL else None
    if broken is not None and broken not in CHAIN:
        broken = next((state.link for state in d.chain if state.status is Status.FAIL), None)
    between = _between(d) if cause is None else frozenset()
    whole = True
    for state in d.chain:
        whole = whole and state.status in (Status.PASS, Status.WARN)
        yield {
            "link": str(state.link),
            "name": words(LINKS[state.link]),
            "tone": TONES[state.status],
            "status": words(STATUSES[state.status]),
            "whole": whole,
            "broken": state.link == broken,
            "between": state.link in between,
            "seen": ", ".join(state.findings) or (state.proof.source if state.proof is not None else ""),
            "expanded": cause is not None and state.link == cause.link,
        }


def _between(d: Diagnosis) -> frozenset[Link]:
    """Where it may have broken, if that cannot be told more exactly."""
    if d.interval is not None:
        good, bad = (CHAIN.index(link) if link in CHAIN else -1 for link in d.interval)
        return frozenset(CHAIN[good + 1 : bad + 1])
    return frozenset(f.link for f in d.findings if f.check in d.suspects)


def _reason(words: Words, d: Diagnosis) -> str:
    """Why this model, in a sentence."""
    template = REASONS.get(d.decision.reason, REASONS["UNKNOWN"])
    needed = d.decision.prerequisite
    link = words(LINKS[Link(needed)]) if needed in tuple(Link) else words("unknown")
    return words(template, link=link)


def _otherwise(words: Words, d: Diagnosis) -> Iterator[str]:
    """What would have been chosen had nothing been broken."""
    c = d.counterfactual
    if c is None:
        return
    changes = words(" and ").join(words(change) for change in c.changes)
    said = words("If {changes}: {mode} with {model}", changes=changes, mode=c.mode, model=shown(c.model))
    yield f"{said} {words('(replayed by {by})', by=c.verified_by)}"
    if c.next_blockers:
        yield words("What would show up next: {blockers}", blockers=", ".join(c.next_blockers))


def _more(words: Words, d: Diagnosis, cause: Finding | None) -> Mapping[str, list[str]]:
    """What the text answer says after its chain, under the same titles."""
    pieces: dict[tuple[str, str], list[str]] = {}
    for piece in d.missing:
        pieces.setdefault((piece.evidence, piece.how), []).append(words(LINKS[piece.link]))
    return {
        "Also seen": [
            f"{f.check}: {words.message(f.message)}" + (f" ({f.evidence[0].source})" if f.evidence else "")
            for f in d.findings
            if f.status in (Status.WARN, Status.CRASH) and f is not cause
        ],
        "Not excluded": list(d.suspects),
        "Witnesses that disagree": [
            f"{c.fact}: " + "; ".join(f"{shown(value, PLACE)} ({e.source}, {e.witness})" for value, e in c.witnesses)
            for c in d.conflicts
        ],
        "What could not be seen": [
            f"{', '.join(links)}: {words(evidence)}. {words(how)}" for (evidence, how), links in pieces.items()
        ],
        "How it was read": list(d.notes),
    }
