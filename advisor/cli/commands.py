"""One function per command: call one function of the library, print what it returns."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from advisor.cli.console import page, print_json
from advisor.cli.listings import (  # noqa: F401 - `main` looks every command up here
    backbones,
    cache,
    completion,
    datasets,
    doctor,
    heads,
    plugins,
    recipes,
)
from advisor.cli.reports import REPORT_SECONDS, again, beside_plan, in_run
from advisor.cli.talk import Talk
from advisor.errors import AdvisorError, ExitCode, UsageError
from advisor.plugins import load_catalog
from advisor.units import parse_size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import optuna

    from advisor.outcome.predict import Predicted

_HEAVY = ("torch", "timm", "pandas")


def recommend(args: argparse.Namespace) -> ExitCode:
    """`advisor recommend`."""
    from pathlib import Path

    _require_enough(args.images)
    output = Path(args.output)
    _require_writable(output)
    if output.suffix.lower() in {".html", ".md"}:
        raise UsageError(f"`{output}` is where a report would go; the plan is TOML.", hint="-o advisor.toml")
    for suffix in [*([] if args.no_report else [".html"]), *([".md"] if args.md else [])]:
        _require_writable(output.with_suffix(suffix), "the report", "-o advisor.toml")
    talk = _talk(args)
    from advisor.advice.recommend import recommend as run
    from advisor.cli import pages
    from advisor.data.cache import disk_errors, keep_other, write_whole
    from advisor.recipe import plan_to_toml

    found = run(
        args.data,
        backbone=args.backbone,
        backbones=[name.strip() for name in args.backbones.split(",") if name.strip()],
        device=args.device,
        images=args.images,
        codes=args.codes,
        seed=args.seed,
        skip_small_classes=args.skip_small_classes,
        progress=talk,
    )
    if args.pilot:
        from advisor.outcome.pilot import pilot

        found = pilot(found, device=args.device, progress=talk)
    comments = ["Written by `advisor recommend`. Read it, change it, commit it; `advisor tune` runs it.", "",
                *(f"- {reason}" for reason in found.verdict.reasons)]  # fmt: skip
    with disk_errors(output.parent):
        text = plan_to_toml(found.plan, comments)
        if kept := keep_other(output, text):
            talk.say(f"{output} held another plan, perhaps one that you have edited; it is kept as {kept}")
        write_whole(output, text)
    reports = [] if args.no_report and not args.md else beside_plan(args, found, output, talk)
    if args.json:
        print_json({**found.to_dict(), "plan": str(output), "reports": reports})
    else:
        pages.recommendation(page(), found, str(output), reports)
    return ExitCode.OK


def tune(args: argparse.Namespace) -> ExitCode:
    """`advisor tune`."""
    if args.trials is not None and args.trials < 1:
        raise UsageError("--trials must be at least 1.", hint="--trials 20")
    if args.workers < 1:
        raise UsageError("--workers must be at least 1.", hint="--workers 2")
    memory = parse_size(args.memory) if args.memory else None
    kept = parse_size(args.cache_limit)
    talk = _talk(args)
    from advisor.cli import pages
    from advisor.outcome.run import Machine, chosen_plan
    from advisor.outcome.run import tune as run

    plan, name, runs = chosen_plan(args.plan, resume=args.resume, recipe=args.recipe, name=args.name, runs=args.runs)

    best = [-1.0]

    def on_trial(trial: optuna.trial.FrozenTrial) -> None:
        before = best[0]
        talk.say(pages.trial_line(trial, best))
        if best[0] > before:
            talk.note = f"best {best[0]:.3f} ({pages.trial_name(trial)})"

    result = run(
        plan,
        name=name,
        runs=runs,
        trials=args.trials,
        budget=args.budget,
        machine=Machine(args.device, args.workers, memory, kept, args.storage),
        progress=talk,
        on_trial=on_trial,
        began=args.began,
        reserve=0.0 if args.no_report and not args.md else REPORT_SECONDS,
    )
    reports = [] if args.no_report and not args.md else in_run(args, result.folder, talk)
    if args.json:
        print_json({**result.to_dict(), "reports": reports})
    else:
        pages.result(page(), result, reports)
    if result.ended == "interrupted":
        return ExitCode.INTERRUPTED
    return ExitCode.COULD_NOT if result.all_failed else ExitCode.OK


def report(args: argparse.Namespace) -> ExitCode:
    """`advisor report`."""
    again(args, _talk(args, network=False), _require_writable)
    return ExitCode.OK


def explain(args: argparse.Namespace) -> ExitCode:
    """`advisor explain`."""
    talk = _talk(args)
    from advisor.cli import pages
    from advisor.outcome.explain import explain as run
    from advisor.outcome.run import Machine

    found = run(args.run, budget=args.budget, machine=Machine(args.device, storage=args.storage), progress=talk)
    if args.json:
        print_json(found.to_dict())
    else:
        pages.explanation(page(), found, args.run)
    return ExitCode.OK


def predict(args: argparse.Namespace) -> ExitCode:
    """`advisor predict`."""
    from pathlib import Path

    _require_sensible(args)
    talk = _talk(args)
    from advisor.cli import pages
    from advisor.data.cache import disk_errors
    from advisor.outcome.bundle import load
    from advisor.outcome.predict import predict_each
    from advisor.outcome.writing import format_of, text_writer, writing

    output = Path(args.output) if args.output else None
    if output is not None:
        _require_writable(output, "the predictions", "-o predictions.csv")
        format_of(output)
    catalog = load_catalog()
    model = load(args.model, device=args.device, catalog=catalog)
    found = predict_each(model, _given(args.inputs), limit=args.limit, least=args.least, catalog=catalog, progress=talk)
    rows: list[dict[str, Any]] = []
    count = unreadable = 0
    with disk_errors(output or Path("the output")), ExitStack() as stack:
        write: Callable[[Predicted], object] = lambda row: rows.append(row.to_dict(model.classes, args.top))  # noqa: E731
        if output is not None:
            write = stack.enter_context(writing(output, model.classes, args.top))
        elif args.format:
            write = text_writer(sys.stdout, args.format, model.classes, args.top)
        for row in found:
            count += 1
            unreadable += bool(row.error)
            write(row)
        sys.stdout.flush()
    if args.json:
        print_json({"written": str(output), "images": count, "unreadable": unreadable} if output else rows)
    elif output is not None:
        print(f"Written to {output}: {count} {'image' if count == 1 else 'images'}.")
    else:
        pages.predictions(page(), rows)
    if unreadable:
        talk.say(f"{unreadable} of {count} files could not be read.")
    return ExitCode.COULD_NOT if unreadable == count else ExitCode.OK


def _require_sensible(args: argparse.Namespace) -> None:
    """Refuse numbers that mean nothing to `predict`, and two ways out at once."""
    for name in ("top", "limit"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise UsageError(f"--{name} must be at least 1.", hint=f"--{name} 3")
    if not 0 <= args.least <= 1:
        raise UsageError("--least is a probability, from 0 to 1.", hint="--least 0.6")
    if args.format and (args.json or args.output):
        raise UsageError(
            "--format says what goes to stdout; --json says it too, and --output leaves nothing for it.",
            hint="--format jsonl, or -o predictions.jsonl",
        )


def _given(inputs: Sequence[str]) -> list[str]:
    """The inputs, with those that stdin names in the place of `-`: one a line, or ended by zero bytes."""
    found = []
    for given in inputs:
        if given == "-":
            text = sys.stdin.read()
            found += [name for name in (text.split("\0") if "\0" in text else text.splitlines()) if name]
        else:
            found.append(given)
    if not found:
        raise UsageError(
            "There is nothing to predict: no path came in.", hint="find . -name '*.jpg' | advisor predict runs/x/best -"
        )
    return found


def profile(args: argparse.Namespace) -> ExitCode:
    """`advisor profile`."""
    _require_enough(args.images)
    talk = _talk(args, network=not args.without_network)
    catalog = load_catalog()
    from advisor.cli import pages
    from advisor.data.prepare import prepare

    backbone = catalog.backbone(args.backbone)
    prepared = prepare(
        args.data,
        backbone.input,
        catalog=catalog,
        seed=args.seed,
        skip_small_classes=args.skip_small_classes,
        progress=talk,
    )
    seen = None
    if not args.without_network:
        from advisor.advice.inspection import inspect
        from advisor.network.opening import open_network
        from advisor.network.transfer import pick_device

        network = open_network(backbone, pick_device(args.device))
        seen = inspect(prepared, backbone, network, catalog=catalog, images=args.images, seed=args.seed, progress=talk)
    if args.json:
        print_json({**prepared.profile.to_dict(), **(seen.to_dict() if seen else {})})
    else:
        pages.profile(page(), prepared.profile, seen)
    return ExitCode.OK


def reference(args: argparse.Namespace) -> ExitCode:
    """`advisor reference`."""
    from pathlib import Path

    talk = _talk(args)
    target = Path(args.statistics) if args.statistics else None
    if target is not None:
        _require_writable(target, "a file of statistics", "--statistics stages.npz")
    from advisor.advice.reference import measure_reference
    from advisor.data.cache import disk_errors, write_whole

    found = measure_reference(args.backbone, args.data, device=args.device, seed=args.seed, progress=talk)
    if target is not None and found.statistics is not None:
        with disk_errors(target.parent):
            write_whole(target, found.statistics)
        talk.say(f"stage statistics: {target}; offer them with Backbone(statistics=...)")
    elif target is not None:
        talk.say(f"{args.backbone} has BatchNorm, which remembers its source data: no statistics are needed")
    elif found.statistics is not None:
        talk.say(f"{args.backbone} has no BatchNorm; write its stage statistics too: --statistics FILE")
    if args.json:
        print_json(found.to_dict())
    else:
        page().print(found.to_python())
    return ExitCode.OK


def export(args: argparse.Namespace) -> ExitCode:
    """`advisor export`."""
    from pathlib import Path
    from shlex import quote

    if not args.name:
        raise UsageError("The export needs a name.", hint=f"advisor export {args.best} --as plugin --name my-birds")
    if args.images < 1:
        raise UsageError(f"--images {args.images} leaves nothing to compare on.", hint="--images 64")
    from advisor.outcome import export as forms

    into, images = Path(args.into), args.images
    if args.form == "plugin":
        made = forms.export_plugin(args.best, into, name=args.name, licence=args.licence or "MIT", images=images)
    elif args.form == "hub-folder":
        made = forms.export_hub_folder(args.best, into / args.name, licence=args.licence, images=images)
    elif args.form == "timm-folder":
        made = forms.export_timm_folder(args.best, into / args.name, images=images)
    elif args.form == "onnx":
        made = forms.export_onnx(args.best, _ending(into / args.name, ".onnx"), images=images)
    else:
        made = forms.export_program(args.best, _ending(into / args.name, ".pt2"), images=images)
    path = quote(str(made.path))
    here = path if "/" in path else f"./{path}"  # pip takes a bare name for one of the index
    then = {
        "plugin": f"pip install {here}\n  advisor recommend ./other-data --backbone "
        f"{made.path.name.removeprefix('advisor-')}",
        "hub-folder": f"hf upload {quote(f'OWNER/{made.path.name}')} {path}",
        "timm-folder": f"timm.create_model({f'local-dir:{made.path}'!r}, pretrained=True)",
        "onnx": f"onnxruntime.InferenceSession({str(made.path)!r}).run(None, {{'images': uint8_images}})",
        "program": f"torch.export.load({str(made.path)!r}).module()(images)",
    }[args.form]
    if args.json:
        print_json({"written": str(made.path), "form": args.form, "agreement": made.agreement.to_dict()})
    else:
        print(f"Written to {made.path}.\n{made.agreement}\nNext:\n  {then}")
    return ExitCode.OK


def eject(args: argparse.Namespace) -> ExitCode:
    """`advisor eject`."""
    from shlex import quote

    from advisor.outcome.eject import eject as run

    made = run(args.run, args.output, device=args.device, progress=_talk(args))
    if args.json:
        print_json({"script": str(made.script), "beside": [str(file) for file in made.beside],
                    "test_accuracy": made.test, "notes": list(made.notes)})  # fmt: skip
        return ExitCode.OK
    beside = ", ".join(str(file) for file in made.beside)
    print(f"Written to {made.script}, and beside it {beside}.")
    print("\n".join(made.notes))
    print(
        f"The run's own model had {made.test:.3f} of the test images right. Next:\n  python {quote(str(made.script))}"
    )
    return ExitCode.OK


def _ending(path: Path, suffix: str) -> Path:
    return path if path.name.endswith(suffix) else path.with_name(path.name + suffix)


def _require_enough(images: int) -> None:
    if images < 16:
        raise UsageError("--images must be at least 16; fewer measure nothing.", hint="--images 2000")


def _talk(args: argparse.Namespace, *, network: bool = True) -> Talk:
    """What tells progress. Where a network will be needed, its libraries are imported at once: they take seconds.

    Raises:
        AdvisorError: one of them cannot be imported.
    """
    import sys
    from importlib import import_module

    talk = Talk(quiet=args.quiet)
    names = [name for name in _HEAVY if name not in sys.modules] if network else []
    with talk.task("Loading libraries", len(names)) as advance:
        for name in names:
            try:
                import_module(name)
            except (ImportError, OSError) as error:
                raise AdvisorError(
                    f"{name} cannot be imported: {(str(error) or type(error).__name__).splitlines()[0]}",
                    ways=[
                        "see what else is wrong: advisor doctor",
                        "install torch and torchvision again, from one index",
                    ],
                    hint="advisor doctor",
                ) from error
            advance(1)
    return talk


def _require_writable(path: Path, what: str = "the plan", example: str = "-o advisor.toml") -> None:
    """Find out before minutes of work, not after."""
    import os

    if path.is_dir():
        raise UsageError(f"`{path}` is a folder; {what} is a file.", hint=example.replace(" ", f" {path}/"))
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"There is no folder `{folder}` to write {what} to.", hint=f"mkdir -p {folder}")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UsageError(f"`{path}` may not be written.", hint=example.replace(" ", " /a/folder/of/yours/"))
