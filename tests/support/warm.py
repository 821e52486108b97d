"""Imported by the server from which short-lived test processes are forked: what takes long the first time.

No thread may live at a fork, so nothing here computes with more than this one, and nothing runs backward.
"""

import torch
import torch._dynamo

from tests.support.runs import SMALL, check_fit

torch.set_num_threads(1)
check_fit(SMALL["model_arch"], SMALL["model_encoder"], 32, ())
