"""Commands to begin with: quickstart, init-config, env-info."""

from darts_train.base.errors import UserError
from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show, show_json
from darts_train.options.tools import InitConfig, Listing, Quickstart


@command(app, "Start")
def quickstart(quickstart: Quickstart) -> None:
    """Run the whole way on bundled scenes.

    Three real scenes of three sensors become train data, a small sweep, a trained model and a map of a scene
    that no training saw, with a report of all of it. Minutes on a laptop without a GPU; a second call goes on.
    """
    from darts_train.quickstart.recipe import quickstart as run

    show(run(quickstart))


@command(app, "Start")
def init_config(init_config: InitConfig) -> None:
    """Write a commented configuration file.

    Every option of the commands that belong to the preset, with its default and what it means.
    """
    from darts_train.base.files import write_text
    from darts_train.cli.init_config import config_text

    if init_config.out.exists() and not init_config.overwrite:
        raise UserError(f"--out: {init_config.out} exists; choose another file or give --overwrite.")
    try:
        write_text(init_config.out, config_text(init_config.preset))
    except OSError as error:
        raise UserError(f"--out: {init_config.out} cannot be written: {error.strerror}.") from None
    print(f"Wrote {init_config.out}. Fill in the paths; darts reads it from the working directory.")


@command(app, "Start")
def env_info(listing: Listing) -> None:
    """Show versions and devices."""
    from darts_train.cli.env_info import collect, lines

    info = collect()
    if listing.json:
        show_json(info)
    else:
        print("\n".join(lines(info)))
