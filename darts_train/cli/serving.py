"""Commands of models on inference servers."""

from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show
from darts_train.options.predicting import Maps, SceneFiles, Windows
from darts_train.options.serving import RemoteModel, ServedModel, TritonContainer


@command(app, "Maps")
def triton_repository(served: ServedModel, container: TritonContainer) -> None:
    """Put a model into a repository for Triton.

    Writes its configuration, keeps older versions, and prints the command that serves it.
    """
    from darts_train.export.triton_repository import triton_repository as run

    show(run(served=served, container=container))


@command(app, "Maps")
def predict_remote(remote: RemoteModel, scenes: SceneFiles, windows: Windows, maps: Maps) -> None:
    """Map scenes with a model on a server.

    As predict, with the network behind KServe v2: Triton, MLServer and others.
    """
    from darts_train.inference.predict_remote import predict_remote as run

    show(run(remote=remote, scenes=scenes, windows=windows, maps=maps))
