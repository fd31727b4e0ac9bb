"""What is wrong with what a plugin yields, and what its functions raise: named, and never passed on as it is."""

import inspect
from dataclasses import replace

import pytest

from advisor.discovery import distribution_of, flaw_of, guarded
from advisor.errors import BackboneError, PluginError, UsageError
from advisor.types import (
    Backbone,
    BackboneFamily,
    Command,
    DatasetFormat,
    Head,
    InputSpec,
    Listing,
    Param,
    Plugin,
    RecipeFile,
    Weights,
)

PLUGIN = Plugin("bad", "advisor-bad", "2.5")
HEAD = Head("ok", lambda width, classes: None, params=(Param("l2", 0.1, low=0.0, high=1.0),))
BACKBONE = Backbone("ok", lambda _pretrained: None, InputSpec(64), Weights("seed"))
FAMILY = BackboneFamily("ok/", lambda name: BACKBONE, lambda: ("ok/a",))
FORMAT = DatasetFormat("ok", lambda location: 1.0, lambda location: None)
RECIPE = RecipeFile("ok", lambda: "")
COMMAND = Command("ok", lambda arguments: 0)
ITEMS = (HEAD, BACKBONE, FAMILY, FORMAT, RECIPE, COMMAND)


def silent(text):
    raise AssertionError(f"nothing should be told: {text}")


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: type(item).__name__)
def test_what_is_as_promised_has_no_flaw(item):
    assert flaw_of(item) == ""


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: type(item).__name__)
@pytest.mark.parametrize("name", ["", "a b", "a\tb", "a\u200b", "a\n", None, 7, ["a"]])
def test_a_name_is_text_without_blanks(item, name):
    field = "prefix" if isinstance(item, BackboneFamily) else "name"
    flaw = flaw_of(replace(item, **{field: name}))
    assert flaw.startswith(f"a {type(item).__name__} whose name is {name!r}")


@pytest.mark.parametrize("name", ["ä", "日本", "a/b", "x-1.0", "🐦"])
def test_a_name_may_be_of_any_script(name):
    assert flaw_of(replace(RECIPE, name=name)) == ""


@pytest.mark.parametrize(
    ("item", "field"),
    [(HEAD, "create"), (BACKBONE, "create"), (FAMILY, "resolve"), (FAMILY, "names"), (FORMAT, "recognise"),
     (FORMAT, "open"), (FORMAT, "images"), (RECIPE, "read"), (COMMAND, "run")],
)  # fmt: skip
def test_a_function_that_cannot_be_called_is_named(item, field):
    assert f"whose `{field}` cannot be called" in flaw_of(replace(item, **{field: "text"}))


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (replace(HEAD, summary="two\nlines"), "`summary` is no single line"),
        (replace(HEAD, summary=None), "`summary` is None, not str"),
        (replace(HEAD, multilabel="yes"), "`multilabel` is 'yes', not bool"),
        (replace(HEAD, tokens=True, linear=True), "reads tokens and is linear"),
        (replace(HEAD, tokens=True, fit=print), "reads tokens and is linear or has a `fit`"),
        (replace(HEAD, params={"l2": 1}), "`params` are no Params"),
        (replace(HEAD, params=(Param("2x", 1),)), "parameter '2x' cannot be a keyword argument"),
        (replace(HEAD, params=(Param("x", 1, choices=((),)),)), "parameter `x` holds what is no plain value"),
        (replace(HEAD, params=(Param("x", 1, help=3),)), "parameter `x` holds what is no plain value"),
        (replace(BACKBONE, input=64), "`input` is no InputSpec"),
        (replace(BACKBONE, weights="hub"), "`weights` are no Weights"),
        (replace(BACKBONE, weights=Weights("x", sha256="xyz")), "SHA-256 is not 64 hexadecimal digits"),
        (replace(BACKBONE, weights=Weights("x", licence=None)), "Weights's `licence` is None"),
        (replace(BACKBONE, input=InputSpec(64.0)), "InputSpec's `size` is 64.0, not int"),
        (replace(BACKBONE, imagenet_top1="77"), "`imagenet_top1` is '77', not float"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_told_with_what_stands_there(item, words):
    assert words in flaw_of(item)


def test_a_whole_number_is_a_number_and_a_hash_may_be_written_large():
    assert flaw_of(replace(BACKBONE, imagenet_top1=77)) == ""
    assert flaw_of(replace(BACKBONE, weights=Weights("x", sha256="A" * 64))) == ""


# -- guarded functions


def failing(error):
    def function(*_args, **_values):
        raise error

    return function


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), SystemExit(3), AttributeError()])
def test_what_a_function_raises_names_the_plugin_and_how_to_do_without(error):
    head = guarded(replace(HEAD, create=failing(error)), PLUGIN, silent)
    with pytest.raises(PluginError, match=r"`create` of `ok` of plugin bad \(advisor-bad 2.5\) failed") as refused:
        head.create(3, 2)
    assert refused.value.hint == "ADVISOR_DISABLE=bad"
    assert refused.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [BackboneError("no weights"), UsageError("wrong"), MemoryError(), KeyboardInterrupt()]
)
def test_what_is_part_of_the_contract_comes_through_as_it_is(error):
    backbone = guarded(replace(BACKBONE, create=failing(error)), PLUGIN, silent)
    with pytest.raises(type(error)) as refused:
        backbone.create(True)
    assert refused.value is error


