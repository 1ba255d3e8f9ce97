"""A person at the page, and the real backend behind it: what they upload, what they see, and what they are told."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from diagnose import profile, serve
from diagnose.generator.faults import photo
from diagnose.generator.serving import running
from tests import browser as chrome

SEED = profile.build(profile.BUILT_IN["seed"], "seed")


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    options = serve.Options("127.0.0.1", 0, tmp_path_factory.mktemp("backend"), None, None, "plain", True)
    with (
        serve.backend(options, SEED, lambda text: None, None) as built,
        running(built.app, built.backend.journal.enter) as address,
    ):
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chrome.launched() as launched:
        yield launched


Visit = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, origin: str) -> Iterator[Visit]:
    """Opens the page on a mended backend. No test leaves an error in the console."""
    opened: list[Any] = []
    stack = []

    def go(**options: Any) -> Any:
        manager = chrome.opened(browser, **options)
        page = manager.__enter__()
        stack.append(manager)
        opened.append(page)
        page.goto(origin)
        if page.locator("#break-state").inner_text() != "Everything is whole":
            page.get_by_role("button", name="Mend").click()
        return page

    yield go
    said = [line for page in opened for line in page.said]
    for manager in stack:
        manager.__exit__(None, None, None)
    assert said == []


@pytest.fixture
def face(tmp_path: Path) -> Path:
    file = tmp_path / "face.jpg"
    file.write_bytes(base64.b64decode(photo(600, 800).partition(",")[2]))
    return file


def generate(page: Any, prompt: str = "A red chair") -> Any:
    before = page.locator("article").count()
    page.get_by_label("Prompt").fill(prompt)
    page.get_by_role("button", name="Generate Batch").click()
    page.locator("article").nth(before).wait_for()
    return page.locator("article").first


def break_(page: Any, name: str) -> None:
    page.get_by_label("What to break").select_option(name)
    page.get_by_role("button", name="Apply").click()
    page.get_by_text("Broken now:").wait_for()


def seen(page: Any, image: Any) -> Image.Image:
    """What stands in a picture of the page."""
    image.evaluate("image => image.decode()")
    got = page.request.get(image.evaluate("image => image.src"))
    return Image.open(io.BytesIO(got.body())).convert("RGB")


def test_a_face_is_seen_in_the_picture(visit: Visit, face: Path) -> None:
    page = visit()
    page.get_by_label("Face").set_input_files(face)
    page.get_by_label("Image strength").fill("0.2")
    article = generate(page)
    assert "Photo used" in article.inner_text()
    assert "fal-ai/flux-general/image-to-image" in article.inner_text()
    reference, drawn = article.locator("img").nth(0), article.locator("img").nth(1)
    given, made = Image.open(face).convert("RGB"), seen(page, drawn)
    difference = ImageStat.Stat(ImageChops.difference(made, given.resize(made.size))).mean
    assert 0 < sum(difference) / 3 < 40, "four fifths of it are the photo"
    assert seen(page, reference).size == given.size
    assert chrome.violations(page) == []


def test_without_a_photo_text_to_image_is_by_design(visit: Visit) -> None:
    article = generate(visit())
    assert "By design" in article.inner_text()
    assert "fal-ai/flux/schnell" in article.inner_text()
    article.locator("img:visible").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [chrome.DESK, chrome.PHONE], ids=["desk", "phone"])
def test_a_broken_bucket_is_named(visit: Visit, face: Path, scheme: str, size: dict[str, int]) -> None:
    page = visit(color_scheme=scheme, viewport=size)
    break_(page, "bucket_missing")
    page.get_by_label("Face").set_input_files(face)
    article = generate(page)
    text = article.inner_text()
    assert "Photo not used" in text
    assert "bucket_missing" in text
    assert "insert into storage.buckets" in text
    assert chrome.violations(page) == []
    page.get_by_role("button", name="Mend").click()
    page.get_by_text("Everything is whole").wait_for()
    assert "Photo used" in generate(page).inner_text()


def test_a_wrong_file_is_named(visit: Visit, tmp_path: Path) -> None:
    wrong = tmp_path / "notes.txt"
    wrong.write_text("no picture at all")
    page = visit()
    page.get_by_label("Face").set_input_files(wrong)
    text = generate(page).inner_text()
    assert "image_unusable" in text
    assert "cannot identify image file" in text


def test_it_works_without_a_script(visit: Visit, face: Path) -> None:
    page = visit(java_script_enabled=False)
    page.get_by_label("Face").set_input_files(face)
    assert "Photo used" in generate(page).inner_text()
    page.get_by_label("What to break").select_option("storage_policy_denied")
    page.get_by_role("button", name="Apply").click()
    page.get_by_label("Face").set_input_files(face)
    assert "storage_policy_denied" in generate(page).inner_text()


def test_it_speaks_indonesian(visit: Visit, face: Path) -> None:
    page = visit()
    page.get_by_role("link", name="Indonesia").click()
    page.get_by_label("Wajah").set_input_files(face)
    page.get_by_label("Prompt").fill("Kursi merah")
    page.get_by_role("button", name="Generate Batch").click()
    page.locator("article").wait_for()
    assert page.locator("html").get_attribute("lang") == "id"
    assert "Photo used" not in page.locator("article").inner_text()
