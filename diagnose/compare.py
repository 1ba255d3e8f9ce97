"""Lays two generations, or two histories, side by side, and tries out which of their differences matter.

Whether a difference matters is decided by the checks: the value of one side is put in the place of the other's, and the
case is diagnosed again. What differs in its name alone is given the same name first: a picture's address stands in many places,
and half a renaming would be a contradiction that nobody has seen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from diagnose import explain, normalise
from diagnose.collect.prompt_log import Entry
from diagnose.history.judge import of_diagnosis
from diagnose.model import (
    IMAGE_KEYS,
    IMAGE_TO_IMAGE,
    TEXT_TO_IMAGE,
    Absent,
    Case,
    Diagnosis,
    Evidence,
    Link,
    Profile,
    Seen,
    Status,
    Witness,
)
from diagnose.model.comparison import (
    Change,
    Comparison,
    Difference,
    Expected,
    Given,
    HistoryComparison,
    Row,
    Same,
    Shift,
    Side,
    Step,
    Told,
    Total,
    Trial,
)
from diagnose.model.history import History, Share, Tally

MAX_FIELDS = 2000
"""Fields of an entry, or facts, that are compared."""
MAX_TRIED = 400
"""Differences that are tried out; each costs two diagnoses at the most, and a joint trial one more."""
DEEPEST = 12
MAX_KEYS = 500
"""Keys of one object that are compared one by one."""
MAX_NAMES = 40
"""Names that are made the same before anything is tried, and pieces of evidence of one kind that are looked at."""
LONGEST_NAME = 4096
"""Characters of a text in which names are looked for."""
LONGEST_RENAMED = 20_000
"""Characters of a text in which names are replaced; a longer one is a picture."""
ALPHA = 0.05
SURE = 1000
"""Expected counts from which the chi-square test is as good as the exact one, which takes longer the more there are."""

_ENTRY_LINKS: Mapping[str, Link] = {
    "generation_mode": Link.SELECTION,
    "fal_request.model": Link.SELECTION,
    "fal_request": Link.PAYLOAD,
    "sent": Link.PAYLOAD,
    "request.image_url": Link.IMAGE_URL,
    "request.has_image_url": Link.IMAGE_URL,
    "request": Link.REQUEST,
    "upload": Link.UPLOAD,
    "status": Link.GENERATION,
    "outcome": Link.GENERATION,
    "fal_request_id": Link.GENERATION,
}
"""Which link a field of an entry tells of: its own, or its object's; all others are of the record."""
_KIND_LINKS: tuple[tuple[str, Link], ...] = (
    ("request.", Link.REQUEST),
    ("browser.", Link.REQUEST),
    ("decode.", Link.DECODE),
    ("storage.fetch", Link.IMAGE_URL),
    ("storage.", Link.UPLOAD),
    ("upload.", Link.UPLOAD),
    ("supabase.", Link.UPLOAD),
    ("image_url", Link.IMAGE_URL),
    ("mode", Link.SELECTION),
    ("model", Link.SELECTION),
    ("payload", Link.PAYLOAD),
    ("fal.", Link.GENERATION),
    ("answer", Link.GENERATION),
    ("error", Link.GENERATION),
    ("record.", Link.RECORD),
    ("env.", Link.ENVIRONMENT),
)
_OF_THE_READER = frozenset({"given", "note", "joined", "fal.schema", "prompt"})
"""Kinds that tell how the evidence was read, or what the world knows, and nothing of the generation."""
_OF_THE_WAY = frozenset({"by", "origin", "derived", "weak", "library", "network"})
"""Fields that tell how evidence was recognised."""
_OPENED = ("body", "params")
"""Fields of evidence that are compared key by key."""
_UNSEEN = {None, "unknown", "undetermined", "not_reached"}
_FAULTY = {"fail", "warn"}
_OF_THE_CALL = (Link.SELECTION, Link.PAYLOAD, Link.GENERATION)
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_IDENTITY = re.compile(r"(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{8,}|[a-z]{20}")
"""What names one thing and no other: uuids, digests, a Supabase project."""


# --- generations ------------------------------------------------------------------------------------------------------


