"""Albumentations itself, for pipelines that have transforms without a counterpart of ours. An optional package.

A pipeline is built from its serialised tree transform by transform, so that whatever is wrong is told with its place.
Three targets go through it: `image` (the optical bands), `mask` (the labels) and MARKS (see `augmentation/reader.py`),
which moves as the labels do. What fills the outside of a patch is MARKED in both, whatever the file fills it with.
"""

import functools
import importlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from darts_train.base.errors import UserError, nearest
from darts_train.training.augmentation.albumentations_tree import CLASS, LEFT_OUT, top_of

EXTRA = "uv pip install 'darts-train[albumentations]'"
PREFIX = "albumentations:"  # of a pipeline among `augmentations`, before its tree as JSON
MARKS, MARKED = "marks", -1.0
COLOUR = frozenset(
    {
        "CLAHE", "ChromaticAberration", "ColorJitter", "Equalize", "HEStain", "HueSaturationValue", "ISONoise",
        "PlanckianJitter", "RGBShift", "RandomFog", "RandomGravel", "RandomRain", "RandomSnow", "RandomSunFlare",
        "Spatter", "ToGray", "ToSepia",
    }
)  # fmt: skip
_HOLES = frozenset({"CoarseDropout", "ConstrainedCoarseDropout", "Erasing", "GridDropout", "XYMasking", "TimeMasking",
                    "FrequencyMasking"})  # fmt: skip
_OBJECTS = frozenset({"MaskDropout", "Morphological"})  # change labels on purpose; nothing gets lost there
_NOT_HERE = frozenset({"Lambda", "ReplayCompose", "BasicTransform", "DualTransform", "ImageOnlyTransform"})

Image = npt.NDArray[np.float32]
Leaf = tuple[str, Any]  # a transform and its place in the file


def library(needing: str) -> Any:
    """The package. `needing`, what needs it, begins the line that says it is not there, which is a UserError."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for newer versions
    try:
        found = importlib.import_module("albumentations")
        cv2 = importlib.import_module("cv2")
    except ImportError:
        raise UserError(f"{needing}: only Albumentations can do that, which is not installed: {EXTRA}") from None
    if not str(found.__version__).startswith("2.0."):
        raise UserError(f"{needing}: only Albumentations 2.0.8 can do that, not {found.__version__}: {EXTRA}")
    cv2.setNumThreads(1)  # the loader has threads already
    return found


def pipeline_text(tree: Mapping[str, Any], where: str) -> str:
    """A pipeline as one of a run's `augmentations`. Raises UserError for what is no pipeline."""
    return PREFIX + json.dumps(top_of(tree, where), sort_keys=True, separators=(",", ":"))


def pipeline_tree(texts: Sequence[str] | None) -> dict[str, Any] | None:
    """The tree of `pipeline_text`; None where the augmentations are steps of ours.

    Raises UserError where there are others beside it, or it is damaged.
    """
    if not any(text.startswith(PREFIX) for text in texts or ()):
        return None
    try:
        (text,) = texts or ()
        tree = json.loads(text.removeprefix(PREFIX))
    except ValueError:
        raise UserError(f"--augmentations: {PREFIX} must be alone, with the JSON of a serialised pipeline.") from None
    if not isinstance(tree, dict):
        raise UserError(f"--augmentations: {PREFIX} must be followed by the JSON of a serialised pipeline.")
    return tree


