"""The shipped recipes, one file each."""

import tomllib
from pathlib import Path

from advisor.builtin.recipes import advisor_recipes

FOLDER = Path(__file__).parents[2] / "recipes"


def test_every_file_is_a_recipe_of_its_name_in_order():
    shipped = list(advisor_recipes())
    assert [file.name for file in shipped] == sorted(path.stem for path in FOLDER.glob("*.toml"))
    for file in shipped:
        assert file.read() == (FOLDER / f"{file.name}.toml").read_text(encoding="utf-8")
        assert tomllib.loads(file.read())["name"] == file.name
