"""The words of the program: evidence, a case, findings, a diagnosis. Values only; nothing here reads or prints.

Plain records are named tuples: they are as frozen as the dataclasses, and a command that starts a hundred times a day
does not wait for their methods to be generated.

Kinds of evidence, outside in (what `Evidence.fields` holds):

    request.body       format, images [{name, carrier, fault}], params, prompt, url
    request.received   images (how many the backend says it got), names
    request.access     method, path, status                 the backend's own access line
    answer             status, pictures, urls, html, text   what the client got back
    error              text, stage, service, status         an error in words
    decode.done        name            decode.failed     text
    storage.upload     host, bucket, path, status           upload.done  url
    storage.error      status, error, message, code         upload.started  bucket, path, size
    image_url          url (None: said to be absent)
    mode               mode            model             model, by
    joined             by                                   request and log share a key or an answer
    fal.call           model, status, final, request_id     fal.error    status, type, message, loc, input
    payload            body, model, complete                fal.schema   model, schema
    source.model       role, model, name                    source.choice  test
    source.field       name                             source.parameter  name, value
    record.*           entry, fault, invalid, stale, disagrees, save_failed
    env.setting        name, file, shape, role, project, fault, digest, origin
    deployment.*       exception, bind_failed, refused
    browser.error      text, status

What a look at the living system saw, always `observed` (`diagnose.live`); a value that the call could not prove is None:

    live.storage       url, version, status, fault          whether Storage answers at SUPABASE_URL (fault None: yes)
    live.key           name, role, accepted, status, message, code      code "unsendable": no header can carry it
    live.bucket        bucket, exists, public, size_limit, mime_types, near, created
    live.upload        bucket, allowed, message, code       a signed upload's dry run: may this key upload here
    live.object        bucket, path, exists, fetchable, status, size, mime_type, message, code, own
                       own: the attempt named this place for its upload; a picture of another host has no bucket
    live.newest        bucket, path, created
    live.written       bucket, path, written, fetchable, removed, status, message, code     only with --probe-upload
    live.listener      address, pid, command, folder, started, since, family, entry, module, variables
                       family: pids that are one backend; module: the file its entry leads to; since: started, in words
    live.backend       url, status, server, version, title, routes, commit, started_at, missing, source, installed, fault,
                       given (whether somebody gave the address)
    live.last_prompt   url, status, timestamp, model, value, message
    live.source        folder, file, modified, changed, routes, starts, entry, commit, given, runs (pids started from it)
    live.fal_key       name, accepted, status
    live.fal_model     model, known
    live.silent        about, cause, reason                 a look that got no answer: proves nothing but its reason
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple


class Witness(StrEnum):
    """Rank of trust, strongest first."""

    WIRE = "wire"
    OBSERVED = "observed"
    SENT = "sent"
    LOGGED = "logged"
    FORECAST = "forecast"
    CLAIMED = "claimed"

    @property
    def rank(self) -> int:
        """0 is the strongest."""
        return _RANKS[self]


_RANKS = {witness: rank for rank, witness in enumerate(Witness)}


class Link(StrEnum):
    """A stage of the chain, in order; the last three stand beside the chain."""

    REQUEST = "request"
    DECODE = "decode"
    UPLOAD = "upload"
    IMAGE_URL = "image_url"
    SELECTION = "selection"
    PAYLOAD = "payload"
    GENERATION = "generation"
    DEPLOYMENT = "deployment"
    RECORD = "record"
    ENVIRONMENT = "environment"


CHAIN = tuple(Link)[:7]


class Status(StrEnum):
    """What a check, or a link, came to."""

    PASS = "pass"  # noqa: S105 - a status, not a password
    FAIL = "fail"
    WARN = "warn"
    NOTE = "note"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"
    CRASH = "crash"
    NOT_REACHED = "not_reached"


FAULTS = (Status.FAIL, Status.WARN)


_FIELD_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(
        [
            "model",
            "mode",
            "url",
            "text",
            "stage",
            "service",
            "host",
            "bucket",
            "path",
            "method",
            "error",
            "message",
            "code",
            "type",
            "role",
            "project",
            "shape",
            "fault",
            "file",
            "name",
            "format",
            "prompt",
            "by",
            "setting",
            "request_id",
            "with_image",
            "without_image",
            "test",
            "timestamp",
            "pointer",
            "kind",
            "origin",
            "carrier",
            "about",
            "cause",
            "reason",
            "near",
            "version",
            "command",
            "folder",
            "address",
            "server",
            "title",
            "mime_type",
            "commit",
            "since",
            "changed",
            "module",
            "started_at",
            "installed",
            "digest",
        ],
        str,
    ),
    **dict.fromkeys(("accepted", "allowed", "exists", "public", "fetchable", "written", "removed", "starts"), bool),
    **dict.fromkeys(("started", "modified"), (int, float)),
    **dict.fromkeys(("routes", "family", "mime_types", "variables", "missing", "runs"), (list, tuple)),
    "pid": int,
    **dict.fromkeys(("body", "params", "schema"), Mapping),
    **dict.fromkeys(("names", "urls", "loc", "kinds"), (list, tuple)),
    "status": int,
    "pictures": int,
    "images": (list, tuple, int),
}
"""Evidence can come from a file that somebody edited: a field of another type counts as not there."""

_ESSENTIAL: dict[str, tuple[str, ...]] = {
    "error": ("text",),
    "browser.error": ("text",),
    "env.setting": ("name",),
    "fal.schema": ("model", "schema"),
    "model": ("model",),
    "source.model": ("model",),
    "source.choice": ("with_image", "without_image"),
    "source.field": ("name",),
    "payload": ("body",),
    "live.silent": ("about", "reason"),
}
"""Fields without which evidence of a kind says nothing."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was seen."""

    kind: str
    source: str
    """Where a reader finds it again: `backend.log:214`, `prompt_log.json#/3/request/image_url`."""
    witness: Witness
    fields: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        """A field's value; None where it is missing, or of a type that this field cannot have."""
        value = self.fields.get(name)
        return value if value is None or isinstance(value, _FIELD_TYPES.get(name, object)) else None


