"""A run's winner as one plain PyTorch script that needs nothing of ours."""

from __future__ import annotations

import copy
import csv
import io
import textwrap
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from advisor.builtin.datasets import folder_of
from advisor.data.cache import disk_errors, write_whole
from advisor.errors import RunError, closest_path
from advisor.network.timm_network import TimmNetwork
from advisor.network.transfer import Pool, cut
from advisor.outcome.bundle import best_of
from advisor.outcome.card import report_of
from advisor.outcome.frozen_names import WIDTH, frozen_line, in_quotes
from advisor.outcome.run import Machine, open_contexts
from advisor.packaging.new import require_new
from advisor.plugins import Catalog, load_catalog
from advisor.progress import Progress, Silent
from advisor.recipe import load_plan
from advisor.recipe.values import steps_per_epoch
from advisor.records.trial import stages_said
from advisor.tuning.settings import balance_mode, batchnorm_mode
from advisor.tuning.source import kept_views
from advisor.tuning.space import SearchSpace
from advisor.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from advisor.recipe.values import TrialValues
    from advisor.records.run import RunRecord
    from advisor.tuning.context import TrialContext
    from advisor.types import InputSpec

MOST_LINES = 99
_SAME = 1e-4  # of the largest feature
# What the script can say. A value of another key must be the one that does nothing.
_SAID = frozenset({
    "features.tap", "features.also", "features.mirrored", "features.codes", "features.weights", "features.input_size",
    "features.fit", "features.cache", "features.views", "head.name", "head.init", "head.linear.l2", "head.svm.l2",
    "freeze.depth", "freeze.batchnorm", "optimizer.name", "optimizer.lr", "optimizer.lr_ratio",
    "optimizer.weight_decay", "optimizer.clip", "train.steps", "train.epochs", "train.batch_size", "train.warmup",
    "train.label_smoothing", "train.augment", "train.balance", "train.parts", "train.lora_rank",
})  # fmt: skip
_NOTHING: Mapping[str, object] = {
    "optimizer.layer_decay": 1.0, "optimizer.l2_sp": 0.0, "train.mixup": 0.0, "train.ema": 0.0, "train.drop_path": 0.0,
}  # fmt: skip
_ENDINGS = (".csv", ".safetensors", "-head.safetensors")  # of the split, the trunk and the head's start
_HEADS = ("linear", "ridge", "svm")
_VIEWS = ("none", "crop", "flip_crop")
_FIT_WORDS = {
    "crop": "the middle of its longer side as a square",
    "squash": "both sides brought to one length",
    "pad": "with borders that make it a square",
}


@dataclass(frozen=True)
class Ejected:
    """A script and what lies beside it.

    Attributes:
        script: the file.
        beside: further files that it reads.
        test: accuracy of the run's own model on the test images.
        notes: what the script does otherwise, and says so.
    """

    script: Path
    beside: tuple[Path, ...]
    test: float
    notes: tuple[str, ...]


