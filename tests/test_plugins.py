import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pluggy
import pytest

from advisor import discovery, hookspecs
from advisor.errors import BackboneError, PluginError, UsageError
from advisor.plugins import load_catalog
from advisor.types import Backbone

ROOT = Path(__file__).parents[1]


def example_of(hook):
    """The code of the example in a hook's docstring."""
    text = inspect.getdoc(hook)
    assert text is not None
    return dedent(text.split("```python\n")[1].split("```")[0])


def statuses(catalog):
    return {plugin.name: plugin.status for plugin in catalog.plugins}


def test_builtins_and_first_party_plugins_are_active():
    catalog = load_catalog()
    assert {"lite0", "lite1", "lite2", "timm/"} <= set(catalog.backbones)
    assert {"ridge", "linear", "svm", "mlp", "cosine", "sigmoid"} <= set(catalog.heads)
    assert {"folder", "digits", "idx", "manifest", "webdataset"} <= set(catalog.datasets)
    assert "weights" in catalog.commands
    assert {"small-similar", "large-similar", "small-different", "large-different"} <= set(catalog.recipes)
    assert {"lp-ft", "plant-2015", "from-scratch"} <= set(catalog.recipes)
    assert catalog.backbones["lite0"].plugin.distribution == "advisor-efficientnet-lite"


def test_hook_advisor_backbones_example_runs(install):
    install("docs", example_of(hookspecs.advisor_backbones))
    assert load_catalog().backbone("my-resnet").create(False).num_features > 0


def test_hook_advisor_heads_example_runs(install):
    install("docs", example_of(hookspecs.advisor_heads))
    head = load_catalog().head("two-layer")
    import torch

    assert head.create(10, 3, hidden=8)(torch.zeros(2, 10)).shape == (2, 3)


def test_hook_advisor_datasets_example_runs(install):
    install("docs", example_of(hookspecs.advisor_datasets))
    from advisor import open_dataset

    assert len(open_dataset("squares:").frame) == 256


def test_hook_advisor_recipes_example_runs(install):
    install("docs", example_of(hookspecs.advisor_recipes))
    from advisor import load_recipe

    assert load_recipe("head-only", load_catalog()).get("freeze.depth") == 1.0


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ZeroDivisionError('on import')", "ZeroDivisionError: on import"),
        ("import no_such_module_at_all", "No module named"),
        (
            """
            from advisor import hookimpl
            @hookimpl
            def advisor_heads():
                yield "not a head"
            """,
            "advisor_heads yielded str, not Head",
        ),
        (
            """
            from advisor import hookimpl
            @hookimpl
            def advisor_heads():
                raise ValueError("inside the hook")
            """,
            "inside the hook",
        ),
    ],
)
def test_a_broken_plugin_is_one_warning_and_breaks_nothing_else(install, source, reason):
    install("bad", source, version="2.5")
    warnings = []
    catalog = load_catalog(on_warning=warnings.append)
    assert not warnings  # nobody has asked for a name that the core does not have
    assert statuses(catalog)["bad"] == "broken"
    assert len(warnings) == 1
    assert "advisor-bad 2.5" in warnings[0]
    assert reason in warnings[0]
    assert "lite0" in catalog.backbones


def test_a_misspelled_hook_is_a_warning_with_the_closest_name(install):
    install("typo", "from advisor import hookimpl\n@hookimpl\ndef advisor_head():\n    return []\n")
    warnings = []
    assert load_catalog(on_warning=warnings.append).plugins
    assert any("advisor_head" in text and "did you mean `advisor_heads`?" in text for text in warnings)


def test_a_name_claimed_twice_names_both_and_spares_everything_else(install):
    source = example_of(hookspecs.advisor_backbones)
    install("one", source)
    install("other", source, version="3.1")
    warnings = []
    catalog = load_catalog(on_warning=warnings.append)
    with pytest.raises(PluginError) as error:
        catalog.backbone("my-resnet")
    assert "advisor-one 1.0" in str(error.value)
    assert "advisor-other 3.1" in str(error.value)
    assert len(warnings) == 1
    assert isinstance(catalog.backbone("lite0"), Backbone)