class Message(NamedTuple):
    """An English template and its values, so that it can be said in another language."""

    template: str
    values: Mapping[str, object] = MappingProxyType({})

    def __str__(self) -> str:
        return self.template.format_map(self.values) if self.values else self.template


class Phrase(str):
    """A text with the template and the values it was made of: English wherever a text is wanted, and still translatable."""

    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, **values: object) -> Phrase:
        """The text; a value can be a phrase itself."""
        return cls.known(template.format_map(values) if values else template, template, values)

    @classmethod
    def known(cls, text: str, template: str, values: Mapping[str, object]) -> Phrase:
        """A phrase whose text is at hand already."""
        made = super().__new__(cls, text)
        made.template, made.values = template, values
        return made

    @classmethod
    def joined(cls, separator: str, parts: Iterable[str]) -> Phrase:
        """Several texts as one."""
        values = {f"part{number}": part for number, part in enumerate(parts)}
        return cls(separator.join(f"{{{name}}}" for name in values), **values)


class Remedy(NamedTuple):
    """What to do about a fault. Title and steps are English templates of `values`, so that they can be translated."""

    title: str
    steps: tuple[str, ...] = ()
    command: str | None = None
    """To copy as it is; no template."""
    safe: bool = True
    """Loses nothing and can be undone."""
    values: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to. A fault cannot be built without evidence and a remedy."""

    status: Status
    message: Message
    evidence: tuple[Evidence, ...] = ()
    remedy: Remedy | None = None
    symptom: bool = False
    """Says only that what a later link needed was absent."""
    check: str = ""
    link: Link = Link.REQUEST

    def __post_init__(self) -> None:
        if self.status in FAULTS and not (self.evidence and self.remedy):
            raise ValueError(f"a {self.status} needs evidence and a remedy: {self.message}")


def unknown(message: str, **values: object) -> Finding:
    """Nothing was seen that decides it; the message says what is missing."""
    return Finding(Status.UNKNOWN, Message(message, values))


def passed(message: str, *evidence: Evidence, **values: object) -> Finding:
    """The system was seen not to be in this state."""
    return Finding(Status.PASS, Message(message, values), evidence)


def not_applicable(message: str, *evidence: Evidence, **values: object) -> Finding:
    """The question does not arise in this case."""
    return Finding(Status.NOT_APPLICABLE, Message(message, values), evidence)


def noted(message: str, *evidence: Evidence, remedy: Remedy | None = None, **values: object) -> Finding:
    """Explains an outcome that is by design."""
    return Finding(Status.NOTE, Message(message, values), evidence, remedy)


def failed(message: str, *evidence: Evidence, remedy: Remedy, **values: object) -> Finding:
    """The fault was seen."""
    return Finding(Status.FAIL, Message(message, values), evidence, remedy)


def symptom(message: str, *evidence: Evidence, remedy: Remedy, **values: object) -> Finding:
    """The fault was seen, and says only that what a later link needed was absent."""
    return Finding(Status.FAIL, Message(message, values), evidence, remedy, symptom=True)


def warned(message: str, *evidence: Evidence, remedy: Remedy, **values: object) -> Finding:
    """A fault beside the chain, or one that does not change which model is chosen."""
    return Finding(Status.WARN, Message(message, values), evidence, remedy)


def live_fault(case: Case, link: Link, message: str, *evidence: Evidence, remedy: Remedy, **values: object) -> Finding:
    """A fault of the system as it stands now.

    It fails its link, unless an attempt was given that this link did not fail, or that had no use for it: then it waits
    for the next photo, and is a warning.
    """
    report = failed if case.could_fail_now(link) else warned
    return report(message, *evidence, remedy=remedy, **values)


def healed(finding: Finding, now: Evidence | None, said: str) -> Finding:
    """A fault that the attempt met, and that is gone now: `said` tells what was seen instead."""
    if now is None:
        return finding
    told = Message("{then} (then); looked at from here, {now} now", {"then": finding.message, "now": Message(said)})
    return replace(finding, message=told, evidence=(*finding.evidence, now))


def unseen(case: Case, kind: str, message: str, **values: object) -> Finding:
    """Nothing was seen that decides it; where it was looked for and nobody answered, the reason stands beside it."""
    silent = case.silence(kind)
    said = Message(message, values)
    if silent is None:
        return Finding(Status.UNKNOWN, said)
    told = Message("{said}; looked now: {reason}", {"said": said, "reason": silent["reason"]})
    return Finding(Status.UNKNOWN, told, (silent,))


def seen_now(finding: Finding) -> bool:
    """Whether a finding rests on the living system and its settings alone, and on nothing that the attempt left."""
    living = [e.kind.startswith("live.") for e in finding.evidence]
    return any(living) and all(
        is_live or e.kind == "env.setting" for is_live, e in zip(living, finding.evidence, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Profile:
    """What is meant to happen. Source: the design's section 5; loaded by `diagnose.profile`."""

    name: str
    image_to_image: str
    text_to_image: str
    fallback: str = "text-to-image"
    image_key: str = "image_url"
    payload: Mapping[str, Any] = field(default_factory=dict)
    """Literal keys of the image-to-image body and the values they must have."""
    bucket: str = "public"
    image_fields: tuple[str, ...] = ("face_image", "product_images", "background_image", "reference_image")
    multipart_field: str = "image"
    backend_url: str = "http://127.0.0.1:8000"
    prompt_log: str = "backend/prompt_log.json"
    keep: int = 10
    declared: frozenset[str] = frozenset()
    """The keys that were written in the profile, dotted; what is not here is a default."""


