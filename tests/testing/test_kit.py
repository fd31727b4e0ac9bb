"""`advisor plugins new` and `advisor plugins check`, as an author meets them."""

import json

import pytest

from advisor.cli.main import main
from advisor.packaging.new import KINDS
from advisor.plugins import load_catalog
from advisor.testing import BackboneSuite, DatasetFormatSuite, HeadSuite, RecipeSuite


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
