"""The config of an ensemble: the members' own configs, their weights, and one input specification for all of them.

Keys beside those of every model file: `model_framework` smp-ensemble, `members` (configs), `weights` (their sum is 1),
`votes`, and for hard votes `vote_thresholds`. `model` names the network of the member that is hardest to please in the
size of a window, so that whoever asks what sizes the ensemble takes is told right. Weights of the networks are
`members.{i}.…` in the statedict.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from darts_train.base.errors import UserError, listing
from darts_train.models.ensemble import VOTES, EnsembleNetwork, MemberView, Votes
from darts_train.models.factory import stride, takes
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_config import ENSEMBLE, ModelConfig, plain_config
from darts_train.models.normalisation import OF_SAMPLE
from darts_train.raster.band import Band

if TYPE_CHECKING:
    from darts_train.models.model_file import LoadedModel

MOST_MEMBERS = 1000  # of what a file may ask to be built
MISSING, FAR_MISSING = -1.0, -1e6  # no data, where valid values lie in [0, 1], and where they may lie anywhere
Weights = Mapping[str, torch.Tensor]
Assemble = Callable[[Path, Mapping[str, Any], Weights], "LoadedModel"]


def ensemble_config(
    members: Sequence["LoadedModel"],
    names: Sequence[str],
    weights: Sequence[float],
    votes: Votes,
    threshold: float,
    vote_thresholds: Sequence[float] | None = None,
) -> dict[str, Any]:
    """The config of an ensemble, plain values only; `names` are the members' in messages.

    Raises UserError naming the first member that does not go with the one before.
    """
    spec = union_specification([member.spec for member in members], names)
    _check_alike(members, names)
    _check_sizes(members, names)
    derived = dict.fromkeys(band for member in members for band in member.derived)
    own = plain_config(members[0].config)
    kept = ("patch_size", "classes", "ignore_index", "source", "fit", "fit_size")
    return {
        "model_framework": ENSEMBLE,
        "model": _hardest(members) | {"in_channels": len(spec.bands)},
        **{key: own[key] for key in kept if key in own},
        **spec.to_config(),
        **({"derived": list(derived)} if derived else {}),
        "threshold": float(threshold),
        "members": [_member_config(member) for member in members],
        "weights": [float(weight) for weight in weights],
        "votes": votes,
        **({"vote_thresholds": [float(one) for one in vote_thresholds]} if vote_thresholds else {}),
    }


def ensemble_state(members: Sequence["LoadedModel"]) -> dict[str, torch.Tensor]:
    """The statedict of an ensemble."""
    return {
        f"members.{i}.{name}": tensor
        for i, member in enumerate(members)
        for name, tensor in member.network.state_dict().items()
    }


def ensemble_network(
    config: Mapping[str, Any], facts: ModelConfig, state: Weights, assemble: Assemble
) -> EnsembleNetwork:
    """The network that a file describes. `assemble` makes a member of its name, its config and its weights.

    Raises UserError where the file contradicts itself.
    """
    configs, weights, votes = config.get("members"), config.get("weights"), config.get("votes", "soft")
    if not isinstance(configs, list) or not 0 < len(configs) <= MOST_MEMBERS:
        raise UserError("its config is wrong at members: a list of configs is wanted.")
    if any(not isinstance(one, Mapping) or one.get("model_framework", "smp") != "smp" for one in configs):
        raise UserError("its config is wrong at members: each is the config of a single network.")
    beyond = [name for name in state if _number(name) not in range(len(configs))]
    if beyond:
        raise UserError(f"its weights do not fit its config; it has {listing(beyond, 2)} beyond the members'.")
    names = [f"members.{i}" for i in range(len(configs))]
    members = [assemble(Path(name), one, _below(state, f"{name}.")) for name, one in zip(names, configs, strict=True)]
    spec = union_specification([member.spec for member in members], names)
    _check_alike(members, names)
    if spec.to_config() != facts.spec.to_config() or members[0].classes != facts.classes:
        raise UserError("its config is wrong: its bands, ranges or classes are not what its members make them.")
    if votes not in VOTES:
        raise UserError(f"its config is wrong at votes: {votes!r} is none of {', '.join(VOTES)}.")
    cuts = config.get("vote_thresholds")
    try:
        if (cuts is not None and len(cuts) != len(members)) or len(weights) != len(members):  # type: ignore[arg-type]
            raise ValueError(f"{len(members)} numbers are wanted")
        views = member_views(spec, [member.spec for member in members])
        numbers = [float(weight) for weight in weights]  # type: ignore[union-attr]
        networks = [member.network for member in members]
        return EnsembleNetwork(networks, views, numbers, votes, None if cuts is None else [float(cut) for cut in cuts])
    except (TypeError, ValueError) as error:
        raise UserError(f"its config is wrong at weights: {error}.") from None


def union_specification(specs: Sequence[InputSpecification], names: Sequence[str]) -> InputSpecification:
    """What an ensemble sees: the first member's specification where all are equal, else all their bands.

    The range of a band is the least that holds every member's, so that nothing is clipped that one of them sees; no
    data has a value of its own beyond all others, and each member puts its fill there. Raises UserError, naming the
    member, where a band is encoded otherwise in one, and where one measures each patch by itself and another does not.
    """
    if all(_same_view(specs[0], spec) for spec in specs):
        return dataclasses.replace(specs[0], numbers=())
    kinds = {spec.normalisation for spec in specs}
    if kinds & set(OF_SAMPLE) and len(kinds) > 1:
        raise UserError(f"{names[-1]}: networks with --normalisation {listing(sorted(kinds))} cannot be put together.")
    bands: dict[str, Band] = {}
    for spec, name in zip(specs, names, strict=True):
        for band in spec.bands:
            known = bands.setdefault(band.name, band)
            if (known.scale, known.offset) != (band.scale, band.offset):
                raise UserError(f"{name}: its band {band.name} is in other units or steps than that of {names[0]}.")
            low, high = min(known.low, band.low), max(known.high, band.high)
            bands[band.name] = dataclasses.replace(known, low=low, high=high)
    if kinds & set(OF_SAMPLE):
        return InputSpecification(tuple(bands.values()), MISSING, specs[0].normalisation)
    if "zscore" in kinds:
        return InputSpecification(tuple(bands.values()), FAR_MISSING, "zscore")
    return InputSpecification(tuple(bands.values()), MISSING, "range")


def member_views(whole: InputSpecification, specs: Sequence[InputSpecification]) -> list[nn.Module | None]:
    """What each member makes of the ensemble's input; None where it is its own."""
    return [None if _same_view(whole, spec) else MemberView(whole, spec) for spec in specs]


