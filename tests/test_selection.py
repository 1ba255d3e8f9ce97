"""The decision's whole truth table."""

from itertools import product

import pytest

from diagnose.selection import Prerequisites, Refused, Rule, Selected, select

URL = "https://qhwzvbnkdmtyrcxaeplo.supabase.co/storage/v1/object/public/public/u/face/1.jpg"
PICTURE = Selected("image-to-image", "i2i", "IMAGE_TO_IMAGE_SELECTED")

TABLE = {
    ("text-to-image", True, URL): PICTURE,
    ("text-to-image", False, URL): PICTURE,
    ("text-to-image", True, None): Selected("text-to-image", "t2i", "PREREQUISITE_FAILED"),
    ("text-to-image", True, ""): Selected("text-to-image", "t2i", "PREREQUISITE_FAILED"),
    ("text-to-image", False, None): Selected("text-to-image", "t2i", "NO_IMAGE_SENT"),
    ("text-to-image", False, ""): Selected("text-to-image", "t2i", "NO_IMAGE_SENT"),
    ("refuse", True, URL): PICTURE,
    ("refuse", False, URL): PICTURE,
    ("refuse", True, None): Refused("PREREQUISITE_FAILED"),
    ("refuse", True, ""): Refused("PREREQUISITE_FAILED"),
    ("refuse", False, None): Refused("NO_IMAGE_SENT"),
    ("refuse", False, ""): Refused("NO_IMAGE_SENT"),
}


def test_the_table_is_whole() -> None:
    assert set(TABLE) == set(product(("text-to-image", "refuse"), (True, False), (URL, None, "")))


@pytest.mark.parametrize(("given", "decided"), TABLE.items())
def test_the_decision(given: tuple[str, bool, str | None], decided: Selected | Refused) -> None:
    fallback, image_sent, url = given
    assert select(Rule("i2i", "t2i", fallback), Prerequisites(image_sent, url)) == decided
