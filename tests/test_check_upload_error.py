"""The client library raised before or instead of an answer."""

import pytest

from tests.cases_support import Example, also, examples, fault, look, seen, without

CHECK = "upload_error"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_the_remedy_shows_the_call_that_works() -> None:
    assert "getvalue()" in str(fault(CHECK).finding().remedy)


def test_put_right_it_is_gone() -> None:
    stored = seen("storage.upload", "wire", status=200, bucket="public")
    assert look(CHECK, also(without(fault(CHECK).case, "error"), stored)).status == "pass"
