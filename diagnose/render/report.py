"""An answer in parts, said in one language: what text, Markdown and HTML show is decided here, once.

A report is a headline, facts, and titled sections of blocks. Each format draws the same blocks in its own way. Texts are
masked and bounded, and are plain: whoever draws them makes them inert for its own format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from diagnose.model import CHAIN, FAULTS, Diagnosis, Evidence, Finding, Link, LinkState, Message, Remedy, Status
from diagnose.model.excerpts import Excerpt
from diagnose.render.words import ANSWERS, LINKS, QUESTIONS, STATUSES, Words, shown

PLACE = 64
"""Characters of an address or a path that is quoted."""
SAID = 160
"""Characters of words that are quoted."""
PLACES = ("url", "urls", "path", "input", "host", "prompt")
SKIPPED = (
    "schema",
    "value",
    "method",
    "queue",
    "final",
    "by",
    "library",
    "network",
    "origin",
    "complete",
    "params",
    "weak",
    "derived",
    "loc",
)
"""Fields that tell a reader nothing."""
TITLES = {
    "read": "How it was read",
    "checklist": "Checklist",
    "proof": "Proof",
    "remedy": "What to do",
    "chain": "Chain",
    "beside": "Also seen",
    "looked": "Looked at now",
    "otherwise": "Otherwise",
    "suspects": "Not excluded",
    "deeper": "Deeper causes that were not seen",
    "conflicts": "Witnesses that disagree",
    "missing": "What could not be seen",
    "findings": "Every check",
}
"""The title of each section, by its key."""
REASONS = {
    "IMAGE_TO_IMAGE_SELECTED": "A photo was sent and every link up to the choice held, so the image-to-image model was chosen.",
    "NO_IMAGE_SENT": "No photo was sent, and without one this backend is meant to do exactly that.",
    "PREREQUISITE_FAILED": "A photo was sent, but this link did not hold: {link}. Without it no image-to-image model can be chosen.",
    "REFUSED": "The request was refused before a model was chosen.",
    "STALE_CODE": "The code that runs is not the code that was shown.",
    "WRONG_MODEL_CONFIGURED": "The backend is set to another model than its profile names.",
    "UNKNOWN": "The evidence does not tell why.",
}
SIGNS = {
    Status.PASS: "✓",
    Status.FAIL: "✗",
    Status.WARN: "!",
    Status.NOTE: "i",
    Status.UNKNOWN: "?",
    Status.NOT_APPLICABLE: "-",
    Status.NOT_REACHED: "·",
    Status.CRASH: "#",
}
"""The mark of each status, where it stands in a line."""
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
COLOURS = Path(__file__).with_name("colours.css")
"""The colours of pages, by tone, in the light and in the dark."""
VERDICTS = {
    "used": Message("Photo used"),
    "faulty": Message("Photo used, with a fault"),
    "unused": Message("Photo not used"),
    "design": Message("By design"),
    "failed": Message("No picture"),
    "wrong": Message("Wrong model"),
    "refused": Message("Refused"),
    "unknown": Message("Cannot tell"),
}


# --- blocks


@dataclass(frozen=True, slots=True)
class Facts:
    """Names, and what each is."""

    rows: tuple[tuple[str, str], ...]


class Answer(NamedTuple):
    """A question of the checklist, answered."""

    status: Status
    answer: str
    question: str
    source: str


@dataclass(frozen=True, slots=True)
class Checklist:
    """The seven questions."""

    answers: tuple[Answer, ...]


class Piece(NamedTuple):
    """Evidence: its places, and what stands there. Places that say the same stand together."""

    sources: tuple[str, ...]
    witness: str
    said: str
    excerpts: tuple[Excerpt, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """What proves the cause."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Cure:
    """What to do."""

    remedy: Remedy


class Passed(NamedTuple):
    """A link of the chain, and how the photo passed it."""

    link: Link
    name: str
    status: Status
    word: str
    seen: str
    """Its faults, or where its product was seen."""
    whole: bool
    """The photo is known to have come so far."""
    broken: bool
    """Here it broke."""
    between: bool
    """Here it can have broken, where that cannot be told more exactly."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The seven links in order."""

    links: tuple[Passed, ...]


class Told(NamedTuple):
    """A line with its mark: a finding, or what is like one."""

    status: Status
    name: str
    text: str
    source: str = ""
    more: str = ""
    """What is said below it."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Findings, each in a line."""

    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Sentences."""

    lines: tuple[str, ...]
    status: Status | None = None
    """How they are coloured; what stands back is not applicable."""


class Row(NamedTuple):
    """A line of a table."""

    cells: tuple[str, ...]
    status: Status | None = None
    """How it is coloured."""
    under: tuple[str, ...] = ()
    """What is said below it."""
    command: str | None = None
    """What opens its example, to copy."""
    instead: str = ""
    """Where the command cannot be shown, this stands for the last line below it."""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells in columns."""

    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    numbers: int = 0
    """So many columns after the first hold numbers."""