def _same_view(one: InputSpecification, other: InputSpecification) -> bool:
    return dataclasses.replace(one, numbers=()) == dataclasses.replace(other, numbers=())


def _check_alike(members: Sequence["LoadedModel"], names: Sequence[str]) -> None:
    for (before, first), (name, member) in itertools.pairwise(zip(names, members, strict=True)):
        facts = {
            "classes": (first.classes, member.classes),
            "patch size": (first.patch_size, member.patch_size),
            "fit of patches": (first.fit.kind, member.fit.kind),
            "size of the fit": (first.fit.size, member.fit.size),
            "settings of the scenes": (first.source, member.source),
        }
        for what, (theirs, ours) in facts.items():
            if theirs != ours:
                raise UserError(f"{name}: its {what} ({_said(ours)}) is not that of {before} ({_said(theirs)}).")


def _check_sizes(members: Sequence["LoadedModel"], names: Sequence[str]) -> None:
    side = members[0].side
    for name, member in zip(names, members, strict=True):
        if not takes(member.arch, member.encoder, side, member.options):
            raise UserError(f"{name}: {member.arch} with {member.encoder} takes no {side} pixels as others do.")


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value!s:.80}"


def _hardest(members: Sequence["LoadedModel"]) -> dict[str, Any]:
    """`model` of the member whose windows have the largest steps, and of these one that takes fewer sizes."""

    def demands(member: "LoadedModel") -> tuple[int, bool]:
        step = stride(member.arch, member.encoder, member.options)
        return step, not takes(member.arch, member.encoder, member.side + step, member.options)

    found: dict[str, Any] = plain_config(max(members, key=demands).config)["model"]
    return found | {"encoder_weights": None}


def _member_config(member: "LoadedModel") -> dict[str, Any]:
    config = plain_config(member.config)
    config["model"].pop("encoder_weights", None)
    return config


def _below(state: Weights, prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _number(name: object) -> int:
    parts = str(name).split(".", 2)
    return int(parts[1]) if len(parts) == 3 and parts[0] == "members" and parts[1].isdecimal() else -1
