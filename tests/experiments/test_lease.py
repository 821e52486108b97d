import subprocess
import sys
import threading
import time

import pytest

from darts_train.base.errors import UserError
from darts_train.experiments.database.lease import DOOR, Keeper, Leases
from darts_train.experiments.database.process_identity import is_dead, own_identity


@pytest.fixture
def study(request):
    return request.node.name  # the server outlives a test


@pytest.fixture
def make(database, study):
    return lambda owner, seconds=60.0: Leases(database, study, owner, seconds)


def test_one_owner_at_a_time(make):
    a, b = make("a"), make("b")
    lease = a.claim(0)
    assert (lease.owner, lease.epoch) == ("a", 1)
    assert b.claim(0) is None
    assert b.claim(1) is not None
    assert a.renew(lease)
    a.release(lease)
    assert b.claim(0).epoch == 2
    assert not a.renew(lease)


def test_a_lease_that_ran_out_changes_hands_and_the_first_owner_finds_out(make):
    a, b = make("a", 0.2), make("b", 60.0)
    lease = a.claim(0)
    time.sleep(0.3)
    assert a.renew(lease)  # nobody has taken it: still ours
    time.sleep(0.3)
    taken = b.claim(0)
    assert taken.epoch == 2
    assert not a.renew(lease)
    a.release(lease)  # must not let go of what is b's
    assert a.claim(0) is None
    assert b.renew(taken)


def test_a_claim_whose_answer_got_lost_is_granted_again(make):
    a = make("a")
    first = a.claim(0)
    second = a.claim(0)
    assert second.epoch == first.epoch + 1
    assert a.renew(second)
    assert not a.renew(first)


def test_a_dead_process_of_this_machine_holds_nothing(make):
    code = "from darts_train.experiments.database.process_identity import own_identity; print(own_identity())"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert is_dead(dead)
    assert make(dead).claim(0) is not None
    assert make("b").claim(0).epoch == 2


def test_a_living_process_is_not_dead_nor_is_one_elsewhere():
    mine = own_identity()
    assert not is_dead(mine)
    assert own_identity() != mine
    machine, pid, _start, end = mine.split("/")
    assert is_dead(f"{machine}/{pid}/1/{end}")  # the number is in use again
    for unknown in (f"x{mine}", "", "a", "a/b/c/d", f"{machine}/x/1/{end}", f"{machine}/{pid}/0/{end}"):
        assert not is_dead(unknown)


def test_a_process_that_is_only_waited_for_is_dead():
    code = (
        "import sys; from darts_train.experiments.database.process_identity import own_identity; print(own_identity())"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        identity = process.stdout.readline().strip()
        process.stdout.read()
        deadline = time.monotonic() + 10
        while not is_dead(identity) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert is_dead(identity)


def test_the_door_lets_one_in_at_a_time(make):
    inside, most = [], []

    def enter(name):
        leases = make(name)
        for _ in range(3):
            with leases.door():
                inside.append(name)
                most.append(len(inside))
                time.sleep(0.01)
                inside.pop()

    threads = [threading.Thread(target=enter, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1] * 9


def test_an_error_inside_opens_the_door_again(make):
    def fail():
        with make("a").door():
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert make("b").claim(DOOR) is not None


def test_the_keeper_keeps_a_lease_and_says_when_it_is_lost(make):
    a, b = make("a", 0.8), make("b", 0.8)
    lease = a.claim(0)
    with Keeper(a, lease) as keeper:
        time.sleep(1.6)
        assert b.claim(0) is None
        assert not keeper.lost
        deadline = time.monotonic() + 10
        taken = None
        while taken is None and time.monotonic() < deadline:  # the keeper may renew between the two
            a.release(lease)
            taken = b.claim(0)
        while not keeper.lost and time.monotonic() < deadline:
            time.sleep(0.05)
        assert keeper.lost
    assert taken.epoch == lease.epoch + 1


def test_a_database_out_of_reach_does_not_stop_the_keeper(make, monkeypatch):
    leases = make("a", 0.4)
    lease = leases.claim(0)
    answers = []

    def renew(self, lease, patience=0.0):
        answers.append(1)
        if len(answers) < 3:
            raise UserError("no server")
        return False

    monkeypatch.setattr(Leases, "renew", renew)
    with Keeper(leases, lease) as keeper:
        deadline = time.monotonic() + 5
        while not keeper.lost and time.monotonic() < deadline:
            time.sleep(0.02)
        assert keeper.lost
    assert len(answers) == 3
