"""Training steps without Lightning, trackers or checkpoints: the least that learning with these settings takes."""

import torch

from darts_train.options.learning import Precision
from darts_train.training.augmentation.usual import step_seed
from darts_train.training.hardware.devices import resolve_precision
from darts_train.training.loading.patches import Batch
from darts_train.training.module import SegmentationModule
from darts_train.training.optimising.optimisers import make_optimiser

_DTYPES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class BareSteps:
    """Decode, augment, forward, backward, update: one call per batch, in the precision that a run would have.

    `together` batches make an update; None: as many as the run's settings say. The loss of float16 is not scaled: the
    weights are of no use afterwards.
    """

    def __init__(
        self, module: SegmentationModule, precision: Precision, device: torch.device, together: int | None = None
    ) -> None:
        self.module, self.device = module.to(device).train(), device
        self._dtype = _DTYPES.get(resolve_precision(precision, device))
        self._optimiser = make_optimiser(self.module.model, module.settings)
        self.together = together or module.settings.accumulate_grad_batches
        self.done = 0

    def __call__(self, batch: Batch) -> None:
        """One batch: x as in `patches`, y uint8 [n, h, w], on any device."""
        codes, y = (batch[name].to(self.device, non_blocking=True) for name in ("x", "y"))
        with torch.autocast(self.device.type, self._dtype, enabled=self._dtype is not None):
            mixed = self.module.step_input(codes, y, step_seed(self.module.seed, self.done))
            loss = mixed.loss(self.module.loss, self.module._logits(mixed.x))
        (loss / self.together).backward()  # type: ignore[no-untyped-call]
        self.done += 1
        if self.done % self.together == 0:
            self._optimiser.step()
            self._optimiser.zero_grad()

    def wait(self) -> None:
        """Until the device has done everything that was queued."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
