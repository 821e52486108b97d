"""Serialised Albumentations pipelines, as files of others have them."""

import json
import sys

import pytest
import yaml

from darts_train.base.errors import UserError
from darts_train.experiments.one_run.augmentation_file import with_read_augmentations
from darts_train.options.learning import Hyperparameters
from darts_train.training.augmentation.albumentations_library import pipeline_tree
from darts_train.training.augmentation.text import parse_steps
from darts_train.training.module import SegmentationModule
from tests.support.pipelines import p1b, p3
from tests.support.runs import run, weights_hash
from tests.support.sets import make_set


def node(name, **arguments):
    return {"__class_fullname__": name, **arguments}


def read(path, *nodes, version="2.0.8", **top):
    tree = {"__version__": version, "transform": node("Compose", p=top.pop("p", 1.0), transforms=list(nodes), **top)}
    path.write_text(json.dumps(tree))
    return with_read_augmentations(Hyperparameters(augment_config=path)).augmentations


PIPELINE = """
__version__: 2.0.9
transform:
  __class_fullname__: Compose
  additional_targets: {}
  bbox_params: null
  is_check_shapes: true
  keypoint_params: null
  p: 1.0
  seed: 42
  transforms:
    - {__class_fullname__: SquareSymmetry, p: 1}
    - __class_fullname__: Affine
      balanced_scale: false
      border_mode: 0
      fill: 0.0
      fill_mask: &ignore_index -100
      fit_output: false
      interpolation: 1
      keep_ratio: true
      mask_interpolation: 0
      p: 0.3
      rotate: [-15.0, 15.0]
      rotate_method: largest_box
      scale: {x: [0.9, 1.1], y: [0.9, 1.1]}
      shear: {x: [0.0, 0.0], y: [0.0, 0.0]}
      translate_percent: {x: [-0.05, 0.05], y: [-0.05, 0.05]}
      translate_px: null
    - __class_fullname__: OneOf
      p: 0.5
      transforms:
        - {__class_fullname__: RandomBrightnessContrast, brightness_limit: [-0.1, 0.1], contrast_limit: [-0.1, 0.1],
           brightness_by_max: true, ensure_safe_range: false, p: 0.5}
        - {__class_fullname__: HueSaturationValue, hue_shift_limit: [-5, 5], sat_shift_limit: [-10, 10],
           val_shift_limit: [-15, 15], p: 0.5}
    - __class_fullname__: CoarseDropout
      fill: 0.0
      fill_mask: *ignore_index
      hole_height_range: [1, 5]
      hole_width_range: [1, 5]
      num_holes_range: [1, 64]
      p: 0.3
    - {__class_fullname__: Normalize, max_pixel_value: 255.0, mean: [0.4, 0.4, 0.4], std: [0.2, 0.2, 0.2], p: 1}
    - {__class_fullname__: ToTensorV2, p: 1.0, transpose_mask: false}
"""


