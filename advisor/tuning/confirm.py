"""Which trial to believe: the best of many noisy figures is a lucky one (method.md section 6).

The leaders are judged again under other seeds; of those within one standard error of the best the cheapest is
taken [Breiman 1984]; and what being the best of so many is worth by luck alone is estimated and said.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

TOP = 3
_DRAWS = 300


@dataclass(frozen=True)
class Standing:
    """A finished trial as all its seeds left it.

    Attributes:
        number: in the study.
        kind: `probe` or `trial`.
        values: by key path, scalars.
        credit: (seeds, n) what each validation image adds to the score of a seed's model: 1 or 0 for right or wrong,
            or, where images may have several labels, its `advisor.network.precision.precision_credit`.
        loss: cross-entropy under the first seed, nats.
        temperature: factor that turns logits into calibrated ones, fitted on the validation images, likewise.
        seconds: that the trial took.
        tap: stages kept.
        frozen: stages frozen.
        linear: whether the head is one linear layer.
        sound: deterministic, so that another seed would say the same.
        trained: share of the recipe's steps that the time allowed.
    """

    number: int
    kind: str
    values: Mapping[str, Any]
    credit: NDArray[np.float64]
    loss: float
    seconds: float
    tap: int
    frozen: int
    linear: bool
    sound: bool
    trained: float = 1.0
    temperature: float = 1.0

    @property
    def closed(self) -> bool:
        """Whether nothing below the head was trained."""
        return self.tap == self.frozen

    @property
    def cost(self) -> tuple[float, ...]:
        """What is cheaper sorts first: fewer trained stages, a shorter network, a plain head."""
        return (self.tap - self.frozen, self.tap, not self.linear)

    def mean(self) -> NDArray[np.float64]:
        """(n,) share of the seeds under which each image was right."""
        return np.asarray(self.credit.mean(0))

    def accuracy(self, worth: NDArray[np.float64]) -> float:
        """Over all its seeds, 0..1."""
        return float(worth @ self.mean() / worth.sum())


@dataclass(frozen=True)
class Choice:
    """Which trial is handed over, and why it and not another.

    Attributes:
        chosen: the trial.
        best: the most accurate one over all its seeds.
        behind: how much less accurate the chosen one is, in points of accuracy 0..1.
        behind_se: paired standard error of that.
        optimism: by how much the best figure of the search is too high, from being the best.
        rivals: the trials that were compared.
        sure: of the leaders how many were judged under every seed asked for.
        unsure: how many were not; one that was not judged again while others were is not among the rivals.
    """

    chosen: Standing
    best: Standing
    behind: float
    behind_se: float
    optimism: float
    rivals: tuple[Standing, ...] = field(repr=False)
    sure: int
    unsure: int

    def to_dict(self, worth: NDArray[np.float64]) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "chosen": self.chosen.number,
            "best": self.best.number,
            "behind": self.behind,
            "behind_standard_error": self.behind_se,
            "optimism": self.optimism,
            "judged_under_every_seed": self.sure,
            "rivals": [
                {"trial": rival.number, "kind": rival.kind, "accuracy": rival.accuracy(worth),
                 "seeds": len(rival.credit), "first_seed": float(worth @ rival.credit[0] / worth.sum())}
                for rival in self.rivals
            ],
        }  # fmt: skip


def leaders(standings: Sequence[Standing], worth: NDArray[np.float64], count: int = TOP) -> list[Standing]:
    """The most accurate trials by their first seed, of equals the cheaper and then the one with the lower loss.

    By the first seed only: a trial that was never judged again must not overtake one that was and lost its luck.
    """
    return sorted(standings, key=lambda s: (-round(float(worth @ s.credit[0]), 9), s.cost, s.loss))[:count]


def to_confirm(standings: Sequence[Standing], worth: NDArray[np.float64]) -> list[Standing]:
    """Whom to judge again: the leaders, and the best of the closed-form probes, which is the floor."""
    ahead = leaders(standings, worth)
    probes = leaders([standing for standing in standings if standing.kind == "probe"], worth, 1)
    return ahead + [probe for probe in probes if all(probe.number != leader.number for leader in ahead)]


def choose(standings: Sequence[Standing], worth: NDArray[np.float64], *, seeds: int) -> Choice:
    """The cheapest trial within one paired standard error of the best.

    Compared are the three leaders and the best of the closed-form probes, which is the floor: nothing less accurate
    than that is taken.

    Args:
        standings: every finished trial, at least one.
        worth: (n,) what each validation image counts.
        seeds: under how many a trial that is not deterministic should have been judged.
    """
    everyone = to_confirm(standings, worth)
    # Means over as many seeds as all of those have that were judged again at all; one that was not stands no longer.
    again = [len(rival.credit) for rival in everyone if not rival.sound and len(rival.credit) > 1]
    common = min(again, default=1)
    rivals = [replace(r, credit=r.credit[:common]) for r in everyone if r.sound or len(r.credit) >= common]
    best = min(rivals, key=lambda s: (-round(s.accuracy(worth), 9), s.cost, s.loss))

    def behind(rival: Standing) -> tuple[float, float]:
        return paired(best.mean() - rival.mean(), worth)

    floor = max((rival.accuracy(worth) for rival in rivals if rival.kind == "probe"), default=0.0)
    near = [rival for rival in rivals if rival is best or behind(rival)[0] <= behind(rival)[1]]
    within = [rival for rival in near if rival.accuracy(worth) >= floor - 1e-9]
    chosen = min(within or [best], key=lambda s: (s.cost, -s.accuracy(worth), s.loss))
    gap, se = behind(chosen)
    sure = sum(rival.sound or len(rival.credit) >= seeds for rival in rivals)
    return Choice(
        chosen=chosen,
        best=best,
        behind=gap,
        behind_se=0.0 if chosen is best else se,
        optimism=optimism(np.stack([s.credit[0] for s in standings]), worth),
        rivals=tuple(rivals),
        sure=sure,
        unsure=len(everyone) - sure,
    )


def paired(difference: NDArray[np.float64], worth: NDArray[np.float64]) -> tuple[float, float]:
    """Weighted mean of per-image differences (n,) and its standard error.

    One image in agreement is taken to differ, so that a tie on few images is not certain.
    """
    share = worth / worth.sum()
    mean = float(share @ difference)
    variance = float(share**2 @ (difference - mean) ** 2) + float(share.max() ** 2)
    return mean, variance**0.5


def optimism(credit: NDArray[np.float64], worth: NDArray[np.float64], seed: int = 0) -> float:
    """How much too high the best of several accuracies is, for being the best.

    The best trial on a bootstrap sample of the validation images is judged on the images outside the sample; the
    mean difference over samples is what choosing by those images adds [Efron 1983].

    Args:
        credit: (trials, n).
        worth: (n,) what each image counts.
        seed: of the samples.

    Returns:
        Points of accuracy 0..1, not below 0.
    """
    rng = np.random.default_rng(seed)
    n = credit.shape[1]
    found = []
    for _ in range(_DRAWS):
        times = np.bincount(rng.integers(0, n, n), minlength=n)
        inside, outside = worth * times, worth * (times == 0)
        if outside.sum() == 0:
            continue
        on_sample = credit @ inside / inside.sum()
        best = int(on_sample.argmax())
        found.append(on_sample[best] - credit[best] @ outside / outside.sum())
    return max(0.0, float(np.mean(found))) if found else 0.0


def pack(credit: NDArray[np.float64]) -> str:
    """Credit (n,) as text, for a study's attributes: a bit an image where it is 0 or 1, else four bytes."""
    if np.isin(credit, (0.0, 1.0)).all():
        return base64.b64encode(np.packbits(credit.astype(bool)).tobytes()).decode()
    return base64.b64encode(credit.astype("<f4").tobytes()).decode()


def unpack(text: str, count: int) -> NDArray[np.float64]:
    """The inverse of `pack`, (count,)."""
    data = base64.b64decode(text)
    if len(data) == 4 * count:
        return np.frombuffer(data, "<f4").astype(np.float64)
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count).astype(np.float64)
