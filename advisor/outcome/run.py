"""From a plan to a run folder: search, hand over the best model, and judge it once on the test images."""

from __future__ import annotations

import multiprocessing
import signal
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from advisor.advice.planning import first_of
from advisor.advice.recommendation import Recommendation
from advisor.allocator import lent_to_children
from advisor.data.cache import disk_errors, write_whole
from advisor.data.prepare import prepare
from advisor.errors import RunError, UsageError
from advisor.network.activations import DEFAULT_LIMIT
from advisor.network.opening import open_network, stages_for
from advisor.network.transfer import pick_device
from advisor.outcome.handover import Result, hand_over, leaderboard
from advisor.outcome.opened import OpenRun
from advisor.plugins import Catalog, load_catalog
from advisor.progress import Progress, Silent
from advisor.recipe import Choices, Plan, Range, Recipe, heads_of, load_plan, load_recipe, plan_to_toml
from advisor.tuning.confirm import TOP
from advisor.tuning.context import Limits, TrialContext
from advisor.tuning.memory import free_memory, used_memory
from advisor.tuning.network_runner import NetworkRunner, origin_of
from advisor.tuning.pool import ContextPool, fitted
from advisor.tuning.space import SearchSpace
from advisor.tuning.storage import claim, open_ledger, study_key
from advisor.tuning.study import Search
from advisor.tuning.weights import KeptWeights
from advisor.units import parse_duration, show_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from advisor.records.trial import TrialRecord
    from advisor.task import Task

_FINISH_SECONDS = 4.0  # writing and checking the bundle, and the process's own start and end
_TEST_MARGIN = 1.3
_MOST_FOR_TEST = 0.4  # of the budget
_WORTH_HELP = 60.0  # seconds left; a further process needs up to twenty before its first trial


@dataclass(frozen=True)
class Machine:
    """What a run may use of the machine.

    Attributes:
        device: `auto`, `cpu` or `cuda`.
        workers: processes that search one study.
        memory: bytes that the run may fill; None is half of what is free.
        cache: bytes that kept activations may take on disk.
        storage: an Optuna URL; a file in the run folder by default.
    """

    device: str = "auto"
    workers: int = 1
    memory: int | None = None
    cache: int = DEFAULT_LIMIT
    storage: str = ""


