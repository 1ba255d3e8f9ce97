"""The faults that the demo can break, each as a change to a world in which everything is sound.

Nothing here writes evidence: a change says how things stand, and the pipeline leaves what it leaves.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from diagnose import profile as profiles
from diagnose.generator.hands import Settings
from diagnose.generator.pipeline import Code, Storage, Wish, build
from diagnose.generator.standins import keys
from diagnose.generator.standins.fal import FalAccount
from diagnose.generator.standins.storage import Bucket, Outage, Project
from diagnose.model import Profile
from diagnose.selection import Prerequisites, Refused, Rule, Selected, select

PROMPT = (
    "A Woman model, for Fashion, in Mirror selfie using iPhone pose, in Studio Clean style,"
    " with Natural Daylight lighting, shot from Eye-Level angle, in 9:16 aspect ratio,"
    " photorealistic resolusi HD"
)
FILES = frozenset({"backend.log", "prompt_log.json", "request.json", "response.json", "source"})
"""What an ordinary case leaves; `.env` is added where it matters."""

_OTHER_MODEL = "fal-ai/flux-lora/image-to-image"


# A world.


@dataclass(frozen=True, slots=True)
class Source:
    """What the files on disk say, which need not be what runs."""

    profile: Profile
    announced: str
    """The model that main.py names, where fal_service.py has a constant of its own."""
    inverted: bool = False
    sends_strength: bool = True


@dataclass(frozen=True, slots=True)
class Blocked:
    """An answer that something between browser and backend gave instead."""

    status: int
    headers: Mapping[str, str]
    body: str


Body = Mapping[str, Any]


def _sees_everything(storage: Storage) -> Storage:
    return storage


@dataclass(frozen=True, slots=True)
class World:
    """Everything around one generation."""

    body: Body
    """What the browser sends."""
    code: Code
    """What runs."""
    source: Source
    settings: Settings
    """What the backend was given."""
    project: Project
    """How Supabase stands."""
    fal: FalAccount = field(default_factory=FalAccount)
    """How fal stands."""
    token: str = field(default_factory=lambda: keys.user_token(datetime(2035, 1, 1)), repr=False)
    cut: bool = False
    """Whether nothing listens at Storage's address."""
    patience: float = 30.0
    """Seconds that the backend waits for fal."""
    storage: Callable[[Storage], Storage] = field(default=_sees_everything)
    """What the backend's own code does to its client of Storage."""
    announces: str | None = None
    """The model that main.py prints, where its own literal differs from what is posted."""
    between: Callable[[Body], Body | Blocked] = field(default=lambda body: body)
    """What stands between browser and backend, and does to a body."""
    saves: bool = True
    """False where the generation cannot be written to the prompt log."""
    spoil: Callable[[str], str] = field(default=lambda text: text)
    """What happens to the prompt log afterwards."""
    files: frozenset[str] = FILES


def sound(meant: Profile | str = "seed") -> World:
    """A world in which a photo makes a picture, by a profile or a built-in one's name."""
    if isinstance(meant, str):
        meant = profiles.build(profiles.BUILT_IN[meant], meant)
    return World(
        body={"prompt": PROMPT, "aspect_ratio": "9:16", "num_images": 2, "face_image": photo(900, 1200)},
        code=Code(meant),
        source=Source(meant, meant.image_to_image),
        settings=Settings(f"https://{keys.REF}.supabase.co", keys.supabase_key("service_role"), keys.fal_key()),
        project=Project({meant.bucket: Bucket()}),
    )


@cache
def photo(width: int, height: int) -> str:
    """A picture of nobody, as browsers send it."""
    from PIL import Image

    encoded = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(encoded, "JPEG")
    return data_url(encoded.getvalue())


def data_url(data: bytes, kind: str = "image/jpeg") -> str:
    """A file as browsers send it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


# Changes.

Change = Callable[[World], World]


def _world(**changes: Any) -> Change:
    return lambda world: replace(world, **changes)


def _sends(**fields: Any) -> Change:
    """Fields of the request that differ; None leaves one out."""

    def change(world: World) -> World:
        body = {**world.body, **fields}
        return replace(world, body={key: value for key, value in body.items() if value is not None})

    return change


def _project(**changes: Any) -> Change:
    return lambda world: replace(world, project=replace(world.project, **changes))


def _settings(**changes: Any) -> Change:
    return lambda world: replace(world, settings=replace(world.settings, **changes))


def _bucket(bucket: Bucket | None) -> Change:
    """The bucket's settings; None for a project that has another bucket only."""

    def change(world: World) -> World:
        name = world.code.profile.bucket
        return _project(buckets={f"{name.swapcase()}": Bucket()} if bucket is None else {name: bucket})(world)

    return change


