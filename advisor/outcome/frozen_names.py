"""Frozen parameters as the shortest list of beginnings of names, for a script that a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.errors import UNSEEN
from advisor.packaging.new import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from advisor.network.stages import Stages

WIDTH = 120  # of a script's lines


def frozen_line(network: nn.Module, stages: Stages, count: int) -> str:
    """The shortest list of beginnings of names that are those of the frozen parameters and of no others."""
    frozen = stages.parameters(count)
    every = [name for name, _ in network.named_parameters()]
    others = [name for name in every if name not in frozen]
    found: list[str] = []
    for name in (name for name in every if name in frozen):
        parts = name.split(".")
        beginnings = [".".join(parts[:depth]) + "." for depth in range(1, len(parts))] + [name]
        shortest = next(one for one in beginnings if not any(other.startswith(one) for other in others))
        if shortest not in found:
            found.append(shortest)
    assert {name for name in every if name.startswith(tuple(found))} == frozen
    items = [f'"{in_quotes(one)}"' if isinstance(one, str) else one[0] for one in _runs(found)]
    line = f"FROZEN = ({', '.join(items)}{',' if len(items) == 1 else ''})"
    comment = f"  # beginnings of names: {count} of {len(stages)} stages"
    if len(line) > WIDTH:
        return "\n".join(["FROZEN = (", *(f"    {item}," for item in items), ")"])
    return line + comment if len(line + comment) <= WIDTH else line


def _runs(names: Iterable[str]) -> list[str | tuple[str]]:
    """Names, those that only count up taken together: `blocks.0.`, `blocks.1.`, … become one generator."""
    out: list[str | tuple[str]] = []
    run: list[str] = []

    def close() -> None:
        if len(run) > 2:
            stem, _, first = run[0][:-1].rpartition(".")
            bounds = f"{int(first) + len(run)}" if first == "0" else f"{first}, {int(first) + len(run)}"
            out.append((f'*(f"{in_quotes(stem)}.{{i}}." for i in range({bounds}))',))
        else:
            out.extend(run)
        run.clear()

    for name in names:
        stem, _, number = name[:-1].rpartition(".")
        counts = name.endswith(".") and number.isdigit() and stem and "{" not in stem
        if not counts or (run and name != f"{stem}.{int(run[-1][:-1].rpartition('.')[2]) + 1}."):
            close()
        if counts:
            run.append(name)
        else:
            out.append(name)
    close()
    return out


def in_quotes(text: str) -> str:
    """What stands between double quotes in Python for exactly this text; what cannot be seen is written out."""
    return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted(text)[1:-1])
