"""Which cues are asked, and what they find together."""

import os
from dataclasses import dataclass

import numpy as np

from darts_train.base.errors import UserError, listing
from darts_train.dataset.expressions import column_values
from darts_train.dataset.grouping.alike import PairSearch, chance_level, widest_gap
from darts_train.dataset.grouping.components import Components
from darts_train.dataset.grouping.descriptor import descriptors
from darts_train.dataset.grouping.footprints import overlapping_pairs, unit_shapes
from darts_train.dataset.grouping.oversize import tighten
from darts_train.dataset.grouping.report import Likeness
from darts_train.dataset.grouping.units import Units
from darts_train.dataset.reader import TrainData
from darts_train.options.grouping import Cue, Grouping
from darts_train.options.learning import Device

DESCRIPTOR = "descriptor"
USUAL = {True: 0.9, False: 0.97}  # least cosine of descriptors, and of an encoder's features
Pairs = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Found:
    """Groups, and how they came about.

    Attributes:
        labels: number of the group of each unit, int64 [len(units)].
        pairs: found by each cue; of columns, the units that have the values of another.
        likeness: what the search for alike units saw, or None.
        tightened: see `GroupReport`.
    """

    labels: np.ndarray
    pairs: dict[str, int]
    likeness: Likeness | None
    tightened: tuple[float, int] | None


def find_groups(data: TrainData, units: Units, grouping: Grouping, device: Device) -> Found:
    """Groups by the cues that are asked for. Raises UserError as `group_train_data`."""
    shapes = unit_shapes(data.metadata, units)
    cues = chosen_cues(grouping, shapes)
    columns = _column_pairs(data, units, grouping.same or ()) if "columns" in cues else _none()
    ground = overlapping_pairs(shapes, grouping.min_overlap) if "footprint" in cues else _none()
    fixed = (np.concatenate([ground[0], columns[0]]), np.concatenate([ground[1], columns[1]]))
    counts = {"footprint": len(ground[0]), "columns": len(np.unique(np.concatenate(columns)))}
    components = Components(len(units))
    components.add(*fixed)
    if "similarity" not in cues:
        return Found(components.labels(), {cue: counts[cue] for cue in cues}, None, None)
    vectors = _vectors(data, units, grouping, device)
    similarity = _similarity(grouping)
    likeness, counts["similarity"] = _join_alike(components, vectors, grouping.embedding, similarity)
    labels, tightened = components.labels(), None
    if grouping.max_group_action == "tighten" and np.bincount(labels).max() > grouping.max_group:
        made = tighten(labels, vectors, similarity, fixed, grouping.max_group)
        labels, tightened = made.labels, (made.similarity, made.parted)
    return Found(labels, {cue: counts[cue] for cue in cues}, likeness, tightened)


def chosen_cues(grouping: Grouping, shapes: np.ndarray) -> tuple[Cue, ...]:
    """The cues of `--by`, or those that fit the set. Raises UserError where one has nothing to go by."""
    placed = np.array([shape is not None for shape in shapes], bool)
    if grouping.by is None:
        usual: list[Cue] = ["footprint"] if placed.any() else []
        usual += ["similarity"] if not placed.all() else []
        return (*usual, "columns") if grouping.same else tuple(usual)
    cues = tuple(dict.fromkeys(grouping.by))
    if "columns" in cues and not grouping.same:
        raise UserError("--by columns: say which with --same, such as --same region,date.")
    if grouping.same and "columns" not in cues:
        raise UserError(f"--same has no effect with --by {listing(cues)}; add columns.")
    if "footprint" in cues and not placed.any():
        raise UserError("--by footprint: no sample has a place on the earth (column geometry); use similarity.")
    return cues


def _similarity(grouping: Grouping) -> float:
    return USUAL[grouping.embedding == DESCRIPTOR] if grouping.similarity is None else grouping.similarity


def _vectors(data: TrainData, units: Units, grouping: Grouping, device: Device) -> np.ndarray:
    """Unit vectors float32 [len(units), d]; zeros for units that nothing is known of."""
    if grouping.embedding == DESCRIPTOR:
        if grouping.embedding_weights is not None:
            raise UserError("--embedding-weights: the descriptor has none; name an encoder with --embedding.")
        return descriptors(data, units, os.cpu_count() or 1)
    from darts_train.models.embeddings import encoder_features  # imports torch

    return encoder_features(data, units, grouping.embedding, grouping.embedding_weights, device.device)


def _join_alike(components: Components, vectors: np.ndarray, embedding: str, similarity: float) -> tuple[Likeness, int]:
    """Connect alike units; what was seen, and the number of pairs."""
    known = np.flatnonzero(vectors.any(axis=1))
    search = PairSearch(vectors[known], similarity)
    for one, other in search:
        components.add(known[one], known[other])
    seen, chance = search.neighbours, chance_level(vectors[known])
    return (
        Likeness(
            embedding=embedding,
            similarity=similarity,
            nearest=tuple(np.sort(seen.nearest).tolist()),
            unknown=len(vectors) - len(known),
            chance=None if np.isnan(chance) else chance,
            gap=None if np.isnan(chance) else widest_gap(seen.nearest, chance),
        ),
        seen.pairs,
    )


def _column_pairs(data: TrainData, units: Units, columns: tuple[str, ...]) -> Pairs:
    """Pairs that chain the units with equal values in all of the columns; a row that lacks one is with nobody."""
    values = [column_values(data.metadata, column, "--same").astype(object) for column in columns]
    first: dict[tuple[object, ...], int] = {}
    pairs = []
    for row, key in enumerate(zip(*values, strict=True)):
        unit = int(units.of_patch[row])
        if any(value is None or value != value for value in key):
            continue
        before = first.setdefault(key, unit)
        if before != unit:
            pairs.append((before, unit))
    found = np.unique(np.array(pairs, np.int64).reshape(-1, 2), axis=0)
    return found[:, 0], found[:, 1]


def _none() -> Pairs:
    return np.empty(0, np.int64), np.empty(0, np.int64)
