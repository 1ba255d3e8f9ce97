"""The reports of histories and of comparisons: all that a screen says, and nothing of how wide a screen is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from diagnose import compare as laid
from diagnose.model import Phrase, Status
from diagnose.model.comparison import Comparison, HistoryComparison
from diagnose.model.history import (
    Attribute,
    Breakdown,
    Bucket,
    History,
    Malformed,
    Missed,
    Onset,
    Place,
    Share,
    Source,
    Tally,
)
from diagnose.render import compare_report, history_report, html, markdown
from diagnose.render.history_report import LINES
from diagnose.render.report import Bars, Outline, Report, Stretch, Table, Timeline
from diagnose.render.words import Words
from tests import test_compare as comparisons
from tests import test_render_history as histories

ENGLISH = Words("en")
DAYS = replace(histories.WHOLE, timeline=Breakdown("day", histories.days(LINES)))
HISTORIES = {**histories.SEVERAL, "whole": DAYS}
DRAWN = re.compile(r"[▏▎▍▌▋▊▉█▁▂▃▄▅▆▇]+")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\u200e\u200f]")
SECRET, TOKEN = "sb_secret_abcdefghijklmnop", "hunter22"


def two_histories() -> HistoryComparison:
    a = comparisons.history(1000, {"bucket_missing": 10, "wrong_target_model": 30})
    b = comparisons.history(2_000_000, {"bucket_missing": 900_000}, {"upload_result_lost": 5})
    return laid.histories("a.jsonl", a, "b.jsonl", b)


def texts(value: Any) -> Iterator[str]:
    """Every text that is said, whatever block it stands in."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Stretch):
        yield from (value.name, *value.numbers, value.cause)
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for inner in value:
            yield from texts(inner)


def of(history: History, language: str = "en", verbose: bool = False) -> Report:
    return history_report.of(history, Words(language), verbose=verbose, titles=histories.TITLES)


def compared(
    comparison: Comparison | HistoryComparison, language: str = "en", verbose: bool = False, room: int = 228
) -> Report:
    return compare_report.of(comparison, Words(language), verbose=verbose, room=room)


def said(report: Report) -> Counter[str]:
    return Counter(word.rstrip(",") for text in texts(report) for word in text.split())


def drawn(screen: str) -> Counter[str]:
    """The words of a screen, without what is only drawn."""
    return Counter(word.rstrip(",") for word in DRAWN.sub(" ", screen).split())


def section(report: Report, key: str) -> Any:
    return next(section for section in report.sections if section.key == key)


def block(report: Report, key: str, kind: type) -> Any:
    return next(block for block in section(report, key).blocks if isinstance(block, kind))


# --- all that is on the screen ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_is_told_whole(name: str, language: str, verbose: bool) -> None:
    report = of(HISTORIES[name], language, verbose)
    screen = histories.screen(HISTORIES[name], 120, language, verbose=verbose)
    # what stands below a line that only a terminal draws
    low, high = ("10.0%", "50.0%") if language == "en" else ("10,0%", "50,0%")
    sparkline = Words(language)("not sound: {low} at the lowest, {high} at the highest", low=low, high=high)
    missing = drawn(screen) - said(report) - drawn(sparkline)
    assert not missing, missing


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize("name", [*(name for name in comparisons.PAIRS if name != "hostile"), "histories"])
def test_a_comparison_is_told_whole(name: str, language: str, verbose: bool) -> None:
    comparison = two_histories() if name == "histories" else comparisons.PAIRS[name]()
    whole = "".join("".join(texts(compared(comparison, language, verbose))).split())
    screen = comparisons.screen(comparison, 120, language, verbose=verbose)
    # a long word stands in two lines of its cell
    missing = {word for word in re.findall(r"\S*\d\S*", screen) if word not in whole}
    assert not missing, missing


