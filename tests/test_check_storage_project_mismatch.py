"""Key, URL or picture belong to different projects."""

import pytest

from tests.cases_support import Example, examples, fault, instead, look

CHECK = "storage_project_mismatch"


@pytest.mark.parametrize("example", examples(CHECK), ids=str)
def test_case(example: Example) -> None:
    example.verify()


def test_the_message_names_both_projects() -> None:
    said = str(fault(CHECK).finding().message)
    assert "qhwzvbnkdmtyrcxaeplo" in said and "mzkfjtwlreoiuypqxnds" in said


def test_put_right_it_is_gone() -> None:
    assert look(CHECK, instead(fault(CHECK).case, "env.setting", project="qhwzvbnkdmtyrcxaeplo")).status == "pass"
