"""What the quickstart learns, and how: the classes of the bundled masks, and a recipe for two CPU cores.

The scenes are three satellites; two train and one tests, so a score says what the model is worth on a sensor that it
never met. The recipe was chosen for five minutes on two cores, not for the last point of the score; what was tried
instead is in docs/experiments-log.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HELD_OUT = "landsat5"
BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
REFLECTANCE_SCALE = 1e-4  # of one count


@dataclass(frozen=True)
class Task:
    """Classes (the first is the background) and, for each value of the masks, the index of its class."""

    classes: tuple[str, ...]
    remap: Mapping[int, int]

    @property
    def remap_text(self) -> str:
        """The mapping as `--remap` reads it."""
        return ",".join(f"{value}:{index}" for value, index in self.remap.items())


# Values of the masks: 0 shadow, 1 water, 2 snow, 3 land, 4 cloud.
CLOUD = Task(("background", "cloud"), {0: 0, 1: 0, 2: 0, 3: 0, 4: 1})
ALL_CLASSES = Task(("land", "shadow", "water", "snow", "cloud"), {0: 1, 1: 2, 2: 3, 3: 0, 4: 4})


@dataclass(frozen=True)
class Recipe:
    """Settings of the whole way. `space` is searched exhaustively, each point on both folds.

    The network is shallow on purpose: what tells cloud from snow is the spectrum and a few pixels around; what deeper
    layers learn of two scenes is these scenes (docs/experiments-log.md).
    """

    patch_size: int = 128
    overlap: int = 32
    optical_range: str = "0,1"
    model_arch: str = "Unet"
    model_encoder: str = "mobilenet_v2"
    model_options: tuple[str, ...] = ("encoder_depth=2", "decoder_channels=48,24")
    batch_size: int = 4
    search_epochs: int = 12
    epochs: int = 24
    gamma: float = 0.88
    ema_decay: float = 0.98
    space: Mapping[str, Any] = field(default_factory=lambda: {"loss": ["bce", "bce:0.5+dice:0.5"]})
