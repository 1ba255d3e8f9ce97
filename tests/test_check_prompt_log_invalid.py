"""An entry of the prompt log does not fit its schema."""

import pytest

from tests.cases_support import Example, examples, fault, look, without

CHECK = "prompt_log_invalid"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, without(fault(CHECK).case, "record.invalid")).status == "pass"


def test_the_command_lists_every_error() -> None:
    assert "diagnose validate" in str(getattr(fault(CHECK).finding().remedy, "command", ""))