def test_every_number_of_a_history_is_said() -> None:
    words = said(of(DAYS, verbose=True))
    for number in ("10,023", "61.1%", "6,120", "1,234", "12.3%", "2,000", "9,900", "123", "3,650", "36.4%", "14"):
        assert any(word.strip("(),:;") == number for word in words), number
    assert "p < 0.0001" in " ".join(texts(of(DAYS))) and "p < 0,0001" in " ".join(texts(of(DAYS, "id")))


def test_the_parts_have_their_names() -> None:
    keys = ["outcomes", "why", "stopped", "since", "beside", "timeline", "by", "not_counted", "read"]
    assert [section.key for section in of(DAYS).sections] == keys
    assert [section.key for section in of(DAYS, verbose=True).sections] == [*keys, "files"]
    assert [section.key for section in of(History("seed")).sections] == []
    logs = comparisons.PAIRS["logs"]()
    assert [section.key for section in compared(logs).sections][:3] == ["decisive", "chain", "expected"]
    for report in (of(DAYS, verbose=True), compared(logs, verbose=True), compared(two_histories())):
        names = [section.key for section in report.sections]
        assert len(set(names)) == len(names) and all(section.blocks and section.title for section in report.sections)
    with_notes = {"a.jsonl": "A", "b.jsonl": "B"}
    assert dict(row for row in compared(two_histories()).facts.rows if row[0]) == {v: k for k, v in with_notes.items()}


@pytest.mark.parametrize(
    ("name", "status", "verdict"),
    [
        ("empty", Status.UNKNOWN, "Cannot tell"),
        ("sound", Status.PASS, "All sound"),
        ("undated", Status.FAIL, "100% not sound"),
        ("whole", Status.FAIL, "23.4% not sound"),
    ],
)
def test_the_answer_in_two_words(name: str, status: Status, verdict: str) -> None:
    report = of(HISTORIES[name])
    assert (report.status, report.verdict) == (status, verdict)
    undetermined = replace(histories.SOUND, outcomes={"undetermined": Tally(2)})
    assert of(undetermined).status is Status.UNKNOWN


def test_the_answer_of_a_comparison_in_two_words() -> None:
    found = {name: compared(pair()) for name, pair in comparisons.PAIRS.items()}
    assert (found["same"].status, found["same"].verdict) == (Status.PASS, "The same")
    assert (found["logs"].status, found["logs"].verdict) == (Status.WARN, "Different")
    assert (found["nothing"].status, found["nothing"].verdict) == (Status.UNKNOWN, "Cannot tell")
    empty = laid.histories("a", History("seed"), "b", History("seed"))
    assert compared(empty).status is Status.UNKNOWN and compared(two_histories()).status is Status.WARN


# --- nothing of a screen ----------------------------------------------------------------------------------------------


