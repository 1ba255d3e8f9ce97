"""JSON as people paste it, and JSON standing in prose."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnose.collect.loose_json import DEPTH, Block, NotJson, blocks, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "b": [true, null, 1.5e3]}', {"a": 1, "b": [True, None, 1500.0]}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('{"a": 1} // why', {"a": 1}),
        ('// first\n{"a": 1, // why\n "b": 2}', {"a": 1, "b": 2}),
        ('{"a": /* not\nnow */ 1}', {"a": 1}),
        ('# whole line\n{\n  # and here\n  "a": 1}', {"a": 1}),
        ('{"a": "https://x/y#z"}', {"a": "https://x/y#z"}),
        ('{\n"a": 1,  ← must be there\n"b": 2  <- and this\n}', {"a": 1, "b": 2}),
        ('{"a": 1, "b": [1, 2,],}', {"a": 1, "b": [1, 2]}),
        ('{"a": 1, ...}', {"a": 1}),
        ('{"a": 1\n...\n}', {"a": 1}),
        ('{..., "a": 1, ..., "b": 2}', {"a": 1, "b": 2}),
        ("[1, 2, ...]", [1, 2]),
        ("[1, …, 9]", [1, 9]),
        ("[...]", ["..."]),
        ('{"images": [...]}', {"images": ["..."]}),
        ('{"a": ..., "b": 1}', {"a": "...", "b": 1}),
        ('{"image": ...(87416 base64 chars), "b": 1}', {"image": "...", "b": 1}),
        (
            '{"image": "data:image/png;base64,AAAA"...(99 chars), "b": 1}',
            {"image": "data:image/png;base64,AAAA", "b": 1},
        ),
        ('{"url": "https://...supabase.co/...", "n": 1,}', {"url": "https://...supabase.co/...", "n": 1}),
        ("{'a': True, 'b': None, 'c': False}", {"a": True, "b": None, "c": False}),
        (
            "{'it\\'s': \"it's\", 'tab': 'a\\tb', 'x': '\\xe9\\U0001f4e4'}",
            {"it's": "it's", "tab": "a\tb", "x": "é📤"},
        ),
        ("{“a”: ‘b’}", {"a": "b"}),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}),
        (r'{"a": "\ud83d\udce4", "b": 1,}', {"a": "📤", "b": 1}),
        ("[0, -1, 2.50, -3e-2, 10E+2,]", [0, -1, 2.5, -0.03, 1000.0]),
        ('"text"', "text"),
        ("12", 12),
    ],
)
def test_forms(text: str, value: object) -> None:
    assert parse(text).value == value


def test_what_was_accepted_is_said() -> None:
    assert parse('{"a": 1}').notes == ()
    notes = parse("{'a': True, // why\n 'b': NaN, ...,}").notes
    assert set(notes) == {
        "remarks",
        "quotes other than JSON's",
        "Python literals",
        "NaN or Infinity",
        "'...' for what was left out",
    }
    assert parse("[1,]").notes == ("trailing commas",)


@pytest.mark.parametrize("text", ["NaN", "[nan,]", "{'a': NaN}"])
def test_not_a_number(text: str) -> None:
    value = parse(text).value
    inner = value[0] if isinstance(value, list) else value["a"] if isinstance(value, dict) else value
    assert math.isnan(inner)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "line", "column", "at_end"),
    [
        ("", 1, 1, True),
        ("hello", 1, 1, True),
        ('{"a": 1', 1, 8, True),
        ('{"a": "cut', 1, 7, True),
        ('{"a": "cut\n', 1, 7, True),
        ('{"a": tr', 1, 7, True),
        ('{\n"a": 1 "b": 2}', 2, 8, False),
        ('{"a": 1}}', 1, 9, False),
        ('{"a": 1]', 1, 8, False),
        ("[1,,2]", 1, 4, False),
        ("{'a'}", 1, 5, False),
        ("{1: 2}", 1, 2, False),
        ("[1 /* never closed ]", 1, 4, False),
        ("[1, 2, # not a whole line\n]", 1, 8, False),
    ],
)
def test_not_json(text: str, line: int, column: int, at_end: bool) -> None:
    with pytest.raises(NotJson) as caught:
        parse(text)
    assert (caught.value.line, caught.value.column, caught.value.at_end) == (line, column, at_end)


@pytest.mark.parametrize("opening", ["[", '{"a":', "[{'a':"])
@pytest.mark.parametrize("depth", [DEPTH + 1, 5_000, 200_000])
def test_nesting_is_bounded(opening: str, depth: int) -> None:
    closing = "".join({"[": "]", "{": "}"}.get(c, "") for c in reversed(opening))
    with pytest.raises(NotJson, match="deeper"):
        parse(opening * depth + "1" + closing * depth)


def test_nesting_up_to_the_bound_is_read() -> None:
    for opening, closing in (("[", "]"), ("[ //\n", ",]"), ('{"a":', "}")):
        value = parse(opening * DEPTH + "1" + closing * DEPTH).value
        for _ in range(DEPTH):
            assert isinstance(value, (list, dict))
            value = value["a"] if isinstance(value, dict) else value[0]
        assert value == 1


def test_size_is_bounded() -> None:
    with pytest.raises(NotJson, match="longer"):
        parse("[1, 2, 3]", limit=5)


@pytest.mark.parametrize("text", ["[" + "9" * 5000 + "]", "{'a': -" + "9" * 5000 + "}"])
def test_a_huge_integer_is_kept_as_text(text: str) -> None:
    parsed = parse(text)
    assert "9" * 5000 in str(parsed.value)
    assert any("too long" in note for note in parsed.notes)


def test_half_an_emoji_can_still_be_written() -> None:
    value = parse(r'{"\ud83d": ["cut \ud83d", "whole \ud83d\udce4"]}').value
    assert json.dumps(value, ensure_ascii=False).encode().decode() == '{"�": ["cut �", "whole 📤"]}'


@given(JSON)
def test_strict_json_and_python_reprs_read_the_same(value: object) -> None:
    strict = json.dumps(value)
    assert parse(strict).value == json.loads(strict)
    if isinstance(value, (dict, list)) and value:
        assert parse(f"// remark\n{strict}\n/* another */").value == json.loads(strict)


@given(st.text(alphabet="{}[]\"'“”\\,:/*#.…\n 1a-eNn", max_size=80))
def test_nothing_but_not_json_is_raised(text: str) -> None:
    try:
        parse(text)
    except NotJson as error:
        assert 0 <= error.offset <= len(text)
    for block in blocks(text):
        assert text[block.start] in "{["
        assert text[block.end - 1] in "}]"
        assert block.line == text.count("\n", 0, block.start) + 1


TICKET = """# Why?

