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

    raster, planet and sweep: every option of their commands, with its default and what it means. The others are
    whole configurations of known data; --list-presets says which.
    """
    from darts_train.base.files import write_text
    from darts_train.cli.init_config import files_to_write, preset_list

    if init_config.list_presets:
        print(preset_list())
        return
    files = files_to_write(init_config.preset, init_config.out)
    for path in files:
        if path.exists() and not init_config.overwrite:
            raise UserError(f"--out: {path} exists; choose another file or give --overwrite.")
    try:
        for path in reversed(list(files)):
            write_text(path, files[path])
    except OSError as error:
        raise UserError(f"--out: {init_config.out} cannot be written: {error.strerror}.") from None
    print(f"Wrote {' and '.join(map(str, files))}. Fill in the paths; darts reads it from the working directory.")


@command(app, "Start")
def env_info(listing: Listing) -> None:
    """Show versions and devices."""
    from darts_train.cli.env_info import collect, lines

    info = collect()
    if listing.json:
        show_json(info)
    else:
        print("\n".join(lines(info)))
