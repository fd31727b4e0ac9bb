"""Plugins that are broken in every way we could think of: each a clear line that names it, none a crash."""

import json
import sys
from pathlib import Path

import pytest

from advisor.cli.main import main

HEAD = """
from advisor import hookimpl
from advisor.types import Backbone, BackboneFamily, DatasetFormat, Head, InputSpec, Listing, Param, RecipeFile, Weights
def linear(width, classes, **values):
    from torch import nn
    return nn.Linear(width, classes)
def resnet(pretrained):
    import timm
    return timm.create_model("test_resnet")
def card(create, **more):
    return Backbone("bad", create, InputSpec(64), Weights("seed", licence="MIT", trained_on="nothing", **more))
"""
HOOK = HEAD + "@hookimpl\ndef advisor_{hook}():\n    {body}\n"

# What makes a plugin unusable as a whole: source, and what the line must say.
WHOLE = {
    "a module that is not there": ("import no_such_module_at_all", "No module named"),
    "an error on import": ("raise ZeroDivisionError('on import')", "ZeroDivisionError: on import"),
    "a syntax error": ("def broken(:\n    pass", "SyntaxError"),
    "an exit on import": ("raise SystemExit('bye')", "SystemExit: bye"),
    "a wrong type": (HOOK.format(hook="heads", body="yield 'linear'"), "yielded str, not Head"),
    "nothing returned": (HOOK.format(hook="heads", body="Head('a', linear)"), "returned None"),
    "something that cannot be gone through": (HOOK.format(hook="heads", body="return 3"), "not iterable"),
    "a generator that raises halfway": (
        HOOK.format(hook="heads", body="yield Head('a', linear); raise KeyError('halfway')"), "KeyError: 'halfway'",
    ),
    "a hook with arguments": (
        HEAD + "@hookimpl\ndef advisor_heads(config):\n    yield Head('a', linear)\n", "PluginValidationError",
    ),
    "a name with blanks": (HOOK.format(hook="heads", body="yield Head('a b', linear)"), "name is 'a b'"),
    "a name that is no text": (HOOK.format(hook="heads", body="yield Head(7, linear)"), "name is 7"),
    "a function that is none": (HOOK.format(hook="heads", body="yield Head('a', 'linear')"), "`create` cannot be called"),
    "weights that are none": (
        HOOK.format(hook="backbones", body="yield Backbone('a', resnet, InputSpec(64), 'hub')"), "no Weights",
    ),
    "a hash that is none": (
        HOOK.format(hook="backbones", body="yield card(resnet, sha256='abc')"), "not 64 hexadecimal digits",
    ),
    "an exception that is no Exception": ("class Skipped(BaseException): pass\nraise Skipped('no GPU')", "Skipped: no GPU"),
    "a hook that is cancelled": (
        HOOK.format(hook="heads", body="import asyncio; raise asyncio.CancelledError"), "CancelledError: no reason",
    ),
    "an error that cannot be told": (
        "class Odd(Exception):\n    def __str__(self): raise KeyError('told')\nraise Odd", "Odd: no reason given",
    ),
    "an error that commands the terminal": ("raise ValueError('\\n\x1b[31mred\x07')", r"ValueError: \x1b[31mred\x07"),
    "an error without end": ("raise ValueError('x' * 10**6)", "xxx…"),
    "an object that raises whatever it is asked": (
        HOOK.format(hook="heads", body="return 3") + "class Lazy:\n    def __getattr__(self, name): raise OSError\nlazy = Lazy()\n",
        "not iterable",
    ),
    "a name with unseen letters": (HOOK.format(hook="heads", body="yield Head('a\\u200b', linear)"), "unseen letters"),
    "a head with a dot in its name": (HOOK.format(hook="heads", body="yield Head('a.b', linear)"), "has no dot"),
    "a summary that is no text": (HOOK.format(hook="heads", body="yield Head('a', linear, summary=7)"), "`summary` is 7"),
    "a summary of two lines": (
        HOOK.format(hook="heads", body="yield Head('a', linear, summary='a\\nb')"), "no single line of text",
    ),
    "a subclass whose function is none": (
        HEAD + "class Own(Head): pass\n" + HOOK.format(hook="heads", body="yield Own('a', 'x')").removeprefix(HEAD),
        "`create` cannot be called",
    ),
    "parameters that are gone when they are read": (
        HOOK.format(hook="heads", body="yield Head('a', linear, params=(Param(n, default=1) for n in 'xy'))"),
        "`params` are no Params",
    ),
    "a parameter that is no value": (
        HOOK.format(hook="heads", body="yield Head('a', linear, params=(Param('x', default=[]),))"), "no plain value",
    ),
    "a parameter with a blank": (
        HOOK.format(hook="heads", body="yield Head('a', linear, params=(Param('x y', default=1),))"), "keyword argument",
    ),
    "a size that is text": (
        HOOK.format(hook="backbones", body="yield Backbone('a', resnet, InputSpec('64'), Weights('seed'))"),
        "`size` is '64', not int",
    ),
    "parameters that are none": (
        HOOK.format(hook="heads", body="yield Head('a', linear, params=('hidden',))"), "`params` are no Params",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WHOLE)
def test_it_is_named_and_everything_else_goes_on(install, capsys, case):
    source, words = WHOLE[case]
    install("bad", source, version="2.5")
    assert main(["heads"]) == 0
    said = capsys.readouterr()
    assert "linear" in said.out
    (line,) = said.err.strip().splitlines()
    assert "advisor-bad 2.5" in line
    assert words in line
    assert main(["plugins", "--json"]) == 0
    assert '"broken"' in capsys.readouterr().out
    assert main(["plugins", "check", "bad"]) == 1
    assert words in capsys.readouterr().out


@pytest.mark.parametrize("metadata", [None, b"", b"Name: caf\xe9\nVersion: 1\n", b"Metadata-Version: 2.1\n\n"])
def test_a_distribution_whose_metadata_are_damaged_stops_nothing(install, capsys, metadata):
    install("bad", HOOK.format(hook="heads", body="yield Head('a', linear)"), module="advisor_bad_one")
    info = Path(sys.path[0]) / "advisor_bad-1.0.dist-info"
    (info / "METADATA").unlink()
    if metadata is not None:
        (info / "METADATA").write_bytes(metadata)
    assert main(["heads", "--json"]) == 0
    assert {"name": "a", "from": "advisor_bad_one unknown"}.items() <= json.loads(capsys.readouterr().out)[0].items()
    assert main(["plugins", "check", "bad"]) == 1
    assert "no licence" in capsys.readouterr().out


def test_what_is_printed_meanwhile_stays_out_of_a_document(install, tiny_folder, tmp_path, capsys):
    talk = "    print('talk')\n"
    source = HOOK.format(hook="backbones", body="print('talk'); yield card(create)") + "print('talk')\n"
    install("bad", source + "def create(pretrained):\n" + talk + "    return resnet(pretrained)\n")
    for command in (
        ["backbones"],
        ["recommend", str(tiny_folder), "--backbone", "bad", "--no-report", "-o", str(tmp_path / "a.toml")],
    ):
        assert main([*command, "--json"]) == 0
        said = capsys.readouterr()
        json.loads(said.out)
        assert "talk" in said.err


def test_a_name_in_the_data_commands_no_terminal(tiny, tiny_folder, tmp_path, capsys):
    (tiny_folder / "blobs").rename(tiny_folder / "blobs\x1b]0;title\x07\n")
    assert main(["profile", str(tiny_folder), "--without-network"]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert r"blobs\x1b]0;title\x07\n" in said.out
    assert main(["profile", str(tmp_path / "no\x1bwhere")]) == 2
    assert r"no\x1bwhere" in capsys.readouterr().err


def test_a_module_without_a_hook_and_a_misspelled_one(install, capsys):
    install("bad", HEAD + "@hookimpl\ndef advisor_backbone():\n    return []\n")
    assert main(["plugins", "check", "bad"]) == 1
    assert "did you mean `advisor_backbones`?" in capsys.readouterr().out


NAN = """
def create(pretrained):
    import torch
    network = resnet(pretrained)
    torch.nn.init.constant_(network.conv1[0].weight, float("nan"))
    return network
"""
WIDTH = """
def create(pretrained):
    network = resnet(pretrained)
    network.num_features = network.head_hidden_size = 7
    return network
"""
ORDER = """
def create(pretrained):
    network = resnet(pretrained)
    network.group_matcher = lambda coarse=False: lambda name: {"conv1": 4, "bn1": 4}.get(name.split(".")[0], 5 * ("layer" not in name) or int(name[5]) - 1)
    return network
"""
HASH = """
def create(pretrained):
    from pathlib import Path
    from advisor import read_state_dict
    network = resnet(pretrained)
    if pretrained:
        network.load_state_dict(read_state_dict(Path(__file__), "0" * 64))
    return network
"""
PICKLE = """
class Mischief:
    def __reduce__(self):
        return print, ("this must never be printed",)
def create(pretrained):
    import hashlib, tempfile, torch
    from pathlib import Path
    from advisor import read_state_dict
    network = resnet(pretrained)
    if pretrained:
        file = Path(tempfile.mkdtemp()) / "net.pth"
        torch.save({"weight": Mischief()}, file)
        network.load_state_dict(read_state_dict(file, hashlib.sha256(file.read_bytes()).hexdigest()))
    return network
"""
RAISES = """
def create(pretrained):
    return resnet(pretrained).no_such_layer
"""
STRINGS = """
def create(pretrained):
    return "a network"
"""
MAPS = """
def create(pretrained):
    import torch
    network = resnet(pretrained)
    network.forward = lambda images: network.forward_features(images)
    return network
"""
# A backbone's create, what `check` must say, and what `recommend` must say (nothing: it can live with it).
NETWORKS = {
    "answers that are not numbers": (NAN, "not finite", "not finite"),
    "a width that lies": (WIDTH, "it says 7 and its vectors have 96", ""),
    "stages out of order": (ORDER, "not in forward order", ""),
    "a file that was exchanged": (HASH, "is not the declared one", "is not the declared one"),
    "code in a file of weights": (PICKLE, "holds code", "holds code"),
    "an error while it is built": (RAISES, "AttributeError", "advisor-bad 2.5"),
    "no network at all": (STRINGS, "not a network", "not a network"),
    "maps instead of vectors": (MAPS, "not (2, width)", "not with a score for each class"),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_a_backbone_that_lies_is_found_out_and_crashes_nothing(install, tiny_folder, tmp_path, capsys, case):
    source, found, refused = NETWORKS[case]
    install("bad", HOOK.format(hook="backbones", body="yield card(create)") + source, version="2.5")
    assert main(["plugins", "check", "bad"]) == 1
    said = capsys.readouterr()
    assert found in said.out
    assert "never be printed" not in said.out
    code = main(
        ["recommend", str(tiny_folder), "--backbone", "bad", "--no-report", "-q", "-o", str(tmp_path / "plan.toml")]
    )
    said = capsys.readouterr()
    assert "internal error" not in said.err
    assert "never be printed" not in said.out
    assert code == (1 if refused else 0), said.err
    assert refused in said.err


LISTING = "lambda place: Listing('bad', {paths}, {labels}, read={read})"
FORMATS = {
    "an error when it is asked": ("lambda place: 1 / 0", "lambda place: None", "ZeroDivisionError", 0),
    "a confidence that is none": ("lambda place: 7.0", "lambda place: None", "gave 7.0, which is not 0 to 1", 0),
    "a confidence in words": ("lambda place: 'sure'", "lambda place: None", "gave 'sure'", 0),
    "a confidence that is no number": ("lambda place: float('nan')", "lambda place: None", "gave nan", 0),
    "columns that are none": (
        "lambda place: 0.9", LISTING.format(paths="7", labels="['x']", read="str"), "no sequences", 1,
    ),
    "columns that are gone when they have been counted": (
        "lambda place: 0.9", LISTING.format(paths="(p for p in 'ab')", labels="(p for p in 'xyz')", read="str"),
        "2 images and 3 labels", 1,
    ),
    "an error when it opens": ("lambda place: 0.9", "lambda place: {}['x']", "KeyError: 'x'", 1),
    "fewer labels than images": (
        "lambda place: 0.9", LISTING.format(paths="['a', 'b', 'c']", labels="['x', 'y']", read="str"),
        "3 images and 2 labels", 1,
    ),
    "an image named twice": (
        "lambda place: 0.9", LISTING.format(paths="['a', 'a']", labels="['x', 'y']", read="str"), "the same name", 1,
    ),
    "labels that are numbers": (
        "lambda place: 0.9", LISTING.format(paths="['a', 'b']", labels="[0, 1]", read="str"), "is no text", 1,
    ),
    "something else than a listing": ("lambda place: 0.9", "lambda place: ['a', 'b']", "gave list, not a Listing", 1),
    "images that cannot be read": (
        "lambda place: 0.9", LISTING.format(paths="['a', 'b']", labels="['x', 'y']", read="lambda path: path[9]"),
        "IndexError", 1,
    ),
    "images that are no bytes": (
        "lambda place: 0.9", LISTING.format(paths="['a', 'b']", labels="['x', 'y']", read="str"), "not bytes", 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMATS)
def test_a_format_that_fails_is_named(install, tiny_folder, capsys, case):
    recognise, opens, words, code = FORMATS[case]
    body = f"yield DatasetFormat('bad', recognise={recognise}, open={opens}, example='bad:')"
    install("bad", HOOK.format(hook="datasets", body=body), version="2.5")
    (tiny_folder / "odd.dat").touch()  # so that the core is not sure
    assert main(["profile", str(tiny_folder), "-q"]) == code
    said = capsys.readouterr()
    assert "internal error" not in said.err
    assert words in said.err
    if words != "not bytes":
        assert "advisor-bad 2.5" in said.err or "`bad`" in said.err


def test_a_recipe_that_does_not_validate_is_named_and_left_out(install, tiny, tiny_folder, tmp_path, capsys):
    install("bad", HOOK.format(hook="recipes", body="yield RecipeFile('bad', read=lambda: 'schema = 1\\nname = 3')"))
    plan = str(tmp_path / "plan.toml")
    assert main(["recommend", str(tiny_folder), "--backbone", tiny, "--no-report", "-o", plan]) == 0
    assert "recipe bad (advisor-bad 1.0) is left out" in capsys.readouterr().err
    assert main(["plugins", "check", "bad"]) == 1


def test_a_head_that_gives_the_wrong_shape_fails_its_trial_with_the_reason(
    install, tiny, tiny_folder, tmp_path, capsys
):
    source = HOOK.format(hook="heads", body="yield Head('bad', lambda width, classes: linear(width, 2 * classes + 1))")
    install("bad", source.replace("2 * classes + 1", "2"))
    assert main(["plugins", "check", "bad"]) == 1
    assert "for 100 classes" in capsys.readouterr().out
    (tmp_path / "recipe.toml").write_text('schema = 1\nname = "r"\n[head]\nname = "bad"\n[freeze]\ndepth = 1.0\n')
    plan, runs = str(tmp_path / "plan.toml"), str(tmp_path / "runs")
    assert main(["recommend", str(tiny_folder), "--backbone", tiny, "--no-report", "-q", "-o", plan]) == 0
    code = main(
        ["tune", plan, "--recipe", str(tmp_path / "recipe.toml"), "--runs", runs, "--trials", "1", "--no-report", "-q"]
    )
    assert code == 1
    said = capsys.readouterr()
    assert "internal error" not in said.err
    assert "No searched trial succeeded" in said.out