def test_a_guarded_function_answers_and_shows_its_own_signature():
    def create(width, classes, *, l2):
        return width, classes, l2

    head = guarded(replace(HEAD, create=create), PLUGIN, silent)
    assert head.create(3, 2, l2=0.1) == (3, 2, 0.1)
    assert inspect.signature(head.create) == inspect.signature(create)


def test_loss_and_fit_are_left_alone():
    head = guarded(replace(HEAD, fit=print, loss=max), PLUGIN, silent)
    assert head.fit is print
    assert head.loss is max


@pytest.mark.parametrize("answer", [2.0, -0.1, None, "yes", float("nan")])
def test_a_confidence_that_is_none_is_told_and_counts_as_nothing(answer):
    told = []
    found = guarded(replace(FORMAT, recognise=lambda location: answer), PLUGIN, told.append).recognise("x")
    assert found == 0.0
    assert "which is not 0 to 1" in told[0]


def test_a_format_that_fails_to_recognise_does_not_recognise():
    told = []
    assert guarded(replace(FORMAT, recognise=failing(OSError("x"))), PLUGIN, told.append).recognise("x") == 0.0
    assert len(told) == 1
    assert guarded(replace(FORMAT, recognise=lambda location: 0.5), PLUGIN, silent).recognise("x") == 0.5


def listing(**changed):
    return Listing(**{"name": "x", "paths": ("a", "b"), "labels": ("c", "d"), "read": lambda path: b"data"} | changed)


def test_a_listing_has_lists_for_columns_however_they_came():
    opened = guarded(replace(FORMAT, open=lambda location: listing(paths=iter("ab"))), PLUGIN, silent).open("x")
    assert opened.paths == ["a", "b"]
    assert opened.labels == ["c", "d"]
    assert opened.read("a") == b"data"


def test_a_column_that_is_no_sequence_is_refused():
    with pytest.raises(PluginError, match="columns are no sequences"):
        guarded(replace(FORMAT, open=lambda location: listing(labels=3)), PLUGIN, silent).open("x")


def test_reading_an_image_may_fail_as_files_do_and_not_otherwise():
    def opened(error):
        return guarded(replace(FORMAT, open=lambda location: listing(read=failing(error))), PLUGIN, silent).open("x")

    with pytest.raises(FileNotFoundError):
        opened(FileNotFoundError("gone")).read("a")
    with pytest.raises(PluginError, match="`read` of an image of plugin bad"):
        opened(KeyError("a")).read("a")


def test_a_family_resolves_to_a_backbone_that_is_guarded_and_checked_in_turn():
    family = guarded(
        replace(FAMILY, resolve=lambda name: replace(BACKBONE, create=failing(KeyError("k")))), PLUGIN, silent
    )
    with pytest.raises(PluginError, match="`create` of `ok`"):
        family.resolve("ok/a").create(True)
    wrong = guarded(replace(FAMILY, resolve=lambda name: replace(BACKBONE, input=3)), PLUGIN, silent)
    with pytest.raises(PluginError, match="gave the Backbone `ok`, whose `input` is no InputSpec"):
        wrong.resolve("ok/a")


@pytest.mark.parametrize(("code", "exit_code"), [(0, 0), (None, 0), (2, 2)])
def test_a_command_may_leave_by_an_exit_code(code, exit_code):
    assert guarded(replace(COMMAND, run=failing(SystemExit(code))), PLUGIN, silent).run([]) == exit_code


def test_a_command_that_leaves_with_words_has_failed():
    with pytest.raises(PluginError, match="SystemExit: bye"):
        guarded(replace(COMMAND, run=failing(SystemExit("bye"))), PLUGIN, silent).run([])


# -- whose it is


class Entry:
    value = "some_module"

    def __init__(self, metadata):
        self._metadata = metadata

    @property
    def dist(self):
        if isinstance(self._metadata, Exception):
            raise self._metadata
        return None if self._metadata is None else type("Dist", (), {"metadata": self._metadata})


@pytest.mark.parametrize(
    ("metadata", "whose"),
    [
        ({"Name": "advisor-x", "Version": "1.2"}, ("advisor-x", "1.2")),
        ({"Name": "advisor-x", "Version": None}, ("advisor-x", "unknown")),
        ({"Name": None, "Version": "1.2"}, ("some_module", "1.2")),
        ({}, ("some_module", "unknown")),
        (None, ("some_module", "unknown")),
        (OSError("gone"), ("some_module", "unknown")),
    ],
)
def test_a_distribution_is_named_as_far_as_its_metadata_go(metadata, whose):
    assert distribution_of(Entry(metadata)) == whose
