"""The application: all commands, none of their weight. Nothing heavy is imported before a command's body runs."""

from pathlib import Path

import typer

from darts_train import __version__
from darts_train.cli.help import HELP_WIDTH, GroupedCommands

app = typer.Typer(
    name="darts",
    cls=GroupedCommands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"max_content_width": HELP_WIDTH, "help_option_names": ["--help", "-h"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"darts {__version__}")
        raise typer.Exit


@app.callback()
def root(
    config_file: Path | None = typer.Option(
        None, metavar="PATH", help="TOML file whose darts table gives defaults to the command."
    ),
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Train segmentation models on images of the earth, and map with them.

    darts quickstart shows the whole way on bundled scenes; darts COMMAND --help
    shows what a command takes.
    """
