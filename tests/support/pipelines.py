"""Pipelines as Hakai trains with them (P1 to P5 of their configurations), for patches of `size` pixels.

Every chance below one is `p` where it is given, so that a test need not draw for long.
"""

from typing import Any

IGNORE = {"fill": 0.0, "fill_mask": -100}
WARP = {"interpolation": 1, "mask_interpolation": 0, **IGNORE}


def node(name: str, **arguments: Any) -> dict[str, Any]:
    return {"__class_fullname__": name, **arguments}


def either(p: float, *transforms: dict[str, Any]) -> dict[str, Any]:
    return node("OneOf", p=p, transforms=list(transforms))


def tree(*transforms: dict[str, Any], version: str = "2.0.8", **top: Any) -> dict[str, Any]:
    fixed = {"additional_targets": {}, "bbox_params": None, "is_check_shapes": True, "keypoint_params": None, "p": 1.0}
    return {
        "__version__": version,
        "transform": node("Compose", **fixed, **{"seed": None, **top}, transforms=list(transforms)),
    }


def to_tensor(**normalise: Any) -> list[dict[str, Any]]:
    numbers = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "max_pixel_value": 255.0}
    return [
        node("Normalize", p=1.0, normalization="standard", **{**numbers, **normalise}),
        node("ToTensorV2", p=1.0, transpose_mask=False),
    ]


def light(limit: float) -> dict[str, Any]:
    limits = [-limit, limit]
    return node("RandomBrightnessContrast", brightness_limit=limits, contrast_limit=limits, brightness_by_max=True,
                ensure_safe_range=False, p=0.5)  # fmt: skip


def colour(hue: float, saturation: float, value: float) -> dict[str, Any]:
    return node("HueSaturationValue", hue_shift_limit=[-hue, hue], sat_shift_limit=[-saturation, saturation],
                val_shift_limit=[-value, value], p=0.5)  # fmt: skip


def noise(std: list[float], intensity: list[float]) -> list[dict[str, Any]]:
    return [
        node("GaussNoise", std_range=std, mean_range=[0.0, 0.0], per_channel=True, noise_scale_factor=1.0, p=0.5),
        node("ISONoise", color_shift=[0.01, 0.05], intensity=intensity, p=0.5),
    ]


def blurs(limit: list[int], sigma: list[float]) -> list[dict[str, Any]]:
    return [
        node(
            "MotionBlur", blur_limit=limit, allow_shifted=True, angle_range=[0, 360], direction_range=[-1.0, 1.0], p=0.5
        ),
        node("MedianBlur", blur_limit=limit, p=0.5),
        node("GaussianBlur", blur_limit=0, sigma_limit=sigma, p=0.5),
    ]


def affine(p: float, scale: list[float], rotate: float, shift: float) -> dict[str, Any]:
    both = {"x": [-shift, shift], "y": [-shift, shift]}
    return node("Affine", scale={"x": scale, "y": scale}, keep_ratio=True, translate_percent=both, translate_px=None,
                rotate=[-rotate, rotate], shear={"x": [0.0, 0.0], "y": [0.0, 0.0]}, rotate_method="largest_box",
                balanced_scale=False, fit_output=False, border_mode=0, **WARP, p=p)  # fmt: skip


def grid(steps: int, limit: float, p: float) -> dict[str, Any]:
    return node("GridDistortion", num_steps=steps, distort_limit=[-limit, limit], normalized=True, **WARP, p=p)


def holes(count: list[int], side: list[int], p: float, **fill: Any) -> dict[str, Any]:
    return node("CoarseDropout", num_holes_range=count, hole_height_range=side, hole_width_range=side, p=p, **fill)


def p1(size: int) -> dict[str, Any]:
    """kelp-rgb, mussels-rgb, hab_baseline."""
    return tree(
        node("D4", p=1.0),
        either(0.5, light(0.1), colour(5, 10, 15)),
        either(0.3, *noise([0.02, 0.044], [0.1, 0.2])),
        either(0.3, *blurs([3, 7], [0.5, 3.0])),
        either(0.3, holes([1, 64], [1, 5], 1.0, **IGNORE), grid(10, 0.1, 0.3)),
        node("CLAHE", clip_limit=[1.0, 2.0], tile_grid_size=[8, 8], p=0.1),
        node("ColorJitter", brightness=[0.95, 1.05], contrast=[0.95, 1.05], saturation=[0.95, 1.05],
             hue=[-0.05, 0.05], p=0.3),
        affine(0.3, [0.9, 1.1], 5, 0.05),
        *to_tensor(),
        version="2.0.9",
    )  # fmt: skip


def p1b(size: int) -> dict[str, Any]:
    """kelp-rgb retuned: the size changes, and comes back."""
    return tree(
        node("D4", p=1.0),
        node("RandomScale", scale_limit=[-0.5, 0.5], interpolation=1, mask_interpolation=0, p=0.5),
        node("PadIfNeeded", min_height=size, min_width=size, position="random", border_mode=0, **IGNORE, p=1.0),
        node("RandomCrop", height=size, width=size, pad_if_needed=False, p=1.0),
        either(0.6, light(0.2), colour(8, 15, 20)),
        grid(10, 0.1, 0.3),
        node("ColorJitter", brightness=[0.9, 1.1], contrast=[0.9, 1.1], saturation=[0.9, 1.1],
             hue=[-0.08, 0.08], p=0.4),
        *to_tensor(),
    )  # fmt: skip


