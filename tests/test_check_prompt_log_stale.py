"""The newest entry belongs to an older attempt."""

import pytest

from tests.cases_support import Example, also, examples, fault, look, seen, without

CHECK = "prompt_log_stale"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    written = also(without(fault(CHECK).case, "record.stale"), seen("record.entry", "forecast", value={}))
    assert look(CHECK, written).status == "pass"