def test_environment_chooses_plugins(monkeypatch):
    monkeypatch.setenv("ADVISOR_DISABLE", "classics")
    assert statuses(load_catalog())["classics"] == "disabled"
    monkeypatch.setenv("ADVISOR_PLUGINS", "classics")
    monkeypatch.delenv("ADVISOR_DISABLE")
    found = statuses(load_catalog())
    assert found["classics"] == "active"
    assert found["efficientnet-lite"] == "disabled"


def test_without_the_default_backbone_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("ADVISOR_PLUGINS", "")
    with pytest.raises(BackboneError, match="pip install advisor-efficientnet-lite"):
        load_catalog().backbone("lite0")


def test_unknown_names_come_with_the_closest():
    catalog = load_catalog()
    with pytest.raises(BackboneError, match="did you mean `lite1`"):
        catalog.backbone("lit1")
    with pytest.raises(UsageError, match="did you mean `linear`"):
        catalog.head("linaer")
    with pytest.raises(BackboneError, match="resnet18"):
        catalog.backbone("timm/resnet18x")


def test_hub_weights_without_a_network_fail_at_once_and_say_what_to_do():
    import time

    backbone = load_catalog().backbone("timm/test_resnet.r160_in1k")
    began = time.monotonic()
    with pytest.raises(BackboneError, match=r"needs `model\.safetensors` of timm/test_resnet\.r160_in1k") as error:
        backbone.create(True)
    assert time.monotonic() - began < 1
    assert "advisor weights add" in str(error.value)


