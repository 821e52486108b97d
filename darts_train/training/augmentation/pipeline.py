"""A chosen pipeline of augmentations, applied to batches: every step to the patches that its `p` chooses.

Symmetries that come first are put together, and move codes, which are half the bytes of what is made of them. Steps
that change the light of single bands are done together: on a CPU to a few bands at a time, right after these are
decoded, so that what they work on stays in the processor's cache from the first to the last. For the same reason a CPU
finishes one patch before it begins the next, each of its threads with a patch of its own.
All draws are a function of the seed; rows are chosen on the CPU, so that no step waits for the device.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby, takewhile

import torch
from torch import Tensor

from darts_train.base.errors import UserError
from darts_train.models.cpu_threads import one_by_one
from darts_train.raster.band import Band
from darts_train.training.augmentation.draws import Draws
from darts_train.training.augmentation.patches import Bands, Light, Patches
from darts_train.training.augmentation.registry import OPERATIONS, Operation
from darts_train.training.augmentation.symmetry import NONE, Symmetry, all_moved, followed_by
from darts_train.training.augmentation.text import OPTION, Step, parse_steps
from darts_train.training.augmentation.usual import has_missing_values, missing_values

# Codes [n, k, h, h] of some bands → what the network sees of them, float32 alike, in the last where there is one.
Decode = Callable[[Tensor, slice, Tensor | None], Tensor]
_WORTH_A_THREAD = 2**17  # values of a patch; of fewer the interpreter takes as long as the arithmetic


class Pipeline:
    """The augmentations of a run.

    Args:
        texts: As in `--augmentations`.
        bands: Of the network's input, in its order.
        fill: What stands for no data in network input.
        ignore: And in labels.
        zeros: float32 [c, 1, 1], what stands for no light at all where that is not 0; values have no limits then.

    Raises UserError for names and parameters that do not exist, and where the bands are not there.
    """

    def __init__(
        self, texts: Sequence[str], bands: Sequence[Band], fill: float, ignore: int, zeros: Tensor | None = None
    ) -> None:
        self.steps = parse_steps(texts)
        names = [band.name for band in bands if band.optical]
        rgb = ("red", "green", "blue")
        if any(_contains(step, "HueSaturationValue") for step in self.steps) and not set(rgb) <= set(names):
            raise UserError(
                f"{OPTION}: HueSaturationValue needs the optical bands red, green and blue; there are "
                f"{', '.join(names) or 'none'}."
            )
        order = [band.name for band in bands]
        places = (order.index("red"), order.index("green"), order.index("blue")) if set(rgb) <= set(names) else None
        self.bands = Bands(tuple(band.optical for band in bands), places, fill, ignore, zeros)
        self.first = list(takewhile(_is_symmetry, self.steps))

    def __call__(self, codes: Tensor, y: Tensor, decode: Decode, seed: int) -> tuple[Tensor, Tensor]:
        """Network input float32 [n, c, h, h] of codes [n, c, h, h], augmented, and labels [n, h, h] moved alike."""
        x, moved = torch.empty(codes.shape, dtype=torch.float32, device=codes.device), torch.empty_like(y)
        draws, on_cpu = Draws(seed, codes.device), codes.device.type == "cpu"
        seeds = [draws.split() for _ in range(len(codes))]

        @torch.no_grad()
        def finish(part: slice) -> None:
            with torch.autocast(codes.device.type, enabled=False):  # bfloat16 has 8 bits for places and values alike
                of_part = Draws(seeds[part.start], codes.device)
                patches = self._augmented(codes[part], y[part], decode, x[part], of_part)
                if patches.x.data_ptr() != x[part].data_ptr():
                    x[part] = patches.x
                moved[part] = patches.y

        if on_cpu:
            one_by_one(finish, [slice(i, i + 1) for i in range(len(codes))], codes[:1].numel() >= _WORTH_A_THREAD)
        elif len(codes):
            finish(slice(0, len(codes)))
        return x, moved

    def _augmented(self, codes: Tensor, y: Tensor, decode: Decode, out: Tensor, draws: Draws) -> Patches:
        codes, y = self._moved(codes, y, draws)
        on_cpu = codes.device.type == "cpu"
        missing = missing_values(codes) if not on_cpu or has_missing_values(codes) else None
        patches = Patches(out, missing, y.clone(), self.bands)
        stages = [(by_band, list(steps)) for by_band, steps in groupby(self.steps[len(self.first) :], _is_by_band)]
        begun = self._begin(stages, patches, codes, decode, draws)
        for by_band, steps in stages[begun:]:
            if by_band:
                _in_light(patches, draws, partial(_perform_all, steps))
            else:
                _perform_all(steps, patches, draws)
        return patches

    def _begin(
        self, stages: list[tuple[bool, list[Step]]], patches: Patches, codes: Tensor, decode: Decode, draws: Draws
    ) -> int:
        """Decode, together with the steps of the first stage where these are by band; how many stages were done."""
        if not stages or not stages[0][0]:
            decode(codes, slice(None), patches.x)
            return 0
        _in_light(patches, draws, partial(_perform_all, stages[0][1]), lambda part: decode(codes[:, part], part, None))
        return 1

    def _moved(self, codes: Tensor, y: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """After the symmetries that come first."""
        whole: list[Symmetry] = [NONE] * len(codes)
        for step in self.first:
            found = OPERATIONS[step.name].apply(len(codes), draws, step.parameters)
            for row in draws.chosen(len(codes), step.p):
                whole[row] = followed_by(whole[row], found[row])
        return all_moved(codes, whole), all_moved(y, whole)


def _is_symmetry(step: Step) -> bool:
    return not step.children and OPERATIONS[step.name].of == "square"


def _is_by_band(step: Step) -> bool:
    """Whether a step does with each optical band what it would do if there were no other."""
    return all(map(_is_by_band, step.children)) if step.children else OPERATIONS[step.name].of == "band"


def _in_light(
    patches: Patches,
    draws: Draws,
    act: Callable[[Light, Draws], None],
    decoded: Callable[[slice], Tensor] | None = None,
) -> None:
    """Do something with the light of optical bands, a block of them after the other, with the same draws for each.

    Where patches are not yet `decoded`, they are on the way.
    """
    seed = draws.split()
    for part in patches.blocks():
        values = decoded(part) if decoded else None
        if patches.bands.optical[part.start]:
            with patches.light(part, values) as light:
                act(light, Draws(seed, light.unit.device, part.start))
        elif values is not None:
            patches.x[:, part] = values


def _perform_all(steps: Sequence[Step], target: Patches | Light, draws: Draws) -> None:
    """Each step on the patches it chooses."""
    for step in steps:
        _perform(step, draws.chosen(len(target), step.p), target, draws)


def _perform(step: Step, rows: list[int], target: Patches | Light, draws: Draws) -> None:
    """A step on some of the patches."""
    if len(rows) == len(target):
        _forced(step, target, draws)
    elif rows:
        part = target.take(rows)
        _forced(step, part, draws)
        target.put(rows, part)  # type: ignore[arg-type]


def _forced(step: Step, target: Patches | Light, draws: Draws) -> None:
    """A step on all of the patches."""
    if step.name == "Sequential":
        _perform_all(step.children, target, draws)
    elif step.name == "OneOf":
        kinds = draws.kinds(len(target), [child.p for child in step.children])
        for kind in sorted(set(kinds)):
            rows = [row for row, one in enumerate(kinds) if one == kind]
            _perform(step.children[kind], rows, target, draws)
    else:
        _apply(OPERATIONS[step.name], step, target, draws)


def _apply(operation: Operation, step: Step, target: Patches | Light, draws: Draws) -> None:
    if isinstance(target, Light) or operation.of == "patch":
        operation.apply(target, draws, step.parameters)
    elif operation.of == "square":
        target.move(operation.apply(len(target), draws, step.parameters))
    elif operation.of == "band":
        _in_light(target, draws, lambda light, of_block: operation.apply(light, of_block, step.parameters))
    elif target.bands.rgb:
        with target.light(list(target.bands.rgb)) as light:
            operation.apply(light, draws, step.parameters)


def _contains(step: Step, name: str) -> bool:
    return step.name == name or any(_contains(child, name) for child in step.children)
