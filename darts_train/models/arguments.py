"""Further arguments of a network's constructor, as a user writes them: `encoder_depth=3`, `decoder_channels=64,32,16`.

Only those that shape the network are taken. Others, such as timm's `checkpoint_path`, would make the library open
files, and an activation would break the rule that networks return logits.
"""

from collections.abc import Sequence
from typing import Any

from darts_train.base.errors import UserError, nearest

NetworkOptions = tuple[tuple[str, Any], ...]  # hashable, so that questions about shapes are answered once

KNOWN = (
    "encoder_depth",
    "encoder_channels",
    "encoder_output_stride",
    "upsampling",
    "psp_out_channels",
    "psp_use_batchnorm",
)
DECODER = "decoder_"  # every argument of the decoder is taken; the constructor knows which it has


def is_known(name: str) -> bool:
    """Whether a constructor's argument may be set."""
    return name in KNOWN or name.startswith(DECODER)


def parse_options(texts: Sequence[str] | None) -> NetworkOptions:
    """`name=value` texts to arguments, sorted by name; None is no argument.

    Values are whole numbers, numbers, true, false or none where they look like it, lists where they have commas,
    else text. Raises UserError for a text without a name, an unknown name, and one that is given twice.
    """
    found: dict[str, Any] = {}
    for text in texts or ():
        name, mark, value = (part.strip() for part in text.partition("="))
        if not mark or not name or not value:
            raise UserError(f"--model-options: {text!r} is not name=value, such as encoder_depth=3.")
        if not is_known(name):
            raise UserError(
                f"--model-options: there is no argument {name!r}{nearest(name, (*KNOWN, 'decoder_channels'))}."
            )
        if name in found:
            raise UserError(f"--model-options: {name} is given twice.")
        found[name] = _value(value)
    return tuple(sorted(found.items()))


def hashable(options: dict[str, Any]) -> NetworkOptions:
    """Arguments of a model file in the same form."""
    return tuple(sorted((name, tuple(v) if isinstance(v, list) else v) for name, v in options.items()))


def plain(options: NetworkOptions) -> dict[str, Any]:
    """Arguments as a constructor and a model file take them: lists for tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options}


def _value(text: str) -> Any:
    if "," in text:
        return tuple(_value(part.strip()) for part in text.split(",") if part.strip())
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
