"""ONNX files whose graph is not that of the network that they speak of, or fails: told in a line."""

import numpy as np
import onnx
import pytest
from onnx import helper

from darts_train.base.errors import UserError
from darts_train.inference.models import open_model
from tests.support.kserve import BANDS, write_onnx

CODES = np.zeros((1, len(BANDS), 32, 32), np.uint16)


def changed(path, change):
    model = onnx.load(write_onnx(path))
    change(model)
    onnx.save(model, path)
    return path


def five_bands(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5


def no_output(model):
    del model.graph.output[:]


def another_input(model):
    model.graph.input.append(helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [1]))


@pytest.mark.parametrize("change", [five_bands, no_output, another_input])
def test_a_graph_of_another_network(tmp_path, change):
    path = changed(tmp_path / "net.onnx", change)
    with pytest.raises(UserError, match=r"net\.onnx speaks of 6 bands and 1 channels of logits; its graph takes"):
        open_model(path, None, "cpu")


def test_a_graph_whose_answer_has_another_size(tmp_path):
    path = changed(tmp_path / "net.onnx", lambda model: model.graph.node[0].attribute[0].ints.__setitem__(0, 0))
    model, _ = open_model(path, None, "cpu")
    with pytest.raises(UserError, match=r"net\.onnx gave \[1, 1, 31, 32\] for \[1, 6, 32, 32\], not \[1, 1, 32, 32\]"):
        model.probabilities(CODES)


def test_a_graph_that_fails(tmp_path):
    def reshaped(model):
        shape = onnx.numpy_helper.from_array(np.array([7, 7], np.int64), "shape")
        model.graph.initializer.append(shape)
        model.graph.node[0].output[0] = "found"
        model.graph.node.append(helper.make_node("Expand", ["found", "shape"], ["logits"]))

    model, _ = open_model(changed(tmp_path / "net.onnx", reshaped), None, "cpu")
    with pytest.raises(UserError, match=r"net\.onnx failed on \[1, 6, 32, 32\]: "):
        model.probabilities(CODES)
