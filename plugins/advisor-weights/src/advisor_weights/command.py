"""`advisor weights add`, `list` and `verify`."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from advisor.errors import BackboneError, ExitCode, UsageError, closest
from advisor_weights.folder import MANIFEST, Entry, read_manifest, weights_dir, write_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.network.weights import Checkpoint

_PREFERRED = ("model.safetensors", "pytorch_model.bin", "model.pth")
_ENDINGS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".pth.tar", ".pt.tar", ".tar")


_ADD = (
    "Copies a checkpoint of a timm network into the folder, after trying that it fits. What trainers put around the "
    "tensors is seen through: tables such as state_dict, model and EMA, and names that begin with module., _orig_mod. "
    "or model. A classifier of another size, none at all, half precision and a first layer for grey images are taken, "
    "and said. Nothing in the file is executed."
)
_EXAMPLE = """\
example:
  advisor weights add run7.ckpt --architecture resnet50
  advisor recommend ./data --backbone run7"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", hint=f"{self.prog} --help")


def run(arguments: Sequence[str]) -> int:
    """Run the command; the exit code.

    Raises:
        UsageError: the arguments are wrong.
        BackboneError: a checkpoint is not what it should be.
    """
    args = _parser().parse_args(arguments)
    return int({"add": _add, "list": _list, "verify": _verify}[args.action](args))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="advisor weights",
        description="Use checkpoints of your own as backbones.\n"
        f"They are kept in {weights_dir()}; ADVISOR_WEIGHTS names another folder.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser(
        "add",
        help="copy a checkpoint into the folder and write down what it is",
        description=_ADD,
        epilog="example: advisor weights add run7.ckpt --architecture resnet50 --licence MIT",
    )
    add.add_argument("file", help=".safetensors, .pth, .pt, .bin, .ckpt or .pth.tar, or a folder with config.json")
    add.add_argument("--name", default="", help="of the backbone; by default the file's")
    add.add_argument(
        "--architecture",
        default="",
        help="timm's name, such as resnet50; not needed where the file or config.json says it",
    )
    add.add_argument("--licence", default="unknown", help="of the weights, SPDX")
    add.add_argument("--source", default="", help="where they came from; by default the file's path")
    add.add_argument("--trained-on", default="unknown", help="such as ImageNet-1k")
    listing = actions.add_parser("list", help="what is in the folder")
    verify = actions.add_parser("verify", help="hash every file and build every network")
    verify.add_argument("name", nargs="?", default="", help="this one only")
    for sub in (add, listing, verify):
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser


def _add(args: argparse.Namespace) -> ExitCode:
    from advisor.network.weight_files import require_weights

    folder = weights_dir()
    given, config = _source(Path(args.file))
    require_weights(given)
    ending = _ending(given)
    stem = given.name[: -len(ending)] if given == Path(args.file) else Path(args.file).resolve().name
    name = args.name or re.sub(r"[^A-Za-z0-9._-]+", "-", stem)
    entries = {entry.name: entry for entry in read_manifest(folder)}
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):  # it names a file, and is typed
        raise UsageError(
            f"`{name}` cannot name a checkpoint.",
            ways=["letters, digits, and . _ - within"],
            hint=f"--name {re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('-._') or 'my-resnet'}",
        )
    if name in entries:
        raise UsageError(
            f"There is a checkpoint `{name}` already.",
            ways=["give it another --name", f"take the old one out of {folder / 'weights.toml'}"],
            hint="advisor weights list",
        )
    # Only now what takes seconds to import: torch for the file, and then timm for its network.
    from advisor.data.cache import disk_errors, lock_for
    from advisor.network.weights import read_checkpoint

    checkpoint = read_checkpoint(given)
    from advisor_weights.checkpoints import build, fill, sha256_of

    architecture = args.architecture or str(config.get("architecture") or "") or _architecture(given, checkpoint)
    network: Any = build(architecture)
    notes = fill(network, given, checkpoint, architecture)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{name}{ending.lower()}"
        partial = folder / f".{target.name}.partial"
        shutil.copyfile(given, partial)
        partial.replace(target)
        entry = Entry(
            name=name, file=target.name, sha256=sha256_of(target), architecture=architecture, licence=args.licence,
            source=args.source or str(given.resolve()), trained_on=args.trained_on, **_input(network, config),
        )  # fmt: skip
        with lock_for(folder / MANIFEST):  # another may have added one meanwhile
            write_manifest(folder, [*(one for one in read_manifest(folder) if one.name != name), entry])
    if args.json:
        print(json.dumps({**asdict(entry), "notes": list(notes)}, indent=1))  # noqa: T201 - a command prints
    else:
        for note in notes:
            print(f"{note[:1].upper()}{note[1:]}.")  # noqa: T201
        print(f"{name}: {architecture}, {target.stat().st_size / 1e6:.0f} MB, SHA-256 {entry.sha256[:12]}…")  # noqa: T201
        print(f"Use it: advisor recommend ./data --backbone {name}")  # noqa: T201
    return ExitCode.OK


