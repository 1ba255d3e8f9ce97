"""A history as text, JSON and CSV: nothing lost, nothing wider than the screen, nothing that commands a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from diagnose import schema
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
from diagnose.render import history_document
from diagnose.render.history import show
from diagnose.render.history_report import LINES, OUTCOMES, PICTURES, UNITS, moment
from diagnose.render.words import Words

TITLES = {"bucket_missing": "The bucket does not exist.", "no_image_sent": "The request carried no image."}
FIRST, LAST = "2026-01-01T00:01:51.837720", "2026-03-31T23:50:11"
COMMANDING = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def tally(count: int, first: str | None = FIRST, last: str | None = LAST, byte: int = 0) -> Tally:
    return Tally(count, first, last, Place("prompt_log.json", byte // 100, byte))


def days(count: int) -> tuple[Bucket, ...]:
    """Days of a year, the second half of them worse."""
    return tuple(
        Bucket(
            f"2026-{1 + day // 28:02}-{1 + day % 28:02}",
            10,
            1 if day < count // 2 else 5,
            {"switched": 5, "not_switched": 5},
            {"bucket_missing": 1, "no_image_sent": 4},
        )
        for day in range(count)
    )


SOUND = History("seed", entries=2, outcomes={"switched": tally(2)}, generations={"succeeded": 2})
UNDATED = History(
    "seed", entries=1, undated=1, bad=tally(1, None, None), outcomes={"not_switched": tally(1, None, None)}
)
WHOLE = History(
    "seed",
    entries=10_023,
    malformed=14,
    invalid=31,
    undated=3,
    bad=tally(2345),
    outcomes={"switched": tally(6120), "not_switched": tally(3900), "wrong_model": tally(3)},
    generations={"succeeded": 9900, "failed": 123},
    roots={
        "no_image_sent": tally(2000),
        "bucket_missing": tally(1234, "2026-01-11T06:35:00", LAST, 12345),
        "storage_key_rejected": Tally(4, FIRST, FIRST, Place("/var/log/backend.log", None, 777)),
        "fal_rate_limited": Tally(1, None, None, Place("backend.log", None, 5)),
    },
    symptoms={"model_not_switched": tally(1106)},
    checks={
        "no_image_sent": {"note": tally(2000)},
        "parameter_unknown": {"warn": tally(6100)},
        "bucket_missing": {"fail": tally(1234)},
    },
    timeline=Breakdown("day", days(90)),
    by=Breakdown(
        "fal_request.model",
        (
            Bucket("fal-ai/flux-general/image-to-image", 6120, 0, {"switched": 6120}, {}),
            Bucket("fal-ai/flux/schnell", 3650, 2345, {"not_switched": 3650}, {"bucket_missing": 1234}),
        ),
        left_out=12,
    ),
    onsets=(
        Onset(
            "any",
            tally(2345),
            "2026-02-24T06:35:47.01",
            1e-30,
            Share(12, 400),
            Share(1234, 1272),
            None,
            (
                Attribute("fal_request.model", '"fal-ai/flux/schnell"', Share(1234, 1272), Share(12, 400)),
                Attribute("request.image_url", "(absent)", Share(1200, 1272), Share(11, 400)),
            ),
            (Attribute("request.has_face_image", "false", Share(1201, 1234), Share(1, 38)),),
        ),
        Onset("bucket_missing", tally(1234), None, 0.7, Share(0, 0), Share(1234, 10_023)),
    ),
    sources=(Source("prompt_log.json", "prompt_log", 212_747_950, 10_023, 14),),
    malformed_at=(Malformed("prompt_log.json", 991, "not JSON: expected ',' delimiter"),),
    not_counted=(Missed("prompt_log.json", 212_000_000, None, "it was cut"), Missed("b.gz", 10, 2010, "it is damaged")),
    notes=("prompt_log.json: JSON Lines",),
)
SEVERAL = {
    "empty": History("seed"),
    "only malformed": History("seed", malformed=3, malformed_at=WHOLE.malformed_at, sources=WHOLE.sources),
    "sound": replace(SOUND, onsets=(), timeline=Breakdown("hour", (Bucket("2026-01-01T00", 2, 0, {}, {}),))),
    "undated": UNDATED,
    "whole": WHOLE,
}


def screen(
    history: History, width: int = 80, language: str = "en", encoding: str = "utf-8", verbose: bool = False, **how: Any
) -> str:
    """The history as it stands on a screen."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False, **how)
    show(history, console, Words(language), verbose, TITLES)
    file.flush()
    return file.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


