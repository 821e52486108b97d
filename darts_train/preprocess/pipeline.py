"""Scenes to train data: every source goes through here.

    for each scene: for each tile: read → compute → mask → cut → filter → encode → stage | commit

A worker has one tile in memory at a time and stages it; this process commits staged tiles in their order, so the set
is the same whoever did the work, and a killed run loses the tiles in work at most.
A scene of which some tiles are committed is computed from its beginning again (its record counts all of
it), but committed only where it stopped.
"""

from darts_train.base.errors import UserError
from darts_train.base.executor import open_executor
from darts_train.base.files import require_writable
from darts_train.dataset.journal import Journal
from darts_train.dataset.writer import TrainDataWriter
from darts_train.preprocess.commits import Commits, Count, clipped_by_band
from darts_train.preprocess.job import Job, plan_of
from darts_train.preprocess.patching import DROP_REASONS
from darts_train.preprocess.summary import PreprocessSummary


def run(job: Job) -> PreprocessSummary:
    """Write the set, or the missing part of it, and say what it holds.

    A scene that turns out to be damaged half way is recorded as left out, with the patches that were committed, and
    the others go on.

    Raises UserError where no patch is left, the directory has other settings, or the disk takes no more (what was
    committed stays); KeyboardInterrupt after the tile in work when Ctrl-C was pressed.
    """
    if job.output.preprocess_cache is not None:
        require_writable(job.output.preprocess_cache, "--preprocess-cache")
    if job.output.dry_run:
        return _estimate(job)
    if not job.output.append and not job.output.overwrite and Journal(job.output.train_data_dir).exists():
        raise UserError(
            f"{job.output.train_data_dir} holds a set already; --append to add to it, --overwrite to replace."
        )
    with open_executor(1, job.parallel.scheduler):
        pass  # a cluster that does not answer is said before the directory is begun, or removed
    with TrainDataWriter.open(job.output.train_data_dir, job.config, job.output.overwrite) as writer:
        known = writer.scenes_done | {sample.scene.scene_id for sample in job.samples}
        for record in job.left_out:
            if record.scene_id not in known:
                writer.skip(record)
        commits = Commits(job, writer)
        commits.work()
        result = writer.finalise()
    total = commits.total
    if not result.patches:
        why = [reason for _, reason in commits.damaged] or [_reasons(total)]
        raise UserError(f"No patch was kept ({why[0]}); change the limits and call again with --overwrite.")
    return PreprocessSummary(
        train_data_dir=job.output.train_data_dir,
        scenes=result.scenes,
        patches=result.patches,
        bytes=result.bytes,
        empty=result.empty,
        left_out=(*_left_out(job), *commits.damaged),
        dropped=dict(zip(DROP_REASONS, total.dropped.tolist(), strict=True)),
        clipped=clipped_by_band(total, job.recipe),
        data_hash=result.data_hash,
    )


def _reasons(total: Count) -> str:
    found = [f"{count}: {reason}" for reason, count in zip(DROP_REASONS, total.dropped, strict=True) if count]
    return "; ".join(found) or "no patch was cut"


def _left_out(job: Job) -> tuple[tuple[str, str], ...]:
    return tuple((record.scene_id, record.reason or "") for record in job.left_out)


def _estimate(job: Job) -> PreprocessSummary:
    patches = sum(sum(map(len, plan_of(sample, job.recipe))) for sample in job.samples)
    bands = len(job.recipe.bands)
    code_bytes = bands + 1 if job.config.stored_as == "uint8" else 2 * bands  # with the validity, of all or of each
    patch_bytes = job.recipe.patches.patch_size**2 * (code_bytes + 1)
    return PreprocessSummary(
        train_data_dir=job.output.train_data_dir,
        scenes=len(job.samples),
        patches=patches,
        bytes=patches * patch_bytes,
        left_out=_left_out(job),
        dry_run=True,
    )
