"""Pretrained weights, fetched where there is a network for where there is none: the command download-weights."""

from dataclasses import dataclass
from pathlib import Path

from darts_train.models.factory import create_network
from darts_train.options.downloading import EncoderWeights

ARCHITECTURE = "Unet"  # any will do: the weights are the encoder's alone


@dataclass(frozen=True)
class DownloadedWeights:
    """What was fetched, or was there already, and where the model hub's client keeps it."""

    encoder: str
    weights: str
    parameters: int
    cache: Path

    def summary(self) -> str:
        """Two lines for the terminal."""
        return (
            f"{self.weights} of {self.encoder}, {self.parameters / 1e6:.1f} million numbers: in {self.cache}\n"
            "On a machine without a network set HF_HUB_CACHE to a copy of this directory, and HF_HUB_OFFLINE=1."
        )


def download_weights(encoder_weights: EncoderWeights) -> DownloadedWeights:
    """Fetch pretrained weights of an encoder into the cache of the model hub's client, and load them once.

    Training then finds them there. Where the hub is, and where the cache, say the client's own environment variables,
    HF_ENDPOINT and HF_HUB_CACHE. Raises UserError for names that do not exist, and weights that cannot be had.
    """
    encoder, weights = encoder_weights.model_encoder, encoder_weights.model_encoder_weights
    network = create_network(ARCHITECTURE, encoder, weights, in_channels=3, classes=2)
    import huggingface_hub.constants

    numbers = sum(parameter.numel() for parameter in network.get_submodule("encoder").parameters())
    return DownloadedWeights(encoder, weights, numbers, Path(huggingface_hub.constants.HF_HUB_CACHE))