def part(said: str, title: str) -> list[str]:
    """The lines below a title."""
    return said.partition(f"\n{title}\n")[2].partition("\n\n")[0].rstrip("\n").split("\n")


def flat(said: str) -> str:
    return re.sub(r"\s+", " ", said)


def rows(history: History) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(history_document.csv(history))))


# --- the screen -------------------------------------------------------------------------------------------------------


def test_the_first_lines_say_it() -> None:
    assert flat(screen(WHOLE)).startswith(
        "10,023 generations from 2026-01-01 00:01 to 2026-03-31 23:50: 61.1% switched, 38.9% not switched, "
        "<0.1% wrong model; 2,345 (23.4%) not sound prompt_log.json (212.7 MB), profile seed "
    )
    assert flat(screen(WHOLE, language="id")).startswith(
        "10.023 generate dari 2026-01-01 00:01 sampai 2026-03-31 23:50: 61,1% model diganti,"
    )


@pytest.mark.parametrize(
    ("history", "said"),
    [
        (History("seed"), "No generation was found\n"),
        (SOUND, "2 generations from 2026-01-01 00:01 to 2026-03-31 23:50: 100% switched; all sound or by design\n"),
        (UNDATED, "1 generation without a timestamp: 100% not switched; 1 (100%) not sound\n"),
        (
            replace(SOUND, outcomes={"switched": tally(1, LAST), "undetermined": tally(1, LAST)}),
            "2 generations at 2026-03-31 23:50: 50.0% switched, 50.0% undetermined; none known to be wrong\n",
        ),
    ],
)
def test_the_first_line_of_little(history: History, said: str) -> None:
    assert screen(history, 120).startswith(said)


def test_the_parts_stand_in_order() -> None:
    parts = [
        "Outcomes",
        "Why they are not sound",
        "The root cannot be told from these records",
        "Since when",
        "Also seen",
        "Timeline, by day",
        "By fal_request.model",
        "What was not counted",
        "How it was read",
    ]
    assert [line for line in screen(WHOLE).split("\n") if line in [*parts, "Files"]] == parts
    assert [line for line in screen(WHOLE, verbose=True).split("\n") if line in [*parts, "Files"]] == [*parts, "Files"]
    for sound in (SOUND, SEVERAL["empty"]):
        assert not set(parts[1:]) & set(screen(sound).split("\n"))
    assert part(screen(SEVERAL["only malformed"]), "What was not counted")[0] == "  Malformed entries: 3"


def test_outcomes_have_bars_as_long_as_they_are_many() -> None:
    lines = part(screen(WHOLE), "Outcomes")
    assert [line.split("  ")[1] for line in lines] == [
        "switched",
        "not switched",
        "wrong model",
        "picture made",
        "no picture made",
    ]
    assert [line.count("█") for line in lines] == [18, 11, 0, 30, 0]
    assert lines[2].endswith("<0.1%  ▏")
    assert part(screen(WHOLE, encoding="ascii"), "Outcomes")[2].endswith("<0.1%  #")


def test_each_root_has_its_times_and_the_command_that_opens_it() -> None:
    said = part(screen(WHOLE, 120), "Why they are not sound")
    assert said[:3] == [
        "  bucket_missing        1,234  12.3%  The bucket does not exist.",
        "    from 2026-01-11 06:35 to 2026-03-31 23:50",
        "    prompt_log.json#/123  diagnose latest-log prompt_log.json --at-offset 12345",
    ]
    assert said[-4:] == [
        "    at 2026-01-01 00:01",
        "    /var/log/backend.log@777  diagnose latest-log /var/log/backend.log --at-offset 777",
        "  fal_rate_limited          1  <0.1%",
        "    backend.log@5  diagnose latest-log backend.log --at-offset 5",
    ]
    assert not any("no_image_sent" in line for line in said)


