"""Commands that come after a map: mending it, and comparing it with labels."""

from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show, show_json
from darts_train.options.evaluating import Atlas, Evaluate, LabelValues, Matching
from darts_train.options.postprocessing import MapFiles, Mending, Trusted


@command(app, "Maps")
def postprocess(maps: MapFiles, trusted: Trusted, mending: Mending) -> None:
    """Mend maps: untrusted pixels, specks, gaps.

    Everything is done by strips, with the result that the whole map would give. The maps given are never changed.
    """
    from darts_train.inference.postprocess import postprocess as run

    show(run(maps=maps, trusted=trusted, mending=mending))


@command(app, "Maps")
def evaluate(evaluate: Evaluate, matching: Matching, values: LabelValues, atlas: Atlas) -> None:
    """Compare maps with labels.

    Pixels, objects and outlines, by scene and region, with intervals; and a picture of the worst places.
    """
    from darts_train.inference.evaluate import evaluate as run

    found = run(evaluate=evaluate, matching=matching, values=values, atlas=atlas)
    show_json(found) if evaluate.json else show(found)
