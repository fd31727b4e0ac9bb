"""Parts of a picture, turned and mirrored: what a cropped or turned copy of it shows, and how alike two pictures are.

Stored pictures are squares of undistorted pictures, so that in them a cropped copy is the picture enlarged and
shifted.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

if TYPE_CHECKING:
    from torch import Tensor

COARSE, FINE = 8, 48  # sides, pixels: of what candidates are found by, and of what they are confirmed by
_SIDES = (1.0, 0.95, 0.9, 0.85, 0.8)  # of a window, as a share of the picture's: up to 10 % is gone at each edge
_STEP = 0.05  # between the places of windows
_ROUNDS = (0.025, 0.0125, 0.006)  # steps of side and place around the best window, first coarse, then fine
_WORTH_A_SECOND_LOOK = 0.75  # correlation at the first
_BLUR = 5  # pixels of `FINE`; what a box of that side does not keep is detail


def _edges(share: float) -> list[float]:
    """Where windows of a side may begin."""
    steps = round((1 - share) / _STEP) + 1
    return np.linspace(0, 1 - share, steps).tolist() if steps > 1 else [0.0]


@cache
def windows() -> Tensor:
    """(windows, 3): the side of each and its left and upper edge, as shares of the picture's side; the whole first."""
    return torch.tensor([(share, x, y) for share in _SIDES for y in _edges(share) for x in _edges(share)])


def signatures(pictures: Tensor, *, whole_only: bool = False) -> Tensor:
    """What windows of pictures look like, however they are turned or mirrored, and whatever their brightness.

    Of 8 × 8 pixels, those that turns and mirrorings exchange are taken together: their mean and their deviation.

    Args:
        pictures: (n, side, side, 3) float.
        whole_only: of the first window alone, which is the whole picture.

    Returns:
        (n, windows, 60) float32 of unit length; two differ by at most as much as the windows do.
    """
    n, side = pictures.shape[:2]
    pictures = pictures.reshape(n, side, side * 3)
    small = []
    for share in _SIDES[: 1 if whole_only else None]:
        edges = _edges(share)
        maps = _averaging(torch.full((len(edges),), share), torch.tensor(edges), side, COARSE).flatten(0, 1)
        rows = (maps @ pictures).reshape(n, len(maps), side, 3).transpose(2, 3)
        parts = (rows @ maps.T).reshape(n, len(edges), COARSE, 3, len(edges), COARSE)
        small.append(parts.permute(0, 1, 4, 3, 2, 5).reshape(n, len(edges) ** 2, 3, COARSE * COARSE))
    levels = torch.cat(small, 1)
    levels = levels - levels.mean((2, 3), keepdim=True)
    levels = levels / levels.square().sum((2, 3), keepdim=True).sqrt().clamp(min=1e-6)
    groups = _exchanged()
    mean = levels @ groups
    spread = (levels.square() @ groups - mean.square()).clamp(min=0).sqrt()
    sizes = (groups > 0).sum(0).sqrt()
    return torch.cat([mean * sizes, spread * sizes], 3).flatten(2)


