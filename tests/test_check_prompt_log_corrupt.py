"""The prompt log is cut off or not JSON."""

import pytest

from tests.cases_support import Example, case_of, examples, fault, look, seen

CHECK = "prompt_log_corrupt"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_the_remedy_loses_nothing() -> None:
    remedy = fault(CHECK).finding().remedy
    assert remedy is not None and remedy.safe and str(remedy.command).startswith("mv ")


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, case_of(seen("record.entry", "forecast", value={}))).status == "pass"
