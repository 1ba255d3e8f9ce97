"""Bytes become text whatever wrote them."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnose.collect import text

LINE = 'INFO: 📤 Sending "image-to-image" request → fal ✅\nINFO: done\n'


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (LINE.encode(), None),
        (b"\xef\xbb\xbf" + LINE.encode(), "UTF-8 byte-order mark read"),
        (LINE.encode("utf-16"), "UTF-16 read"),
        (b"\xfe\xff" + LINE.encode("utf-16-be"), "UTF-16 read"),
        (LINE.encode("utf-16-le"), "UTF-16 without byte-order mark read"),
        (LINE.encode("utf-16-be"), "UTF-16 without byte-order mark read"),
        (LINE.replace("\n", "\r\n").encode(), "CR line ends read"),
        (LINE.replace("\n", "\r").encode(), "CR line ends read"),
        (LINE.encode().replace(b"done", b"do\0ne"), "NUL bytes dropped"),
    ],
)
def test_every_encoding_reads_the_same(data: bytes, note: str | None) -> None:
    decoded = text.decode(data)
    assert decoded.text == LINE
    assert decoded.notes == ((note,) if note else ())


def test_a_windows_code_page_is_the_fallback() -> None:
    decoded = text.decode("Fehler: Bild wurde nicht übergeben – höchstens 3".encode("cp1252"))
    assert decoded.text == "Fehler: Bild wurde nicht übergeben – höchstens 3"
    assert decoded.notes == ("Windows-1252 read",)


def test_latin_1_reads_what_windows_1252_has_no_character_for() -> None:
    assert text.decode(b"caf\xe9 \x81").notes == ("Latin-1 read",)


def test_a_broken_byte_among_utf_8_is_replaced() -> None:
    decoded = text.decode("✅ ok → ".encode() + b"\xff" + b" fine")
    assert decoded.text == "✅ ok → \ufffd fine"
    assert decoded.notes == ("bytes that are not UTF-8 replaced",)


def test_a_character_cut_off_at_the_end_does_not_change_the_encoding() -> None:
    assert text.decode(b"all is well " + "✅".encode()[:2]).text == "all is well \ufffd"


@pytest.mark.parametrize("page", ["cp1252", "cp1254", "cp437", "cp850"])
@pytest.mark.parametrize("sign", ["✅", "📤", "→", "📊"])
def test_mojibake_is_repaired(page: str, sign: str) -> None:
    broken = f"INFO: {sign} Image uploaded".encode().decode(page)
    decoded = text.decode(broken.encode())
    assert decoded.text == f"INFO: {sign} Image uploaded"
    assert decoded.notes == ("mojibake repaired",)


@pytest.mark.parametrize("page", ["cp1252", "cp1254"])
@pytest.mark.parametrize("sign", ["←", "❌", "⚠️", "⏱️"])
def test_mojibake_is_repaired_where_the_page_lost_a_byte(page: str, sign: str) -> None:
    broken = f"{sign} Image upload failed".encode().decode(page, "ignore")
    assert text.decode(broken.encode()).text == f"{sign} Image upload failed"


def test_only_the_lines_that_need_it_are_repaired() -> None:
    kept = "prompt: Ğalata Köprüsü, façade, São Paulo – naïve “quotes” ✅"
    assert text.decode(f"{kept}\nâœ… ok".encode()).text == f"{kept}\n✅ ok"


def test_repair_is_bounded() -> None:
    huge = "âœ…" * (text.REPAIR_LIMIT // 3 + 1)
    repaired, note = text.repair(f"âœ… small\n{huge}")
    assert repaired == f"✅ small\n{huge}"
    assert "in part" in note


@given(st.binary(max_size=300))
def test_decode_never_raises(data: bytes) -> None:
    assert "\0" not in text.decode(data).text


@given(st.text(max_size=200))
def test_helpers_never_raise(line: str) -> None:
    text.unescape(line)
    text.strip_ansi(line)
    text.repair(line)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\u2705 ok", "✅ ok"),
        (r"\U0001f4e4 Sending", "📤 Sending"),
        (r"\ud83d\udce4 Sending", "📤 Sending"),
        (r"\xe9t\xe9", "été"),
        (r"\ud83d alone", r"\ud83d alone"),
        (r"a\\u2705 escaped twice", r"a\\u2705 escaped twice"),
        (r'{"a": "\u0022 \x1b[31m"}', r'{"a": "\u0022 \x1b[31m"}'),
        (r"\Uffffffff \u12 \x", r"\Uffffffff \u12 \x"),
        ("plain", "plain"),
    ],
)
def test_unescape(written: str, meant: str) -> None:
    assert text.unescape(written) == meant


@pytest.mark.parametrize(
    "line",
    [
        "\x1b[32mINFO\x1b[0m: done",
        "\x1b[1;38;5;10mINFO\x1b[m: done",
        "\x9b32mINFO\x9b0m: done",
        "\x1b]0;title\x07INFO: done",
        "\x1b]8;;http://x\x1b\\INFO\x1b]8;;\x1b\\: done",
        "\x1b(BINFO: done",
    ],
)
def test_strip_ansi(line: str) -> None:
    assert text.strip_ansi(line) == "INFO: done"


def test_open_bytes_reads_plain_and_gzip(tmp_path: Path) -> None:
    plain, packed = tmp_path / "backend.log", tmp_path / "backend.log.1"
    plain.write_bytes(b"one\ntwo\n")
    packed.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert text.open_bytes(plain) == text.open_bytes(packed) == b"one\ntwo\n"
    assert text.snapshot(packed).notes == ("gzip read",)


def test_a_gzip_bomb_is_cut_and_a_cut_gzip_is_read(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(1_000_000))
    cut = text.inflate(bomb, limit=1000)
    assert len(cut.data) == 1000
    assert "only the first 1000 bytes of the unpacked file were read" in cut.notes
    packed = gzip.compress(b"".join(b"%d\n" % number for number in range(9999)))
    assert text.inflate(packed[: len(packed) // 2]).data.startswith(b"0\n1\n2\n")
    assert "the gzip data is cut off" in text.inflate(packed[: len(packed) // 2]).notes
    assert "the gzip data is damaged" in text.inflate(b"\x1f\x8b\x08" + b"\xff" * 50).notes


def test_of_a_file_above_the_limit_the_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "backend.log"
    path.write_bytes(b"0123456789")
    found = text.snapshot(path, limit=4)
    assert (found.data, found.start) == (b"6789", 6)
    assert found.notes == ("only the last 4 bytes were read",)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        text.open_bytes(tmp_path / "missing")
