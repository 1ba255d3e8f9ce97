"""An unhandled exception ended the request."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look, without

CHECK = "backend_error"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_the_remedy_names_the_tracebacks_place() -> None:
    broken = fault(CHECK)
    place = next(e.source for e in broken.case.evidence if e.kind == "deployment.exception")
    assert place in str(broken.finding().remedy)


def test_put_right_it_is_gone() -> None:
    assert (
        look(CHECK, instead(without(fault(CHECK).case, "deployment.exception"), "request.access", status=200)).status
        == "pass"
    )
