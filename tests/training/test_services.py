"""MLflow and TensorBoard: what they are told (by stand-ins; neither need be installed), and their failures."""

import logging
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from darts_train.base.errors import UserError
from darts_train.options.learning import Tracking
from darts_train.training.tracking.check import check_tracking
from darts_train.training.tracking.services import MlflowTracker, SendCheckpoints, ServiceTracker, TensorboardTracker
from darts_train.training.tracking.trackers import WandbTracker, make_services

RUN = {"run_name": "misty-heron", "run_id": "abcd1234", "cv_name": "cv", "tune_name": "none"}
BOTH = {"wandb_project": "project", "wandb_entity": "team"}


class Calls:
    """Remembers every call of every method, and answers with what it was told to."""

    def __init__(self, **answers):
        self.calls, self.answers = [], answers

    def __getattr__(self, name):
        def call(*args, **kwargs):
            self.calls.append((name, args, kwargs))
            return self.answers.get(name)

        return call

    def named(self, name):
        return [(args, kwargs) for called, args, kwargs in self.calls if called == name]


def module(name, **content):
    made = ModuleType(name)
    made.__dict__.update(content)
    return made


def mlflow_server(monkeypatch, earlier=()):
    made = SimpleNamespace(info=SimpleNamespace(run_id="server-id"))
    client = Calls(create_experiment="7", search_runs=list(earlier), create_run=made)
    asked = []

    def make(tracking_uri):
        asked.append(tracking_uri)
        return client

    entities = module("mlflow.entities", Metric=lambda *fields: fields)
    monkeypatch.setitem(sys.modules, "mlflow", module("mlflow", MlflowClient=make, entities=entities))
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    return client, asked


def picture(path):
    Image.fromarray(np.full((4, 5, 3), 7, np.uint8)).save(path)
    return path


def test_mlflow_is_told_of_a_run(tmp_path, monkeypatch):
    client, asked = mlflow_server(monkeypatch)
    tracker = MlflowTracker(Tracking(mlflow_uri="http://here", mlflow_experiment="kelp"), RUN, ("set",))
    assert asked == []
    tracker.log_hyperparams({"learning_rate": 0.1, "config": {"bands": ["red"]}})
    tracker.log_metrics({"val/JaccardIndex": 0.5, "val/Recall_ice(new)": 1.0, "val/AUROC": float("nan")}, 3)
    tracker.log_image("val0-samples/sample_1", picture(tmp_path / "a.png"))
    tracker.log_files([tmp_path / "best.ckpt"], ["best"])
    tracker.finalize("success")
    assert asked == ["http://here"]
    assert client.named("create_experiment") == [(("kelp",), {})]
    ((_, made),) = client.named("create_run")
    assert made["run_name"] == "misty-heron"
    assert made["tags"] == {f"darts.{key}": value for key, value in RUN.items()} | {"darts.tags": "set"}
    assert [args for args, _ in client.named("log_param")] == [
        ("server-id", "learning_rate", "0.1"), ("server-id", "config", '{"bands": ["red"]}'),
    ]  # fmt: skip
    ((_, batch),) = client.named("log_batch")
    rows = [(name, value, step) for name, value, _, step in batch["metrics"]]
    assert rows == [("val/JaccardIndex", 0.5, 3), ("val/Recall_ice_new_", 1.0, 3)]
    files = [args for args, _ in client.named("log_artifact")]
    assert files == [
        ("server-id", str(tmp_path / "a.png"), "figures/val0-samples"),
        ("server-id", str(tmp_path / "best.ckpt"), "checkpoints"),
    ]
    assert client.calls[-1] == ("set_terminated", ("server-id", "FINISHED"), {})


def test_mlflow_goes_on_with_an_earlier_run(monkeypatch):
    earlier = SimpleNamespace(info=SimpleNamespace(run_id="old"))
    client, _ = mlflow_server(monkeypatch, [earlier])
    tracker = MlflowTracker(Tracking(mlflow_uri="x"), RUN, ())
    tracker.log_hyperparams({"learning_rate": 0.1})
    tracker.log_metrics({"a": 1.0}, 5)
    tracker.finalize("failed")
    assert client.named("create_run") == client.named("log_param") == []
    assert client.named("update_run") == [(("old",), {"status": "RUNNING"})]
    assert client.calls[-1] == ("set_terminated", ("old", "FAILED"), {})