class Bar(NamedTuple):
    """A name with its numbers, drawn as long as its part of the longest."""

    name: str
    numbers: tuple[str, ...]
    length: float
    """From 0 to 1."""
    tail: str = ""
    """Words behind it."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars under each other."""

    bars: tuple[Bar, ...]


class Stretch(NamedTuple):
    """A stretch of time: how many generations, how many of them not sound, and the cause of most of these."""

    name: str
    entries: int
    bad: int
    numbers: tuple[str, ...]
    """The same, as they are said."""
    cause: str = ""
    causes: tuple[tuple[str, int], ...] = ()
    """Every cause, and how many it has, so that neighbours can be shown as one."""
    ends: tuple[str, str] = ("", "")
    """From which time to which; the same twice where it has one name."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Stretches of time in order; those without a generation are left out."""

    stretches: tuple[Stretch, ...]


class Item(NamedTuple):
    """A line of an outline, and what stands under it."""

    text: str
    strong: bool = False
    under: tuple[Item, ...] = ()
    status: Status | None = None
    """How it is coloured; what stands back is not applicable."""


@dataclass(frozen=True, slots=True)
class Outline:
    """Sentences under sentences."""

    items: tuple[Item, ...]


Block = Facts | Checklist | Proof | Cure | Chain | Findings | Lines | Table | Bars | Timeline | Outline


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a title."""

    key: str
    """Its name in every language."""
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One answer."""

    headline: str
    status: Status
    """How the whole is marked."""
    verdict: str
    """The answer in two words."""
    facts: Facts
    sections: tuple[Section, ...]


_NONE: Mapping[str, Excerpt] = MappingProxyType({})


def of(
    d: Diagnosis,
    words: Words,
    *,
    checklist: bool = True,
    verbose: bool = False,
    room: int = 10_000,
    excerpts: Mapping[str, Excerpt] = _NONE,
) -> Report:
    """The report of a diagnosis.

    With `checklist` the seven questions stand in it; with `verbose` also what only an engineer wants. The headline is
    shortened to `room` characters. `excerpts` are what stands at the sources of the evidence.
    """
    teller = _Teller(d, words, excerpts)
    return Report(
        words.headline(d, room),
        sign(d),
        words.message(VERDICTS[verdict(d)]),
        Facts(tuple(teller.facts())),
        tuple(teller.sections(checklist, verbose)),
    )