class Subject(NamedTuple):
    """Which attempt the case is about."""

    entry: int | None = None
    timestamp: str | None = None
    source: str | None = None


NO_SUBJECT = Subject()


@dataclass(frozen=True)
class Seen:
    """The product of a link was seen."""

    evidence: Evidence


@dataclass(frozen=True)
class Absent:
    """The product of a link was seen to be missing."""

    evidence: Evidence


@dataclass(frozen=True)
class NotSeen:
    """Nothing tells whether the product was there."""


Product = Seen | Absent | NotSeen
NOT_SEEN = NotSeen()

IMAGE_KEYS = ("image_url", "image_urls", "image")
"""Keys under which any era of payload carries the reference picture (pipeline facts, section 3)."""

_OF_FETCH = {"file_download_error", "image_load_error"}
"""What fal calls a picture that it could not fetch or read."""
_HOSTED = re.compile(r"(?:^|//)([a-z0-9]{20})\.(?:storage\.)?supabase\.(?:co|in)\b", re.I)

IMAGE_TO_IMAGE = "image-to-image"
TEXT_TO_IMAGE = "text-to-image"


@dataclass(frozen=True)
class Case:
    """All evidence about one generation, with the profile it is judged by."""

    profile: Profile
    evidence: tuple[Evidence, ...]
    subject: Subject = NO_SUBJECT

    def of(self, *kinds: str) -> tuple[Evidence, ...]:
        """Evidence of these kinds, strongest witness first, in the order it was seen; claims are left out."""
        found = [e for kind in kinds for e in self._by_kind.get(kind, ())]
        return tuple(sorted(found, key=lambda e: e.witness.rank))

    def best(self, *kinds: str) -> Evidence | None:
        """The strongest evidence of these kinds."""
        found = self.of(*kinds)
        return found[0] if found else None

    @cached_property
    def _by_kind(self) -> dict[str, list[Evidence]]:
        kinds: dict[str, list[Evidence]] = {}
        for e in self.evidence:
            told = all(e[name] is not None for name in _ESSENTIAL.get(e.kind, ()))
            spoilt = e.kind == "image_url" and e["url"] is None and e.fields.get("url") is not None
            if e.witness is not Witness.CLAIMED and told and not spoilt:
                kinds.setdefault(e.kind, []).append(e)
        return kinds

    def was_given(self, kind: str) -> bool:
        """Whether evidence of this kind (a file of it) was given at all."""
        return any(e.kind == "given" and kind in (e["kinds"] or ()) for e in self.evidence)

    # What a look at the living system adds.

    def silence(self, kind: str) -> Evidence | None:
        """The look at this kind of thing that got no answer."""
        return next((e for e in self.of("live.silent") if e["about"] == kind), None)

    @property
    def attempted(self) -> bool:
        """Whether the case is about an attempt, and not about the living system alone."""
        return self.subject.source is not None

    def could_fail_now(self, link: Link) -> bool:
        """Whether a fault that is seen now at this link can be why the attempt failed; without an attempt, any can."""
        if not self.attempted:
            return True
        if link is Link.IMAGE_URL:
            return self.image_expected and not self.looked_elsewhere and self._could_go_unfetched
        if isinstance(self.product(link), Seen):
            return False
        return link is not Link.UPLOAD or (self.image_expected and not self.looked_elsewhere)

    @property
    def _could_go_unfetched(self) -> bool:
        """Whether fal can have failed to fetch the picture: it was given an address, and tells of no other reason."""
        if isinstance(self.product(Link.IMAGE_URL), Absent):
            return False
        if isinstance(self.product(Link.GENERATION), Seen) and not self.fal_refusals:
            return False
        types = {r["type"] for r in self.fal_refusals if r["type"]}
        statuses = {r["status"] for r in self.fal_refusals if r["status"]}
        return bool(types & _OF_FETCH) if types else 422 in statuses or not statuses

    @cached_property
    def looked_elsewhere(self) -> bool:
        """Whether the Storage that is looked at now is another than the attempt's, as far as both name a project."""
        looked = {_project(e["url"]) for e in self.of("live.storage") if e["url"]}
        named = (e["host"] or e["url"] for e in self.of("storage.upload", "image_url"))
        used = {_project(address) for address in named if address} - {None}
        return bool(used) and None not in looked and bool(looked) and not looked & used

    # What every check asks of a case. Each is answered from the strongest witness.

    @cached_property
    def sent_images(self) -> tuple[Mapping[str, Any], ...] | None:
        """The image fields of the request; None when the request was not seen."""
        request = self.best("request.body")
        if request is None:
            return None
        images = request["images"]
        if not isinstance(images, (list, tuple)):
            return None
        named = tuple(i for i in images if isinstance(i, Mapping) and isinstance(i.get("name"), str))
        return named if len(named) == len(images) else None

    @cached_property
    def call(self) -> Evidence | None:
        """The call to fal that decided the picture: the last that succeeded, else the last."""
        calls = self.of("fal.call")
        calls = tuple(c for c in calls if c.witness is calls[0].witness)
        if not calls:
            return None
        good = [c for c in calls if succeeded(c)]
        return (good or calls)[-1]

    @cached_property
    def model(self) -> Evidence | None:
        """The strongest witness of the model; None when none names it or forecasts contradict each other."""
        if self.call is not None and self.call["model"]:
            # a picture after nothing but refusals was made by a call that was not seen
            unseen = refused(self.call) and any(a["pictures"] for a in self.of("answer", "fal.result"))
            return None if unseen else self.call
        named = [e for e in self.of("fal.call", "model") if e["model"]]
        if not named:
            return None
        rank = named[0].witness.rank
        peers = [e for e in named if e.witness.rank == rank]
        if len({e["model"] for e in peers}) > 1 or self._mode_contradicts(peers[-1]):
            return None
        return peers[-1]

    def _mode_contradicts(self, model: Evidence) -> bool:
        """A forecast of a text-to-image model beside a statement that the picture was used, or the reverse."""
        if model.witness.rank < Witness.FORECAST.rank:
            return False
        meant = self.mode_of(model["model"])
        stronger = [e for e in self.of("mode", "request.used") if e.witness.rank <= model.witness.rank]
        return any(meant and e["mode"] and e["mode"] != meant for e in stronger if not e["derived"])

    def mode_of(self, model: str) -> str | None:
        """Which mode a model works in: by the profile, by its schema, by its name; None when none tells."""
        if model == self.profile.image_to_image:
            return IMAGE_TO_IMAGE
        if model == self.profile.text_to_image:
            return TEXT_TO_IMAGE
        for e in self.of("fal.schema"):
            if e["model"] == model:
                return str(e["schema"].get("x-mode")) or None
        return mode_by_name(model)

    @cached_property
    def mode(self) -> str | None:
        """The mode that was really used, or None."""
        if self.model is None:
            return None
        return self.mode_of(self.model["model"])

    @cached_property
    def payload(self) -> Evidence | None:
        """The strongest record of the body that was posted for the model that was used."""
        records = [p for p in self.of("payload") if p["body"]]
        if self.model is not None:
            records = [p for p in records if not p["model"] or p["model"] == self.model["model"]] or records
        return records[0] if records else None

    @cached_property
    def fal_refusals(self) -> tuple[Evidence, ...]:
        """fal's refusals that cost the user the picture; none when a picture of the wanted kind was made."""
        refusals = tuple(c for c in self.of("fal.call") if refused(c)) + self.of("fal.error")
        if not isinstance(self.product(Link.GENERATION), Seen):
            return refusals
        if self.mode == TEXT_TO_IMAGE:  # an image-to-image call failed and a text-to-image call took its place
            meant = [r for r in refusals if r["model"] and self.mode_of(r["model"]) == IMAGE_TO_IMAGE]
            return (*meant, *self.of("fal.error")) if meant else ()
        return ()

    def fal_status(self, *codes: int) -> tuple[Evidence, ...]:
        """fal's refusals with one of these statuses."""
        return tuple(r for r in self.fal_refusals if r["status"] in codes)

    def fal_type(self, *kinds: str) -> tuple[Evidence, ...]:
        """fal's refusals whose body gives one of these error types."""
        return tuple(r for r in self.fal_refusals if r["type"] in kinds)

    @cached_property
    def storage_refusals(self) -> tuple[Evidence, ...]:
        """What Storage said when it did not take the picture; none when an upload succeeded."""
        if isinstance(self.product(Link.UPLOAD), Seen):
            return ()
        return self.of("storage.error", "supabase.error")

    def errors(self, stage: str | None) -> tuple[Evidence, ...]:
        """Errors in words that speak of this stage."""
        return tuple(e for e in self.of("error") if e["stage"] == stage)

    @cached_property
    def end_status(self) -> Evidence | None:
        """The HTTP status with which the backend ended the request."""
        return next((e for e in self.of("answer", "request.access") if e["status"]), None)

    def product(self, link: Link) -> Product:
        """Whether what this link makes was seen."""
        return self._products[link]

    @cached_property
    def _products(self) -> dict[Link, Product]:
        return {
            Link.REQUEST: self._image_received(),
            Link.DECODE: self._image_decoded(),
            Link.UPLOAD: self._image_uploaded(),
            Link.IMAGE_URL: self._image_addressed(),
            Link.SELECTION: self._model_called(),
            Link.PAYLOAD: self._image_in_payload(),
            Link.GENERATION: self._picture_made(),
        }

    def _image_received(self) -> Product:
        received = [e for e in self.of("request.received") if not e["weak"]]
        for e in received:
            if e["images"]:
                return Seen(e)
        handled = self.best("decode.done", "decode.failed", "upload.started", "storage.upload", "upload.done")
        if handled is not None:
            return Seen(handled)
        addressed = next((e for e in self.of("image_url") if e["url"]), None)
        if addressed is not None:
            return Seen(addressed)
        if self.call is not None and self.mode == IMAGE_TO_IMAGE:
            return Seen(self.call)
        if self.sent_images == ():
            return Absent(self.of("request.body")[0])
        return Absent(received[0]) if received else NOT_SEEN

    @cached_property
    def joined(self) -> bool:
        """Whether the request is known to be the one the log and the entry tell of, and not merely the newest of both."""
        return self.sent_images is None or self.best("joined") is not None

    @cached_property
    def image_expected(self) -> bool:
        """Whether a picture was sent, or reached the backend."""
        return bool(self.sent_images) or isinstance(self.product(Link.REQUEST), Seen)

    def _image_decoded(self) -> Product:
        done = self.best("decode.done", "upload.started", "storage.upload", "upload.done", "storage.error")
        if done is not None:
            return Seen(done)
        failure = self.best("decode.failed")
        return Absent(failure) if failure is not None else NOT_SEEN

    def _image_uploaded(self) -> Product:
        uploads = self.of("storage.upload")
        stored = next((e for e in uploads if succeeded(e)), None) or self.best("upload.done")
        if stored is not None:
            return Seen(stored)
        failure = self.best("storage.error")
        if self._left_behind is not None and failure is None and not any(refused(e) for e in uploads):
            return Seen(self._left_behind)
        if uploads:
            return Absent(uploads[0])
        return Absent(failure) if failure is not None else NOT_SEEN

    @property
    def _left_behind(self) -> Evidence | None:
        """The attempt's object as it stands in Storage now; a name that is used again and again can be another's."""
        tried = {e["path"] for e in self.of("storage.upload", "upload.started") if e["path"]}
        unique = {path for path in tried if re.search(r"[0-9a-f]{8}|\d{8}", path, re.I)}
        found = (e for e in self.of("live.object") if e["own"] is True and e["exists"] and e["path"] in unique)
        return next(found, None)

    def _image_addressed(self) -> Product:
        records = self.of("image_url")
        found = next((e for e in records if e["url"]), None)
        if found is not None:
            return Seen(found)
        sent = self.payload
        if sent is not None and any(sent["body"].get(key) for key in IMAGE_KEYS):
            return Seen(sent)
        return Absent(records[0]) if records else NOT_SEEN

    def _model_called(self) -> Product:
        if self.model is None or self.model.witness.rank >= Witness.FORECAST.rank:
            return NOT_SEEN
        return Seen(self.model)

    def _image_in_payload(self) -> Product:
        sent = self.payload
        if sent is None:
            return NOT_SEEN
        present = bool(sent["body"].get(self.profile.image_key))
        if not present:
            return Absent(sent) if sent["complete"] else NOT_SEEN
        return Seen(sent) if sent.witness.rank < Witness.FORECAST.rank else NOT_SEEN

    def _picture_made(self) -> Product:
        good = [c for c in self.of("fal.call") if succeeded(c) and c["final"]]
        answers = self.of("answer", "fal.result")
        shown = next((a for a in answers if a["pictures"]), None)
        empty = self.best("fal.empty")
        if shown is not None:
            return Seen(shown)
        if good and empty is None:
            return Seen(good[-1])
        failure = self.best("fal.error") or next((c for c in self.of("fal.call") if refused(c)), None)
        if failure is None:
            failure = empty or next((e for e in self.of("error") if e["stage"] == "generation"), None)
        return Absent(failure) if failure is not None else NOT_SEEN


