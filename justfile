# The habits of the house. `just --list` shows them.

# what must hold before a commit
check: lint types layers shape

lint:
    uv run ruff check .
    uv run ruff format --check .

format:
    uv run ruff check --fix .
    uv run ruff format .

types:
    uv run mypy

# arrows between rooms run downward only
layers:
    uv run lint-imports

# no file over 400 lines, no function over 60
shape:
    uv run python .ci/shape.py

test *ARGS:
    uv run pytest {{ARGS}}

docs:
    uv run --group docs mkdocs build --strict

# each prints a ratio against a named baseline
bench NAME *ARGS:
    uv run python benchmarks/{{NAME}}.py {{ARGS}}
