"""`advisor plugins new` and `advisor plugins check`, as an author meets them."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from advisor.cli.main import main
from advisor.packaging.new import KINDS
from advisor.plugins import load_catalog
from advisor.testing import BackboneSuite, DatasetFormatSuite, Flaw, HeadSuite, RecipeSuite, datasets, heads
from advisor.types import DatasetFormat, Listing


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_holds_every_check_before_a_line_is_changed(tmp_path, capsys, kind):
    assert main(["plugins", "new", f"my-{kind}", "--kind", kind, "--into", str(tmp_path)]) == 0
    folder = tmp_path / f"advisor-my-{kind}"
    assert f"pip install -e {folder}" in capsys.readouterr().out
    assert main(["plugins", "check", str(folder), "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert not [finding for finding in findings if finding["flaw"]]
    assert {finding["about"] for finding in findings} == {f"plugin my-{kind}", f"{kind} my-{kind}"}
    assert {"pyproject.toml", "README.md", "src", "tests"} == {path.name for path in folder.iterdir()}


def test_names_that_are_none_and_folders_that_are_there(tmp_path, capsys):
    assert main(["plugins", "new", "My Thing!", "--into", str(tmp_path)]) == 2
    assert "advisor plugins new my-thing" in capsys.readouterr().err
    assert main(["plugins", "new", "advisor-twice", "--kind", "head", "--into", str(tmp_path)]) == 0
    assert main(["plugins", "new", "twice", "--into", str(tmp_path)]) == 2
    assert "nothing was written" in capsys.readouterr().err


def test_check_wants_something_to_check(tmp_path, capsys):
    assert main(["plugins", "check", "clasics"]) == 1
    assert "did you mean `classics`?" in capsys.readouterr().err
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert main(["plugins", "check", str(tmp_path)]) == 1
    assert "no entry point" in capsys.readouterr().err
    (tmp_path / "pyproject.toml").write_text("[project\n")
    assert main(["plugins", "check", str(tmp_path)]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_a_format_without_images_at_hand_says_how_to_give_some(install, tiny_folder, capsys):
    install(
        "far",
        """
        from advisor import hookimpl
        from advisor.builtin.datasets import open_folder
        from advisor.types import DatasetFormat
        @hookimpl
        def advisor_datasets():
            yield DatasetFormat("far", recognise=lambda place: 0.6 * place.endswith("shapes"), open=open_folder,
                                example="/a/shapes-on-another-machine")
        """,
    )
    main(["plugins", "check", "far"])
    assert "give images that it reads with --location" in capsys.readouterr().out
    main(["plugins", "check", "far", "--location", str(tiny_folder)])
    assert "holds   dataset far: Opened twice" in capsys.readouterr().out


# The core's own items hold what is asked of everybody's.


class TestCoreBackbone(BackboneSuite):
    @pytest.fixture
    def backbone(self, tiny):
        return load_catalog().backbone(tiny)


class TestCoreHeads(HeadSuite):
    @pytest.fixture(params=sorted(load_catalog(only=[]).heads))
    def head(self, request):
        return load_catalog().head(request.param)


class TestCoreDatasets(DatasetFormatSuite):
    @pytest.fixture
    def dataset_format(self):
        return load_catalog().datasets["folder"].item

    @pytest.fixture
    def location(self, tiny_folder):
        (tiny_folder / "table.csv").touch()  # so that another format might read it as well
        return str(tiny_folder)


class TestCoreRecipes(RecipeSuite):
    @pytest.fixture(params=sorted(load_catalog(only=[]).recipes))
    def recipe_file(self, request):
        return load_catalog().recipe(request.param)


TWO = """
from advisor import hookimpl
from advisor.types import Head
def create(width, classes):
    from torch import nn
    return nn.Linear(width, classes{more})
@hookimpl
def advisor_heads():
    yield Head("{name}", create, summary="A head.")
"""


def test_every_plugin_of_a_distribution_is_checked_and_ways_to_state_things_are_known(tmp_path, install, capsys):
    (tmp_path / "src").mkdir()
    (tmp_path / "README.txt").write_text("Two heads.")
    for name, more in (("one", ""), ("two", " + 1")):
        (tmp_path / "src" / f"advisor_pair_{name}.py").write_text(TWO.format(name=f"pair-{name}", more=more))
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "advisor-pair"\nversion = "1"\ndescription = "Two."\ndependencies = ["transfer-advisor"]\n'
        'readme = {file = "README.txt", content-type = "text/plain"}\nlicense = {file = "LICENSE"}\n'
        '[project.entry-points.advisor]\npair-a = "advisor_pair_one"\npair-b = "advisor_pair_two"\n'
    )
    install("pair-a", "raise OSError('another distribution, of the same name')")
    assert main(["plugins", "check", str(tmp_path), "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    assert {finding["about"] for finding in findings if finding["flaw"]} == {"head pair-two"}
    assert {"plugin pair-a", "plugin pair-b", "head pair-one"} < {finding["about"] for finding in findings}


def test_an_entry_point_may_name_an_object_and_a_distribution_two_of_them(install, capsys):
    module = (
        "from advisor import hookimpl\nclass Plugin:\n    @hookimpl\n    def advisor_heads(self):\n        return []\n"
    )
    install("thing", module + "plugin, other = Plugin(), 7\n", module="advisor_thing")
    info = Path(sys.path[0]) / "advisor_thing-1.0.dist-info"
    (info / "entry_points.txt").write_text("[advisor]\nthing = advisor_thing:plugin\nthong = advisor_thing:other\n")
    assert main(["plugins", "check", "advisor-thing", "--json"]) == 1
    found = {(one["about"], one["check"][:9]): one["flaw"] for one in json.loads(capsys.readouterr().out)}
    assert found["plugin thing", "Importing"] == found["plugin thing", "It loads "] == ""
    assert found["plugin thong", "It loads "] == "it implements no hook"


def test_a_fit_that_changes_what_it_is_given_is_found_out():
    def fit(module, features, labels):
        features -= features.mean(0)
        known = load_catalog().head("ridge")
        known.fit(module, features, labels, **{param.name: param.default for param in known.params})

    head = replace(load_catalog().head("ridge"), fit=fit, params=())
    with pytest.raises(Flaw, match="changes the features"):
        heads.fits_whatever_classes_there_are(head)


@pytest.mark.parametrize(
    ("labels", "words"), [((1, 2), "are text"), (("", "a"), "not empty"), (("a", "a"), "same label")]
)
def test_labels_that_are_none_are_found_out(labels, words):
    listing = Listing("few", ["1.png", "2.png"], labels, read=str.encode)
    few = DatasetFormat("few", recognise=lambda _place: 0.9, open=lambda _place: listing)
    with pytest.raises(Flaw, match=words):
        datasets.lists_without_reading(datasets.Place(few, "few:"))


def test_images_with_several_labels_or_none_are_sound():
    listing = Listing("few", ["1.png", "2.png"], [(), ("a", "b")], read=str.encode)
    few = DatasetFormat("few", recognise=lambda _place: 0.9, open=lambda _place: listing)
    datasets.lists_without_reading(datasets.Place(few, "few:"))


def test_the_fixtures_keep_off_the_hub_even_where_its_client_has_been_imported(request, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    request.getfixturevalue("advisor_home")
    assert constants.HF_HUB_OFFLINE
