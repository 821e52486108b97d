"""Two networks in one graph, as habitat-mapper's older kelp models are: is there any, and which of two species.

The graph gives `concat(presence, species)`: 1 + 2 channels for images of three bands, 2 + 2 for others, which is what
the classes `LegacyKelpRGBModel` and `LegacyKelpRGBIModel` of that program take apart. A network of ours says two
classes with one logit z, which as two channels is (0, z): softmax gives the same.

The rule (`combine`): P(background) = 1 - P(presence), P(species) = P(presence) · P(species | presence); the class is
background, or the more probable of the species.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from darts_train.base.errors import UserError
from darts_train.export.graphs.comparison import Logits
from darts_train.export.sidecars.dress import logit
from darts_train.models.factory import stride
from darts_train.models.locate import locate_model
from darts_train.models.model_file import LoadedModel, load_model_file

SPECIES = 2  # that the program tells apart
RGB_BANDS = 3


class TwoHeads(nn.Module):
    """Image float32 [n, c, h, w] → [n, k + 2, h, w], k = 1 or 2; see the module. The threshold of presence is 0.5.

    `shift` is what the presence logit loses, so that its own threshold becomes 0.5.
    """

    def __init__(self, presence: nn.Module, species: nn.Module, channels: int, shift: float) -> None:
        super().__init__()
        self.presence, self.species, self.channels, self.shift = presence, species, channels, shift

    def forward(self, image: Tensor) -> Tensor:
        """Logits of presence, then of the two species."""
        return torch.cat(
            (pair(self.presence(image) - self.shift, self.channels), pair(self.species(image), SPECIES)), 1
        )


def pair(logits: Tensor, channels: int) -> Tensor:
    """Logits [n, k, h, w] in so many channels: one as (0, z), three as their last two."""
    if channels == logits.shape[1]:
        return logits
    if logits.shape[1] > channels:
        return logits[:, -channels:]
    return torch.cat((torch.zeros_like(logits), logits), 1)


def two_heads(presence: LoadedModel, place: Path) -> LoadedModel:
    """One model of two: `presence`, and the model of two species at `place`. Its first class is the background.

    Raises UserError where the second cannot be read, or the two do not go together.
    """
    species = load_model_file(locate_model(place, "--species-model"))
    _check(presence, species, place)
    names = species.classes[-SPECIES:]
    channels = 1 if len(presence.spec.bands) == RGB_BANDS else 2
    steps = {one.arch: stride(one.arch, one.encoder, one.options) for one in (species, presence)}
    base = presence if steps[presence.arch] >= steps[species.arch] else species
    network = TwoHeads(presence.network, species.network, channels, logit(presence.threshold)).eval()
    return replace(base, network=network, classes=(presence.classes[0], *names), threshold=0.5, source=presence.source)


def _check(presence: LoadedModel, species: LoadedModel, place: Path) -> None:
    if len(presence.classes) != 2:
        raise UserError(
            f"--species-model: --model is to say whether there is any, with two classes, not {len(presence.classes)}."
        )
    if len(species.classes) not in (SPECIES, SPECIES + 1):
        raise UserError(
            f"--species-model: {place} is to tell two species apart; it has {len(species.classes)} classes."
        )
    if presence.spec != species.spec or presence.fit != species.fit:
        raise UserError(
            f"--species-model: {place} sees other bands, or other ranges of them, than --model; train both alike."
        )


def model_class(model: LoadedModel) -> str:
    """The class of habitat-mapper that takes the channels apart."""
    rgb = len(model.spec.bands) == RGB_BANDS
    return f"habitat_mapper.model.LegacyKelp{'RGB' if rgb else 'RGBI'}Model"


def combine(logits: Logits) -> tuple[Logits, npt.NDArray[np.uint8]]:
    """Probabilities [n, 3, h, w] and classes uint8 [n, h, w] of the graph's [n, 3 or 4, h, w]; a tie is background.

    Raises ValueError for another number of channels.
    """
    if logits.shape[1] not in (3, 4):
        raise ValueError(f"two heads have 3 or 4 channels, not {logits.shape[1]}")
    first = torch.from_numpy(np.ascontiguousarray(logits, np.float32))
    presence = first[:, :1].sigmoid() if logits.shape[1] == 3 else first[:, :2].softmax(1)[:, 1:]
    species = first[:, -SPECIES:].softmax(1)
    probabilities = torch.cat((1 - presence, presence * species), 1)
    classes = torch.where(presence[:, 0] > 0.5, 1 + species.argmax(1), 0)
    return probabilities.numpy(), classes.numpy().astype(np.uint8)


def facts(model: LoadedModel) -> dict[str, Any]:
    """What metadata say of two heads."""
    network = model.network
    assert isinstance(network, TwoHeads)
    return {"heads": [network.channels, SPECIES], "activation": "heads"}
