"""Pictures are mapped as the model's train data were fitted."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from darts_train.inference.inputs import open_scenes
from darts_train.models.model_config import _source_settings
from darts_train.options.predicting import SceneFiles


@pytest.mark.parametrize(
    ("fit", "size"), [("tile", (60, 40)), ("pad", (60, 40)), ("resize", (30, 30)), ("letterbox", (30, 20))]
)
def test_a_picture_is_fitted_as_in_training(tmp_path, fit, size):
    tags = Image.Exif()
    tags[0x0112] = 6
    pixels = np.full((60, 40, 3), 9, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=tags)
    source = _source_settings({"fit": fit, "scale": 1.0, "mask_threshold": 127.0})
    assert ("picture_fit" in source) == (fit != "tile")
    model = SimpleNamespace(source=source, patch_size=30, spec=SimpleNamespace(names=("red",)))
    stack = SimpleNamespace(bands_for=lambda scene: None, warn_of_sun=lambda scenes: None)
    (scene,) = open_scenes(SceneFiles(input=(tmp_path / "a.png",)), model, stack)
    assert (scene.grid.width, scene.grid.height) == size
    assert (scene.read(["green"], scene.grid.extent) == 9).all()