def tune(
    plan: Plan | Recommendation | str | Path,
    *,
    name: str = "",
    runs: str | Path = "runs",
    trials: int | None = None,
    budget: str = "",
    machine: Machine | None = None,
    device: str = "",
    prefer: str = "",
    catalog: Catalog | None = None,
    progress: Progress | None = None,
    on_trial: Callable[[TrialRecord], None] | None = None,
    began: float | None = None,
    reserve: float = 0.0,
) -> Result:
    """Search a plan's recipe and hand over the best model. Running it again goes on where it stopped.

    Args:
        plan: a plan, a recommendation, or the path of an `advisor.toml`.
        name: of the run's folder; the dataset's name by default.
        runs: the folder of run folders.
        trials: at most this many, those of earlier sessions included; the plan's number by default.
        budget: for the whole call, such as `10m`; the plan's by default.
        machine: what may be used of it.
        device: short for `machine=Machine(device=…)`.
        prefer: `accurate`, `fast` or `small`, in place of the plan's `[search] prefer`.
        catalog: the installed plugins by default; further workers always load the installed ones.
        progress: told how far things are.
        on_trial: told about each trial when it ends.
        began: when the budget's clock started, on `time.monotonic`; now by default.
        reserve: seconds of the budget that the caller needs afterwards.

    Raises:
        RecipeError: the plan does not validate.
        RunError: the folder holds another run.
        DatasetError: the images cannot be used as they are.
    """
    began = time.monotonic() if began is None else began
    catalog, progress = catalog or load_catalog(), progress or Silent()
    machine = machine or Machine()
    machine = replace(machine, device=device or machine.device)
    if isinstance(plan, Recommendation):
        plan = plan.plan
    elif not isinstance(plan, Plan):
        plan = load_plan(plan, catalog)
    if prefer:
        plan = replace(plan, recipe=plan.recipe.with_values({"search.prefer": prefer}))
    seconds = parse_duration(budget or plan.recipe.text("search.budget"))
    wanted = trials if trials is not None else plan.recipe.whole("search.trials")
    if machine.memory is None:
        target = pick_device(machine.device)
        machine = replace(machine, memory=used_memory(target) + free_memory(target) // 2)
    machine = replace(machine, memory=(machine.memory or 0) // machine.workers)
    if plan.evidence.get("learnable") is False:
        progress.say(
            "The plan recommends no way: no probe learnt anything from these images. The search runs all the same, "
            "since fine-tuning may see what frozen features do not show; believe its result only if the test "
            "images clearly beat guessing."
        )
    contexts = open_contexts(plan, machine, catalog, progress)
    folder = Path(runs) / (name or contexts.first.prepared.dataset.name)
    with disk_errors(folder), sole_user(folder), ExitStack() as stack:
        opened = stack.enter_context(
            open_run(contexts, plan, folder, budget=seconds, trials=wanted, storage=machine.storage)
        )
        search, context = opened.search, opened.runner.context
        write_whole(folder / "plan.toml", plan_to_toml(plan))
        if search.space.allows_pretrained:
            # The features of the training images are the probe, and the probe is the floor: they come first.
            context.features("train", len(context.stages))
        progress.say(_intentions(opened, wanted, seconds))
        read = len(context.rows("test")) * (2 if search.may_mirror else 1)
        finish = reserve + _FINISH_SECONDS + _TEST_MARGIN * read * context.seconds_per_image()
        finish = min(finish, _MOST_FOR_TEST * seconds)  # a slow moment of the machine must not eat the search
        deadline = began + seconds - finish
        try:
            left = max(0, wanted - len(search.ledger.searched()))
            with (
                _helpers(plan, machine, folder, seconds, wanted, deadline, progress),
                progress.task("Searching", left, seconds=deadline - time.monotonic()) as advance,
            ):
                told = _keeping_board(opened, on_trial, advance)
                ended = search.run(trials=wanted, deadline=deadline, on_trial=told)
            search.ledger.fail_stale_trials()
            search.confirm(deadline)
            search.average(deadline)
        except KeyboardInterrupt:
            if not search.has_result:
                raise
            ended = "interrupted"
            progress.say(
                "Stopped. Scoring the best so far on the test images; Ctrl-C again leaves at once, nothing is lost."
            )
        return hand_over(opened, ended, began, budget=seconds, trials=wanted, deadline=deadline)


def _intentions(opened: OpenRun, trials: int, seconds: float) -> str:
    """What is about to be done, in one line."""
    search, runner = opened.search, opened.runner
    how = f"{search.folds}-fold cross-validation" if search.folds > 1 else "one validation part"
    return (
        f"At most {trials} trials in {show_duration(seconds)}, judged by {how} on {len(runner.rows(search.folds))} "
        f"images; the best {TOP} again under {search.seeds} seeds; then {len(runner.context.rows('test'))} test "
        "images, once."
    )


@contextmanager
def open_run(
    contexts: ContextPool, plan: Plan, folder: Path, *, budget: float, trials: int, storage: str = "", worker: int = 0
) -> Iterator[OpenRun]:
    """The search of a plan in a run folder, begun, with the scenarios' recipes among its trials.

    Raises:
        RunError: the folder holds the run of another dataset or of another plan; the storage cannot be used.
    """
    first = contexts.first
    dataset, recipe = first.prepared.dataset, plan.recipe
    space = SearchSpace(
        recipe, first.stages, first.catalog,
        backbones=plan.backbones, backbone=plan.backbone, stages_of=contexts.stages_of,
    )  # fmt: skip
    key = study_key(dataset.digest, plan)
    runner = NetworkRunner(
        contexts,
        origin_of(
            space.start(),
            pretrained=space.allows_pretrained,
            input_size=0 if space.sizes() else space.start().features.input_size,
            fit=space.start().features.fit,
        ),
        KeptWeights(folder / "weights", key),
        seed=plan.seed,
    )
    with open_ledger(storage, key, folder) as ledger:
        search = Search(
            recipe, space, ledger, runner, scenarios=_scenarios(first.catalog, plan), seed=plan.seed, budget=budget,
            trials=trials, worker=worker, progress=first.progress,
        )  # fmt: skip
        if worker == 0:
            claim(ledger, dataset.digest, plan, folder)
        search.begin()
        contexts.folded = search.folds > 1
        yield OpenRun(plan, folder, search, runner)


def _scenarios(catalog: Catalog, plan: Plan) -> list[Recipe]:
    """The core's own recipes of the four scenarios; none where the plan leaves nothing to choose."""
    fixed = not any(isinstance(value, Range | Choices) for value in plan.recipe.values.values())
    if fixed or plan.recipe.get("features.weights") == "random":
        return []
    own = [load_recipe(name, catalog) for name in catalog.core_recipes]
    parts = plan.recipe.get("train.parts")
    # Where low-rank updates are searched, the recipe for them is tried for sure.
    wanted = {*parts.choices} - {"all"} if isinstance(parts, Choices) else set()
    return [recipe for recipe in own if recipe.scenario is not None or recipe.get("train.parts") in wanted]


@contextmanager
def _helpers(
    plan: Plan, machine: Machine, folder: Path, budget: float, trials: int, deadline: float, progress: Progress
) -> Iterator[None]:
    """Further processes on the same study, one thread pool's share each, until this one has ended and time is up."""
    late = deadline - time.monotonic() < _WORTH_HELP
    if machine.workers > 1 and late:
        progress.say("One process searches alone: a further one would hardly have started before the time is up.")
    if machine.workers == 1 or late:
        yield
        return
    context = multiprocessing.get_context("spawn")
    threads = torch.get_num_threads()
    share = max(1, threads // machine.workers)
    torch.set_num_threads(share)
    helpers = [
        context.Process(
            target=_help, args=(plan, machine, folder, budget, trials, deadline - time.monotonic(), number, share)
        )
        for number in range(1, machine.workers)
    ]
    with lent_to_children():
        for helper in helpers:
            helper.start()
    try:
        yield
        for helper in helpers:
            helper.join(max(0.0, deadline - time.monotonic()))
    finally:
        torch.set_num_threads(threads)
        for helper in helpers:
            if helper.is_alive():
                helper.terminate()
            helper.join()


def _help(
    plan: Plan, machine: Machine, folder: Path, budget: float, trials: int, left: float, worker: int, threads: int
) -> None:
    """What a further process does: search, until there are enough trials or the time is up."""
    deadline = time.monotonic() + left
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the owner marks what is left running
    catalog = load_catalog()
    contexts = open_contexts(plan, machine, catalog, Silent())
    with open_run(
        contexts, plan, folder, budget=budget, trials=trials, storage=machine.storage, worker=worker
    ) as opened:
        opened.search.run(trials=trials, deadline=deadline)


@contextmanager
def sole_user(folder: Path) -> Iterator[None]:
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


def open_contexts(plan: Plan, machine: Machine, catalog: Catalog, progress: Progress) -> ContextPool:
    """Everything that trials of a plan share.

    Raises:
        RunError: the dataset is not the one that the plan was made for.
        DatasetError: the images cannot be used as they are.
    """
    target = pick_device(machine.device)
    backbone = fitted(catalog.backbone(plan.backbone), str(first_of(plan.recipe.get("features.fit"))))
    network = open_network(backbone, target)
    prepared = prepare(
        plan.location,
        backbone.input,
        catalog=catalog,
        seed=plan.seed,
        skip_small_classes=plan.skip_small_classes,
        ranges=plan.ranges,
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
    _require_heads(plan, prepared.dataset.task, catalog)
    codes = plan.recipe.text("features.codes")
    stages = stages_for(backbone, network, codes=codes)
    context = TrialContext(
        backbone, network, stages, prepared, catalog, target, progress,
        limits=Limits(machine.memory, machine.cache), metric=plan.recipe.text("search.metric"),
    )  # fmt: skip
    return ContextPool(context, codes=codes, seed=plan.seed)


def _require_heads(plan: Plan, task: Task, catalog: Catalog) -> None:
    """Refuse heads that cannot learn the task: those that know one label an image only."""
    known = [name for name, offer in sorted(catalog.heads.items()) if task.accepts(offer.item)]
    for name in heads_of(plan.recipe):
        if not task.accepts(catalog.head(name)):
            raise UsageError(
                f"The head `{name}` learns one label an image; the images of `{plan.location}` may have several.",
                ways=[f"heads for several: {', '.join(known)}", f"ask again: advisor recommend {plan.location}"],
                hint='[head] name = "sigmoid"',
            )


def _keeping_board(
    opened: OpenRun, on_trial: Callable[[TrialRecord], None] | None, advance: Callable[[int], None]
) -> Callable[[TrialRecord], None]:
    """Keep `leaderboard.csv` up to date, so that a killed run leaves one, and tell how many trials are done."""
    done = len(opened.search.ledger.searched())

    def tell(record: TrialRecord) -> None:
        nonlocal done
        write_whole(opened.folder / "leaderboard.csv", leaderboard(opened.search).to_csv(index=False))
        now = len(opened.search.ledger.searched())
        advance(now - done)
        done = now
        if on_trial is not None:
            on_trial(record)

    return tell
