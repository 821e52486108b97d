"""A model repository for NVIDIA Triton: the command triton-repository.

{out}/{name}/config.pbtxt
{out}/{name}/{version}/model.onnx (model.plan, model.pt)   and   darts.json, what is said of the model

Versions are added beside older ones and never changed; the server takes the newest. A version appears whole: it is
made under a name that is no number, which Triton passes over.
"""

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_train.base.disk_room import told_when_full
from darts_train.base.errors import UserError
from darts_train.base.files import fsync_directory, remove_tree, require_file, require_writable, write_json, write_text
from darts_train.base.hashes import hash_file
from darts_train.base.log import logger
from darts_train.export.triton.config import Configuration
from darts_train.export.triton.container import docker_command, require_docker, run_container
from darts_train.export.triton.tensors import PLATFORMS, Served, engine_ends, onnx_tensors, told_tensors, with_side
from darts_train.models.facts import ModelFacts, facts_of, read_facts
from darts_train.options.serving import ServedModel, TritonContainer

CONFIG, FACTS = "config.pbtxt", "darts.json"
NAME = re.compile(r"[A-Za-z0-9][\w.-]{,199}", re.ASCII)  # as long as a name of a file can be, with room for suffixes
_log = logger("export")


@dataclass(frozen=True)
class TritonRepository:
    """What was written, and the words of the command that serves it."""

    directory: Path
    version: int
    versions: tuple[int, ...]
    config: Path
    command: tuple[str, ...]

    def summary(self) -> str:
        """A few lines for the terminal."""
        others = [str(version) for version in self.versions if version != self.version]
        beside = f" beside {', '.join(others)}" if others else ""
        return f"{self.directory}: version {self.version}{beside}, {self.config.name}\n{shlex.join(self.command)}"


def triton_repository(served: ServedModel, container: TritonContainer) -> TritonRepository:
    """Put a model into a repository, and start its server where `--run` says so.

    Raises:
        UserError: before any work where the file cannot be served, nothing says what it takes, the version is there
            with other content, or docker is wanted and not there; at the end where the container fails.
    """
    command = docker_command(served.out, served.use_gpus, container)
    if container.run:
        require_docker()
    require_writable(served.out, "--out")
    platform, backend, filename = _platform(served)
    place = served.out / served.name
    _require_place(place)
    facts = _facts(served)
    tensors = _tensors(served, facts)
    versions = _versions(place)
    version = _version(served, versions, place, filename)
    said = _said(place, versions) | ({version: facts.plain} if facts else {})
    batch = _batch(served, facts)
    text = Configuration(
        name=served.name,
        platform=platform,
        backend=backend,
        filename=filename,
        served=tensors,
        max_batch=batch,
        instances=served.instances,
        threads=served.instance_threads,
        gpus=served.use_gpus,
        facts=said,
    ).text()
    with told_when_full(place):
        _add_version(place, version, served.model, filename, facts)
        write_text(place / CONFIG, text)
    result = TritonRepository(place, version, tuple(sorted({*versions, version})), place / CONFIG, tuple(command))
    if container.run:
        _log.info("%s", result.summary())
        run_container(command)
    return result


def _require_place(place: Path) -> None:
    if place.exists() and not place.is_dir():
        raise UserError(f"--out: {place} is a file, where the model's directory would be; move it, or change --name.")
    if (place / CONFIG).is_dir():
        raise UserError(f"--out: {place / CONFIG} is a directory, where a file would be; move it, or change --name.")


def _platform(served: ServedModel) -> tuple[Any, str, str]:
    """Platform, backend and file name for the model's suffix. Raises UserError where it is none of Triton's."""
    if not NAME.fullmatch(served.name):
        raise UserError(f"--name: {served.name!r} is no such name; up to 200 letters, digits, '_', '.', '-' are.")
    suffix = require_file(served.model, "--model").suffix.lower()
    if suffix not in PLATFORMS:
        raise UserError(f"--model: {served.model} is none of {', '.join(PLATFORMS)}; darts export-model makes one.")
    return PLATFORMS[suffix]