def test_in_a_narrow_window_a_command_is_parted_where_a_shell_joins_it() -> None:
    said = screen(WHOLE, 40)
    assert "    diagnose latest-log \\\n      prompt_log.json \\\n      --at-offset 12345\n" in said


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("it's mine.json", "diagnose latest-log 'it'\"'\"'s mine.json' --at-offset 7"),
        ("-x.json", "diagnose latest-log ./-x.json --at-offset 7"),
        ("$(reboot).json", "diagnose latest-log '$(reboot).json' --at-offset 7"),
        ("x\x1b[31m.json", "x\\x1b[31m.json#/0 (byte 7)"),
        ("a\nb.json", "a b.json#/0 (byte 7)"),
        ("sb_secret_abcdefghijkl.json", ".json#/0 (byte 7)"),
        ("x/ " * 50 + ".json", "x/ .json#/0 (byte 7)"),
        ("stdin", "stdin#/0 (byte 7)"),
        ("s3://bucket/x.json", "s3://bucket/x.json#/0 (byte 7)"),
    ],
)
def test_a_command_is_shown_only_where_it_would_open_the_file(source: str, shown: str) -> None:
    history = replace(UNDATED, roots={"bucket_missing": Tally(1, None, None, Place(source, 0, 7))})
    lines = part(screen(history, 120), "Why they are not sound")
    assert flat("".join(lines)).endswith(shown)
    assert ("diagnose latest-log" in "".join(lines)) == shown.startswith("diagnose")


def test_bad_generations_without_a_cause_are_told() -> None:
    assert part(screen(UNDATED), "Why they are not sound") == [
        "  no check names a cause of 1 (100%)",
        "    prompt_log.json#/0  diagnose latest-log prompt_log.json --at-offset 0",
    ]
    assert "no check names a cause" not in screen(WHOLE)


def test_a_long_timeline_is_merged_and_a_short_one_is_not() -> None:
    for count, lines, first in (
        (1, 1, ["2026-01-01", "10"]),
        (LINES, LINES, ["2026-01-01", "10"]),
        (90, 30, ["2026-01-01..2026-01-03", "30"]),
        (5000, 40, ["2026-01-01..2026-05-13", "1,250"]),
    ):
        history = replace(WHOLE, timeline=Breakdown("day", days(count)))
        said = [line for line in part(screen(history, 120), "Timeline, by day") if re.match(r"  20", line)]
        assert (len(said), said[0].split()[:2]) == (lines, first)
        assert re.match(r"  [▂-█]{3,116}$", part(screen(history, 120), "Timeline, by day")[0]) or count < 3


def test_the_timeline_names_no_cause_that_is_meant_so() -> None:
    said = part(screen(WHOLE, 120), "Timeline, by day")
    assert all(line.endswith("bucket_missing 3") for line in said if re.match(r"  20", line))


@pytest.mark.parametrize(
    ("unit", "name", "shown"),
    [
        ("minute", "2026-01-11T06:35", "2026-01-11 06:35"),
        ("10 minutes", "2026-01-11T06:3", "2026-01-11 06:30"),
        ("hour", "2026-01-11T06", "2026-01-11 06:00"),
        ("day", "2026-01-11", "2026-01-11"),
        ("month", "2026-01", "2026-01"),
        ("year", "2026", "2026"),
        ("day", "yesterday", "yesterday"),
    ],
)
def test_a_stretch_of_time_is_a_whole_time(unit: str, name: str, shown: str) -> None:
    history = replace(SOUND, timeline=Breakdown(unit, (Bucket(name, 2, 0, {}, {}),)))
    assert part(screen(history), f"Timeline, by {unit}")[-1].startswith(f"  {shown}  2  ▁ 0%  █")