def test_tensorboard_writes_below_the_run(tmp_path, monkeypatch):
    writer, places = Calls(), []
    fake = module("torch.utils.tensorboard", SummaryWriter=lambda place: places.append(place) or writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    tracker = TensorboardTracker(tmp_path, RUN)
    tracker.log_hyperparams({"learning_rate": 0.1})
    tracker.log_metrics({"val/loss": 0.25, "val/AUROC": float("inf")}, 8)
    tracker.log_image("samples", picture(tmp_path / "a.png"))
    tracker.finalize("success")
    assert places == [str(tmp_path / "tensorboard")]
    assert writer.named("add_scalar") == [(("val/loss", 0.25, 8), {})]
    (((key, pixels, step), options),) = writer.named("add_image")
    assert (key, pixels.shape, step, options) == ("samples", (4, 5, 3), 8, {"dataformats": "HWC"})
    assert "learning_rate" in writer.named("add_text")[0][0][1]
    assert writer.calls[-1][0] == "close"


def test_a_service_that_fails_is_said_once_and_the_run_goes_on(tmp_path, monkeypatch, caplog):
    client, asked = mlflow_server(monkeypatch)
    monkeypatch.setattr(client, "get_experiment_by_name", lambda name: 1 / 0, raising=False)
    tracker = MlflowTracker(Tracking(mlflow_uri="x"), RUN, ())
    with caplog.at_level(logging.WARNING, logger="darts"):
        tracker.log_metrics({"a": 1.0}, 0)
        tracker.log_metrics({"a": 1.0}, 1)
        tracker.log_files([tmp_path], ["best"])
        tracker.finalize("success")
    (record,) = caplog.records
    assert "mlflow failed" in record.getMessage()
    assert len(asked) == 1


@pytest.mark.parametrize(("name", "given"), [("mlflow", {"mlflow_uri": "x"}), ("tensorboard", {"tensorboard": True})])
def test_a_package_that_is_missing_is_named_before_anything_begins(name, given, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"--{name}.*darts-train\[{name}\]"):
        check_tracking(Tracking(**given))
    monkeypatch.setitem(sys.modules, name, module(name))
    check_tracking(Tracking(**given))
    check_tracking(Tracking())


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("http://:5000", "names no host"),
        ("https:///mlruns", "names no host"),
        ("http://here:five", "not an address"),
        ("htp://me:secret@here:5000", "begin with htp:; nearest: http"),
        ("{file}/runs", "is not a directory"),
        ("file://{file}", "is not a directory"),
        ("http://here:5000", None),
        ("https://me:secret@here/path", None),
        ("sqlite:///{file}.db", None),
        ("postgresql+psycopg2://here/runs", None),
        ("databricks", None),
        ("{new}", None),
        ("file://{new}", None),
    ],
)
def test_addresses_that_can_be_none_are_refused(uri, said, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", module("mlflow"))
    (tmp_path / "file").write_text("")
    tracking = Tracking(mlflow_uri=uri.format(file=tmp_path / "file", new=tmp_path / "new"))
    if said is None:
        check_tracking(tracking)
        return
    with pytest.raises(UserError, match=said) as error:
        check_tracking(tracking)
    assert str(error.value).startswith("--mlflow-uri")
    assert "secret" not in str(error.value)


def test_only_what_was_asked_for_is_made(tmp_path):
    assert make_services(tmp_path, Tracking(), RUN, ()) == []
    all_ = make_services(tmp_path, Tracking(**BOTH, mlflow_uri="x", tensorboard=True), RUN, ())
    assert [tracker.service for tracker in all_] == ["wandb", "mlflow", "tensorboard"]


def test_names_groups_and_tags_of_wandb_are_the_users(tmp_path):
    own = Tracking(**BOTH, wandb_name="mine", wandb_group="paper", wandb_tags=("v2", "set"))
    options = WandbTracker(tmp_path, own, RUN, ("set", "cv"))._options
    assert (options["name"], options["group"], options["job_type"]) == ("mine-misty-heron", "paper", "cv")
    assert options["tags"] == ["set", "cv", "v2"]
    assert WandbTracker(tmp_path, own, RUN | {"cv_name": "none"}, ())._options["name"] == "mine"


@pytest.mark.parametrize(
    ("which", "sent"), [("none", []), ("best", ["best.ckpt"]), ("all", ["best.ckpt", "epoch=1.ckpt", "last.ckpt"])]
)
def test_checkpoints_are_sent_as_asked(tmp_path, which, sent):
    for name in ("best.ckpt", "last.ckpt", "epoch=1.ckpt", ".last.ckpt.tmp"):
        (tmp_path / name).write_bytes(b"x")
    found = []

    class Service(ServiceTracker):
        def log_files(self, paths, aliases):
            found.extend(path.name for path in paths)

        log_hyperparams = log_metrics = _begin = None

    SendCheckpoints([Service(RUN)], tmp_path, which).on_fit_end(None, None)
    assert found == sent


def test_wandb_gets_checkpoints_as_a_model(tmp_path, monkeypatch):
    artifact, run = Calls(), Calls()
    made = []
    fake = module("wandb", Artifact=lambda *a, **k: made.append((a, k)) or artifact, init=lambda **_: run)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    tracker = WandbTracker(tmp_path, Tracking(**BOTH), RUN, ())
    tracker.log_files([tmp_path / "best.ckpt"], ["best"])
    assert made == [(("model-abcd1234",), {"type": "model"})]
    assert artifact.named("add_file") == [((str(tmp_path / "best.ckpt"),), {"name": "best.ckpt"})]
    assert run.named("log_artifact") == [((artifact,), {"aliases": ["best", "latest"]})]
