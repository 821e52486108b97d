import pytest

from darts_train.base import free_memory


@pytest.fixture
def system(tmp_path, monkeypatch):
    monkeypatch.setattr(free_memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(free_memory, "GROUP", tmp_path)
    return tmp_path


def test_the_smaller_of_machine_and_group_counts(system):
    assert free_memory.available_memory() is None
    (system / "meminfo").write_text("MemTotal: 90 kB\nMemAvailable:   50 kB\n")
    assert free_memory.available_memory() == 51200
    (system / "memory.max").write_text("40000\n")
    (system / "memory.current").write_text("30000\n")
    (system / "memory.stat").write_text("anon 1\ninactive_file 5000\n")
    assert free_memory.available_memory() == 15000
    (system / "memory.max").write_text("max\n")
    assert free_memory.available_memory() == 51200


def test_this_machine_has_some():
    assert free_memory.available_memory() > 1e6
