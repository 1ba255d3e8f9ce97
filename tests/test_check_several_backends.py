"""Several processes answer, or one could not start because another holds its port."""

import pytest

from tests.cases_support import Example, examples, fault

CHECK = "several_backends"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_the_remedy_looks_before_it_stops_anything() -> None:
    remedy = fault(CHECK).finding().remedy
    assert remedy is not None and remedy.safe and "kill" not in str(remedy.command)
