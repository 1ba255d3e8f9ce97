"""The bucket is not public, so its public URL serves nothing."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look

CHECK = "bucket_private"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_the_command_names_the_bucket_and_is_no_safe_one() -> None:
    remedy = fault(CHECK).finding().remedy
    assert remedy is not None and not remedy.safe  # what was private is then open to all
    assert "'public'" in str(remedy.command)


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(fault(CHECK).case, "storage.fetch", status=200)).status == "pass"