def _fal(**changes: Any) -> Change:
    return lambda world: replace(world, fal=replace(world.fal, **changes))


def _runs(**changes: Any) -> Change:
    """Another profile in the code that runs, and in its source."""

    def change(world: World) -> World:
        other = replace(world.code.profile, **changes)
        source = replace(world.source, profile=other, announced=other.image_to_image)
        return replace(world, code=replace(world.code, profile=other), source=source)

    return change


def _payload(**values: Any) -> Change:
    """Other values in the payload that the code builds."""
    return lambda world: _runs(payload={**world.code.profile.payload, **values})(world)


def _shows_env(*changes: Change) -> Change:
    """These changes, with the environment file among the evidence."""
    return _all(*changes, lambda world: replace(world, files=world.files | {".env"}))


def _all(*changes: Change) -> Change:
    def change(world: World) -> World:
        for one in changes:
            world = one(world)
        return world

    return change


# Bugs and accidents.


def _inverted(rule: Rule, given: Prerequisites) -> Selected | Refused:
    """The two models the wrong way round."""
    return select(rule, replace(given, init_image_url=None if given.init_image_url else "-"))


@dataclass(frozen=True, slots=True)
class _HandsOver:
    """A backend that wraps the picture before it hands it to the client, or forgets what the client told."""

    inner: Storage
    wraps: Callable[[bytes], Any] = bytes
    tells: bool = True

    def ready(self) -> None:
        self.inner.ready()

    def upload(self, bucket: str, path: str, data: bytes, content_type: str) -> None:
        self.inner.upload(bucket, path, self.wraps(data), content_type)

    def public_url(self, bucket: str, path: str) -> str | None:
        return self.inner.public_url(bucket, path) if self.tells else None

    def probe(self, url: str) -> tuple[int, str | None]:
        return self.inner.probe(url)


def _in_bytes_io(storage: Storage) -> Storage:
    return _HandsOver(storage, wraps=io.BytesIO)


def _forgetful(storage: Storage) -> Storage:
    """The client's answer is read under a name that it does not have, so that the address is lost."""
    return _HandsOver(storage, tells=False)


def _without_strength(profile: Profile, wish: Wish, chosen: Selected, urls: Sequence[str]) -> dict[str, Any]:
    """The payload under the name of the profile alone, which the model does not read."""
    body = build(profile, wish, chosen, urls)
    return {key: value for key, value in body.items() if key != "strength"}


def _inversion(world: World) -> World:
    code = replace(world.code, choose=_inverted)
    return replace(world, code=code, source=replace(world.source, inverted=True))


def _omission(world: World) -> World:
    code = replace(world.code, build=_without_strength)
    return replace(world, code=code, source=replace(world.source, sends_strength=False))


def _staleness(world: World) -> World:
    """The constant was edited on disk, and the process that runs has the old one."""
    return replace(_runs(image_to_image=_OTHER_MODEL)(world), source=world.source)


def _conflict(world: World) -> World:
    """Only one of two constants was changed."""
    meant = world.code.profile.image_to_image
    changed = _runs(image_to_image=_OTHER_MODEL)(world)
    return replace(changed, announces=meant, source=replace(changed.source, announced=meant))


def _image_dropped(body: Body) -> Body:
    return {key: value for key, value in body.items() if not key.endswith(("_image", "_images"))}


def _too_large(_: Body) -> Blocked:
    page = (
        "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n"
        "<center><h1>413 Request Entity Too Large</h1></center>\r\n"
        "<hr><center>nginx/1.24.0</center>\r\n</body>\r\n</html>\r\n"
    )
    return Blocked(413, {"server": "nginx/1.24.0", "content-type": "text/html", "connection": "close"}, page)


def _cut(text: str) -> str:
    """A write that ended in the middle of the newest entry."""
    return text[: text.rindex('"enhanced_prompt"') + 60]


def _newest(**values: Any) -> Callable[[str], str]:
    """The newest entry with other values, as another logger wrote it."""

    def spoil(text: str) -> str:
        entries = json.loads(text)
        entries[-1].update(values)
        return json.dumps(entries, indent=2, ensure_ascii=False)

    return spoil


# The table.