def test_a_pipeline_in_yaml_becomes_ours(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(PIPELINE)
    found = with_read_augmentations(Hyperparameters(augment_config=path))
    assert found.augment_config is None
    square, affine, group, holes = parse_steps(found.augmentations)
    assert (square.name, square.p) == ("D4", 1.0)
    assert affine.parameters == {
        "scale": (0.9, 1.1), "translate_percent": (-0.05, 0.05), "rotate": (-15, 15), "shear": (0, 0),
        "keep_ratio": True,
    }  # fmt: skip
    assert (group.name, group.p, [child.name for child in group.children]) == (
        "OneOf", 0.5, ["RandomBrightnessContrast", "HueSaturationValue"],
    )  # fmt: skip
    assert group.children[0].parameters["brightness_by_max"] is True
    assert (holes.parameters["num_holes_range"], holes.parameters["ignore"]) == ((1, 64), True)


def test_what_a_file_leaves_out_has_their_default(tmp_path):
    noise, holes, light, poster, crop = parse_steps(
        read(tmp_path / "a.json", *map(node, (
            "GaussNoise", "albumentations.augmentations.dropout.CoarseDropout", "RandomBrightnessContrast", "Posterize",
            "RandomResizedCrop"))),
    )  # fmt: skip
    assert noise.parameters["std_range"] == (0.2, 0.44)
    assert holes.parameters["ignore"] is False
    assert light.parameters["brightness_by_max"] is True
    assert (poster.parameters["num_bits"], poster.p) == ((4, 4), 0.5)
    assert (crop.parameters["scale"], crop.p) == ((0.08, 1.0), 1.0)


def test_groups_in_groups_and_a_chance_of_the_whole(tmp_path):
    inner = node("Sequential", p=0.5, transforms=[node("Blur", blur_limit=[3, 5], p=0.2), node("D4", p=1)])
    texts = read(tmp_path / "a.json", node("OneOf", p=0.4, transforms=[inner, node("RandomGamma", p=0.5)]), p=0.8)
    (whole,) = parse_steps(texts)
    assert (whole.name, whole.p) == ("Sequential", 0.8)
    assert [child.name for child in whole.children[0].children] == ["Sequential", "RandomGamma"]
    assert whole.children[0].children[0].children[0].parameters["blur_limit"] == (3, 5)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([{"name": "Rotate"}], "without __class_fullname__"),
        ([node("OneOf", p=1)], "OneOf has no list 'transforms'"),
        ([node("Normalize", p=1)], "there is no augmentation in it"),
    ],
)
def test_what_is_no_pipeline_is_refused(tmp_path, nodes, words):
    told(tmp_path, nodes, words)


def told(tmp_path, nodes, words):
    with pytest.raises(UserError) as error:
        read(tmp_path / "a.json", *nodes)
    assert words in str(error.value)
    assert str(error.value).startswith(f"--augment-config: {tmp_path / 'a.json'}")
    assert "\n" not in str(error.value)


THEIRS = [
    ([node("D4"), node("CLAHE", p=0.1), node("CLAHE")], "CLAHE"),
    ([node("OneOf", p=1, transforms=[node("ElasticTransform"), node("Blur")])], "ElasticTransform"),
    ([node("SomeOf", p=1, n=2, transforms=[node("D4")])], "SomeOf"),
    ([node("Affine", scale={"x": [1, 1], "y": [1, 2]}), node("MedianBlur")], "Affine, MedianBlur"),
    ([node("Rotate", border_mode=4)], "Rotate"),
    ([node("Rotate", limit=[-400, 5])], "Rotate"),
]


@pytest.mark.parametrize(("nodes", "names"), THEIRS)
def test_what_has_no_counterpart_needs_albumentations(tmp_path, nodes, names, monkeypatch):
    monkeypatch.setitem(sys.modules, "albumentations", None)
    line = ": only Albumentations can do that, which is not installed: uv pip install 'darts-train[albumentations]'"
    told(tmp_path, nodes, f"a.json: {names}{line}")


@pytest.mark.parametrize(("nodes", "names"), THEIRS)
def test_what_has_no_counterpart_is_kept_whole(tmp_path, nodes, names):
    pytest.importorskip("albumentations")
    (text,) = read(tmp_path / "a.json", *nodes, seed=4)
    assert pipeline_tree([text])["transforms"] == nodes


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node("D4", p=1), node("Rotate", wobble=4)], "transform.transforms[1]: Rotate has no parameter wobble."),
        ([node("Rotate", p=1.5)], "transform.transforms[0]: Rotate: p: "),
        ([node("OneOf", p=1, transforms=[node("Blur"), node("CLAEH")])],
         "transform.transforms[0].transforms[1]: Albumentations has no CLAEH to read; nearest: CLAHE"),
        ([node("os.system", command="true")], "Albumentations has no system to read"),
        ([node("CLAHE"), node("OneOf", p=1)], ": OneOf has no list 'transforms'"),
        ([node("CropAndPad")], "transform.transforms[0]: CropAndPad: Both px and percent parameters cannot be None"),
        ([node("CLAHE", clip_limit="high")], "CLAHE: clip_limit.tuple[float, float]: Input should be a valid tuple."),
    ],
)  # fmt: skip
def test_what_albumentations_does_not_take_is_told_with_its_place(tmp_path, nodes, words):
    pytest.importorskip("albumentations")
    told(tmp_path, nodes, words)


