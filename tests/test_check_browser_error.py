"""The browser's console or network shows an error on this request."""

import pytest

from tests.cases_support import Example, also, case_of, examples, fault, look, seen

CHECK = "browser_error"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    clean = case_of(
        seen("given", "claimed", kinds=["console"]), seen("answer", "wire", status=200, pictures=1, html=False)
    )
    assert look(CHECK, clean).status == "pass"
    assert look(CHECK, also(clean, *fault(CHECK).case.evidence)).status == "warn"
