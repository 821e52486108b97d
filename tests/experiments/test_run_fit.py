"""A run on patches that its network does not take: training, test, model file and exported network do the same."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.experiments.evaluate_run import test_smp as run_test
from darts_train.experiments.evaluating import figures as evaluation_figures
from darts_train.experiments.one_run.settings import prepare_run
from darts_train.export.export import describe, export_model
from darts_train.export.graphs.comparison import fixed_shapes
from darts_train.inference.models import OnnxBackend, open_model
from darts_train.models.model_file import load_model_file, save_model_file
from darts_train.options.exporting import Export
from darts_train.options.learning import Artifacts, Data, Device, Split, Tracking
from darts_train.options.learning import Test as RunToTest
from darts_train.training.module import SegmentationModule
from darts_train.training.pictures import of_samples as sample_figures
from tests.support.runs import hyperparameters, run
from tests.support.sets import make_set

SIDE = 24


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("fit") / "set"
    make_set(root, patches=8, size=SIDE)
    return root


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    """One picture shows what eight show."""
    monkeypatch.setattr(evaluation_figures, "WORST_PATCHES", 1)
    monkeypatch.setattr(sample_figures, "POSITIVES", 1)
    monkeypatch.setattr(sample_figures, "EMPTIES", 1)


def prepared(root, **changes):
    return prepare_run(Data(train_data_dir=root), Split(), hyperparameters(**changes), Device(device="cpu"), 0)


def test_what_the_network_does_not_take_is_refused_with_ways_out(root):
    with pytest.raises(UserError, match=r"the nearest that work: 32\. Or give --pad-to-stride, or --resize-to\."):
        prepared(root)
    with pytest.raises(UserError, match=r"--resize-to: .* does not take patches of 50 pixels; .*32 and 64"):
        prepared(root, resize_to=50)
    with pytest.raises(UserError, match="exclude each other"):
        prepared(root, resize_to=64, pad_to_stride=True)


@pytest.mark.parametrize(
    ("changes", "fit", "image", "figures"),
    [({"pad_to_stride": True}, ("pad", 32), 32, 0), ({"resize_to": 32}, ("resize", 32), 32, 1)],
    ids=["pad", "resize"],
)
def test_a_run_its_test_and_its_files_agree(root, tmp_path, changes, fit, image, figures):
    place = tmp_path / "_runs" / "run-aaaaaaaa"
    result = run(
        root, place, t={"max_epochs": 1, "plot_every_n_val_epochs": figures}, h=changes, split={"fold_method": None}
    )
    best = place / "checkpoints" / "best.ckpt"
    loaded = load_model_file(best)
    assert (loaded.fit.kind, loaded.fit.size, loaded.side) == (*fit, image)

    tested = run_test(
        RunToTest(run_name="run", run_id="aaaaaaaa"), Data(train_data_dir=root), Split(),
        Artifacts(artifact_dir=tmp_path), Device(device="cpu"), Tracking(),
    )  # fmt: skip
    # validation equals training, and the test part is all, so that both saw the same pixels
    assert tested.metrics["test/JaccardIndex"] == pytest.approx(result.metrics["val/JaccardIndex"], abs=1e-6)

    codes = np.random.default_rng(0).integers(0, 65535, (2, 3, SIDE, SIDE), dtype=np.uint16)
    codes[:, :, :5] = 65535
    module = SegmentationModule(loaded.config, pretrained=False).eval()
    module.model.load_state_dict(loaded.network.state_dict())
    with torch.no_grad():
        expected = module(torch.from_numpy(codes.view(np.int16))).numpy()
    assert expected.shape == (2, 1, SIDE, SIDE)
    model, size = open_model(best, None, "cpu")
    assert size == SIDE
    assert np.abs(model.backend.logits(codes) - expected).max() < 1e-6
    onnx = OnnxBackend(Session(loaded.network), loaded.spec, loaded.fit)
    assert np.abs(onnx.logits(codes) - expected).max() < 1e-6
    facts = describe(loaded, 0.0, True)
    assert ((facts["fit"], facts["fit_size"]), facts["patch_size"]) == (fit, SIDE)
    assert [sides for _, *sides in fixed_shapes(loaded)] == [[image, image]] * 3


class Session:
    """What stands for ONNX Runtime: the network as torch runs it, which takes no other sides than it would."""

    def __init__(self, network):
        self.network = network

    def get_inputs(self):
        return [SimpleNamespace(name="image")]

    def run(self, names, inputs):
        with torch.no_grad():
            return [self.network(torch.from_numpy(inputs["image"])).numpy()]


@pytest.mark.slow
def test_an_exported_network_is_fitted_alike(root, tmp_path):
    shallow = {"model_encoder": "resnet18", "model_options": ("encoder_depth=3",)}  # quicker to export than SMALL's
    config = prepared(root, resize_to=64, **shallow).config
    network = SegmentationModule(config, pretrained=False).model
    save_model_file(tmp_path / "m.ckpt", config, network.state_dict())
    export_model(Export(model=tmp_path / "m.ckpt", out=tmp_path / "m.onnx"))
    codes = np.random.default_rng(0).integers(0, 65535, (2, 3, 48, 48), dtype=np.uint16)
    codes[:, :, :5] = 65535
    found = [open_model(tmp_path / f"m.{kind}", 48, "cpu") for kind in ("ckpt", "onnx")]
    assert [size for _, size in found] == [48, 48]
    for size in (SIDE, 48):
        ours, theirs = (model.backend.logits(np.ascontiguousarray(codes[..., :size, :size])) for model, _ in found)
        assert np.abs(ours - theirs).max() < 1e-4


def test_an_encoder_without_blocks_is_refused_before_anything_is_written(root, tmp_path, monkeypatch):
    monkeypatch.setattr("darts_train.training.hardware.recompute._blocks", lambda _: iter(()))
    with pytest.raises(UserError, match="--gradient-checkpointing: tu-lcnet_035 has no blocks"):
        run(root, tmp_path / "run", h={"resize_to": 32}, t={"gradient_checkpointing": True})
    assert not (tmp_path / "run").exists()
