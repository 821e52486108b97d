"""Scenes to maps with a network on a server: the command predict-remote."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.base.hashes import hash_json
from darts_train.inference.backends.kserve import KserveBackend, RemoteSession
from darts_train.inference.kserve.agreement import agree
from darts_train.inference.kserve.connect import connect
from darts_train.inference.kserve.patience import Patience, wait_ready
from darts_train.inference.models import MapModel, check_units
from darts_train.inference.predict import PredictSummary, plan
from darts_train.inference.preparation import prepare
from darts_train.inference.scene_maps import map_scenes
from darts_train.models.facts import ModelFacts, facts_of, read_facts
from darts_train.models.locate import locate_model
from darts_train.options.predicting import Maps, SceneFiles, Windows
from darts_train.options.serving import RemoteModel

PARAMETER = "darts.facts"  # of Triton's configuration of a model: `darts.facts.{version}`


def predict_remote(remote: RemoteModel, scenes: SceneFiles, windows: Windows, maps: Maps) -> PredictSummary:
    """Map scenes with a model on a server; everything but the network is as in `predict`.

    Raises:
        UserError: before any work where the server or the model is not there, is another than its facts say, or as
            `predict`; later where the server does not answer, or answers nonsense. Maps of scenes that were finished
            stay; of the others nothing that can be seen does, and the next call goes on where this one ended.
    """
    require_writable(maps.out_dir, "--out-dir")
    with open_remote(remote, windows.window_size) as (model, size):
        mapper, opened = prepare(model, size, scenes, windows, maps)
        if remote.dry_run:
            return plan(mapper, opened, maps)
        return PredictSummary(tuple(map_scenes(mapper, opened, maps)), maps.out_dir)


@contextmanager
def open_remote(remote: RemoteModel, window_size: int | None) -> Iterator[tuple[MapModel, int]]:
    """A model on a server, and the side of its windows, for as long as the block lasts. Raises UserError."""
    told = None if remote.model is None else _facts_of_file(remote.model)
    client = connect(remote)
    version = str(remote.model_version or "")
    patience = Patience(remote.retries)
    wait_ready(client, remote.model_name, version, remote.wait_seconds, remote.timeout)
    client.settle()
    metadata = patience.ask(lambda: client.metadata(remote.model_name, version))
    config = client.config(remote.model_name, version)
    facts = told or _facts_of_server(remote, config)
    check_units(remote.model_name, facts.spec)
    found = agree(client.url, remote.model_name, metadata, config, facts)
    _check_numbers(remote.model_name, facts, found.datatype, getattr(client, "binary", True))
    size = _size(facts, found.side, window_size, remote.model_name)
    session = RemoteSession(client, remote.model_name, version, facts.channels, found, patience, remote.concurrent)
    served = hash_json([facts.plain, client.url, remote.model_name, version, metadata.get("versions")])
    told_of = (facts.spec, facts.classes, facts.threshold, facts.patch_size, facts.source)
    step = facts.fit.stride(facts.grid(facts.fit.side(size)))
    try:
        backend = KserveBackend(session, facts, served)
        yield MapModel(Path(remote.model_name), backend, *told_of, step), size
    finally:
        session.close()


def _check_numbers(name: str, facts: ModelFacts, datatype: str, binary: bool) -> None:
    """Raise UserError where what the network takes cannot be sent as it is."""
    if facts.graph_input == "codes" and datatype == "FP16":
        raise UserError(f"--model-name: {name} takes codes as FP16, which cannot hold them (65535); declare FP32.")
    if facts.graph_input != "normalised" and not binary:
        raise UserError(
            f"{name} takes {facts.graph_input}, NaN where no data, which JSON has not; give --protocol grpc."
        )


def _facts_of_file(place: Path) -> ModelFacts:
    path = place if place.suffix == ".json" else locate_model(place, "--model")
    plain = read_facts(path, "--model")
    if plain is None:
        raise UserError(f"--model: {path} does not say which bands and classes its model has.")
    return facts_of(plain, path)


def _facts_of_server(remote: RemoteModel, config: dict[str, Any] | None) -> ModelFacts:
    """What `triton-repository` wrote into the configuration, of the version asked for, else of the newest."""
    found = (config or {}).get("parameters")
    parameters = found if isinstance(found, dict) else {}
    told = {name.rpartition(".")[2]: value for name, value in parameters.items() if name.startswith(f"{PARAMETER}.")}
    numbers = [number for number in told if number.isdecimal()]
    if not numbers:
        raise UserError(
            f"{remote.url} does not say which bands and classes {remote.model_name} has; give --model "
            "(its model file, ONNX file or JSON)."
        )
    version = str(remote.model_version or max(numbers, key=int))
    try:
        plain = json.loads(told[version]["string_value"])
    except (KeyError, TypeError, ValueError, RecursionError):
        raise UserError(f"{remote.url} says nothing of version {version} that can be read; give --model.") from None
    return facts_of(plain, f"{remote.model_name} on {remote.url}")


def _size(facts: ModelFacts, fixed: int | None, wanted: int | None, name: str) -> int:
    """Side of the windows. Raises UserError where their image is no size that the network or the server takes."""
    size = wanted or facts.patch_size
    side = facts.fit.side(size)
    if fixed is not None and side != fixed:
        raise UserError(f"--window-size: {size} does not fit {name}; the server takes images of {fixed} pixels only.")
    if side % facts.stride or (side != facts.fit.side(facts.patch_size) and not facts.free_sizes):
        allowed = f"multiples of {facts.stride}" if facts.free_sizes else f"{facts.patch_size} only"
        raise UserError(f"--window-size: {size} does not fit {name}; it takes {allowed}.")
    return size
