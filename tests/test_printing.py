"""What people read of an answer."""

from pathlib import Path

import pytest

from bntt.analysis.evaluation import Evaluation
from bntt.commands.evaluate import print_evaluation

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("commit", "said"),
    [
        (COMMIT, "commit 0123456789ab."),
        (COMMIT + "+", "commit 0123456789ab, changed since."),
        ("version 0.1.0", "bntt version 0.1.0."),
    ],
)
def test_an_evaluation_says_which_sources_answered(capsys, commit, said):
    result = Evaluation(
        dataset="digits",
        images=10,
        seeds=(0,),
        accuracy=((0.9,),),
        batch_size=10,
        precision="float32",
        commit=commit,
    )
    print_evaluation(result, Path("best.safetensors"))
    assert said in " ".join(capsys.readouterr().out.split())
