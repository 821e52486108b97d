"""Which devices a run gets, and what the environment says of its processes."""

import numpy as np
import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.dataset.splitting.splits import SplitIndices
from darts_train.experiments.one_run.world import check_shares, choose_devices, first_host
from darts_train.options.learning import Device, Devices

TWO = {"accelerator": "cpu", "devices": 2}
SRUN = {"SLURM_JOB_ID": "1234567", "SLURM_STEP_NODELIST": "gpu[07-08]", "SLURM_NODEID": "1"}


def world(environment, device=None, **devices):
    return choose_devices(Devices(**devices), Device(device=device), environment)[1]


def place(world):
    return world.rank, world.count, world.external, world.address, world.port


def test_one_device_is_no_world():
    assert choose_devices(Devices(), Device(device="cpu"), {}) == (Device(device="cpu"), None)
    assert choose_devices(Devices(accelerator="cpu"), Device(), {}) == (Device(device="cpu"), None)
    assert choose_devices(Devices(strategy="ddp"), Device(), {}) == (Device(), None)
    with pytest.raises(UserError, match="for a search"):
        choose_devices(Devices(strategy="cv-parallel"), Device(), {})
    assert choose_devices(Devices(accelerator="cpu"), Device(device="cpu"), {})[1] is None


def test_two_processes_of_this_machine():
    device, both = choose_devices(Devices(**TWO), Device(), {})
    assert (device.device, both.rank, both.count) == ("cpu", 0, 2)
    assert [other.rank for other in both.neighbours()] == [1]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"NODE_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "7"}, (2, 4, False, "a", 7)),
        (SRUN | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "0"}, (2, 4, False, "gpu07", 19567)),
        (SRUN | {"SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1"}, (3, 4, True, "gpu07", 19567)),
        (
            SRUN | {"SLURM_STEP_NUM_TASKS": "2", "MASTER_ADDR": "b", "MASTER_PORT": "9"},
            (2, 4, False, "b", 9),
        ),
        (
            {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"},
            (3, 4, True, "127.0.0.1", 0),
        ),
    ],
)
def test_places_on_two_machines(environment, expected):
    assert place(world(environment, num_nodes=2, **TWO)) == expected


def test_the_first_of_a_machine_starts_the_others_unless_they_were_started():
    environment = SRUN | {"SLURM_STEP_NUM_TASKS": "2"}
    assert [other.rank for other in world(environment, num_nodes=2, **TWO).neighbours()] == [3]
    environment = SRUN | {"SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "0"}
    assert world(environment, num_nodes=2, **TWO).neighbours() == []


def test_a_batch_script_without_srun_starts_its_processes_itself():
    alone = world({"SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_JOB_ID": "1"}, **TWO)
    assert (alone.external, alone.address) == (False, "127.0.0.1")
    assert world(SRUN | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_NODEID": "0"}, **TWO).external is False


@pytest.mark.parametrize(
    ("text", "host"),
    [("gpu[07-09,12],cpu1", "gpu07"), ("a,b", "a"), ("n1", "n1"), ("a,b[1-2]", "a"), ("r[3]s,x", "r3s")],
)
def test_the_first_host_of_a_list(text, host):
    assert first_host(text) == host


@pytest.mark.parametrize(
    ("environment", "device", "devices", "words"),
    [
        ({}, "cpu", {"devices": 2}, "--device cpu is one device"),
        ({}, "cpu", {"accelerator": "cuda"}, "not of --accelerator cuda"),
        ({}, None, {"accelerator": "cpu", "devices": 10_000}, "--devices 10000: this machine has"),
        ({}, None, TWO | {"num_nodes": 2}, "start this command on every machine"),
        ({"NODE_RANK": "2", "MASTER_ADDR": "a", "MASTER_PORT": "7"}, None, TWO | {"num_nodes": 2}, "NODE_RANK is 2"),
        ({"NODE_RANK": "0", "MASTER_ADDR": "a", "MASTER_PORT": "x"}, None, TWO | {"num_nodes": 2}, "MASTER_PORT"),
        (SRUN | {"SLURM_STEP_NUM_TASKS": "3"}, None, TWO | {"num_nodes": 2}, "srun started 3 processes"),
        ({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "3"}, None, TWO, "torchrun started 3 processes"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(environment, device, devices, words):
    with pytest.raises(UserError, match=words) as caught:
        world(environment, device, **devices)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_cuda_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="no CUDA device"):
        world({}, accelerator="cuda")


def test_less_than_one_device_is_refused():
    with pytest.raises(UserError, match="--devices: 0 is below the least value, 1"):
        Devices(devices=0)


def test_parts_too_small_to_be_shared_are_refused():
    rows = np.arange(9)
    check_shares(SplitIndices(rows, rows[:4], rows), None, 4)
    for samples, count, words in ((None, 5, "4 validation"), (3, 4, "3 training")):
        with pytest.raises(UserError, match=f"{count} processes cannot share {words} patches"):
            check_shares(SplitIndices(rows, rows[:4], rows), samples, count)
