"""How far images are from those a network was trained on, without having those (method.md section 2)."""

from __future__ import annotations

import io
import zipfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from advisor.advice import priors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from advisor.types import Reference, Vote

_Scalar = TypeVar("_Scalar", bound=np.generic)
_STAGE_EPS = 1e-3  # of the median variance; channels that hardly vary carry no weight, as BatchNorm's own eps has it
_LEAST_OF_CLASS = 8  # images; below, the jackknife no longer removes the bias of a small sample


@dataclass(frozen=True)
class Estimate:
    """A number with its jackknife standard error."""

    value: float
    se: float


@dataclass(frozen=True)
class Distance:
    """Distance of a dataset from a backbone's source data.

    Attributes:
        images: that were measured.
        early: mean squared Hellinger distance (0..1) between the channel statistics of these images and
            those of the source data in the first third of the BatchNorm layers, or of the stages where the
            backbone brings statistics of those; None where nothing is known of the source data.
        middle: of the second third.
        late: of the last third.
        late_control: `late` of the same images with scrambled phases; None where the backbone has constants.
        gain: mutual information of the class prediction (nats), less that of the scrambled images.
        kurtosis: mean kurtosis of the logits.
        votes: probability of `different` by each vote that could be taken.
        vote_intervals: 95 % interval of each.
        different: their mean; 0.5 when no vote could be taken.
        interval: 95 % interval of `different` from the jackknife.
        borrowed: the backbone whose BatchNorm statistics were used, where the judged one has none.
    """

    images: int
    early: Estimate | None
    middle: Estimate | None
    late: Estimate | None
    late_control: float | None
    gain: Estimate | None
    kurtosis: Estimate | None
    votes: dict[str, float]
    vote_intervals: dict[str, tuple[float, float]]
    different: float
    interval: tuple[float, float]
    borrowed: str = ""

    @property
    def shift(self) -> str:
        """What kind of shift the depths show (method.md section 2 [Lee 2022]).

        `content` where the late layers say different, `low-level` where only the early ones move (gray,
        small or blurred images, another sensor), `none`, or `unknown` without BatchNorm.
        """
        if self.early is None or self.late is None or "late" not in self.votes:
            return "unknown"
        if self.votes["late"] >= 0.5:
            return "content"
        return "low-level" if self.early.value > priors.LOW_LEVEL_SHIFT * self.late.value else "none"

    @property
    def side(self) -> str:
        """`similar`, `different` or `borderline`."""
        if self.different < priors.SIMILAR_BELOW:
            return "similar"
        return "different" if self.different > priors.DIFFERENT_ABOVE else "borderline"

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {**asdict(self), "side": self.side, "shift": self.shift}


@dataclass(frozen=True)
class Observed:
    """What forward passes brought home for n images.

    Attributes:
        means: per BatchNorm layer the per-image channel means (n, C) of its input.
        variances: likewise the variances.
        logits: (n, K) of the network's own classifier, or None.
    """

    means: tuple[NDArray[np.float32], ...]
    variances: tuple[NDArray[np.float32], ...]
    logits: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.logits) if self.logits is not None else len(self.means[0]) if self.means else 0

    def select(self, rows: NDArray[np.int64]) -> Observed:
        """The same for some of the images."""
        return Observed(
            tuple(m[rows] for m in self.means),
            tuple(v[rows] for v in self.variances),
            None if self.logits is None else self.logits[rows],
        )


