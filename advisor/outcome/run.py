"""From a plan to a run folder: search, hand over the best model, and judge it once on the test images."""

from __future__ import annotations

import json
import platform
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from advisor.advice.inspection import open_network, stages_for
from advisor.advice.recommend import Recommendation
from advisor.data.cache import disk_errors, write_whole
from advisor.data.prepare import prepare
from advisor.errors import RunError, UsageError
from advisor.network.transfer import pick_device
from advisor.outcome.bundle import save_bundle
from advisor.outcome.interval import wilson
from advisor.plugins import Catalog, load_catalog
from advisor.progress import Progress, Silent
from advisor.recipe import Plan, load_plan, parse_duration, plan_to_toml
from advisor.tuning.space import frozen_recipe
from advisor.tuning.study import PROBE, Champion, Search
from advisor.tuning.trial import Workbench, head_params, predict_logits, score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import optuna
    from torch import Tensor

    from advisor.network.transfer import TransferNetwork

_FINISH_SECONDS = 3.0  # writing and checking the bundle
_TEST_MARGIN = 1.3
_MOST_FOR_TEST = 0.4  # of the budget


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        folder: of the run.
        best: the bundle's folder.
        champion: the winning trial.
        probe_accuracy: of the closed-form probe on the validation images, the floor.
        validation: accuracy of the winner there; optimistic, since it was chosen by it.
        test: accuracy on the untouched test images; None when there are none.
        test_interval: 95 % Wilson interval.
        test_images: how many.
        timm_loads_it: whether timm alone can load the bundle.
        trials: table of all trials, best first, as in `leaderboard.csv`.
        ended: `trials`, `time` or `interrupted`.
        seconds: this session.
    """

    folder: Path
    best: Path
    champion: Champion
    probe_accuracy: float
    validation: float
    test: float | None
    test_interval: tuple[float, float]
    test_images: int
    timm_loads_it: bool
    trials: pd.DataFrame
    ended: str
    seconds: float

    @property
    def all_failed(self) -> bool:
        """Whether trials were run and every one failed, so that only the probe stands."""
        searched = self.trials.loc[self.trials["kind"] == "trial", "state"]
        return len(searched) > 0 and bool((searched == "FAIL").all())

    @property
    def none_fitted(self) -> bool:
        """Whether the budget left no room for any trial but the probe."""
        return not (self.trials["kind"] == "trial").any()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "folder": str(self.folder),
            "best": str(self.best),
            "winner": asdict(self.champion),
            "validation_accuracy": self.validation,
            "probe_validation_accuracy": self.probe_accuracy,
            "test_accuracy": self.test,
            "test_interval_95": list(self.test_interval),
            "test_images": self.test_images,
            "timm_loads_it": self.timm_loads_it,
            "trials": json.loads(self.trials.to_json(orient="records")),
            "ended": self.ended,
            "seconds": self.seconds,
        }


def tune(
    plan: Plan | Recommendation | str | Path,
    *,
    name: str = "",
    runs: str | Path = "runs",
    trials: int | None = None,
    budget: str = "",
    device: str = "auto",
    catalog: Catalog | None = None,
    progress: Progress | None = None,
    on_trial: Callable[[optuna.trial.FrozenTrial], None] | None = None,
) -> Result:
    """Search a plan's recipe and hand over the best model. Running it again goes on where it stopped.

    Args:
        plan: a plan, a recommendation, or the path of an `advisor.toml`.
        name: of the run's folder; the dataset's name by default.
        runs: the folder of run folders.
        trials: at most this many, those of earlier sessions included; the plan's number by default.
        budget: for the whole call, such as `10m`; the plan's by default.
        device: `auto`, `cpu` or `cuda`.
        catalog: the installed plugins by default.
        progress: told how far things are.
        on_trial: told about each trial when it ends.

    Raises:
        RecipeError: the plan does not validate.
        RunError: the folder holds another run.
        DatasetError: the images cannot be used as they are.
    """
    began = time.monotonic()
    catalog, progress = catalog or load_catalog(), progress or Silent()
    if isinstance(plan, Recommendation):
        plan = plan.plan
    elif not isinstance(plan, Plan):
        plan = load_plan(plan, catalog)
    seconds = parse_duration(budget or str(plan.recipe.get("search.budget")))
    wanted = trials if trials is not None else int(str(plan.recipe.get("search.trials")))
    bench = open_bench(plan, device, catalog, progress)
    folder = Path(runs) / (name or bench.prepared.dataset.name)
    with disk_errors(folder), _sole_user(folder):
        search = Search(bench, plan, folder)
        write_whole(folder / "plan.toml", plan_to_toml(plan))
        # The features of the training images are the probe, and the probe is the floor: they come first.
        bench.features("train", len(bench.stages))
        finish = _FINISH_SECONDS + _TEST_MARGIN * len(bench.rows("test")) * bench.seconds_per_image()
        finish = min(finish, _MOST_FOR_TEST * seconds)  # a slow moment of the machine must not eat the search
        try:
            ended = search.run(
                trials=wanted,
                deadline=began + seconds - finish,
                on_trial=_keeping_board(folder, search, on_trial),
            )
        except KeyboardInterrupt:
            if not search.has_result:
                raise
            ended = "interrupted"
            progress.say(
                "Stopped. Scoring the best so far on the test images; Ctrl-C again leaves at once, nothing is lost."
            )
        return _hand_over(search, folder, ended, began)


@contextmanager
def _sole_user(folder: Path) -> Iterator[None]:
    """Make the run folder and keep every other process out of it."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(
            f"`{folder}` cannot be a run folder: there is a file in its way.",
            ways=["give another name or place"],
            hint=f"advisor tune --runs runs --name {folder.name}-2",
        ) from error
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise RunError(
            f"`{folder}` is in use by another `advisor tune`.",
            ways=["wait for it", "start a run under another name"],
            hint=f"advisor tune --name {folder.name}-2",
        ) from error


