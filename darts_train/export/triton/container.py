"""The container that serves a repository: its command, as a list of words, and running it."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from darts_train.base.errors import UserError
from darts_train.options.serving import TritonContainer

IMAGE = "nvcr.io/nvidia/tritonserver"
INSIDE = "/models"
NAME = re.compile(r"[a-zA-Z0-9][\w.-]*", re.ASCII)  # of tags and containers
ASK_SECONDS = 20


def docker_command(repository: Path, gpus: bool, wanted: TritonContainer) -> list[str]:
    """The words of `docker run …`; the repository is seen by the container, and not changed.

    Raises UserError where a name, a tag or the path cannot stand in it.
    """
    for option, text in (("--docker-version", wanted.docker_version), ("--container-name", wanted.container_name)):
        if not NAME.fullmatch(text):
            raise UserError(f"{option}: {text!r} is no such name; letters, digits, '_', '.' and '-' are.")
    if wanted.http_port == wanted.grpc_port:
        raise UserError(f"--http-port and --grpc-port are both {wanted.http_port}; each needs its own.")
    place = os.path.abspath(repository)
    if any(character in place for character in ',"\n'):
        raise UserError(
            f"--out: {repository} cannot be given to docker: its path holds a comma, a quote or a new line."
        )
    return [
        "docker",
        "run",
        "--rm",
        "--name",
        wanted.container_name,
        *(["--gpus", "all"] if gpus else []),
        "--publish",
        f"{wanted.http_port}:8000",
        "--publish",
        f"{wanted.grpc_port}:8001",
        "--mount",
        f"type=bind,source={place},target={INSIDE},readonly",
        f"{IMAGE}:{wanted.docker_version}",
        "tritonserver",
        f"--model-repository={INSIDE}",
    ]


def require_docker() -> None:
    """Raise UserError where docker is not there, or its service does not answer."""
    if shutil.which("docker") is None:
        raise UserError("--run: docker is not installed here; the command that is printed without it runs elsewhere.")
    try:
        asked = subprocess.run(["docker", "version"], capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"--run: docker does not answer ({type(error).__name__}).") from None
    if asked.returncode:
        said = (asked.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"--run: docker's service does not answer: {said[:200]}")


def run_container(command: list[str], call: Callable[[list[str]], int] = subprocess.call) -> None:
    """Run the container until it ends; what it says goes to the terminal. Raises UserError where it fails."""
    code = call(command)
    if code:
        raise UserError(f"--run: docker ended with {code}; what it said stands above.")
