"""A sweep of several runners under kills, restarts of its database and a network that is cut.

    uv run python benchmarks/chaos.py --hours 1             # real training: smallest network, bundled scenes, CPU
    uv run python benchmarks/chaos.py --hours 0.1 --stub    # runs that only sleep

Runners work on one grid in a real PostgreSQL, through a proxy. In random moments they are killed (SIGKILL) and started
again, the server is stopped in immediate mode and started, and the proxy is closed once. Then the sweep is left to its
end, and compared with the same sweep that nobody disturbed. Ends with exit code 1 where a check fails.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
NAME, FOLDS, SEEDS = "chaos", 2, 2
RATES = [round(10 ** (-4 + 0.01 * step), 8) for step in range(300)]


@dataclass
class Place:
    """Where a sweep is: its artifacts, its database, and what its runners are."""

    directory: Path
    address: str
    points: int
    lease_seconds: float
    epoch_seconds: float
    data: Path | None = None  # none: runs only sleep

    def command(self) -> list[str]:
        """What a runner is started with."""
        if self.data is None:
            words = [
                str(self.directory),
                self.address,
                str(self.points),
                str(self.lease_seconds),
                str(self.epoch_seconds),
            ]
            return [sys.executable, __file__, "--runner", *words]
        from kills import learning

        space = self.directory.with_suffix(".json")
        values = {"learning_rate": {"values": RATES[: self.points]}}
        goal = {"name": "val/JaccardIndex", "goal": "maximize"}
        space.write_text(json.dumps({"method": "grid", "metric": goal, "parameters": values}))
        words = ["--sweep-config", str(space), "--sweep-id", NAME, "--n-trials", "grid", "--n-randoms", str(SEEDS)]
        words += ["--sweep-db", self.address, *learning(self.directory, self.data)]
        logs = str(self.directory.parent / "logs")
        return [sys.executable, "-m", "darts_train", "optuna-sweep-smp", *words, "--log-dir", logs]

    @property
    def artifacts(self) -> Path:
        """The artifact directory."""
        return self.directory if self.data is None else self.directory / "artifacts"


def run_stub(directory: str, address: str, points: str, lease_seconds: str, epoch_seconds: str) -> None:
    """A runner whose runs only sleep, in this process, until every point has ended."""
    from darts_train.experiments.database.storage import database_url, open_database
    from darts_train.experiments.searching.runner import open_runner
    from tests.experiments import stub

    stub.epoch_seconds = float(epoch_seconds)
    table = {"learning_rate": RATES[: int(points)]}
    search = stub.make_search(Path(directory), NAME, table, "grid", FOLDS, metrics=["val/JaccardIndex"])
    database = open_database(database_url(address))
    runner = open_runner(search, database, stub.DEVICE, stub.TRACKING, stub.execute, float(lease_seconds))
    runner.run(None, wait=True)


@dataclass
class Runners:
    """The runners of a sweep: killed and started again."""

    place: Place
    count: int
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    kills: int = 0
    died: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Start them all."""
        self.processes = [self._begin() for _ in range(self.count)]

    def _begin(self) -> "subprocess.Popen[str]":
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (as long as the process)
        process = subprocess.Popen(self.place.command(), stdout=subprocess.DEVNULL, stderr=errors, env=environment)
        process.said = errors  # type: ignore[attr-defined]
        return process  # type: ignore[return-value]

    def kill(self, draw: random.Random) -> None:
        """SIGKILL to one that works, and another in its place; the children of it go with it or end by themselves."""
        alive = [position for position, one in enumerate(self.processes) if one.poll() is None]
        if alive:
            position = draw.choice(alive)
            self.processes[position].send_signal(signal.SIGKILL)
            self.processes[position].wait()
            self.kills += 1
            self.processes[position] = self._begin()

    def look(self) -> bool:
        """Whether any still works; those that ended with an error are written down, and others take their places."""
        for position, process in enumerate(self.processes):
            if process.poll() not in (None, 0):
                process.said.seek(0)  # type: ignore[attr-defined]
                self.died.append(f"{process.returncode}: {process.said.read()[-400:]}")  # type: ignore[attr-defined]
                self.processes[position] = self._begin()
        return any(process.poll() is None for process in self.processes)


def disturb(runners: Runners, server, proxy, options: argparse.Namespace) -> Counter[str]:
    """Kills, restarts and a cut, in random order and evenly over the time; then the sweep comes to its end."""
    draw = random.Random(options.seed)
    events = ["kill"] * options.kills + ["restart"] * options.restarts + ["cut"]
    draw.shuffle(events)
    pause, done = options.hours * 3600 / len(events), Counter[str]()
    for event in events:
        until = time.monotonic() + draw.uniform(0.2, 1.8) * pause
        while time.monotonic() < until and runners.look():
            time.sleep(0.2)
        if not runners.look():
            break  # the sweep has ended
        if event == "kill":
            runners.kill(draw)
        elif event == "restart":
            server.restart(draw.uniform(0, 2))
        else:
            proxy.cut()
            time.sleep(options.cut)
            proxy.mend()
        done[event] += 1
    while runners.look():
        time.sleep(0.5)
    return done


