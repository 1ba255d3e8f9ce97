"""The bucket does not exist."""

import pytest

from diagnose.render.words import Words
from tests.cases_support import Example, examples, fault, instead, look, without

CHECK = "bucket_missing"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_the_command_names_the_bucket_that_was_tried() -> None:
    named = look(CHECK, instead(fault(CHECK).case, "storage.upload", bucket="Images")).remedy
    assert named is not None and "'Images'" in str(named.command) and "'Images'" in Words("en").remedy(named).title


def test_a_hostile_name_makes_no_command() -> None:
    remedy = look(CHECK, instead(fault(CHECK).case, "storage.upload", bucket="x'); drop table users; --")).remedy
    assert remedy is not None and remedy.command is None


def test_put_right_it_is_gone() -> None:
    assert (
        look(CHECK, instead(without(fault(CHECK).case, "storage.error"), "storage.upload", status=200)).status == "pass"
    )
