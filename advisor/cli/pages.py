"""Pages for people: plain words first, numbers beside them, readable without colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from advisor.advice import priors
from advisor.advice.scenario import SCENARIOS
from advisor.recipe import Choices, Range, show_duration
from advisor.sizes import show_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    import optuna
    import pandas as pd
    from rich.console import Console

    from advisor.advice.inspection import Inspected
    from advisor.advice.recommend import Recommendation, WayCost
    from advisor.data.cache import CacheEntry
    from advisor.data.profile import DatasetProfile
    from advisor.outcome.explain import Explanation
    from advisor.outcome.handover import Result
    from advisor.recipe import Value

_MANY = 5
_CODES = {"mean": "", "relu": ", positive parts only", "mean+std": ", mean and deviation of each channel"}


def recommendation(out: Console, found: Recommendation, plan: str, reports: Sequence[str] = ()) -> None:
    """The page of `advisor recommend`; it ends with where the plan and the reports are."""
    verdict, recipe = found.verdict, found.plan.recipe
    _headline(out, found)
    out.print("[bold]Why[/bold]")
    for reason in verdict.reasons:
        out.print(f"  - {escape(reason)}")
    out.print()
    _data(out, found.profile)
    if verdict.learnable:
        _classes(out, found)
    _backbones(out, found)
    out.print(
        f"[bold]Linear probe at every stage[/bold] of {found.backbone}, leave-one-out {found.curve.metric} on "
        f"{found.curve.images} images{_CODES[found.curve.codes]}; in brackets that of the ten nearest neighbours"
    )
    for point in found.curve.points:
        bar = "#" * round(30 * point.accuracy)
        mark = " <- read here" if point.stage == verdict.tap_stage else ""
        tied = " tied with the best" if point.tied and point.stage != found.curve.best.stage else ""
        out.print(
            f"  {point.stage:>2} {escape(point.name):<12} {point.accuracy:.3f} ± {point.se:.3f} "
            f"({point.neighbours:.3f}) {bar}{tied}{mark}"
        )
    out.print()
    _ways(out, found)
    _labels(out, found)
    out.print()
    runner = SCENARIOS[verdict.runner_up]
    out.print(f"[bold]Runner-up[/bold] scenario {verdict.runner_up}: {runner[0]} and {runner[1]}, {runner[2]}")
    out.print("[bold]What would change this[/bold]")
    for flip in found.flips:
        out.print(f"  - {escape(flip)}")
    out.print()
    out.print(f"[bold]Recipe[/bold] {recipe.name}, starting from")
    for label, key in (
        ("tap", "features.tap"), ("freeze depth", "freeze.depth"), ("head", "head.name"),
        ("learning rate", "optimizer.lr"), ("head : backbone", "optimizer.lr_ratio"),
        ("weight decay", "optimizer.weight_decay"), ("augmentation", "train.augment"),
    ):  # fmt: skip
        out.print(f"  {label:<16} {_value(recipe.get(key))}")
    out.print()
    cost = found.cost
    out.print(
        f"[bold]Cost here[/bold] {cost.forward_ms:.0f} ms per image forward, {cost.train_ms:.0f} ms in training; "
        f"this advice took {show_duration(cost.seconds)}"
    )
    weights = found.weights
    out.print(f"[bold]Weights[/bold] {escape(weights['trained_on'])}, licence {escape(weights['licence'])}")
    out.print()
    for report in reports:
        out.print(f"Report with charts and pictures: {escape(report)}")
    default = "" if plan == "advisor.toml" else f" {escape(plan)}"
    out.print(f"Written to {escape(plan)}. Next:  advisor tune{default}")


def result(out: Console, found: Result) -> None:
    """The page of `advisor tune`."""
    table = Table(box=None, pad_edge=False, header_style="")
    for column in ("trial", "validation", "tap", "frozen", "head", "lr", "ratio", "seconds", "how it ended"):
        table.add_column(column)
    for row in found.trials.head(8).to_dict("records"):
        table.add_row(*_board_row({str(key): value for key, value in row.items()}))
    out.print(table)
    if len(found.trials) > 8:
        out.print(f"… and {len(found.trials) - 8} more in {escape(str(found.folder / 'leaderboard.csv'))}")
    out.print()
    _failures(out, found)
    why = {"trials": "all trials done", "time": "the budget is spent", "interrupted": "stopped by you",
           "exhausted": "nothing new is left to try"}[found.ended]  # fmt: skip
    winner = "the closed-form probe" if found.winner.kind == "probe" else f"trial {found.winner.number}"
    out.print(f"{why[0].upper()}{why[1:]} after {show_duration(found.seconds)}. The winner is {winner}.")
    for line in _why_this(found):
        out.print(f"  {line}")
    metric = "balanced" if found.metric == "balanced" else "validation"
    how = f"{found.folds}-fold cross-validation" if found.folds > 1 else "one validation part"
    seeds = len(found.winner.credit)
    how += f", mean of {seeds} seeds" if seeds > 1 else ""
    probe = "" if found.probe_accuracy is None else f"; the best probe: {found.probe_accuracy:.3f}"
    out.print(f"  {metric:<11} {found.validation:.3f}  ({how}{probe})")
    if found.choice.optimism > 0:
        out.print(
            f"              the best figure of a search is too high, here by about {100 * found.choice.optimism:.1f} "
            "points (bootstrap)"
        )
    if found.test is not None:
        low, high = found.test_interval
        out.print(
            f"  [bold]test        {found.test:.3f}[/bold]  (95 % interval {low:.3f} to {high:.3f}, "
            f"{found.test_images} images never used before)"
        )
        more = {"map": "mean average precision over the labels, here and above",
                "balanced": f"balanced over the classes {found.test_balanced or 0.0:.3f}"}  # fmt: skip
        if found.metric in more:
            out.print(f"              {more[found.metric]}")
    out.print()
    out.print(f"Handed over in {escape(str(found.best))}. To use it:")
    out.print(f"  advisor predict {escape(str(found.best))} photo.jpg")
    if found.timm_loads_it:
        out.print(f"  timm.create_model('local-dir:{escape(str(found.best))}', pretrained=True)")
    else:
        out.print(f"  advisor.load('{escape(str(found.best))}')   (timm alone cannot express this network)")
    if found.ended == "interrupted":
        out.print("To go on: run the same command again.")


def explanation(out: Console, found: Explanation, folder: str) -> None:
    """The page of `advisor explain`."""
    out.print(f"[bold]Why trial {found.trial} won[/bold]")
    for key, share in found.importances.items():
        out.print(f"  {share:>4.0%} of the differences between trials: {escape(key)}")
    if not found.importances:
        out.print("  too few comparable trials to tell what made the difference between them")
    out.print()
    if found.ablations:
        out.print("[bold]The winner with one value changed[/bold], on the same validation images")
        for entry in found.ablations:
            out.print(
                f"  {100 * entry.gain:+5.1f} ± {100 * entry.gain_se:.1f} points for {escape(entry.key)} = "
                f"{_cell(entry.winner)} instead of {_cell(entry.other)}"
            )
        out.print()
    if not found.curve.empty:
        out.print("[bold]Accuracy against steps[/bold] on the validation images")
        for way, rows in found.curve.groupby("way", sort=False):
            every = rows.iloc[:: max(1, len(rows) // 8)]
            points = ", ".join(f"{row.steps}: {row.accuracy:.3f}" for row in every.itertuples())
            out.print(f"  {way:<12} {points}")
    if found.scratch_steps is not None:
        there = "never" if found.winner_steps is None else f"after {found.winner_steps} steps"
        out.print(
            f"  From random weights the best figure came after {found.scratch_steps} steps; the winner had it {there}."
        )
    for line in found.left_out:
        out.print(f"left out: {escape(line)}")
    out.print(f"Written to {escape(folder)}/explanation.json and curve.csv.")


def _why_this(found: Result) -> list[str]:
    """Why the winner and not another trial, in words."""
    choice = found.choice
    lines = []
    if choice.chosen is not choice.best:
        lines.append(
            f"It is the cheapest within one standard error of the best: trial {choice.best.number} is "
            f"{100 * choice.behind:.1f} ± {100 * choice.behind_se:.1f} points ahead."
        )
    if choice.unsure:
        whole = choice.sure + choice.unsure
        lines.append(f"{choice.unsure} of the {whole} leaders were not judged under every seed.")
    if found.importances:
        words = [f"{key} {share:.0%}" for key, share in list(found.importances.items())[:3]]
        lines.append(f"What made the difference between trials: {', '.join(words)}")
    return lines


def _failures(out: Console, found: Result) -> None:
    failed = found.trials.loc[(found.trials["state"] == "FAIL") & (found.trials["kind"] == "trial")]
    if len(failed):
        out.print(f"{len(failed)} trials failed:")
        for reason, count in failed["reason"].value_counts().items():
            out.print(f"  - {count} × {escape(str(reason))}")
    if found.all_failed:
        out.print("No searched trial succeeded; only the probe is handed over.")
    if found.none_fitted and found.ended == "time":
        out.print("No trial fitted into the budget; the probe is handed over. Give more time with --budget.")


def trial_line(trial: optuna.trial.FrozenTrial, best: list[float]) -> str:
    """One line of talk for a trial that ended; `best` holds the best accuracy so far."""
    attrs = trial.user_attrs
    name = "probe  " if attrs.get("kind") == "probe" else f"trial {trial.number:<2}"
    if trial.state.name != "COMPLETE" or not trial.values:
        return f"{name} {trial.state.name.lower()}: {attrs.get('reason', '')}"
    accuracy = trial.values[0]
    mark = " *" if accuracy > best[0] else "  "
    best[0] = max(best[0], accuracy)
    values = attrs["values"]
    if attrs.get("kind") == "repeat":
        return f"{name} {accuracy:.3f}, {attrs['reason']}"
    rest = f"lr {values['optimizer.lr']:.1e}, {attrs['steps']} steps, " if attrs["steps"] else ""
    return (
        f"{name} validation {accuracy:.3f}{mark} tap {attrs['tap']}, frozen {attrs['frozen']}, "
        f"{values['head.name']}, {rest}{attrs['seconds']:.1f} s  (best {best[0]:.3f})"
        + "".join(f"\n        {note}" for note in attrs.get("notes", ()))
    )


def profile(out: Console, found: DatasetProfile, seen: Inspected | None) -> None:
    """The page of `advisor profile`."""
    _data(out, found)
    if seen is not None:
        _classes(out, seen)
    width = max(len(name) for name in found.per_class)
    most = max(found.per_class.values())
    for name, count in found.per_class.items():
        out.print(f"  {escape(name):<{width}} {count:>7} {'#' * max(1, round(40 * count / most))}")


def prediction_rows(frame: pd.DataFrame, top: int) -> list[dict[str, Any]]:
    """Plain rows: path, and either the error or the likeliest classes."""
    classes = [column for column in frame.columns if column.startswith("p(")]
    rows = []
    for record in frame.to_dict("records"):
        if record["error"]:
            rows.append({"path": record["path"], "error": record["error"]})
            continue
        ranked = sorted(classes, key=lambda column: -record[column])[:top]
        rows.append(
            {
                "path": record["path"],
                "label": record["label"],
                "probability": record["probability"],
                "top": [{"label": column[2:-1], "probability": record[column]} for column in ranked],
            }
        )
    return rows


def predictions(out: Console, rows: list[dict[str, Any]]) -> None:
    """The page of `advisor predict`."""
    width = max((len(row["path"]) for row in rows), default=0)
    for row in rows:
        if "error" in row:
            out.print(f"{escape(row['path']):<{width}}  unreadable: {escape(row['error'])}")
        else:
            words = [f"{escape(entry['label'])} {entry['probability']:.3f}" for entry in row["top"]]
            out.print(f"{escape(row['path']):<{width}}  {'   '.join(words)}")


def table(out: Console, title: str, rows: list[dict[str, Any]]) -> None:
    """Rows of equal keys."""
    if not rows:
        out.print(f"No {title} are installed.")
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    columns = [key for key in rows[0] if any(row[key] not in ("", [], None) for row in rows)]
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(escape(_cell(row[column])) for column in columns))
    out.print(shown)


def cache(out: Console, entries: Sequence[CacheEntry], where: str, now: float, freed: int | None) -> None:
    """The page of `advisor cache`: what is there, or after clearing what is left."""
    if freed is not None:
        out.print(f"{show_size(freed)} freed.")
    elif entries:
        shown = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("kind", "what", "size", "last used"):
            shown.add_column(column, justify="right" if column == "size" else "left", overflow="fold")
        for entry in entries:
            shown.add_row(entry.kind, escape(entry.what), show_size(entry.bytes), _ago(now - entry.used))
        out.print(shown)
    out.print(f"{show_size(sum(entry.bytes for entry in entries))} in {len(entries)} folders under {escape(where)}")


def _ago(seconds: float) -> str:
    if seconds < 60:
        return "just now"
    days = seconds / 86400
    return f"{days:.0f} days ago" if days >= 2 else f"{show_duration(seconds)} ago"


def _data(out: Console, found: DatasetProfile) -> None:
    splits = ", ".join(f"{name} {count}" for name, count in found.splits.items() if count)
    out.print(
        f"[bold]Data[/bold] {escape(found.name)}: {found.images} images, {len(found.per_class)} classes ({splits})"
    )
    least, most = min(found.per_class.values()), max(found.per_class.values())
    widths, heights = found.width, found.height
    out.print(f"  {least} to {most} images per class; median size {widths[1]} × {heights[1]} pixels")
    modes = ", ".join(f"{name} {count}" for name, count in found.modes.items())
    out.print(f"  colour modes: {escape(modes)}")
    if found.broken:
        out.print(f"  {len(found.broken)} files cannot be read and are left out:")
        for path, reason in found.broken[:_MANY]:
            out.print(f"    {escape(path)}: {escape(reason)}")
        if len(found.broken) > _MANY:
            out.print(f"    … and {len(found.broken) - _MANY} more; all with --json")
    if found.ignored:
        out.print(f"  {len(found.ignored)} other files are ignored, such as {escape(found.ignored[0])}")
    for groups, one, several in (
        (found.duplicates, "group of identical files", "groups of identical files"),
        (found.near_duplicates, "group of near copies", "groups of near copies (one picture, re-encoded or resized)"),
        (found.conflicting, "group of copies carries different labels", "groups of copies carry different labels"),
        (found.leaking, "group of copies stands on both sides of a split: scores come out too high",
         "groups of copies stand on both sides of a split: scores come out too high"),
    ):  # fmt: skip
        if groups:
            words = one if len(groups) == 1 else several
            out.print(f"  {len(groups)} {words}, such as {escape(', '.join(groups[0][:3]))}")
    names = list(found.per_class)
    for shortcut in found.shortcuts:
        out.print(
            f"  the {shortcut.property} alone tells the class with balanced accuracy {shortcut.accuracy:.2f} "
            f"(chance {shortcut.chance:.2f}), best for {escape(', '.join(names[i] for i in shortcut.classes[:3]))}: "
            "a model may learn that instead"
        )
    if found.imbalance >= priors.IMBALANCED:
        out.print(f"  the largest class has {found.imbalance:.0f} times as many images as the smallest")
    for note in found.notes:
        out.print(f"  {escape(note)}")
    out.print()


def _headline(out: Console, found: Recommendation) -> None:
    verdict = found.verdict
    size, distance, what = SCENARIOS[verdict.scenario]
    if not verdict.learnable:
        out.print("[bold]Nothing that could be learned is visible: check the labels before anything else.[/bold]")
        out.print()
    out.print(f"[bold]Scenario {verdict.scenario}: {size} and {distance}.[/bold] {what[0].upper()}{what[1:]}.")
    if verdict.scenario == 1 and verdict.earlier_helps:
        name = found.curve.points[verdict.tap_stage - 1].name
        out.print(f"Here an earlier layer ({escape(name)}) is expected to serve better than the last, so it is read.")
    if verdict.scenario == 3 and not verdict.earlier_helps:
        out.print("Here no earlier layer is better than the last, so the last is read.")
    out.print()


def _ways(out: Console, found: Recommendation) -> None:
    """What each scenario's way may bring and cost."""
    verdict = found.verdict
    table = Table(box=None, pad_edge=False, header_style="")
    for column in ("scenario", "probability", f"expected {found.curve.metric} (80 %)", "one training", "memory", "way"):
        table.add_column(column, justify="left")
    for number, (large, far, way) in SCENARIOS.items():
        expected = verdict.expected[str(number)]
        mark = "*" if number == verdict.scenario else " "
        table.add_row(
            f"{mark}{number} {large}, {far}",
            f"{verdict.probabilities[number]:.2f}",
            f"{expected.accuracy:.2f} ({expected.low:.2f} to {expected.high:.2f})",
            *_cost(found.cost.ways[str(number)]),
            way,
        )
    if priors.LP_FT in found.cost.ways:
        expected = verdict.expected[priors.LP_FT]
        table.add_row(
            " lp-ft",
            "",
            f"{expected.accuracy:.2f} ({expected.low:.2f} to {expected.high:.2f})",
            *_cost(found.cost.ways[priors.LP_FT]),
            "head first, then the whole network gently",
        )
    out.print(table)


