"""What three rates say about a training, and what to change."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Limit = Literal["network", "loader", "cores"]
NEAR = 0.9  # of the network alone: closer than measuring is


@dataclass(frozen=True)
class BenchResult:
    """Rates in patches per second: of the network on one resident batch, of the loader, of both together.

    `mfu` is the share of the device's peak that both together make use of; None where the peak is not known.
    `threads` read ahead, `cores` are those of the machine, `cache` is the one that patches were read from.
    """

    network: float
    loader: float
    together: float
    batch_size: int
    device: str
    precision: str
    cache: str | None
    threads: int
    cores: int
    mfu: float | None = None

    @property
    def limit(self) -> Limit:
        """The network, where both are nearly as fast; else the loader, where it is slower; else the shared cores."""
        if self.together >= NEAR * self.network:
            return "network"
        return "loader" if self.loader < self.network else "cores"

    @property
    def advice(self) -> list[str]:
        """What to change, the cheapest first."""
        on_cpu = self.device == "cpu"
        if self.limit == "network":
            on_cuda = ["--precision bf16-mixed"] if self.precision == "32" else []
            return (
                ["a smaller --model-encoder", "a CUDA device"]
                if on_cpu
                else ["a larger --batch-size, while memory lasts", *on_cuda, "a smaller --model-encoder"]
            )
        held = "--cache memory" if on_cpu else "--cache device, or --cache memory"
        caches = [f"{held} (where the patches fit), or --cache with a directory on a local disk"]
        if self.limit == "loader":
            more = [f"--num-workers {self.cores}"] if self.threads < self.cores and self.cache is None else []
            return ["--cache device"] if self.cache == "memory" and not on_cpu else [*more, *caches]
        if self.cache is None:
            return caches
        return ["fewer threads (OMP_NUM_THREADS), or other work off this machine"]

    def summary(self) -> str:
        """Lines for the terminal."""
        reasons = {
            "network": "the network limits; reading costs next to nothing.",
            "loader": "the loader limits: the network waits for patches.",
            "cores": "network and loader take the same cores from each other.",
        }
        where = f"{self.device}, {self.precision}, batches of {self.batch_size}"
        source = f"--cache {self.cache}" if self.cache else "the set"
        return "\n".join(
            [
                f"network alone  {self.network:10.1f} patches/s ({where})",
                f"loader alone   {self.loader:10.1f} patches/s (from {source}, {self.threads} threads)",
                f"both           {self.together:10.1f} patches/s, {self.together / self.network:.0%} of the network",
                *([] if self.mfu is None else [f"{self.mfu:.1%} of what the device can compute (MFU)"]),
                reasons[self.limit],
                *(f"  try {text}" for text in self.advice),
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The rates and what they mean, plain."""
        return asdict(self) | {"limit": self.limit, "advice": self.advice}