def test_merged_times_of_one_day_say_the_day_once() -> None:
    buckets = tuple(Bucket(f"2026-01-11T{n // 60:02}:{n % 60:02}", 1, 1, {}, {}) for n in range(80))
    said = screen(replace(WHOLE, timeline=Breakdown("minute", buckets)))
    assert "\n  2026-01-11 00:00..00:01  2  █ 100%" in said


def test_onsets_are_sentences() -> None:
    said = flat("\n".join(part(screen(WHOLE), "Since when")))
    assert (
        'Since 2026-02-24 06:35, after `fal_request.model` changed to "fal-ai/flux/schnell", 97.0% (1,234 of 1,272) '
        "are not sound; before that 3.0% (12 of 400) were (p < 0.0001)"
    ) in said
    assert "`request.image_url` = (absent): 94.3% (1,200 of 1,272) of those since then, 2.8% (11 of 400)" in said
    assert "`request.has_face_image` = false: 97.3% (1,201 of 1,234) of these, 2.6% (1 of 38)" in said
    assert "No time stands out at which it began: it was 12.3% (1,234 of 10,023) throughout" in said
    assert WHOLE.onsets is not None
    one = replace(WHOLE.onsets[0], cause="bucket_missing", p_value=float("nan"))
    for onset, words in (
        (replace(one, changed=one.changed[1:]), "when `request.image_url` was no longer there, 97.0% (1,234 of 1,272)"),
        (replace(one, until=LAST), "before that 3.0% (12 of 400) did; it ended at 2026-03-31 23:50 Also new"),
        (replace(one, changed=()), "Since 2026-02-24 06:35, 97.0% (1,234 of 1,272) come to this; before that 3.0%"),
        (replace(one, at=None, before=Share(0, 0), after=Share(0, 0)), "No time stands out at which it began What"),
    ):
        said = flat(screen(replace(WHOLE, onsets=(onset,))))
        assert words in said and "nan" not in said
    assert "Nothing is not sound, so nothing began" in screen(replace(SOUND, onsets=()))


def test_what_was_not_counted_is_told() -> None:
    assert part(screen(WHOLE), "What was not counted") == [
        "  Malformed entries: 14",
        "    prompt_log.json, byte 991: not JSON: expected ',' delimiter",
        "    and 13 more",
        "  prompt_log.json, from byte 212000000 to the end: it was cut",
        "  b.gz, bytes 10 to 2010 (2.0 kB): it is damaged",
    ]
    many = replace(WHOLE, not_counted=tuple(Missed("a", n, n + 1, "x") for n in range(20)))
    assert part(screen(many), "What was not counted")[-1] == "  and 12 more"
    assert "and 12 more" not in screen(many, verbose=True)
    assert "Entries that do not fit the schema: 31 (0.3%)" in screen(WHOLE)
    assert "Entries without a timestamp: 3 (<0.1%)" in screen(WHOLE)


def test_other_values_are_counted() -> None:
    assert part(screen(WHOLE, 120), "By fal_request.model") == [
        "  fal-ai/flux-general/image-to-image  6,120  61.1%         0 (0%) not sound",
        "  fal-ai/flux/schnell                 3,650  36.4%  2,345 (64.2%) not sound  bucket_missing 1,234",
        "  and 12 (0.1%) with other values",
    ]
    values = tuple(Bucket(f"v{n}", 10, 0, {}, {}) for n in range(50))
    many = replace(WHOLE, by=Breakdown("request.x", values, left_out=5))
    assert part(screen(many), "By request.x")[-1] == "  and 105 (1.0%) with other values"
    assert part(screen(many, verbose=True), "By request.x")[-1] == "  and 5 (<0.1%) with other values"


def test_times_that_were_asked_for_are_the_timeline() -> None:
    asked = Breakdown("hour", (Bucket("(absent)", 3, 0, {}, {}), Bucket("2026-01-11T06", 9, 1, {}, {})), left_out=7)
    said = screen(replace(WHOLE, by=asked))
    assert part(said, "Timeline, by hour")[-2:] == [
        "  2026-01-11 06:00  9  █ 11.1%  ██████████████████████████████",
        "  and 7 (<0.1%) with other values",
    ]
    assert "Timeline, by day" not in said and "(absent)  " not in said


