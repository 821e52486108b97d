"""Reports of what training left on the disk: whole, half-finished, damaged."""

import functools
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from darts_train.artifacts.run_infos import write_table
from darts_train.base.errors import UserError
from darts_train.cli.main import main
from darts_train.cli.registry import COMMANDS
from darts_train.options.learning import Artifacts
from darts_train.options.report import Report
from darts_train.reporting.report import report
from tests.reporting import trained


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    root = tmp_path_factory.mktemp("artifacts")
    trained.write_search(root)
    trained.write_baselines(root)
    whole = trained.rows_of("whole", 0.7, np.random.default_rng(0))
    trained.write_cv(root / "_cross_validations" / "whole", whole)
    failed = trained.row("part-run-f2s42", 2, 42, None, "failed", "OutOfMemoryError: <12 GiB>", "memory")
    trained.write_cv(root / "_cross_validations" / "part", [*trained.rows_of("part", 0.6, np.random.default_rng(1))[:2],
                                                           failed])  # fmt: skip
    trained.write_run(root / "_runs", "alone", fold=1, seed=21, tested=True)
    return root


@functools.cache  # pages of what no test changes are made once
def pages_of(artifacts, name):
    return made(artifacts, name, artifacts / "pages")


def made(artifacts, name, place):
    """The Markdown of a report, without escapes, and its HTML."""
    found = report(Report(name=name, output=place / "r.html", markdown=True), Artifacts(artifact_dir=artifacts))
    return re.sub(r"\\(.)", r"\1", found.markdown.read_text()), found.page.read_text()


def section(text, title):
    """What stands below a heading."""
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_a_search_tells_all_there_is(artifacts):
    text, html = pages_of(artifacts, "encoders")
    for title in ("Best configuration", "Folds and seeds of the best configuration", "History", "All configurations",
                  "What mattered", "The best configurations", "Trials without a score", "Test of encoders-retrain",
                  "Regions of the folds", "Learning curves of the best configuration", "Sample pictures",
                  "Data and environment", "Again"):  # fmt: skip
        assert f"\n## {title}\n" in text, title
        assert f"<h2>{title}</h2>" in html, title
    assert html.count("<svg") >= 10
    assert "unfinished: 1 (4%)" in section(text, "History")


def test_the_best_is_the_highest_finished_score(artifacts):
    table = pd.read_parquet(artifacts / "encoders" / "encoders.parquet")
    best = table.loc[table["score"].idxmax()]
    text, _ = pages_of(artifacts, "encoders")
    assert f"{best['cv_name']}, score {best['score']:.4f}." in section(text, "Best configuration")
    assert f"| {best['model_encoder']} |" in section(text, "Best configuration")
    assert "**Best score: " in text
    assert "95 %: " in text


def test_what_did_not_finish_has_its_reason(artifacts):
    ended = section(pages_of(artifacts, "encoders")[0], "Trials without a score")
    assert re.search(r"\| \d+ \| pruned \| 2 of 6 \| 0\.\d+ \| 0\.11 behind the best", ended)
    assert "12 GiB were asked for" in ended
    assert "| 24 | unfinished | 2 of 6 |" in ended
    pruned = ended.count("| pruned |")
    assert f"Pruning saved {4 * pruned} of" in ended


def test_regions_are_ordered_from_the_hardest(artifacts):
    test = section(pages_of(artifacts, "encoders")[0], "Test of encoders-retrain")
    assert test.index("| Banks |") < test.index("| Herschel, Island |") < test.index("| Peel | 1 | 0 | – |")


@pytest.mark.parametrize(("name", "command"), [("encoders", "cross-validation-smp"), ("whole", "cross-validation-smp"),
                                              ("alone", "train-smp")])  # fmt: skip
