"""Fixtures: an isolated environment, small real images, and plugins installed from text."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from textwrap import dedent

# Read once, when huggingface_hub is first imported.
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pytest
from hypothesis import settings

from advisor.testing.samples import draw as draw  # noqa: PLC0414 - tests take it from here
from advisor.testing.samples import tiny_images

settings.register_profile("here", deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("here")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

TINY = '''
from advisor import hookimpl
from advisor.types import Backbone, InputSpec, Weights

def create(pretrained):
    """A real small architecture; its `pretrained` weights are drawn with a fixed seed."""
    import timm
    import torch
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return timm.create_model("{architecture}", pretrained=False)

@hookimpl
def advisor_backbones():
    yield Backbone(
        name="{name}", create=create, input=InputSpec(size=64, crop_pct=0.9), architecture="{architecture}",
        summary="A very small network.",
        weights=Weights(source="seed", licence="MIT", trained_on="nothing"),
    )
'''


@pytest.fixture(autouse=True)
def _isolated(monkeypatch, tmp_path_factory):
    """No home folder, no network, no plugin switches, and an environment left as it was."""
    for name in [name for name in os.environ if name.startswith("ADVISOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ADVISOR_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("COLUMNS", raising=False)  # test runners that start others say how wide they are


@pytest.fixture
def install(tmp_path_factory, monkeypatch):
    """Install a plugin from source text: a module and its dist-info on `sys.path`, as pip would leave them."""

    def _install(entry: str, source: str, version: str = "1.0", module: str = "") -> None:
        site = tmp_path_factory.mktemp("site")
        module = module or f"advisor_{entry.replace('-', '_')}_{site.name}"
        (site / f"{module}.py").write_text(dedent(source))
        info = site / f"advisor_{entry.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: advisor-{entry}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[advisor]\n{entry} = {module}\n")
        monkeypatch.syspath_prepend(str(site))

    return _install


@pytest.fixture
def tiny(install):
    """A backbone called `tiny`: timm's test_resnet with seeded weights, 64-pixel input."""
    install("tiny", TINY.format(name="tiny", architecture="test_resnet"))
    return "tiny"


def clouds(counts, apart, width=12, seed=0):
    """Features (n, width) of classes around random centres, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = rng.normal(size=(len(counts), width)) * apart
    return (centres[labels] + rng.normal(size=(len(labels), width))).astype(np.float32), labels


@pytest.fixture
def tiny_folder(tmp_path):
    """72 readable images in three classes."""
    return tiny_images(tmp_path / "shapes")


@pytest.fixture
def tuned(monkeypatch, tiny, tmp_path):
    """From a folder of images, and values where they differ, to the bundle of a run of one short training."""

    def make(images, name="run", **changed):
        import advisor
        from advisor.recipe import Plan, Recipe
        from advisor.tuning.study import Search

        values = {
            "features.tap": 1.0, "head.name": "linear", "freeze.depth": 0.4,
            "train.epochs": 1, "train.batch_size": 16, "search.folds": 1, "search.seeds": 1, **changed,
        }  # fmt: skip
        with monkeypatch.context() as without_probes:
            without_probes.setattr(Search, "_add_probes", lambda self: None)
            found = Plan(Recipe("test", values=values), str(images), tiny)
            return advisor.tune(found, runs=tmp_path / "runs", name=name, trials=1, budget="60s", device="cpu").best

    return make


def blocks(page, kind):
    """Every block of a kind in a report's page, those in pairs included."""
    from advisor.report.page.blocks import Pair

    found = []
    for section in page.sections:
        for block in section.blocks:
            found += [one for one in (block.blocks if isinstance(block, Pair) else [block]) if isinstance(one, kind)]
    return found


HOSTILE = (
    'quote\' " quote', "<script>alert(1)<", "🐦‍🔥", "عربي \u202e", "two\nlines", "a" * 200, '"""); import os; os.abort() #',
    "{{ 7 * 7 }} ${HOME} | `x`",
)  # fmt: skip


@pytest.fixture
def hostile_run(tuned, tmp_path):
    """A bundle whose folder and classes are called whatever a file system allows."""
    root = tmp_path / 'data"\n<b> """ {{x}}'
    for kind, name in enumerate(HOSTILE):
        (root / name).mkdir(parents=True)
        for seed in range(8):
            draw(kind % 3, 100 * kind + seed).save(root / name / f"{seed:02d}.png")
    return tuned(root)


@pytest.fixture
def postgresql(tmp_path_factory):
    """The URL of an empty database on a server of its own, which ends with the test."""
    found = shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
    if found is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    home = Path(tempfile.mkdtemp(prefix="pg"))  # sockets want short paths
    programs = Path(os.path.realpath(found)).parent
    # The server refuses to run as root.
    user = [shutil.which("runuser") or "/usr/sbin/runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if user:
        shutil.chown(home, "postgres")
    data, options = home / "data", f"-c listen_addresses='' -c unix_socket_directories={home} -c fsync=off"
    run = {"check": True, "capture_output": True, "cwd": home}
    try:
        subprocess.run([*user, programs / "initdb", "-D", data, "-U", "me", "-A", "trust"], **run)
        # Its output must not hold this process's pipes open.
        subprocess.run([*user, programs / "pg_ctl", "-D", data, "-o", options, "-l", home / "log", "-w", "start"],
                       check=True, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        subprocess.run([programs / "createdb", "-h", home, "-U", "me", "studies"], **run)
        yield f"postgresql+psycopg://me@/studies?host={home}"
    finally:
        subprocess.run(
            [*user, programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"], capture_output=True, cwd=home
        )
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def shared_data():
    """The folder of real image sets; absent outside the project's own machines."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs ../shared/data: real image sets that are not part of the project")
    return SHARED_DATA


@pytest.fixture(scope="module")
def chromium():
    """The installed browser, driven from here."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