def same_number(one: Any, two: Any) -> bool:
    """Whether two values are the same, numbers within rounding."""
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (one, two))
    try:
        return abs(one - two) < 1e-6 if numbers else bool(one == two)
    except OverflowError:
        return False


def succeeded(exchange: Evidence) -> bool:
    """An HTTP exchange that ended with 2xx; a queue's submit proves nothing and is not `final`."""
    status = exchange["status"]
    return isinstance(status, int) and 200 <= status < 300


def refused(exchange: Evidence) -> bool:
    """An HTTP exchange that ended with 4xx or 5xx."""
    status = exchange["status"]
    return isinstance(status, int) and status >= 400


def _project(address: str) -> str | None:
    """The hosted project that an address names, or this machine, or fal; None for names that say nothing of it."""
    hosted = _HOSTED.search(address)
    if hosted:
        return hosted[1].lower()
    if re.match(r"(?:https?://)?(?:localhost|127\.|\[::1\])", address, re.I):
        return "this machine"
    return address if address == "fal" else None


_IMAGE_MODEL_WORDS = ("image-to-image", "img2img", "/edit", "image-edit", "inpaint", "redux", "ip-adapter", "reference")
_TEXT_MODEL_WORDS = ("text-to-image", "txt2img", "schnell")


def mode_by_name(model: str) -> str | None:
    """The mode a model's id states in words; None when it states none."""
    name = model.lower()
    if any(word in name for word in _TEXT_MODEL_WORDS):
        return TEXT_TO_IMAGE
    if any(word in name for word in _IMAGE_MODEL_WORDS):
        return IMAGE_TO_IMAGE
    return None


