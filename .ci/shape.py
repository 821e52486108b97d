"""No file of the package over 400 lines, no function over 60: a longer one is two ideas."""

import ast
import sys
from pathlib import Path

FILE_LINES, FUNCTION_LINES = 400, 60


def too_long(path: Path) -> list[str]:
    """One line for the file and each function that is too long."""
    text = path.read_text(encoding="utf-8")
    count = len(text.splitlines())
    found = [f"{path}: {count} lines, at most {FILE_LINES}"] if count > FILE_LINES else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"{path}:{node.lineno} {node.name}: {length} lines, at most {FUNCTION_LINES}")
    return found


if __name__ == "__main__":
    problems = [line for path in sorted(Path("darts_train").rglob("*.py")) for line in too_long(path)]
    print("\n".join(problems) or "files and functions are short enough")
    sys.exit(bool(problems))
