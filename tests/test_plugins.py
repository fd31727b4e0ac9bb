import inspect
import subprocess
import sys
from textwrap import dedent

import pytest

from advisor import hookspecs
from advisor.errors import BackboneError, PluginError, UsageError
from advisor.plugins import load_catalog
from advisor.types import Backbone


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
    assert {"ridge", "linear", "svm", "mlp", "cosine", "sigmoid"} == set(catalog.heads)
    assert {"folder", "digits", "idx"} == set(catalog.datasets)
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
    assert statuses(catalog)["bad"] == "broken"
    assert len(warnings) == 1
    assert "advisor-bad 2.5" in warnings[0]
    assert reason in warnings[0]
    assert "lite0" in catalog.backbones


def test_a_misspelled_hook_is_a_warning_with_the_closest_name(install):
    install("typo", "from advisor import hookimpl\n@hookimpl\ndef advisor_head():\n    return []\n")
    warnings = []
    load_catalog(on_warning=warnings.append)
    assert any("advisor_head" in text and "did you mean `advisor_heads`?" in text for text in warnings)


def test_a_name_claimed_twice_names_both_and_spares_everything_else(install):
    source = example_of(hookspecs.advisor_backbones)
    install("one", source)
    install("other", source, version="3.1")
    warnings = []
    catalog = load_catalog(on_warning=warnings.append)
    assert len(warnings) == 1
    with pytest.raises(PluginError) as error:
        catalog.backbone("my-resnet")
    assert "advisor-one 1.0" in str(error.value)
    assert "advisor-other 3.1" in str(error.value)
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
    with pytest.raises(BackboneError, match="cannot be loaded"):
        backbone.create(True)
    assert time.monotonic() - began < 10


def test_loading_the_catalog_imports_nothing_heavy():
    code = (
        "import sys; from advisor.plugins import load_catalog; load_catalog();"
        "print([m for m in ('torch', 'timm', 'optuna', 'pandas', 'sklearn', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