def eject(
    run: str | Path,
    output: str | Path = "train.py",
    *,
    device: str = "auto",
    catalog: Catalog | None = None,
    progress: Progress | None = None,
) -> Ejected:
    """Write a run's winner as one script under a hundred lines, with its split and its start weights beside it.

    Args:
        run: a run's folder, or a bundle's.
        output: the script; files beside it have its name and other endings.
        device: on which features are computed that are not known yet.
        catalog: the installed plugins by default.
        progress: told how far things are.

    Raises:
        RunError: no trial of the run has finished, its images are gone or have changed, or its recipe cannot be said
            in a short script; the message names what cannot.
        UsageError: one of the files is there already.
        BundleError: the run's report cannot be read.
    """
    best, script = best_of(run), Path(output)
    if not best.is_dir():
        raise RunError(
            f"There is no run `{run}`, neither that folder nor one of that name in runs.",
            ways=["give the folder of a run that `advisor tune` has finished"],
            hint=closest_path(best) or "advisor tune",
        )
    if not (best / "best.toml").is_file():
        raise RunError(
            f"`{run}` holds no model: no trial in it has finished.",
            ways=["give the folder of a run that `advisor tune` has finished", "go on with it"],
            hint=f"advisor tune --resume {run}",
        )
    table, trunk, start = (script.with_name(f"{script.stem}{end}") for end in _ENDINGS)
    for file in (script, table, trunk, start):
        require_new(file, ways=("give another name: -o", "move or delete it"), hint="-o another.py")
    catalog, progress = catalog or load_catalog(), progress or Silent()
    report, plan = report_of(best), load_plan(best / "best.toml", catalog)
    if report.winner.members:
        raise _cannot_say(f"it averages the weights of {report.winner.member_names}, and the script trains once")
    contexts = open_contexts(plan, Machine(device), catalog, progress)
    values = SearchSpace(plan.recipe, contexts.first.stages, catalog).start()
    folded = report.folds > 1 or report.winner.refitted
    contexts.folded = folded
    context = contexts.of(values)
    if folded:
        rows = np.sort(np.concatenate([context.rows("train"), context.rows("val")]))
        context = context.divided(rows, rows[:0])
    _require_sayable(values, context, plan.recipe.name)
    tap = context.stages.tap_index(values.features.tap)
    frozen = context.stages.frozen_index(values.freeze.depth, tap)
    tuned = frozen < tap
    beside: dict[Path, str | bytes] = {table: _table(context, folded=folded)}
    create, copied = _creation(context, values, trunk.name)
    if copied is not None:
        beside[trunk] = copied
    if tuned:
        beside[start] = _start(context, tap, values)
    words, notes = _words(context, values, tap, frozen, report)
    text = _rendered({**words, "create": create, "table": in_quotes(table.name), "start": in_quotes(start.name),
                      "seed": plan.seed, "data": _data_line(plan.location)})  # fmt: skip
    if (count := len(text.splitlines())) > MOST_LINES:
        raise _cannot_say(f"it would take {count} lines, and {MOST_LINES} are the most")
    with disk_errors(script.parent):
        script.parent.mkdir(parents=True, exist_ok=True)
        for file, content in beside.items():
            write_whole(file, content)
        write_whole(script, text)
    return Ejected(script, tuple(beside), float(report.test or 0.0), notes)


def _require_sayable(values: TrialValues, context: TrialContext, recipe: str) -> None:
    """Refuse what the script would do otherwise than the search."""
    kind, dataset = context.catalog.head(values.head.name), context.prepared.dataset
    read = values.features.reading(context.stages)
    tap, also = read.tap, read.also
    tuned = context.stages.frozen_index(values.freeze.depth, tap) < tap
    odd = [f"{key} = {value}" for key, value in values.to_flat().items()
           if key not in _SAID and value != _NOTHING.get(key, object()) and not key.startswith("search.")]  # fmt: skip
    deep = sorted(set(dataset.frame["depth"]) - {"uint8"})
    problems = [
        f"the head `{kind.name}`, where it knows {', '.join(_HEADS)}" if kind.name not in _HEADS else "",
        f"{', '.join(odd)}" if odd and kind.name in _HEADS else "",
        "answers that are the mean over an image and its mirror image" if read.mirrored else "",
        "a training of a head that reads several stages" if tuned and also else "",
        f"several stages read as `{context.stages.codes}`" if also and context.stages.codes != "mean" else "",
        "a head fitted to several views of each image" if not tuned and values.view_kind else "",
        "a random head on a frozen network" if not tuned and values.head.init != "probe" else "",
        f"the augmentation `{values.augment}`"
        if tuned and values.augment not in _VIEWS else "",
        "low-rank updates of the attention (LoRA)" if values.parts == "lora" else "",
        "classes that are made to count alike" if balance_mode(values, context) != "none" else "",
        "" if dataset.task.exclusive else "images with several labels",
        f"images of more than 8 bits ({', '.join(deep)})" if deep else "",
        f"images that are no files in a folder ({dataset.format})" if dataset.format != "folder" else "",
        "a set without test images" if not len(context.rows("test")) else "",
    ]  # fmt: skip
    if any(problems):
        raise _cannot_say(f"`{recipe}` has {'; '.join(problem for problem in problems if problem)}")