def _facts(served: ServedModel) -> ModelFacts | None:
    """What is said of the model; None of a stranger's ONNX file, whose graph says enough for a server."""
    source = served.facts or served.model
    plain = read_facts(source, "--facts" if served.facts else "--model")
    needed = served.facts is not None or served.model.suffix.lower() != ".onnx"
    if plain is None or (not needed and "bands" not in plain):
        if needed:
            raise UserError(f"--model: nothing says what {source} takes; give --facts (its model file, ONNX or JSON).")
        _log.warning("%s does not say its bands and classes; predict-remote will want --model.", source)
        return None
    return facts_of(plain, source)


def _tensors(served: ServedModel, facts: ModelFacts | None) -> Served:
    if served.model.suffix.lower() == ".onnx":
        found = onnx_tensors(served.model)
        if facts is not None:
            _check_channels(served, found, facts)
        return with_side(found, served.serve_size)
    assert facts is not None  # _facts has seen to it
    return told_tensors(PLATFORMS[served.model.suffix.lower()][0], facts, served.serve_size)


def _batch(served: ServedModel, facts: ModelFacts | None) -> int:
    """Windows at once: as told, but no more than an engine was built for."""
    most = engine_ends(facts)[1][:1] if facts else ()
    if most and most[0] < served.max_batch:
        _log.info("--max-batch: the engine was built for batches of %d; that is the limit.", most[0])
        return most[0]
    return served.max_batch


def _check_channels(served: ServedModel, found: Served, facts: ModelFacts) -> None:
    """Raise UserError where the facts are those of another model than the graph."""
    shapes = [one[0].shape if len(one) == 1 else () for one in (found.inputs, found.outputs)]
    wanted = (len(facts.spec.bands), facts.channels)
    if any(len(shape) != 4 or shape[1] not in (-1, count) for shape, count in zip(shapes, wanted, strict=True)):
        raise UserError(
            f"{served.facts or served.model} speaks of {wanted[0]} bands and {len(facts.classes)} classes; the graph "
            f"of {served.model} has {[list(shape) for shape in shapes]}."
        )


def _versions(place: Path) -> list[int]:
    """Numbers of the versions that are there."""
    if not place.is_dir():
        return []
    return sorted(int(path.name) for path in place.iterdir() if path.name.isdecimal() and path.is_dir())


def _version(served: ServedModel, versions: list[int], place: Path, filename: str) -> int:
    """The version to write: the newest itself, where it is this file already. Raises UserError where it cannot be."""
    newest = versions[-1] if versions else 0
    same = bool(newest) and _is_copy(place / str(newest) / filename, served.model)
    wanted = served.version or (newest if same else newest + 1)
    if wanted < newest:
        raise UserError(f"--version: {wanted} is below {newest}, the newest, which is what the server takes.")
    if wanted == newest and not same:
        raise UserError(f"--version: {place / str(wanted)} is there already, with another model; leave --version out.")
    return wanted


def _is_copy(there: Path, model: Path) -> bool:
    if not there.is_file() or there.stat().st_size != model.stat().st_size:
        return False
    return hash_file(there) == hash_file(model)


def _said(place: Path, versions: list[int]) -> dict[int, Mapping[str, Any]]:
    """What is said of the versions that are there; nothing of those that somebody else put there."""
    found: dict[int, Mapping[str, Any]] = {}
    for version in versions:
        path = place / str(version) / FACTS
        if path.is_file():
            found[version] = read_facts(path, "--out") or {}
    return found


def _add_version(place: Path, version: int, model: Path, filename: str, facts: ModelFacts | None) -> None:
    """Copy the model and its facts to a new version, which appears whole; one that is there is left as it is."""
    target = place / str(version)
    if target.exists():
        return
    temporary = place / f".{version}.{os.getpid()}.tmp"
    try:
        temporary.mkdir(parents=True)
        shutil.copyfile(model, temporary / filename)
        with (temporary / filename).open("rb") as file:
            os.fsync(file.fileno())
        if facts is not None:
            write_json(temporary / FACTS, facts.plain)
        os.rename(temporary, target)
        fsync_directory(place)
    except BaseException:
        remove_tree(temporary)
        raise