def checked(place: Place, calm: dict[int, float]) -> list[str]:
    """What is wrong with a sweep that has come to its end."""
    from darts_train.experiments.database.run_store import RunStore
    from darts_train.experiments.database.storage import database_url, open_database

    wrong = []
    database = open_database(database_url(place.address))
    scores = scores_of(place)
    wrong += [] if len(scores) == place.points else [f"{len(scores)} of {place.points} trials are complete"]
    different = [n for n in calm if scores.get(n) != calm[n]]
    wrong += [f"trial {n}: {scores.get(n)}, undisturbed {calm[n]}" for n in different[:5]]
    rows = {n: r for some in RunStore(database, NAME).portions(0, place.points - 1) for n, r in some.items()}
    stored = Counter((n, row.fold, row.seed) for n, some in rows.items() for row in some if row.status == "finished")
    if len(stored) != place.points * FOLDS * SEEDS or set(stored.values()) != {1}:
        wrong.append(f"{len(stored)} finished runs in the database, {place.points * FOLDS * SEEDS} expected")
    return wrong + wrong_files(place)


def scores_of(place: Place) -> dict[int, float]:
    """Score of each complete trial."""
    import optuna

    from darts_train.experiments.database.storage import database_url, open_database

    study = optuna.load_study(study_name=NAME, storage=open_database(database_url(place.address)).storage)
    return {trial.number: trial.value for trial in study.trials if trial.state.name == "COMPLETE"}


def wrong_files(place: Place) -> list[str]:
    """Artifacts that cannot be read, runs that are there twice or trained twice, rows that are missing in the table."""
    import pandas as pd

    wrong = []
    places = [path for path in (place.artifacts / NAME).glob("*/*-run-*") if path.is_dir()]
    names = Counter(path.name.rpartition("-")[0] for path in places)
    wrong += [f"{name} is there {count} times" for name, count in names.items() if count > 1]
    for path in places:
        record = json.loads((path / "run.json").read_text())
        wrong += [] if record["status"] == "finished" else [f"{path.name} is {record['status']}"]
        if place.data is None and len((path / "epochs.txt").read_bytes()) != 3:
            wrong.append(f"{path.name} was trained twice")
    for path in (place.artifacts / NAME).rglob("*.parquet"):
        pd.read_parquet(path)
    for path in (place.artifacts / NAME).rglob("*.ckpt"):
        import torch

        torch.load(path, weights_only=True, map_location="cpu")
    table = pd.read_parquet(place.artifacts / NAME / f"{NAME}.parquet")
    if len(table) != len(set(table["run_name"])) or len(table) != place.points * FOLDS * SEEDS:
        wrong.append(f"the table has {len(table)} rows of {len(set(table['run_name']))} runs")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0, help="over which the disturbances are spread")
    parser.add_argument("--stub", action="store_true", help="runs only sleep")
    parser.add_argument("--runners", type=int, default=3)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--restarts", type=int, default=5)
    parser.add_argument("--cut", type=float, default=30.0, help="seconds without a network")
    parser.add_argument("--points", type=int, default=40, help="of the grid; the sweep must outlast the disturbances")
    parser.add_argument("--epoch-seconds", type=float, default=0.5, help="of a stub's epoch, three in a run")
    parser.add_argument("--lease-seconds", type=float, default=10.0, help="of a stub's runner")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runner", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.runner:
        return run_stub(*options.runner)
    base = Path(tempfile.mkdtemp(prefix="darts-chaos-"))
    wrong = chaos(options, base)
    for line in wrong:
        print(f"  WRONG: {line}")
    if not wrong:
        shutil.rmtree(base)
    sys.exit(bool(wrong))


def chaos(options: argparse.Namespace, base: Path) -> list[str]:
    """The sweep undisturbed, then disturbed; what is wrong."""
    from tests.support.postgres import Postgres
    from tests.support.proxy import Proxy

    data = None
    if not options.stub:
        from kills import call, preprocess

        call(preprocess(base / "data"))
        data = base / "data" / "set"
    settings = (options.points, options.lease_seconds)
    (base / "calm").mkdir()
    calm = Place(base / "calm", f"sqlite:///{base}/calm.db", *settings, 0.0, data)
    started = time.monotonic()
    subprocess.run(calm.command(), check=True, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)})
    print(f"undisturbed, one runner: {options.points} trials in {time.monotonic() - started:.0f} s", flush=True)
    server = Postgres(Path(tempfile.gettempdir()) / f"darts_chaos_{os.getpid()}")
    try:
        proxy = Proxy(server.socket)
        address = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        (base / "rough").mkdir()
        rough = Place(base / "rough", address, *settings, options.epoch_seconds, data)
        runners, started = Runners(rough, options.runners), time.monotonic()
        runners.start()
        done = disturb(runners, server, proxy, options)
        seconds = time.monotonic() - started
        wrong = checked(rough, scores_of(calm)) + [f"a runner died: {line}" for line in runners.died]
        wanted = {"kill": options.kills, "restart": options.restarts, "cut": 1}
        wrong += [f"the sweep ended after {dict(done)} of {wanted}: more --points"] if done != wanted else []
        what = f"{done['kill']} kills, {done['restart']} restarts of the server, a cut of {options.cut:.0f} s"
        print(f"{options.runners} runners, {what}: {options.points} trials in {seconds:.0f} s, {len(wrong)} wrong")
    finally:
        server.close()
    return wrong


if __name__ == "__main__":
    main()
