"""The `config` of a model file: what it must say so that nobody has to ask how the network was trained.

Plain values only, so that `torch.load(weights_only=True)` reads it. The training module keeps the same
dictionary as `hyper_parameters["config"]`, so a checkpoint and a model file are read by one function.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from darts_train.base.errors import UserError
from darts_train.models.arguments import NetworkOptions, hashable, is_known, plain
from darts_train.models.factory import output_channels
from darts_train.models.fit import Fit, FitKind
from darts_train.models.input_spec import InputSpecification
from darts_train.models.legacy import is_legacy, legacy_specification
from darts_train.models.normalisation import Kind
from darts_train.models.source_settings import checked_source

LEGACY_PATCH_SIZE = 1024  # what older files meant, which did not say it
LEGACY_IGNORE_INDEX = 2
LARGEST_IMAGE = 16384  # side that a file may give a patch, or have it resized or padded to
MOST_CLASSES = 65536  # of what an older file may ask names for
SOURCE_SETTINGS = (
    "scale", "offset", "float_steps", "nodata", "zero_is_nodata", "band_names", "tpi_outer_radius", "tpi_inner_radius",
    "qa_band", "dem_band", "mask_indices_by_qa", "mask_indices_by_water", "unknown_elevation", "optional_bands",
    "indices_on",
)  # fmt: skip
ENSEMBLE = "smp-ensemble"  # model_framework of several networks as one; see models/ensemble_config.py
PICTURE_FIT = "picture_fit"  # in `source`: how whole pictures became patches; absent where they were cut


def make_model_config(
    arch: str,
    encoder: str,
    encoder_weights: str | None,
    spec: InputSpecification,
    classes: Sequence[str],
    patch_size: int,
    ignore_index: int,
    threshold: float = 0.5,
    settings: Mapping[str, Any] | None = None,
    options: NetworkOptions = (),
    fit: tuple[FitKind, int] | None = None,
    derived: Sequence[str] = (),
) -> dict[str, Any]:
    """The config of a network with these settings, plain values only.

    `model` holds the arguments of `smp.create_model`, `options` among them; `classes` names them all, the background
    first; `threshold` is the probability from which a pixel is positive where there are two classes. `settings` are
    those of the train data (`SetConfig.settings`), of which the ones that change what a scene's bands mean are kept
    under `source`, so that a map is made of the same bands, of pictures that are fitted alike. `fit` says how patches
    are fitted to the network, and the size of `models.fit.Fit`; None takes them as they are. `derived` names those of
    the bands that the train data did not hold (`--derive-bands`); a map is made of them as of any others. Raises
    UserError below two classes.
    """
    return {
        "model_framework": "smp",
        "model": {
            "arch": arch,
            "encoder_name": encoder,
            "encoder_weights": encoder_weights,
            "in_channels": len(spec.bands),
            "classes": output_channels(len(classes)),
            **plain(options),
        },
        **spec.to_config(),
        **({"derived": list(derived)} if derived else {}),
        **_fit_facts(fit),
        "patch_size": int(patch_size),
        "classes": [str(name) for name in classes],
        "ignore_index": int(ignore_index),
        "threshold": float(threshold),
        "source": _source_settings(settings or {}),
    }


def _fit_facts(fit: tuple[FitKind, int] | None) -> dict[str, Any]:
    return {"fit": "tile"} if fit is None else {"fit": fit[0], "fit_size": int(fit[1])}


def _source_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    chosen = {key: settings[key] for key in SOURCE_SETTINGS if settings.get(key) is not None}
    if settings.get("fit", "tile") != "tile":
        chosen[PICTURE_FIT] = settings["fit"]
    return {key: list(value) if isinstance(value, list | tuple) else value for key, value in chosen.items()}


def plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config of this or an older program in today's words: a new dictionary, plain values. UserError as below."""
    facts = read_model_config(config)
    model = facts.model
    network = {
        "arch": model.arch,
        "encoder_name": model.encoder_name,
        "encoder_weights": model.encoder_weights,
        "in_channels": model.in_channels,
        "classes": model.classes,
        **model.further(),
    }
    unsaid = [name for name in ("fit_size", "calibration") if getattr(facts, name) is None]
    said = facts.model_dump(exclude={"model", "spec", "classes", *unsaid})
    older = {key: value for key, value in config.items() if key not in ("norm_factors", "input_combination")}
    return {**older, **said, **facts.spec.to_config(), "model": network, "classes": list(facts.classes)}