@pytest.mark.parametrize(
    ("count", "of", "said"),
    [
        (0, 0, "0%"),
        (0, 9, "0%"),
        (1, 10**6, "<0.1%"),
        (999, 10**6, "<0.1%"),
        (1000, 10**6, "0.1%"),
        (1, 3, "33.3%"),
        (999_000, 10**6, "99.9%"),
        (999_999, 10**6, ">99.9%"),
        (10**6, 10**6, "100%"),
    ],
)
def test_a_few_are_never_none_and_nearly_all_never_all(count: int, of: int, said: str) -> None:
    outcomes = {"switched": tally(count), "refused": tally(of - count)} if of else {"switched": tally(1)}
    history = replace(
        SOUND, entries=max(of, 1), bad=tally(max(count, 1)), outcomes=outcomes, generations={"failed": count}
    )
    lines = part(screen(history, 120), "Outcomes")
    assert f" {said}" in lines[-1]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2026-01-11T06:35:47.016926", "2026-01-11 06:35"),
        ("2026-01-11 06:35:47,016", "2026-01-11 06:35"),
        ("2026-01-11T06:35:47Z", "2026-01-11 06:35Z"),
        ("2026-01-11T06:35:47.1+07:00", "2026-01-11 06:35+07:00"),
        ("11 Jan", "11 Jan"),
    ],
)
def test_a_time_keeps_its_zone(written: str, said: str) -> None:
    assert moment(written) == said


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("width", [20, 40, 80, 120, 300])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252", "cp437"])
def test_no_line_is_wider_than_the_screen(name: str, width: int, encoding: str) -> None:
    for language, verbose in (("en", False), ("id", True)):
        said = screen(SEVERAL[name], width, language, encoding, verbose)
        for line in said.split("\n"):
            assert cell_len(line) <= min(width, 120) and line == line.rstrip(), line
        assert "?" not in said  # no character that this console lacks


def test_colour_changes_no_character() -> None:
    coloured = screen(WHOLE, force_terminal=True, color_system="truecolor")
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == screen(WHOLE) and "\x1b[" in coloured
    assert "\x1b[3" not in screen(WHOLE, force_terminal=True, no_color=True)


def test_a_long_name_keeps_both_ends_in_its_column() -> None:
    said = part(screen(WHOLE, 66), "By fal_request.model")
    assert re.match(r"  fal-ai/flux-g\w*\.\.\.[\w-]*to-image  6,120  61.1% +0 \(0%\) not sound$", said[0])


def test_every_outcome_and_unit_of_the_schema_has_a_word() -> None:
    document = schema.load("history")
    assert list(OUTCOMES) == document["$defs"]["outcome"]["enum"]
    assert list(PICTURES) == document["properties"]["generations"]["propertyNames"]["enum"]
    assert list(UNITS) == document["properties"]["timeline"]["properties"]["unit"]["enum"]


# --- the documents ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SEVERAL)
def test_the_document_fits_its_schema(name: str) -> None:
    text = history_document.dumps(SEVERAL[name])
    assert text.isascii() and not text.endswith("\n")
    assert schema.validate(text.encode(), "history").errors == ()