def test_the_command_repeats_it(artifacts, name, command):
    again = section(pages_of(artifacts, name)[0], "Again")
    words = shlex.split(again.split("```sh")[1].split("```")[0].replace("\\\n", " "))
    assert words[:2] == ["darts", command]
    given = dict(zip(words[2::2], words[3::2], strict=True))
    assert set(given) <= {flag for option in COMMANDS[command] for flag in option.flags}
    assert given["--data-split-by"] == "Herschel, Island"
    assert given["--optical-range"] == "0,1"
    if command == "cross-validation-smp":
        assert (given["--n-folds"], given["--n-randoms"]) == ("3", "2")
        assert given["--scoring-metric"] == "val/JaccardIndex"
    else:
        assert (given["--fold"], given["--random-seed"], given["--run-name"]) == ("1", "21", "alone-again")


def test_a_whole_cross_validation_has_an_interval_and_a_baseline(artifacts):
    text, html = pages_of(artifacts, "whole")
    folds = section(text, "Folds and seeds")
    assert "95% confidence interval" in folds
    assert re.search(r"\*\*all\*\* \| \*\*0\.7", folds) or "**all**" in folds
    assert "mean IoU 0.5700" in section(text, "What pixels alone would give")
    assert "Runs without a result" not in text
    assert html.count("pixel baseline") >= 2


def test_a_part_of_a_cross_validation_has_no_score(artifacts):
    text, html = pages_of(artifacts, "part")
    assert "**Score: –** (incomplete: there is no score)" in text
    assert "| part-run-f2s42 | failed | out of memory |" in text
    assert "3 of 6 runs have not been done." in text
    assert "confidence interval 0" not in text
    assert "&lt;12 GiB&gt;" in html


def test_a_run_has_best_and_last_metrics_curves_and_what_it_was_made_of(artifacts):
    text, _ = pages_of(artifacts, "alone")
    assert "| val/JaccardIndex | 0.700 | 0.700 |" in section(text, "Metrics")
    assert "| learning_rate | 0.0003 | 0.001 |" in section(text, "Settings")
    assert "| data hash | " + "d" * 32 in section(text, "Data and environment")
    assert section(text, "Learning curves").count("![") == 3


def test_a_search_without_a_table_is_read_from_its_directories(tmp_path):
    trained.write_cv(tmp_path / "young" / "young-cv0", trained.rows_of("a", 0.7, np.random.default_rng(0)), gamma=0.9)
    trained.write_cv(tmp_path / "young" / "young-cv1", [], gamma=0.8)
    text, _ = made(tmp_path, "young", tmp_path)
    assert "| gamma | 0.9 | 0.8, 0.9 | 0.9 |" in section(text, "Best configuration")
    assert "0 of 6 runs so far" in text


@pytest.mark.parametrize("file", ["encoders.parquet", "encoders-cv3/run_infos.parquet", "encoders-cv24/cv.json"])
def test_damaged_files_are_passed_over(tmp_path, file):
    trained.write_search(tmp_path, trials=8, going=False)
    place = tmp_path / "encoders" / file
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"x")
    assert "# Search encoders" in made(tmp_path, "encoders", tmp_path)[0]


def test_a_search_without_any_trial_is_a_page(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "sweep.db").touch()
    text, _ = made(tmp_path, "new", tmp_path)
    assert "No configuration has a score yet" in text


def test_leakage_is_shown_where_it_was_measured(tmp_path):
    place = tmp_path / "_cross_validations" / "safe"
    trained.write_cv(place, trained.rows_of("safe", 0.7, np.random.default_rng(0)))
    shared = {"part": "val", "beside": "train", "patches": 6, "pixels": 0, "scenes": 0, "groups": None,
              "metres": "unknown"}  # fmt: skip
    content = {"leak_free": True, "folds": [{"outer": None, "fold": 0, "shared": [shared]}]}
    (place / "leakage.json").write_text(json.dumps(content))
    leakage = section(made(tmp_path, "safe", tmp_path)[0], "Leakage")
    assert "| 0 | val | train | 6 | 0 | – | – | 0 | – | unknown |" in leakage
    assert "Leak-free" in leakage
    (place / "leakage.json").write_text('{"folds": [3, {"shared": 1}]}')
    assert "## Leakage" not in made(tmp_path, "safe", tmp_path)[0]


