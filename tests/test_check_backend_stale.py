"""The running code is not the code shown: it was not restarted, or another checkout runs."""

import pytest

from tests.cases_support import IMAGE_MODEL, Example, examples, fault, instead, look

CHECK = "backend_stale"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_the_remedy_says_both_readings() -> None:
    steps = " ".join(getattr(fault(CHECK).finding().remedy, "steps", ()))
    assert "Stop the process" in steps and "another checkout" in steps


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(fault(CHECK).case, "fal.call", model=IMAGE_MODEL)).status == "pass"
