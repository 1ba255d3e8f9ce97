"""An image URL was there and text-to-image was chosen."""

import pytest

from tests.cases_support import IMAGE_MODEL, Example, examples, fault, instead, look

CHECK = "model_not_switched"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_it_is_a_symptom_and_shows_the_address() -> None:
    found = fault(CHECK).finding()
    assert found.symptom and {"fal.call", "image_url"} <= {e.kind for e in found.evidence}


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(fault(CHECK).case, "fal.call", model=IMAGE_MODEL)).status == "pass"