def generations(first: Given, second: Given) -> Comparison:
    """Two generations side by side, and which of their differences matter to the answer."""
    one, two = _side(first), _side(second)
    worlds = _worlds(first.case, second.case)
    atoms, equal, left_out = _atoms(*worlds)
    chain = _chain(one.diagnosis, two.diagnosis)
    same = _same_answer(one, two)
    trials = _Trials(worlds[0], _in_the_names_of(*worlds))
    if first.readable and second.readable:
        trials.run(atoms, same)
    equal += [Same(atom.field, atom.a) for atom in atoms if atom.a is not None and _retold(atom, trials)]
    found = [_difference(atom, trials, one, two, first, second) for atom in atoms if not _retold(atom, trials)]
    return Comparison(
        a=one,
        b=two,
        same=same,
        parted=next((step.link for step in chain if _parts(step)), None),
        chain=chain,
        table=tuple(_table(first, one, second, two)),
        differences=tuple(sorted(found, key=_order)),
        equal=tuple(sorted(equal, key=lambda same: same.field)),
        untried=len(atoms) - len(trials.tried),
        left_out=left_out,
    )


def _side(given: Given) -> Side:
    diagnosis = explain.diagnose(given.case, notes=given.notes)
    verdict = of_diagnosis(diagnosis)
    unsent = diagnosis.finding("no_image_sent")
    with_photo = unsent is None or unsent.status is not Status.NOTE
    return Side(given.name, diagnosis, given.readable, with_photo, verdict.cause, explain.sound(diagnosis))


def _same_answer(one: Side, two: Side) -> bool:
    made = {one.diagnosis.generation, two.diagnosis.generation}
    return (one.diagnosis.outcome, one.cause, one.sound) == (two.diagnosis.outcome, two.cause, two.sound) and (
        len(made) == 1 or "unknown" in made
    )


def _chain(one: Diagnosis, two: Diagnosis) -> tuple[Step, ...]:
    both = zip(one.chain, two.chain, strict=True)
    return tuple(Step(a.link, a.status, b.status, a.findings, b.findings) for a, b in both)


def _parts(step: Step) -> bool:
    """Whether both show what the link came to, and not the same; a warning is no other way."""
    known = Status.UNKNOWN not in (step.a, step.b)
    ways = {Status.PASS if status is Status.WARN else status for status in (step.a, step.b)}
    return known and len(ways) > 1


def _order(difference: Difference) -> tuple[int, int, bool]:
    """What decides the answer first, then what changes a check beside it, then what cannot be told, then the rest."""
    trial = difference.trial
    if difference.matters:
        group = 0 if trial is not None and trial.decides else 1
    else:
        group = 2 if difference.matters is None else 3
    named = trial is not None and any(change.what in ("outcome", "generation", "root") for change in trial.changes)
    return group, list(Link).index(difference.link), not named


# --- differences ------------------------------------------------------------------------------------------------------


class _Field(NamedTuple):
    """A field of the entry, by its keys from the outside in."""

    path: tuple[str, ...]

    def put(self, target: Case, donor: Case) -> Case:
        """The target with the donor's value of this field."""
        entry, other = _entry(target), _entry(donor)
        assert entry is not None and other is not None
        return _with_entry(target, _set(entry["value"], self.path, _at(other["value"], self.path)))


class _Fact(NamedTuple):
    """A field of all evidence of one kind."""

    kind: str
    path: tuple[str, ...]

    def put(self, target: Case, donor: Case) -> Case:
        """The target with the donor's values of this field, piece by piece; its last value where it has fewer."""
        both = _both_entries(target, donor)
        values = [_at(e.fields, self.path) for e in _facts(donor, both) if e.kind == self.kind]
        mine = [id(e) for e in _facts(target, both) if e.kind == self.kind]
        places = {own: min(index, len(values) - 1) for index, own in enumerate(mine)}
        changed = (
            replace(e, fields=_set(e.fields, self.path, values[places[id(e)]])) if id(e) in places else e
            for e in target.evidence
        )
        return replace(target, evidence=tuple(changed))


