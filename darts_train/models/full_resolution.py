"""FCN: a small network that never leaves the full resolution, for few scenes and for what is decided near a pixel.

Residual blocks look further and further (dilations 1, 2, 4, …), as in Yu and Koltun 2016, "Multi-scale context
aggregation by dilated convolutions", arXiv 1511.07122. With three blocks a pixel is judged by the 15 x 15 around it. It
has some ten thousand weights and none are pretrained; each step costs what full resolution costs.
"""

import torch
from torch import nn

ARCHITECTURE, ENCODER = "FCN", "dilated"
DEPTH, CHANNELS = 3, 24


class Block(nn.Module):
    """One look around: float32 [n, c, h, w] → the same shape."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The pixels, corrected by what is around them."""
        return torch.relu(x + self.look(x))


class DilatedEncoder(nn.Sequential):
    """Features of every pixel, float32 [n, in_channels, h, w] → [n, channels, h, w]."""

    output_stride = 1

    def __init__(self, in_channels: int, channels: int, depth: int) -> None:
        first = nn.Sequential(nn.Conv2d(in_channels, channels, 1), nn.ReLU(inplace=True))
        super().__init__(first, *(Block(channels, 2**i) for i in range(depth)))


class FullResolutionNetwork(nn.Module):
    """Input float32 [n, in_channels, h, w] of any size → logits [n, classes, h, w].

    `encoder_depth` blocks (1 to 8) of `encoder_channels` (1 to 1024) each. Raises ValueError beyond.
    """

    def __init__(
        self, in_channels: int, classes: int, encoder_depth: int = DEPTH, encoder_channels: int = CHANNELS
    ) -> None:
        super().__init__()
        for name, value, most in (("encoder_depth", encoder_depth, 8), ("encoder_channels", encoder_channels, 1024)):
            if not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"{name} is a whole number from 1 to {most}, not {value}")
        self.encoder = DilatedEncoder(in_channels, encoder_channels, encoder_depth)
        self.segmentation_head = nn.Conv2d(encoder_channels, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of every pixel."""
        logits: torch.Tensor = self.segmentation_head(self.encoder(x))
        return logits
