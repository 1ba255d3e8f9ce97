"""fal's contract: what its servers answer, asked of the stand-in and, where DIAGNOSE_TEST_FAL_KEY is set, of fal itself.

Only calls that draw nothing go to fal itself: refusals cost nothing (`x-fal-billable-units: 0`).
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops, ImageStat

from diagnose.generator.demo import Ids, Stage
from diagnose.generator.faults import photo
from diagnose.generator.standins import keys
from diagnose.generator.standins.fal import FalAccount

I2I = "fal-ai/flux-general/image-to-image"
T2I = "fal-ai/flux/schnell"
REAL = os.environ.get("DIAGNOSE_TEST_FAL_KEY")


@dataclass
class Service:
    """fal, and a key for it."""

    http: httpx.Client
    key: str
    stage: Stage | None = None

    def run(self, model: str, body: Any, key: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Key {self.key if key is None else key}"}
        return self.http.post(f"https://fal.run/{model}", json=body, headers=headers)

    def drawn(self, model: str, **body: Any) -> Image.Image:
        answer = self.run(model, {"prompt": "a chair", **body})
        assert answer.status_code == 200, answer.text
        picture = self.http.get(answer.json()["images"][0]["url"])
        assert picture.headers["content-type"] == "image/png"
        return Image.open(io.BytesIO(picture.content)).convert("RGB")


@pytest.fixture
def standin(on_stage: Stage) -> Iterator[Service]:
    assert on_stage.transport is not None
    on_stage.new_id = Ids("fal")
    on_stage.services.fal.account = FalAccount()
    with httpx.Client(transport=Kept(on_stage.transport), trust_env=False) as http:
        yield Service(http, keys.fal_key(), on_stage)


class Kept(httpx.BaseTransport):
    """A transport that outlives its client: the stage is shared."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._inner.handle_request(request)


@pytest.fixture(params=["stand-in", pytest.param("fal", marks=pytest.mark.skipif(not REAL, reason="no key of fal"))])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    if request.param == "stand-in":
        yield request.getfixturevalue("standin")
        return
    with httpx.Client(timeout=60) as http:
        yield Service(http, REAL or "")


# What every server of fal answers.


@pytest.mark.parametrize("key", ["nonsense", "0b1f9d1e-0000-4000-8000-000000000000:" + "0" * 31])
def test_a_wrong_key_is_401_and_names_the_application(service: Service, key: str) -> None:
    answer = service.run(T2I, {"prompt": "p"}, key)
    assert answer.status_code == 401
    assert answer.json() == {
        "detail": 'Cannot access application "fal-ai/flux". Authentication is required to access this application.'
    }


@pytest.mark.parametrize(
    ("body", "kind", "place"),
    [
        ({"prompt": "p"}, "missing", ["body", "image_url"]),
        ({"prompt": "p", "image_urls": ["https://x.example/1.jpg"]}, "missing", ["body", "image_url"]),
        ({"prompt": "p", "image_url": None}, "string_type", ["body", "image_url"]),
        ({"prompt": "p", "image_url": "u", "strength": 0}, "greater_than_equal", ["body", "strength"]),
        (
            {"prompt": "p", "image_url": "u", "num_inference_steps": "abc"},
            "int_parsing",
            ["body", "num_inference_steps"],
        ),
        (
            {"prompt": "p", "image_url": "u", "num_inference_steps": 99},
            "less_than_equal",
            ["body", "num_inference_steps"],
        ),
    ],
)
def test_a_body_that_breaks_the_schema_is_422_and_costs_nothing(
    service: Service, body: Any, kind: str, place: list[str]
) -> None:
    answer = service.run(I2I, body)
    assert answer.status_code == 422
    assert answer.headers["x-fal-request-id"]
    assert answer.headers["x-fal-billable-units"] == "0"
    assert [(one["type"], one["loc"]) for one in answer.json()["detail"]] == [(kind, place)]


@pytest.mark.parametrize("url", ["http://127.0.0.1:54321/storage/v1/object/public/b/1.jpg", "http://localhost/1.jpg"])
def test_an_address_that_fal_cannot_reach_is_a_download_error(service: Service, url: str) -> None:
    answer = service.run(I2I, {"prompt": "p", "image_url": url})
    assert answer.status_code == 422
    fault = answer.json()["detail"][0]
    assert (fault["type"], fault["loc"]) == ("file_download_error", ["body", "image_url"])


# What only a stand-in can be made to do.


