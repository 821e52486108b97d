"""What members say of patches that they did not learn from, pooled: for the weights and the threshold of an ensemble.

In a cross-validation every patch is out of fold for the networks of one fold alone. So whether fold 0 should count more
than fold 1 cannot be learned from it: there is no pixel of which both may speak. It can be learned between networks
that left out the same patches: repeated seeds of a fold, or several cross-validations of one set. A *voice* is what is
weighed: a whole cross-validation where there are several, else a single network.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from darts_train.artifacts.out_of_fold import OutOfFold, open_out_of_fold
from darts_train.base.errors import UserError, listing
from darts_train.base.progress import track
from darts_train.export.fitting.members import Member, RunParts
from darts_train.export.fitting.seen_set import SeenSet, batches, chosen_pixels, open_seen
from darts_train.metrics.histogram import BINS, binary_histogram
from darts_train.metrics.mixture import log_loss, mixture_weights

PIXELS = 2**20  # at most, from all patches alike, of which weights are learned
Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Voice:
    """What gets one weight: places of its members, and their out-of-fold predictions where these were kept."""

    members: tuple[int, ...]
    kept: OutOfFold | None = None


@dataclass(frozen=True)
class Weighing:
    """Weights of the members, their sum 1; `fitted` says on how many pixels, None where there was nothing to learn.

    `log_loss` is of these weights and `equal_log_loss` of equal ones, on the pixels that they were learned from.
    """

    weights: tuple[float, ...]
    fitted: int | None
    words: str
    log_loss: float | None = None
    equal_log_loss: float | None = None


@dataclass(frozen=True, eq=False)
class Pool:
    """Members of one set, each with its run. Use `open_pool`."""

    members: tuple[Member, ...]
    sets: tuple[SeenSet, ...]
    voices: tuple[Voice, ...]

    @cached_property
    def parts(self) -> list[RunParts]:
        """What each member's run did with the patches."""
        return [member.parts for member in self.members if member.parts is not None]

    @cached_property
    def out_of_fold(self) -> NDArray[np.bool_]:
        """Whether each patch is out of each member's fold, bool [members, patches]."""
        found = np.zeros((len(self.members), self.parts[0].patches), bool)
        for row, parts in zip(found, self.parts, strict=True):
            row[parts.validated] = True
        return found

    @cached_property
    def heard(self) -> NDArray[np.bool_]:
        """Whether each voice may speak of each patch, bool [voices, patches]."""
        return np.stack([self.out_of_fold[list(voice.members)].any(0) for voice in self.voices])

    @property
    def rows(self) -> Rows:
        """Patches of which any may speak."""
        return np.flatnonzero(self.heard.any(0))

    def scenes(self) -> tuple[list[str], NDArray[np.int64]]:
        """Names of the scenes of `rows`, and which one each of these is of."""
        names = self.sets[0].data.metadata["sample_id"].astype(str).to_numpy()[self.rows]
        found, place = np.unique(names.astype(np.str_), return_inverse=True)
        return [str(name) for name in found], place

    def said(self, rows: Rows, label: str) -> Iterator[tuple[int, NDArray[np.uint8], Floats]]:
        """Each patch, its labels [h, w], and what the voices say of it, float32 [voices, classes, h, w].

        Probabilities of all classes, the background first; NaN of a voice that may not speak.
        """
        parts = [part for pattern in self._patterns(rows) for part in batches(pattern)]
        for part in track(parts, label, len(parts)):
            voices = [self._of_voice(voice, part) for voice in self.voices]
            _, y = self.sets[0].data.read_many(part)
            for place, row in enumerate(part):
                yield int(row), y[place], np.stack([voice[place] for voice in voices])

    def _patterns(self, rows: Rows) -> list[Rows]:
        """Rows of which the same members may speak, together: one batch is one question to each of them."""
        _, place = np.unique(self.out_of_fold[:, rows], axis=1, return_inverse=True)
        place = place.reshape(-1)
        return [rows[place == one] for one in range(place.max(initial=-1) + 1)]

    def _of_voice(self, voice: Voice, rows: Rows) -> Floats:
        """Mean of the members of a voice that may speak, float32 [n, classes, h, w]."""
        model = self.members[0].model
        side = self.sets[0].data.config.patch_size
        total = np.zeros((len(rows), len(model.classes), side, side), np.float32)
        speaking = [i for i in voice.members if self.out_of_fold[i, rows[0]]]
        if not speaking:
            return np.full_like(total, np.nan)
        if voice.kept is not None:
            foreground = voice.kept.read(rows)
            return np.concatenate([1 - foreground.sum(1, keepdims=True), foreground], axis=1)
        for i in speaking:
            total += all_classes(self.sets[i].logits(self.members[i].model.whole, rows)).cpu().numpy()
        return total / np.float32(len(speaking))


