"""Networks by name: what they return, which names and patch sizes are refused, and with which words."""

import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.models import factory
from darts_train.models.torch_device import known_devices, torch_device


@pytest.mark.parametrize(("classes", "channels"), [(2, 1), (3, 3), (5, 5)])
def test_networks_return_logits(classes, channels):
    torch.manual_seed(0)
    network = factory.create_network("Unet", "resnet18", None, 4, classes).eval()
    with torch.no_grad():
        logits = network(torch.rand(2, 4, 32, 32))
    assert logits.shape == (2, channels, 32, 32)
    assert logits.min() < 0
    assert not any(
        isinstance(module, torch.nn.Sigmoid | torch.nn.Softmax) for module in network.segmentation_head.modules()
    )


@pytest.mark.parametrize("size", [(1, 1), (31, 17)])
def test_our_own_network_takes_any_size(size):
    torch.manual_seed(0)
    options = (("encoder_channels", 8), ("encoder_depth", 2))
    network = factory.create_network("fcn", "dilated", None, 4, 3, options).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 4, *size)).shape == (2, 3, *size)
    assert factory.stride("FCN", "dilated", options) == 1
    assert factory.padding_multiple("FCN", "dilated", 37, options) == 1


def test_our_own_network_looks_as_far_as_it_says():
    """Two blocks reach 1 + 2 pixels to each side."""
    torch.manual_seed(0)
    network = factory.create_network("FCN", "dilated", None, 1, 2, (("encoder_depth", 2),)).eval()
    x = torch.zeros(1, 1, 21, 21, requires_grad=True)
    network(x)[0, 0, 10, 10].backward()
    rows, columns = torch.nonzero(x.grad[0, 0], as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (7, 13, 7, 13)


def test_one_class_is_refused():
    with pytest.raises(UserError, match="two classes"):
        factory.create_network("Unet", "resnet18", None, 4, 1)


def test_initial_weights_follow_the_seed():
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        weights.append(factory.create_network("FPN", "mobilenet_v2", None, 2, 2).state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize(
    ("arch", "encoder", "words"),
    [
        ("Unett", "resnet18", "--model-arch.*'Unett'.*nearest: unet"),
        ("Xyz", "resnet18", "--model-arch.*there are Unet"),
        ("Unet", "resnet81", "--model-encoder.*nearest: .*resnet18"),
        ("Unet", "qqqqqq", "--model-encoder"),
        ("Unet", "tu-hf-hub:somebody/something", "--model-encoder"),
        ("Unet", "tu-resnet18.no_such_tag", "--model-encoder"),
        ("DPT", "resnet18", "does not go with"),
        ("FCN", "resnet18", "--model-arch FCN and --model-encoder dilated go with each other alone"),
        ("Unet", "dilated", "go with each other alone; Unet was given"),
        ("UnetPlusPlus", "mit_b0", "does not go with"),
    ],
)
def test_wrong_names_are_user_errors(arch, encoder, words):
    with pytest.raises(UserError, match=words):
        factory.create_network(arch, encoder, None, 3, 2)


@pytest.mark.parametrize("encoder", ["tu-resnet18", "tu-resnet18.a1_in1k", "mit_b0"])
def test_other_families_of_encoders(encoder):
    assert factory.create_network("Unet", encoder, None, 3, 2) is not None


def test_unknown_weights_are_named():
    with pytest.raises(UserError, match="resnet18 has no weights 'imagnet'; it has imagenet"):
        factory.create_network("Unet", "resnet18", "imagnet", 3, 2)


def test_weights_without_a_network_connection(monkeypatch, tmp_path):
    """The hub client itself refuses, as it does on a machine without a network."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        UserError, match=r"--model-encoder-weights: imagenet of resnet18 cannot be had .*needs a network"
    ):
        factory.create_network("Unet", "resnet18", "imagenet", 3, 2)


@pytest.mark.parametrize(
    ("arch", "encoder", "size", "suggested"),
    [
        ("UnetPlusPlus", "resnet18", 50, "32 and 64"),
        ("DeepLabV3Plus", "resnet18", 40, "32 and 48"),
        ("PSPNet", "resnet18", 36, "32 and 40"),
        ("PAN", "resnet18", 64, "128"),
        ("Unet", "tu-maxvit_tiny_rw_224", 256, "224 and 448"),
    ],
)
def test_patch_sizes_that_do_not_work(arch, encoder, size, suggested):
    with pytest.raises(UserError, match=f"of {size} pixels; the nearest that work: {suggested}\\."):
        factory.check_patch_size(arch, encoder, size)


@pytest.mark.parametrize(
    ("arch", "encoder", "size"),
    [("Unet", "resnet18", 64), ("unet", "mit_b0", 96), ("DeepLabV3Plus", "resnet18", 48), ("FPN", "mobilenet_v2", 32)],
)
def test_patch_sizes_that_work_do(arch, encoder, size):
    factory.check_patch_size(arch, encoder, size)
    network = factory.create_network(arch, encoder, None, 3, 2).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, size, size)).shape[-2:] == (size, size)


def test_strides():
    assert factory.stride("Unet", "resnet18") == 32
    assert factory.stride("DeepLabV3", "resnet18") == 8


def test_asking_for_shapes_does_not_move_the_random_generator():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    factory.check_patch_size("Unet", "resnet34", 64)
    factory.check_patch_size("Unet", "mit_b0", 64)
    assert torch.equal(torch.rand(1), expected)


def test_devices():
    assert torch_device("cpu") == torch.device("cpu")
    assert (
        torch_device(None)
        == torch_device("auto")
        == torch.device(known_devices()[1 if len(known_devices()) > 1 else 0])
    )
    for text in ("cuda:99", "99", "gpu", "-1", "mps:0"):
        with pytest.raises(UserError, match=r"--device.*cpu"):
            torch_device(text)
