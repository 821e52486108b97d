"""What habitat-mapper does between a window and a class, written anew for tests: prepare, run, blend, decide.

Preparation: counts / max_pixel_value, then the normalisation of the JSON. Windows half over each other, weighted by a
Bartlett-Hann window whose halves at a border of the image are 1; outputs are blended as they come. Then the
activation, [1 - p, p] of one channel, and the greatest.
"""

import numpy as np
import onnxruntime


def prepared(batch, config):
    values = batch.astype(np.float32) / config["max_pixel_value"]
    if config["normalization"] == "standard":
        mean, std = (np.array(config[key])[None, :, None, None] for key in ("mean", "std"))
        values = (values - mean) / std
    else:
        assert config["normalization"] is None
    return values.astype(np.float32)


def bartlett_hann(size):
    away = np.abs(np.arange(size) / size - 0.5)
    return 0.62 - 0.48 * away + 0.38 * np.cos(2 * np.pi * away)


def axis_weight(start, size, length):
    weight = bartlett_hann(size)
    if start == 0:
        weight[: size // 2] = 1
    if start + size >= length:
        weight[size // 2 :] = 1
    return weight


def starts(length, size):
    count = 1 if length <= size else -(-(length - size) // (size // 2)) + 1
    return [i * (size // 2) for i in range(count)]


def blended(image, size, outputs):
    """Blend of `outputs(windows [n, c, size, size])` over an image [c, h, w]; beyond the image it is 0."""
    _, height, width = image.shape
    ys, xs = starts(height, size), starts(width, size)
    padded = np.zeros((len(image), ys[-1] + size, xs[-1] + size), image.dtype)
    padded[:, :height, :width] = image
    total = None
    for y in ys:
        for x in xs:
            found = outputs(padded[None, :, y : y + size, x : x + size])[0].astype(np.float64)
            total = np.zeros((len(found), *padded.shape[1:])) if total is None else total
            weight = np.outer(axis_weight(y, size, height), axis_weight(x, size, width))
            total[:, y : y + size, x : x + size] += found * weight
    return total[:, :height, :width]


def decided(outputs, activation):
    if activation == "sigmoid":
        outputs = 1 / (1 + np.exp(-outputs))
    elif activation == "softmax":
        outputs = np.exp(outputs) / np.exp(outputs).sum(axis=0)
    if len(outputs) == 1:
        outputs = np.concatenate([1 - outputs, outputs])
    return outputs.argmax(axis=0).astype(np.uint8)


def mapped(path, config, image, size):
    """Classes uint8 [h, w] of an image [c, h, w] of counts, and what they were decided of."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape
    assert isinstance(shape[0], str)
    assert (isinstance(shape[2], str) and isinstance(shape[3], str)) or shape[2] == shape[3] == size
    total = blended(image, size, lambda windows: session.run(None, {name: prepared(windows, config)})[0])
    return decided(total, config["activation"]), total