@dataclass(frozen=True)
class SourceStatistics:
    """What a layer is known to answer to the images it was trained on: (C,) mean and variance.

    BatchNorm layers remember it of their input; for the stages of other networks a file can tell.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    eps: float


def statistics_of(norms: list[nn.BatchNorm2d]) -> list[SourceStatistics]:
    """The stored statistics of BatchNorm layers."""
    sources = []
    for norm in norms:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        sources.append(
            SourceStatistics(
                norm.running_mean.double().cpu().numpy(), norm.running_var.double().cpu().numpy(), norm.eps
            )
        )
    return sources


def pool_moments(observed: Observed) -> list[SourceStatistics]:
    """The statistics of images taken together, as a source for others."""
    sources = []
    for means, variances in zip(observed.means, observed.variances, strict=True):
        mean, variance = _together(means, variances)
        sources.append(SourceStatistics(mean, variance, _STAGE_EPS * float(np.median(variance))))
    return sources


def write_sources(sources: list[SourceStatistics]) -> bytes:
    """A compressed NumPy archive of sources, in single precision."""
    arrays = {}
    for index, source in enumerate(sources):
        arrays[f"mean_{index}"] = source.mean.astype(np.float32)
        arrays[f"variance_{index}"] = source.variance.astype(np.float32)
        arrays[f"eps_{index}"] = np.array(source.eps, np.float32)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def read_sources(data: bytes) -> list[SourceStatistics]:
    """The inverse of `write_sources`.

    Raises:
        ValueError: it is no such archive.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)):  # NumPy would take it for a pickle and propose to run it
        raise ValueError("not a file of stage statistics: it is no NumPy archive")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return [
                SourceStatistics(
                    arrays[f"mean_{index}"].astype(np.float64),
                    arrays[f"variance_{index}"].astype(np.float64),
                    float(arrays[f"eps_{index}"]),
                )
                for index in range(len(arrays.files) // 3)
            ]
    except (KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"not a file of stage statistics: {error}") from error


def measure_distance(
    observed: Observed,
    control: Observed,
    sources: list[SourceStatistics],
    reference: Reference | None,
    *,
    seed: int,
    families: NDArray[np.int64] | None = None,
) -> Distance:
    """Combine the measurements into votes and their mean.

    Args:
        observed: the dataset's images.
        control: a subset of them with scrambled phases.
        sources: what the BatchNorm layers remember, in the order of `observed.means`.
        reference: the backbone's own constants; without them D_late is judged against the control.
        seed: of the shuffle into jackknife blocks.
        families: (n,) equal for images that go together, which share a block; by default each is by itself.
    """
    rng = np.random.default_rng(seed)
    family = np.arange(len(observed)) if families is None else families
    blocks = _blocks(family, rng)
    control_blocks = _blocks(family[: len(control)], rng)
    full = _measure(observed, control, sources, reference)
    everything, every_control = np.arange(len(observed)), np.arange(len(control))
    left_out = [
        _measure(
            observed.select(np.setdiff1d(everything, block)),
            control.select(np.setdiff1d(every_control, control_block)),
            sources,
            reference,
        )
        for block, control_block in zip(blocks, control_blocks, strict=True)
        if len(block) and len(control_block)
    ]

    def estimate(name: str) -> Estimate | None:
        return _jackknife(full[name], [m[name] for m in left_out]) if name in full else None

    # The votes are cast on the corrected values; their spread is that of the uncorrected ones.
    corrected = {name: one.value for name in ("late", "gain", "kurtosis") if (one := estimate(name))}
    votes = _votes({**full, **corrected}, reference)
    different = float(np.mean(list(votes.values()))) if votes else 0.5

    def interval(name: str, value: float) -> tuple[float, float]:
        se = _jackknife(full[name], [m[name] for m in left_out]).se
        return max(0.0, value - priors.JACKKNIFE_95 * se), min(1.0, value + priors.JACKKNIFE_95 * se)

    return Distance(
        images=len(observed),
        early=estimate("early"),
        middle=estimate("middle"),
        late=estimate("late"),
        late_control=full.get("late_control"),
        gain=estimate("gain"),
        kurtosis=estimate("kurtosis"),
        votes=votes,
        different=different,
        vote_intervals={name: interval(f"vote {name}", value) for name, value in votes.items()},
        interval=interval("different", different),
    )


def class_distances(
    observed: Observed,
    sources: list[SourceStatistics],
    truth: NDArray[np.bool_],
    *,
    seed: int,
    families: NDArray[np.int64] | None = None,
) -> dict[int, Estimate]:
    """D_late of each class with at least eight of the measured images; empty without BatchNorm.

    Args:
        observed: n images.
        sources: what the BatchNorm layers remember.
        truth: (n, classes), whether an image is of a class.
        seed: of the shuffle into jackknife blocks.
        families: (n,) equal for images that go together, which share a block; by default each is by itself.
    """
    family = np.arange(len(truth)) if families is None else families
    late: list[int] = _thirds(np.arange(len(sources)))[2].tolist() if sources else []
    rng = np.random.default_rng(seed)
    distances = {}

    def value(rows: NDArray[np.int64]) -> float:
        return float(
            np.mean([hellinger(observed.means[i][rows], observed.variances[i][rows], sources[i]) for i in late])
        )

    for label in np.flatnonzero(truth.any(0)) if late else ():
        mine = np.flatnonzero(truth[:, label])
        if len(np.unique(family[mine])) >= _LEAST_OF_CLASS:
            blocks = [mine[block] for block in _blocks(family[mine], rng) if len(block)]
            distances[int(label)] = _jackknife(value(mine), [value(np.setdiff1d(mine, block)) for block in blocks])
    return distances


def _blocks(families: NDArray[np.int64], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Places of n images in ten blocks of about as many families each; some are empty where there are fewer."""
    _, family = np.unique(families, return_inverse=True)
    parts = np.array_split(rng.permutation(family.max(initial=-1) + 1), priors.JACKKNIFE_BLOCKS)
    return [np.flatnonzero(np.isin(family, part)) for part in parts]


def hellinger(means: NDArray[np.floating], variances: NDArray[np.floating], source: SourceStatistics) -> float:
    """Mean over channels of the squared Hellinger distance between two normal distributions.

    Args:
        means: per-image channel means (n, C).
        variances: per-image channel variances (n, C).
        source: what the layer remembers.

    Returns:
        0 (the same) to 1 (apart).
    """
    mu, v = _together(means, variances)
    v += source.eps
    v0 = source.variance + source.eps
    distance = (mu - source.mean) ** 2 / (4 * (v + v0)) + 0.5 * np.log((v + v0) / (2 * np.sqrt(v * v0)))
    return float(np.mean(1 - np.exp(-distance)))


def _together(
    means: NDArray[np.floating], variances: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Channel mean and variance (C,) over all positions of all images, from those of each image (n, C)."""
    mu = means.mean(0, dtype=np.float64)
    return mu, (variances + means.astype(np.float64) ** 2).mean(0) - mu**2


def mutual_information(logits: NDArray[np.floating]) -> float:
    """H(mean p) - mean H(p) of softmax predictions (n, K), nats."""
    from scipy.special import log_softmax

    log_p = log_softmax(logits.astype(np.float64), axis=1)
    p = np.exp(log_p)
    mean = p.mean(0)
    marginal = -np.sum(mean * np.log(np.maximum(mean, 1e-300)))
    return float(marginal + np.sum(p * log_p, axis=1).mean())


def mean_kurtosis(logits: NDArray[np.floating]) -> float:
    """Mean over images of the kurtosis (3 for a normal distribution) of the logits (n, K)."""
    x = logits.astype(np.float64)
    x = x - x.mean(1, keepdims=True)
    variance = (x**2).mean(1)
    return float(np.mean((x**4).mean(1) / np.maximum(variance**2, 1e-300)))


def scramble_phases(images: Tensor, seed: int) -> Tensor:
    """Give images (B, C, H, W) the phases of noise, the same for all channels, and keep their spectrum.

    What makes things recognisable goes; colours, contrast and the power spectrum stay.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(len(images), 1, *images.shape[-2:], generator=generator).to(images.device)
    phase = torch.angle(torch.fft.rfft2(noise))
    phase[..., 0, 0] = 0  # the mean colour
    spectrum = torch.fft.rfft2(images.float()) * torch.polar(torch.ones_like(phase), phase)
    scrambled = torch.fft.irfft2(spectrum, s=images.shape[-2:])
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return torch.minimum(torch.maximum(scrambled, low), high).contiguous(memory_format=torch.channels_last)


def _measure(
    observed: Observed, control: Observed, sources: list[SourceStatistics], reference: Reference | None
) -> dict[str, float]:
    measured: dict[str, float] = {}
    if sources:
        layers = _layers(observed, sources)
        for name, part in zip(("early", "middle", "late"), _thirds(layers), strict=True):
            measured[name] = float(part.mean())
        if reference is None:  # nobody asks for it where the backbone brings constants of its own
            measured["late_control"] = float(_thirds(_layers(control, sources))[2].mean())
    if observed.logits is not None and control.logits is not None:
        n = len(control)
        # The control comes from the first images; both terms see equally many, so their bias cancels.
        measured["gain"] = mutual_information(observed.logits[:n]) - mutual_information(control.logits)
        measured["kurtosis"] = mean_kurtosis(observed.logits)
    votes = _votes(measured, reference)
    measured.update({f"vote {name}": value for name, value in votes.items()})
    measured["different"] = float(np.mean(list(votes.values()))) if votes else 0.5
    return measured


def _votes(measured: dict[str, float], reference: Reference | None) -> dict[str, float]:
    """Probability of `different` by each measurement that is there."""
    votes: dict[str, float] = {}
    if "late" in measured and reference is not None:
        votes["late"] = _sigmoid(np.log(max(measured["late"], 1e-9)), reference.late)
    elif "late" in measured:
        votes["late"] = _sigmoid(measured["late"] / max(measured["late_control"], 1e-9), priors.SELF_CONTROL)
    if "gain" in measured:
        gain, kurtosis = (reference.gain, reference.kurtosis) if reference else (priors.GAIN, priors.KURTOSIS)
        votes["gain"] = 1 - _sigmoid(measured["gain"], gain)
        votes["kurtosis"] = 1 - _sigmoid(measured["kurtosis"], kurtosis)
    return votes


def _layers(observed: Observed, sources: list[SourceStatistics]) -> NDArray[np.float64]:
    return np.array([hellinger(m, v, s) for m, v, s in zip(observed.means, observed.variances, sources, strict=True)])


def _thirds(layers: NDArray[_Scalar]) -> list[NDArray[_Scalar]]:
    """Early, middle and late ones of an array by depth; of fewer than three, each part has one."""
    return np.array_split(layers, 3) if len(layers) >= 3 else [layers[:1], layers[:1], layers[-1:]]


def _sigmoid(value: float, vote: Vote) -> float:
    return float(1 / (1 + np.exp(-(value - vote.middle) / vote.scale)))


def _jackknife(full: float, left_out: list[float]) -> Estimate:
    """Bias-corrected value and standard error from delete-one-block estimates."""
    k = len(left_out)
    if k < 2:
        return Estimate(full, float("inf"))
    spread = np.array(left_out)
    value = k * full - (k - 1) * float(spread.mean())
    se = float(np.sqrt((k - 1) / k * np.sum((spread - spread.mean()) ** 2)))
    return Estimate(value, se)