def _backbones(out: Console, found: Recommendation) -> None:
    if not found.backbones:
        return
    shown = Table(box=None, pad_edge=False, header_style="")
    for column in ("backbone", found.curve.metric, "best stage", "published", "parameters", "here", "weights"):
        shown.add_column(column)
    for row in found.backbones:
        shown.add_row(
            ("*" if row.name == found.backbone else " ") + escape(row.name),
            f"{row.accuracy:.3f} ± {row.se:.3f}{' tied' if row.tied else ''}",
            escape(row.stage),
            f"{row.imagenet_top1:.1f} %" if row.imagenet_top1 else "unknown",
            f"{row.parameters:.1f} M",
            f"{row.forward_ms:.0f} ms per image",
            escape(f"{row.trained_on}, {row.licence}"),
        )
    out.print(shown)
    out.print("Of those tied, the one with the best published ImageNet accuracy is taken (*).")
    out.print()


def _labels(out: Console, found: Recommendation) -> None:
    labels = found.labels
    if labels is None:
        return
    low, high = labels.doubled_interval
    more = (
        f"two points more need about {labels.images_for_gain} labelled images"
        if labels.images_for_gain
        else "two points more are not to be had by labels alone, as far as the curve can see"
    )
    out.print(
        f"[bold]More labels[/bold] with twice as many the probe would reach about {labels.doubled:.2f} "
        f"({low:.2f} to {high:.2f}); {more}"
    )