def open_bench(plan: Plan, device: str, catalog: Catalog, progress: Progress) -> Workbench:
    """Everything that trials of a plan share.

    Raises:
        RunError: the dataset is not the one that the plan was made for.
        DatasetError: the images cannot be used as they are.
    """
    target = pick_device(device)
    backbone = catalog.backbone(plan.backbone)
    network = open_network(backbone, target)
    prepared = prepare(
        plan.location,
        backbone.input,
        catalog=catalog,
        seed=plan.seed,
        skip_small_classes=plan.skip_small_classes,
        progress=progress,
    )
    if plan.digest and plan.digest != prepared.dataset.digest:
        raise RunError(
            f"`{plan.location}` is not the dataset that the plan was made for: files or labels have changed.",
            ways=[
                "ask again: the advice may have changed too",
                "delete `digest` from the plan to go on regardless",
            ],
            hint=f"advisor recommend {plan.location}",
        )
    stages = stages_for(backbone, network, codes=str(plan.recipe.get("features.codes")))
    return Workbench(backbone, network, stages, prepared, catalog, target, progress)


def _keeping_board(
    folder: Path, search: Search, on_trial: Callable[[optuna.trial.FrozenTrial], None] | None
) -> Callable[[optuna.trial.FrozenTrial], None]:
    """Keep `leaderboard.csv` up to date, so that a killed run leaves one."""

    def told(trial: optuna.trial.FrozenTrial) -> None:
        write_whole(folder / "leaderboard.csv", leaderboard(search).to_csv(index=False))
        if on_trial is not None:
            on_trial(trial)

    return told


def leaderboard(search: Search) -> pd.DataFrame:
    """One row per trial, best first."""
    rows = []
    for trial in search.study.trials:
        attrs = trial.user_attrs
        rows.append(
            {
                "trial": trial.number,
                "kind": attrs.get("kind", "trial"),
                "state": trial.state.name,
                "validation_accuracy": trial.values[0] if trial.values else None,
                "validation_loss": attrs.get("validation_loss"),
                "seconds": attrs.get("seconds"),
                "tap": attrs.get("tap"),
                "frozen": attrs.get("frozen"),
                "steps": attrs.get("steps"),
                "audit": str(attrs.get("audit", ""))[:12],
                "reason": attrs.get("reason", ""),
                **attrs.get("values", {}),
            }
        )
    frame = pd.DataFrame(rows)
    return frame.sort_values(
        ["validation_accuracy", "validation_loss"], ascending=[False, True], na_position="last", kind="stable"
    )


