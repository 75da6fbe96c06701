"""What `candor models` prints of a registration check."""

import json

import pytest

from api.cli.tables.models import check_in_words
from core.documents.model import KeepsUnknownKeys
from core.domain.registration import CheckResult
from models.package.shipped import ZOO

EXPLANATION = json.loads(next(ZOO.glob("*/docs/explanation.json")).read_text())


def of(tests):
    return KeepsUnknownKeys.model_validate({**EXPLANATION, "tests": tests})


PASSED = {"name": "faithfulness", "passed": True}
NOT_MADE = {"name": "localisation", "passed": None, "words": "no boxes"}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            CheckResult(level="warn", reasons=("warn: effusion, women: the lower bound", "warn: edema, men: the gap")),
            "effusion, women: the lower bound; edema, men: the gap",
        ),
        (CheckResult(level="block", reasons=("block: effusion", "warn: edema")), "effusion; warn: edema"),
        (CheckResult(level="ok"), "nothing that the policy of this site warns of"),
        (CheckResult(level="ok", passed=True, document=of([PASSED])), "passed 1 of 1 tests made"),
        (
            CheckResult(level="ok", passed=True, document=of([PASSED, NOT_MADE])),
            "passed 1 of 1 tests made (not made: localisation)",
        ),
    ],
)
def test_a_check_says_its_level_once_and_how_many_tests_were_made(found, words):
    assert check_in_words(found) == words
