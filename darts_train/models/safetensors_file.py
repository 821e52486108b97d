"""Weights as safetensors, their config as JSON beside them: the form that other programs read without torch.

`{name}.safetensors` has `{name}.json`; a folder as Hugging Face has them holds `model.safetensors` and `config.json`.
Neither file can say anything but numbers and text. safetensors has no checksums, so the JSON has one of the weights:
it also shows when the two were not made together.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path, require_file, write_text
from darts_train.base.hashes import hash_file
from darts_train.models.locate import FOLDER_CONFIG, FOLDER_WEIGHTS
from darts_train.models.plain_values import json_values
from darts_train.models.tensor_file import DamagedFileError

SUFFIX = ".safetensors"
FILE_HASH = "weights_file_hash"  # key of the JSON: BLAKE2b of the file of weights
LARGEST_CONFIG = 16 * 2**20  # bytes


def weights_in(place: Path) -> Path:
    """The file of weights where `place` is a folder as Hugging Face has them, else `place` itself."""
    return place / FOLDER_WEIGHTS if (place / FOLDER_WEIGHTS).is_file() else place


def config_beside(weights: Path) -> Path:
    """Where the config of a file of weights lies."""
    return weights.with_name(FOLDER_CONFIG) if weights.name == FOLDER_WEIGHTS else weights.with_suffix(".json")


def write_safetensors(path: Path, config: Mapping[str, Any], state_dict: Mapping[str, torch.Tensor]) -> None:
    """Write weights at `path` and plain values beside them, each atomically, the weights first.

    Raises OSError where the disk does not take them; a kill between the two leaves weights that the older JSON, if
    there is one, does not fit, which reading finds.
    """
    from safetensors.torch import save

    weights = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in state_dict.items()}
    with atomic_path(path) as temporary:
        # Not save_file: nobody but the owner may read what it writes, and it hides which error the disk gave.
        temporary.write_bytes(save(weights, {"format": "pt"}))  # the metadata is what transformers looks for
        config = {**config, FILE_HASH: hash_file(temporary)}
    text = json.dumps(json_values(config), indent=2, allow_nan=False, ensure_ascii=False)
    write_text(config_beside(path), text + "\n")


def read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Config and weights, on the CPU. Raises UserError naming the file that is missing or cut off."""
    config = _read_config(config_beside(path), path)
    expected = config.pop(FILE_HASH, None)
    weights = read_weights(path)
    if expected is not None and hash_file(path) != expected:
        name = config_beside(path).name
        raise DamagedFileError(f"{path} is damaged, or of another model than {name} beside it; take both anew.")
    return config, weights


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Weights alone, on the CPU. Raises UserError naming the file where it cannot be read, or is cut off."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise DamagedFileError(f"{path} is cut off or is no file of safetensors ({reason}).") from None


def _read_config(path: Path, weights: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{weights} lacks its config, {path.name} beside it; copy both.")
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise UserError(f"{path} is larger than {LARGEST_CONFIG >> 20} MB; it is no config of a model.")
        config = json.loads(require_file(path, "config").read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (ValueError, RecursionError):  # UnicodeDecodeError is one of the former
        raise DamagedFileError(f"{path} is cut off or is no JSON.") from None
    if not isinstance(config, dict):
        raise UserError(f"{path} is no config of a model: it is a {type(config).__name__}, not a table.")
    return config