def alike(first: Tensor, second: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
    """How alike pictures are where one is best laid on the other: cropped, turned and mirrored.

    Args:
        first: (pairs, side, side, 3) in 0..255; a window is taken of these.
        second: (pairs, side, side, 3), turned and mirrored.
        window: (pairs,) which of `windows` to begin with.

    Returns:
        Correlation of the two, and of their detail alone, each (pairs,); where the first look says that they are not
        alike, both are that of the first look, and 0.
    """
    grays, others = _gray(first), _turned(_gray(second))
    place = windows()[window]
    turn, whole = _first_look(grays, others, place)
    detail = torch.zeros_like(whole)
    near = torch.nonzero(whole > _WORTH_A_SECOND_LOOK)[:, 0]
    if len(near):
        target = F.interpolate(others[near, turn[near]][:, None], size=(FINE, FINE), mode="area")[:, 0]
        whole[near], detail[near] = _second_look(grays[near], target, place[near])
    return whole, detail


def plainness(pictures: Tensor) -> Tensor:
    """The share of pictures (n, side, side, 3) that has the two commonest of 64 gray levels between their ends, (n,).

    Of letters and line drawings it is above 0.7, of photographs below 0.5.
    """
    gray = F.interpolate(_gray(pictures)[:, None], size=(FINE, FINE), mode="area").flatten(1)
    low, high = gray.amin(1, keepdim=True), gray.amax(1, keepdim=True)
    levels = ((gray - low) / (high - low).clamp(min=1e-3) * 63.99).long()
    counts = torch.zeros(len(levels), 64).scatter_add_(1, levels, torch.ones(levels.shape))
    return counts.topk(2, 1).values.sum(1) / levels.shape[1]


def _first_look(gray: Tensor, turned: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """The turn (pairs,) and the correlation (pairs,) that agree best on few pixels."""
    side = 2 * COARSE
    rows, columns = (_averaging(place[:, 0], place[:, axis], gray.shape[1], side) for axis in (2, 1))
    part = _normalised((rows @ gray @ columns.transpose(1, 2))[:, None])
    scores = (part * _normalised(F.interpolate(turned, size=(side, side), mode="area"))).sum(2)
    best, turn = scores.max(1)
    return turn, best


def _second_look(gray: Tensor, target: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Move and scale the window in small steps; the correlations at the best."""
    at = torch.arange(len(gray))
    goal = _normalised(target[:, None])
    steps = torch.tensor([-1.0, 0.0, 1.0])
    for step in _ROUNDS:
        share = place[:, :1] + step * steps  # (pairs, 3)
        # A larger window grows around its middle.
        starts = place[:, 1:, None, None] + step * steps - ((share - place[:, :1]) / 2)[:, None, :, None]
        maps = _averaging(share[:, None, :, None].expand_as(starts), starts, gray.shape[1], FINE)  # x and y, 3, 3, …
        parts = torch.einsum("psyac,pcd->psyad", maps[:, 1], gray)
        parts = torch.einsum("psyad,psxbd->psyxab", parts, maps[:, 0]).flatten(1, 3)
        best = (_normalised(parts) * goal).sum(2).argmax(1)
        side, y, x = best // 9, best // 3 % 3, best % 3
        place = torch.stack([share[at, side], starts[at, 0, side, x], starts[at, 1, side, y]], 1)
    chosen = parts[at, best][:, None]
    alike_in = [(_normalised(own) * _normalised(other)).sum((1, 2)) for own, other in (
        (chosen, target[:, None]), (_detail(chosen), _detail(target[:, None])))]  # fmt: skip
    return alike_in[0], alike_in[1]


def _averaging(share: Tensor, start: Tensor, side: int, count: int) -> Tensor:
    """The mean over equal parts of a window; beyond a picture's edge, there is nothing.

    Args:
        share: of the picture's side that the window has, any shape.
        start: where it begins, likewise.
        side: pixels of the picture.
        count: parts.

    Returns:
        (…, count, side), to be multiplied with the pixels.
    """
    edges = side * (start[..., None] + share[..., None] * torch.arange(count + 1) / count)
    pixels = torch.arange(side)
    within = torch.minimum(edges[..., 1:, None], pixels + 1) - torch.maximum(edges[..., :-1, None], pixels)
    within = within.clamp(min=0)
    return within / within.sum(-1, keepdim=True).clamp(min=1e-6)


def _gray(pictures: Tensor) -> Tensor:
    return pictures.float() @ torch.tensor([0.299, 0.587, 0.114])


def _turned(gray: Tensor) -> Tensor:
    """(pairs, 8, side, side)."""
    turns = [torch.rot90(gray, quarter, (1, 2)) for quarter in range(4)]
    return torch.stack([*turns, *(one.flip(2) for one in turns)], 1)


def _detail(parts: Tensor) -> Tensor:
    return parts - F.avg_pool2d(parts, _BLUR, 1, _BLUR // 2, count_include_pad=False)


def _normalised(parts: Tensor) -> Tensor:
    """(…, side, side) as rows of zero mean and unit length, so that their products are correlations."""
    flat = parts.flatten(2)
    flat = flat - flat.mean(2, keepdim=True)
    return flat / flat.square().sum(2, keepdim=True).sqrt().clamp(min=1e-3)


@cache
def _exchanged() -> Tensor:
    """(64, 10): the mean over each group of places among 8 × 8 pixels that turns and mirrorings exchange."""
    distance = np.abs(np.arange(COARSE) - (COARSE - 1) / 2)
    kinds = np.sort(np.stack(np.meshgrid(distance, distance), -1).reshape(-1, 2), 1)
    groups = np.stack([(kinds == kind).all(1) for kind in np.unique(kinds, axis=0)], 1)
    return torch.from_numpy(groups / groups.sum(0)).float()
