"""`convert-config`: a configuration of another tool becomes one of ours, and says what has no counterpart.

Text to text: nothing is trained, and no package of the other tools is needed. It is here, beside `space/`, which reads
the files of wandb in the same YAML, because what comes out are the settings of a run.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError
from darts_train.base.files import require_writable, write_text
from darts_train.experiments.converting import flood, hakai, kelp
from darts_train.experiments.converting.draft import Draft, Fate, leaves
from darts_train.experiments.converting.sources import read_config
from darts_train.experiments.converting.written import config_text, said
from darts_train.models.arguments import parse_options
from darts_train.options.converting import ConvertConfig
from darts_train.options.learning import Hyperparameters, Run, Training
from darts_train.training.losses.terms import parse_terms
from darts_train.training.optimising.schedules import parse_lr_options

TOOLS: tuple[tuple[str, Callable[[dict[str, Any]], bool], Callable[[Draft], None]], ...] = (
    (hakai.NAME, hakai.is_hakai, hakai.convert_hakai),
    (flood.NAME, flood.is_flood, flood.convert_flood),
    (kelp.NAME, kelp.is_kelp, kelp.convert_kelp),
)
SHOWN = 60  # characters of a value on the terminal


@dataclass(frozen=True)
class ConvertedConfig:
    """What was written, how many options it sets, and which keys of the source have no counterpart."""

    out: Path
    files: tuple[Path, ...]
    tool: str
    options: int
    left: tuple[Fate, ...]
    same: tuple[Fate, ...]

    def summary(self) -> str:
        """The file, then a line for every key without a counterpart."""
        beside = f", and {', '.join(map(str, self.files))}" if self.files else ""
        lines = [f"Wrote {self.out}{beside}: {self.options} options from a configuration of {self.tool}."]
        if self.left:
            lines += [f"Without a counterpart ({len(self.left)}):", *(f"  {said(fate, SHOWN)}" for fate in self.left)]
        if self.same:
            lines.append(f"{len(self.same)} further keys say what is always so here; they are listed in the file.")
        return "\n".join(lines)


def convert_config(convert_config: ConvertConfig) -> ConvertedConfig:
    """Write a configuration of another tool as one of ours, with the files that belong to it.

    Raises UserError where the source cannot be read, is of none of the known tools, or holds what an option does not
    take, and where a file to be written is there and may not be replaced. Nothing is written then.
    """
    source, out = convert_config.file, convert_config.out
    tree = read_config(source, convert_config.set or ())
    tool, draft = converted(tree, str(source))
    files = {out.with_name(f"{out.stem}{ending}"): text for ending, text in draft.files.items()}
    for entry in draft.entries:
        if entry.name == "augment_config":
            draft.put(entry.heading, entry.name, str(out.with_name(f"{out.stem}{entry.value}")), entry.note)
    if out.exists() and source.exists() and out.samefile(source):
        raise UserError(f"--out: {out} is the file that is converted; choose another.")
    require_writable(out.parent, "--out")
    for path in (out, *files):
        if path.exists() and not convert_config.overwrite:
            raise UserError(f"--out: {path} exists; choose another file or give --overwrite.")
    try:
        for path, text in files.items():
            write_text(path, text)
        write_text(out, config_text(draft, str(source), tool))
    except OSError as error:
        raise UserError(f"--out: {out} cannot be written: {error.strerror}.") from None
    return ConvertedConfig(out, tuple(files), tool, len(draft.entries), tuple(draft.left), tuple(draft.same))


def converted(tree: dict[str, Any], source: str) -> tuple[str, Draft]:
    """Whose configuration this is, and what becomes of each of its keys. Raises UserError as `convert_config`."""
    for name, is_theirs, convert in TOOLS:
        if is_theirs(tree):
            draft = Draft(leaves(tree))
            convert(draft)
            draft.finish()
            _check(draft, source)
            return name, draft
    names = ", ".join(name for name, _, _ in TOOLS)
    raise UserError(f"FILE: {source} is no configuration of {names}: neither model and data nor their keys are in it.")


def _check(draft: Draft, source: str) -> None:
    """Let the options themselves look at what was found. Raises UserError that begins with the source."""
    try:
        settings = _group(Hyperparameters, draft)
        _group(Training, draft)
        _group(Run, draft)
        parse_terms(settings.loss, settings.loss_options)
        parse_lr_options(settings)
        parse_options(settings.model_options)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def _group(kind: type[Any], draft: Draft) -> Any:
    names = {field.name for field in dataclasses.fields(kind)}
    found = {entry.name: entry.value for entry in draft.entries if entry.name in names}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()})
