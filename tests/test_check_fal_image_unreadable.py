"""fal could not download or load the picture: 422."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look, without

CHECK = "fal_image_unreadable"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(without(fault(CHECK).case, "fal.error"), "fal.call", status=200)).status == "pass"


def test_every_type_fal_has_for_a_bad_picture_is_seen() -> None:
    for kind in ("image_too_small", "image_too_large", "file_too_large", "unsupported_image_format"):
        assert kind in str(look(CHECK, instead(fault(CHECK).case, "fal.error", type=kind)).message)