def test_the_document_says_it_in_these_words() -> None:
    d = history_document.document(WHOLE)
    assert list(d) == [
        "schema_version", "profile", "entries", "malformed", "invalid", "undated", "first", "last", "bad", "outcomes", "generations",
        "roots", "symptoms", "checks", "timeline", "by", "onsets", "sources", "malformed_at", "not_counted", "notes",
    ]  # fmt: skip
    assert (d["first"], d["last"], d["outcomes"]) == (
        FIRST,
        LAST,
        {"switched": 6120, "not_switched": 3900, "wrong_model": 3},
    )
    place = {"source": "prompt_log.json", "index": 123, "byte": 12345, "place": "prompt_log.json#/123"}
    first = {"first": "2026-01-11T06:35:00", "last": LAST, "example": place}
    assert d["roots"]["bucket_missing"] == {"count": 1234, "share": 1234 / 10_023, **first}
    assert d["roots"]["fal_rate_limited"]["example"]["place"] == "backend.log@5"
    assert d["checks"]["no_image_sent"]["note"]["count"] == 2000
    assert (d["timeline"]["unit"], len(d["timeline"]["buckets"])) == ("day", 90)
    assert (d["by"]["field"], d["by"]["left_out"]) == ("fal_request.model", 12)
    assert d["onsets"][0]["after"] == {"count": 1234, "of": 1272, "share": 1234 / 1272}
    assert d["not_counted"][0] == {"source": "prompt_log.json", "start": 212_000_000, "end": None, "why": "it was cut"}
    empty = history_document.document(History("seed"))
    assert (empty["timeline"], empty["by"], empty["onsets"], empty["first"]) == (None, None, None, None)


def test_endless_texts_are_cut_and_halves_of_characters_replaced() -> None:
    history = replace(SOUND, notes=("a\ud800b", "long " * 10_000), roots={"\udcff": tally(1)})
    read = json.loads(json.dumps(json.loads(history_document.dumps(history)), ensure_ascii=False).encode())
    assert (read["notes"][0], list(read["roots"])) == ("a?b", ["?"])
    assert len(read["notes"][1]) < 2100


def test_the_schema_refuses_what_is_no_history() -> None:
    good = history_document.document(WHOLE)
    for wrong in (
        {**good, "schema_version": 2},
        {**good, "more": 1},
        {**good, "entries": -1},
        {**good, "outcomes": {"swapped": 1}},
        {**good, "roots": {"x": {"count": 1}}},
        {**good, "timeline": {"unit": "week", "buckets": []}},
        {key: value for key, value in good.items() if key != "notes"},
    ):
        assert not schema.validate(json.dumps(wrong).encode(), "history").valid


def test_every_key_is_described() -> None:
    document = schema.load("history")

    def walk(inner: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(inner, dict):
            yield from inner.get("properties", {}).items()
            for value in inner.values():
                yield from walk(value)

    found = list(walk(document))
    assert len(found) > 60
    assert [key for key, value in found if not value.get("description")] == []
    assert [name for name, value in document["$defs"].items() if not value.get("description")] == []


def numbers(value: Any) -> Iterator[str]:
    """Every number of a document, as it is written."""
    if isinstance(value, (int, float)):
        yield json.dumps(value)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from numbers(inner)


def lost(history: History) -> Counter[str]:
    """The numbers of the document that stand in no cell."""
    document = {**history_document.document(history), "schema_version": None}
    return Counter(numbers(document)) - Counter(cell for row in rows(history) for cell in row.values())


@pytest.mark.parametrize("name", SEVERAL)
def test_no_number_is_lost_in_the_rows(name: str) -> None:
    assert not lost(SEVERAL[name])


def test_the_rows() -> None:
    text = history_document.csv(WHOLE)
    assert text.startswith("section,name,count,share,bad,first,last,source,index,byte\nprofile,seed,,,,,,,,\n")
    assert not text.endswith("\n")
    found = {(row["section"], row["name"]): row for row in rows(WHOLE)}
    assert found["root", "bucket_missing"] == {
        "section": "root", "name": "bucket_missing", "count": "1234", "share": str(1234 / 10_023), "bad": "",
        "first": "2026-01-11T06:35:00", "last": LAST, "source": "prompt_log.json", "index": "123", "byte": "12345",
    }  # fmt: skip
    assert found["entries", ""]["bad"] == "2345"
    assert found["outcome", "not_switched"]["count"] == "3900"
    assert found["check", "parameter_unknown: warn"]["count"] == "6100"
    assert (found["timeline", "2026-01-01"]["count"], found["timeline", "2026-01-01"]["bad"]) == ("10", "1")
    assert found["timeline causes", "2026-01-01: no_image_sent"]["share"] == "0.4"
    assert found["by", "fal-ai/flux/schnell"]["bad"] == "2345"
    assert found["onset after", "any"]["first"] == "2026-02-24T06:35:47.01"
    assert found["onset changed, after", 'any: fal_request.model = "fal-ai/flux/schnell"']["count"] == "1234"
    assert found["malformed at", "not JSON: expected ',' delimiter"]["byte"] == "991"
    assert found["not counted from", "it is damaged"]["byte"] == "10"
    assert found["not counted to", "it is damaged"]["byte"] == "2010"


@pytest.mark.parametrize("lead", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "＝"])
def test_no_cell_is_a_formula(lead: str) -> None:
    bad = f"{lead}cmd|' /C calc'!A0"
    history = replace(
        WHOLE,
        profile=bad,
        by=Breakdown("request.x", (Bucket(bad, 1, 0, {}, {}),)),
        malformed_at=(Malformed(bad, 0, bad),),
        notes=(bad,),
    )
    cells = [cell for row in rows(history) for cell in row.values() if "calc" in cell]
    assert len(cells) == 5 and all(cell.startswith("'") for cell in cells)


