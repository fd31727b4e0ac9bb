"""The hub: its cache first, and a refusal within a moment where there is no network."""

import socket
import threading
import time

import pytest
from huggingface_hub import constants

from advisor.errors import BackboneError
from advisor.network import hub
from advisor.network.hub import WEIGHT_FILES, cached_file, reachable, require_hub


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A hub cache with one repository at two revisions; returns its folder of snapshots."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    import huggingface_hub.file_download as client

    monkeypatch.setattr(client, "HF_HUB_CACHE", str(tmp_path), raising=False)
    monkeypatch.setattr(client.constants, "HF_HUB_CACHE", str(tmp_path))
    home = tmp_path / "models--timm--tiny"
    for revision, files in (("a" * 40, ["model.safetensors"]), ("b" * 40, ["pytorch_model.bin", "config.json"])):
        (home / "snapshots" / revision).mkdir(parents=True)
        for file in files:
            (home / "snapshots" / revision / file).write_text("x")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("a" * 40)
    (home / "refs" / "old").write_text("b" * 40)
    return home / "snapshots"


def test_the_preferred_file_that_is_there_is_taken(cache):
    assert cached_file("timm/tiny", WEIGHT_FILES) == str(cache / ("a" * 40) / "model.safetensors")
    assert cached_file("timm/tiny", ("none.bin", "model.safetensors")).endswith("model.safetensors")


def test_a_revision_has_its_own_files(cache):
    assert cached_file("timm/tiny@old", WEIGHT_FILES) == str(cache / ("b" * 40) / "pytorch_model.bin")
    assert cached_file("timm/tiny", ("pytorch_model.bin",)) == ""


@pytest.mark.parametrize("repository", ["timm/other", "timm/tiny@none", "other/tiny"])
def test_what_is_not_in_the_cache_is_an_empty_text(cache, repository):
    assert cached_file(repository, WEIGHT_FILES) == ""
    assert cached_file("timm/tiny", ()) == ""


def test_offline_the_reason_and_the_ways_out_are_said(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match=r"`timm/tiny` needs `model\.safetensors` of owner/name") as refused:
        require_hub("timm/tiny", "owner/name@main", WEIGHT_FILES)
    assert "HF_HUB_OFFLINE is set" in refused.value.message
    assert refused.value.hint == "hf download owner/name model.safetensors"
    assert len(refused.value.ways) == 4


@pytest.mark.parametrize("answers", [True, False])
def test_online_it_depends_on_whether_the_hub_answers(monkeypatch, answers):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    asked = []
    monkeypatch.setattr(hub, "reachable", lambda endpoint: asked.append(endpoint) or answers)
    if answers:
        require_hub("x", "owner/name", WEIGHT_FILES)
    else:
        with pytest.raises(BackboneError, match="cannot be reached"):
            require_hub("x", "owner/name", WEIGHT_FILES)
    assert asked == [constants.ENDPOINT]


@pytest.fixture
def listening(monkeypatch):
    """The address of a server that accepts connections here; no proxy is set."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = socket.create_server(("127.0.0.1", 0))
    yield server.getsockname()
    server.close()


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_a_server_that_accepts_is_reachable_and_a_closed_port_is_not(listening):
    host, port = listening
    assert reachable(f"http://{host}:{port}")
    assert not reachable(f"http://127.0.0.1:{closed_port()}")


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_with_a_proxy_the_proxy_is_what_must_be_reached(listening, monkeypatch, scheme):
    host, port = listening
    monkeypatch.setenv("http_proxy", f"{scheme}{host}:{port}")
    assert reachable("http://nowhere.invalid")
    monkeypatch.setenv("http_proxy", f"{scheme}127.0.0.1:{closed_port()}")
    assert not reachable(f"http://{host}:{port}")


def test_a_name_that_does_not_resolve_in_time_is_not_waited_for(listening, monkeypatch):
    resolved = threading.Event()

    def slow(*_args, **_values):
        resolved.wait(5)
        raise OSError

    monkeypatch.setattr(hub.socket, "create_connection", slow)
    began = time.monotonic()
    assert not reachable("http://nowhere.invalid")
    assert time.monotonic() - began < 3
    resolved.set()