@pytest.mark.parametrize("text", ["{}", '{"transform": [1]}', '{"transform": {"a": 1}}'])
def test_other_files_are_told(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match="no serialised Albumentations pipeline"):
        with_read_augmentations(Hyperparameters(augment_config=tmp_path / "a.json"))


def test_one_of_two_options(tmp_path):
    with pytest.raises(UserError, match="exclude each other"):
        with_read_augmentations(Hyperparameters(augment_config=tmp_path / "a.json", augmentations=("D4",)))
    plain = Hyperparameters()
    assert with_read_augmentations(plain) is plain


def test_a_run_with_a_file_is_one_with_what_it_says(tmp_path):
    make_set(tmp_path / "set", patches=6, size=32)
    texts = read(tmp_path / "a.json", node("D4", p=1), node("Affine", scale=[0.7, 1.3], p=1))
    first, again = (
        run(tmp_path / "set", tmp_path / "run", h=settings, t={"max_epochs": 1, "plot_every_n_val_epochs": 1})
        for settings in ({"augment_config": tmp_path / "a.json"}, {"augmentations": texts})
    )
    assert (first.resumed, again.resumed) == (False, True)
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["hyperparameters"]
    assert (recorded["augmentations"], recorded["augment_config"]) == (list(texts), None)
    module = SegmentationModule.load_from_checkpoint(first.best_checkpoint, weights_only=True, pretrained=False)
    assert [str(step) for step in module.pipeline.steps] == list(texts)
    assert (tmp_path / "run/figures/data/augmentation.png").is_file()


def test_a_run_augmented_by_albumentations(tmp_path):
    pytest.importorskip("albumentations")
    make_set(tmp_path / "set", patches=6, size=32)
    path = tmp_path / "p1b.yaml"
    path.write_text(yaml.safe_dump(p1b(32)))
    first, again = (
        run(tmp_path / "set", tmp_path / directory, h={"augment_config": path}, t={"max_epochs": 1, **settings})
        for directory, settings in (("one", {"plot_every_n_val_epochs": 1}), ("two", {"num_workers": 0}))
    )
    assert weights_hash(first.best_checkpoint) == weights_hash(again.best_checkpoint)
    recorded = json.loads((tmp_path / "one" / "run.json").read_text())["settings"]["hyperparameters"]
    assert pipeline_tree(recorded["augmentations"]) == p1b(32)["transform"]
    module = SegmentationModule.load_from_checkpoint(first.best_checkpoint, weights_only=True, pretrained=False)
    assert module.pipeline is None
    assert (tmp_path / "one/figures/data/augmentation.png").is_file()


def test_patches_may_become_smaller(tmp_path):
    pytest.importorskip("albumentations")
    make_set(tmp_path / "set", patches=6, size=64)
    path = tmp_path / "crop.yaml"
    path.write_text(yaml.safe_dump(p3(32)))
    found = run(tmp_path / "set", tmp_path / "run", h={"augment_config": path}, t={"max_epochs": 1})
    assert found.best_checkpoint.is_file()
    path.write_text(yaml.safe_dump(p3(33)))
    with pytest.raises(UserError, match="33"):
        run(tmp_path / "set", tmp_path / "other", h={"augment_config": path})
    assert not (tmp_path / "other").exists()


def test_a_wrong_name_is_told_before_anything_is_written(tmp_path):
    make_set(tmp_path / "set", patches=6, size=32)
    with pytest.raises(UserError, match="nearest: CoarseDropout"):
        run(tmp_path / "set", tmp_path / "run", h={"augmentations": ("CoarseDroput",)})
    assert not (tmp_path / "run").exists()
