"""Every format of every command: one exit code, a pure standard output, the same bytes each time, and nothing alive in it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

from diagnose.cli import cli
from diagnose.cli.output import FORMATS
from diagnose.errors import DiagnoseError
from tests import browser as real

HOSTILE = (
    "\x1b[31mred\x1b]8;;http://evil.example\x07\u202egnp.exe\u2066 [bold red]x[/] <script>alert(1)</script>"
    " <img src=http://evil.example/x onerror=alert(1)> ![x](http://evil.example/y) [l](javascript:alert(1)) @everyone #1"
    " |a|b| `code` ``` ]]> &lt;b&gt; {{7*7}} {0} %s =cmd|'/c calc'!A1 \x00 \ud800"
)


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    exit_code: int
    stdout: str
    stderr: str
    output: str


def run(*arguments: object, lang: str = "en") -> Ran:
    """The command as a shell runs it: an error of ours is its exit code."""
    ran = CliRunner().invoke(cli, [*map(str, arguments), "--lang", lang])
    code = int(ran.exception.exit) if isinstance(ran.exception, DiagnoseError) else ran.exit_code
    return Ran(code, ran.stdout, ran.stderr, ran.output)


@pytest.fixture(scope="module")
def commands(cases: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[object, ...]]:
    """Every diagnosing command, each with evidence that comes to something else."""
    broken, sound, little = cases["bucket_missing"], cases["sound"], cases["bucket_missing"] / "response.json"
    empty = tmp_path_factory.mktemp("empty") / "nothing.txt"
    empty.write_text("nothing is told here\n", encoding="utf-8")
    return {
        "latest": ("latest-log", broken / "prompt_log.json"),
        "broken": ("checklist", broken),
        "sound": ("checklist", sound),
        "little": ("checklist", little),
        "all": ("checklist", broken, "--all"),
        "nothing": ("checklist", empty),
        "verbose": ("checklist", broken, "-v"),
        "history": ("history", broken / "prompt_log.json"),
        "compare": ("compare", broken, sound),
        "compared": ("compare", "--history", broken / "prompt_log.json", sound / "prompt_log.json"),
    }


NAMES = ("latest", "broken", "sound", "little", "all", "nothing", "verbose", "history", "compare", "compared")


def check_json(out: str) -> None:
    json.loads(out)


def check_markdown(out: str) -> None:
    assert out.startswith("## ")
    alive(out)


def check_html(out: str) -> None:
    assert out.startswith("<!doctype html>") and out.endswith("</html>")
    Tags().feed(out)


def check_junit(out: str) -> None:
    assert ElementTree.fromstring(out.encode()).tag == "testsuites"  # noqa: S314, our own


def check_sarif(out: str) -> None:
    assert json.loads(out)["version"] == "2.1.0"


def check_text(out: str) -> None:
    assert "\x1b" not in out


CHECKS: Mapping[str, Callable[[str], None]] = {
    "json": check_json,
    "markdown": check_markdown,
    "html": check_html,
    "junit": check_junit,
    "sarif": check_sarif,
    "text": check_text,
}


class Tags(HTMLParser):
    """Refuses every tag and attribute that could load or run something."""

    LOADING = frozenset(
        {"src", "href", "srcset", "action", "data", "formaction", "poster", "ping", "style", "xlink:href"}
    )
    REFUSED = frozenset({"iframe", "object", "embed", "img", "link", "base", "form", "a"})

    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        inside = tag == "a" and len(attrs) == 1 and str(attrs[0][1]).startswith("#answer-")
        assert inside or tag not in self.REFUSED, (tag, attrs)
        self.scripts += tag == "script"
        assert self.scripts <= 1
        for name, _ in attrs:
            assert inside or (name not in self.LOADING and not name.startswith("on")), (tag, name)


def alive(markdown: str) -> None:
    """Fails where a reader of Markdown makes a link, a picture or HTML of it."""
    kinds = {"link_open", "image", "html_inline", "html_block"}
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        found = [t for t in (token, *(token.children or ())) if t.type in kinds]
        assert not found, found
    for line in markdown.split("\n"):
        bare = re.sub(r"`+[^`]*`+", "", line)
        assert line.startswith(("  ", "```")) or not re.search(r"https?://", bare), line


def test_every_format_is_looked_at() -> None:
    assert set(CHECKS) == set(FORMATS)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", NAMES)
def test_exit_code_and_stdout(name: str, form: str, commands: Mapping[str, tuple[object, ...]], tmp_path: Path) -> None:
    said = run(*commands[name])
    shown = run(*commands[name], "--format", form)
    assert shown.exit_code == said.exit_code, shown.output
    if form == "text" and name == "nothing":
        assert shown.stdout == ""
        return
    CHECKS[form](shown.stdout.rstrip("\n"))
    if name in ("broken", "history", "compare") and form != "text":  # in a file the text is as wide as a page
        file = tmp_path / "answer"
        into = run(*commands[name], "--format", form, "-o", file)
        assert (into.exit_code, into.stdout) == (said.exit_code, "")
        assert file.read_text(encoding="utf-8") == shown.stdout, "not the same bytes"


def test_each_command_comes_to_its_own(commands: Mapping[str, tuple[object, ...]]) -> None:
    found = {name: run(*commands[name]).exit_code for name in NAMES}
    assert found["broken"] == 1 and found["sound"] == 0 and found["nothing"] == 4 and found["little"] in (0, 1, 3)


def test_several_formats_in_one_run(cases: Mapping[str, Path], tmp_path: Path) -> None:
    outputs = {form: tmp_path / f"a{suffix}" for form, suffix in
               (("html", ".html"), ("markdown", ".md"), ("json", ".json"), ("junit", ".xml"), ("sarif", ".sarif"))}  # fmt: skip
    ran = run("checklist", cases["bucket_missing"], *(part for file in outputs.values() for part in ("-o", file)))
    assert ran.exit_code == 1 and ran.stdout.startswith("Text-to-image was used")
    for form, file in outputs.items():
        assert file.read_text(encoding="utf-8") == run("checklist", cases["bucket_missing"], "--format", form).stdout
        assert f"{file.name} ({form})" in ran.stderr
    both = run(
        "checklist", cases["bucket_missing"], "--format", "json", "-o", "-", "--format", "html", "-o", tmp_path / "b"
    )
    assert json.loads(both.stdout)["outcome"] == "not_switched"
    assert (tmp_path / "b").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_wrong_outputs_are_told_before_anything_is_read(cases: Mapping[str, Path], tmp_path: Path) -> None:
    evidence = cases["bucket_missing"] / "response.json"
    before = evidence.read_bytes()
    for arguments, told in (
        (("--format", "json", "--format", "html"), "several formats need a -o FILE each"),
        (("-o", tmp_path / "answer.pdf"), "does not say its format"),
        (("-o", tmp_path / "a.csv"), "does not say its format"),
        (("-o", tmp_path / "no" / "a.html"), "there is no folder"),
        (("-o", evidence), "is evidence itself"),
        (("--format", "json", "-o", tmp_path / "a", "-o", tmp_path / "b"), "as many --format as -o"),
        (("-o", tmp_path / "a.md", "-o", tmp_path / "a.md"), "the same file"),
    ):
        ran = run("checklist", evidence, *arguments)
        assert (ran.exit_code, ran.stdout) == (2, "") and told in ran.stderr.replace("\n", " "), (arguments, ran.output)
    assert evidence.read_bytes() == before and not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_told_and_the_others_are_written(
    cases: Mapping[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "a.html").mkdir()
    ran = run("checklist", cases["bucket_missing"], "-o", tmp_path / "a.md", "--format", "markdown")
    assert ran.exit_code == 1 and (tmp_path / "a.md").exists()
    failed = run("checklist", cases["bucket_missing"], "--format", "html", "-o", tmp_path / "a.html")
    assert failed.exit_code == 2


@pytest.fixture(scope="module")
def hostile(cases: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evidence of a broken run, in which everything that a user writes is hostile."""
    folder = tmp_path_factory.mktemp("hostile") / "case"
    shutil.copytree(cases["bucket_missing"], folder)
    file = folder / "prompt_log.json"
    entries = json.loads(file.read_text(encoding="utf-8"))
    for entry in entries:
        entry["prompt"] = HOSTILE
        for part in entry.values():
            if isinstance(part, dict) and "prompt" in part:
                part["prompt"] = HOSTILE
    file.write_text(json.dumps(entries), encoding="utf-8")
    log = (folder / "backend.log").read_text(encoding="utf-8")
    log = log.replace("Bucket not found", f"Bucket not found {HOSTILE}".encode("utf-8", "replace").decode())
    (folder / "backend.log").write_text(log, encoding="utf-8")
    (folder / "console.log").write_text(
        f"Uncaught TypeError: {HOSTILE}".encode("utf-8", "replace").decode(), encoding="utf-8"
    )
    return folder