The log says {model} and [ERROR] and [1/2]:

```json
{
  "generation_mode": "text-to-image",  // ← no image
  "request": {"has_image_url": false, ...},
}
```
see https://example.com/{id} {'mode': 'text-to-image', 'n': None} and ["https://x/y.jpg"] {} []
"""


def test_blocks_stand_in_prose() -> None:
    found = list(blocks(TICKET))
    assert [(block.value, block.line) for block in found] == [
        ({"generation_mode": "text-to-image", "request": {"has_image_url": False}}, 6),
        ({"mode": "text-to-image", "n": None}, 11),
        (["https://x/y.jpg"], 11),
    ]
    assert not any(block.inner for block in found)
    assert TICKET[found[1].start : found[1].end] == "{'mode': 'text-to-image', 'n': None}"


def test_blocks_of_something_broken() -> None:
    text = '{"a": {"b": 1}, "c": [{"d": 2}, {"e": "cut\n{"whole": true} {"x": {"y": 1}, "z": }'
    assert list(blocks(text)) == [
        Block({"b": 1}, 6, 14, 1, inner=True),
        Block({"d": 2}, 22, 30, 1, inner=True),
        Block({"whole": True}, 43, 58, 2),
        Block({"y": 1}, 65, 73, 2, inner=True),
    ]


def test_an_unclosed_quote_does_not_hide_the_next_block() -> None:
    assert [block.value for block in blocks('said {"model ... then {"model": "m"}')] == [{"model": "m"}]


SIZE = 5_000_000


@pytest.mark.parametrize(
    "unit",
    [
        "{",
        "[",
        '{"',
        '{"a":',
        '{"a":[1,',
        '{"a"//',
        '//{"a"\n',
        '{"a"/*{"a"/**/',
        "{'\"",
        "{“",
        "[...(",
        "{ ",
        '{"a":{}},',
    ],
)
def test_hostile_input_is_read_in_linear_time(unit: str) -> None:
    text = unit * (SIZE // len(unit) // 4)
    assert sum(1 for _ in blocks(text)) <= len(text)
    with pytest.raises(NotJson):
        parse(text)


def test_an_unclosed_array_of_many_objects_is_read_once() -> None:
    text = "[" + '{"a": {"b": "c"}}, ' * (SIZE // 19)
    assert sum(block.inner for block in blocks(text)) == SIZE // 19