def test_secrets_are_masked_everywhere() -> None:
    secret, token = "sb_secret_abcdefghijklmnop", "hunter22"
    history = replace(
        WHOLE,
        by=Breakdown("request.api_key", (Bucket(token, 1, 1, {}, {secret: 1}),)),
        roots={secret: Tally(1, secret, secret, Place(secret, 0, 0))},
        onsets=(
            Onset(
                secret,
                tally(1),
                FIRST,
                0.1,
                Share(0, 1),
                Share(1, 1),
                None,
                (Attribute("request.password", f'"{token}"', Share(1, 1), Share(0, 1)),),
            ),
        ),
        malformed_at=(Malformed(secret, 0, secret),),
        not_counted=(Missed(secret, 0, 1, secret),),
        notes=(secret,),
        sources=(Source(secret, "prompt_log", 1, 1, 1),),
    )
    for said in (
        history_document.dumps(history),
        history_document.csv(history),
        screen(history, 120, verbose=True),
        screen(history, 40, "id", verbose=True),
    ):
        assert "abcdefgh" not in said.replace("\n", "") and token not in said
        assert "<key:" in said or "<supabase-key:" in said


# --- any history ------------------------------------------------------------------------------------------------------

HOSTILE = st.sampled_from(
    [
        "\x1b[31mred\x1b[0m \x9b31m \x1b]8;;https://evil.example\x1b\\click",
        "\x1b[2J\x1b[H\rgone\x08\x08\0",
        "abc\u202egpj.exe\u2066\u2069\u200f\ufeff",
        "[red]x[/red] [/] [bold :skull:",
        "{0.__class__} {n} %s {",
        "one\n\nOutcomes\n  x  1\u2028two",
        "a\ud800b\udcff",
        "漢字" * 200,
        "e" + "\u0301" * 300,
        "👩‍👩‍👧‍👦" * 40,
        "x" * 10_000,
        "very long " * 1000,
        "=1+1",
    ]
)
TEXTS = HOSTILE | st.text(max_size=30)
COUNTS = st.integers(0, 3000) | st.integers(0, 10**12)
TIMES = st.none() | st.just(FIRST) | TEXTS
PLACES = st.builds(Place, TEXTS, st.none() | COUNTS, COUNTS)
TALLIES = st.builds(Tally, COUNTS, TIMES, TIMES, st.none() | PLACES)
SHARES = st.builds(lambda a, b: Share(min(a, b), max(a, b)), COUNTS, COUNTS)
OUTCOME = st.sampled_from(sorted(OUTCOMES))
BUCKETS = st.builds(
    lambda name, a, b, outcomes, causes: Bucket(name, max(a, b), min(a, b), outcomes, causes),
    TEXTS,
    COUNTS,
    COUNTS,
    st.dictionaries(OUTCOME, COUNTS, max_size=2),
    st.dictionaries(TEXTS, COUNTS, max_size=2),
)
LISTS = st.lists(BUCKETS, max_size=4).map(tuple) | st.integers(1, 200).map(days)
ATTRIBUTES = st.lists(st.builds(Attribute, TEXTS, TEXTS, SHARES, SHARES), max_size=2).map(tuple)
ONSETS = st.builds(
    Onset,
    TEXTS | st.just("any"),
    TALLIES,
    TIMES,
    st.none() | st.floats(0, 1) | st.just(float("nan")),
    SHARES,
    SHARES,
    TIMES,
    ATTRIBUTES,
    ATTRIBUTES,
)
HISTORIES = st.builds(
    History,
    profile=TEXTS,
    entries=COUNTS,
    malformed=COUNTS,
    invalid=COUNTS,
    undated=COUNTS,
    bad=TALLIES,
    outcomes=st.dictionaries(OUTCOME, TALLIES, max_size=3),
    generations=st.dictionaries(st.sampled_from(sorted(PICTURES)), COUNTS, max_size=3),
    roots=st.dictionaries(TEXTS | st.sampled_from(sorted(TITLES)), TALLIES, max_size=3),
    symptoms=st.dictionaries(TEXTS, TALLIES, max_size=2),
    checks=st.dictionaries(
        TEXTS | st.just("no_image_sent"),
        st.dictionaries(st.sampled_from(["fail", "warn", "note"]), TALLIES, max_size=2),
        max_size=2,
    ),
    timeline=st.none() | st.builds(Breakdown, st.sampled_from(sorted(UNITS)), LISTS),
    by=st.none() | st.builds(Breakdown, TEXTS, LISTS, COUNTS),
    onsets=st.none() | st.lists(ONSETS, max_size=2).map(tuple),
    sources=st.lists(
        st.builds(Source, TEXTS, st.sampled_from(["prompt_log", "backend_log"]), COUNTS, COUNTS, COUNTS), max_size=2
    ).map(tuple),
    malformed_at=st.lists(st.builds(Malformed, TEXTS, COUNTS, TEXTS), max_size=3).map(tuple),
    not_counted=st.lists(st.builds(Missed, TEXTS, COUNTS, st.none() | COUNTS, TEXTS), max_size=3).map(tuple),
    notes=st.lists(TEXTS, max_size=2).map(tuple),
)
within_reason = settings(deadline=None, database=None, max_examples=60)


