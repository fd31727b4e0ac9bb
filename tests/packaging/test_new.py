"""Packages from templates, whose words come from strangers."""

import ast
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import UsageError
from advisor.packaging.new import KINDS, filled, in_markdown, new_plugin, one_line, quoted, require_new, words_for


@pytest.mark.parametrize("name", ["a", "my-birds", "b2-c3", "x1"])
def test_a_name_gives_distribution_and_module(name):
    words = words_for(name, summary="s", licence="MIT")
    assert words["distribution"] == f"advisor-{name}"
    assert words["module"].isidentifier()
    assert words["core"].count(".") == 1


@pytest.mark.parametrize(
    ("name", "better"),
    [("My Birds!", "my-birds"), ("3x", "x"), ("", "my-backbone"), ("a--b", "a-b"), ("-a", "a"), ("ü", "my-backbone"),
     ("a/../b", "a-b"), ("a_b", "a-b"), ("a\nb", "a-b")],
)  # fmt: skip
def test_what_is_no_name_is_refused_with_one_that_is(name, better):
    with pytest.raises(UsageError, match="cannot name a plugin") as caught:
        words_for(name, summary="s", licence="MIT")
    assert caught.value.hint == f"advisor plugins new {better}"
    assert words_for(better, summary="s", licence="MIT")


@given(st.text())
def test_a_hint_for_any_text_is_itself_a_name(name):
    try:
        words_for(name, summary="s", licence="MIT")
    except UsageError as error:
        words_for(error.hint.rpartition(" ")[2], summary="s", licence="MIT")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_package_that_python_and_toml_read(tmp_path, kind):
    folder = new_plugin("my-thing", tmp_path, kind=kind, licence="Apache-2.0")
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "advisor-my-thing"
    assert project["license"] == "Apache-2.0"
    assert list(project["entry-points"]["advisor"]) == ["my-thing"]
    for file in folder.rglob("*.py"):
        ast.parse(file.read_text("utf-8"))
    assert (folder / "src" / "advisor_my_thing" / "py.typed").is_file()
    assert "$" not in (folder / "README.md").read_text("utf-8").replace("$ ", "")


def test_the_prefix_may_be_given_or_left_out(tmp_path):
    assert new_plugin("advisor-x", tmp_path, kind="head").name == "advisor-x"


def test_nothing_is_written_over(tmp_path):
    folder = new_plugin("x", tmp_path, kind="head")
    before = (folder / "README.md").read_text("utf-8")
    with pytest.raises(UsageError, match="is there already; nothing was written") as caught:
        new_plugin("x", tmp_path, kind="recipe")
    assert caught.value.ways
    assert (folder / "README.md").read_text("utf-8") == before
    (tmp_path / "file").touch()
    with pytest.raises(UsageError):
        require_new(tmp_path / "file")
    require_new(tmp_path / "new")


EVIL = 'x"""\nimport os; os.abort() # \\ \' ]\x00\u2028'


def test_a_strangers_word_ends_no_string():
    text = filled('NAME = "$word"\n"""About $word."""\n', {"word": EVIL}, ".py")
    assert [type(node) for node in ast.parse(text).body] == [ast.Assign, ast.Expr]
    table = tomllib.loads(filled('name = "$word"\n', {"word": EVIL}, ".toml"))
    assert list(table) == ["name"]
    assert table["name"] == one_line(EVIL)


@given(st.text(max_size=40))
def test_a_word_comes_back_as_one_line_from_python_and_toml(word):
    line = one_line(word)
    assert ast.literal_eval(filled('"$word"', {"word": word}, ".py")) == line
    assert tomllib.loads(filled('a = "$word"', {"word": word}, ".toml")) == {"a": line}
    assert ast.literal_eval(quoted(line)) == line


@given(st.text(max_size=40))
def test_a_word_in_markdown_is_one_line_without_markup(word):
    shown = in_markdown(word)
    assert len(shown.splitlines()) <= 1 or not set(shown) & {"\n", "\r"}
    assert "`" not in shown
    assert "<" not in shown
    for mark in "|[*":
        assert shown.count(mark) == shown.count(f"\\{mark}")


def test_a_template_whose_word_is_missing_is_an_error():
    with pytest.raises(KeyError, match="more"):
        filled("$word $more", {"word": "x"}, ".md")
