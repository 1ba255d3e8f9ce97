"""The image arrived and could not be used."""

import pytest

from tests.cases_support import Example, also, examples, fault, look, seen, without

CHECK = "image_unusable"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, also(without(fault(CHECK).case, "decode.failed"), seen("decode.done"))).status == "pass"


def test_one_bad_picture_of_two_is_no_fault_of_the_chain() -> None:
    url = seen("image_url", url="https://qhwzvbnkdmtyrcxaeplo.supabase.co/storage/v1/object/public/public/1.jpg")
    assert look(CHECK, also(fault(CHECK).case, url)).status == "warn"
