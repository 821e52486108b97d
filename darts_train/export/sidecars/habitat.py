"""habitat-mapper: ONNX with a JSON beside it, which says how the program prepares an image and reads the result.

Everything that it could not be told is in the graph: units, ranges, clipping, no data, padding to the network's
stride, and a threshold other than its own, 0.5. So the JSON says that nothing is done before (`normalization` null,
`max_pixel_value` 1.0), but for z-scores of rasters without gaps, which are its own `standard`. It blends logits of
windows, and takes the class then.
"""

import re
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from darts_train.base.errors import UserError
from darts_train.base.files import write_json
from darts_train.base.log import logger
from darts_train.export.formats.protocol import Written
from darts_train.export.graphs.comparison import Logits
from darts_train.export.sidecars.dress import logit
from darts_train.export.sidecars.legacy_heads import facts, model_class, two_heads
from darts_train.export.sidecars.protocol import json_beside
from darts_train.export.sidecars.raster_graph import RasterGraph
from darts_train.models.model_file import LoadedModel
from darts_train.options.exporting import Export
from darts_train.options.sidecars import Sidecars

REVISION = re.compile(r"\d{8}(-\S+)?")
URL = re.compile(r"(https?|ftp)://\S+")
_log = logger("export")


class HabitatConfig(BaseModel):
    """The JSON that habitat-mapper reads, its fields and its rules."""

    model_config = ConfigDict(extra="forbid")
    model_cls: str | None = None
    name: str = Field(min_length=1)
    revision: str = Field(pattern=r"^\d{8}(-\S+)?$")
    description: str | None = None
    beta: bool = False
    dependencies: list[str] = Field(min_length=1)
    model_filename: str = Field(pattern=r"\.onnx$")
    input_channels: int = Field(ge=1)
    activation: Literal["sigmoid", "softmax"] | None = None
    normalization: Literal["standard", "min_max", "min_max_per_channel"] | None
    mean: list[float] | None = None
    std: list[float] | None = None
    max_pixel_value: float = Field(gt=0)
    default_output_value: int = Field(default=0, ge=0, le=255)
    nodata_value: int = Field(default=0, ge=0, le=255)

    @model_validator(mode="after")
    def _agree(self) -> "HabitatConfig":
        if self.model_filename not in {place.rpartition("/")[2] for place in self.dependencies}:
            raise ValueError(f"{self.model_filename} is none of the dependencies")
        for numbers in (self.mean, self.std):
            if (self.normalization == "standard") != (numbers is not None):
                raise ValueError("mean and std go with standard")
            if numbers is not None and len(numbers) != self.input_channels:
                raise ValueError("mean and std are one number per channel")
        return self

    def to_json(self) -> dict[str, Any]:
        """What is written: whatever is said, and `normalization` and `activation` in any case, since null says much."""
        said = self.model_dump(exclude_defaults=True)
        return {**said, "activation": self.activation, "normalization": self.normalization}


class HabitatMapper(RasterGraph):
    """An export for habitat-mapper."""

    def __init__(self, model: LoadedModel, export: Export, options: Sidecars) -> None:
        self.name, self.revision = _name(options.sidecar_name, export), _revision(options.revision)
        self.base_url = _base_url(options.dependency_base_url)
        self.out, self.path = export.out, json_beside(export.out, f"{self.name}_{self.revision}")
        if self.path.exists() and not export.overwrite:
            raise UserError(f"--out: {self.path} is there already; give --overwrite to replace it.")
        self.heads = options.species_model is not None
        if options.species_model is not None:
            model = two_heads(model, options.species_model)
        super().__init__(model, export, options, "--sidecar habitat-mapper", 1.0, _threshold_shift(model, self.heads))
        self.standard = model.spec.normalisation == "zscore" and not self.counts.gaps
        if self.standard:
            self.settings = replace(self.settings, graph_input="normalised")

    def dress(self, written: Written) -> Written:
        """See `Sidecar`."""
        if not self.counts.gaps:
            _log.warning("the model's rasters have no count of no data (--nodata); zeros of a border are values.")
        return self.dressed(written, {"sidecar": "habitat-mapper", **(facts(self.model) if self.heads else {})})

    def config(self) -> HabitatConfig:
        """What the JSON says."""
        bands = self.model.spec.bands
        file = self.out.name
        activation: Literal["sigmoid", "softmax"] = "sigmoid" if len(self.model.classes) == 2 else "softmax"
        return HabitatConfig(
            model_cls=model_class(self.model) if self.heads else None,
            name=self.name,
            revision=self.revision,
            description=_description(self.model),
            dependencies=[f"{self.base_url}/{file}" if self.base_url else str(self.out.absolute())],
            model_filename=file,
            input_channels=len(bands),
            activation=None if self.heads else activation,
            normalization="standard" if self.standard else None,
            mean=[band.low for band in bands] if self.standard else None,
            std=[band.high - band.low for band in bands] if self.standard else None,
            max_pixel_value=1.0,
        )

    def write(self) -> tuple[str, ...]:
        """See `Sidecar`."""
        write_json(self.path, self.config().to_json())
        return (f"for habitat-mapper: {self.path}",)


def _description(model: LoadedModel) -> str:
    bands, classes = ", ".join(model.spec.names), ", ".join(model.classes)
    return f"{model.arch} with {model.encoder}; bands {bands}; classes {classes}"


def _threshold_shift(model: LoadedModel, heads: bool) -> Logits:
    """What is taken off the one logit so that its threshold is 0.5; nothing off several, and two heads have done it."""
    if heads:
        return np.zeros(1, np.float32)
    channels = 1 if len(model.classes) == 2 else len(model.classes)
    return np.full(channels, logit(model.threshold) if channels == 1 else 0.0, np.float32)


def _name(name: str | None, export: Export) -> str:
    name = export.out.stem if name is None else name
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise UserError(f"--sidecar-name: {name!r} is to be a directory and a file: letters, digits, -, _ and . alone.")
    return name


def _revision(revision: str | None) -> str:
    revision = date.today().strftime("%Y%m%d") if revision is None else revision
    try:
        if not REVISION.fullmatch(revision) or "/" in revision:
            raise ValueError
        datetime.strptime(revision[:8], "%Y%m%d")
    except ValueError:
        raise UserError(f"--revision: {revision!r} is not YYYYMMDD or YYYYMMDD-variant, such as 20260901.") from None
    return revision


def _base_url(url: str | None) -> str | None:
    if url is not None and not URL.fullmatch(url):
        raise UserError(f"--dependency-base-url: {url!r} does not begin with http://, https:// or ftp://.")
    return None if url is None else url.rstrip("/")
