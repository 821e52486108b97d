"""Features of encoders: what they take, and what they say of one place in another light."""

import numpy as np
import pytest
import torch
from segmentation_models_pytorch.encoders import get_encoder

from darts_train.base.errors import UserError
from darts_train.dataset.grouping.units import Units
from darts_train.dataset.reader import TrainData
from darts_train.models import embeddings
from darts_train.models.embeddings import encoder_features
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import make_model_config, save_model_file
from tests.support.sets import make_set

ENCODER = "resnet18"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(embeddings, "SIDE", 32)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("embeddings")
    make_set(root, patches=6, size=32, bands=3, scenes=3)
    return TrainData.open(root)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """As timm and segmentation-models-pytorch store them, with a classifier that is of no use."""
    torch.manual_seed(0)
    state = get_encoder(ENCODER, in_channels=3, weights=None).state_dict() | {"fc.weight": torch.zeros(10, 512)}
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(state, path)
    return path


def features(data, weights, unit="sample", encoder=ENCODER):
    return encoder_features(data, Units.of(data.metadata, unit), encoder, str(weights), "cpu")


def test_a_sample_is_the_mean_of_its_patches(data, weights):
    samples, patches = features(data, weights), features(data, weights, "patch")
    assert samples.shape == (3, 512)
    assert patches.shape == (6, 512)
    assert np.allclose(np.linalg.norm(samples, axis=1), 1, atol=1e-5)
    for k in range(3):
        parts = patches[2 * k : 2 * k + 2].T
        shares, residual, *_ = np.linalg.lstsq(parts, samples[k], rcond=None)
        assert residual < 1e-6
        assert (shares > 0.3).all()


def test_light_does_not_count_and_a_flat_patch_is_unknown(data, weights):
    class Other:
        """The set with each patch in another light, and one that is flat."""

        bands, metadata = data.bands, data.metadata

        def __len__(self):
            return len(data)

        def read_many(self, rows, checked=True):
            x, y = data.read_many(rows, checked)
            x = (x.astype(np.int64) * 2 + 500).astype(np.uint16)
            x[5] = 1000
            return x, y

    before, after = features(data, weights, "patch"), features(Other(), weights, "patch")
    assert np.allclose(before[:5], after[:5], atol=1e-4)
    assert not after[5].any()


def test_a_model_file_brings_its_encoder_and_its_bands(data, tmp_path):
    torch.manual_seed(0)
    network = create_network("Unet", ENCODER, None, 3, 2)
    config = make_model_config(
        "Unet",
        ENCODER,
        None,
        InputSpecification(data.bands),
        ("background", "positive"),
        patch_size=32,
        ignore_index=255,
    )
    save_model_file(tmp_path / "model.ckpt", config, network.state_dict())
    assert features(data, tmp_path / "model.ckpt").shape == (3, 512)
    with pytest.raises(UserError, match="has the encoder resnet18"):
        features(data, tmp_path / "model.ckpt", encoder="resnet34")
    with pytest.raises(UserError, match="is of the bands"):
        features(TrainData.open(data.root, ["blue"]), tmp_path / "model.ckpt")


def test_what_does_not_fit_is_refused(data, weights, tmp_path):
    one_band = TrainData.open(data.root, ["blue"])
    assert features(one_band, weights).shape == (3, 512)  # grey, thrice
    with pytest.raises(UserError, match="--bands"):
        features(TrainData.open(data.root, ["blue", "red"]), weights)
    with pytest.raises(UserError, match="another encoder; it lacks"):
        features(data, weights, encoder="resnet34")
    with pytest.raises(UserError, match="--embedding: there is no encoder"):
        features(data, weights, encoder="resnet19")
    with pytest.raises(UserError, match="needs --embedding-weights"):
        encoder_features(data, Units.of(data.metadata, "sample"), ENCODER, None, "cpu")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(UserError, match="file of weights"):
        features(data, tmp_path / "text.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="no weights by name"):
        features(data, tmp_path / "list.pth")
    with pytest.raises(UserError, match="cannot be had"):
        features(data, "no-such-weights")
    for absent in ("absent.pth", "folder/absent"):
        with pytest.raises(UserError, match="does not exist"):
            features(data, absent)
    with pytest.raises(UserError, match="imagenet"):
        features(data, "imagnet", encoder="tu-resnet18")