def _classes(out: Console, found: Recommendation | Inspected) -> None:
    """What the probes say about single images and classes."""
    for suspect in found.suspects[:_MANY]:
        out.print(
            f"  label to check: {escape(suspect.path)} is labelled {escape(suspect.label)} and looks like "
            f"{escape(suspect.looks_like)} ({suspect.probability:.2f})"
        )
    if len(found.suspects) > _MANY:
        out.print(f"  … and {len(found.suspects) - _MANY} more labels to check; all with --json")
    if found.confusions:
        pairs = [f"{entry.label} for {entry.taken_for} ({entry.share:.0%})" for entry in found.confusions[:3]]
        out.print(f"  taken for each other most: {escape('; '.join(pairs))}")
    far = sorted((c for c in found.classes if c.distance), key=lambda c: -c.distance.value if c.distance else 0)
    if far:
        words = [f"{c.name} ({c.distance.value:.3f} ± {c.distance.se:.3f})" for c in far[:3] if c.distance]
        out.print(f"  least like the network's training data: {escape(', '.join(words))}")
    if found.suspects or found.confusions or far:
        out.print()


def _cost(way: WayCost) -> tuple[str, str]:
    return show_duration(way.seconds), f"+ {way.extra_bytes / 1e9:.1f} GB" if way.extra_bytes else ""


def _board_row(row: dict[str, Any]) -> list[str]:
    def number(key: str, form: str) -> str:
        value = row.get(key)
        return "" if value is None or value != value else format(value, form)  # noqa: PLR0124 - NaN

    training = bool(row.get("steps")) and row["steps"] == row["steps"]
    ended = str(row["state"]).lower()
    return [
        "probe" if row["kind"] == "probe" else str(row["trial"]),
        number("validation_accuracy", ".3f"),
        number("tap", ".0f"),
        number("frozen", ".0f"),
        str(row.get("head.name") or "") if row.get("head.name") == row.get("head.name") else "",
        number("optimizer.lr", ".1e") if training else "",
        number("optimizer.lr_ratio", ".1f") if training else "",
        number("seconds", ".1f"),
        escape(f"{ended}: {row['reason']}" if row["reason"] else ended),
    ]


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return "" if value is None else str(value)


def _value(value: Value) -> str:
    if isinstance(value, Range):
        return f"{value.first:.3g}  (searched {value.low:g} to {value.high:g})"
    if isinstance(value, Choices):
        return f"{value.first}  (searched: {', '.join(str(choice) for choice in value.choices)})"
    return f"{value:g}" if isinstance(value, float) else str(value)
