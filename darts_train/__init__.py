"""darts_train: from scenes and labels to a segmentation model that can be trusted, and to maps.

Every command has a public function of the same name here. They are imported when first used, so
that `import darts_train` costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "preprocess_planet_train_data": "preprocess.planet",
    "preprocess_s2_train_data": "preprocess.sentinel2",
    "preprocess_raster_train_data": "preprocess.raster",
    "import_chips": "preprocess.chips.import_chips",
    "export_chips": "preprocess.chips.export_chips",
    "filter_train_data": "preprocess.filter_train_data",
    "download_arcticdem": "scenes.download_arcticdem",
    "download_tcvis": "scenes.download_tcvis",
    "download_weights": "models.download_weights",
    "group_train_data": "preprocess.grouping.groups",
    "validate_train_data": "dataset.checks",
    "describe_train_data": "reporting.describe",
    "train_smp": "experiments.run",
    "test_smp": "experiments.run",
    "bench": "experiments.bench",
    "cross_validation_smp": "experiments.cross_validation",
    "nested_cross_validation_smp": "experiments.nested",
    "tune_smp": "experiments.tune",
    "optuna_sweep_smp": "experiments.sweep",
    "sweep_status": "experiments.status",
    "convert_config": "experiments.converting.convert",
    "train_pixel_baseline": "experiments.pixel_baseline",
    "list_runs": "artifacts.listing",
    "report": "reporting.report",
    "convert_lightning_checkpoint": "export.convert",
    "export_model": "export.export",
    "build_ensemble": "export.ensemble",
    "calibrate_threshold": "export.calibrate",
    "predict": "inference.predict",
    "triton_repository": "export.triton_repository",
    "predict_remote": "inference.predict_remote",
    "postprocess": "inference.postprocess",
    "evaluate": "inference.evaluate",
    "quickstart": "quickstart.recipe",
    "TrainData": "dataset.reader",
    "TrainDataModule": "training.loading.data_module",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Import a public function or class when it is first asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'darts_train' has no attribute {name!r}")
    return getattr(import_module(f"darts_train.{_PUBLIC[name]}"), name)
