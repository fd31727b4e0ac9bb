"""Drawn pictures that are not square, whose class is to be seen at their two ends only."""

import numpy as np
from PIL import Image

from advisor.testing.samples import CLASSES, draw

TURNED = 6  # EXIF's word for an image that lies on its right side


def ends(kind, seed, size=(40, 120)):
    """A picture of noise, with a picture of its class at either end.

    Args:
        kind: which class, 0, 1 or 2.
        seed: of the noise.
        size: height and width, pixels.
    """
    rng = np.random.default_rng([7, kind, seed])
    image = Image.fromarray(rng.normal(120, 30, (*size, 3)).clip(0, 255).astype(np.uint8))
    short, far = min(size), max(1, max(size) // 6)
    part = draw(kind, seed, (short, far))
    part = part if image.width >= image.height else part.transpose(Image.Transpose.TRANSPOSE)
    image.paste(part, (0, 0))
    image.paste(part, (image.width - part.width, image.height - part.height))
    return image


def wide_images(root, each=20):
    """A folder with three classes of lying and standing pictures of 3 : 1, some turned by a note in the file.

    Of ten of a class, one is 50 : 1 and one is small.
    """
    for kind, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for seed in range(each):
            size = {7: (120, 40), 8: (8, 400), 9: (18, 54)}.get(seed % 10, (40, 120))
            image, exif = ends(kind, seed, size), Image.Exif()
            if seed % 10 == 6:
                image, exif[0x0112] = image.transpose(Image.Transpose.ROTATE_90), TURNED
            image.save(root / name / f"{seed:02d}.png", exif=exif)
    return root