class _Teller:
    def __init__(self, d: Diagnosis, words: Words, excerpts: Mapping[str, Excerpt]) -> None:
        self.d, self.words, self.excerpts = d, words, excerpts

    def facts(self) -> Iterator[tuple[str, str]]:
        """What a machine would read first, in the words of the JSON document."""
        d, words = self.d, self.words
        yield (
            words("outcome"),
            words("{outcome}, generation {generation}", outcome=d.outcome, generation=d.generation),
        )
        if d.decision.model or d.decision.expected_model:
            yield words("model"), self.model()
        if d.root is not None:
            symptoms = [check for check in d.because if check != d.root.check]
            yield words("cause"), " > ".join((d.root.check, *reversed(symptoms)))
        if d.subject.source:
            when = f", {d.subject.timestamp}" if d.subject.timestamp else ""
            yield words("about"), f"{d.subject.source}{when} ({words('profile')} {d.profile})"

    def model(self) -> str:
        used, wanted = self.d.decision.model, self.d.decision.expected_model
        if used and wanted and used != wanted:
            return self.words("{used}, not {wanted}", used=shown(used), wanted=shown(wanted))
        if used:
            return shown(used)
        return self.words(
            "none; {wanted} was expected" if self.d.outcome == "refused" else "not seen; {wanted} was expected",
            wanted=shown(wanted),
        )

    def sections(self, checklist: bool, verbose: bool) -> Iterator[Section]:
        """The answer, the proof, what to do, the chain, then the rest."""
        d, nothing = self.d, not any(f.evidence for f in self.d.findings)
        if nothing:
            yield from self.section("read", Lines(tuple(map(self.words.say, d.notes))))
        if checklist:
            yield from self.section("checklist", Checklist(tuple(self.questions())))
        cause = proof(d)
        if cause is not None:
            yield from self.section("proof", Proof(tuple(pieces(cause.evidence, self.excerpts))))
            if cause.remedy is not None:
                yield from self.section("remedy", Cure(self.words.remedy(cause.remedy)))
        if not nothing or verbose:
            yield from self.section("chain", Chain(tuple(chain(d, self.words))))
        yield from self.section("beside", self.findings(beside(d)))
        yield from self.section("looked", self.findings(looked(d)))
        yield from self.section("otherwise", Lines(tuple(otherwise(d, self.words))))
        if d.suspects and (d.subject.source or verbose):  # without an attempt everything is open, and says nothing
            yield from self.section("suspects", Facts(tuple(self.suspects())))
        if d.deeper and verbose:
            yield from self.section("deeper", Lines((", ".join(d.deeper),)))
        yield from self.section("conflicts", Facts(tuple(conflicts(d))))
        if d.missing:
            seen = sum(1 for state in d.chain if state.status is not Status.UNKNOWN)
            said = self.words("{seen} of {of} links were seen", seen=seen, of=len(d.chain))
            missed = Findings(tuple(missing(d, self.words)))
            yield from self.section("missing", Lines((said,)), missed)
        if not nothing:
            yield from self.section("read", Lines(tuple(map(self.words.say, d.notes))))
        if verbose:
            yield from self.section("findings", self.findings(d.findings))

    def section(self, key: str, *blocks: Block) -> Iterator[Section]:
        """A section, unless nothing stands in it."""
        kept = filled(blocks)
        if kept:
            yield Section(key, self.words(TITLES[key]), kept)

    def questions(self) -> Iterator[Answer]:
        for q in self.d.checklist:
            said = self.words(ANSWERS.get(q.status, "cannot tell"))
            yield Answer(q.status, said, self.words(QUESTIONS[q.id]), q.evidence[0].source if q.evidence else "")

    def findings(self, found: Iterable[Finding]) -> Findings:
        return Findings(tuple(told(f, self.words) for f in found))

    def suspects(self) -> Iterator[tuple[str, str]]:
        """The checks that are not excluded, under their links."""
        links = {f.check: f.link for f in self.d.findings}
        by_link: dict[str, list[str]] = {}
        for check in self.d.suspects:
            by_link.setdefault(str(links[check]) if check in links else "", []).append(check)
        for link, checks in by_link.items():
            yield link, ", ".join(checks)


