"""The prompt log is not written."""

import pytest

from tests.cases_support import Example, also, examples, fault, look, seen, without

CHECK = "prompt_log_missing"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    saved = also(without(fault(CHECK).case, "record.save_failed"), seen("record.entry", "forecast", value={}))
    assert look(CHECK, saved).status == "pass"
