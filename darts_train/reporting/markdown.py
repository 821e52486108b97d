"""A page as Markdown: the same content, with charts and pictures as files beside it.

Files are named by what they hold, so a page and its pictures always belong together, whenever the writing ends.
"""

import re
from pathlib import Path

from darts_train.base.files import write_bytes, write_text
from darts_train.base.hashes import hash_bytes
from darts_train.reporting.content import Block, Charts, Code, Drawing, Page, Pictures, Table, Text

VARIABLE = re.compile(r"var\(--[\w-]+, (#[0-9a-fA-F]{3,8})\)")
OURS = re.compile(r"[0-9a-f]{12}\.(svg|png)")
SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")


def write_markdown(path: Path, page: Page) -> Path:
    """Write the page to `path` and its pictures to `{stem}_files` beside it; files of an earlier report go."""
    folder = path.with_name(f"{path.stem}_files")
    files: dict[str, bytes] = {}
    text = markdown(page, folder.name, files)
    for name, data in files.items():
        if not (folder / name).exists():
            write_bytes(folder / name, data)
    write_text(path, text)
    for old in folder.glob("*") if folder.is_dir() else ():
        if OURS.fullmatch(old.name) and old.name not in files:
            old.unlink(missing_ok=True)
    return path


def markdown(page: Page, folder: str, files: dict[str, bytes]) -> str:
    """The page as text; what it refers to is put into `files`, by the name below `folder`."""
    lines = [f"# {_escaped(page.title)}", "", _escaped(page.lead), ""]
    lines += [f"* **{_escaped(h.label)}: {_escaped(h.value)}**" + (f" ({_escaped(h.note)})" if h.note else "")
              for h in page.headlines]  # fmt: skip
    for section in page.sections:
        lines += ["", f"## {_escaped(section.title)}"]
        for block in section.blocks:
            lines += ["", *_block(block, folder, files)]
    footer = [_escaped(line) for line in page.footer]
    return "\n".join([*lines, "", *(["---", ""] if footer else []), *footer]).rstrip() + "\n"


def _block(block: Block, folder: str, files: dict[str, bytes]) -> list[str]:
    if isinstance(block, Text):
        return [_escaped(block.text)]
    if isinstance(block, Code):
        return ["```sh", block.text, "```"]
    if isinstance(block, Table):
        return _table(block, folder, files)
    if isinstance(block, Charts):
        lines = [_image(_title(svg), standalone(svg), "svg", folder, files) for svg in block.svgs]
    else:
        lines = _pictures(block, folder, files)
    names = ", ".join(name for name, _ in block.legend)
    said = [_escaped(part) for part in (f"Shown: {names}." if names else "", block.caption) if part]
    return [*lines, *(["", " ".join(said)] if said else [])]


def _pictures(block: Pictures, folder: str, files: dict[str, bytes]) -> list[str]:
    return [_image(picture.title, picture.png, "png", folder, files) for picture in block.pictures]


def _table(table: Table, folder: str, files: dict[str, bytes]) -> list[str]:
    rules = ["---:" if index in table.numeric else "---" for index in range(len(table.columns))]
    lines = [_line([_escaped(name) for name in table.columns]), _line(rules)]
    for index, row in enumerate(table.rows):
        cells = [
            _image("", standalone(cell.svg), "svg", folder, files) if isinstance(cell, Drawing) else _escaped(cell)
            for cell in row
        ]
        lines.append(_line([f"**{cell}**" if index == table.marked and cell else cell for cell in cells]))
    return [*lines, *(["", _escaped(table.caption)] if table.caption else [])]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _image(title: str, data: bytes, suffix: str, folder: str, files: dict[str, bytes]) -> str:
    name = f"{hash_bytes(data)[:12]}.{suffix}"
    files[name] = data
    return f"![{_escaped(title)}]({folder.replace(' ', '%20')}/{name})"


def standalone(svg: str) -> bytes:
    """A chart as a file: colours of the light page, on white, for a page to name them is no longer around it."""
    plain = VARIABLE.sub(r"\1", svg)
    return re.sub(r"(<svg[^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', plain, count=1).encode()


def _title(svg: str) -> str:
    import html

    found = re.search(r'aria-label="([^"]*)"', svg)
    return html.unescape(found[1]) if found else ""


def _escaped(text: str) -> str:
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))