@dataclass(frozen=True, slots=True)
class Expected:
    """What a right diagnosis says first."""

    outcome: str
    generation: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a generation goes wrong."""

    check: str
    title: str
    profile: str
    expected: Expected
    arrange: Change
    variant: str = ""
    """Tells faults of one check apart; the first of a check has none."""

    @property
    def name(self) -> str:
        """`check` or `check:variant`, each once."""
        return f"{self.check}:{self.variant}" if self.variant else self.check


_FELL_BACK = Expected("not_switched", "succeeded")
_SWITCHED = Expected("switched", "succeeded")
_FAILED = Expected("switched", "failed")
_WRONG = Expected("wrong_model", "succeeded")
_REFUSED = Expected("refused", "not_attempted")

_STRANGER = "ztkvmyrqhdnwbcxoeplu"
_STRANGERS_KEY = keys.supabase_key("service_role", ref=_STRANGER, secret=f"what {_STRANGER} signs with")
_HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(400)


def _seed(check: str, title: str, expected: Expected, arrange: Change, variant: str = "") -> Fault:
    return Fault(check, title, "seed", expected, arrange, variant)


FAULTS: tuple[Fault, ...] = (
    # request
    _seed("no_image_sent", "the request carries no image", _FELL_BACK, _sends(face_image=None)),
    Fault(
        "no_image_sent",
        "the request carries no image, and the backend insists on one",
        "flux-2-edit",
        _REFUSED,
        _sends(face_image=None),
        "insisting",
    ),
    _seed(
        "image_field_unknown",
        "the photo comes in a field 'photo' that nobody reads",
        _FELL_BACK,
        _sends(face_image=None, photo=photo(900, 1200)),
    ),
    _seed(
        "image_not_received",
        "the browser sends the photo, and it is gone when the request arrives",
        _FELL_BACK,
        _world(between=_image_dropped),
    ),
    _seed(
        "proxy_rejected",
        "nginx refuses the body before the backend sees it",
        _REFUSED,
        _world(between=_too_large),
    ),
    _seed(
        "request_rejected",
        "the caller's token has expired",
        _REFUSED,
        _world(token=keys.user_token(datetime(2026, 1, 10))),
    ),
    _seed(
        "request_rejected",
        "the caller has too few coins",
        _REFUSED,
        _project(coins=20),
        "coins",
    ),
    # decode
    _seed(
        "image_unusable",
        "the photo is not base64",
        _FELL_BACK,
        _sends(face_image="data:image/jpeg;base64,!!!not_valid_base64!!!"),
    ),
    _seed(
        "image_unusable",
        "the photo is HEIC, as iPhones take it",
        _FELL_BACK,
        _sends(face_image=data_url(_HEIC, "image/heic")),
        "heic",
    ),
    _seed(
        "image_unusable",
        "the photo is too small",
        _FELL_BACK,
        _sends(face_image=photo(100, 100)),
        "small",
    ),
    # upload
    _seed("bucket_missing", "the bucket exists under another spelling only", _FELL_BACK, _bucket(None)),
    Fault(
        "bucket_missing",
        "the bucket does not exist, and the backend insists on an image",
        "flux-2-edit",
        _REFUSED,
        _bucket(None),
        "insisting",
    ),
    _seed(
        "storage_key_rejected",
        "the service key has expired",
        _FELL_BACK,
        _settings(supabase_key=keys.supabase_key("service_role", expires=datetime(2025, 12, 31))),
    ),
    _seed(
        "storage_key_role",
        "the anon key stands where the service key belongs",
        _FELL_BACK,
        _shows_env(_settings(supabase_key=keys.supabase_key("anon"))),
    ),
    _seed(
        "storage_project_mismatch",
        "the key belongs to another project than the address",
        _FELL_BACK,
        _shows_env(_settings(supabase_key=_STRANGERS_KEY)),
    ),
    _seed(
        "storage_policy_denied",
        "row-level security refuses the upload",
        _FELL_BACK,
        _settings(supabase_key=keys.supabase_key("authenticated")),
    ),
    _seed(
        "object_refused",
        "the bucket takes PNG only",
        _FELL_BACK,
        _bucket(Bucket(mime_types=("image/png",))),
    ),
    _seed(
        "object_refused",
        "the photo is over the bucket's limit",
        _FELL_BACK,
        _bucket(Bucket(size_limit=1024)),
        "size",
    ),
    _seed(
        "storage_unavailable",
        "Storage answers with a server error",
        _FELL_BACK,
        _project(outage=Outage(500, "InternalError", "Internal", "Internal Server Error")),
    ),
    _seed(
        "storage_unavailable",
        "nothing listens at Storage's address",
        _FELL_BACK,
        _world(cut=True),
        "down",
    ),
    _seed(
        "upload_error",
        "the client library is handed a BytesIO",
        _FELL_BACK,
        _world(storage=_in_bytes_io),
    ),
    # image_url
    _seed(
        "upload_result_lost",
        "the upload works and its address is dropped",
        _FELL_BACK,
        _world(storage=_forgetful),
    ),
    _seed("bucket_private", "the bucket is private", _FAILED, _bucket(Bucket(public=False))),
    _seed(
        "init_image_url_unreachable",
        "Storage runs on the developer's machine",
        _FAILED,
        _settings(supabase_url="http://127.0.0.1:54321", supabase_key=keys.supabase_key("service_role", ref=None)),
    ),
    # selection
    _seed("model_not_switched", "the conditional is the wrong way round", _FELL_BACK, _inversion),
    _seed(
        "wrong_target_model",
        "running code and source agree on another model",
        _WRONG,
        _runs(image_to_image=_OTHER_MODEL),
    ),
    _seed("model_constant_conflict", "two files name different models", _WRONG, _conflict),
    # payload
    _seed(
        "payload_without_image",
        "the photo goes out as 'image_urls' to a model that reads 'image_url'",
        _FAILED,
        _shows_env(_runs(image_key="image_urls")),
    ),
    _seed("strength_wrong", "the strength is 0.85", _SWITCHED, _payload(image_strength=0.85)),
    _seed("parameter_drift", "28 steps are sent where 7 were meant", _SWITCHED, _payload(num_inference_steps=28)),
    _seed("parameter_unknown", "the strength is sent under a name the model does not read", _SWITCHED, _omission),
    _seed("parameter_out_of_range", "99 steps are sent", _FAILED, _payload(num_inference_steps=99)),
    # generation
    _seed("fal_key_rejected", "fal's key was cut when it was copied", _FAILED, _settings(fal_key=keys.fal_key()[:40])),
    _seed("fal_balance_exhausted", "the balance with fal is used up", _FAILED, _fal(balance=False)),
    _seed("fal_rate_limited", "too many calls are under way", _FAILED, _fal(busy=True)),
    _seed(
        "fal_model_missing",
        "fal no longer has the model",
        _FAILED,
        lambda world: _fal(unknown_models=frozenset({world.code.profile.image_to_image}))(world),
    ),
    _seed(
        "fal_image_unreadable",
        "Storage serves the photo cut short",
        _FAILED,
        _project(damages=True),
    ),
    _seed(
        "fal_parameters_rejected",
        "fal now asks for at least 10 steps",
        _FAILED,
        _fal(stricter={"num_inference_steps": {"minimum": 10}}),
    ),
    _seed(
        "fal_content_refused",
        "the content checker stops the prompt",
        _FAILED,
        _all(_sends(prompt=f"{PROMPT}, gore"), _fal(forbidden=("gore",))),
    ),
    _seed("fal_unavailable", "fal takes too long and says so", _FAILED, _fal(outage=504)),
    _seed("fal_unavailable", "fal breaks down", _FAILED, _fal(outage=500), "error"),
    _seed("fal_unavailable", "fal does not answer", _FAILED, _all(_fal(delay=1.0), _world(patience=0.3)), "silent"),
    _seed("fal_no_result", "fal answers without a picture", _FAILED, _fal(draws=False)),
    # beside the chain
    _seed("backend_stale", "the model was changed on disk and the backend was not restarted", _WRONG, _staleness),
    _seed(
        "backend_error",
        "the handler raises before a model is chosen",
        _REFUSED,
        _project(coins=None),
    ),
    _seed("prompt_log_corrupt", "the prompt log was cut off in the middle", _SWITCHED, _world(spoil=_cut)),
    _seed("prompt_log_stale", "the prompt log cannot be written", _SWITCHED, _world(saves=False)),
    _seed(
        "prompt_log_invalid",
        "the newest entry's time is not a time",
        _SWITCHED,
        _world(spoil=_newest(timestamp="11/01/2026 06.35")),
    ),
    _seed(
        "prompt_log_disagrees",
        "the newest entry names the wrong mode",
        _SWITCHED,
        _world(spoil=_newest(generation_mode="text-to-image")),
    ),
    _seed("environment_incomplete", "FAL_KEY is not set", _REFUSED, _shows_env(_settings(fal_key=None))),
)
"""In the order of the chain; of several faults of one check the first has no variant."""


def named(name: str) -> Fault | None:
    """The fault of this name."""
    return next((fault for fault in FAULTS if fault.name == name), None)


UNBREAKABLE: Mapping[str, str] = {
    "browser_error": "it stands in a browser's console, and the demo has no browser; save the console and give it with --console",
    "backend_down": "a backend that is down leaves no evidence; `diagnose checklist --backend-url http://127.0.0.1:1` shows it",
    "several_backends": "it takes two processes on one port; start `diagnose serve` twice, or look with --live",
    "prompt_log_missing": "the demo's backend makes its log anew; `diagnose demo --break prompt_log_stale` keeps it from being written",
}
"""The checks for which nothing can be broken here, and why."""
