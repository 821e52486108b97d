"""What others must know to use a network: read from an exported file, its sidecar, or a model file.

The keys are those of an export's metadata. ONNX holds them in its properties, an archive of torch (.pt, .pt2) as the
extra file `metadata.json`, and beside everything else lies `{file}.json`. Nothing is run or unpickled for them.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError
from darts_train.base.files import require_file
from darts_train.models.factory import stride
from darts_train.models.fit import Fit
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_config import LARGEST_IMAGE
from darts_train.models.model_file import load_model_file
from darts_train.models.source_settings import checked_source

METADATA = "extra/metadata.json"  # within the archive's only directory
LARGEST = 2**24  # bytes of metadata that are read


@dataclass(frozen=True)
class ModelFacts:
    """A network's input, classes and sizes; `plain` is the same as JSON has it.

    `stride`: sides of the network's images are multiples of it; not `free_sizes`: it takes images of one side alone.
    """

    spec: InputSpecification
    classes: tuple[str, ...]
    threshold: float
    patch_size: int
    stride: int
    free_sizes: bool
    fit: Fit
    source: dict[str, Any]
    plain: dict[str, Any]

    @property
    def channels(self) -> int:
        """Logits per pixel: 1 for two classes, else one per class."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def grid(self, side: int) -> int:
        """Pixels on whose multiples windows of `side` start: the network's stride, also where its graph pads."""
        within = int(self.plain.get("stride", self.stride))
        return within if within > 0 and side % within == 0 else self.stride

    @property
    def graph_input(self) -> str:
        """What goes into the network: `normalised` images, `codes` or `values`."""
        return str(self.plain.get("graph_input", "normalised"))

    @property
    def graph_activation(self) -> bool:
        """Whether the network gives probabilities in place of logits."""
        return bool(self.plain.get("graph_activation"))


def facts_of(plain: Mapping[str, Any], where: object) -> ModelFacts:
    """Facts from plain values. Raises UserError naming `where` and what it lacks, or what it wants and is not done."""
    try:
        spec = InputSpecification.from_config(dict(plain))
        patch_size = int(plain["patch_size"])
        fit = Fit(plain.get("fit", "tile"), int(plain.get("fit_size", patch_size)), patch_size, spec.nodata_fill)
        found = ModelFacts(
            spec=spec,
            classes=tuple(map(str, plain["classes"])),
            threshold=float(plain["threshold"]),
            patch_size=patch_size,
            stride=1 if plain.get("graph_padding") else int(plain["stride"]),
            free_sizes=bool(plain.get("free_sizes")),
            fit=fit,
            source=checked_source(plain.get("source") or {}),
            plain=dict(plain),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{where}: what is said of the model lacks {error}; export it with darts export-model."
        ) from None
    except UserError as error:
        raise UserError(f"{where}: {error} Export the model with darts export-model.") from None
    sides = (found.patch_size, found.stride, found.fit.size)
    if min(sides) < 1 or max(sides) > LARGEST_IMAGE or len(found.classes) < 2 or not 0 < found.threshold <= 1:
        raise UserError(
            f"{where}: what is said of the model makes no sense (sides, threshold, or fewer than two classes)."
        )
    return found


def read_facts(path: Path, option: str) -> dict[str, Any] | None:
    """What a file says of its network, as plain values; None where neither it nor `{path}.json` says anything.

    Raises UserError where the file is not there or damaged.
    """
    suffix = require_file(path, option).suffix.lower()
    if suffix == ".json":
        return _json(path.read_bytes(), path)
    if suffix == ".ckpt":
        return _of_model_file(path)
    found = _of_onnx(path) if suffix == ".onnx" else _of_archive(path)
    beside = path.with_name(f"{path.name}.json")
    if not found and beside.is_file():
        return _json(beside.read_bytes(), beside)
    return found


def _json(data: bytes, where: object) -> dict[str, Any]:
    try:
        found = json.loads(data[:LARGEST])
    except (ValueError, RecursionError):
        raise UserError(f"{where} is no JSON.") from None
    if not isinstance(found, dict):
        raise UserError(f"{where} holds no facts of a model: an object was expected.")
    return found


def _of_onnx(path: Path) -> dict[str, Any] | None:
    import onnx

    try:
        properties = onnx.load(path, load_external_data=False).metadata_props
    except Exception as error:  # protobuf and onnx have classes of their own
        raise UserError(f"{path} is no ONNX model ({' '.join(str(error).split())[:120]}).") from None
    return {entry.key: plain_value(entry.value) for entry in properties} or None


def plain_value(text: str) -> Any:
    """A property of an ONNX file: JSON where it is, else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _of_archive(path: Path) -> dict[str, Any] | None:
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith(METADATA) and entry.file_size <= LARGEST:
                    return _json(archive.read(entry), path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path} is damaged ({error}).") from None
    return None


def _of_model_file(path: Path) -> dict[str, Any]:
    model = load_model_file(path)
    return {
        **model.spec.to_config(),
        "classes": list(model.classes),
        "threshold": model.threshold,
        "patch_size": model.patch_size,
        **({} if model.fit.kind == "tile" else {"fit": model.fit.kind, "fit_size": model.fit.size}),
        "source": model.source,
        "stride": stride(model.arch, model.encoder, model.options),
        "free_sizes": True,  # what its export takes, the server says
    }
