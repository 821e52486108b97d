"""Every architecture, with an encoder as small as there is, is exported: what is written says what torch says.

`export_model` compares at several sizes and batches itself, and refuses to write what differs; here one more is tried,
by the runtime, of the file on the disk. benchmarks/exports.py has all formats.
"""

import numpy as np
import onnxruntime
import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.export.export import export_model
from darts_train.models.factory import architectures
from darts_train.models.model_file import load_model_file
from darts_train.options.exporting import Export
from tests.support.exporting import saved_model

SMALLEST = "tu-test_efficientnet"  # six blocks: what timm keeps for tests
LIGHT = {  # fewer scales and channels, where a network may have them
    "Unet": {"encoder_depth": 3, "decoder_channels": (16, 8, 8)},
    "UnetPlusPlus": {"encoder_depth": 3, "decoder_channels": (16, 8, 8)},
    "MAnet": {"encoder_depth": 3, "decoder_channels": (16, 8, 8)},
    "Linknet": {"encoder_depth": 3},
    "UPerNet": {"decoder_channels": 16},
    "DPT": {"decoder_intermediate_channels": (8, 8, 8, 8), "decoder_fusion_channels": 8},
}
SIDES = {"PAN": 128}  # a pyramid of pools below the deepest features


@pytest.mark.slow
@pytest.mark.parametrize("arch", architectures())
def test_every_architecture_is_exported(arch, tmp_path):
    side, options = SIDES.get(arch, 64), tuple(LIGHT.get(arch, {}).items())
    encoder = "dilated" if arch == "FCN" else SMALLEST
    path = saved_model(tmp_path / "m.ckpt", arch, encoder, ("land", "water", "snow"), patch_size=side, options=options)
    result = export_model(Export(model=path, out=tmp_path / "m.onnx"))
    assert result.free_sizes
    assert result.max_difference < 1e-4
    image = torch.rand(2, 2, side, 2 * side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = load_model_file(path).network(image).numpy()
    session = onnxruntime.InferenceSession(str(result.path), providers=["CPUExecutionProvider"])
    found = session.run(["logits"], {"image": image.numpy()})[0]
    assert np.abs(found - expected).max() < 1e-4 * max(1.0, np.abs(expected).max())
    script = export_model(Export(model=path, out=tmp_path / "m.pt", format="torchscript"))
    assert script.max_difference < 1e-4


def test_a_patch_size_that_the_network_does_not_take_is_told_first(tmp_path):
    path = saved_model(tmp_path / "m.ckpt", "PAN", SMALLEST, patch_size=64)
    with pytest.raises(UserError, match=r"patch_size: PAN .*does not take patches of 64 pixels; .* 128"):
        export_model(Export(model=path, out=tmp_path / "m.onnx"))
    assert [file.name for file in tmp_path.iterdir()] == ["m.ckpt"]
