"""Row-level security refused the upload."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look, without

CHECK = "storage_policy_denied"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_put_right_it_is_gone() -> None:
    assert (
        look(CHECK, instead(without(fault(CHECK).case, "storage.error"), "storage.upload", status=200)).status == "pass"
    )
