"""`prompt_log.json` in every form that people have."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diagnose.collect import prompt_log
from diagnose.collect.prompt_log import (
    absence_is_proved,
    era,
    looks_like_entry,
    normalise_entry,
    read,
    read_newest,
)

PROMPT = 'A Woman model, in Studio Clean style 📸 {not json} "quoted" \\ [x] \'}'


def entry(number: int = 0, **more: Any) -> dict[str, Any]:
    """An entry as the era V4 wrote it."""
    return {
        "timestamp": f"2026-01-11T06:35:{number % 60:02}.766926",
        "request": {
            "has_product_images": False,
            "num_product_images": 0,
            "has_face_image": True,
            "has_background_image": False,
            "has_image_url": True,
            "image_url": f"https://abc.supabase.co/storage/v1/object/public/public/u/face/{number}.jpg",
            "original_prompt": PROMPT,
        },
        "enhanced_prompt": PROMPT,
        "fal_request": {
            "model": "fal-ai/flux-general/image-to-image",
            "prompt": PROMPT,
            "num_inference_steps": 7,
            "guidance_scale": 3.5,
            "image_strength": 0.5,
            "image_url": f"https://abc.supabase.co/storage/v1/object/public/public/u/face/{number}.jpg",
            "loras": [{"path": "a", "scale": 1}, {"path": "b{", "scale": 2}],
        },
        "prompt_length": len(PROMPT),
        "generation_mode": "image-to-image",
        **more,
    }


ENTRIES = [entry(number) for number in range(3)]
PRETTY = json.dumps(ENTRIES, indent=2, ensure_ascii=False)
COMPACT = json.dumps(ENTRIES)
LINES = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in ENTRIES)


def values(log: prompt_log.PromptLog) -> list[dict[str, Any]]:
    return [each.value for each in log.entries]


def kinds(log: prompt_log.PromptLog) -> list[str]:
    return [fault.kind for fault in log.faults]


@pytest.mark.parametrize(
    ("data", "form", "note"),
    [
        (PRETTY.encode(), "array", None),
        (COMPACT.encode(), "array", None),
        (b"\xef\xbb\xbf" + PRETTY.encode(), "array", "UTF-8 byte-order mark read"),
        (PRETTY.encode("utf-16"), "array", "UTF-16 read"),
        (PRETTY.encode("utf-16-le"), "array", "UTF-16 without byte-order mark read"),
        (PRETTY.replace("\n", "\r\n").encode(), "array", None),
        (PRETTY.replace("}\n]", "},  // newest\n  ...\n]").encode(), "array", "remarks"),
        (LINES.encode(), "json_lines", "JSON Lines read"),
        (LINES.replace("\n", "\r\n").encode(), "json_lines", "JSON Lines read"),
        (LINES.encode("utf-16"), "json_lines", "JSON Lines read"),
        (
            "\n".join(json.dumps(e, indent=1) for e in ENTRIES).encode(),
            "fragments",
            "entries one after another, not in a list",
        ),
        (gzip.compress(PRETTY.encode()), "array", "gzip read"),
        (PRETTY.encode() + b"\0" * 64, "array", "NUL bytes dropped"),
        (repr(ENTRIES).encode(), "array", "quotes other than JSON's"),
        (json.dumps({"count": 3, "entries": ENTRIES}).encode(), "array", "the entries stand under 'entries'"),
    ],
)
def test_forms(data: bytes, form: str, note: str | None) -> None:
    log = read(data)
    assert values(log) == ENTRIES
    assert [each.index for each in log.entries] == [0, 1, 2]
    assert (log.form, log.faults, log.whole) == (form, (), True)
    assert note in log.notes if note else not log.notes


@pytest.mark.parametrize("text", [PRETTY, COMPACT, LINES, PRETTY.replace("\n", "\r\n")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_places_are_those_of_the_file(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    codec = "utf-8" if "8" in encoding else "utf-16-le" if encoding == "utf-16" else encoding
    for each in read(data).entries:
        assert each.offset is not None
        rest = data[each.offset :].decode(codec)
        assert json.JSONDecoder().raw_decode(rest)[0] == each.value
        assert each.line == data[: each.offset].decode(codec).count("\n") + 1


def test_one_object() -> None:
    log = read(b"\n" + json.dumps(ENTRIES[1]).encode())
    assert (values(log), log.form, log.entries[0].offset) == ([ENTRIES[1]], "object", 1)


FLATTENED = """
{
  "generation_mode": "text-to-image",  // ← without an image
  "model": "fal-ai/flux/schnell",
  "payload": {
    "image_size": "square_hd",
    "num_inference_steps": 7,
    ...
  },
  "request": {
    "has_image_url": false,  // ← none
    "image_url": null
  }
}
"""


def test_a_flattened_object_is_read_as_nested() -> None:
    log = read(FLATTENED.encode())
    assert log.form == "flattened"
    assert values(log) == [
        {
            "request": {"has_image_url": False, "image_url": None},
            "fal_request": {
                "model": "fal-ai/flux/schnell",
                "image_size": "square_hd",
                "num_inference_steps": 7,
            },
            "generation_mode": "text-to-image",
        }
    ]
    assert {"flattened entries read as nested", "remarks", "'...' for what was left out"} <= set(log.notes)


def test_flattened_entries_in_an_array() -> None:
    flat = {"timestamp": "t", "model": "m", "payload": {"a": 1}, "request": {"has_image_url": True}, "x": 1}
    log = read(json.dumps([ENTRIES[0], flat]).encode())
    assert values(log)[1] == {
        "timestamp": "t",
        "request": {"has_image_url": True},
        "fal_request": {"model": "m", "a": 1},
        "x": 1,
    }


@pytest.mark.parametrize("page", ["cp1252", "cp1254"])
def test_mojibake_is_repaired_and_places_stay(page: str) -> None:
    data = PRETTY.encode().decode(page).encode()
    log = read(data)
    assert values(log) == ENTRIES
    assert "mojibake repaired" in log.notes
    assert all(data[each.offset : (each.offset or 0) + 1] == b"{" for each in log.entries)


@pytest.mark.parametrize("text", [PRETTY, COMPACT])
def test_a_file_cut_anywhere_keeps_its_whole_entries(text: str) -> None:
    data = text.encode()
    ends = [data.index(f"public/u/face/{n}.jpg".encode()) for n in range(3)]
    for cut in range(1, len(data) - 1, 7):
        log = read(data[:cut])
        whole = values(log)
        assert whole == ENTRIES[: len(whole)]
        assert len(whole) >= sum(cut > end for end in ends) - 1
        assert log.form == "array"
        assert [(fault.kind, fault.byte) for fault in log.faults] == [("truncated", cut)]


def test_json_lines_cut_in_the_last_line() -> None:
    data = LINES.encode()[:-40]
    log = read(data)
    assert (values(log), log.form, kinds(log)) == (ENTRIES[:2], "json_lines", ["truncated"])
    assert log.faults[0].byte == len(data)


def test_a_broken_line_among_json_lines_is_named() -> None:
    lines = LINES.splitlines(keepends=True)
    log = read("".join([lines[0], "INFO: stray\n", *lines[1:]]).encode())
    assert (values(log), kinds(log)) == (ENTRIES, ["corrupt"])
    assert log.faults[0].byte == len(lines[0].encode())


def test_a_broken_entry_among_whole_ones_is_named_by_its_byte() -> None:
    second = PRETTY.index('"prompt_length"', PRETTY.index('"prompt_length"') + 1)
    text = PRETTY[:second] + "@@@" + PRETTY[second:]
    log = read(text.encode())
    assert values(log) == [ENTRIES[0], ENTRIES[2]]
    assert kinds(log) == ["corrupt"]
    assert log.faults[0].byte == len(text[:second].encode())


def test_what_an_older_longer_file_left_behind_is_corrupt() -> None:
    log = read(PRETTY.encode() + b'-image"\n  }\n]')
    assert (values(log), kinds(log)) == (ENTRIES, ["corrupt"])
    assert log.faults[0].byte == len(PRETTY.encode())


def test_a_prompt_cannot_pose_as_an_entry_of_a_broken_file() -> None:
    posing = entry(9, enhanced_prompt="{'request': {'has_face_image': False}, 'model': 'evil'}")
    data = json.dumps([ENTRIES[0], posing]).encode()
    assert values(read(data[:-30])) == [ENTRIES[0]]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (b"  \r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\0\0\0\0\0\0", "empty"),
        (b"[]", "empty"),
        (b" [ ]\n", "empty"),
        (b"{}", "empty"),
        (b'"text"', "not_a_list"),
        (b"12", "not_a_list"),
        (b"null", "not_a_list"),
        (b"true", "not_a_list"),
        (b"hello", "not_a_list"),
        (b"<html>502 Bad Gateway</html>", "not_a_list"),
        (b"[1, 2]", "not_entries"),
        (b'["a", null]', "not_entries"),
        (b"[...]", "not_entries"),
        (b'{"detail": "Not Found"}', "not_entries"),
        (b'[{"a": 1}]', "not_entries"),
        (b'{"level": "INFO"}\n{"level": "INFO"}', "not_entries"),
        (b"[" * 100_000, "corrupt"),
        (b'[{"a": ' * 100_000, "corrupt"),
    ],
)
def test_faults(data: bytes, kind: str) -> None:
    log = read(data)
    assert kinds(log) == [kind]
    assert not any(looks_like_entry(value) for value in values(log))


def test_entries_keep_their_place_among_other_elements() -> None:
    log = read(json.dumps([None, ENTRIES[0], 3, ENTRIES[1]]).encode())
    assert [each.index for each in log.entries] == [1, 3]
    assert kinds(log) == ["not_entries"]


def test_odd_values_are_read() -> None:
    data = json.dumps([entry(0, big=1)]).replace('"big": 1', f'"big": {"9" * 5000}, "nan": NaN, "half": "\\ud83d"')
    log = read(data.encode())
    assert log.entries[0].value["big"] == "9" * 5000
    assert log.entries[0].value["half"] == "\ufffd"


# From the end


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "prompt_log.json"
    path.write_bytes(data)
    return path


def agrees(path: Path, count: int = 10) -> None:
    """The end of a file reads as the end of the whole."""
    whole, newest = read(path.read_bytes()), read_newest(path, count, threshold=0)
    if newest.whole:
        assert newest == whole
        return
    assert values(newest) == values(whole)[-count:]
    assert [each.offset for each in newest.entries] == [each.offset for each in whole.entries][-count:]
    assert [each.index for each in newest.entries] == list(range(-len(newest.entries), 0))
    assert (newest.form, kinds(newest)) == (whole.form, kinds(whole))


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_large_array_is_read_from_its_end(
    tmp_path: Path, indent: int | None, encoding: str, ascii_only: bool
) -> None:
    many = [entry(number) for number in range(400)]
    path = written(tmp_path, json.dumps(many, indent=indent, ensure_ascii=ascii_only).encode(encoding))
    newest = read_newest(path)
    assert not newest.whole
    assert (values(newest), newest.form, newest.faults) == (many[-10:], "array", ())
    agrees(path)
    assert values(read_newest(path, 1)) == many[-1:]
    assert values(read_newest(path, 150))[-150:] == many[-150:]


@pytest.mark.parametrize("end", ["", "\n", "\r\n\r\n", " \t"])
def test_large_json_lines_are_read_from_their_end(tmp_path: Path, end: str) -> None:
    many = [entry(number) for number in range(400)]
    text = "\n".join(json.dumps(each, ensure_ascii=False) for each in many)
    path = written(tmp_path, (text + end).encode())
    assert not read_newest(path).whole
    agrees(path)
    path = written(tmp_path, text.encode()[:-50])
    newest = read_newest(path)
    assert not newest.whole
    assert (values(newest), kinds(newest)) == (many[-11:-1], ["truncated"])
    agrees(path)


def test_little_is_read_of_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, json.dumps([entry(number) for number in range(2000)]).encode())
    lengths: list[int] = []
    once = prompt_log._Window.read

    def counted(window: prompt_log._Window, start: int) -> bytes:
        lengths.append(window.size - start)
        return once(window, start)

    monkeypatch.setattr(prompt_log._Window, "read", counted)
    assert len(read_newest(path).entries) == 10
    assert sum(lengths) <= prompt_log.WINDOW + 1


@pytest.mark.parametrize("filling", ["{", "}", '"', "\\", '{"', '{"a": 1}', '"},{"', "📸", "]", '\\"{'])
def test_a_huge_entry_full_of_structure_is_read(tmp_path: Path, filling: str) -> None:
    huge = entry(1, enhanced_prompt=filling * (10_000_000 // len(json.dumps(filling))))
    many = [entry(0, enhanced_prompt="x" * 30_000_000), huge]
    for text in (json.dumps(many), json.dumps(many, indent=2, ensure_ascii=False)):
        path = written(tmp_path, text.encode())
        newest = read_newest(path, 1)
        assert not newest.whole
        assert values(newest) == [huge]


def test_an_array_of_huge_entries_is_read_at_least_to_the_newest(tmp_path: Path) -> None:
    many = [entry(number, enhanced_prompt="x" * 9_000_000) for number in range(5)]
    path = written(tmp_path, json.dumps(many).encode())
    newest = read_newest(path)
    assert not newest.whole
    assert values(newest) == many[-len(newest.entries) :]


@pytest.mark.parametrize("cut", [1, 2, 50, 700, 1500])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_large_file_that_is_cut_is_read_whole(tmp_path: Path, cut: int, indent: int | None) -> None:
    many = [entry(number) for number in range(400)]
    data = json.dumps(many, indent=indent).encode()[:-cut]
    newest = read_newest(written(tmp_path, data))
    assert newest == read(data)
    assert kinds(newest) == ["truncated"]
    assert len(newest.entries) >= 398


def test_of_a_very_large_file_that_is_cut_the_end_is_salvaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_log, "WHOLE_LIMIT", 100_000)
    monkeypatch.setattr(prompt_log, "LARGEST_WINDOW", 100_000)
    many = [entry(number) for number in range(2000)]
    data = json.dumps(many).encode()[:-700]
    newest = read_newest(written(tmp_path, data))
    assert (values(newest), newest.whole, newest.form) == (many[-11:-1], False, "array")
    assert [(fault.kind, fault.byte) for fault in newest.faults] == [("truncated", len(data))]
    assert all(data[each.offset : (each.offset or 0) + 1] == b"{" for each in newest.entries)
    nothing = read_newest(written(tmp_path, b"[" + b"x " * 1_000_000))
    assert (nothing.entries, kinds(nothing)) == ((), ["truncated"])


def test_a_file_cut_behind_a_list_inside_an_entry(tmp_path: Path) -> None:
    data = json.dumps([entry(number) for number in range(400)]).encode()
    data = data[: data.rindex(b'], "') + 1] if b'], "' in data else data
    data = data[: data.rindex(b'"scale": 2}]') + len(b'"scale": 2}]')]
    newest = read_newest(written(tmp_path, data))
    assert kinds(newest) == ["truncated"]
    assert len(newest.entries) == 399


def test_a_file_that_is_being_rewritten_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (3, 400):
        data = json.dumps([entry(number) for number in range(count)]).encode()
        for moment in (b"", data[: len(data) // 2]):
            path = written(tmp_path, moment)
            monkeypatch.setattr("time.sleep", lambda _, p=path, d=data: p.write_bytes(d))
            newest = read_newest(path)
            assert newest.faults == ()
            assert newest.entries[-1].value == entry(count - 1)


def test_other_large_files(tmp_path: Path) -> None:
    packed = gzip.compress(random.Random(0).randbytes(300_000).hex().encode())
    assert kinds(read_newest(written(tmp_path, packed))) == ["not_a_list"]
    one = entry(0, enhanced_prompt="x" * 300_000)
    for text in (json.dumps(one), json.dumps(one, indent=2), json.dumps([one]), json.dumps([one, {}])):
        path = written(tmp_path, text.encode())
        assert read_newest(path) == read(path.read_bytes()) or values(read_newest(path, 2))[0] == one
    small = written(tmp_path, PRETTY.encode())
    assert read_newest(small) == read(PRETTY.encode())
    with pytest.raises(OSError, match="missing"):
        read_newest(tmp_path / "missing")
    with pytest.raises(OSError):
        read_newest(tmp_path)


NASTY = st.text(alphabet="{}[]\",:\\\n 1a📸/'", max_size=30) | st.text(max_size=10)
INNER = st.recursive(
    NASTY | st.none() | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.builds(
    lambda fal, rest: {**rest, "fal_request": fal},
    st.dictionaries(NASTY, INNER, max_size=3),
    st.dictionaries(NASTY, INNER, max_size=4),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(
    st.lists(ENTRY, min_size=1, max_size=8),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    st.sampled_from(["array", "lines"]),
    st.integers(1, 9),
    st.sampled_from([16, 64, 1024]),
)
def test_the_end_agrees_with_the_whole(
    tmp_path: Path,
    entries: list[dict[str, Any]],
    indent: int | None,
    ascii_only: bool,
    form: str,
    count: int,
    window: int,
) -> None:
    if form == "array":
        text = json.dumps(entries, indent=indent, ensure_ascii=ascii_only)
    else:
        text = "\n".join(json.dumps(each, ensure_ascii=ascii_only) for each in entries)
    path = written(tmp_path, text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompt_log, "WINDOW", window)
        agrees(path, count)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.binary(max_size=200)
    | st.builds(
        lambda text, at, cut, more: text.encode()[: at % len(text)] + more + text.encode()[at % len(text) + cut :],
        st.sampled_from([PRETTY, COMPACT, LINES, FLATTENED, repr(ENTRIES)]),
        st.integers(0, 10_000),
        st.integers(0, 3000),
        st.binary(max_size=5) | st.text(alphabet='{}[]",:\\', max_size=4).map(str.encode),
    )
)
def test_nothing_is_raised(tmp_path: Path, data: bytes) -> None:
    log = read(data)
    assert log.entries or log.faults
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompt_log, "_PAUSE", 0)
        patch.setattr(prompt_log, "WINDOW", 64)
        newest = read_newest(written(tmp_path, data), 2, threshold=0)
    assert newest.entries or newest.faults


# What an entry is


def sent(**fal: Any) -> dict[str, Any]:
    return {"request": {"has_face_image": False}, "fal_request": fal}


@pytest.mark.parametrize(
    ("value", "name", "proved"),
    [
        (sent(image_size="square_hd"), "V0b", True),
        (sent(image="data:...", strength=0.65), "V1", True),
        (sent(image_url="https://x", strength=0.65), "V2", True),
        (sent(image_urls=["https://x"], strength=0.65), "V3", True),
        (sent(image_url="https://x", image_strength=0.5), "V4", True),
        (sent(image_size="square_hd") | {"generation_mode": "text-to-image"}, "V4", True),
        (sent(model="fal-ai/flux/schnell") | {"generation_mode": "text-to-image"}, "V4", True),
        (sent(image_urls=["https://x"], image_strength=0.5), "V6", False),
        (
            {"request": {"request_format": "unknown", "has_face_image": False}}
            | {"fal_request": {"image_urls": [], "image_strength": 0.67}},
            "V7",
            False,
        ),
        (sent(image_url="x", strength=0.6, image_size={"width": 1}), "V8", False),
        (sent(image_url="x", ip_adapters=[]), "V8", False),
        (sent(image_size="square_hd") | {"request_id": "r", "outcome": "ok"}, "own", True),
        (sent(prompt="x"), "unknown", False),
        ({"request": {}, "fal_request": None}, "unknown", False),
        ({}, "unknown", False),
        (sent(image_url="x"), "unknown", False),
        (sent(image="x"), "unknown", False),
        (sent(image_urls=["x"]), "unknown", False),
    ],
)
def test_era(value: dict[str, Any], name: str, proved: bool) -> None:
    assert era(value) == name
    assert absence_is_proved(value) is proved


@pytest.mark.parametrize(
    ("request_fields", "proved"),
    [
        ({"has_face_image": False}, True),
        ({"has_face_image": False, "request_format": "application/json"}, True),
        ({"has_face_image": False, "request_format": "unknown"}, True),
        ({"has_face_image": False, "request_format": None}, True),
        ({"has_face_image": False, "request_format": "multipart/form-data"}, False),
        ({"has_face_image": False, "image_url": "https://x"}, False),
        ({"image_url": None}, False),
    ],
)
def test_absence_needs_flags_of_a_json_request(request_fields: dict[str, Any], proved: bool) -> None:
    assert absence_is_proved({"request": request_fields, "fal_request": {"image_size": "square_hd"}}) is proved


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        (ENTRIES[0], True),
        ({"model": "m", "payload": {}, "request": {}}, True),
        ({"model": "m", "payload": {"a": 1}}, True),
        ({"request": {"has_face_image": True}}, True),
        ({"request": {"method": "POST"}, "response": {}}, False),
        ({"model": "m", "prompt": "p"}, False),
        ({"fal_request": "..."}, False),
        ([], False),
        ("x", False),
        (None, False),
    ],
)
def test_looks_like_entry(value: object, is_one: bool) -> None:
    assert looks_like_entry(value) is is_one


def test_a_nested_entry_is_left_as_it_is() -> None:
    assert normalise_entry(ENTRIES[0]) is ENTRIES[0]
    odd = {"model": "m", "request": {}, "payload": "cut"}
    assert normalise_entry(odd) == {"request": {}, "fal_request": {"model": "m"}, "payload": "cut"}
