"""The page of `diagnose serve`: what stands in it, that it is inert, and how it behaves in a real browser."""

from __future__ import annotations

import base64
import json
import re
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from html import unescape
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from diagnose import score
from diagnose.generator import faults
from diagnose.model import CHAIN, Diagnosis, Message, Status
from diagnose.render import page, report
from diagnose.render.page import Batch, Break, Picture, View
from diagnose.render.words import LINKS, Words
from tests import browser as real

pytest.importorskip("jinja2")

FAULTS = {fault.name: fault for fault in faults.FAULTS}
NAMED = (
    "bucket_missing",
    "no_image_sent",
    "fal_balance_exhausted",
    "environment_incomplete",
    "wrong_target_model",
    "parameter_unknown",
)
ID = "6b1f3c1e-8a52-4c3b-9d2e-0f3a5b7c9d11"
KEY = "0f8fad5b-d9cb-469f-a165-70867728950e:7d793037a0760186574b0282f2f435e7"
POLICY = (
    "default-src 'self'; img-src 'self' data: blob: https:; style-src 'self'; script-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
BREAKS = (
    Break("bucket_missing", "the bucket exists under another spelling only", "upload"),
    Break("storage_key_rejected", "the service key was rotated", "upload"),
    Break("fal_key_rejected", "the fal key was revoked", "generation"),
)


def png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """A picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(colour) * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PHOTO = png(90, 120, (150, 110, 90))
MADE = "data:image/png;base64," + base64.b64encode(png(90, 160, (70, 100, 150))).decode()


@pytest.fixture(scope="module")
def answers(cases: Mapping[str, Path]) -> Mapping[str, Diagnosis]:
    """Real answers: some faults, a sound world, and a fault of which little was seen."""
    found = {name: score.answer(cases[name], score.written(cases[name]), FAULTS[name].profile) for name in NAMED}
    found["sound"] = score.answer(cases["sound"], score.written(cases["sound"]), "seed")
    found["little"] = score.answer(cases["bucket_missing"], ("request.json", "response.json"), "seed")
    return found


def batch(d: Diagnosis | None, **changes: Any) -> Batch:
    made = Batch(ID, 200, "A woman in a studio", None, (Picture(MADE, "A woman"),), MADE, d)
    return replace(made, **changes)


def view(d: Diagnosis | None = None, language: str = "en", **changes: Any) -> View:
    shown = View(language, True, BREAKS, batch=batch(d) if d is not None else None)
    return replace(shown, **changes)


# --- what stands in it


VOID = frozenset({"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})


class Read(HTMLParser):
    """The elements and texts of a page; an element that is closed wrongly fails the test."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(attrs) == len(dict(attrs)), (tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def links(self) -> dict[str, set[str]]:
        """The classes of each link of the chain."""
        return {
            str(attributes["data-link"]): set((attributes["class"] or "").split())
            for attributes in self.of("li")
            if "data-link" in attributes
        }


@pytest.mark.parametrize("language", ["en", "id"])
def test_a_batch_says_what_the_answer_says(answers: Mapping[str, Diagnosis], language: str) -> None:
    words = Words(language)
    for name, d in answers.items():
        read = Read(page.fragment(view(d, language)))
        said = read.text
        assert words.headline(d) in said, name
        assert list(read.links()) == [str(link) for link in CHAIN]
        assert all(words(LINKS[link]) in read.texts for link in CHAIN)
        assert said.count(d.decision.reason) == 1
        assert ID in said
        if d.root is not None:
            assert d.root.check in said
            assert all(e.source in said for e in d.root.evidence)
            if d.root.remedy is not None:
                assert all(step in said for step in words.remedy(d.root.remedy).steps)
                assert (d.root.remedy.command or "") in said


def test_the_link_that_broke_is_marked_and_explained(answers: Mapping[str, Diagnosis]) -> None:
    def marked(name: str) -> list[str]:
        links = Read(page.fragment(view(answers[name]))).links()
        return [link for link, classes in links.items() if "broken" in classes]

    assert marked("bucket_missing") == ["upload"]
    assert marked("fal_balance_exhausted") == ["generation"]
    assert marked("wrong_target_model") == ["selection"]
    assert marked("no_image_sent") == marked("sound") == marked("parameter_unknown") == marked("little") == []
    links = Read(page.fragment(view(answers["bucket_missing"]))).links()
    assert [link for link, classes in links.items() if "whole" in classes] == ["request", "decode"]
    assert [link for link, classes in links.items() if "expanded" in classes] == ["upload"]


def test_a_cause_beside_the_chain_stands_beside_it(answers: Mapping[str, Diagnosis]) -> None:
    said = Read(page.fragment(view(answers["environment_incomplete"])))
    assert "The cause lies beside the chain: settings" in said.text
    assert not [link for link, classes in said.links().items() if "expanded" in classes]
    assert "environment_incomplete" in said.text


def test_a_cause_that_cannot_be_told_is_not_told(answers: Mapping[str, Diagnosis]) -> None:
    said = Read(page.fragment(view(answers["little"])))
    assert "Perhaps here" in said.texts
    assert "Broke here" not in said.texts


@pytest.mark.parametrize(
    ("name", "verdict", "passage"),
    [
        ("bucket_missing", "Photo not used", "not used"),
        ("no_image_sent", "By design", "not used"),
        ("parameter_unknown", "Photo used, with a fault", "used"),
        ("wrong_target_model", "Wrong model", "used"),
        ("fal_balance_exhausted", "No picture", None),
        ("environment_incomplete", "Refused", None),
    ],
)
def test_the_verdict(answers: Mapping[str, Diagnosis], name: str, verdict: str, passage: str | None) -> None:
    texts = Read(page.fragment(view(answers[name]))).texts
    assert verdict in texts
    assert [text for text in texts if text in ("used", "not used")] == ([passage] if passage else [])


def test_a_sound_batch_is_whole(answers: Mapping[str, Diagnosis]) -> None:
    d = answers["sound"]
    whole = d._replace(findings=tuple(replace(f, status=Status.PASS) for f in d.findings))
    assert "Photo used" in Read(page.fragment(view(whole))).texts


def test_a_batch_without_pictures_says_what_the_backend_answered(answers: Mapping[str, Diagnosis]) -> None:
    failed = batch(answers["fal_balance_exhausted"], pictures=(), status=402, detail="User is locked.", reference=None)
    read = Read(page.fragment(View("en", False, batch=failed)))
    assert {"No picture was made", "User is locked.", "no picture was made (HTTP 402)"} <= set(read.texts)
    assert {attributes.get("src") for attributes in read.of("img")} == {None}


def test_a_batch_without_a_diagnosis() -> None:
    said = Read(page.fragment(View("en", False, batch=batch(None, status=500, detail="Internal Server Error"))))
    assert "No diagnosis could be made of this batch" in said.texts
    assert said.links() == {}


def test_without_a_batch_there_is_no_article() -> None:
    assert page.fragment(View("en", False)) == ""
    read = Read(page.home(View("en", False)))
    assert read.of("article") == []
    assert "Nothing has been generated yet" in read.texts


def test_only_stand_ins_can_be_broken() -> None:
    assert "/break" not in page.home(View("en", False, BREAKS))
    read = Read(page.home(view(broken="bucket_missing")))
    assert "Broken now: the bucket exists under another spelling only" in read.texts
    assert [o["value"] for o in read.of("option") if "selected" in o] == ["bucket_missing"]
    assert [g["label"] for g in read.of("optgroup")] == ["image uploaded to Storage", "picture made by fal"]
    assert "Everything is whole" in Read(page.home(view())).texts


def test_missing_settings_are_named() -> None:
    assert {"FAL_KEY", "SUPABASE_URL"} <= set(Read(page.home(view(missing=("FAL_KEY", "SUPABASE_URL")))).texts)


def test_what_was_typed_stays_and_the_reason_is_said() -> None:
    for typed in ("two\nlines", "\nan empty one before", f"key {KEY} <b>&amp;</b>", "keluarga 👨‍👩‍👧 { } {{ 7*7 }}"):
        html = page.home(view(prompt=typed, error="the prompt is too long"))
        field_ = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", html, re.S)
        assert field_ is not None
        assert unescape(field_[1]) == typed
        assert "the prompt is too long" in Read(html).texts


def test_the_form_is_what_the_backend_reads() -> None:
    read = Read(page.home(view(language="id")))
    form = next(attributes for attributes in read.of("form") if attributes.get("id") == "form")
    assert (form["method"], form["action"], form["enctype"]) == ("post", "/", "multipart/form-data")
    fields = [a for tag in ("input", "textarea", "select") for a in read.of(tag)]
    names = {str(a["name"]): a for a in fields}
    assert set(names) == {
        "lang",
        "prompt",
        "face_image",
        "product_images",
        "background_image",
        "aspect_ratio",
        "num_images",
        "image_strength",
        "name",
    }
    assert "multiple" in names["product_images"]
    assert names["lang"]["value"] == "id"


# --- that it is inert


HOSTILE = {
    "element": "</textarea></code><script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "markup": "[bold red]x[/bold red] [link=file:///etc/passwd]y[/link]",
    "template": "{{ 7*7 }} {% raw %} {0.__class__} {prompt}",
    "terminal": "\x1b[31mred\x1b]0;title\x07\x00\x9b",
    "direction": "abc\u202etxt.exe\u2066",
    "secret": f"Authorization: Key {KEY}",
}


def poisoned(d: Diagnosis, text: str) -> Diagnosis:
    """A diagnosis in which everything that can be somebody else's is this text."""
    assert d.root is not None
    evidence = tuple(replace(e, source=text, fields={**e.fields, "text": text, "error": text}) for e in d.root.evidence)
    remedy = d.root.remedy._replace(title=text, steps=(text,), command=f"do {text}") if d.root.remedy else None
    root = replace(d.root, message=Message("{text}", {"text": text}), evidence=evidence, remedy=remedy)
    return d._replace(
        root=root,
        decision=d.decision._replace(model=text, expected_model=text + "2", mode=text),
        profile=text,
        notes=(text,),
        checklist=tuple(q._replace(evidence=evidence) for q in d.checklist),
        suspects=(text,),
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_evidence_is_shown_inert(answers: Mapping[str, Diagnosis], name: str) -> None:
    text = HOSTILE[name]
    d = poisoned(answers["bucket_missing"], text)
    made = batch(d, prompt=text, detail=text, pictures=(Picture(MADE, text),), request_id=text)
    html = page.home(
        View("en", True, (Break(text, text, text),), text, (text,), made, "harmless", text),
    )
    read = Read(html)
    assert read.of("script") == [{"src": "/assets/page.js", "defer": None}]
    assert {a["src"] for a in read.of("img") if "src" in a} == {"/assets/icon.svg", MADE}
    assert not [key for _, attributes in read.elements for key in attributes if key.startswith(("on", "style"))]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)
    assert KEY not in html and KEY.partition(":")[2] not in html
    if name in ("element", "markup", "template"):
        assert text in read.text
    if name == "secret":
        assert "<fal-key:" in read.text or "<token:" in read.text


def test_a_picture_is_a_link_only_where_a_browser_can_open_it() -> None:
    for source, opens in {
        "https://x.supabase.co/a.jpg?token=abc": True,
        "/pictures?url=x": True,
        MADE: False,
        "javascript:alert(1)": False,
        "//elsewhere/x": False,
    }.items():
        read = Read(page.fragment(View("en", False, batch=batch(None, pictures=(Picture(source, "x"),)))))
        assert [a["href"] for a in read.of("a")] == ([source] if opens else [])
        assert source in [a.get("src") for a in read.of("img")]


@pytest.mark.parametrize("language", ["en", "id"])
def test_the_page_is_well_made(answers: Mapping[str, Diagnosis], language: str) -> None:
    for shown in (view(None, language), *(view(d, language, broken="bucket_missing") for d in answers.values())):
        html = page.home(shown)
        assert html.lstrip().startswith("<!doctype html>")
        read = Read(html)
        ids = [a["id"] for _, a in read.elements if "id" in a]
        assert len(ids) == len(set(ids))
        for key in ("for", "aria-labelledby", "aria-describedby", "data-copy"):
            assert {a[key] for _, a in read.elements if key in a} <= set(ids)
        assert read.of("html") == [{"lang": language}]
        levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1
        assert all(below <= above + 1 for above, below in pairwise(levels))
        assert all("alt" in a for a in read.of("img"))
        assert not [a for _, a in read.elements if "style" in a]
        assert read.of("style") == []


def test_the_indonesian_page_holds_no_english_label(answers: Mapping[str, Diagnosis]) -> None:
    english, words = Words("en"), Words("id")
    tables = (page.LABELS, page.SPOKEN, report.REASONS, page.GENERATIONS)
    labels = {text for table in tables for text in table.values() if words(text) != english(text)}
    assert len(labels) > 80
    for d in answers.values():
        failed = view(d, "id", missing=("FAL_KEY",), error="x", batch=batch(d, pictures=(), detail="x"))
        for shown in (view(None, "id"), view(d, "id"), failed):
            read = Read(page.home(shown))
            heard = ("aria-label", "alt", "title", "label", "placeholder")
            said = {*read.texts, *(str(a[name]) for _, a in read.elements for name in heard if name in a)}
            assert said & labels == set()
            assert not [text for text in labels if len(text) > 25 and text in read.text]
    spoken = json.loads(str(Read(page.home(view(None, "id"))).of("body")[0]["data-words"]))
    assert spoken == {name: words(text) for name, text in page.SPOKEN.items()}


def test_every_label_is_used() -> None:
    templates = "".join((page.FOLDER / name).read_text(encoding="utf-8") for name in ("page.html", "batch.html"))
    named = set(re.findall(r"say\.(\w+)", templates)) | {name for name, _ in page.UPLOADS} | {"used", "not_used"}
    assert named == set(page.LABELS)
    script = (page.FOLDER / "page.js").read_text(encoding="utf-8")
    assert set(re.findall(r"words\.(\w+)", script)) | {"mended", "broken"} == set(page.SPOKEN)


def test_assets() -> None:
    for name, kind in {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}.items():
        found = page.asset(name)
        assert found is not None
        assert found[0] and found[1].startswith(kind)
        text = found[0].decode()
        assert not re.sub(r"http://www\.w3\.org/2000/svg", "", text).count("://"), name
        assert "@import" not in text and "url(" not in text
    for name in ("page.html", "batch.html", "../page.py", "", "page.css/", "PAGE.CSS"):
        assert page.asset(name) is None


# --- in a browser


@dataclass
class Stub:
    """A backend that answers as it is told to."""

    answers: Mapping[str, Diagnosis]
    name: str = "bucket_missing"
    reference: str | None = None
    pictures: tuple[Picture, ...] = (Picture("/picture.png", "A woman"),)
    broken: str | None = None
    status: int = 200
    answer: str | None = None
    """What is answered instead of JSON with an id."""
    headers: Mapping[str, str] = field(default_factory=dict)
    lost: bool = False
    """The diagnosis of a batch cannot be fetched."""
    may_answer: threading.Event = field(default_factory=threading.Event)
    sent: list[dict[str, Any]] = field(default_factory=list)
    forms: list[bytes] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    number: int = 0
    url: str = ""

    def view(self, language: str, shown: bool) -> View:
        made = batch(
            self.answers[self.name],
            request_id=f"{ID}-{self.number}",
            pictures=self.pictures,
            reference=self.reference,
        )
        return View(language, True, BREAKS, self.broken, batch=made if shown else None)


class Handler(BaseHTTPRequestHandler):
    stub: Stub

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        language = parse_qs(where.query).get("lang", ["en"])[0]
        if where.path.startswith("/assets/"):
            content, kind = page.asset(where.path.removeprefix("/assets/")) or (b"", "text/plain")
            self.give(200 if content else 404, content, kind)
        elif where.path == "/picture.png":
            self.give(200, PHOTO, "image/png")
        elif where.path.startswith("/batches/") and not self.stub.lost:
            self.give(200, page.fragment(self.stub.view(language, True)).encode())
        elif where.path == "/":
            self.give(200, page.home(self.stub.view(language, False)).encode())
        elif where.path == "/answered":
            self.give(200, page.home(self.stub.view(language, True)).encode())
        else:
            self.give(404, b"not here", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/api/browser-errors":
            self.stub.errors.append(json.loads(body))
            self.give(204, b"")
        elif self.path == "/break":
            self.stub.broken = parse_qs(body.decode()).get("name", [""])[0] or None
            self.give(303, b"", headers={"location": "/"})
        elif self.path == "/":
            self.stub.forms.append(body)
            self.give(200, page.home(self.stub.view("en", True)).encode())
        else:
            self.stub.sent.append(json.loads(body))
            self.stub.may_answer.wait(20)
            self.stub.number += 1
            told = json.dumps({"request_id": f"{ID}-{self.stub.number}"})
            kind = "application/json" if self.stub.answer is None else "text/html"
            self.give(self.stub.status, (self.stub.answer or told).encode(), kind, self.stub.headers)

    def give(
        self, status: int, body: bytes, kind: str = "text/html; charset=utf-8", headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-security-policy": POLICY, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


class Server(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, *_: Any) -> None:
        """A browser that goes away in the middle of an answer is no failure."""


@pytest.fixture
def stub(answers: Mapping[str, Diagnosis]) -> Iterator[Stub]:
    made = Stub(answers)
    made.may_answer.set()
    server = Server(("127.0.0.1", 0), type("Mine", (Handler,), {"stub": made}))
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.may_answer.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with real.launched() as browser:
        yield browser


Open = Callable[..., Any]


@pytest.fixture
def visit(chromium: Any, stub: Stub) -> Iterator[Open]:
    """Opens the page, each time in a context of its own."""
    with ExitStack() as stack:

        def open_(path: str = "/", **options: Any) -> Any:
            opened = stack.enter_context(real.opened(chromium, **options))
            opened.goto(stub.url + path)
            return opened

        yield open_


def photos(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).write_bytes(PHOTO)
    return [folder / name for name in names]


def test_a_batch_from_form_to_diagnosis(visit: Open, stub: Stub, tmp_path: Path) -> None:
    shown = visit()
    face, one, two = photos(tmp_path, "face.png", "one.png", "two.png")
    # every state is said; some last only a moment
    shown.evaluate(
        "window.heard = []; new MutationObserver(() => heard.push(document.getElementById('status').textContent))"
        ".observe(document.getElementById('status'), {childList: true, characterData: true, subtree: true})"
    )
    shown.get_by_label("Prompt").fill("A woman in a studio")
    shown.get_by_label("Face").set_input_files(face)
    shown.get_by_label("Products").set_input_files([one, two])
    shown.get_by_label("Aspect ratio").select_option("3:4")
    shown.get_by_label("Number of pictures").select_option("2")
    shown.get_by_label("Image strength").fill("0.6")
    shown.get_by_role("button", name="Generate Batch").click()
    article = shown.get_by_role("article")
    article.wait_for()
    assert shown.evaluate("document.activeElement.localName") == "article"
    assert "Text-to-image was used, without the photo" in article.inner_text()
    sent = stub.sent[0]
    data = "data:image/png;base64," + base64.b64encode(PHOTO).decode()
    assert sent == {
        "prompt": "A woman in a studio",
        "face_image": data,
        "product_images": [data, data],
        "aspect_ratio": "3:4",
        "num_images": 2,
        "image_strength": 0.6,
    }
    heard = list(dict.fromkeys(text for text in shown.evaluate("heard") if text))
    assert heard == [
        "Reading the photos…",
        "Sending…",
        "Waiting for the picture…",
        "Reading the diagnosis…",
        "Done.",
    ]
    # the newest stands on top, and what was typed is still there
    shown.get_by_role("button", name="Generate Batch").click()
    shown.locator("article").nth(1).wait_for()
    assert shown.locator("article").nth(0).get_attribute("data-request-id") == f"{ID}-2"
    assert shown.get_by_label("Prompt").input_value() == "A woman in a studio"
    assert shown.said == []
    assert stub.errors == []


def test_the_photo_stands_beside_the_picture_even_if_the_backend_lost_it(
    visit: Open, stub: Stub, tmp_path: Path
) -> None:
    shown = visit()
    shown.get_by_label("Prompt").fill("x")
    shown.get_by_role("button", name="Generate Batch").click()
    shown.locator("article").wait_for()
    assert shown.locator(".reference").count() == 0
    shown.get_by_label("Background").set_input_files(photos(tmp_path, "room.png"))
    shown.get_by_role("button", name="Generate Batch").click()
    shown.locator(".reference img").wait_for()
    assert shown.locator(".reference img").get_attribute("src").startswith("blob:")
    assert shown.locator(".passage").inner_text() == "not used"
    assert shown.said == []


def test_everything_works_with_the_keyboard_alone(visit: Open, stub: Stub, tmp_path: Path) -> None:
    shown = visit()
    choosers: list[Any] = []
    # from the beginning: a browser that was just told to ask us may ask nobody
    shown.on("filechooser", lambda chooser: choosers.append(chooser))
    focused = (
        "document.activeElement.id || document.activeElement.textContent.trim() || document.activeElement.ariaLabel"
    )

    def tab_to(what: str, key: str = "Tab") -> None:
        for _ in range(40):
            shown.keyboard.press(key)
            if shown.evaluate(focused) == what:
                return
        pytest.fail(f"{what} cannot be reached")

    shown.keyboard.press("Tab")
    assert shown.evaluate(focused) == "Skip to the results"
    assert shown.locator(".skip").bounding_box()["y"] >= 0
    tab_to("prompt")
    shown.keyboard.type("A woman")
    tab_to("product_images")
    for _ in range(10):
        shown.keyboard.press("Enter")
        shown.wait_for_timeout(300)
        if choosers:
            break
    choosers[0].set_files(photos(tmp_path, "one.png", "two.png"))
    shown.get_by_role("button", name="Remove one.png").wait_for()
    shown.keyboard.press("Tab")
    shown.keyboard.press("Enter")
    assert shown.evaluate("document.activeElement.ariaLabel") == "Remove two.png"
    shown.keyboard.press("Enter")
    assert shown.evaluate(focused) == "product_images"
    tab_to("aspect_ratio")
    shown.keyboard.press("ArrowDown")
    tab_to("generate")
    shown.keyboard.press("Enter")
    shown.locator("article").wait_for()
    shown.wait_for_function("document.activeElement.localName === 'article'")
    assert stub.sent[0]["aspect_ratio"] == "3:4"
    assert "product_images" not in stub.sent[0]
    tab_to("Checklist")
    shown.keyboard.press("Enter")
    assert shown.get_by_text("The right model called?").is_visible()
    tab_to("generate", "Shift+Tab")


def test_photos_are_previewed_added_dropped_and_removed(visit: Open, tmp_path: Path) -> None:
    shown = visit()
    one, two, three = photos(tmp_path, "one.png", "two.png", "<b>three.png")
    products = shown.get_by_label("Products")
    products.set_input_files(one)
    products.set_input_files([one, two])
    items = shown.locator(".upload:has(#product_images) li")
    assert items.count() == 2
    assert "one.png" in items.nth(0).inner_text()
    assert f"{len(PHOTO)} byte" in items.nth(0).inner_text()
    assert shown.evaluate("document.querySelector('.previews img').naturalWidth") in (0, 90)
    products.set_input_files(three)
    assert "<b>three.png" in items.nth(2).inner_text()
    shown.get_by_role("button", name="Remove two.png").click()
    assert items.count() == 2
    assert shown.evaluate("[...document.getElementById('product_images').files].map((file) => file.name)") == [
        "one.png",
        "<b>three.png",
    ]
    assert shown.locator("#said").inner_text() == "two.png was removed."
    dropped = shown.evaluate_handle(
        "() => { const held = new DataTransfer(); for (const name of ['face.webp', 'second.webp'])"
        " held.items.add(new File([new Uint8Array(2500000)], name, {type: 'image/webp'})); return held; }"
    )
    zone = shown.locator(".zone").first
    zone.dispatch_event("dragover", {"dataTransfer": dropped})
    assert "over" in zone.get_attribute("class")
    zone.dispatch_event("drop", {"dataTransfer": dropped})
    faces = shown.locator(".upload:has(#face_image) li")
    assert faces.count() == 1
    assert re.search(r"face\.webp\s+2\.5 MB", faces.inner_text())
    # what is no picture has no preview, and is for the backend to refuse
    faces.locator("svg").first.wait_for()
    assert shown.said == []


def test_a_batch_can_be_cancelled(visit: Open, stub: Stub, tmp_path: Path) -> None:
    shown = visit()
    stub.may_answer.clear()
    shown.get_by_label("Prompt").fill("A woman")
    shown.get_by_label("Face").set_input_files(photos(tmp_path, "face.png"))
    shown.get_by_role("button", name="Generate Batch").click()
    shown.get_by_text("Waiting for the picture…").wait_for()
    assert shown.get_by_role("progressbar", name="Progress").is_visible()
    assert shown.locator("#form").get_attribute("aria-busy") == "true"
    assert shown.evaluate("document.activeElement.id") == "cancel"
    shown.locator("#generate").click(force=True)
    shown.locator("#cancel").press("Enter")
    shown.get_by_text("Cancelled. Everything you typed is still here.").wait_for()
    assert shown.evaluate("document.activeElement.id") == "generate"
    assert shown.locator("#cancel").is_hidden() and shown.locator("#progress").is_hidden()
    assert shown.get_by_label("Prompt").input_value() == "A woman"
    assert shown.get_by_role("button", name="Remove face.png").is_visible()
    assert shown.locator("#alert").inner_text().strip() == ""
    assert shown.locator("article").count() == 0
    assert len(stub.sent) == 1
    stub.may_answer.set()
    shown.get_by_role("button", name="Generate Batch").click()
    shown.locator("article").wait_for()


def fail(shown: Any) -> str:
    shown.get_by_label("Prompt").fill("A woman")
    shown.get_by_role("button", name="Generate Batch").click()
    shown.locator("#alert p").wait_for()
    shown.locator("#generate[aria-disabled=false]").wait_for()
    assert shown.get_by_label("Prompt").input_value() == "A woman"
    return str(shown.locator("#alert").inner_text())


def reported(shown: Any, stub: Stub, count: int) -> list[dict[str, Any]]:
    for _ in range(100):
        if len(stub.errors) >= count:
            break
        shown.wait_for_timeout(20)
    return stub.errors


def test_an_unreachable_backend_is_said_and_nothing_is_lost(visit: Open, stub: Stub) -> None:
    shown = visit()
    shown.route("**/api/generate-image", lambda route: route.abort())
    assert "The backend could not be reached" in fail(shown)
    assert reported(shown, stub, 1)[0]["kind"] == "request"
    assert len(stub.errors) == 1
    shown.unroute("**/api/generate-image")
    shown.get_by_role("button", name="Generate Batch").click()
    shown.locator("article").wait_for()
    assert shown.locator("#alert").inner_text().strip() == ""


def test_an_answer_of_something_else_is_said(visit: Open, stub: Stub) -> None:
    stub.status, stub.answer = 413, "<html><h1>413 Request Entity Too Large</h1></html>"
    shown = visit()
    assert "HTTP 413" in fail(shown)
    found = reported(shown, stub, 1)
    assert found == [
        {
            "request_id": None,
            "kind": "request",
            "message": "POST /api/generate-image: HTTP 413, no JSON",
            "source": "/api/generate-image",
        }
    ]
    assert shown.locator("#errors").inner_text() == "Errors in this browser: 1"


def test_an_answer_that_is_no_json_is_diagnosed_where_its_id_is_known(visit: Open, stub: Stub) -> None:
    stub.status, stub.answer, stub.headers = 500, "Internal Server Error", {"x-request-id": ID}
    shown = visit()
    assert "HTTP 500" in fail(shown)
    shown.locator("article").wait_for()
    assert reported(shown, stub, 1)[0]["request_id"] == ID


def test_a_refusal_without_an_id_is_quoted_as_text(visit: Open, stub: Stub) -> None:
    stub.status, stub.answer = 422, json.dumps({"detail": "<img src=x onerror=alert(1)>"})
    shown = visit()
    assert "HTTP 422: <img src=x onerror=alert(1)>" in fail(shown)
    assert shown.locator("#alert img").count() == 0


def test_a_refusal_with_an_id_is_diagnosed(visit: Open, stub: Stub) -> None:
    stub.status, stub.name, stub.pictures = 402, "fal_balance_exhausted", ()
    shown = visit()
    shown.get_by_label("Prompt").fill("A woman")
    shown.get_by_role("button", name="Generate Batch").click()
    shown.locator("article").wait_for()
    assert "No picture was made" in shown.locator("article").inner_text()
    assert shown.locator("#alert").inner_text().strip() == ""
    # the backend knows of it already, so it is no error of the browser
    assert stub.errors == []


def test_a_diagnosis_that_cannot_be_fetched_is_said(visit: Open, stub: Stub) -> None:
    stub.lost = True
    shown = visit()
    assert f"The batch {ID}-1 was answered" in fail(shown)
    assert reported(shown, stub, 1)[0]["request_id"] == f"{ID}-1"


def test_errors_in_the_browser_are_counted_and_told_to_the_backend(visit: Open, stub: Stub) -> None:
    stub.pictures = (Picture("/gone.png", "A woman"),)
    shown = visit()
    shown.get_by_label("Prompt").fill("A woman")
    shown.get_by_role("button", name="Generate Batch").click()
    shown.locator("article").wait_for()
    shown.evaluate("setTimeout(() => { throw new Error('boom') })")
    shown.evaluate("void Promise.reject(new Error('nobody caught it'))")
    found = {one["kind"]: one for one in reported(shown, stub, 3)}
    assert set(found) == {"resource", "error", "rejection"}
    assert found["resource"]["source"] == f"{stub.url}/gone.png"
    assert "boom" in found["error"]["message"]
    assert found["rejection"]["message"] == "nobody caught it"
    assert {one["request_id"] for one in stub.errors} == {f"{ID}-1"}
    shown.evaluate("for (let n = 0; n < 30; n += 1) setTimeout(() => { throw new Error(`again ${n}`) })")
    shown.wait_for_function("document.getElementById('errors-count').value === '33'")
    reported(shown, stub, 20)
    shown.wait_for_timeout(200)
    assert len(stub.errors) == 20
    assert shown.locator("#errors-list li").count() == 20
    assert "again 29" in shown.locator("#errors-list li").last.text_content()


def test_the_switch_is_set_in_place(visit: Open, stub: Stub) -> None:
    shown = visit("/?lang=id")
    shown.evaluate("window.same = true")
    shown.get_by_label("Prompt").fill("tetap di sini")
    shown.get_by_label("Yang dirusak").select_option("fal_key_rejected")
    shown.get_by_role("button", name="Terapkan").click()
    shown.locator("#break-state.fail").wait_for()
    assert stub.broken == "fal_key_rejected"
    assert "Yang rusak sekarang: " in shown.locator("#break-state").inner_text()
    shown.get_by_role("button", name="Perbaiki").click()
    shown.locator("#break-state.pass").wait_for()
    assert stub.broken is None
    assert shown.locator("#break-state").inner_text() == "Semuanya utuh"
    assert shown.evaluate("window.same")
    assert shown.get_by_label("Prompt").input_value() == "tetap di sini"
    shown.route("**/break", lambda route: route.fulfill(status=422, body="no"))
    shown.get_by_role("button", name="Terapkan").click()
    shown.locator("#break-alert p").wait_for()
    assert shown.locator("#break-alert").inner_text() == "Sakelar tidak bisa diubah: HTTP 422."


def test_a_command_is_copied(visit: Open) -> None:
    shown = visit("/answered")
    shown.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown.get_by_role("button", name="Copy the command").click()
    shown.get_by_text("Copied").first.wait_for()
    assert shown.evaluate("navigator.clipboard.readText()").startswith("insert into storage.buckets")
    assert shown.locator("#said").inner_text() == "Copied"


def test_without_a_script_photos_are_sent_and_the_result_shown(visit: Open, stub: Stub, tmp_path: Path) -> None:
    shown = visit("/", java_script_enabled=False)
    assert shown.locator("#cancel").is_hidden() and shown.locator("#errors").is_hidden()
    shown.get_by_label("Prompt").fill("A woman")
    shown.get_by_label("Face").set_input_files(photos(tmp_path, "face.png"))
    shown.get_by_label("Products").set_input_files(photos(tmp_path, "one.png", "two.png"))
    shown.get_by_role("button", name="Generate Batch").click()
    shown.locator("article").wait_for()
    assert "Broke here" in shown.locator("article").inner_text()
    assert "insert into storage.buckets" in shown.locator("article").inner_text()
    assert shown.locator("[data-copy]").first.is_hidden()
    body = stub.forms[0]
    assert body.count(PHOTO) == 3
    names = re.findall(rb'name="(\w+)"', body)
    assert sorted(set(names)) == sorted(
        b"lang prompt face_image product_images background_image aspect_ratio num_images image_strength".split()
    )
    shown.get_by_label("What to break").select_option("fal_key_rejected")
    shown.get_by_role("button", name="Apply").click()
    assert "Broken now: the fal key was revoked" in shown.locator("#break-state").inner_text()
    shown.get_by_role("button", name="Mend").click()
    assert shown.locator("#break-state").inner_text() == "Everything is whole"
    shown.get_by_role("link", name="Indonesia").click()
    assert shown.get_by_role("heading", name="Batch baru").is_visible()


SCREENS = {
    "home": ("/", "bucket_missing"),
    "broken": ("/answered", "bucket_missing"),
    "outside": ("/answered", "environment_incomplete"),
    "design": ("/answered", "no_image_sent"),
    "switched": ("/answered", "parameter_unknown"),
    "unknown": ("/answered", "little"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [real.DESK, real.PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_serious(
    visit: Open, stub: Stub, scheme: str, size: Mapping[str, int], tmp_path: Path
) -> None:
    stub.broken, stub.reference = "bucket_missing", MADE
    shown = visit("/", color_scheme=scheme, viewport=size)
    for name, (path, answer) in SCREENS.items():
        stub.name = answer
        for language in ("en", "id") if name in ("home", "broken") else ("en",):
            shown.goto(f"{stub.url}{path}?lang={language}")
            shown.evaluate("for (const details of document.querySelectorAll('article details')) details.open = true")
            assert real.violations(shown) == [], (name, language)
    # busy, then failed
    stub.may_answer.clear()
    shown.goto(stub.url)
    shown.get_by_label("Prompt").fill("x")
    shown.get_by_label("Face").set_input_files(photos(tmp_path, "face.png"))
    shown.get_by_role("button", name="Generate Batch").click()
    shown.get_by_text("Waiting for the picture…").wait_for()
    assert real.violations(shown) == []
    stub.status, stub.answer = 502, "Bad Gateway"
    stub.may_answer.set()
    shown.locator("#alert p").wait_for()
    assert real.violations(shown) == []


@pytest.mark.parametrize("width", [320, 390, 800])
def test_nothing_is_wider_than_the_screen(visit: Open, stub: Stub, width: int, tmp_path: Path) -> None:
    stub.reference = MADE
    shown = visit("/", viewport={"width": width, "height": 800})
    shown.get_by_label("Face").set_input_files(photos(tmp_path, f"{'a-very-long-name-' * 8}.png"))
    wide = "document.documentElement.scrollWidth"
    assert shown.evaluate(wide) <= width
    for name in ("bucket_missing", "environment_incomplete", "parameter_unknown", "little"):
        stub.name = name
        for language in ("en", "id"):
            shown.goto(f"{stub.url}/answered?lang={language}")
            shown.evaluate("for (const details of document.querySelectorAll('article details')) details.open = true")
            assert shown.evaluate(wide) <= width, (name, language)
