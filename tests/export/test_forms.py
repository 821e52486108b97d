"""Every form of a model file is the checkpoint's network, whatever generation it is of; and what the card says."""

import datetime
import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from darts_train.artifacts.run_record import RunRecord, write_record
from darts_train.base.errors import UserError
from darts_train.export import convert as convert_module
from darts_train.export.convert import convert_lightning_checkpoint
from darts_train.export.model_files.lineage import lineage_of
from darts_train.export.model_files.model_card import model_card
from darts_train.export.model_files.model_usage import usage
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.locate import locate_model
from darts_train.models.model_file import load_model_file, make_model_config, save_model_file
from darts_train.models.safetensors_file import write_safetensors
from darts_train.options.model_files import Convert
from darts_train.raster.catalogue import CATALOGUE

BANDS = ("red", "ndvi", "slope")
FORMS = ("ckpt", "safetensors", "hub")
FCN = {"arch": "FCN", "encoder_name": "dilated", "in_channels": 3, "classes": 1}
FACTORS = {"red": 1 / 3000, "ndvi": 1 / 20000, "slope": 1 / 90}
GENERATIONS = {
    "first": {"input_combination": list(BANDS), "norm_factors": FACTORS},
    "lists": {"bands": list(BANDS), "band_factors": [1 / 6000, 1 / 20000, 1 / 90], "band_offsets": [1 / 6, 0.0, 0.0]},
    "table": {"bands": {"bands": list(BANDS)}},
    "names": {"bands": list(BANDS)},
}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return create_network("FCN", "dilated", None, 3, 2).eval()


def config_of(fit=None):
    spec = InputSpecification.from_set([CATALOGUE[name] for name in BANDS], "v1", -1.0)
    return make_model_config("FCN", "dilated", None, spec, ("background", "slump"), 64, 255, 0.4, fit=fit)


