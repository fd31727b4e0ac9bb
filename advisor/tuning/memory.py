"""How much memory there is, how much training takes, and how many images therefore fit at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import Tensor, nn

_WORKING_COPIES = 3  # of the largest map, while the backward pass is at it
_ROOT = Path("/")
_UNLIMITED = 1 << 60  # version 1 of control groups writes a number about as large as this for "no limit"


def free_memory(device: torch.device, root: Path = _ROOT) -> int:
    """Bytes that this process could still take on a device.

    On the CPU that is what the system has available, or what the limits of its control groups (containers, batch
    systems) leave, whichever is less. Files that the system keeps in memory count as available, as they give way.

    Args:
        device: `cpu` or `cuda`.
        root: of the file system that tells.
    """
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    return free_main_memory(root)


def free_main_memory(root: Path = _ROOT) -> int:
    """`free_memory` of the CPU; it works without torch."""
    return max(0, min([_available(root), *_left_by_groups(root)]))


def used_memory(device: torch.device) -> int:
    """Bytes that this process holds: in main memory on the CPU, reserved by the allocator on a GPU."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.memory_reserved(device))
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:  # not Linux: the most that it has held comes closest
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def activation_bytes(model: nn.Module, inputs: Tensor | tuple[Tensor, ...]) -> int:
    """Bytes that one image's training takes: what its forward pass keeps for the backward pass, and that pass's own.

    The backward pass holds the gradients of the largest kept map and of what made it, and a copy in another layout.
    Weights and what else does not grow with the images are left out: with two images or more, by subtracting a pass
    of one image. The passes are in evaluation mode, so that they change nothing; dropout's masks are not counted.

    Args:
        model: called as `model(*inputs)`.
        inputs: (B, …) each; the first two images are used.
    """
    parts = inputs if isinstance(inputs, tuple) else (inputs,)
    from advisor.network.modes import evaluating

    with evaluating(model):
        one = _kept(model, tuple(part[:1] for part in parts))
        if len(parts[0]) < 2:
            return one
        return max(0, _kept(model, tuple(part[:2] for part in parts)) - one)


def fitting_batch(cap: int, used: int, fixed_bytes: int, per_image: int) -> int:
    """How many images fit at once, at least 1.

    Args:
        cap: bytes that the process may hold.
        used: bytes that it holds.
        fixed_bytes: that training adds whatever the batch: gradients, the optimiser's state, copies of weights.
        per_image: bytes that each image adds.
    """
    return max(1, (cap - used - fixed_bytes) // max(1, per_image))


def _available(root: Path) -> int:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except FileNotFoundError:
        lines = []
    for line in lines:
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            return int(amount.split()[0]) * 1024
    known = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    return os.sysconf(known) * os.sysconf("SC_PAGE_SIZE")


def _left_by_groups(root: Path) -> Iterator[int]:
    """What the process's control group and each one above it leave, in both versions of control groups."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            names, top = ("memory.max", "memory.current", "inactive_file"), root / "sys/fs/cgroup"
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            top = root / "sys/fs/cgroup/memory"
        else:
            continue
        # Inside a container the path may be that of the host, which is not there; its own group is then at the top.
        own = top / path.strip("/")
        for folder in [own, *(parent for parent in own.parents if parent.is_relative_to(top))]:
            limit, usage = _number(folder / names[0]), _number(folder / names[1])
            if limit is not None and usage is not None and limit < _UNLIMITED:
                yield limit - usage + _statistic(folder / "memory.stat", names[2])


def _number(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:  # not there at the top of the hierarchy, or not ours to read
        return None
    return int(text) if text.isdigit() else None


def _statistic(file: Path, wanted: str) -> int:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return next((int(value) for name, value in map(str.split, lines) if name == wanted), 0)


def _kept(model: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Bytes of all distinct tensors kept for the backward pass that are not the model's own."""
    import torch

    from advisor.network.kept_tensors import kept_sizes

    inputs = tuple(one.clone() for one in inputs)  # a slice would count with all of what it was cut from
    with torch.autocast("cuda", torch.bfloat16, enabled=inputs[0].is_cuda):
        sizes = kept_sizes(lambda: model(*inputs), model)
    return sum(sizes) + _WORKING_COPIES * max(sizes, default=0)