def test_a_report_needs_no_console() -> None:
    code = (
        "import sys; from diagnose.render import history_report, compare_report; "
        "sys.exit(any(name.split('.')[0] == 'rich' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bars_are_parts_of_the_longest() -> None:
    bars = block(of(DAYS), "outcomes", Bars).bars
    assert [(bar.name, bar.numbers[0]) for bar in bars][:2] == [("switched", "6,120"), ("not switched", "3,900")]
    assert [round(bar.length, 4) for bar in bars] == [0.6182, 0.3939, 0.0003, 1.0, 0.0124]


def test_a_timeline_is_whole_until_it_is_very_long() -> None:
    for count, kept in ((1, 1), (90, 90), (400, 400), (401, 37), (420, 39), (480, 240), (5000, 200), (40_000, 400)):
        buckets = histories.days(count)
        stretches = block(of(replace(DAYS, timeline=Breakdown("day", buckets))), "timeline", Timeline).stretches
        assert len(stretches) == kept, count
        assert sum(stretch.entries for stretch in stretches) == 10 * count
        assert sum(stretch.bad for stretch in stretches) == sum(bucket.bad for bucket in buckets)
        assert sum(dict(stretch.causes)["bucket_missing"] for stretch in stretches) == count
    assert stretches[0].numbers == ("1,000", "10.0%") and stretches[0].cause == "bucket_missing 100"


@pytest.mark.parametrize("count", [*range(1, 12), *range(395, 450, 7), 799, 1000, 1601, 4096])
def test_a_screen_shows_the_same_lines_however_long_the_timeline_is(count: int) -> None:
    hours = [
        Stretch(name := f"{n // 24:04} {n % 24:02}:00", 2, n % 3 % 2, (), "", (("a", 1),), (name, name))
        for n in range(count)
    ]
    at_once = history_report.merged(hours, LINES, ENGLISH)
    stretches = history_report.bounded(hours, ENGLISH)
    assert len(stretches) <= history_report.STRETCHES and len(at_once) <= LINES
    twice = history_report.merged(stretches, LINES, ENGLISH)
    if count > LINES:
        assert twice == at_once
    assert [one.ends for one in twice] == [one.ends for one in at_once]


def test_lists_end_and_say_what_is_left() -> None:
    many = replace(histories.WHOLE, roots={f"check_{n}": Tally(9) for n in range(1200)}, bad=Tally(9 * 1200))
    for verbose, lines in ((False, 8), (True, 1000)):
        report = of(many, verbose=verbose)
        assert len(block(report, "why", Table).rows) == lines
        assert f"and {1200 - lines:,} more" in list(texts(section(report, "why")))


# --- what is hostile --------------------------------------------------------------------------------------------------


def hostile(bad: str) -> History:
    share = Share(1, 2)
    return replace(
        DAYS,
        profile=bad,
        by=Breakdown("request.api_key", (Bucket(bad, 1, 1, {}, {bad: 1}),)),
        roots={bad: Tally(1, bad, bad, Place(bad, 0, 0))},
        symptoms={bad * 2: Tally(1, None, None, Place(bad, None, 0))},
        checks={bad: {"warn": Tally(1)}},
        onsets=(
            Onset(
                bad, Tally(1), bad, 0.1, share, share, bad, (Attribute("request.password", TOKEN, share, share),) * 2
            ),
        ),
        timeline=Breakdown(bad, (Bucket(bad, 3, 1, {}, {bad: 1}),)),
        malformed_at=(Malformed(bad, 0, bad),),
        not_counted=(Missed(bad, 0, 1, bad),),
        notes=(bad,),
        sources=(Source(bad, "prompt_log", 1, 1, 1),) * 2,
    )


@pytest.mark.parametrize(
    "bad",
    [
        SECRET,
        f"\x1b[31m{SECRET}\x07\u202egnp.exe",
        "<script>alert(1)</script>",
        "{0.__class__} {n} %s {",
        "one\n\n## Outcomes\n| x |",
        "x" * 100_000,
        "a\ud800b",
    ],
)
@pytest.mark.parametrize("verbose", [False, True])
def test_hostile_values_are_inert_bounded_and_masked(bad: str, verbose: bool) -> None:
    reports = [of(hostile(bad), language, verbose) for language in ("en", "id")]
    a = replace(comparisons.history(1000, {bad: 10}), profile=bad, notes=(bad,))
    reports.append(compared(laid.histories(bad, a, bad, comparisons.history(9, {})), verbose=verbose))
    for report in reports:
        for text in texts(report):
            assert len(text) <= 3000 and "abcdefgh" not in text and TOKEN not in text
        written = markdown.dumps([report], ENGLISH)
        assert not CONTROL.search(written) and "abcdefgh" not in written and TOKEN not in written
        assert not re.search(r"(?<!\\)<script|\n## Outcomes", re.sub(r"`[^`\n]*`", "", written))


def test_a_hostile_entry_is_inert_in_every_format() -> None:
    report = compared(comparisons.PAIRS["hostile"](), verbose=True)
    for text in texts(report):
        assert len(text) <= 3000 and "hunter2" not in text
    for written in (markdown.dumps([report], ENGLISH), html.dumps([report], ENGLISH)):
        assert not CONTROL.search(written) and "hunter2" not in written


@pytest.mark.parametrize(
    ("source", "command"),
    [
        ("prompt_log.json", "diagnose latest-log prompt_log.json --at-offset 7"),
        ("it's mine.json", "diagnose latest-log 'it'\"'\"'s mine.json' --at-offset 7"),
        ("-x.json", "diagnose latest-log ./-x.json --at-offset 7"),
        ("x/ " * 50 + ".json", f"diagnose latest-log '{'x/ ' * 50}.json' --at-offset 7"),
        ("x\x1b[31m.json", None),
        ("a\nb.json", None),
        ("a\u202eb.json", None),
        ("sb_secret_abcdefghijkl.json", None),
        ("x" * 5000, None),
        ("stdin", None),
        ("-", None),
        ("s3://bucket/x.json", None),
    ],
)
def test_a_command_stands_only_where_copying_it_works(source: str, command: str | None) -> None:
    assert history_report.command(Place(source, 0, 7)) == command
    row = block(
        of(replace(DAYS, roots={"bucket_missing": Tally(1, None, None, Place(source, 0, 7))})), "why", Table
    ).rows[0]
    assert row.command == command
    assert row.under[-1].endswith("(byte 7)") == (command is None) and bool(row.instead) == (command is not None)


# --- said in one language ---------------------------------------------------------------------------------------------


def test_nothing_of_ours_is_left_in_english() -> None:
    pairs = [
        (of(DAYS, "en", True), of(DAYS, "id", True)),
        *(
            (compared(c, "en", True), compared(c, "id", True))
            for c in (comparisons.PAIRS["logs"](), comparisons.PAIRS["entries"](), two_histories())
        ),
    ]
    for english, indonesian in pairs:
        assert english.headline != indonesian.headline and english.verdict != indonesian.verdict
        for one, other in zip(english.sections, indonesian.sections, strict=True):
            assert one.key == other.key and one.title != other.title
    shifts = block(compared(two_histories(), "id"), "beyond_chance", Table)
    assert shifts.heads[3:] == ("poin", "kali", "kebetulan")
    cells = [cell for row in shifts.rows for cell in row.cells[1:]]
    assert "900.000 (45,0%)" in cells and "45,0x" in cells and "p < 0,001" in cells and "+44,0" in cells
    trial = " ".join(text for text in texts(compared(comparisons.PAIRS["logs"](), "id")) if "->" in text)
    assert "hasil switched -> not_switched" in trial


def test_notes_are_said_in_the_language() -> None:
    note = Phrase("{n} files ({size})", n=3, size="2 kB")
    history = replace(DAYS, notes=(note,), not_counted=(Missed("a", 0, 1, note),))
    a = replace(comparisons.history(1000, {"bucket_missing": 10}), notes=(note,))
    both = laid.histories("a", a, "b", a)
    one = comparisons.PAIRS["same"]()
    noted = replace(one, a=one.a._replace(diagnosis=one.a.diagnosis._replace(notes=(note,))))
    for language in ("en", "id"):
        told = Words(language).say(note)
        assert list(texts(section(of(history, language), "read")))[-1] == told
        assert any(text.endswith(told) for text in texts(section(of(history, language), "not_counted")))
        assert ("", told) in compared(both, language).facts.rows
        assert told in texts(section(compared(noted, language), "read_a"))
    assert Words("id").say(note) != note


def test_onsets_stand_under_what_they_are_about() -> None:
    items = block(of(DAYS), "since", Outline).items
    assert [(item.strong, len(item.under)) for item in items] == [(True, 3), (True, 1)]
    assert items[0].text == "2,345 (23.4%)  all that are not sound"
    assert items[0].under[0].text.startswith("Since 2026-02-24 06:35, after `fal_request.model` changed to")
    assert [item.text for item in items[0].under[1:]] == ["Also new since then:", "What sets them apart:"]
    assert items[0].under[1].under[0].text.startswith("`request.image_url` = (absent): 94.3% (1,200 of 1,272)")
