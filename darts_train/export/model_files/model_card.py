"""The README.md of a model: what a stranger must know before trusting its maps, and how to make one.

Facts come from the config and from the run's own files. What is not known is said to be unknown; nothing is guessed.
The header is the one that Hugging Face reads.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from darts_train.export.model_files.lineage import Lineage
from darts_train.export.model_files.model_usage import usage

FEW = 10  # scenes, below which an interval of theirs says too little
_SCORES = ("JaccardIndex", "F1Score", "Precision", "Recall", "AUROC", "AveragePrecision", "Accuracy",
           "InstanceF1Score", "InstanceBoundaryIoU")  # fmt: skip
_WORDS = {"JaccardIndex": "IoU", "F1Score": "F1", "AUROC": "AUROC", "AveragePrecision": "average precision",
          "InstanceF1Score": "F1 of objects", "InstanceBoundaryIoU": "IoU of outlines"}  # fmt: skip
_UNITS = {"dem": "m", "relative_elevation": "m", "tri": "m", "slope": "degrees", "aspect": "degrees"}


def model_card(config: Mapping[str, Any], lineage: Lineage, license_name: str, folder: str) -> str:
    """The text of README.md for the folder called `folder`; `config` is that of the model file."""
    sections = (
        ("Data", _data(config, lineage)),
        ("Bands", _bands(config)),
        ("Split", _split(lineage)),
        ("Metrics", _metrics(lineage)),
        ("How to use", usage(config, folder)),
        ("Provenance", _provenance(config)),
        (
            "Licence",
            [f"{license_name}." if license_name != "unknown" else "Unknown: nobody said. Ask whoever made it."],
        ),
    )
    lines = [_header(config, lineage, license_name), f"# {config['name']}", "", _lead(config)]
    for title, content in sections:
        lines += ["", f"## {title}", "", *content]
    return "\n".join(lines) + "\n"


def _header(config: Mapping[str, Any], lineage: Lineage, license_name: str) -> str:
    import yaml

    facts: dict[str, Any] = {
        "license": license_name,
        "library_name": "darts-train",
        "pipeline_tag": "image-segmentation",
        "tags": ["earth-observation", "remote-sensing", "semantic-segmentation", _arch(config).lower()],
    }
    iou = _known(lineage.test.get("metrics", {}).get("test/JaccardIndex"))
    if iou is not None:
        result = {
            "task": {"type": "image-segmentation"},
            "dataset": {"name": f"{_set_name(lineage)}, test part", "type": "train-data"},
            "metrics": [{"type": "mean_iou", "name": "IoU", "value": round(iou, 4)}],
        }
        facts |= {"metrics": ["mean_iou"], "model-index": [{"name": config["name"], "results": [result]}]}
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---\n"


def _lead(config: Mapping[str, Any]) -> str:
    model, classes = config["model"], config["classes"]
    return (
        f"Semantic segmentation of earth-observation images: {', '.join(classes[1:])} against {classes[0]}. "
        f"{_arch(config)} with the encoder {model['encoder_name']}, {len(config['bands'])} bands, trained on patches "
        f"of {config['patch_size']} pixels. A pixel is positive from a probability of {config['threshold']:g} on."
        if len(classes) == 2
        else f"Semantic segmentation of earth-observation images into {', '.join(classes)}. {_arch(config)} with the "
        f"encoder {model['encoder_name']}, {len(config['bands'])} bands, trained on patches of {config['patch_size']} "
        "pixels."
    )


def _data(config: Mapping[str, Any], lineage: Lineage) -> list[str]:
    if lineage.record is None:
        said = (config.get("provenance") or {}).get("data_hash")
        return [f"Train data with the hash `{said}`." if said else "Unknown: the checkpoint does not lie in a run."]
    lines = [f"Train data set `{_set_name(lineage)}`, hash `{lineage.record.data_hash}`."]
    split = lineage.split
    if split is not None:
        regions = sorted(map(str, split["region"].unique()))
        lines[0] += f" {len(split)} patches of {len(regions)} regions: {_some(regions)}."
    return lines


def _bands(config: Mapping[str, Any]) -> list[str]:
    optical = set(config["optical_bands"])
    rows = [
        (f"`{name}`", _unit(name, name in optical, high), f"{low:g}", f"{high:g}")
        for name, (low, high) in zip(config["bands"], config["ranges"], strict=True)
    ]
    lines = _table(("band", "unit", "becomes 0", "becomes 1"), rows)
    made = ", ".join(map(str, config.get("derived") or ()))
    kind = {"range": "clipped to 0…1 between these values", "zscore": "not clipped"}.get(
        str(config["normalisation"]), f"normalisation `{config['normalisation']}`"
    )
    lines += ["", f"In this order, {kind}; no data becomes {config['nodata_fill']:g}."]
    return [*lines, f"Computed from the others where a scene lacks them: {made}."] if made else lines


def _split(lineage: Lineage) -> list[str]:
    if lineage.record is None:
        return ["Unknown: the checkpoint does not lie in a run."]
    said = lineage.record.settings.get("split") or {}
    by = said.get("data_split_by")
    how = f"Test part by {said.get('data_split_method') or 'none'}" + (f" ({_some(by)})" if by else "")
    folds = f"fold {lineage.record.fold} of {said.get('total_folds', '?')}"
    lines = [f"{how}; {folds}, folds by {said.get('fold_method') or 'none'}, seed {lineage.record.seed}."]
    split = lineage.split
    if split is None:
        return lines
    counts = split.groupby(split["region"].astype(str))[["train", "val", "test"]].sum()
    held = [str(region) for region, row in counts.iterrows() if row["test"] and not row["train"] and not row["val"]]
    lines += [f"Regions held out for the test: {_some(held) if held else 'none'}.", ""]
    if bool((split["train"] & split["val"]).any()):
        lines[-1:] = ["Patches of validation are among those of training, so its scores are no evidence.", ""]
    rows = [(str(region), *(str(int(number)) for number in row)) for region, row in counts.iterrows()]
    total = ("all", *(str(int(number)) for number in counts.sum()))
    return [*lines, *_table(("region", "train", "validation", "test"), [*rows, total])]


def _metrics(lineage: Lineage) -> list[str]:
    if lineage.test:
        return _tested(lineage.test, lineage)
    if lineage.record is None:
        return ["None: the checkpoint does not lie in a run, so nobody knows how good this model is."]
    scores = {name.removeprefix("val/"): value for name, value in lineage.record.best_metrics.items()}
    said = "This checkpoint was not tested (`darts test-smp`). These are scores of the validation patches, which chose"
    return [f"{said} it: rather too good, and without intervals.", "", *_score_table(scores, None)]


def _tested(test: Mapping[str, Any], lineage: Lineage) -> list[str]:
    scores = {name.removeprefix("test/"): value for name, value in test.get("metrics", {}).items()}
    interval = test.get("interval")
    lines = [f"On {test.get('patches', '?')} patches{_whether_own(test, lineage)}."]
    if interval:
        doubt = f"Intervals: bootstrap of {interval['level']:.0%} over {interval['scenes']} scenes"
        lines[0] += f" {doubt}{', too narrow with so few' if interval['scenes'] < FEW else ''}."
    else:
        lines[0] += " No intervals: there are too few scenes for them."
    regions = test.get("per_region") or {}
    rows = [
        (name, str(int(of["patches"])), *(_number(of.get(score)) for score in _SCORES[:4]))
        for name, of in sorted(regions.items())
    ]
    lines += ["", *_score_table(scores, interval)]
    return [*lines, "", *_table(("region", "patches", "IoU", "F1", "precision", "recall"), rows)] if rows else lines


def _whether_own(test: Mapping[str, Any], lineage: Lineage) -> str:
    """Whether what was tested is the test part of the run, which has seen none of it."""
    if lineage.record is None or test.get("data_hash") != lineage.record.data_hash:
        return f" of another set (hash `{test.get('data_hash')}`)"
    if lineage.split is None:
        return " of the set"
    part = lineage.split[lineage.split["test"].astype(bool)]
    own = part["region"].astype(str).value_counts().to_dict()
    if own == {region: int(of["patches"]) for region, of in (test.get("per_region") or {}).items()}:
        return " of the test part, which neither trained nor chose the network"
    return f", which are not the test part ({len(part)}): the network may have learned from some of them"


def _score_table(scores: Mapping[str, Any], interval: Mapping[str, Any] | None) -> list[str]:
    limits = _limits(scores, interval)
    rows = [(_WORDS.get(name, name.lower()), _number(scores[name]), limits.get(name, "none"))
            for name in _SCORES if _known(scores.get(name)) is not None]  # fmt: skip
    return _table(("metric", "value", "interval"), rows)


def _limits(scores: Mapping[str, Any], interval: Mapping[str, Any] | None) -> dict[str, str]:
    """Intervals by metric. Of one positive class F1 = 2 · IoU / (1 + IoU), so its limits are those of the IoU."""
    if not interval:
        return {}
    low, high = float(interval["low"]), float(interval["high"])
    found = {"JaccardIndex": f"{low:.4f} to {high:.4f}"}
    iou, f1 = _known(scores.get("JaccardIndex")), _known(scores.get("F1Score"))
    if iou is not None and f1 is not None and math.isclose(f1, _f1(iou), abs_tol=1e-6):
        found["F1Score"] = f"{_f1(low):.4f} to {_f1(high):.4f}"
    return found


def _f1(iou: float) -> float:
    return 2 * iou / (1 + iou)


def _provenance(config: Mapping[str, Any]) -> list[str]:
    facts = dict(config.get("provenance") or {})
    versions = facts.pop("versions", None)
    lines = [f"* {key.replace('_', ' ')}: `{value}`" for key, value in facts.items()]
    if isinstance(versions, dict):
        lines.append("* trained with " + ", ".join(f"{name} {version}" for name, version in versions.items()))
    return [*lines, f"* converted on {config['time']} with darts-train {config['darts_train_version']}"]


def _arch(config: Mapping[str, Any]) -> str:
    return str(config["model"].get("arch", "Unet"))


def _set_name(lineage: Lineage) -> str:
    """The last part of where the set lay: a path of somebody's machine is nobody's business."""
    data = lineage.record.settings.get("data") if lineage.record else None
    return PurePath(str((data or {}).get("train_data_dir") or "unknown")).name


def _unit(name: str, optical: bool, high: float) -> str:
    if optical:
        return "reflectance" if high <= 2 else "counts"
    return _UNITS.get(name, "none, or not recorded")


def _known(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _number(value: Any) -> str:
    known = _known(value)
    return "none" if known is None else f"{known:.4f}"


def _some(names: Iterable[Any], most: int = 20) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines]