def p2(size: int) -> dict[str, Any]:
    """eelgrass-rgb."""
    elastic = node("ElasticTransform", alpha=50, sigma=10, approximate=False, same_dxdy=False, **WARP, p=0.5)
    return tree(
        node("D4", p=1.0),
        either(0.5, light(0.1), colour(10, 15, 15)),
        either(0.3, *noise([0.02, 0.044], [0.1, 0.2])),
        either(0.3, *blurs([3, 5], [0.3, 1.5])),
        affine(0.3, [0.7, 1.3], 5, 0.05),
        either(0.3, holes([1, 64], [1, 5], 1.0, **IGNORE), grid(5, 0.15, 1.0), elastic),
        node("CLAHE", clip_limit=[1.0, 4.0], tile_grid_size=[8, 8], p=0.2),
        *to_tensor(),
    )


def p3(size: int) -> dict[str, Any]:
    """PlanetScope with eight bands; all but the crop is ours, too."""
    return tree(
        node("RandomCrop", height=size, width=size, pad_if_needed=True, pad_position="center", border_mode=0, **IGNORE,
             p=1.0),
        node("ToFloat", max_value=4000.0, p=1.0),
        node("SquareSymmetry", p=1.0),
        node("RandomBrightnessContrast", brightness_limit=[-0.2, 0.2], contrast_limit=[0.0, 0.0],
             brightness_by_max=False, ensure_safe_range=False, p=0.3),
        holes([1, 8], [1, 32], 0.5, **IGNORE),
        *to_tensor(mean=[0.43] * 8, std=[0.18] * 8, max_pixel_value=1.0),
        seed=42,
    )  # fmt: skip


def p4(size: int) -> dict[str, Any]:
    """RGBI segformer: four bands."""
    return tree(
        node("D4", p=1.0),
        affine(0.3, [0.8, 1.2], 0, 0.0625),
        node("PadIfNeeded", min_height=size, min_width=size, position="center", border_mode=0, **IGNORE, p=1.0),
        node("RandomCrop", height=size, width=size, pad_if_needed=False, p=1.0),
        node("MaskDropout", max_objects=[1, 3], fill=0.0, fill_mask=0, p=0.1),
        either(0.8, light(0.3), node("RandomGamma", gamma_limit=[70, 130], p=0.5)),
        either(
            0.2,
            node("ElasticTransform", alpha=1, sigma=50, **WARP, p=0.5),
            node("OpticalDistortion", distort_limit=[-0.05, 0.05], mode="camera", **WARP, p=0.5),
            grid(5, 0.3, 0.5),
            node("Perspective", scale=[0.05, 0.1], keep_size=True, fit_output=False, border_mode=0, **WARP, p=0.5),
        ),
        either(
            0.2,
            node("GaussNoise", std_range=[0.2, 0.44], mean_range=[0.0, 0.0], per_channel=True, p=0.5),
            node("MultiplicativeNoise", multiplier=[0.9, 1.1], per_channel=False, elementwise=False, p=0.5),
            node("Sharpen", alpha=[0.2, 0.5], lightness=[0.5, 1.0], method="kernel", p=0.5),
            node("GaussianBlur", blur_limit=0, sigma_limit=[0.5, 3.0], p=0.5),
        ),
        *to_tensor(mean=[0.4, 0.45, 0.474, 0.448], std=[0.328, 0.303, 0.284, 0.349]),
    )


def p5(size: int) -> dict[str, Any]:
    """Mussels and goosenecks: labels stay under holes."""
    jitter = node("ColorJitter", brightness=[0.85, 1.15], contrast=[0.85, 1.15], saturation=[0.8, 1.2],
                  hue=[-0.05, 0.05], p=0.5)  # fmt: skip
    sharper = [
        node("Sharpen", alpha=[0.2, 0.5], lightness=[0.5, 1.0], p=0.5),
        node("UnsharpMask", blur_limit=[3, 7], sigma_limit=0.0, alpha=[0.2, 0.5], threshold=10, p=0.5),
    ]
    return tree(
        node("D4", p=1.0),
        affine(0.5, [0.9, 1.1], 15, 0.0),
        either(0.5, light(0.2), colour(10, 20, 15), jitter),
        node("RandomToneCurve", scale=0.15, per_channel=False, p=0.2),
        node("CLAHE", clip_limit=[1.0, 2.0], tile_grid_size=[8, 8], p=0.15),
        either(0.15, *sharper),
        either(0.2, *noise([0.02, 0.05], [0.1, 0.3])),
        either(0.1, *blurs([3, 5], [0.5, 3.0])[1:]),
        either(0.1, node("GridDropout", ratio=0.2, fill=0.0, p=0.5), holes([2, 6], [4, 8], 0.5, fill=0.0)),
        *to_tensor(),
        seed=42,
    )


HAKAI = {"P1": p1, "P1b": p1b, "P2": p2, "P3": p3, "P4": p4, "P5": p5}