def _list(args: argparse.Namespace) -> ExitCode:
    entries = read_manifest(weights_dir())
    if args.json:
        print(json.dumps([asdict(entry) for entry in entries], indent=1))  # noqa: T201
        return ExitCode.OK
    if not entries:
        print(f"No checkpoints in {weights_dir()}.\nhint: advisor weights add FILE --architecture resnet50")  # noqa: T201
    for entry in entries:
        print(f"{entry.name:<24} {entry.architecture:<24} {entry.size:>4} px  {entry.licence}, {entry.trained_on}")  # noqa: T201
    return ExitCode.OK


def _verify(args: argparse.Namespace) -> ExitCode:
    entries = read_manifest(weights_dir())
    names = [entry.name for entry in entries]
    if args.name and args.name not in names:
        raise UsageError(
            f"There is no checkpoint `{args.name}`.",
            ways=[f"there are: {', '.join(names) or 'none'}"],
            hint=closest(args.name, names) or "advisor weights list",
        )
    found = []
    for entry in entries:
        if args.name in {"", entry.name}:
            try:
                entry.backbone().create(True)
            except BackboneError as error:
                found.append({"name": entry.name, "flaw": error.message})
            else:
                found.append({"name": entry.name, "flaw": ""})
            if not args.json:
                print(f"{entry.name}: {found[-1]['flaw'] or 'as declared'}")  # noqa: T201
    if args.json:
        print(json.dumps(found, indent=1))  # noqa: T201
    return ExitCode.COULD_NOT if any(one["flaw"] for one in found) else ExitCode.OK


def _source(path: Path) -> tuple[Path, dict[str, Any]]:
    """The file of weights, and the configuration beside it in timm's layout."""
    if path.is_dir():
        file = next((path / name for name in _PREFERRED if (path / name).is_file()), None)
        if file is None or not (path / "config.json").is_file():
            raise UsageError(
                f"`{path}` is no folder in timm's layout.",
                ways=["it needs config.json and model.safetensors", "give the file of weights itself"],
                hint=f"ls {path}",
            )
        return file, _config(path / "config.json")
    if not path.is_file():
        raise UsageError(f"There is no file `{path}`.", ways=["check the spelling"], hint="advisor weights add --help")
    if not _ending(path):
        raise UsageError(
            f"`{path.name}` is not a checkpoint that can be read.",
            ways=[f"files of tensors end in {', '.join(_ENDINGS[:-2])}"],
            hint="torch.save(network.state_dict(), 'network.pth') writes one",
        )
    return path, {}


def _ending(file: Path) -> str:
    """The ending of a file of tensors as it is written; empty where it is none."""
    ends = [end for end in _ENDINGS if file.name.lower().endswith(end) and len(file.name) > len(end)]
    return file.name[-max(map(len, ends)) :] if ends else ""


def _architecture(file: Path, checkpoint: Checkpoint) -> str:
    """The architecture that a trainer wrote into a file.

    Raises:
        UsageError: there is none that timm knows; the hint is what the file's name says.
    """
    import timm

    written = checkpoint.architecture
    if written and timm.is_model(written):
        return written
    words = re.split(r"[-.]", file.name)[0].split("_")
    likely = next((one for end in range(len(words), 0, -1) if timm.is_model(one := "_".join(words[:end]).lower())), "")
    raise UsageError(
        f"`{file.name}` does not say which architecture it is for.",
        ways=["give timm's name of it: --architecture resnet50", "list them: advisor backbones 'timm/*'"],
        hint=f"--architecture {likely or 'NAME'}",
    )


def _config(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"`{file}` cannot be read: {error}.", hint="give the file of weights itself") from error
    if not isinstance(found, dict):
        raise UsageError(f"`{file}` holds no table.", hint="give the file of weights itself")
    return found


def _input(network: Any, config: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """The input that the weights were trained for: as the configuration says, else timm's for the architecture."""
    from timm.data import resolve_data_config

    found = resolve_data_config(args={}, pretrained_cfg={**network.pretrained_cfg, **config.get("pretrained_cfg", {})})
    return {
        "size": int(found["input_size"][1]), "crop_pct": float(found["crop_pct"]), "mean": tuple(found["mean"]),
        "std": tuple(found["std"]),
        "interpolation": "bilinear" if found["interpolation"] == "bilinear" else "bicubic",
    }  # fmt: skip
