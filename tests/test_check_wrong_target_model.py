"""An image-to-image model other than the profile's was called."""

import pytest

from tests.cases_support import IMAGE_MODEL, Example, examples, fault, instead, look

CHECK = "wrong_target_model"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_it_is_a_symptom_and_offers_both_ways_out() -> None:
    found = fault(CHECK).finding()
    assert found.symptom and found.remedy is not None and len(found.remedy.steps) == 2


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(fault(CHECK).case, "fal.call", model=IMAGE_MODEL)).status == "pass"
