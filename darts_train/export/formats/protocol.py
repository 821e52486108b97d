"""What writes a network in one format: it makes the bytes of a file and says how far they are from the network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from darts_train.models.model_file import LoadedModel
from darts_train.options.exporting import Export


class ExportError(RuntimeError):
    """The exported network is not the network: a failure of the exporter, not of the user."""


@dataclass(frozen=True)
class Written:
    """A network in another format, in memory: nothing of it is on disk yet.

    `data` is the file. `max_difference` is that of what comes out from torch's, relative to the largest where above
    1. `free_sizes`: whether it takes any batch, height and width, or any batch of one size. `notes` are lines for the
    user. `facts` go into the metadata beside those of `describe`. `described`: the file holds its metadata itself;
    those of other formats are written beside it, as `{out}.json`.
    """

    data: bytes
    max_difference: float
    free_sizes: bool
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    described: bool = False


class Writer(Protocol):
    """What writes one format. `suffix` is that of its files, with the dot."""

    suffix: str

    def __call__(self, model: LoadedModel, settings: Export) -> Written:
        """The network as a file of this format, compared with the original.

        Raises UserError where this network, or these settings, cannot be written in this format, before the work
        where that is known; ExportError where what was written says something else than the network.
        """
        ...