def save(path, network, config, raw=True, **further):
    """As Lightning writes it (`raw`), or as the converters of the operational programs do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = network.state_dict()
    if raw:
        state = {f"model.{name}": tensor for name, tensor in state.items()}
        torch.save({"state_dict": state, "hyper_parameters": {"config": config, **further}}, path)
    else:
        torch.save({"config": config | further, "statedict": state}, path)
    return path


def convert(place, out, **further):
    settings = {"lightning_checkpoint": place, "out_directory": out, "checkpoint_name": "slumps", **further}
    return convert_lightning_checkpoint(Convert(**settings))


@pytest.mark.parametrize(
    ("generation", "raw", "form"), [(g, raw, FORMS[(i + raw) % 3]) for i, g in enumerate(GENERATIONS) for raw in (0, 1)]
)
def test_darts_checkpoints_of_all_generations(tmp_path, network, generation, raw, form):
    extras = {"run_id": "abc123", "datetime": datetime.datetime(2025, 1, 2, 3, 4, 5)}
    config = {"model_framework": "smp", "model": {**FCN, "encoder_weights": "imagenet"}, **GENERATIONS[generation]}
    source = save(tmp_path / "old.ckpt", network, config, raw, **extras)
    image = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        expected, spec = network(image), load_model_file(source).spec
        found = load_model_file(locate_model(convert(source, tmp_path / "out", file_format=form).path))
        assert torch.equal(found.network(image), expected)
        assert (found.spec, found.classes) == (spec, ("background", "positive"))
        if raw:
            assert found.config["provenance"]["run_id"] == "abc123"
            assert found.config["provenance"]["datetime"] == "2025-01-02T03:04:05"
        assert "encoder_weights" not in found.config["model"]
    assert not list((tmp_path / "out").glob(".*"))


def test_from_form_to_form(tmp_path, network):
    """The chain ends where it began, and still knows the checkpoint; what others added to the file stays."""
    calibration = {"temperature": 1.5, "threshold": 0.45, "fitted_on": ["a", "b"]}
    source = save(tmp_path / "best.ckpt", network, config_of() | {"calibration": calibration})
    place, seen = source, []
    for form in ("hub", "safetensors", "ckpt"):
        place = convert(place, tmp_path / form, file_format=form).path
        seen.append(load_model_file(place))
    assert all(found.config == seen[0].config for found in seen)
    assert seen[0].config["calibration"] == calibration
    assert seen[0].config["provenance"]["checkpoint"] == "best.ckpt"
    ours, theirs = network.state_dict(), seen[-1].network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    raw = torch.load(place, weights_only=True)["config"]
    assert raw["norm_factors"] == pytest.approx(FACTORS)
    assert {"bands", "input_combination", "ranges", "normalisation", "nodata_fill", "fit", "patch_size", "classes",
            "threshold", "time", "name", "model_framework", "provenance"} <= raw.keys()  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_what_is_there_stays_unless_it_is_to_go(tmp_path, network, form, monkeypatch):
    source = save(tmp_path / "best.ckpt", network, config_of())
    path = convert(source, tmp_path / "out", file_format=form).path
    before = {file.name: file.read_bytes() for file in sorted((tmp_path / "out").rglob("*")) if file.is_file()}
    with pytest.raises(UserError, match="--overwrite"):
        convert(source, tmp_path / "out", file_format=form)
    with monkeypatch.context() as patch:
        patch.setattr(convert_module, "_compare", lambda *_: (_ for _ in ()).throw(RuntimeError("another network")))
        with pytest.raises(RuntimeError, match="another network"):
            convert(source, tmp_path / "out", file_format=form, overwrite=True)
    after = {file.name: file.read_bytes() for file in sorted((tmp_path / "out").rglob("*")) if file.is_file()}
    assert before == after
    save(source, network, config_of() | {"threshold": 0.6})
    assert load_model_file(convert(source, tmp_path / "out", file_format=form, overwrite=True).path).threshold == 0.6
    assert len(list((tmp_path / "out").iterdir())) == (2 if form == "safetensors" else 1)
    assert path.exists()


@pytest.fixture
def run(tmp_path, network):
    """A run that was trained and tested: regions a and b for training, c held out."""
    directory = tmp_path / "artifacts" / "_runs" / "first-abcdefgh"
    save(directory / "checkpoints" / "best.ckpt", network, config_of())
    write_record(directory, RunRecord(
        run_name="first", run_id="abcdefgh", status="finished", fingerprint="f" * 32, fold=1, seed=42,
        started="2026-01-01T00:00:00+00:00", data_hash="d" * 32, split_hash="e" * 32, versions={"torch": "2.15"},
        settings={"data": {"train_data_dir": "/home/somebody/slumps-2026"},
                  "split": {"data_split_method": "region", "data_split_by": ["c"], "fold_method": "kfold",
                            "total_folds": 5}},
        best_metrics={"val/JaccardIndex": 0.77},
    ))  # fmt: skip
    regions = ["a"] * 4 + ["b"] * 3 + ["c"] * 2
    train, val, test = ([i in rows for i in range(9)] for rows in ((0, 1, 2, 4, 5), (3, 6), (7, 8)))
    table = {"sample_id": regions, "region": regions, "empty": [False] * 9, "train": train, "val": val, "test": test}
    pd.DataFrame(table).to_parquet(directory / "split.parquet")
    return directory


def write_test(directory, patches=2, **changes):
    scores = {"JaccardIndex": 0.6, "F1Score": 0.75, "Precision": 0.8, "Recall": None}
    report = {
        "checkpoint": f"/elsewhere/{directory.name}/checkpoints/best.ckpt", "data_hash": "d" * 32, "patches": patches,
        "metrics": {f"test/{name}": value for name, value in scores.items()},
        "interval": {"low": 0.5, "high": 0.7, "level": 0.95, "scenes": 12, "resamples": 1000},
        "per_region": {"c": {"patches": patches, **scores}}, **changes,
    }  # fmt: skip
    (directory / "test_metrics.json").write_text(json.dumps(report))


def test_the_card(tmp_path, run):
    write_test(run)
    folder = convert(run, tmp_path / "out", file_format="hub", license="cc-by-4.0").path
    text = (folder / "README.md").read_text()
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["license"] == "cc-by-4.0"
    assert header["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.6
    for words in (
        "`slumps-2026`, hash `dddd", "9 patches of 3 regions: a, b, c",  # data
        "| `red` | reflectance | 0 | 0.3 |", "| `slope` | degrees | 0 | 90 |", "no data becomes -1",  # bands
        "by region (c); fold 1 of 5, folds by kfold", "held out for the test: c", "| a | 3 | 1 | 0 |",  # split
        "On 2 patches of the test part, which neither trained nor chose", "95% over 12 scenes.",
        "| IoU | 0.6000 | 0.5000 to 0.7000 |", "| F1 | 0.7500 | 0.6667 to 0.8235 |",
        "| precision | 0.8000 | none |", "| c | 2 | 0.6000 |",  # metrics
        f"darts predict --model {folder.name}", "run id: `abcdefgh`", "torch 2.15", "cc-by-4.0.",
    ):  # fmt: skip
        assert words in text, words
    assert "recall |" not in text.split("| region | patches")[0]  # it has no value
    assert "somebody" not in text
    assert str(tmp_path) not in text + (folder / "config.json").read_text()


def test_the_card_says_what_is_not_known(tmp_path, run):
    card = model_card(config_of() | META, lineage_of(run / "checkpoints" / "best.ckpt"), "unknown", "m")
    assert "was not tested" in card
    assert "without intervals" in card
    assert "| IoU | 0.7700 | none |" in card
    assert "model-index" not in card
    assert "Unknown: nobody said" in card
    nowhere = model_card(config_of() | META, lineage_of(tmp_path / "alone.ckpt"), "mit", "m")
    assert "nobody knows how good this model is" in nowhere
    assert nowhere.count("Unknown: the checkpoint does not lie in a run.") == 2


META = {"name": "m", "time": "2026-01-01", "darts_train_version": "0", "provenance": {}}


def test_scores_of_other_patches_are_not_passed_off_as_a_test(run):
    def metrics():
        return model_card(config_of() | META, lineage_of(run / "checkpoints" / "best.ckpt"), "mit", "m")

    write_test(run, patches=9)
    assert "not the test part (2): the network may have learned from some of them" in metrics()
    write_test(run, data_hash="0" * 32)
    assert "of another set (hash `000" in metrics()
    write_test(run, checkpoint="/elsewhere/checkpoints/last.ckpt")
    assert "was not tested" in metrics()
    write_test(run, interval={"low": 0.5, "high": 0.7, "level": 0.95, "scenes": 3, "resamples": 9})
    assert "over 3 scenes, too narrow with so few." in metrics()
    write_test(run, interval=None)
    assert "too few scenes" in metrics()


def test_damaged_records_are_no_reason_to_fail(run, caplog):
    for name in ("test_metrics.json", "split.parquet"):
        (run / name).write_text("{")
    found = lineage_of(run / "checkpoints" / "best.ckpt")
    assert (found.split, found.test) == (None, {})
    assert "cannot be read" in caplog.text
    (run / "test_metrics.json").write_text('{"metrics": [1]}')
    assert lineage_of(run / "checkpoints" / "best.ckpt").test == {}
    (run / "run.json").write_text("{")
    assert lineage_of(run / "checkpoints" / "best.ckpt").record is None
    model_card(config_of() | META, found, "mit", "m")


def test_what_the_card_shows_in_python_is_the_model(tmp_path, monkeypatch):
    """The lines without darts-train, run as they stand, give what the model gives."""
    spec = InputSpecification.from_set([CATALOGUE["red"], CATALOGUE["slope"]], None, -1.0)
    config = make_model_config("Linknet", "tu-lcnet_035", None, spec, ("background", "slump"), 64, 255)
    network = create_network("Linknet", "tu-lcnet_035", None, 2, 2).eval()
    del config["model"]["encoder_weights"]  # as the converter does
    write_safetensors(tmp_path / "m" / "model.safetensors", config, network.state_dict())
    codes = np.random.default_rng(0).integers(0, 6000, (1, 2, 32, 64)).astype(np.uint16)
    values = torch.from_numpy(codes * np.array([[1e-4], [0.01]])[:, :, None] + np.array([[-0.1], [0]])[:, :, None])
    codes[0, :, 5, 5], values[0, :, 5, 5] = 65535, torch.nan
    with torch.no_grad():
        expected = network(torch.from_numpy(spec.normalise(codes))).sigmoid()
    blocks = re.findall(r"```python\n(.*?)```", "\n".join(usage(config, "m")), re.S)
    assert len(blocks) == 2
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(blocks[1], names)
    assert torch.allclose(names["probabilities"](values.float()), expected, atol=1e-5)
    exec(blocks[0], names)
    assert names["model"].threshold == 0.5
    assert len(re.findall("```python", "\n".join(usage(config_of(), "m")))) == 1  # FCN is ours alone


@pytest.mark.parametrize("form", ["safetensors", "hub"])
def test_a_place_of_another_kind(tmp_path, network, form):
    source = save(tmp_path / "best.ckpt", network, config_of())
    path = convert(source, tmp_path, file_format=form).path
    path.rename(tmp_path / "aside")
    path.mkdir() if form == "safetensors" else path.write_text("mine")
    with pytest.raises(UserError, match="remove it"):
        convert(source, tmp_path, file_format=form, overwrite=True)
    assert path.exists()


def test_a_model_without_a_run_of_its_own(tmp_path, network):
    save_model_file(tmp_path / "m.ckpt", config_of() | {"provenance": "lies", "name": 3}, network.state_dict())
    folder = convert(tmp_path / "m.ckpt", tmp_path, file_format="hub").path
    assert load_model_file(folder).config["provenance"]["checkpoint"] == "m.ckpt"