class Building:
    """A pipeline of Albumentations with what is known of its transforms.

    Args:
        tree: As `top_of` takes it.
        where: What an error's line begins with.
        needing: See `library`.

    Raises UserError for a transform that Albumentations does not know and for parameters that it does not take.
    """

    def __init__(self, tree: Mapping[str, Any], where: str, needing: str) -> None:
        self.where = where
        self.package = library(needing)
        self.leaves: list[Leaf] = []
        top = top_of(tree, where)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice about other transforms
            outer = self._made(top, "transform")
            members = outer.transforms if isinstance(outer, self.package.Compose) else [outer] if outer else []
            chance = outer.p if isinstance(outer, self.package.Compose) else 1.0
            self.compose = self.package.Compose(members, p=chance, additional_targets={MARKS: "mask"})
        if not self.leaves:
            raise UserError(f"{where}: there is no augmentation in it; use --no-augment.")
        for place, leaf in self.leaves:
            _mark(leaf, place)

    def for_colours_of(self, channels: int) -> None:
        """Let what works on colours alone have the first three of more channels, which are red, green and blue."""
        for _, leaf in self.leaves:
            if type(leaf).__name__ in COLOUR and channels > 3:
                leaf._key2func["image"] = functools.partial(_on_colours, leaf._key2func["image"])

    def _made(self, node: Any, place: str) -> Any:
        """The transform of a node, None where it is one of LEFT_OUT or a group of nothing else."""
        if not isinstance(node, Mapping) or CLASS not in node:
            raise UserError(f"{self.where}: {place}: a transform without {CLASS}: {str(node)[:60]}.")
        name = str(node[CLASS]).rpartition(".")[2]
        if name in LEFT_OUT:
            return None
        kind = self._class(name, place)
        given = {key: value for key, value in node.items() if not key.startswith("__")}
        if issubclass(kind, self.package.BaseCompose):
            members = [made for child in self._children(given, name, place) if (made := self._made(*child)) is not None]
            settings = {key: given[key] for key in ("p", "n", "replace", "channels") if key in given}
            return self._called(kind, {"transforms": members, **settings}, place, name) if members else None
        leaf = self._called(kind, given, place, name)
        if leaf.invalid_args:
            raise UserError(f"{self.where}: {place}: {name} has no parameter {', '.join(leaf.invalid_args)}.")
        self.leaves.append((f"{place}: {name}", leaf))
        return leaf

    def _class(self, name: str, place: str) -> Any:
        package = self.package
        kinds = (package.BasicTransform, package.BaseCompose)
        known = {
            key: kind
            for key in dir(package)
            if isinstance(kind := getattr(package, key), type) and issubclass(kind, kinds) and key not in _NOT_HERE
        }
        if name not in known:
            raise UserError(f"{self.where}: {place}: Albumentations has no {name} to read{nearest(name, known) or ''}.")
        return known[name]

    def _children(self, given: Mapping[str, Any], name: str, place: str) -> Iterator[tuple[Any, str]]:
        nodes = given.get("transforms")
        if not isinstance(nodes, list):
            raise UserError(f"{self.where}: {place}: {name} has no list 'transforms'.")
        return ((node, f"{place}.transforms[{number}]") for number, node in enumerate(nodes))

    def _called(self, kind: Callable[..., Any], given: Mapping[str, Any], place: str, name: str) -> Any:
        try:
            return kind(**given)
        except Exception as error:  # theirs: of pydantic, and whatever a constructor meets
            raise UserError(f"{self.where}: {place}: {name}: {first_words(error)}.") from None


def first_words(error: Exception) -> str:
    """What another package says is wrong, in one line: its first complaint, with the field where pydantic made it."""
    text = str(error).strip()
    if "validation error" in text.partition("\n")[0]:
        lines = [line.strip() for line in text.splitlines()[1:]]
        text = ": ".join(lines).partition(" [type=")[0].removeprefix("Value error, ")
    return (" ".join(text.split()) or type(error).__name__).rstrip(".")[:200]


def _mark(leaf: Any, name: str) -> None:
    """Fill what comes from outside with MARKED, and take the nearest pixel of labels.

    Of holes the file says whether labels are lost (`fill_mask`); where they are, the pixels are.
    """
    kind = name.rpartition(" ")[2]
    if hasattr(leaf, "mask_interpolation"):
        leaf.mask_interpolation = 0
    if kind in _OBJECTS:
        leaf._key2func.pop(MARKS, None)
    elif hasattr(leaf, "fill_mask") and (kind not in _HOLES or leaf.fill_mask is not None):
        leaf.fill_mask = MARKED
    if getattr(leaf, "mask_drop_value", None) is not None:
        leaf.mask_drop_value = MARKED
    fill = getattr(leaf, "fill", None)
    if isinstance(fill, int | float | list | tuple) and hasattr(leaf, "fill_mask"):
        # Of images between 0 and 255; what comes from outside is no data anyway.
        leaf.fill = _scaled(fill) if kind in _HOLES | _OBJECTS else 0.0


def _scaled(fill: Any) -> Any:
    if isinstance(fill, int | float):
        return fill / 255 if fill > 1 else float(fill)
    return tuple(value / 255 if max(fill) > 1 else float(value) for value in fill)


def _on_colours(apply: Callable[..., Image], image: Image, **parameters: Any) -> Image:
    done = apply(np.ascontiguousarray(image[..., :3]), **parameters)
    return np.concatenate([done, image[..., 3:]], axis=-1)
