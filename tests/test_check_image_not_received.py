"""The browser sent an image that the backend did not receive."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look

CHECK = "image_not_received"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_it_is_a_symptom() -> None:
    assert fault(CHECK).finding().symptom


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(fault(CHECK).case, "request.received", images=1)).status == "pass"
