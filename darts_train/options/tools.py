"""Options of the commands around the work: quickstart, configuration, listings."""

from dataclasses import dataclass
from pathlib import Path

from darts_train.options.fields import OptionGroup, option
from darts_train.options.presets import Preset


@dataclass(frozen=True, kw_only=True)
class Quickstart(OptionGroup):
    """The whole way on the bundled scenes."""

    directory: Path = option("Where everything goes; a second call goes on there.", Path("darts-quickstart"))
    all_classes: bool = option("Five classes (land, shadow, water, snow, cloud) instead of cloud alone.", False)
    random_seed: int = option("Seed of the final training.", 42, low=0)
    device: str | None = option("auto, cpu, a CUDA index (0) or cuda:1.", "auto")
    overwrite: bool = option("Start anew.", False)


@dataclass(frozen=True, kw_only=True)
class InitConfig(OptionGroup):
    """A configuration file to start from."""

    out: Path = option("File to write.", Path("config.toml"))
    preset: Preset = option("What it is for.", "raster")
    list_presets: bool = option("Only say which there are.", False)
    overwrite: bool = option("Replace what is there.", False)


@dataclass(frozen=True, kw_only=True)
class Bench(OptionGroup):
    """How long the speed of a training is measured."""

    bench_seconds: float = option("Seconds for each of the three measurements.", 3.0, above=0, high=3600)


@dataclass(frozen=True, kw_only=True)
class Listing(OptionGroup):
    """A printed report."""

    json: bool = option("Print JSON.", False)