def _cannot_say(what: str) -> RunError:
    return RunError(
        f"This winner cannot be written as a short script that does the same: {what}.",
        ways=["repeat the training with `advisor tune RUN/best/best.toml --name again`",
              "take the model itself along: --to onnx, --to program"],
        hint="advisor export RUN --to onnx --name my-birds",
    )  # fmt: skip


def _table(context: TrialContext, *, folded: bool) -> str:
    """Every image with its class and its part, as CSV; after cross-validation the winner has learnt from all."""
    dataset = context.prepared.dataset
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("path", "class", "label", "part"))
    for path, label, part in dataset.frame[["path", "label", "split"]].itertuples(index=False):
        learnt = "train" if folded and part == "val" else part
        writer.writerow((path, dataset.classes[label], label, learnt))
    return out.getvalue()


def _creation(context: TrialContext, values: TrialValues, file: str) -> tuple[str, bytes | None]:
    """Arguments of `timm.create_model` that give the network the search began with; its weights where timm has none."""
    import timm
    from safetensors.torch import save

    from advisor.builtin.backbones import PREFIX

    bare = copy.deepcopy(context.network).cpu().to(memory_format=torch.contiguous_format).eval()
    assert isinstance(bare, TimmNetwork)
    bare.reset_classifier(0)
    name, architecture = context.backbone.name, context.backbone.architecture
    untouched = values.features.weights == "pretrained" and values.freeze.batchnorm != "adabn"
    if name.startswith(PREFIX) and untouched:
        known = name.removeprefix(PREFIX)
        if _equal(timm.create_model(known, pretrained=True, num_classes=0), bare, context.backbone.input):
            return f'"{in_quotes(known)}", pretrained=True, num_classes=0', None
    if not architecture or not timm.is_model(architecture):
        raise _cannot_say(f"timm has no architecture `{architecture or name}`")
    state = {key: tensor.clone().contiguous() for key, tensor in bare.state_dict().items()}
    again = timm.create_model(architecture, num_classes=0)
    try:
        again.load_state_dict(state)
    except RuntimeError as error:
        raise _cannot_say(f"timm's `{architecture}` has other parameters than the network") from error
    if not _equal(again, bare, context.backbone.input):
        raise _cannot_say(f"timm's `{architecture}` answers otherwise than the network with the same weights")
    text = f'"{in_quotes(architecture)}", num_classes=0, checkpoint_path=HERE / "{in_quotes(file)}"'
    return text, bytes(save(state))


