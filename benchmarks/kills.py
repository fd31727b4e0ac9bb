"""Processes killed at random moments leave nothing that looks finished and is not, and lose nothing that was.

    python benchmarks/kills.py --cache --trials [--kills 10] [--images 96] [--seed 0]

`--cache`: a process fills the activation cache (lite0 on digits, every stage, a clean and a random view) and is killed
with SIGKILL, over and over, each time at another moment; the next one goes on. After every kill each manifest that is
found must describe whole files of finite values, equal bit by bit to a computation that nobody disturbed.

`--trials`: a process tunes lite0 on digits at 64 pixels, heads and trainings of any depth, and prints each trial when
it is told that the trial has ended. It is killed over and over; the next one goes on and has three more trials to run.
After every kill all that was ever printed must stand in `study.db` with the same value, `leaderboard.csv` must be whole
and name every trial that was printed, and `best/`, if it is there, must load and predict. The last process is left
alone: it must end with as many trials as were asked for and a bundle that predicts.

Prints one line a kill; exits with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from advisor.data.dataset import open_dataset
from advisor.data.pixels import store_pixels
from advisor.network.activations import ActivationCache, View
from advisor.network.segments import Segments
from advisor.network.stages import stages_of
from advisor.plugins import load_catalog

RECIPE = """schema = 1
name = "kills"
summary = "Short trials of any depth."
[features]
tap = 1.0
input_size = 64
[head]
name = { choices = ["linear", "svm"] }
linear.l2 = { low = 1e-6, high = 0.1, log = true, start = 3e-4 }
[freeze]
depth = { low = 0.0, high = 1.0, start = 0.5 }
[optimizer]
lr = { low = 1e-5, high = 1e-3, log = true, start = 1e-4 }
[train]
epochs = 2
[search]
folds = 1
seeds = 2
"""
NEW_TRIALS = 3  # that each process finds left to do
VIEWS = (View("crop", 0), View("crop", 1))
_MOST_STARTS = 3  # times the kills asked for; a process killed after its last write does not count


def fill(images: int) -> None:
    """Fill the cache in one order, so that the same shallower cut is always there to start from."""
    torch.set_num_threads(1)  # sums in another order would differ in the last bit
    backbone = load_catalog().backbone("lite0")
    network = backbone.create(True).eval()
    example = torch.zeros(1, 3, backbone.input.size, backbone.input.size)
    stages = stages_of(network, example)
    pixels = store_pixels(open_dataset("digits:"), backbone.input)
    cache = ActivationCache(
        network, stages, Segments(network, stages, example), pixels, backbone.input, device=torch.device("cpu")
    )
    print("ready", flush=True)
    for at in range(1, len(stages)):
        for view in VIEWS:
            cache.get(np.arange(images), at, view).close()


def start(images: int, root: Path) -> subprocess.Popen[str]:
    """A process that fills the cache under a folder; it is past its imports when this returns."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--fill", "--images", str(images)],
        env={**os.environ, "ADVISOR_CACHE": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise SystemExit("the process that fills the cache did not start")
    return process


def check_cache(root: Path, reference: Path) -> tuple[int, list[str]]:
    """Finished folders, and what is wrong with them."""
    wrong: list[str] = []
    folders = [folder for folder in sorted((root / "activations").glob("*")) if not folder.name.startswith(".")]
    for folder in folders:
        manifest = json.loads((folder / "manifest.json").read_text())
        for entry in manifest["tensors"]:
            content = (folder / entry["file"]).read_bytes()
            if len(content) != entry["bytes"]:
                wrong.append(f"{folder.name}: {len(content)} of {entry['bytes']} bytes")
                continue
            values = torch.frombuffer(bytearray(content), dtype=torch.bfloat16)
            if not bool(values.isfinite().all()):
                wrong.append(f"{folder.name}: values that are not finite")
            if content != (reference / "activations" / folder.name / entry["file"]).read_bytes():
                wrong.append(f"{folder.name}: other values than undisturbed")
    return len(folders), wrong


def kill_cache(kills: int, images: int, seed: int) -> bool:
    """Kill and check; whether all was well."""
    draw = random.Random(seed)  # noqa: S311 - moments, not secrets
    good = True
    with tempfile.TemporaryDirectory() as folder:
        reference, root = Path(folder) / "reference", Path(folder) / "killed"
        process = start(images, reference)
        began = time.monotonic()
        if process.wait() != 0:
            raise SystemExit("the undisturbed process failed")
        whole = time.monotonic() - began
        total, _ = check_cache(reference, reference)
        print(f"undisturbed: {total} folders in {whole:.1f} s, {disk(reference):.0f} MB")
        done = 0
        for _ in range(_MOST_STARTS * kills):
            process = start(images, root)
            # Each process finds the work of those before it, so the moments reach deeper and deeper stages.
            moment = draw.uniform(0, whole / 4)
            ended = killed(process, moment)
            finished, wrong = check_cache(root, reference)
            if ended == -signal.SIGKILL and finished < total:
                done += 1
                partial = sum(path.is_dir() for path in (root / "activations").glob(".*"))
                print(
                    f"kill {done:>2} after {moment:5.2f} s: {finished:>2} finished folders, {partial} unfinished, "
                    f"{len(wrong)} wrong",
                    flush=True,
                )
            elif ended not in {0, -signal.SIGKILL}:
                wrong.append(f"the process that went on failed with {ended}")
            for line in wrong:
                print(f"  {line}")
            good = good and not wrong
            if done == kills:
                break
            if finished == total:  # everything was there already: begin again, so that every kill hits work
                subprocess.run(
                    [sys.executable, "-m", "advisor", "cache", "--clear", "activations", "--quiet"],
                    env={**os.environ, "ADVISOR_CACHE": str(root)},
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
        process = start(images, root)
        ended = process.wait()
        finished, wrong = check_cache(root, reference)
        left = sum(path.is_dir() for path in (root / "activations").glob(".*"))
        print(f"{done} kills; then left alone: {finished} of {total} folders, {left} unfinished, {len(wrong)} wrong")
        return good and done == kills and ended == 0 and finished == total and not left and not wrong


def tune(folder: Path, trials: int) -> None:
    """Go on with a run, printing each trial that has ended."""
    import advisor
    from advisor.outcome import run  # noqa: F401 - what is slow to import comes before "ready"

    torch.set_num_threads(1)
    print("ready", flush=True)
    advisor.tune(
        folder / "advisor.toml", runs=folder, name="run", trials=trials, budget="1h",
        # Probes have a study and numbers of their own.
        on_trial=lambda trial: trial.number < 0
        or print(trial.number, trial.state.value, repr(trial.accuracy), flush=True),
    )  # fmt: skip
    print("done", flush=True)


def start_tuning(folder: Path, trials: int) -> subprocess.Popen[str]:
    """A process that tunes; it is past its imports when this returns. What it prints goes to a file."""
    with (folder / "printed").open("w") as printed:
        process = subprocess.Popen(
            [sys.executable, __file__, "--tune", str(folder), "--count", str(trials)],
            env={**os.environ, "ADVISOR_CACHE": str(folder / "cache")}, stdout=printed, text=True,
        )  # fmt: skip
    while "ready" not in (folder / "printed").read_text():
        if process.poll() is not None:
            raise SystemExit("the process that tunes did not start")
        time.sleep(0.05)
    return process


def printed(folder: Path) -> dict[int, tuple[str, str]]:
    """State and value of each trial that the last process printed; a line that the kill cut short is none."""
    lines = (folder / "printed").read_text().split("\n")[:-1]
    return {int(n): (state, value) for n, state, value in (line.split() for line in lines if line[0].isdigit())}


def check_run(run: Path, reported: dict[int, tuple[str, str]], image: Path) -> tuple[int, list[str]]:
    """Trials that the run has finished, and what is wrong with it."""
    import optuna
    import pandas as pd

    import advisor

    wrong: list[str] = []
    trials = optuna.load_study(study_name="advisor", storage=f"sqlite:///{run / 'study.db'}").trials
    kept = {trial.number: (trial.state.name, repr(trial.value)) for trial in trials}
    wrong += [f"trial {n} was {told}, is {kept.get(n)}" for n, told in reported.items() if kept.get(n) != told]
    if (run / "leaderboard.csv").exists():
        board = set(pd.read_csv(run / "leaderboard.csv")["trial"])
        missing = sorted(set(reported) - board)
        wrong += [f"not in leaderboard.csv: trials {missing}"] if missing else []
    elif reported:
        wrong.append("no leaderboard.csv")
    if (run / "best").exists() and advisor.predict(run / "best", [image])["error"].iloc[0]:
        wrong.append("the bundle does not predict")
    done = [t for t in trials if t.state.is_finished() and t.user_attrs.get("kind") == "trial"]
    return len(done), wrong


def killed(process: subprocess.Popen[str], after: float) -> int:
    """Exit status of a process that is killed so many seconds from now, or ended before."""
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
    return process.wait()


def small_folder(root: Path, images: int) -> Path:
    """Digits as files, three quarters of them to train on; the first one of the test part."""
    digits = open_dataset("digits:")
    frame = digits.frame.groupby("label").head(images // len(digits.classes))
    for place, image in zip(frame.groupby("label").cumcount(), frame.itertuples(), strict=True):
        target = root / ("test" if place % 4 == 3 else "train") / digits.classes[image.label] / f"{image.row}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(digits.read(image.path))
    return min((root / "test").rglob("*.png"))


def kill_trials(kills: int, images: int, seed: int) -> bool:
    """Kill and check; whether all was well."""
    from advisor.recipe import Plan, load_recipe, plan_to_toml

    draw = random.Random(seed)  # noqa: S311 - moments, not secrets
    good = True
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        image = small_folder(folder / "digits", images)
        (folder / "recipe.toml").write_text(RECIPE)
        recipe = load_recipe(str(folder / "recipe.toml"), load_catalog())
        (folder / "advisor.toml").write_text(plan_to_toml(Plan(recipe, str(folder / "digits"), "lite0")))
        began = time.monotonic()
        if start_tuning(folder, NEW_TRIALS).wait() != 0:
            raise SystemExit("the undisturbed process failed")
        whole = time.monotonic() - began
        reported = printed(folder)
        print(f"undisturbed: {NEW_TRIALS} trials, the leaders judged again, and a bundle in {whole:.1f} s")
        done, trials = 0, NEW_TRIALS
        for _ in range(_MOST_STARTS * kills):
            finished, _ = check_run(folder / "run", reported, image)
            trials = max(trials, finished + NEW_TRIALS)
            process = start_tuning(folder, trials)
            moment = draw.uniform(0, whole)
            ended = killed(process, moment)
            reported |= printed(folder)
            finished, wrong = check_run(folder / "run", reported, image)
            if ended == -signal.SIGKILL:
                done += 1
                print(
                    f"kill {done:>2} after {moment:5.2f} s: {finished:>3} trials finished, {len(reported)} told, "
                    f"{len(wrong)} wrong",
                    flush=True,
                )
            elif ended:
                wrong.append(f"the process that went on failed with {ended}")
            for line in wrong:
                print(f"  {line}")
            good = good and not wrong
            if done == kills:
                break
        ended = start_tuning(folder, trials).wait()
        reported |= printed(folder)
        finished, wrong = check_run(folder / "run", reported, image)
        if not (folder / "run" / "best").is_dir():
            wrong.append("no bundle")
        print(f"{done} kills; then left alone: {finished} of {trials} trials, {len(wrong)} wrong, exit code {ended}")
        print(*wrong, sep="\n", end="\n" if wrong else "")
        return good and done == kills and ended == 0 and finished == trials and not wrong


def disk(root: Path) -> float:
    """Megabytes of activations."""
    return sum(path.stat().st_size for path in (root / "activations").rglob("*.bf16")) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", action="store_true", help="kill processes that fill the activation cache")
    parser.add_argument("--trials", action="store_true", help="kill processes that tune")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--fill", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--tune", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.tune:
        tune(args.tune, args.count)
        return
    if args.fill:
        fill(args.images)
        return
    checks = {
        "cache": lambda: kill_cache(args.kills, args.images, args.seed),
        "trials": lambda: kill_trials(args.kills, args.images, args.seed),
    }
    chosen = [check for name, check in checks.items() if getattr(args, name)]
    if not chosen:
        parser.error(f"what shall be killed: {', '.join(f'--{name}' for name in checks)}")
    results = [check() for check in chosen]  # all of them, whatever the first says
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