def all_classes(logits: torch.Tensor) -> torch.Tensor:
    """Probabilities of all classes [n, classes, h, w] of logits [n, 1 or classes, h, w]."""
    if logits.shape[1] > 1:
        return logits.softmax(1)
    return torch.cat([(-logits).sigmoid(), logits.sigmoid()], dim=1)


def open_pool(members: Sequence[Member], root: Path | None, device: torch.device, single: bool) -> Pool:
    """Members with what they may speak of.

    `single`: every member is weighed by itself; else those of one cross-validation have one voice.

    Raises UserError where one has no run, nothing is out of its fold, the set is not the one it was trained on, or
    what validated it is the test part of another.
    """
    parts = [_require_parts(member) for member in members]
    root = root or _recorded_root(members[0], parts[0])
    sets = [open_seen(root, member.model, device, member.name) for member in members]
    data_hash = sets[0].data.data_hash
    for member, part in zip(members, parts, strict=True):
        if part.record.data_hash != data_hash or part.patches != len(sets[0].data):
            raise UserError(f"--train-data-dir: {root} is not the set that {member.name} was trained on.")
        _refuse_tests(member, part, members, parts)
    for member in members:
        member.model.whole.to(device)
    voices = [Voice((i,)) for i in range(len(members))] if single else _by_cross_validation(members, data_hash)
    return Pool(tuple(members), tuple(sets), tuple(voices))


def _require_parts(member: Member) -> RunParts:
    if member.parts is None:
        raise UserError(f"{member.name} lies in no run directory, so no patch is known to be out of its fold.")
    if not len(member.parts.validated):
        raise UserError(
            f"{member.name} was trained on all that validated it (--fold-method none): no out-of-fold there."
        )
    return member.parts


def _recorded_root(member: Member, parts: RunParts) -> Path:
    recorded = parts.record.settings.get("data", {}).get("train_data_dir")
    if not recorded or not Path(recorded).is_dir():
        raise UserError(f"--train-data-dir: {recorded} of {member.name} is not there; say where its train data are.")
    return Path(recorded)


def _refuse_tests(member: Member, part: RunParts, members: Sequence[Member], parts: Sequence[RunParts]) -> None:
    for other, theirs in zip(members, parts, strict=True):
        common = np.intersect1d(part.validated, theirs.tested)
        if len(common):
            raise UserError(
                f"{len(common)} patches that validated {member.name} are of the test part of {other.name}; nothing is "
                "fitted on those. Put together networks with one test part."
            )


def _by_cross_validation(members: Sequence[Member], data_hash: str) -> list[Voice]:
    voices = []
    for directory in dict.fromkeys(member.cross_validation for member in members):
        places = tuple(i for i, member in enumerate(members) if member.cross_validation == directory)
        voices.append(Voice(places, None if directory is None else kept_predictions(directory, data_hash)))
    return voices


def kept_predictions(directory: Path, data_hash: str) -> OutOfFold | None:
    """What a cross-validation kept by --oof, None where it did not, or of another set."""
    try:
        found = open_out_of_fold(directory)
    except UserError:
        return None
    return found if (found.content or {}).get("data_hash") == data_hash else None


