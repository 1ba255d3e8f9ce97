"""Nothing listens at the backend's address."""

import pytest

from tests.cases_support import Example, also, examples, fault, look, seen

CHECK = "backend_down"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_an_answer_of_the_backend_excludes_it() -> None:
    mended = also(
        fault(CHECK).case, seen("request.access", "wire", status=200, method="POST", path="/api/generate-image")
    )
    assert look(CHECK, mended).status == "pass"


def test_the_remedy_starts_a_server() -> None:
    remedy = fault(CHECK).finding().remedy
    assert remedy is not None and str(remedy.command).startswith("uvicorn ") and remedy.safe