def filled(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """The blocks in which something stands."""
    return tuple(block for block in blocks if any(_contents(block)))


def _contents(block: Block) -> Sequence[object]:
    match block:
        case Facts(found) | Checklist(found) | Proof(found) | Chain(found) | Findings(found) | Lines(lines=found):
            return found
        case Table(rows=found) | Bars(found) | Timeline(found) | Outline(found):
            return found
        case Cure(remedy):
            return (remedy,)


# --- the parts of a diagnosis, for whoever shows only some of them


def sign(d: Diagnosis) -> Status:
    """How one generation is marked."""
    if d.root is not None and d.root.status is Status.NOTE and d.generation != "failed":
        return Status.NOTE
    if d.outcome == "undetermined":
        return Status.UNKNOWN
    if d.outcome != "switched" or d.root is not None or d.suspects or d.generation == "failed":
        return Status.FAIL
    return Status.WARN if any(f.status is Status.WARN for f in d.findings) else Status.PASS


def verdict(d: Diagnosis) -> str:
    """The answer as a key of `VERDICTS`."""
    if d.outcome == "undetermined":
        return "unknown"
    if d.intended and d.root is not None and d.root.status is Status.NOTE:
        return "design"
    if d.outcome == "switched" and d.generation == "succeeded":
        return "faulty" if proof(d) is not None else "used"
    if d.outcome in ("wrong_model", "refused"):
        return "wrong" if d.outcome == "wrong_model" else "refused"
    return "failed" if d.generation == "failed" else "unused"


def proof(d: Diagnosis) -> Finding | None:
    """What the answer rests on: the root, or the warning that stands in the headline."""
    warning = d.finding("parameter_unknown")
    return d.root or (warning if warning is not None and warning.status is Status.WARN else None)


def pieces(evidence: Iterable[Evidence], excerpts: Mapping[str, Excerpt] = _NONE) -> Iterator[Piece]:
    """Each piece with its places."""
    said: dict[tuple[str, str], list[str]] = {}
    for e in evidence:
        said.setdefault((str(e.witness), quoted(e)), []).append(e.source)
    for (witness, what), found in said.items():
        sources = tuple(dict.fromkeys(found))
        yield Piece(sources, witness, what, tuple(excerpts[source] for source in sources if source in excerpts))


def chain(d: Diagnosis, words: Words) -> Iterator[Passed]:
    """The seven links."""
    cause = proof(d)
    broken = cause.link if cause is not None and cause.status is Status.FAIL else None
    if broken is not None and broken not in CHAIN:
        broken = next((state.link for state in d.chain if state.status is Status.FAIL), None)
    between = _between(d) if cause is None else frozenset()
    whole = True
    for state in d.chain:
        whole = whole and state.status in (Status.PASS, Status.WARN)
        yield Passed(
            state.link,
            words(LINKS[state.link]),
            state.status,
            words(STATUSES[state.status]),
            _seen(state),
            whole,
            state.link == broken,
            state.link in between,
        )


def _seen(state: LinkState) -> str:
    if state.findings:
        return ", ".join(state.findings)
    return state.proof.source if state.proof is not None else ""


def _between(d: Diagnosis) -> frozenset[Link]:
    if d.interval is not None:
        good, bad = (CHAIN.index(link) if link in CHAIN else -1 for link in d.interval)
        return frozenset(CHAIN[good + 1 : bad + 1])
    return frozenset(f.link for f in d.findings if f.check in d.suspects)


def reason(d: Diagnosis, words: Words) -> str:
    """Why this model, in a sentence."""
    template = REASONS.get(d.decision.reason, REASONS["UNKNOWN"])
    needed = d.decision.prerequisite
    return words(template, link=words(LINKS[Link(needed)]) if needed in tuple(Link) else words("unknown"))


def otherwise(d: Diagnosis, words: Words) -> Iterator[str]:
    """What would have been chosen had nothing been broken."""
    c = d.counterfactual
    if c is None:
        return
    changes = words(" and ").join(words(change) for change in c.changes)
    said = words("If {changes}: {mode} with {model}", changes=changes, mode=c.mode, model=shown(c.model))
    yield f"{said} {words('(replayed by {by})', by=words.say(c.verified_by or ''))}"
    if c.next_blockers:
        yield words("What would show up next: {blockers}", blockers=", ".join(c.next_blockers))


def told(found: Finding, words: Words) -> Told:
    """A finding in a line."""
    source = found.evidence[0].source if found.evidence else ""
    return Told(found.status, found.check, words.message(found.message), source)


def beside(d: Diagnosis) -> Iterator[Finding]:
    """Warnings beside the chain, and what crashed."""
    cause = proof(d)
    return (f for f in d.findings if f.status in (Status.WARN, Status.CRASH) and f is not cause)


def looked(d: Diagnosis) -> Iterator[Finding]:
    """What a look at the living system found in order, and what did not answer it."""
    return (f for f in d.findings if f.status not in FAULTS and any(e.kind.startswith("live.") for e in f.evidence))


def conflicts(d: Diagnosis) -> Iterator[tuple[str, str]]:
    """Each fact that witnesses tell differently."""
    for conflict in d.conflicts:
        heard = "; ".join(f"{shown(value, PLACE)} ({e.source}, {e.witness})" for value, e in conflict.witnesses)
        yield conflict.fact, heard


def missing(d: Diagnosis, words: Words) -> Iterator[Told]:
    """What could not be seen, and how to get it; one piece can decide several links."""
    found: dict[tuple[str, str], list[str]] = {}
    for piece in d.missing:
        found.setdefault((piece.evidence, piece.how), []).append(words(LINKS[piece.link]))
    for (evidence, how), links in found.items():
        yield Told(Status.UNKNOWN, ", ".join(links), words.say(evidence), more=words(how))


def quoted(e: Evidence) -> str:
    """The fields of a piece of evidence that a reader wants, in a line."""
    said: dict[str, str] = {}
    for key, value in e.fields.items():
        if key in SKIPPED or (key == "text" and "message" in said):
            continue
        field = _field(key, value)
        if field and field not in said.values():
            said[key] = field
    return "; ".join(f"{key}: {field}" for key, field in said.items())


def _field(key: str, value: object) -> str:
    if key == "body" and isinstance(value, Mapping):
        return ", ".join(
            f"{name}: {shown(inner, PLACE)}" for name, inner in list(value.items())[:20] if name != "prompt"
        )
    if key == "images" and isinstance(value, (list, tuple)):
        return (
            ", ".join(
                shown(image["name"] if isinstance(image, Mapping) and "name" in image else image, PLACE)
                for image in value[:8]
            )
            or "none"
        )
    if key == "url" and value is None:
        return "none"
    if value is None or value is False or (isinstance(value, (str, Mapping, list, tuple)) and not value):
        return ""
    return shown(value, PLACE if key in PLACES else SAID)