def weigh(pool: Pool) -> Weighing:
    """Weights that make the labels of out-of-fold pixels most likely, between voices that left out the same patches.

    Groups of such voices share what equal weights would give them; where no two may speak of a patch all are equal.
    """
    groups = _groups(pool.heard)
    voices = np.full(len(pool.voices), 1 / len(pool.voices))
    pixels, losses = 0, np.zeros(2)
    for group in groups:
        if len(group) == 1:
            continue
        rows = np.flatnonzero(pool.heard[group].all(0))
        said = _of_labels(pool, rows)[group] if len(rows) else np.empty((len(group), 0), np.float32)
        if not said.shape[1]:
            continue
        found = mixture_weights(said)
        voices[group] = found * len(group) / len(pool.voices)
        equal = np.full(len(group), 1 / len(group))
        losses += said.shape[1] * np.array([log_loss(said, found), log_loss(said, equal)])
        pixels += said.shape[1]
    each = {
        i: weight / len(voice.members) for weight, voice in zip(voices, pool.voices, strict=True) for i in voice.members
    }
    weights = tuple(float(each[i]) for i in range(len(pool.members)))
    if not pixels:
        return Weighing(weights, None, "equal: no two members left out the same patches, so none can be weighed")
    said_of = "cross-validation" if len(pool.voices) < len(pool.members) else "network"
    words = f"fitted for each {said_of} on {pixels} out-of-fold pixels"
    words += "" if len(groups) == 1 else "; equal between folds, of which no two may speak of one patch"
    return Weighing(weights, pixels, words, *(float(loss) for loss in losses / pixels))


def _groups(heard: NDArray[np.bool_]) -> list[list[int]]:
    """Voices that speak of common patches, directly or through others."""
    groups: list[list[int]] = []
    for voice in range(len(heard)):
        joined = [group for group in groups if (heard[group].any(0) & heard[voice]).any()]
        groups = [group for group in groups if group not in joined]
        groups.append(sorted([voice, *(one for group in joined for one in group)]))
    return sorted(groups)


def _of_labels(pool: Pool, rows: Rows) -> Floats:
    """What every voice gives to the labels of some pixels of patches, float32 [voices, pixels]."""
    classes, most = len(pool.members[0].model.classes), max(PIXELS // max(len(rows), 1), 64)
    found = []
    for row, y, said in pool.said(rows, "weighing"):
        places = chosen_pixels(y, row, classes, most)
        flat = said.reshape(len(said), classes, -1)[:, :, places]
        found.append(np.take_along_axis(flat, y.reshape(-1)[places][None, None].astype(np.int64), axis=1)[:, 0])
    return np.concatenate(found, axis=1) if found else np.empty((len(pool.voices), 0), np.float32)


def scene_histograms(pool: Pool, weights: Sequence[float]) -> NDArray[np.int64]:
    """Histograms [scenes, 2, BINS] of the weighted mean of those that may speak; two classes only."""
    names, place = pool.scenes()
    found = np.zeros((len(names), 2, BINS), np.int64)
    scene_of = dict(zip(pool.rows.tolist(), place.tolist(), strict=True))
    of_voice = np.array([sum(weights[i] for i in voice.members) for voice in pool.voices], np.float32)
    for row, y, said in pool.said(pool.rows, "out of fold"):
        speaking = ~np.isnan(said[:, 0, 0, 0])
        mean = np.tensordot(of_voice[speaking] / of_voice[speaking].sum(), said[speaking, 1], axes=1)
        target = torch.from_numpy(np.where(y > 1, 255, y))
        found[scene_of[row]] += binary_histogram(torch.from_numpy(mean), target, 255).numpy()
    return found


def require_one_set(members: Sequence[Member]) -> None:
    """Raise UserError where members were trained on different sets."""
    hashes = {member.parts.record.data_hash: member.name for member in members if member.parts}
    if len(hashes) > 1:
        raise UserError(f"{listing(hashes.values())} were trained on different sets; put together those of one.")