@pytest.mark.parametrize(
    ("account", "status", "said"),
    [
        (FalAccount(balance=False), 403, "User is locked. Reason: Exhausted balance."),
        (FalAccount(busy=True), 429, "concurrent_requests_limit"),
        (FalAccount(unknown_models=frozenset({T2I})), 404, "not found"),
        (FalAccount(outage=500), 500, "internal_server_error"),
        (FalAccount(outage=504), 504, "request_timeout"),
        (FalAccount(forbidden=("chair",)), 422, "content_policy_violation"),
    ],
)
def test_how_the_account_stands(standin: Service, account: FalAccount, status: int, said: str) -> None:
    assert standin.stage is not None
    standin.stage.services.fal.account = account
    answer = standin.run(T2I, {"prompt": "a chair"})
    assert answer.status_code == status
    assert said in answer.text
    assert answer.headers["x-fal-request-id"]
    assert answer.headers.get("x-fal-error-type") == answer.json().get("error_type")


def test_an_answer_without_a_picture(standin: Service) -> None:
    assert standin.stage is not None
    standin.stage.services.fal.account = FalAccount(draws=False)
    answer = standin.run(T2I, {"prompt": "p"})
    assert (answer.status_code, answer.json()["images"]) == (200, [])


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'"x"', b"[" * 50_000])
def test_what_is_no_object_is_422(standin: Service, content: bytes) -> None:
    headers = {"Authorization": f"Key {standin.key}"}
    assert standin.http.post(f"https://fal.run/{T2I}", content=content, headers=headers).status_code == 422


def difference(one: Image.Image, other: Image.Image) -> float:
    return float(sum(ImageStat.Stat(ImageChops.difference(one, other.resize(one.size))).mean))


def test_the_picture_shows_what_took_effect(standin: Service) -> None:
    data = photo(600, 800)
    given = Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB")
    by_default = standin.drawn(I2I, image_url=data)
    unknown_key = standin.drawn(I2I, image_url=data, image_strength=0.1)
    asked = standin.drawn(I2I, image_url=data, strength=0.1)
    assert difference(by_default, unknown_key) == 0, "image_strength is no key of this model and changes nothing"
    assert difference(asked, given) < difference(by_default, given)
    ignored = standin.drawn(T2I, image_url=data)
    assert difference(ignored, standin.drawn(T2I)) == 0, "a text-to-image model looks at no photo"


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        (None, (512, 512)),
        ("portrait_16_9", (288, 512)),
        ("landscape_4_3", (512, 384)),
        ({"width": 1024, "height": 256}, (512, 128)),
        ({"width": 0, "height": 9}, (57, 512)),
        ({"width": "x"}, (512, 512)),
    ],
)
def test_the_picture_has_the_shape_that_was_asked_for(standin: Service, size: Any, shape: tuple[int, int]) -> None:
    body = {"image_size": size} if size is not None else {}
    assert standin.drawn("fal-ai/some/other/model", **body).size == shape


def test_only_the_newest_pictures_are_kept(standin: Service) -> None:
    assert standin.stage is not None
    for n in range(60):
        standin.run(T2I, {"prompt": f"chair {n}"})
    assert len(standin.stage.services.fal.pictures) == 50
    assert standin.http.get("https://v3.fal.media/files/zebra/none.png").status_code == 404


def test_anything_else_is_nowhere(standin: Service) -> None:
    for url in ("https://example.com/", "http://127.0.0.1:1/", "https://fal.ai/"):
        with pytest.raises(httpx.ConnectError, match="Name or service not known"):
            standin.http.get(url)


def test_storage_that_is_cut_off_refuses_the_connection(standin: Service) -> None:
    assert standin.stage is not None
    standin.stage.services.cut = True
    try:
        with pytest.raises(httpx.ConnectError, match="refused"):
            standin.http.get(f"https://{keys.REF}.supabase.co/storage/v1/status")
        assert standin.run(I2I, {"prompt": "p", "image_url": "https://x.example/1.jpg"}).status_code == 422
    finally:
        standin.stage.services.cut = False


def test_an_account_can_be_replaced_while_it_runs(standin: Service) -> None:
    assert standin.stage is not None
    account = standin.stage.services.fal.account
    standin.stage.services.fal.account = replace(account, stricter={"num_inference_steps": {"minimum": 10}})
    refused = standin.run(T2I, {"prompt": "p", "num_inference_steps": 7})
    assert refused.json()["detail"][0]["ctx"] == {"ge": 10}
