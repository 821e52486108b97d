"""Several trained networks as one model file: the command build-ensemble.

Weights and threshold are chosen on pooled out-of-fold pixels alone (`pooled.py`), never on a test part, and what was
chosen on what stands in the file. So do the patches that the members learned from or were chosen by, so that nobody
need take a score on those for one of new scenes.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from darts_train import __version__
from darts_train.base.errors import UserError, listing
from darts_train.base.files import require_writable
from darts_train.base.hashes import hash_json
from darts_train.base.log import logger
from darts_train.export.fitting.members import Member, members_of_cross_validation, members_of_list
from darts_train.export.fitting.pooled import Pool, Weighing, open_pool, require_one_set, scene_histograms, weigh
from darts_train.metrics.histogram import BINS
from darts_train.metrics.intervals import LEVEL
from darts_train.metrics.thresholds import Cut, best_cut
from darts_train.models.ensemble_config import ensemble_config, ensemble_state
from darts_train.models.model_file import save_model_file
from darts_train.models.torch_device import torch_device
from darts_train.options.ensembles import Ensemble

OTHER_SUFFIXES = (".onnx", ".safetensors", ".json")  # by these names, files are read as what a model file is not
LEAST_WEIGHT = 1e-3  # a member that counts less is left out
WORDS = ("fitted", "equal")
_log = logger("export")


@dataclass(frozen=True)
class EnsembleResult:
    """What was written. `cut` is the threshold and its doubt, None where none was chosen; `why` says how it was."""

    path: Path
    members: tuple[str, ...]
    weights: tuple[float, ...]
    weighing: str
    threshold: float
    cut: Cut | None
    why: str
    megabytes: float

    def summary(self) -> str:
        """A few lines for the terminal."""
        lines = [f"{self.path} ({self.megabytes:.1f} MB): {len(self.members)} networks, weights {self.weighing}"]
        if len(set(self.weights)) > 1:
            lines += [f"  {weight:.3f} {name}" for weight, name in zip(self.weights, self.members, strict=True)]
        return "\n".join([*lines, f"threshold {self.threshold:.3f}: {self.why}"])


def build_ensemble(ensemble: Ensemble) -> EnsembleResult:
    """Write a model file whose network is the weighted mean of trained ones.

    Raises UserError, before anything is computed, where the file is there, members cannot be read, do not go together,
    or weights are not as many, and where there is nothing out of fold that fitted weights could be learned from.
    """
    check_out(ensemble.out, ensemble.overwrite)
    device = torch_device(ensemble.device)
    members = _members(ensemble)
    keep_sources(ensemble.out, [member.checkpoint for member in members])
    numbers = _numbers(ensemble.weights, members)
    _refuse_unlike(members)
    pool = _pool(ensemble, members, numbers is not None, device)
    weighing = _weighing(ensemble, len(members), numbers, pool)
    cut, threshold, why = _threshold(ensemble, members, pool, weighing)
    chosen, weights = _of_weight(members, weighing.weights)
    config = _config(ensemble, chosen, weights, threshold)
    config["calibration"] = _record(ensemble, chosen, weights, pool, weighing, cut, why)
    save_model_file(ensemble.out, config, ensemble_state([member.model for member in chosen]))
    names = tuple(member.name for member in chosen)
    size = ensemble.out.stat().st_size / 1e6
    return EnsembleResult(ensemble.out, names, tuple(weights), weighing.words, threshold, cut, why, size)


def check_out(out: Path, overwrite: bool) -> None:
    """Raise UserError where a model file cannot be written to `out`."""
    if out.is_dir():
        raise UserError(f"--out: {out} is a directory; name the file.")
    if out.suffix.lower() in OTHER_SUFFIXES:
        raise UserError(
            f"--out: {out.name} would be read as another kind of file; what is written is a model file, such as "
            f"{out.stem}.ckpt."
        )
    if out.exists() and not overwrite:
        raise UserError(f"--out: {out} is there already; give --overwrite to replace it.")
    require_writable(out.parent, "--out")


def keep_sources(out: Path, sources: Sequence[Path]) -> None:
    """Raise UserError where what is made of model files would take the place of one of them."""
    for source in sources:
        if out.exists() and out.samefile(source):
            raise UserError(f"--out: {out} is a model that the new one is made of; name another file.")


def _members(ensemble: Ensemble) -> list[Member]:
    if (ensemble.cv_dir is None) == (ensemble.models is None):
        raise UserError("give either --cv-dir or --models, to say which networks are put together.")
    if ensemble.models is not None:
        found = members_of_list(ensemble.models)
    else:
        found = [member for place in ensemble.cv_dir or () for member in members_of_cross_validation(place)]
    places = [member.checkpoint.resolve() for member in found]
    twice = [member.name for i, member in enumerate(found) if places[i] in places[:i]]
    if twice:
        raise UserError(f"{listing(twice)} would count twice; name each network once.")
    for member in found:
        if member.model.config.get("model_framework", "smp") != "smp":
            raise UserError(f"{member.name} is an ensemble itself; name the networks that it was made of.")
    return found


def _numbers(given: tuple[str, ...] | None, members: Sequence[Member]) -> list[float] | None:
    """Weights as they were given, None for words. Raises UserError where they are no weights of these members."""
    if given is None or (len(given) == 1 and given[0] in WORDS):
        return None
    try:
        weights = [float(text) for text in given]
    except ValueError:
        raise UserError(f"--weights: {','.join(given):.80} is neither fitted, nor equal, nor numbers.") from None
    if len(weights) != len(members):
        raise UserError(f"--weights: {len(weights)} numbers for {len(members)} networks; give one for each.")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not 0 < sum(weights) < math.inf:
        raise UserError("--weights: they are 0 or above, and at least one of them is above 0.")
    return [weight / math.fsum(weights) for weight in weights]


def _refuse_unlike(members: Sequence[Member]) -> None:
    """Raise UserError where members do not go together; say in a warning where their training differed."""
    names = [member.name for member in members]
    ensemble_config([member.model for member in members], names, [1.0] * len(members), "soft", 0.5)
    require_one_set(members)
    recipes = [_recipe(member) for member in members]
    if any(member.cross_validation for member in members):
        differing = {key for recipe in recipes for key in recipe if recipe[key] != recipes[0].get(key)}
        if differing:
            _log.warning("the networks were trained otherwise than each other: %s.", listing(sorted(differing)))


def _recipe(member: Member) -> dict[str, Any]:
    settings = member.parts.record.settings if member.parts else {}
    groups = ("hyperparameters", "training")
    return {f"{key}": value for group in groups for key, value in (settings.get(group) or {}).items()}


def _pool(ensemble: Ensemble, members: Sequence[Member], numbered: bool, device: Any) -> Pool | None:
    """What may be learned from; None where a member leaves nothing to learn from and nobody insists on it."""
    told = numbered or ensemble.weights == ("equal",)
    lacking = [m.name for m in members if m.parts is None or (told and not len(m.parts.validated))]
    if lacking and ensemble.weights != ("fitted",) and ensemble.train_data_dir is None:
        _log.warning("%s: nothing known to be out of fold; weights and threshold are not learned.", listing(lacking))
        return None
    directories = {member.cross_validation for member in members}
    repeated = len({(member.parts.record.fold if member.parts else i) for i, member in enumerate(members)}) < len(
        members
    )
    fitting = ensemble.weights != ("equal",)
    single = numbered or None in directories or (len(directories) == 1 and repeated and fitting)
    return open_pool(members, ensemble.train_data_dir, device, single)


def _weighing(ensemble: Ensemble, count: int, numbers: list[float] | None, pool: Pool | None) -> Weighing:
    """Raises UserError where weights were to be fitted and there is nothing that they could be fitted on."""
    if numbers is not None:
        return Weighing(tuple(numbers), None, "as given")
    if pool is None or ensemble.weights == ("equal",):
        return Weighing(tuple([1 / count] * count), None, "equal")
    found = weigh(pool)
    if ensemble.weights == ("fitted",) and found.fitted is None:
        raise UserError(f"--weights fitted: {found.words.removeprefix('equal: ')}; give --weights equal.")
    return found


def _of_weight(members: Sequence[Member], weights: Sequence[float]) -> tuple[list[Member], list[float]]:
    """Members that count, and their weights, which sum to 1 again; the others are named in a warning."""
    out = [member.name for member, weight in zip(members, weights, strict=True) if weight < LEAST_WEIGHT]
    if out:
        _log.warning("%s: of no weight, and left out.", listing(out))
    kept = [(member, weight) for member, weight in zip(members, weights, strict=True) if weight >= LEAST_WEIGHT]
    total = math.fsum(weight for _, weight in kept)
    return [member for member, _ in kept], [weight / total for _, weight in kept]


def _config(
    ensemble: Ensemble, members: Sequence[Member], weights: Sequence[float], threshold: float
) -> dict[str, Any]:
    """The config of the file; where members vote, the threshold is where each of two classes' votes is cut."""
    hard = ensemble.votes == "hard" and len(members[0].model.classes) == 2
    config = ensemble_config(
        [member.model for member in members],
        [member.name for member in members],
        weights,
        ensemble.votes,
        0.5 if hard else threshold,
        [threshold] * len(members) if hard else None,
    )
    return config | {
        "name": ensemble.name or ensemble.out.stem,
        "time": date.today().isoformat(),
        "darts_train_version": __version__,
    }


