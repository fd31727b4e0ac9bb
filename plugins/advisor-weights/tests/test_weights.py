import json
import subprocess
import sys

import pytest
import timm
import torch
from advisor_weights import advisor_backbones
from advisor_weights.command import run
from advisor_weights.folder import weights_dir
from timm.models import save_for_hf

from advisor.errors import BackboneError, UsageError
from advisor.testing import BackboneSuite, PluginSuite


@pytest.fixture
def advisor_plugins():
    return ["weights"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVISOR_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def network():
    torch.manual_seed(3)
    return timm.create_model("test_resnet").eval()


@pytest.fixture
def file(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "net.pth")
    return tmp_path / "net.pth"


def add(*arguments):
    return run(["add", *map(str, arguments), "--licence", "MIT", "--trained-on", "nothing"])


class TestPlugin(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return "weights"


class TestBackbone(BackboneSuite):
    @pytest.fixture
    def backbone(self, file, advisor_home):
        from advisor.plugins import load_catalog

        add(file, "--architecture", "test_resnet", "--name", "mine", "--source", "a drawer")
        return load_catalog().backbone("mine")


def test_a_file_becomes_a_backbone_with_the_same_answers(file, network, capsys, advisor_home):
    from advisor.plugins import load_catalog

    assert add(file, "--architecture", "test_resnet", "--name", "mine") == 0
    assert "--backbone mine" in capsys.readouterr().out
    backbone = load_catalog().backbone("mine")
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(backbone.create(True).eval()(images), network(images))
    assert backbone.weights.licence == "MIT"
    assert run(["list"]) == 0
    assert "mine" in capsys.readouterr().out
    assert run(["verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "mine", "flaw": ""}]


def test_a_folder_in_timms_layout_needs_no_architecture(network, tmp_path):
    save_for_hf(network, str(tmp_path / "hub"), safe_serialization=True)
    add(tmp_path / "hub")
    (backbone,) = advisor_backbones()
    assert backbone.name == "hub"
    assert backbone.architecture == "test_resnet"
    assert (weights_dir() / "hub.safetensors").is_file()


def test_another_number_of_classes_is_kept(tmp_path):
    torch.save(timm.create_model("test_resnet", num_classes=7).state_dict(), tmp_path / "seven.pth")
    add(tmp_path / "seven.pth", "--architecture", "test_resnet")
    (backbone,) = advisor_backbones()
    assert backbone.create(True).get_classifier().out_features == 7


def test_a_file_that_changed_is_refused(file, folder, capsys):
    add(file, "--architecture", "test_resnet", "--name", "mine")
    other = timm.create_model("test_resnet")
    torch.save(other.state_dict(), folder / "mine.pth")
    (backbone,) = advisor_backbones()
    with pytest.raises(BackboneError, match="SHA-256"):
        backbone.create(True)
    assert run(["verify"]) == 1
    assert "not the declared one" in capsys.readouterr().out


class Mischief:
    def __reduce__(self):
        return print, ("this must never be printed",)


def test_code_in_a_file_is_refused_and_never_runs(tmp_path, capsys):
    torch.save({"weight": Mischief()}, tmp_path / "bad.pth")
    with pytest.raises(BackboneError, match="holds code"):
        add(tmp_path / "bad.pth", "--architecture", "test_resnet")
    assert "never be printed" not in capsys.readouterr().out


BAD = {
    "empty.pth": (b"", "it is empty"),
    "page.bin": (b"<!doctype html>", "a page or a text"),
    "pointer.safetensors": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "cut.pth": (b"PK\x03\x04" + bytes(100), "damaged, cut"),
    "cut.safetensors": ((1000).to_bytes(8, "little") + b'{"a":', "damaged, cut"),
    "short.safetensors": (
        (57).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}  ' + bytes(8),
        "damaged, cut",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_before_anything_heavy_is_imported(tmp_path, name):
    data, words = BAD[name]
    (tmp_path / name).write_bytes(data)
    code = (
        "import sys\nfrom advisor.cli.main import main\ncode = main(['weights', 'add', sys.argv[1]])\n"
        "print(code, sorted({'torch', 'timm', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(  # noqa: S603 - this test's own words
        [sys.executable, "-c", code, tmp_path / name], check=False, capture_output=True, text=True
    )
    assert done.stdout.strip() == "1 []", done.stderr
    assert words in done.stderr


def test_what_is_wrong_is_said(file, tmp_path, folder):
    with pytest.raises(BackboneError, match=r"does not fit `test_vit`: \d+ tensors of the network are missing"):
        add(file, "--architecture", "test_vit")
    with pytest.raises(BackboneError, match="did you mean"):
        add(file, "--architecture", "test_resnett")
    with pytest.raises(UsageError, match="which architecture"):
        add(file)
    with pytest.raises(UsageError, match="no file"):
        add(tmp_path / "nowhere.pth", "--architecture", "test_resnet")
    assert not folder.exists()
    add(file, "--architecture", "test_resnet", "--name", "mine")
    with pytest.raises(UsageError, match="already"):
        add(file, "--architecture", "test_resnet", "--name", "mine")
    with pytest.raises(UsageError, match="did you mean `mine`"):
        run(["verify", "mina"])
    (folder / "weights.toml").write_text("[mine]\nfile = 3")
    with pytest.raises(BackboneError, match="cannot be read"):
        list(advisor_backbones())


def test_the_command_is_found(file, capsys):
    from advisor.cli.main import main

    assert main(["weights", "list"]) == 0
    assert "advisor weights add" in capsys.readouterr().out
    assert main(["weights", "lst"]) == 2
    assert main(["wieghts"]) == 2


@pytest.mark.parametrize("name", ["my net", "../elsewhere", "a/b", "a\x1b[31m", ".hidden", "-v"])
def test_a_name_that_is_none_is_refused_before_it_breaks_anything(file, folder, tmp_path, name):
    with pytest.raises(UsageError, match="cannot name a checkpoint"):
        add(file, "--architecture", "test_resnet", f"--name={name}")
    assert not folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000])
def test_a_broken_configuration_is_said(network, tmp_path, text):
    save_for_hf(network, str(tmp_path / "net"), safe_serialization=True)
    (tmp_path / "net" / "config.json").write_text(text)
    with pytest.raises(UsageError, match=r"config\.json` (cannot be read|holds no table)"):
        add(tmp_path / "net")


def test_what_another_adds_meanwhile_stays(file, folder, monkeypatch):
    from advisor_weights import checkpoints

    slow = checkpoints.fill

    def fill(*arguments, **named):
        monkeypatch.setattr(checkpoints, "fill", slow)
        assert add(file, "--architecture", "test_resnet", "--name", "other") == 0
        return slow(*arguments, **named)

    monkeypatch.setattr(checkpoints, "fill", fill)
    assert add(file, "--architecture", "test_resnet", "--name", "mine") == 0
    assert [backbone.name for backbone in advisor_backbones()] == ["mine", "other"]