def test_a_nested_cross_validation_sets_the_honest_score_beside_the_others(tmp_path):
    (tmp_path / "honest").mkdir()
    (tmp_path / "honest" / "nested.json").write_text('{"settings": {"outer_folds": 3, "scoring_metric": ["val/loss"]}}')
    rows = [{"outer": f, "inner_score": 0.8, "outer_score": 0.7 + f / 100, "random_score": 0.9 if f else None,
             "best_cv": f"honest-outer{f}-cv1", "checkpoint": "c", "gamma": 0.9} for f in range(3)]  # fmt: skip
    write_table(tmp_path / "honest" / "honest.parquet", pd.DataFrame(rows))
    trained.write_cv(tmp_path / "honest" / "outer0" / "honest-outer0-cv1", [])
    text, html = made(tmp_path, "honest", tmp_path)
    assert "**Honest score: 0.7100**" in text
    assert "**The searches say: 0.8000** (too good by 0.0900)" in text
    assert "| 1 | 0.8000 | 0.7100 | 0.9000 | 0.0900 | honest-outer1-cv1 | 0.9 |" in text
    assert "<svg" in html
    assert made(tmp_path, "honest-outer0", tmp_path)[0].startswith("# Search honest-outer0")


def test_a_pareto_front_and_parameters_that_are_not_always_there_are_shown(tmp_path):
    table = pd.concat([trained.table_of(trained.rows_of(f"p-cv{n}", 0.7, np.random.default_rng(n))).assign(
        cv_name=f"p-cv{n}", pareto=n == 1, rate=[None, 1e-3][n], on=pd.array([None, True][n : n + 1] * 6, "boolean"))
        for n in (0, 1)])  # fmt: skip
    front = ["cv_name", "pareto", "rate", "on"]
    (tmp_path / "p").mkdir()
    write_table(tmp_path / "p" / "p.parquet", table[[*front, *(c for c in table if c not in front)]])
    text, _ = made(tmp_path, "p", tmp_path)
    assert "Pareto front |" in text
    assert re.search(r"\| \**1\** \| \**0.001\** \| \**on\** \|.*yes", text)
    assert "none, on" in section(text, "Best configuration")


def test_markdown_and_its_pictures_belong_together(artifacts, tmp_path):
    made(artifacts, "whole", tmp_path)
    stale = tmp_path / "r_files" / ("0" * 12 + ".svg")
    stale.touch()
    (tmp_path / "r_files" / "mine.txt").touch()
    text, _ = made(artifacts, "whole", tmp_path)
    shown = set(re.findall(r"\((r_files/[^)]+)\)", text))
    assert shown
    assert {f"r_files/{path.name}" for path in (tmp_path / "r_files").iterdir()} == shown | {"r_files/mine.txt"}
    charts = [(tmp_path / name).read_text() for name in shown if name.endswith(".svg")]
    assert not any("var(" in chart for chart in charts)


def test_the_page_lies_in_the_directory_unless_it_is_told_where(artifacts, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["report", "--artifact-dir", str(artifacts), "--name", "alone"]) == 0
    page = next((artifacts / "_runs").glob("alone-*/report.html"))
    assert str(page) in capsys.readouterr().out
    page.unlink()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "encodres"], "nearest: encoders"),
        (["--name", "alone", "--output", "page.pdf"], "must end in .html"),
        (["--name", "alone", "--output", "dir.html"], "is a directory"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(artifacts, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("dir.html").mkdir()
    assert main(["report", "--artifact-dir", str(artifacts), *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_a_place_that_cannot_be_written_is_refused(artifacts, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--output"):
        report(Report(name="alone", output=tmp_path / "file" / "r.html"), Artifacts(artifact_dir=artifacts))
