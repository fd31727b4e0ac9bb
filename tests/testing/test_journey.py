"""From nothing to a published backbone, as a new author goes: a built wheel in an environment of its own."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A virtual environment with transfer-advisor from a wheel, all that it depends on, and no plugin."""
    home = tmp_path_factory.mktemp("journey")
    source = home / "source"
    source.mkdir()
    for name in ("advisor", "recipes", "pyproject.toml", "README.md", "LICENSE"):
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, source / name)
    python = home / "env" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "env"], check=True)
    # What the wheel depends on is linked, not installed again: it is six gigabytes.
    borrowed = home / "borrowed"
    borrowed.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "advisor" not in entry.name and not entry.name.startswith("__editable__"):
            (borrowed / entry.name).symlink_to(entry)
    packages = next((home / "env" / "lib").glob("python*/site-packages"))
    (packages / "borrowed.pth").write_text(str(borrowed))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", home, source]
    alone = {**os.environ, "PYTHONPATH": ""}
    subprocess.run(build, check=True, env=alone)
    (wheel,) = home.glob("transfer_advisor-*.whl")
    subprocess.run([*pip, "--python", python, "install", "--quiet", "--no-deps", wheel], check=True, env=alone)
    return python


def run(python, *command, cwd):
    env = {**os.environ, "ADVISOR_CACHE": str(cwd / "cache"), "PYTHONPATH": ""}
    program = python.with_name(command[0]) if command[0] != "pip" else None
    if program is None:
        arguments = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, *command[1:]]
    elif command[0] == "pytest":
        arguments = [python, "-m", *command]
    else:
        arguments = [program, *command[1:]]
    done = subprocess.run(arguments, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_five_commands_and_no_file_edited(environment, tmp_path):
    commands = [
        ("advisor", "plugins", "new", "my-birds"),
        ("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "./advisor-my-birds"),
        ("advisor", "plugins", "check", "my-birds", "--json"),
        ("advisor", "backbones", "--json"),
        ("pytest", "-q", "-p", "no:cacheprovider", "advisor-my-birds"),
    ]
    said = [run(environment, *command, cwd=tmp_path) for command in commands]
    assert not [finding for finding in json.loads(said[2]) if finding["flaw"]]
    assert "my-birds" in {row["name"] for row in json.loads(said[3])}
    assert " passed" in said[4]


def test_a_real_network_takes_at_most_twenty_lines(environment, tmp_path):
    """The steps of docs/plugins/tutorial.md, with a network of another architecture and another number of classes."""
    run(environment, "advisor", "plugins", "new", "my-fish", cwd=tmp_path)
    module = tmp_path / "advisor-my-fish" / "src" / "advisor_my_fish" / "__init__.py"
    weights = module.with_name("weights.safetensors")
    code = (
        "import sys, timm, torch; from safetensors.torch import save_file\n"
        "network = timm.create_model('test_vit', num_classes=12)\n"
        "save_file({n: v.contiguous() for n, v in network.state_dict().items()}, sys.argv[1])\n"
    )
    subprocess.run([environment, "-c", code, weights], check=True)
    import hashlib

    before = module.read_text()
    changed = before
    for old, new in {
        before.split('SHA256 = "')[1][:64]: hashlib.sha256(weights.read_bytes()).hexdigest(),
        'timm.create_model("test_resnet", pretrained=False)': 'timm.create_model("test_vit", pretrained=False, num_classes=12)',
        "InputSpec(size=160, crop_pct=0.95)": "InputSpec(size=160, crop_pct=0.95, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))",
        'trained_on="nothing: drawn from a seed"': 'trained_on="our fish"',
        'architecture="test_resnet"': 'architecture="test_vit"',
        'summary="A pretrained network for transfer-advisor."': 'summary="A small transformer for fish."',
    }.items():  # fmt: skip
        assert old in changed
        changed = changed.replace(old, new)
    module.write_text(changed)
    lines = sum(a != b for a, b in zip(before.splitlines(), changed.splitlines(), strict=True))
    assert lines <= 20
    findings = json.loads(run(environment, "advisor", "plugins", "check", "./advisor-my-fish", "--json", cwd=tmp_path))
    assert not [finding for finding in findings if finding["flaw"]]
