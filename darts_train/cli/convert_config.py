"""The command that takes a configuration over from another tool."""

from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show
from darts_train.options.converting import ConvertConfig


@command(app, "Start")
def convert_config(convert_config: ConvertConfig) -> None:
    """Take a configuration over from another tool.

    LightningCLI YAML of hakai-ml-train (old and new keys), the Hydra tree of flood-area-segmentation and the YAML of
    kelp-wanted-competition become TOML. What has no counterpart is listed, here and in the file.
    """
    from darts_train.experiments.converting.convert import convert_config as run

    show(run(convert_config=convert_config))