class NetworkArguments(BaseModel):
    """`config.model`: arguments of `smp.create_model`; those of the decoder and a few more may be added.

    Any other is refused: some, such as timm's `checkpoint_path`, would make the library open files.
    """

    model_config = ConfigDict(extra="allow")
    arch: str = "Unet"
    encoder_name: str
    encoder_weights: str | bool | None = None
    in_channels: int = Field(ge=1)
    classes: int = Field(ge=1)

    def further(self) -> dict[str, Any]:
        """Arguments beyond the five; an activation is dropped, since networks return logits."""
        return {key: value for key, value in (self.model_extra or {}).items() if key != "activation"}

    def options(self) -> NetworkOptions:
        """The same, in the form in which networks are asked for."""
        return hashable(self.further())

    @model_validator(mode="after")
    def _only_known(self) -> "NetworkArguments":
        for key in self.further():
            if not is_known(key):
                raise ValueError(f"argument {key} is not known")
        return self


class Calibration(BaseModel):
    """`config.calibration`: what was chosen after training; beside the temperature, on what and how."""

    model_config = ConfigDict(extra="allow")
    temperature: float = Field(default=1.0, gt=0, le=1e6, allow_inf_nan=False)


class ModelConfig(BaseModel):
    """A config that was checked; keys beyond these (time, name, …) are kept by whoever holds the dictionary."""

    model_config = ConfigDict(extra="ignore", arbitrary_types_allowed=True)
    model_framework: Literal["smp", "smp-ensemble"] = "smp"
    model: NetworkArguments
    spec: InputSpecification
    fit: FitKind = "tile"
    fit_size: int | None = Field(default=None, ge=1, le=LARGEST_IMAGE)
    normalisation: Kind = "range"
    patch_size: int = Field(ge=1, le=LARGEST_IMAGE)
    classes: tuple[str, ...] = Field(min_length=2)
    ignore_index: int = Field(ge=0, le=255)
    threshold: float = Field(gt=0, le=1)
    source: dict[str, float | str | list[str]] = {}
    calibration: Calibration | None = None

    @property
    def fitting(self) -> Fit:
        """How patches are fitted to the network."""
        return Fit(self.fit, self.fit_size or self.patch_size, self.patch_size, self.spec.nodata_fill)

    @property
    def temperature(self) -> float:
        """By what the network's logits are divided."""
        return self.calibration.temperature if self.calibration else 1.0

    @model_validator(mode="after")
    def _agree(self) -> "ModelConfig":
        if self.model.in_channels != len(self.spec.bands):
            raise ValueError(f"the network has {self.model.in_channels} inputs for {len(self.spec.bands)} bands")
        if self.model.classes != output_channels(len(self.classes)):
            raise ValueError(f"the network has {self.model.classes} outputs for {len(self.classes)} classes")
        if (self.fit == "tile") != (self.fit_size is None):
            raise ValueError(f"fit {self.fit} and fit_size {self.fit_size} do not go together")
        return self


def read_model_config(config: object) -> ModelConfig:
    """A config of this or an older program, checked. Raises UserError saying what is missing or wrong."""
    if not isinstance(config, Mapping):
        raise UserError("its config is not a table.")
    facts = dict(config)
    if is_legacy(facts):
        facts = {**_legacy_facts(facts), **{k: v for k, v in facts.items() if k != "classes"}}
        facts["spec"] = legacy_specification(config)
    else:
        facts["spec"] = InputSpecification.from_config(facts)
    try:
        found = ModelConfig.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"its config is wrong{f' at {place}' if place else ''}: {first['msg'].removeprefix('Value error, ')}."
        ) from None
    checked_source(found.source)
    return found


def _legacy_facts(config: Mapping[str, Any]) -> dict[str, Any]:
    model = config.get("model")
    channels = model.get("classes", 1) if isinstance(model, Mapping) else 1
    if not isinstance(channels, int) or not 1 <= channels <= MOST_CLASSES:
        raise UserError(f"its config is wrong at model.classes: {str(channels)[:40]!r} is no number of classes.")
    names = ["background", "positive"] if channels == 1 else [f"class {i}" for i in range(channels)]
    return {
        "classes": names,
        "patch_size": LEGACY_PATCH_SIZE,
        "ignore_index": LEGACY_IGNORE_INDEX,
        "threshold": 0.5,
    }
