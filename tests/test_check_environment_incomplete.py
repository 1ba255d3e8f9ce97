"""A setting the chain needs is missing, malformed, or differs between files."""

import pytest

from tests.cases_support import Example, case_of, examples, fault, instead, look, seen

CHECK = "environment_incomplete"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_the_remedy_names_the_setting() -> None:
    assert "FAL_KEY" in str(fault(CHECK).finding().remedy)


def test_put_right_it_is_gone() -> None:
    key = seen("env.setting", name="FAL_KEY", file=".env", shape="fal", fault="is not of the form id:secret")
    assert look(CHECK, case_of(key)).status == "warn"
    assert look(CHECK, instead(case_of(key), "env.setting", fault=None)).status == "pass"