@within_reason
@given(HISTORIES, st.integers(24, 130), st.sampled_from(["utf-8", "ascii", "cp1252"]), st.booleans())
def test_any_history_keeps_to_the_screen_and_commands_nothing(
    history: History, width: int, encoding: str, verbose: bool
) -> None:
    said = screen(history, width, "id" if verbose else "en", encoding, verbose)
    coloured = screen(
        history, width, "id" if verbose else "en", encoding, verbose, force_terminal=True, color_system="standard"
    )
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == said
    assert not COMMANDING.search(said)
    assert all(cell_len(line) <= min(width, 120) for line in said.split("\n"))
    outcomes = history.entries and (history.outcomes or history.generations)
    assert said.split("\n").count("Outcomes") + said.split("\n").count("Hasil") == (1 if outcomes else 0)


@within_reason
@given(HISTORIES)
def test_any_history_is_a_document_and_rows(history: History) -> None:
    history = replace(history, entries=max([history.entries, *(count for count in _counts(history))]))
    text = history_document.dumps(history)
    assert schema.validate(text.encode(), "history").errors == ()
    assert not lost(history)
    written = history_document.csv(history)
    assert not COMMANDING.search(written)
    assert all(len(row) == len(history_document.COLUMNS) for row in csv.reader(io.StringIO(written)))
    assert written.count("\n") == len(rows(history))


def _counts(history: History) -> Iterator[int]:
    """What cannot be more than there are entries."""
    yield history.bad.count
    for tallies in (history.roots, history.symptoms, *history.checks.values()):
        yield from (one.count for one in tallies.values())
    yield from (onset.first.count for onset in history.onsets or ())
