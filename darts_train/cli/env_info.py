"""What `darts env-info` tells: versions, devices, places."""

import os
from typing import Any

from darts_train.base.provenance import host, package_versions


def collect() -> dict[str, Any]:
    """Versions of packages, the host, processors and CUDA devices. A broken torch is reported, not raised."""
    info: dict[str, Any] = {"host": host(), "cpus": len(os.sched_getaffinity(0)), "packages": package_versions()}
    try:
        import torch

        info["cuda_devices"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        info["cuda"] = torch.version.cuda
        info["torch_threads"] = torch.get_num_threads()
    except (ImportError, OSError) as error:
        info["torch_error"] = str(error)
    return info


def lines(info: dict[str, Any]) -> list[str]:
    """The same as text, one fact a line."""
    text = [f"{key}: {value}" for key, value in info["host"].items()]
    text.append(f"processors: {info['cpus']}")
    devices = info.get("cuda_devices")
    if "torch_error" in info:
        text.append(f"torch does not load: {info['torch_error']}")
    else:
        text.append(f"CUDA devices: {', '.join(devices) if devices else 'none; networks run on the CPU'}")
    return text + [f"{name} {version}" for name, version in info["packages"].items()]