class _Kind(NamedTuple):
    """All evidence of one kind, where only one side has any."""

    kind: str

    def put(self, target: Case, donor: Case) -> Case:
        """The target with the donor's evidence of this kind in the place of its own."""
        both = _both_entries(target, donor)
        mine = {id(e) for e in _facts(target, both) if e.kind == self.kind}
        theirs = [e for e in _facts(donor, both) if e.kind == self.kind]
        return replace(target, evidence=(*(e for e in target.evidence if id(e) not in mine), *theirs))


_Swap = _Field | _Fact | _Kind


@dataclass(frozen=True, slots=True)
class _Atom:
    """One difference, and how it is put from one case into the other."""

    field: str
    link: Link
    a: Told | None
    b: Told | None
    swap: _Swap


class _Missing:
    """Stands for a field that is not there, for which None is a value."""

    def __bool__(self) -> bool:
        return False


_MISSING = _Missing()


def _worlds(a: Case, b: Case) -> tuple[Case, Case]:
    """Both cases, each knowing every schema that the other knows: a schema is no part of what happened."""
    known = {e["model"]: e for case in (a, b) for e in case.evidence if e.kind == "fal.schema"}

    def whole(case: Case) -> Case:
        own = {e["model"] for e in case.evidence if e.kind == "fal.schema"}
        return replace(case, evidence=(*case.evidence, *(e for model, e in known.items() if model not in own)))

    return whole(a), whole(b)


def _atoms(a: Case, b: Case) -> tuple[list[_Atom], list[Same], int]:
    """Every difference, every field that is the same, and how many were too many."""
    atoms: list[_Atom] = []
    equal: list[Same] = []
    left_out = 0
    for found in (*_entry_atoms(a, b), *_fact_atoms(a, b)):
        if len(atoms) + len(equal) >= MAX_FIELDS:
            left_out += 1
        elif isinstance(found, _Atom):
            atoms.append(found)
        else:
            equal.append(found)
    return atoms, equal, left_out


def _entry_atoms(a: Case, b: Case) -> Iterator[_Atom | Same]:
    one, two = _entry(a), _entry(b)
    if one is None or two is None:
        return
    for path, x, y in _apart(one["value"], two["value"]):
        name = ".".join(path)
        mine = Told(None if x is _MISSING else x, _place(one, path), one.witness, x is _MISSING)
        if _alike(x, y):
            yield Same(name, mine)
        else:
            theirs = Told(None if y is _MISSING else y, _place(two, path), two.witness, y is _MISSING)
            yield _Atom(name, _link_of_field(path), mine, theirs, _Field(path))


def _place(entry: Evidence, path: Sequence[str]) -> str:
    return "/".join([entry.source, *(key.replace("~", "~0").replace("/", "~1") for key in path)])


def _link_of_field(path: Sequence[str]) -> Link:
    for length in (2, 1):
        link = _ENTRY_LINKS.get(".".join(path[:length]))
        if link is not None:
            return link
    return Link.RECORD


