"""The configurations that are shipped, by name: `configs/` of the repository, which an installed package holds, too."""

import re
from pathlib import Path
from typing import Literal

# The first three are no files: all options of their commands (`cli/init_config.py`).
Preset = Literal[
    "raster", "planet", "sweep", "darts-planet", "darts-s2", "kelp-rgb", "kelp-rgbi", "kelp-ps8b", "mussels-rgb",
    "goosenecks", "kelp-wanted", "kelp-wanted-ensemble", "flood-resnet34", "flood-mobilenet",
]  # fmt: skip
FILES: dict[str, str] = {
    "darts-planet": "planet.toml",
    "darts-s2": "s2.toml",
    "kelp-rgb": "kelp-rgb.toml",
    "kelp-rgbi": "kelp-rgbi.toml",
    "kelp-ps8b": "kelp-ps8b.toml",
    "mussels-rgb": "mussels-rgb.toml",
    "goosenecks": "goosenecks.toml",
    "kelp-wanted": "kelp-wanted.toml",
    "kelp-wanted-ensemble": "kelp-wanted-ensemble.toml",
    "flood-resnet34": "flood-resnet34.toml",
    "flood-mobilenet": "flood-mobilenet.toml",
}
_PACKAGE = Path(__file__).parents[1]
_BESIDE = re.compile(r'"configs/([^"/]+\.yaml)"')


def preset_text(file: str) -> str:
    """A shipped file. Raises FileNotFoundError where the installation lacks it."""
    for directory in (_PACKAGE / "configs", _PACKAGE.parent / "configs"):
        if (directory / file).is_file():
            return (directory / file).read_text(encoding="utf-8")
    raise FileNotFoundError(f"this installation of darts has no configs/{file}")


def preset_files(name: str, out: Path) -> dict[Path, str]:
    """What a preset is written as: the configuration at `out`, and the files it names beside it; paths and texts."""
    text = preset_text(FILES[name])
    beside = dict.fromkeys(_BESIDE.findall(text))
    text = _BESIDE.sub(lambda found: f'"{(out.parent / found[1]).as_posix()}"', text)
    return {
        out: text.replace(f"configs/{FILES[name]}", out.as_posix()),
        **{out.parent / file: preset_text(file) for file in beside},
    }


def about(name: str) -> str:
    """The first sentence of a preset's file."""
    lines = preset_text(FILES[name]).split("#\n")[0].splitlines()
    return " ".join(line.lstrip("# ") for line in lines if line.startswith("#")).split(". ")[0].rstrip(".")