@pytest.mark.parametrize("lang", ["en", "id"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("command", ["checklist", "latest-log", "history", "compare"])
def test_hostile_evidence_is_inert(
    command: str, form: str, lang: str, hostile: Path, cases: Mapping[str, Path]
) -> None:
    log = hostile / "prompt_log.json"
    arguments = {"checklist": (hostile, "-v"), "latest-log": (log, "-v"), "history": (log, "--by", "prompt"), "compare": (hostile, cases["sound"], "-v")}  # fmt: skip
    shown = run(command, *arguments[command], "--format", form, lang=lang)
    assert shown.exit_code in (0, 1, 3), shown.output
    CHECKS[form](shown.stdout.rstrip("\n"))
    assert not [c for c in shown.stdout if not (c.isprintable() or c == "\n")]


def test_spreadsheets_get_no_formula(hostile: Path) -> None:
    shown = run("history", hostile / "prompt_log.json", "--by", "prompt", "--format", "csv")
    cells = [cell for line in shown.stdout.split("\n") for cell in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', line)]
    assert not [cell for cell in cells if cell.strip('"').startswith(("=", "+", "@", "\t"))]


# --- the page in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with real.launched() as found:
        yield found


@pytest.fixture(scope="module")
def pages(cases: Mapping[str, Path], hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Pages of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    log = cases["bucket_missing"] / "prompt_log.json"
    made = {
        "broken": ("checklist", cases["bucket_missing"]),
        "sound": ("checklist", cases["sound"]),
        "hostile": ("checklist", hostile),
        "all": ("checklist", cases["bucket_missing"], "--all"),
        "history": ("history", log, "--by", "day"),
        "compare": ("compare", cases["bucket_missing"], cases["sound"]),
    }
    for name, arguments in made.items():
        run(*arguments, "-o", folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["broken", "sound", "hostile", "all", "history", "compare"])
def test_the_page_in_a_browser(name: str, scheme: str, browser: object, pages: Mapping[str, Path]) -> None:
    with real.opened(browser, color_scheme=scheme, viewport=real.PHONE) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(pages[name].as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it is wider than a phone"
        page.set_viewport_size(real.DESK)
        assert len(asked) == 1, asked
        assert not page.said
        assert not real.violations(page)


def test_a_command_can_be_copied(browser: object, pages: Mapping[str, Path]) -> None:
    with real.opened(browser) as page:
        page.goto(pages["broken"].as_uri())
        button = page.locator(".command button").first
        button.click()
        page.wait_for_function("document.querySelector('.command button').textContent !== 'Copy'")
        assert page.locator(".command code").first.inner_text().startswith("insert into storage.buckets")
        assert page.locator("mark").count() >= 1
        assert page.locator("svg.drawing circle").count() == 7


def test_the_page_without_a_script_and_on_paper(browser: object, pages: Mapping[str, Path]) -> None:
    with real.opened(browser, java_script_enabled=False) as page:
        page.goto(pages["broken"].as_uri())
        assert page.locator("button:visible").count() == 0
        page.emulate_media(media="print")
        assert page.locator("h1:visible").count() == 1
        assert len(page.pdf()) > 10_000
