"""Storage refused this object: size, type, name, already there."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look, without

CHECK = "object_refused"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_every_reason_has_a_remedy_of_its_own() -> None:
    told = [e for e in examples(CHECK) if e.status == "fail" and not e.name.startswith(("malformed", "now"))]
    faults = [e.finding() for e in told]
    assert len({f.remedy.steps for f in faults if f.remedy}) == len(faults) >= 4


def test_put_right_it_is_gone() -> None:
    assert (
        look(CHECK, instead(without(fault(CHECK).case, "storage.error"), "storage.upload", status=200)).status == "pass"
    )
