"""An ensemble becomes one ONNX file, members' own normalisations and a temperature within."""

import numpy as np
import pytest
import torch

from darts_train.export.export import export_model
from darts_train.inference.models import open_model
from darts_train.models.ensemble_config import ensemble_config, ensemble_state
from darts_train.models.model_file import load_model_file, save_model_file
from darts_train.options.exporting import Export
from tests.support.members import codes, members, spec_of

SPECS = [
    spec_of(("green", "blue"), kind="zscore", low=0.05, high=0.1),
    spec_of(("red", "green"), kind="zscore", low=0.07, high=0.2, fill=-3.0),
]


@pytest.mark.parametrize(
    ("classes", "votes"),
    [
        (("background", "slump"), "soft"),
        pytest.param(("a", "b", "c"), "soft", marks=pytest.mark.slow),
        pytest.param(("a", "b", "c"), "hard", marks=pytest.mark.slow),
    ],
)
def test_the_runtime_says_what_torch_says(tmp_path, classes, votes):
    torch.set_num_threads(1)
    alone = members(tmp_path, SPECS, classes=classes)
    config = ensemble_config(alone, ["a", "b"], [1, 2], votes, 0.25)
    config["calibration"] = {"temperature": 1.5}
    save_model_file(tmp_path / "e.ckpt", config, ensemble_state(alone))
    assert load_model_file(tmp_path / "e.ckpt").spec.names == ("green", "blue", "red")
    exported = export_model(Export(model=tmp_path / "e.ckpt", out=tmp_path / "e.onnx"))
    assert exported.free_sizes
    ours, _ = open_model(tmp_path / "e.ckpt", None, "cpu")
    theirs, _ = open_model(tmp_path / "e.onnx", None, "cpu")
    for size, n in ((32, 2), (40, 1)):
        x = codes(4, size=size, n=n)
        np.testing.assert_allclose(theirs.probabilities(x), ours.probabilities(x), atol=1e-4)
    assert (theirs.threshold, theirs.spec) == (0.25, ours.spec)
