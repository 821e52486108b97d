"""What makes exports quick in tests: torch builds its table of operators anew for each, for half of the time."""

import functools

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_table_of_operators():
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    made = functools.cache(ONNXRegistry.from_torchlib)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(made))
        yield