def _apart(x: Any, y: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Every field of two JSON objects: its path, and its value in both."""
    opened = isinstance(x, Mapping) and isinstance(y, Mapping) and (x or y)
    if opened and len(path) < DEEPEST and len(x) + len(y) <= 2 * MAX_KEYS:
        for key in dict.fromkeys([*x, *y]):
            yield from _apart(x.get(key, _MISSING), y.get(key, _MISSING), (*path, str(key)))
    elif path:
        yield path, x, y


def _fact_atoms(a: Case, b: Case) -> Iterator[_Atom | Same]:
    """The facts of the evidence, strongest witness first."""
    both = _both_entries(a, b)
    ones, twos = _by_kind(_facts(a, both)), _by_kind(_facts(b, both))
    for kind in sorted(dict.fromkeys([*ones, *twos]), key=lambda kind: list(Link).index(_link_of_kind(kind))):
        mine, theirs = ones.get(kind, []), twos.get(kind, [])
        if mine and theirs:
            yield from _fields_apart(kind, mine, theirs)
        else:
            said = [
                Told(_said(found), found[0].source, found[0].witness) if found else None for found in (mine, theirs)
            ]
            yield _Atom(kind, _link_of_kind(kind), said[0], said[1], _Kind(kind))


def _fields_apart(kind: str, mine: Sequence[Evidence], theirs: Sequence[Evidence]) -> Iterator[_Atom | Same]:
    for path in dict.fromkeys(path for e in (*mine, *theirs) for path in _paths(e)):
        one, two = _values(mine, path), _values(theirs, path)
        name = ".".join((kind, *(key for key in path if key not in _OPENED)))
        link = Link.SELECTION if name in ("fal.call.model", "payload.model") else _link_of_kind(kind)
        if _alike([value for value, _ in one], [value for value, _ in two]):
            yield Same(name, _told(one))
        else:
            yield _Atom(name, link, _told(one), _told(two), _Fact(kind, path))


def _paths(e: Evidence) -> Iterator[tuple[str, ...]]:
    for name, value in e.fields.items():
        if name in _OF_THE_WAY:
            continue
        if name in _OPENED and isinstance(value, Mapping) and len(value) <= MAX_KEYS:
            yield from ((name, str(key)) for key in value)
        else:
            yield (str(name),)


def _values(found: Sequence[Evidence], path: tuple[str, ...]) -> list[tuple[Any, Evidence]]:
    """The different values of a field, in order, each with the first that tells it."""
    kept: list[tuple[Any, Evidence]] = []
    for e in found[:MAX_NAMES]:
        value = _at(e.fields, path)
        if not any(_alike(value, other) for other, _ in kept):
            kept.append((value, e))
    return kept


def _told(values: Sequence[tuple[Any, Evidence]]) -> Told:
    there = [(value, e) for value, e in values if value is not _MISSING]
    if not there:
        return Told(None, values[0][1].source, values[0][1].witness, absent=True)
    several = len(there) > 1
    value = [value for value, _ in there] if several else there[0][0]
    return Told(value, there[0][1].source, there[0][1].witness, several=several)


def _said(found: Sequence[Evidence]) -> Any:
    """What evidence of a kind comes to where the other side has none: its telling fields."""
    wanted = ("status", "model", "mode", "url", "code", "error", "message", "text", "fault", "images", "body")
    first = found[0]
    told = {name: first.fields[name] for name in wanted if first.fields.get(name) not in (None, "", (), [])}
    return told or {name: value for name, value in first.fields.items() if value and name not in _OF_THE_WAY}


def _by_kind(found: Iterable[Evidence]) -> dict[str, list[Evidence]]:
    kinds: dict[str, list[Evidence]] = {}
    for e in found:
        kinds.setdefault(e.kind, []).append(e)
    return kinds


def _link_of_kind(kind: str) -> Link:
    return next((link for start, link in _KIND_LINKS if kind.startswith(start)), Link.DEPLOYMENT)


def _facts(case: Case, both_entries: bool) -> list[Evidence]:
    """The evidence that is compared as such, strongest witness first: where both have an entry, without what it tells."""
    span = _entry_span(case) if both_entries else range(0)
    found = [
        e
        for index, e in enumerate(case.evidence)
        if index not in span and e.kind not in _OF_THE_READER and e.witness is not Witness.CLAIMED
    ]
    return sorted(found, key=lambda e: e.witness.rank)


# --- entries ----------------------------------------------------------------------------------------------------------


def _entry(case: Case) -> Evidence | None:
    """The entry of the case, with its whole value."""
    found = next((e for e in case.evidence if e.kind == "record.entry"), None)
    return found if found is not None and isinstance(found["value"], Mapping) else None


def _both_entries(a: Case, b: Case) -> bool:
    return _entry(a) is not None and _entry(b) is not None


def _entry_span(case: Case) -> range:
    """Where the evidence that was made of the entry stands: in one piece, behind the entry itself."""
    entry = _entry(case)
    if entry is None:
        return range(0)
    start = next(index for index, e in enumerate(case.evidence) if e is entry)
    end = start + 1
    while end < len(case.evidence) and (
        case.evidence[end].source.startswith(f"{entry.source}/") or case.evidence[end].kind == "record.invalid"
    ):
        end += 1
    return range(start, end)


def _with_entry(case: Case, value: Mapping[str, Any]) -> Case:
    """The case with another value of its entry, and what that tells."""
    entry, span = _entry(case), _entry_span(case)
    assert entry is not None
    made = list(normalise.entry_evidence(Entry(case.subject.entry or 0, dict(value)), entry.source))
    if _is_excerpt(case, entry, span):
        made = [e for e in made if e.kind != "record.invalid"]
    return replace(case, evidence=(*case.evidence[: span.start], *made, *case.evidence[span.stop :]))


def _is_excerpt(case: Case, entry: Evidence, span: range) -> bool:
    """Whether the entry was pasted in part: what it lacks was not held against it, and is not now."""
    told = any(case.evidence[index].kind == "record.invalid" for index in span)
    return not told and any(
        e.kind == "record.invalid" for e in normalise.entry_evidence(Entry(0, dict(entry["value"])), entry.source)
    )


def _at(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return _MISSING
        value = value[key]
    return value


def _set(value: Any, path: Sequence[str], new: Any) -> dict[str, Any]:
    """A copy with another value at a path; without the field where the new value is missing."""
    copy = dict(value) if isinstance(value, Mapping) else {}
    key, *rest = path
    if rest:
        if isinstance(copy.get(key), Mapping) or new is not _MISSING:
            copy[key] = _set(copy.get(key), rest, new)
    elif new is _MISSING:
        copy.pop(key, None)
    else:
        copy[key] = new
    return copy


# --- names ------------------------------------------------------------------------------------------------------------


def _in_the_names_of(a: Case, b: Case) -> Case:
    """The second case with the first one's ids and addresses, as far as both answers stay what they are.

    Two generations have different users, projects and pictures. A value that is put from one into the other would bring
    such a name with it, and contradict the names beside it.
    """
    ours, theirs = explain.diagnose(a), explain.diagnose(b)
    for name, other in _names_apart(a, b):
        renamed = _renamed(b, name, other)
        # a name that matters to either of them is no mere name
        if not any(_changed(theirs, explain.diagnose(renamed))) and not any(
            _changed(ours, explain.diagnose(_renamed(a, other, name)))
        ):
            b = renamed
    return b


def _names_apart(a: Case, b: Case) -> list[tuple[str, str]]:
    """Each name of the second case that stands where the first has another, always the same other; ids first."""
    pairs: dict[tuple[str, str], None] = {}
    one, two = _entry(a), _entry(b)
    both = one is not None and two is not None
    if one is not None and two is not None:
        pairs |= dict.fromkeys(_names(one["value"], two["value"]))
    ones, twos = _by_kind(_facts(a, both)), _by_kind(_facts(b, both))
    for kind in [kind for kind in ones if kind in twos]:
        for mine, theirs in zip(ones[kind][:MAX_NAMES], twos[kind], strict=False):
            pairs |= dict.fromkeys(_names(mine.fields, theirs.fields))
    told = [(theirs, mine) for mine, theirs in pairs]
    times = Counter(name for pair in told for name in set(pair))
    alone = sorted((pair for pair in told if times[pair[0]] == times[pair[1]] == 1), key=lambda pair: "://" in pair[0])
    return alone[:MAX_NAMES]


def _names(mine: Any, theirs: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Names that stand in the same place of two values: whole addresses, and ids inside of texts."""
    if isinstance(mine, str) and isinstance(theirs, str):
        if mine == theirs or max(len(mine), len(theirs)) > LONGEST_NAME:
            return
        if "://" in mine and "://" in theirs:
            yield mine, theirs
        ones, twos = _NAME.findall(mine), _NAME.findall(theirs)
        if len(ones) == len(twos):
            pairs = ((x, y) for x, y in zip(ones, twos, strict=True) if x != y)
            yield from ((x, y) for x, y in pairs if _IDENTITY.fullmatch(x) and _IDENTITY.fullmatch(y))
    elif depth > DEEPEST:
        return
    elif isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        for key in [key for key in mine if key in theirs][:MAX_KEYS]:
            yield from _names(mine[key], theirs[key], depth + 1)
    elif isinstance(mine, (list, tuple)) and isinstance(theirs, (list, tuple)):
        for x, y in zip(mine[:MAX_NAMES], theirs, strict=False):
            yield from _names(x, y, depth + 1)


def _renamed(case: Case, name: str, other: str) -> Case:
    """The case with a name replaced wherever it stands in its evidence."""

    def put(value: Any, depth: int = 0) -> Any:
        if isinstance(value, str):
            return value.replace(name, other) if len(value) <= LONGEST_RENAMED else value
        if depth > DEEPEST:
            return value
        if isinstance(value, Mapping):
            return {key: put(inner, depth + 1) for key, inner in value.items()}
        return [put(inner, depth + 1) for inner in value] if isinstance(value, (list, tuple)) else value

    evidence = (e if e.kind == "fal.schema" else replace(e, fields=put(e.fields)) for e in case.evidence)
    return replace(case, evidence=tuple(evidence))


def _alike(x: Any, y: Any) -> bool:
    """Whether two JSON values are the same; a number is no truth value, and 7 is 7.0."""
    if x is y:
        return True
    if isinstance(x, bool) or isinstance(y, bool):
        return isinstance(x, bool) and isinstance(y, bool) and x == y
    if isinstance(x, (int, float)) and isinstance(y, (int, float)):
        return x == y or (x != x and y != y)
    if isinstance(x, (list, tuple)) and isinstance(y, (list, tuple)):
        return len(x) == len(y) and all(_alike(one, two) for one, two in zip(x, y, strict=True))
    try:
        return bool(x == y)
    except RecursionError:
        return False


# --- trials -----------------------------------------------------------------------------------------------------------


class _Trials:
    """Puts the values of each side into the other, and keeps what changes."""

    def __init__(self, a: Case, b: Case) -> None:
        self.a, self.b = a, b
        self.tried: set[_Swap] = set()
        self.found: dict[_Swap, Trial] = {}
        self._before: dict[str, Diagnosis] = {}

    def run(self, atoms: Sequence[_Atom], same: bool) -> None:
        """Each alone; and where nothing alone explains what differs, the fewest that do together."""
        tried = sorted(atoms, key=_unread)[:MAX_TRIED]
        self.tried = {atom.swap for atom in tried}
        if not tried:
            return
        self._before = {"a": explain.diagnose(self.a), "b": explain.diagnose(self.b)}
        for atom in tried:
            trial = self._alone(atom)
            if trial is not None:
                self.found[atom.swap] = trial
        groups = [[atom for atom in tried if atom.link is link] for link in Link]
        for group in groups:
            if len(group) > 1 and not any(atom.swap in self.found for atom in group):
                self._together(group)
        if not same and not any(trial.decides for trial in self.found.values()):
            self._together([atom for atom in tried if atom.swap not in self.found])

    def _alone(self, atom: _Atom) -> Trial | None:
        into_a = self._changes("a", [atom])
        if any(change.what != "check" for change in into_a):
            return Trial("a", into_a)
        into_b = self._changes("b", [atom])
        if any(change.what != "check" for change in into_b) or not into_a:
            return Trial("b", into_b) if into_b else None
        return Trial("a", into_a)

    def _together(self, atoms: list[_Atom]) -> None:
        """The fewest of these that change the answer when they are put together: one after another is left out."""
        if not self._changes("a", atoms):
            return
        needed = list(atoms)
        for atom in atoms:
            fewer = [other for other in needed if other is not atom]
            if fewer and self._changes("a", fewer):
                needed = fewer
        changes = self._changes("a", needed)
        for atom in needed:
            self.found[atom.swap] = Trial("a", changes, together=True)

    def _changes(self, into: Literal["a", "b"], atoms: Iterable[_Atom]) -> tuple[Change, ...]:
        case, donor = (self.a, self.b) if into == "a" else (self.b, self.a)
        for atom in atoms:
            case = atom.swap.put(case, donor)
        return tuple(_changed(self._before[into], explain.diagnose(case)))


def _unread(atom: _Atom) -> bool:
    """Whether it is a field of an entry of which nothing but its name in the payload is known to be read."""
    return isinstance(atom.swap, _Field) and ".".join(atom.swap.path[:2]) not in normalise.READS


def _changed(before: Diagnosis, after: Diagnosis) -> Iterator[Change]:
    """What of an answer became another, the answer itself first."""
    if before.outcome != after.outcome:
        yield Change("outcome", "outcome", before.outcome, after.outcome)
    if before.generation != after.generation:
        yield Change("generation", "generation", before.generation, after.generation)
    roots = [d.root.check if d.root is not None else None for d in (before, after)]
    if roots[0] != roots[1]:
        yield Change("root", "root", *roots)
    for one, two in zip(before.chain, after.chain, strict=True):
        if one.status is not two.status:
            yield Change("link", str(one.link), str(one.status), str(two.status))
    for mine, theirs in zip(before.findings, after.findings, strict=True):
        if mine.status is not theirs.status:
            yield Change("check", mine.check, str(mine.status), str(theirs.status))


def _retold(atom: _Atom, trials: _Trials) -> bool:
    """Whether the strongest witnesses tell the same, and what weaker ones tell otherwise changes nothing."""
    if not (isinstance(atom.swap, _Fact) and atom.swap in trials.tried and atom.swap not in trials.found):
        return False
    if atom.a is None or atom.b is None or atom.a.absent or atom.b.absent:
        return False
    return _alike(*(told.value[0] if told.several else told.value for told in (atom.a, atom.b)))


def _difference(atom: _Atom, trials: _Trials, one: Side, two: Side, first: Given, second: Given) -> Difference:
    trial = trials.found.get(atom.swap)
    matters: bool | None = trial is not None
    if atom.swap not in trials.tried or (trial is not None and _in_the_dark(atom, trial, one, two)):
        matters = None
    expected = (
        expectation(first.case.profile, one.with_photo, _asked(atom)),
        expectation(second.case.profile, two.with_photo, _asked(atom)),
    )
    return Difference(atom.field, atom.link, atom.a, atom.b, expected, matters, trial)


def _in_the_dark(atom: _Atom, trial: Trial, one: Side, two: Side) -> bool:
    """Whether a fact that one side does not tell changes nothing but what is known.

    A fault that is found is no mere lack of knowledge, unless the other side does not show its link at all.
    """
    if (atom.a is not None and atom.b is not None) or not all({c.before, c.after} & _UNSEEN for c in trial.changes):
        return False
    dark = one if atom.a is None else two
    if dark.diagnosis.generation == "not_attempted" and atom.link in _OF_THE_CALL:
        return False  # a request that ended before is known to have called nothing
    if not any({change.before, change.after} & _FAULTY for change in trial.changes):
        return True
    status = next((state.status for state in dark.diagnosis.chain if state.link is atom.link), Status.UNKNOWN)
    return status in (Status.UNKNOWN, Status.NOT_REACHED)


# --- expected and actual ----------------------------------------------------------------------------------------------


def _asked(atom: _Atom) -> str:
    """The name under which the table of expected values knows a field."""
    known = {
        "fal_request.model": "model",
        "model.model": "model",
        "fal.call.model": "model",
        "payload.model": "model",
        "mode.mode": "generation_mode",
        "image_url.url": "request.image_url",
    }
    if atom.field in known:
        return known[atom.field]
    if isinstance(atom.swap, _Field) and atom.swap.path[0] in ("fal_request", "sent"):
        return ".".join(("payload", *atom.swap.path[1:]))
    return atom.field


def expectation(profile: Profile, with_photo: bool, name: str) -> Expected | None:
    """What a profile expects of a field, for a request with the photo or without; None where it says nothing."""
    refused = not with_photo and profile.fallback == "refuse"
    if name == "generation_mode":
        wanted = IMAGE_TO_IMAGE if with_photo else TEXT_TO_IMAGE
        return Expected("absent") if refused else Expected("value", wanted)
    if name == "model":
        model = profile.image_to_image if with_photo else profile.text_to_image
        return Expected("absent") if refused else Expected("value", model)
    if name == "request.has_image_url":
        return Expected("value", with_photo)
    if name in ("request.image_url", f"payload.{profile.image_key}"):
        return Expected("present" if with_photo else "absent")
    key = name.removeprefix("payload.")
    if name.startswith("payload.") and with_photo and key in profile.payload:
        return Expected("value", profile.payload[key])
    return None


def _table(first: Given, one: Side, second: Given, two: Side) -> Iterator[Row]:
    """The fields of the seed document's table, whatever the evidence is."""
    keys: dict[str, None] = {}
    for case in (first.case, second.case):
        keys |= dict.fromkeys([case.profile.image_key, *case.profile.payload])
    names = ("generation_mode", "model", *(f"payload.{key}" for key in keys), "request.image_url")
    for name in names:
        told = [_actual(given.case, name) for given in (first, second)]
        expected = (
            expectation(first.case.profile, one.with_photo, name),
            expectation(second.case.profile, two.with_photo, name),
        )
        yield Row(name, expected, told[0], told[1])


def _actual(case: Case, name: str) -> Told | None:
    """What the strongest witness tells of a field."""
    if name == "model":
        return None if case.model is None else Told(case.model["model"], case.model.source, case.model.witness)
    if name == "generation_mode":
        if case.model is not None and case.mode is not None:
            return Told(case.mode, case.model.source, case.model.witness)
        said = next((e for e in case.of("mode") if e["mode"]), None)
        return None if said is None else Told(said["mode"], said.source, said.witness)
    if name == "request.image_url":
        return _address(case)
    sent = case.payload
    if sent is None:
        return None
    key = name.removeprefix("payload.")
    if key in sent["body"]:
        return Told(sent["body"][key], sent.source, sent.witness)
    return Told(None, sent.source, sent.witness, absent=True) if sent["complete"] else None


def _address(case: Case) -> Told | None:
    match case.product(Link.IMAGE_URL):
        case Seen(e):
            value = e["url"] or next((e["body"][key] for key in IMAGE_KEYS if e["body"] and e["body"].get(key)), None)
            return Told(value, e.source, e.witness)
        case Absent(e):
            return Told(None, e.source, e.witness, absent=True)
    return None


# --- histories --------------------------------------------------------------------------------------------------------


def histories(first: str, a: History, second: str, b: History) -> HistoryComparison:
    """Two histories side by side: how the share of each outcome, root and symptom shifted, the sharpest first.

    Whether a shift is more than chance is tested with scipy, the exact test for small numbers; without it, it is
    not told.
    """
    counted = [*_rows("outcome", a.outcomes, b.outcomes), *_rows("root", a.roots, b.roots)]
    counted += _rows("symptom", a.symptoms, b.symptoms)
    counted.append(("bad", "bad", a.bad.count, b.bad.count))
    test = _test()
    shifts = []
    for kind, name, x, y in counted:
        p = test(x, a.entries, y, b.entries) if test is not None and a.entries and b.entries else None
        beyond = None if p is None else p < ALPHA / len(counted)
        shifts.append(Shift(kind, name, Share(x, a.entries), Share(y, b.entries), p, beyond))
    shifts.sort(key=lambda shift: (not shift.beyond_chance, -abs(shift.points), shift.kind, shift.name))
    return HistoryComparison(
        _total(first, a), _total(second, b), tuple(shifts), _same_history(shifts), test is not None
    )


_Counted = tuple[Literal["bad", "outcome", "root", "symptom"], str, int, int]


def _rows(
    kind: Literal["outcome", "root", "symptom"], a: Mapping[str, Tally], b: Mapping[str, Tally]
) -> Iterator[_Counted]:
    for name in dict.fromkeys([*a, *b]):
        x, y = (tallies[name].count if name in tallies else 0 for tallies in (a, b))
        if x or y:
            yield kind, name, x, y


def _total(name: str, history: History) -> Total:
    return Total(name, history.profile, history.entries, history.bad.count, history.first, history.last, history.notes)


def _same_history(shifts: Sequence[Shift]) -> bool | None:
    if not all(shift.a.of and shift.b.of for shift in shifts):
        return None
    if all(shift.points == 0 for shift in shifts):
        return True
    if any(shift.beyond_chance is None for shift in shifts):
        return None
    return not any(shift.beyond_chance for shift in shifts)


def _test() -> Any:
    """The probability that chance makes a difference as large; None where scipy is not installed."""
    try:
        from scipy import stats  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return None

    def chance(x: int, of_x: int, y: int, of_y: int) -> float:
        if x + y in (0, of_x + of_y):
            return 1.0
        counts = [[x, of_x - x], [y, of_y - y]]
        least = min(of_x, of_y) * min(x + y, of_x + of_y - x - y) / (of_x + of_y)
        test = stats.fisher_exact(counts) if least < SURE else stats.chi2_contingency(counts)
        return float(test[1])

    return chance
