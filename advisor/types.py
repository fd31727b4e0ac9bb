"""What plugins yield: frozen, standard-library-only data. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

Scalar = bool | int | float | str
Item_co = TypeVar("Item_co", covariant=True)

# What people call the parts of a dataset, lower case, and what they are here.
PARTS = {
    "train": "train", "training": "train", "trains": "train", "trn": "train", "trainval": "train",
    "val": "val", "valid": "val", "validation": "val", "validate": "val", "dev": "val", "vals": "val", "vld": "val",
    "test": "test", "testing": "test", "tests": "test", "tst": "test", "holdout": "test",
    "eval": "test", "evaluation": "test",
}  # fmt: skip

FITS = ("crop", "squash", "pad")  # of a picture into a square


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How pixels become the network's input.

    Attributes:
        size: side of the square input, pixels.
        crop_pct: input size over the size the shorter side is resized to before the centre crop; the other fits leave
            nothing out.
        mean: per-channel mean subtracted after scaling to 0..1.
        std: per-channel divisor.
        interpolation: `bicubic` or `bilinear`, always with antialiasing.
        fit: how a picture that is not square becomes one, of `FITS`: `crop` keeps its middle, `squash` brings both
            sides to one length, `pad` puts borders of the mean colour beside the shorter one. Of a `Backbone`
            it is `crop`; recipes say otherwise (`features.fit`).
    """

    size: int
    crop_pct: float = 0.875
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: str = "bicubic"
    fit: str = "crop"

    @property
    def resize(self) -> int:
        """Side of the square before the centre crop, pixels (rounded down, as timm does)."""
        return int(self.size / self.crop_pct) if self.fit == "crop" else self.size

    @property
    def fill(self) -> tuple[int, int, int]:
        """The colour of borders, levels 0..255: about zero for the network."""
        red, green, blue = (round(255 * mean) for mean in self.mean)
        return red, green, blue


@dataclass(frozen=True, slots=True)
class Weights:
    """Where pretrained weights come from, and on which terms.

    Attributes:
        source: `package:<import name>/<file>`, `hub:<id>` or a path; for people, not for loading.
        sha256: of the weight file; checked before anything is read from it. Empty for hub weights,
            whose integrity the hub client checks.
        licence: SPDX identifier where there is one.
        trained_on: the source data, such as `ImageNet-1k`.
    """

    source: str
    sha256: str = ""
    licence: str = "unknown"
    trained_on: str = "unknown"


@dataclass(frozen=True, slots=True)
class Vote:
    """A logistic vote: σ(±(value - middle) / scale), the sign given by the vote's definition."""

    middle: float
    scale: float


@dataclass(frozen=True, slots=True)
class Reference:
    """A backbone's own constants for the three distance votes (method.md section 2).

    Attributes:
        late: of ln D_late, the Hellinger distance in the last third of the BatchNorm layers.
        gain: of G, the mutual information of the class prediction over its phase-scrambled control.
        kurtosis: of the mean kurtosis of the logits.
    """

    late: Vote
    gain: Vote
    kurtosis: Vote


@dataclass(frozen=True, slots=True)
class Backbone:
    """A pretrained network.

    Attributes:
        name: what a person types.
        create: `create(pretrained)` returns a timm-style `torch.nn.Module` that still has its
            original classifier. It imports torch and timm inside, never at the plugin's top.
        input: how pixels are prepared.
        weights: provenance.
        architecture: timm's name of the architecture, so that timm alone can load what is tuned from
            it; empty when timm does not know it.
        summary: one line.
        imagenet_top1: published ImageNet-1k top-1 accuracy in percent, 0 when unknown.
        reference: constants for the distance votes; None makes the advisor use a self-control instead.
        statistics: of a network without BatchNorm: returns the file that `advisor reference --statistics` wrote,
            what its stages answer to its source data; None makes the advisor borrow another backbone's BatchNorm.
    """

    name: str
    create: Callable[[bool], nn.Module]
    input: InputSpec
    weights: Weights
    architecture: str = ""
    summary: str = ""
    imagenet_top1: float = 0.0
    reference: Reference | None = None
    statistics: Callable[[], bytes] | None = None


