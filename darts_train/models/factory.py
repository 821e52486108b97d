"""Networks of segmentation-models-pytorch, and one of our own, made by name, checked by name.

A network returns **logits**: one channel where there are two classes, else one per class. The one sigmoid or
softmax is in the loss and in inference.

What sizes a network takes is asked of the network itself: it is built without memory (torch's meta device) and shown
a patch. A table of strides would be shorter and wrong, since encoders with windowed attention have
rules of their own (`tu-maxvit_tiny_rw_224` takes multiples of 224, PAN nothing below 128).
"""

import functools
import warnings
from typing import Any

import torch
from torch import nn

from darts_train.base.errors import UserError, listing, nearest
from darts_train.models import full_resolution
from darts_train.models.arguments import NetworkOptions, plain

LARGEST_SUGGESTION = 2048  # patch sizes beyond are not looked at when one is to be suggested


def architectures() -> tuple[str, ...]:
    """Names of the architectures: those of segmentation-models-pytorch, as it spells them, and our own."""
    from segmentation_models_pytorch import MODEL_ARCHITECTURES_MAPPING

    return (*(model.__name__ for model in MODEL_ARCHITECTURES_MAPPING.values()), full_resolution.ARCHITECTURE)


@functools.cache
def encoders() -> tuple[str, ...]:
    """Names of the encoders: ours, those of segmentation-models-pytorch, then timm's with the prefix `tu-`."""
    import timm
    from segmentation_models_pytorch.encoders import get_encoder_names

    return (full_resolution.ENCODER, *get_encoder_names(), *(f"tu-{name}" for name in timm.list_models()))


def is_own(arch: str) -> bool:
    """Whether an architecture is ours, not one of segmentation-models-pytorch."""
    return arch.lower() == full_resolution.ARCHITECTURE.lower()


def output_channels(classes: int) -> int:
    """Channels of the logits for a number of classes, the background among them: 1 for two classes, else all.

    Raises UserError below two classes.
    """
    if classes < 2:
        raise UserError(f"a network needs at least two classes, the background and another; there are {classes}.")
    return 1 if classes == 2 else classes


def check_names(arch: str, encoder: str) -> None:
    """Raise UserError with the nearest names where an architecture or encoder does not exist.

    Only names of installed lists pass, so a model file cannot make timm fetch `hf-hub:…`.
    """
    import timm

    known = [name.lower() for name in architectures()]
    if arch.lower() not in known:
        hint = nearest(arch.lower(), known) or f"; there are {listing(architectures(), 20)}"
        raise UserError(f"--model-arch: there is no architecture {arch!r}{hint}.")
    if is_own(arch) != (encoder == full_resolution.ENCODER):
        own = f"--model-arch {full_resolution.ARCHITECTURE} and --model-encoder {full_resolution.ENCODER}"
        raise UserError(f"{own} go with each other alone; {arch} was given with {encoder}.")
    if encoder in encoders() or (encoder.startswith("tu-") and encoder[3:] in timm.list_pretrained()):
        return
    hint = nearest(encoder, encoders()) or "; see the lists of segmentation-models-pytorch, and of timm (prefix tu-)"
    raise UserError(f"--model-encoder: there is no encoder {encoder!r}{hint}.")


def create_network(
    arch: str,
    encoder: str,
    encoder_weights: str | None,
    in_channels: int,
    classes: int,
    options: NetworkOptions = (),
) -> nn.Module:
    """A network float32 [n, in_channels, h, w] → logits [n, 1 or classes, h, w], in training mode.

    `classes` counts the background. `encoder_weights` names pretrained weights (`imagenet`), which are downloaded
    once; None starts from random ones. `options` are further arguments of the constructor. Initial weights follow
    torch's global random generator.

    Raises:
        UserError: unknown names, two that do not go together, or weights that cannot be had.
    """
    check_names(arch, encoder)
    if encoder_weights is not None:
        _check_weights(encoder, encoder_weights)
    channels = output_channels(classes)
    return create_from_arguments(arch, encoder, encoder_weights, in_channels, channels, **plain(options))


def _check_weights(encoder: str, weights: str) -> None:
    """Raise UserError where segmentation-models-pytorch knows no such weights; those of `tu-` are one set each."""
    from segmentation_models_pytorch.encoders import encoders as table

    if encoder == full_resolution.ENCODER:
        raise UserError(f"--model-encoder-weights: {encoder} has none; leave the option out.")
    known = list(table[encoder]["pretrained_settings"]) if encoder in table else [weights]
    if weights not in known:
        raise UserError(f"--model-encoder-weights: {encoder} has no weights {weights!r}; it has {listing(known)}.")