def test_loading_every_plugin_imports_nothing_heavy():
    code = (
        "import sys; from advisor.plugins import load_catalog; assert load_catalog().plugins;"
        "print([m for m in ('torch', 'timm', 'optuna', 'pandas', 'sklearn', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["plugins", "heads", "backbones", "datasets", "recipes"])
def test_listings_import_no_torch(command):
    code = (
        f"import sys; from advisor.cli.main import main; main([{command!r}]);"
        "print([m for m in ('torch', 'timm', 'optuna', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_a_hub_name_fails_within_a_second_where_there_is_no_network(tmp_path):
    """As on a machine that is offline and was not told so: nothing answers, and nobody set HF_HUB_OFFLINE."""
    code = (
        "import time\nfrom advisor.plugins import load_catalog\nfrom advisor.errors import BackboneError\n"
        "backbone = load_catalog().backbone('timm/test_resnet.r160_in1k')\n"
        "import huggingface_hub\n"
        "for call in (lambda: backbone.create(True), lambda: load_catalog().backbone('hf-hub:someone/birds')):\n"
        "    began = time.monotonic()\n"
        "    try: call()\n"
        "    except BackboneError as error: print(error.message, round(time.monotonic() - began, 2), sep='|')\n"
    )
    env = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    env |= {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    env = {name: value for name, value in env.items() if "proxy" not in name.lower()}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    (weights, seconds), (config, more) = (line.split("|") for line in done.stdout.strip().splitlines())
    assert "127.0.0.1 cannot be reached" in weights
    assert "`config.json` of someone/birds" in config
    assert float(seconds) < 1
    assert float(more) < 1


def test_what_is_in_the_hubs_cache_is_read_without_asking_it(tmp_path):
    """A cache as the hub's client leaves it, made by hand: the weights load, and no request is made."""
    code = (
        "import json, os, sys\nfrom pathlib import Path\nimport timm, torch\nfrom timm.models import save_for_hf\n"
        "home = Path(os.environ['HF_HOME']) / 'hub'\n"
        "network = timm.create_model('test_resnet')\n"
        "for name in ('timm/test_resnet.r160_in1k', 'someone/birds'):\n"
        "    repo = home / ('models--' + name.replace('/', '--'))\n"
        "    (repo / 'refs').mkdir(parents=True)\n"
        "    (repo / 'refs' / 'main').write_text('a' * 40)\n"
        "    save_for_hf(network, repo / 'snapshots' / ('a' * 40), safe_serialization=True)\n"
        "from advisor.plugins import load_catalog\n"
        "for name in ('timm/test_resnet.r160_in1k', 'hf-hub:someone/birds'):\n"
        "    found = load_catalog().backbone(name).create(True)\n"
        "    print(torch.equal(found.fc.weight, network.fc.weight))\n"
    )
    env = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split() == ["True", "True"]


def test_nobody_is_imported_where_the_cores_own_names_suffice(install, tiny_folder):
    install("curious", "raise RuntimeError('somebody imported me')")
    warnings = []
    catalog = load_catalog(on_warning=warnings.append)
    catalog.head("linear")
    catalog.recipe("lp-ft")
    catalog.backbone("timm/test_resnet")
    assert catalog.dataset_for(str(tiny_folder)).name == "folder"
    assert catalog.head_names(["svm", "ridge"])
    assert {plugin.distribution for plugin in catalog.met} == {"transfer-advisor"}
    assert not warnings
    with pytest.raises(UsageError):
        catalog.head("nobodys")
    assert "somebody imported me" in warnings[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda root: (root / "labels.csv").touch(),
        lambda root: [(root / "dogs" / file.name).unlink() for file in (root / "dogs").iterdir()],
    ],
)
def test_a_folder_that_may_be_something_else_is_shown_to_everyone(tmp_path, make):
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").touch()
    recognise = load_catalog().datasets["folder"].item.recognise
    assert recognise(str(tmp_path)) == 1
    make(tmp_path)
    assert recognise(str(tmp_path)) == 0.5


def test_a_name_of_the_cores_stays_the_cores(install):
    install("greedy", example_of(hookspecs.advisor_heads).replace('"two-layer"', '"linear"'), version="0.3")
    warnings = []
    catalog = load_catalog(on_warning=warnings.append)
    assert catalog.heads["linear"].plugin.distribution == "transfer-advisor"
    assert len(warnings) == 1
    assert "advisor-greedy 0.3" in warnings[0]
    assert "`linear`" in warnings[0]


def test_hook_advisor_commands_example_runs(install, capsys):
    from advisor.cli.main import main

    install("docs", example_of(hookspecs.advisor_commands))
    assert main(["greet", "world"]) == 0
    assert capsys.readouterr().out == "Hello, world\n"
    assert main(["gret"]) == 2
    assert "did you mean `greet`?" in capsys.readouterr().err
    assert main(["recomend"]) == 2
    assert "did you mean `recommend`?" in capsys.readouterr().err


def test_a_hook_that_will_go_says_so_to_whoever_implements_it(install, monkeypatch):
    from types import SimpleNamespace

    from advisor import discovery
    from advisor.stability import HookWarning

    spec = pluggy.HookspecMarker("advisor")(
        lambda: None, warn_on_impl=HookWarning("advisor_heads() goes in 2.0; offer advisor_tops() instead")
    )
    specs = SimpleNamespace(**{name: getattr(hookspecs, name) for name in discovery.PROMISED} | {"advisor_heads": spec})
    monkeypatch.setattr(discovery, "hookspecs", specs)
    monkeypatch.setattr(discovery, "_BUILTINS", ("recipes",))
    install("late", example_of(hookspecs.advisor_heads), version="4.2")
    warnings = []
    catalog = load_catalog(on_warning=warnings.append, only=["late"])
    assert "two-layer" in catalog.heads
    assert len(warnings) == 1
    assert "advisor-late 4.2" in warnings[0]
    assert "advisor_tops" in warnings[0]


def test_every_hook_has_its_page_with_its_signature_and_its_example():
    for name in discovery.PROMISED:
        hook = getattr(hookspecs, name)
        page = (ROOT / "docs" / "plugins" / f"{name}.md").read_text()
        signature = f"{name}{inspect.signature(hook)}".replace("'", "")
        assert page.splitlines()[0] == f"# `{signature}`"
        shown = page.split("```python\n")[1].split("```")[0]
        assert ast.dump(ast.parse(shown)) == ast.dump(ast.parse(example_of(hook)))
        assert f"[`{name}()`]({name}.md)" in (ROOT / "docs" / "plugins" / "README.md").read_text()