def _equal(one: nn.Module, other: nn.Module, spec: InputSpec) -> bool:
    images = torch.randn(2, 3, spec.size, spec.size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = other(images)
        gap = (one.eval()(images) - expected).abs().max() / expected.abs().max().clamp(min=1.0)
    return bool(gap <= _SAME)


def _start(context: TrialContext, tap: int, values: TrialValues) -> bytes:
    """What a training starts from above the trunk: the features' scale, and the head as its closed form leaves it."""
    from safetensors.torch import save

    scaling = context.standardise(tap)
    start = {"mean": scaling.mean, "scale": scaling.scale}
    kind = context.catalog.head(values.head.name)
    head = kind.create(len(scaling.mean), context.classes, **values.head.params)
    if values.head.init == "probe" and kind.fit is not None:
        told = {**values.head.params, **context.scaling_known(kind.fit)}
        kind.fit(head, context.features("train", tap), context.labels("train"), **told)
        start |= dict(head.state_dict())
    return bytes(save({key: tensor.clone().contiguous() for key, tensor in start.items()}))


def _words(
    context: TrialContext, values: TrialValues, tap: int, frozen: int, report: RunRecord
) -> tuple[dict[str, object], tuple[str, ...]]:
    """What the template is filled with, and what the script says it does otherwise."""
    spec, stages, kind = context.backbone.input, context.stages, values.head.name
    tuned, classes = frozen < tap, context.classes
    also = values.features.reading(stages).also
    hooked, widths = _hooked(context, (*also, tap)) if also else ({}, [])
    pooled, width = ("", sum(widths)) if also else _pooled(context, tap)
    edge = (spec.resize - spec.size) // 2
    notes: list[str] = []
    words: dict[str, object] = {
        "tuned": tuned, "head": kind, "hinge": kind == "svm", "classes": classes, "stages": len(stages),
        "side": context.prepared.pixels.side, "resize": spec.resize, "size": spec.size, "filter": spec.interpolation,
        "mean": repr(list(spec.mean)), "std": repr(list(spec.std)),
        "offset": 2 * edge + spec.size - spec.resize, "fit": spec.fit, "fit_words": _FIT_WORDS[spec.fit],
        "fill": repr(spec.fill),
        "tap": in_quotes(stages.stages[tap - 1].tap) if tap < len(stages) and not also else "",
        "hooked": hooked, "widths": widths, "top": tap == len(stages),
        "pooled": pooled, "width": width, "momentum": "",
    }  # fmt: skip
    if tuned:
        notes += _training_words(words, context, values, tap, frozen, report)
    else:
        l2 = float(values.head.params.get("l2", 0.0)) * (2 if classes == 2 and kind == "linear" else 1)
        words |= {
            "l2": repr(l2), "iterations": 2000 if kind == "svm" else 500, "tolerance": 1e-6 if kind == "svm" else 1e-3,
            "fit_words": "Support vector machines, each class against the rest, with squared hinge loss."
            if kind == "svm" else "Logistic regression.",
        }  # fmt: skip
    if values.features.weights == "random":
        notes.append("Its network begins with the random weights that the search drew.")
    elif values.freeze.batchnorm == "adabn":
        notes.append("The statistics of BatchNorm in its weights were taken anew from the training images.")
    test, count = float(report.test or 0.0), report.test_images
    read = f"read at {stages_said((*also, tap))} of {len(stages)}"
    how = f"stages {frozen + 1} to {tap} of {len(stages)} trained" if tuned else read
    words["title"] = in_quotes(f"{context.backbone.name} for {classes} classes, {how}: what a search found best.")
    about = (
        f"Written by transfer-advisor {__version__}, whose own model had {test:.4f} of {count} test images right. "
        "This script draws random numbers and rounds pixels in its own way, so expect that figure within chance. It "
        "needs torch, torchvision, timm, safetensors, pillow and numpy, and the files that it names beside it."
    )
    lines = textwrap.wrap(in_quotes(" ".join((about, *notes))), WIDTH - 1, break_long_words=False)
    words["about"] = "\n".join(lines)
    return words, tuple(notes)


def _training_words(
    words: dict[str, object], context: TrialContext, values: TrialValues, tap: int, frozen: int, report: RunRecord
) -> list[str]:
    """Add what the training needs; what it does otherwise than the search."""
    optimizer, train = values.steps
    notes = ["The head's start (fitted in closed form) and the scale of its features are read from a file."]
    share, images = report.winner.trained, len(context.rows("train"))
    steps, per_epoch = train.length(images), steps_per_epoch(images, train.batch_size)
    if share < 1:
        steps = max(1, round(share * steps))
        notes.append(f"The search's time allowed {share:.0%} of the steps its recipe names; so does this script.")
    epochs = -(-steps // per_epoch)
    codes, augment = context.stages.codes, values.augment
    kept = kept_views(context, values, tap=tap, frozen=frozen, codes=codes)
    views = 0 if augment == "none" else kept or epochs
    still = batchnorm_mode(values, context) == "eval"
    norm = "isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)"
    below = 'f"{name}.".startswith(FROZEN)'
    words |= {
        "epochs": epochs, "steps": steps, "clip": repr(optimizer.clip) if optimizer.clip else "",
        "batch": train.batch_size, "warmup": repr(train.warmup),
        "lr": repr(optimizer.lr), "decay": repr(optimizer.weight_decay),
        "head_lr": repr(optimizer.head_lr),
        "only": ' and name.endswith("bias")' if values.parts == "bias" else "",
        "frozen": frozen_line(context.network, context.stages, frozen), "views": views,
        "rounds": -(-epochs // kept) if kept and views else 0, "mirror": augment == "flip_crop",
        "views_words": f"{views} views of each image, the first of them plain" if kept else "a view for each epoch",
        "optimizer": "AdamW(groups, lr=LR)" if optimizer.name == "adamw"
        else "SGD(groups, lr=LR, momentum=0.9, nesterov=True)",
        "still": f"{norm} or {below}" if still else below,
        "still_words": "what is frozen keeps its statistics" + (", and so does every BatchNorm" if still else ""),
        "smoothing": f", label_smoothing={train.label_smoothing!r}"
        if train.label_smoothing else "",
        "head_copied": values.head.init == "probe",
        "start_words": "how features are scaled, and the head's start",
    }  # fmt: skip
    if not context.pretrained and not still:
        words["momentum"] = "0.1"
    return notes


def _pooled(context: TrialContext, tap: int) -> tuple[str, int]:
    """How what the trunk answers becomes one vector an image, as Python, and how long that is."""
    trunk, pool = cut(copy.deepcopy(context.network), context.stages, tap)
    with torch.inference_mode():
        out = trunk.eval()(context.clean(context.rows("train")[:1]))
        found = out["tap"] if isinstance(out, dict) else out
        width = int(pool(found).shape[1])
    codes, last = (pool.codes, pool.channels_last) if isinstance(pool, Pool) else ("mean", False)
    name = "found.relu()" if codes == "relu" else "found"
    if found.ndim == 2:
        return name, width
    places = {3: "1", 4: "(1, 2)" if last else "(2, 3)"}[found.ndim]
    if codes == "mean+std":
        return f"torch.cat((found.mean({places}), (found.var({places}, correction=0) + 1e-12).sqrt()), 1)", width
    return f"{name}.mean({places})", width


def _hooked(context: TrialContext, read: tuple[int, ...]) -> tuple[dict[str, str], list[int]]:
    """Modules whose answers are read together, each with the places that its mean is over; and all stages' widths."""
    places: dict[str, str] = {}
    for stage in (context.stages.stages[number - 1] for number in read):
        if stage.tap:
            trunk, pool = cut(copy.deepcopy(context.network), context.stages, context.stages.stages.index(stage) + 1)
            with torch.inference_mode():
                answer = trunk.eval()(context.clean(context.rows("train")[:1]))["tap"]
            last = isinstance(pool, Pool) and pool.channels_last
            places[in_quotes(stage.tap)] = {2: "()", 3: "(1,)", 4: "(1, 2)" if last else "(2, 3)"}[answer.ndim]
    widths = [int(context.raw_features("train", number).shape[1]) for number in read]
    return places, widths


def _data_line(location: str) -> str:
    path = in_quotes(str(Path(folder_of(location)).resolve()))
    line = f'DATA = Path("{path}")  # one folder per class'
    return line if len(line) <= WIDTH else f'DATA = Path(\n    "{path}"\n)'


def _rendered(words: Mapping[str, object]) -> str:
    from jinja2 import Environment, StrictUndefined

    # Python, not HTML; every word that may hold anything has gone through `in_quotes`.
    environment = Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined, autoescape=False,  # noqa: S701
    )  # fmt: skip
    template = resources.files("advisor.outcome") / "templates" / "train.py.j2"
    return environment.from_string(template.read_text("utf-8")).render(words)