def create_from_arguments(
    arch: str, encoder: str, weights: str | None, in_channels: int, channels: int, **further: Any
) -> nn.Module:
    """The network of names that were checked; `channels` of logits. Raises UserError as `create_network`."""
    import segmentation_models_pytorch as smp

    if is_own(arch):
        return _own_network(in_channels, channels, further)
    arguments: dict[str, Any] = {"encoder_name": encoder, "in_channels": in_channels, "classes": channels, **further}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated aliases of encoders, weights of `tu-` ones
            network: nn.Module = smp.create_model(arch, encoder_weights=weights, **arguments)
    except Exception as error:  # the hub client raises its own, httpx's and requests' errors
        reason = str(error).strip("\"'").split("\n")[0]
        if isinstance(error, ValueError | KeyError | TypeError) and not isinstance(error, OSError):
            said = f" and {', '.join(further)}" if further else ""
            raise UserError(
                f"--model-arch {arch} does not go with --model-encoder {encoder}{said}: {reason}"
            ) from error
        if weights is not None:
            raise UserError(
                f"--model-encoder-weights: {weights} of {encoder} cannot be had ({reason.rstrip('.')}). "
                f"They are downloaded once, which needs a network: darts download-weights --model-encoder {encoder} "
                "fetches them beforehand, none trains from random ones."
            ) from error
        raise
    return network


def _own_network(in_channels: int, channels: int, further: dict[str, Any]) -> nn.Module:
    try:
        return full_resolution.FullResolutionNetwork(in_channels, channels, **further)
    except (TypeError, ValueError) as error:
        reason = str(error).removeprefix("FullResolutionNetwork.__init__() ")
        raise UserError(f"--model-arch {full_resolution.ARCHITECTURE}, --model-options: {reason}.") from error


@functools.lru_cache(maxsize=8)
def _shape_network(arch: str, encoder: str, options: NetworkOptions = ()) -> nn.Module:
    """The network without its weights' memory, for questions about shapes. Draws no random number of the caller's."""
    check_names(arch, encoder)
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return create_from_arguments(arch, encoder, None, 3, 1, **plain(options)).eval()
        except RuntimeError:  # encoders that read a number off a tensor while they are built (mit_b0 and its kin)
            return create_from_arguments(arch, encoder, None, 3, 1, **plain(options)).eval().to("meta")


def network_without_memory(arch: str, encoder: str, options: NetworkOptions = ()) -> nn.Module:
    """The network on torch's meta device, to look at and not to change. Raises UserError for unknown names."""
    return _shape_network(arch, encoder, options)


def stride(arch: str, encoder: str, options: NetworkOptions = ()) -> int:
    """Pixels of the input per pixel of the deepest features: 32 for most, 8 or 16 for dilated ones.

    Sizes that are multiples of it suit every convolutional network. Raises UserError for unknown names.
    """
    return int(_shape_network(arch, encoder, options).encoder.output_stride)  # type: ignore[union-attr, arg-type]


@functools.lru_cache(maxsize=64)
def takes(arch: str, encoder: str, size: int, options: NetworkOptions = ()) -> bool:
    """Whether the network maps a square of `size` pixels to one of the same size."""
    network = _shape_network(arch, encoder, options)
    try:
        with torch.no_grad():
            logits = network(torch.empty(1, 3, size, size, device="meta"))
    except (RuntimeError, ValueError, AssertionError, TypeError, IndexError, ZeroDivisionError):
        return False
    return tuple(logits.shape[-2:]) == (size, size)


def check_patch_size(
    arch: str, encoder: str, patch_size: int, option: str = "--patch-size", options: NetworkOptions = ()
) -> None:
    """Raise UserError naming the nearest sizes that work where the network does not take `patch_size` pixels."""
    if takes(arch, encoder, patch_size, options):
        return
    step = stride(arch, encoder, options)
    below = range(patch_size - 1 - (patch_size - 1) % step, 0, -step)
    above = range(patch_size + step - patch_size % step, LARGEST_SUGGESTION + 1, step)
    found = [size for sizes in (below, above) if (size := _first(arch, encoder, sizes, options)) is not None]
    hint = f"; the nearest that work: {' and '.join(map(str, found))}" if found else ""
    raise UserError(f"{option}: {arch} with {encoder} does not take patches of {patch_size} pixels{hint}.")


def padding_multiple(arch: str, encoder: str, patch_size: int, options: NetworkOptions = ()) -> int:
    """To a multiple of how many pixels patches are padded for this network: its stride, where that is enough.

    Else the first multiple of the stride above the patch size that the network takes. Raises UserError where none up
    to LARGEST_SUGGESTION is one.
    """
    step = stride(arch, encoder, options)
    least = -(-patch_size // step) * step
    found = _first(arch, encoder, range(least, max(LARGEST_SUGGESTION, least) + 1, step), options)
    if found is None:
        raise UserError(f"--pad-to-stride: {arch} with {encoder} takes no size from {patch_size} pixels on.")
    return step if found == least else found


def _first(arch: str, encoder: str, sizes: range, options: NetworkOptions) -> int | None:
    return next((size for size in sizes if takes(arch, encoder, size, options)), None)
