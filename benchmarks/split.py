"""Whether networks of every timm family can be divided into their stages without changing what they compute.

    python benchmarks/split.py [FAMILY ...]

Per family (module of timm.models) the member with the fewest parameters is taken, among those whose input is at most
288 pixels where there are any; it runs at 128 pixels where it can, at its own size otherwise. Families that have only
members of more than 140 M parameters are left out. The network gets random weights, and a random linear classifier
behind its penultimate vector. At each stage it is cut in two (`advisor.network.segments`), and the logits of both
parts one after the other are compared with the network's own, on one image: |Δ| is the largest difference, relative
to max(1, |logits|). Last come the number of families within 1e-5, and one line for each that is not. About 15 minutes
on one core, a third of them to count parameters.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time

import timm
import torch
from timm.models import get_arch_pretrained_cfgs, list_models, list_modules

from advisor.errors import BackboneError
from advisor.network.input_size import resize_input
from advisor.network.segments import Segments
from advisor.network.stages import stages_of
from advisor.types import InputSpec

SIZE = 288  # pixels
SMALL = 128
LARGE = 140_000_000  # parameters
CLASSES = 10
CLOSE = 1e-5


def input_size(architecture: str) -> int:
    """Side of the input that an architecture's first weights were made for, pixels."""
    configs = get_arch_pretrained_cfgs(architecture)
    return min((int(config.input_size[-1]) for config in configs.values()), default=224)


def smallest(family: str) -> tuple[str, int]:
    """The family's member with the fewest parameters, and these; an empty name where it has no classifiers."""
    members = [name for name in list_models(module=family) if not name.endswith("_enc")]
    fitting = [name for name in members if input_size(name) <= SIZE] or members
    counts = {}
    for name in fitting:
        with torch.device("meta"):
            counts[name] = sum(p.numel() for p in timm.create_model(name).parameters())
    name = min(counts, key=lambda name: counts[name], default="")
    return name, counts.get(name, 0)


def difference(name: str) -> tuple[int, float]:
    """Number of stages, and the largest difference of logits over all cuts."""
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=0).eval()
    size = int(network.pretrained_cfg.get("input_size", (3, 224, 224))[-1])
    with contextlib.suppress(BackboneError):
        size = resize_input(network, InputSpec(size=size), min(size, SMALL)).size
    images = torch.randn(1, 3, size, size)
    stages = stages_of(network, images[:1])
    with torch.no_grad():
        vectors = network(images)
        classifier = torch.nn.Linear(vectors.shape[1], CLASSES)
        whole = classifier(vectors)
        segments = Segments(network, stages, images[:1])
        worst = 0.0
        for at in range(1, len(stages)):
            kept = segments.between(network, 0, at)(images)
            logits = classifier(segments.between(network, at, len(stages), tapped=True)(*kept))
            found = float(((logits - whole).abs() / whole.abs().clamp(min=1)).max())
            worst = max(worst, found if math.isfinite(found) else math.inf)
    return len(stages), worst


def main() -> None:
    torch.set_num_threads(1)
    families = sys.argv[1:] or list_modules()
    within, reasons = 0, []
    for family in families:
        name, count = smallest(family)
        if not name:
            continue
        if count > LARGE:
            print(f"{family:24} {name:40} not measured: {count / 1e6:.0f} M parameters", flush=True)
            continue
        began = time.perf_counter()
        try:
            count, worst = difference(name)
        except Exception as error:  # noqa: BLE001 - whatever stops it is the result
            reasons.append(f"{family} ({name}): {type(error).__name__}: {str(error).splitlines()[0]}")
            print(f"{family:24} {name:40} -", flush=True)
            continue
        if worst <= CLOSE:
            within += 1
        else:
            reasons.append(f"{family} ({name}): |Δ| {worst:.1e}")
        seconds = time.perf_counter() - began
        print(f"{family:24} {name:40} {count:3} stages  |Δ| {worst:.1e}  {seconds:5.1f} s", flush=True)
    print(f"{within} of {within + len(reasons)} families within {CLOSE:g}")
    print(*reasons, sep="\n")


if __name__ == "__main__":
    main()
