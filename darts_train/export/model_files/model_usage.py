"""How a model is used, for its card: as a command, in Python, and without this program."""

from collections.abc import Mapping
from typing import Any

from darts_train.models.factory import is_own


def usage(config: Mapping[str, Any], folder: str) -> list[str]:
    """Lines of Markdown; the folder of the model is called `folder`, and is in the working directory."""
    lines = [
        "```sh",
        f"darts predict --model {folder} --input scene.tif --out-dir maps",
        "```",
        "",
        "Bands are found by their names in the scene. The same from Python:",
        "",
        "```python",
        "from pathlib import Path",
        "",
        "from darts_train.models.model_file import load_model_file",
        "",
        f'model = load_model_file(Path("{folder}"))',
        "print(model.spec.names, model.classes, model.threshold)",
        "```",
    ]
    plain = config["normalisation"] == "range" and config.get("fit", "tile") == "tile"
    if not plain or config["model_framework"] != "smp" or is_own(str(config["model"].get("arch", "Unet"))):
        return lines
    return [*lines, "", "Without darts-train:", "", "```python", *_bare(config, folder), "```"]


def _bare(config: Mapping[str, Any], folder: str) -> list[str]:
    """The network in its own library; what goes in is what `InputSpecification.normalise` makes, the fill likewise."""
    last = "sigmoid()" if len(config["classes"]) == 2 else "softmax(1)"
    return [
        "import json",
        "",
        "import segmentation_models_pytorch as smp",
        "import torch",
        "from safetensors.torch import load_file",
        "",
        f'config = json.load(open("{folder}/config.json"))',
        'network = smp.create_model(**config["model"], encoder_weights=None).eval()',
        f'network.load_state_dict(load_file("{folder}/model.safetensors"))',
        'low, high = torch.tensor(config["ranges"]).T[:, :, None, None]',
        "",
        "",
        "def probabilities(values):  # float32 [n, bands, height, width], NaN where there is no data",
        '    x = ((values - low) / (high - low)).clamp(0, 1).nan_to_num(config["nodata_fill"])',
        "    with torch.no_grad():",
        f"        return network(x).{last}",
    ]
