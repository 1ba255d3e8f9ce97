"""Two places name different models: two constants in the source, or what one module logs and what was posted."""

import pytest

from tests.cases_support import IMAGE_MODEL, Example, examples, fault, instead, look

CHECK = "model_constant_conflict"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_both_places_are_proof() -> None:
    assert [e.source for e in fault(CHECK).finding().evidence] == ["fal_service.py:39", "main.py:3645"]


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(fault(CHECK).case, "source.model", model=IMAGE_MODEL)).status == "pass"