class LinkState(NamedTuple):
    """One link of the chain in the answer."""

    link: Link
    status: Status
    findings: tuple[str, ...]
    proof: Evidence | None = None
    """Where its product was seen."""


class Decision(NamedTuple):
    """What was chosen, and why."""

    mode: str | None
    model: str | None
    expected_model: str | None
    reason: str
    prerequisite: str | None


class Counterfactual(NamedTuple):
    """What would have been chosen had the root not been there, replayed with the decision itself."""

    changes: tuple[str, ...]
    mode: str
    model: str
    verified_by: str
    next_blockers: tuple[str, ...]


class Conflict(NamedTuple):
    """One fact that witnesses tell differently."""

    fact: str
    witnesses: tuple[tuple[Any, Evidence], ...]


class Missing(NamedTuple):
    """A piece of evidence that would decide a link, and how to get it."""

    link: Link
    evidence: str
    how: str


class Question(NamedTuple):
    """One of the seed document's seven questions, answered."""

    id: str
    status: Status
    checks: tuple[str, ...]
    evidence: tuple[Evidence, ...]


class Diagnosis(NamedTuple):
    """The answer to one case."""

    profile: str
    subject: Subject
    outcome: str
    generation: str
    intended: bool | None
    decision: Decision
    root: Finding | None
    suspects: tuple[str, ...]
    deeper: tuple[str, ...]
    interval: tuple[Link, Link] | None
    chain: tuple[LinkState, ...]
    because: tuple[str, ...]
    counterfactual: Counterfactual | None
    conflicts: tuple[Conflict, ...]
    missing: tuple[Missing, ...]
    checklist: tuple[Question, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    def finding(self, check: str) -> Finding | None:
        """The finding of one check."""
        return next((f for f in self.findings if f.check == check), None)


def flatten(value: object, key: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """Every (key, scalar) below a JSON value, to a bounded depth; what stands in a list has the list's key."""
    if depth > 12:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from flatten(inner, str(name), depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for inner in value:
            yield from flatten(inner, key, depth + 1)
    else:
        yield key, value
