"""Whether a training on a processor is in bfloat16, which some processors multiply twice as fast as float32."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from advisor.network.modes import evaluating

if TYPE_CHECKING:
    from torch import Tensor, nn

WORTH_TIMING = 100  # steps of a training from which on two warm-ups and six timed steps are a small part
FAST_ENOUGH = 0.85  # of the time in float32; a smaller gain may be noise
SWITCH = "ADVISOR_PRECISION"  # `float32` in the environment leaves bfloat16 out
_FLAGS = {"avx512_bf16", "amx_bf16"}
_ROUNDS = 3


def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 itself, as far as the system tells, and nobody has said no."""
    return os.environ.get(SWITCH) != "float32" and _told(cpuinfo)


def bfloat16_ratio(model: nn.Module, example: tuple[Tensor, ...], batch_size: int) -> float:
    """Seconds of a forward and backward pass in bfloat16 over those in float32: the best of three each, in turns.

    Args:
        model: called as `model(*inputs)`; not changed, but for gradients that are None afterwards.
        example: inputs for one image or more; repeated to a batch.
        batch_size: images of a step.
    """
    inputs = tuple(torch.cat([one[:1]] * batch_size) for one in example)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    with evaluating(model), torch.enable_grad():
        for round_ in range(_ROUNDS + 1):
            for lowered, taken in seconds.items():
                began = time.perf_counter()
                with torch.autocast("cpu", torch.bfloat16, enabled=lowered):
                    out = model(*inputs)
                out.float().square().mean().backward()
                if round_:  # the first of each kind warms up
                    taken.append(time.perf_counter() - began)
                model.zero_grad(set_to_none=True)
    return min(seconds[True]) / min(seconds[False])


@functools.cache
def _told(cpuinfo: Path) -> bool:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:  # another system than Linux
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return not _FLAGS.isdisjoint(flags)
