"""Whether a model on a server is the network that its facts speak of; checked before any scene is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.inference.kserve.protocol import nonsense
from darts_train.models.facts import ModelFacts

FREE = -1
MOST_IMAGES = 65536  # of what a server may have every request filled up to
DATATYPES = ("FP32", "FP16")
_log = logger("inference")


@dataclass(frozen=True)
class Agreement:
    """What requests look like: `name` of the image, `output` of the logits.

    `batch` is the only number of images that a request may have, `most` the largest, `side` that of every image, in
    pixels; None where the server has no such limit.
    """

    name: str
    output: str
    datatype: str
    batch: int | None
    most: int | None
    side: int | None


def agree(
    url: str, name: str, metadata: Mapping[str, Any], config: Mapping[str, Any] | None, facts: ModelFacts
) -> Agreement:
    """What the server says of its model, compared with the facts. Raises UserError where they do not go together."""
    if metadata.get("name") != name:
        raise nonsense(url, f"asked for {name}, it speaks of {str(metadata.get('name'))[:60]}")
    taken, given = (_tensors(url, metadata, kind) for kind in ("inputs", "outputs"))
    if len(taken) != 1:
        raise UserError(f"--model-name: {name} on {url} takes {len(taken)} inputs; one is wanted, the image.")
    image = taken[0]
    outputs = {one.name: one for one in given}
    output = outputs.get("logits") or given[0]
    if len(given) > 1 and output.name != "logits":
        raise UserError(f"--model-name: {name} on {url} gives {listing(outputs)}; which are the logits?")
    if image.datatype not in DATATYPES:
        raise UserError(f"--model-name: {name} on {url} takes {image.datatype}, not {' or '.join(DATATYPES)}.")
    _check_shape(url, name, image, len(facts.spec.bands), f"bands are {listing(facts.spec.names, 12)}")
    _check_shape(url, name, output, facts.channels, f"classes are {listing(facts.classes, 12)}")
    sides = set(image.shape[2:]) - {FREE}
    if len(sides) > 1 or (sides and FREE in image.shape[2:]):
        raise UserError(f"--model-name: {name} on {url} takes images of {image.shape[2:]} pixels, no squares.")
    if image.shape[0] > MOST_IMAGES:
        raise UserError(f"--model-name: {name} on {url} takes {image.shape[0]} images at a time; that is no network's.")
    batch = None if image.shape[0] == FREE else max(image.shape[0], 1)
    return Agreement(image.name, output.name, image.datatype, batch, _most(config), next(iter(sides), None))


@dataclass(frozen=True)
class _Declared:
    name: str
    datatype: str
    shape: tuple[int, ...]


def _tensors(url: str, metadata: Mapping[str, Any], kind: str) -> list[_Declared]:
    """Declared inputs or outputs, at least one. gRPC's JSON has sides as text."""
    found = metadata.get(kind)
    if not found or not isinstance(found, Sequence):
        raise UserError(
            f"--model-name: the server at {url} does not say which {kind} the model has; declare them there."
        )
    try:
        return [_Declared(str(one["name"]), str(one["datatype"]), tuple(map(int, one["shape"]))) for one in found]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise nonsense(url, f"{kind} without {error}") from None


def _check_shape(url: str, name: str, tensor: _Declared, channels: int, because: str) -> None:
    if len(tensor.shape) != 4 or tensor.shape[1] not in (FREE, channels):
        raise UserError(
            f"--model-name: {tensor.name} of {name} on {url} is {list(tensor.shape)}, not [n, {channels}, h, w]: "
            f"the {because}."
        )


def _most(config: Mapping[str, Any] | None) -> int | None:
    """The largest batch that Triton's configuration allows; 0 there is a network that takes one batch alone."""
    try:
        return int((config or {}).get("max_batch_size") or 0) or None
    except (TypeError, ValueError):
        return None