@dataclass(frozen=True, slots=True)
class BackboneFamily:
    """Many backbones under one prefix, resolved only when one is asked for.

    Attributes:
        prefix: the names' common start, such as `timm/`.
        resolve: from a full name to its `Backbone`; raises `BackboneError` with a close match.
        names: all full names; may be slow.
        summary: one line.
    """

    prefix: str
    resolve: Callable[[str], Backbone]
    names: Callable[[], Sequence[str]]
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Param:
    """A value of a head that a recipe may fix or search.

    Attributes:
        name: key in the recipe's `[head.<head name>]` table.
        default: what a recipe that does not mention it gets.
        low: smallest value allowed (numbers only).
        high: largest value allowed (numbers only).
        log: whether a search is uniform in the logarithm.
        choices: the allowed values (choices only).
        help: one line.
    """

    name: str
    default: Scalar
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Scalar, ...] = ()
    help: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """A classifier on pooled features.

    Attributes:
        name: what a recipe says.
        create: `create(width, classes, **values)` returns a module from (B, width) to (B, classes) logits.
        fit: `fit(module, features, labels, **values)` sets the module's parameters from frozen features
            (n, width) float32 and labels (n,) int64, on the CPU; None when only gradient steps can. If it takes
            `weights`, it gets what each image counts (n,), with mean 1, where classes shall count alike; if it takes
            `families`, whole numbers (n,) equal for rows that belong together, such as the views of an image, where
            there are any; if it takes `scaled`, True where the columns are standardised already, as they are wherever
            the network is pretrained.
        loss: `loss(logits, labels)` returns a scalar, used when the network is unfrozen; None is
            cross-entropy, binary where images may have several labels.
        params: what may be tuned.
        multilabel: it also learns where an image may have several labels or none: `fit` and `loss` take labels
            (n, classes) of 0 and 1, too, and σ of a logit is the probability of its label.
        linear: the module is one `torch.nn.Linear`, so that timm's own classifier can hold it.
        tokens: the module reads (B, N, width), one vector for each position, instead of their mean (B, width). It
            learns by gradient steps.
        summary: one line.
    """

    name: str
    create: Callable[..., nn.Module]
    fit: Callable[..., None] | None = None
    loss: Callable[[Tensor, Tensor], Tensor] | None = None
    params: tuple[Param, ...] = ()
    multilabel: bool = False
    linear: bool = False
    tokens: bool = False
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """Labelled images, found but not read.

    Attributes:
        name: short name for folders and titles.
        paths: an identifier of each image, unique within the listing.
        labels: the class name of each image; or, where an image may have several or none, a tuple of names for each.
        read: from an identifier to the encoded bytes of the image file; raises `OSError`.
        splits: `train`, `val`, `test` or empty (undecided) for each image; empty when all are undecided.
        groups: for each image what it shares with others that must not be parted from it, such as a patient, a camera
            or a burst; an empty text shares nothing. Empty when there are none. A group is never divided between
            the parts that are drawn.
        ignored: what was found and is not an image, for people.
        reading: how the location was understood, in sentences for people; shown before anything is computed.
    """

    name: str
    paths: Sequence[str]
    labels: Sequence[str] | Sequence[tuple[str, ...]]
    read: Callable[[str], bytes]
    splits: Sequence[str] = ()
    groups: Sequence[str] = ()
    ignored: Sequence[str] = ()
    reading: Sequence[str] = ()

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several labels, or none."""
        return bool(len(self.labels)) and isinstance(self.labels[0], tuple)


@dataclass(frozen=True, slots=True)
class DatasetFormat:
    """A way to read labelled images.

    Attributes:
        name: what a person sees in lists.
        recognise: from a location to a confidence in 0..1; reads no pixel and raises nothing.
        open: from a location to a `Listing`; raises `DatasetError` or `UsageError`.
        example: a location as a person would type it.
        summary: one line.
        images: from a location to a `Listing` of what `predict` shall predict: an image for each row, in order, whose
            path is shown as it stands and may repeat. Its labels and splits may be missing and are not looked at. It
            raises as `open` does, which is asked where this is None.
    """

    name: str
    recognise: Callable[[str], float]
    open: Callable[[str], Listing]
    example: str = ""
    summary: str = ""
    images: Callable[[str], Listing] | None = None


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """A recipe that a package ships.

    Attributes:
        name: the recipe's name, equal to `name` inside the file.
        read: returns the TOML text.
    """

    name: str
    read: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a plugin's own: `advisor NAME …`.

    Attributes:
        name: what a person types; one that the core has cannot be taken.
        run: from the arguments behind the name to an exit code; raises `AdvisorError` with a hint, and answers
            `--help` itself.
        summary: one line.
    """

    name: str
    run: Callable[[Sequence[str]], int]
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin as the catalog met it.

    Attributes:
        name: its entry point's name.
        distribution: the installed distribution that brought it.
        version: of that distribution.
        hooks: the hooks it implements.
        status: `active`, `disabled` (by the environment) or `broken`.
        reason: why it is broken.
    """

    name: str
    distribution: str
    version: str
    hooks: tuple[str, ...] = ()
    status: Literal["active", "disabled", "broken"] = "active"
    reason: str = ""

    @property
    def origin(self) -> str:
        """Distribution and version, as error messages name it."""
        return f"{self.distribution} {self.version}"

    @property
    def key(self) -> str:
        """Unique among all plugins: two distributions may name an entry point alike."""
        return f"{self.distribution}:{self.name}"


@dataclass(frozen=True, slots=True)
class Offer(Generic[Item_co]):
    """Something a plugin yielded, with its provenance."""

    item: Item_co
    plugin: Plugin = field(repr=False)
