"""Small real things to try plugins on: images whose classes can be seen, and a very small network."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL.Image import Image

CLASSES = ("across", "blobs", "down")
ARCHITECTURE, TRANSFORMER, SIDE = "test_resnet", "test_vit", 64


def draw(kind: int, seed: int, size: tuple[int, int] = (40, 48)) -> Image:
    """An image whose class is visible: stripes across, stripes down, or blobs, in noisy colours.

    Args:
        kind: which, 0, 1 or 2.
        seed: of colour and noise.
        size: height and width, pixels.
    """
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng([kind, seed])
    height, width = size
    y, x = np.mgrid[:height, :width]
    wave = (np.sin(y / 2.5), np.sin(x / 2.5), np.sin(x / 6) * np.sin(y / 6))[kind % 3]
    colour = rng.uniform(0.3, 1.0, 3) * ((1.0, 0.5, 0.3), (0.4, 1.0, 0.5), (0.5, 0.4, 1.0))[kind % 3]
    pixels = 120 + 90 * wave[..., None] * colour + rng.normal(0, 12, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def tiny_images(root: Path, each: int = 24) -> Path:
    """A folder with three classes of drawn images; its path.

    Args:
        root: to be made.
        each: images of a class.
    """
    for kind, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for seed in range(each):
            draw(kind, seed).save(root / name / f"{seed:02d}.png")
    return root


def tiny_network(folder: Path, *, attention: bool = False) -> str:
    """A very small network with seeded weights in timm's layout; its name as a backbone.

    Args:
        folder: to be made.
        attention: whether it is a transformer.
    """
    import timm
    import torch
    from timm.models import save_for_hf

    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = timm.create_model(
            TRANSFORMER if attention else ARCHITECTURE,
            pretrained=False,
            pretrained_cfg_overlay={"input_size": (3, SIDE, SIDE)},
            **({"img_size": SIDE} if attention else {}),
        )
    save_for_hf(network, str(folder), safe_serialization=True)
    return f"local-dir:{folder}"


@contextmanager
def own_cache(folder: Path) -> Iterator[None]:
    """Keep what is computed meanwhile in a folder of its own."""
    before = os.environ.get("ADVISOR_CACHE")
    os.environ["ADVISOR_CACHE"] = str(folder / "cache")
    try:
        yield
    finally:
        if before is None:
            del os.environ["ADVISOR_CACHE"]
        else:
            os.environ["ADVISOR_CACHE"] = before