def _threshold(
    ensemble: Ensemble, members: Sequence[Member], pool: Pool | None, weighing: Weighing
) -> tuple[Cut | None, float, str]:
    """The cut, the probability that it means, and words.

    Of a mean one half is kept where the interval of the best threshold holds it: out of fold single networks speak, and
    what is best for these by chance of few scenes suits the mean of all, which is calmer, less than one half does.
    """
    if len(members[0].model.classes) > 2:
        return None, 0.5, "of no use with several classes; the most probable one is taken"
    if pool is None:
        return None, 0.5, "not learned"
    histograms = scene_histograms(pool, weighing.weights)
    cut = best_cut(histograms, ensemble.criterion, BINS // 2)
    if cut is None:
        return None, 0.5, "not learned: no out-of-fold pixel is positive"
    words = cut_words(cut, ensemble.criterion, lambda edge: edge / BINS) + ", out of fold"
    if ensemble.votes == "soft" and cut.edges and cut.edges[0] <= BINS // 2 <= cut.edges[1] and cut.edge != BINS // 2:
        return cut, 0.5, f"as good as {cut.edge / BINS:.3f}, whose interval holds it: {words}"
    return cut, cut.edge / BINS, words


def cut_words(cut: Cut, criterion: str, probability: Any) -> str:
    """A cut and its doubt in words; `probability` of an edge."""
    name = {"iou": "IoU", "f1": "F1"}[criterion]
    said = f"best {name} {cut.score:.4f}"
    if cut.edges is None or cut.scores is None:
        return f"{said} (no interval: fewer than two scenes with positives)"
    low, high = (probability(edge) for edge in cut.edges)
    span = f"{cut.scores[0]:.4f} to {cut.scores[1]:.4f}"
    return f"{said} ({LEVEL:.0%} interval {span}, of the threshold {low:.3f} to {high:.3f}, {cut.scenes} scenes)"


def _record(
    ensemble: Ensemble,
    members: Sequence[Member],
    weights: Sequence[float],
    pool: Pool | None,
    weighing: Weighing,
    cut: Cut | None,
    why: str,
) -> dict[str, Any]:
    """What was chosen on what, plain values."""
    record: dict[str, Any] = {
        "weights": weighing.words,
        "weights_method": "expectation maximisation of the pooled log likelihood" if weighing.fitted else "none",
        "threshold": why,
        "criterion": ensemble.criterion,
        "date": date.today().isoformat(),
        "members": [
            {"name": member.name, "weight": weight} | _run_facts(member)
            for member, weight in zip(members, weights, strict=True)
        ],
    }
    if weighing.fitted is not None:
        record |= {"log_loss": weighing.log_loss, "log_loss_equal": weighing.equal_log_loss}
    if cut is not None:
        record["cut"] = {key: list(value) if isinstance(value, tuple) else value
                         for key, value in dataclasses.asdict(cut).items() if value is not None}  # fmt: skip
    if pool is not None:
        data = pool.sets[0].data
        record["fitted_on"] = {
            "part": "out of fold",
            "set": data.root.name,
            "data_hash": data.data_hash,
            "patches": len(pool.rows),
            "scenes": len(pool.scenes()[0]),
            "rows": hash_json(pool.rows.tolist()),
        }
        record["seen"] = {"data_hash": data.data_hash, "rows": seen_mask(pool)}
    return record


def _run_facts(member: Member) -> dict[str, Any]:
    if member.parts is None:
        return {}
    record = member.parts.record
    facts = {"run": f"{record.run_name}-{record.run_id}", "fold": record.fold, "seed": record.seed}
    return facts | {"fingerprint": record.fingerprint, "validated": len(member.parts.validated)}


def seen_mask(pool: Pool) -> str:
    """Patches that any member learned from or was chosen by, one bit each, the first patch first, as hex digits."""
    seen = np.zeros(pool.parts[0].patches, bool)
    for parts in pool.parts:
        seen[parts.learned] = seen[parts.validated] = True
    return np.packbits(seen).tobytes().hex()


def seen_rows(mask: str, patches: int) -> np.ndarray:
    """Bool [patches] of what `seen_mask` gave. Raises ValueError where it did not."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(mask), np.uint8))
    if len(bits) < patches:
        raise ValueError("fewer bits than patches")
    return bits[:patches].astype(bool)