def _hand_over(search: Search, folder: Path, ended: str, began: float) -> Result:
    """Judge the winner once on the test images and write everything a person takes home."""
    bench, plan = search.bench, search.plan
    champion = search.champion()
    search.drop_beaten()
    network = search.network(champion)
    held = bench.rows("test")
    test: float | None = None
    right = 0
    labels = bench.labels("test")
    per_class: dict[str, dict[str, float]] = {}
    if len(held):
        logits = _test_logits(search, champion, network)
        test, _ = score(logits, labels)
        right = int((logits.argmax(1) == labels).sum())
        per_class = _per_class(logits, labels, bench.prepared.dataset.classes)
    board = leaderboard(search)
    probe = float(board.loc[board["kind"] == PROBE, "validation_accuracy"].iloc[0])
    report = {
        "dataset": {"location": plan.location, "digest": bench.prepared.dataset.digest,
                    "splits": bench.prepared.profile.splits, "classes": list(bench.prepared.dataset.classes)},
        "backbone": {"name": bench.backbone.name, **asdict(bench.backbone.weights)},
        "seed": plan.seed,
        "winner": asdict(champion),
        "validation_accuracy": champion.accuracy,
        "probe_validation_accuracy": probe,
        "test_accuracy": test,
        "test_interval_95": wilson(right, len(held)),
        "test_images": len(held),
        "test_per_class": per_class,
        "versions": versions(),
        "plugins": {p.name: {"distribution": p.distribution, "version": p.version, "status": p.status}
                    for p in bench.catalog.plugins},
    }  # fmt: skip
    best_plan = Plan(
        recipe=frozen_recipe(plan.recipe, champion.values),
        location=plan.location,
        backbone=plan.backbone,
        digest=bench.prepared.dataset.digest,
        seed=plan.seed,
        skip_small_classes=plan.skip_small_classes,
    )
    provenance = {"trial": champion.number, "kind": champion.kind, "validation_accuracy": champion.accuracy,
                  "test_accuracy": test, **versions()}  # fmt: skip
    kind = bench.catalog.head(champion.values["head.name"])
    loads = save_bundle(
        folder / "best",
        network,
        backbone=bench.backbone,
        head=kind.name,
        head_params=head_params(champion.values),
        head_is_linear=kind.linear,
        classes=bench.prepared.dataset.classes,
        texts={
            "best.toml": plan_to_toml(best_plan, provenance=provenance),
            "report.json": json.dumps(report, indent=2, ensure_ascii=False),
        },
    )
    write_whole(folder / "leaderboard.csv", board.to_csv(index=False))
    return Result(
        folder=folder,
        best=folder / "best",
        champion=champion,
        probe_accuracy=probe,
        validation=champion.accuracy,
        test=test,
        test_interval=wilson(right, len(held)),
        test_images=len(held),
        timm_loads_it=loads,
        trials=board,
        ended=ended,
        seconds=time.monotonic() - began,
    )


def _test_logits(search: Search, champion: Champion, network: TransferNetwork) -> Tensor:
    """Logits of the test images; a head alone reads kept features, so a resumed run computes them once."""
    bench = search.bench
    if bench.stages.frozen_index(champion.values["freeze.depth"], network.tap) < network.tap:
        return predict_logits(network, bench, bench.rows("test"))
    features = bench.features("test", network.tap)
    with torch.inference_mode():
        logits: Tensor = network.head.cpu()(features)
    return logits


def versions() -> dict[str, str]:
    """Versions of everything a result depends on."""
    packages = (
        "transfer-advisor",
        "torch",
        "torchvision",
        "timm",
        "optuna",
        "numpy",
        "scikit-learn",
        "pillow",
    )
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _per_class(logits: Tensor, labels: Tensor, classes: tuple[str, ...]) -> dict[str, dict[str, float]]:
    found = {}
    for label, name in enumerate(classes):
        mine = labels == label
        if mine.any():
            recall = float((logits[mine].argmax(1) == label).float().mean())
            found[name] = {"images": int(mine.sum()), "recall": recall}
    return found
