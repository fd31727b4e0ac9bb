"""Names of the ways to vary training images, apart from their making, which needs torch."""

# Only `flip_crop` mirrors: mirrored letters and digits are other characters or none.
AUGMENTATIONS = ("none", "crop", "flip_crop", "randaugment", "trivial")
