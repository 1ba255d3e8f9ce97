"""The entry contradicts a stronger witness, or itself."""

import pytest

from tests.cases_support import IMAGE_MODEL, Example, examples, fault, instead, look

CHECK = "prompt_log_disagrees"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_both_witnesses_are_shown() -> None:
    assert {e.kind for e in fault(CHECK).finding().evidence} >= {"record.entry", "fal.call"}


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(fault(CHECK).case, "fal.call", model=IMAGE_MODEL)).status == "pass"
