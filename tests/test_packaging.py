import subprocess
import sys
import tomllib
from pathlib import Path

import advisor

ROOT = Path(__file__).parents[1]


def test_the_package_list_is_the_tree():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "advisor").rglob("__init__.py")}
    assert listed == found | {"advisor.recipes"}


def test_every_dependency_bound_has_its_reason():
    text = (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("]")[0]
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines
    assert all("#" in line and ">=" in line for line in lines)


def test_exported_names_are_there_and_no_others():
    for name in advisor.__all__:
        assert getattr(advisor, name) is not None
    assert set(dir(advisor)) == set(advisor.__all__)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from advisor.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ('torch', 'timm', 'optuna', 'pandas', 'numpy', 'rich', 'pluggy')\n"
        "print('HEAVY', [m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("HEAVY []")


def test_no_file_has_grown_past_one_room():
    long = {
        str(path): count
        for path in (ROOT / "advisor").rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 500
    }
    assert not long
