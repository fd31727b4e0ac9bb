import copy
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import timm
import torch

from advisor.data.cache import cache_dir, clear_cache, folder_bytes
from advisor.data.dataset import open_dataset
from advisor.data.pixels import store_pixels
from advisor.data.views import augmented_view, clean_view
from advisor.errors import AdvisorError, BackboneError
from advisor.network.activations import ActivationCache, View
from advisor.network.segments import Segments
from advisor.network.stages import stages_of
from advisor.types import InputSpec

CPU = torch.device("cpu")
CLEAN = View("none", 0)
SPEC = InputSpec(size=64, crop_pct=0.9)
ROWS = np.arange(70)  # more than are drawn at once

PROCESS = dedent("""
    import sys, time
    import numpy as np, torch
    from advisor.data.dataset import open_dataset
    from advisor.data.pixels import store_pixels
    from advisor.network.activations import ActivationCache, View
    from advisor.network.segments import Segments
    from advisor.network.stages import stages_of
    from advisor.types import InputSpec
    import timm
    torch.manual_seed(7)
    network = timm.create_model(sys.argv[2], pretrained=False).eval()
    stages = stages_of(network, torch.zeros(1, 3, 64, 64))
    spec = InputSpec(size=64, crop_pct=0.9)
    pixels = store_pixels(open_dataset(sys.argv[1]), spec)
    class Said:
        def task(self, label, total):
            from contextlib import contextmanager
            @contextmanager
            def task():
                print("computing", flush=True)
                def advance(count):
                    print("batch", flush=True)
                    time.sleep(float(sys.argv[3]))
                yield advance
            return task()
        def say(self, text):
            print(text, flush=True)
    cache = ActivationCache(network, stages, Segments(network, stages, torch.zeros(1, 3, 64, 64)), pixels, spec,
                            device=torch.device("cpu"), progress=Said())
    print("ready", flush=True)
    sys.stdin.readline()
    found = cache.get(np.arange(70), 3, View("flip_crop", 1))
    print("sum", float(found.take(torch.arange(70))[0].float().sum()), flush=True)
""")


def network_of(architecture="test_resnet"):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return timm.create_model(architecture, pretrained=False).eval()


@pytest.fixture
def pixels(tiny_folder):
    return store_pixels(open_dataset(str(tiny_folder)), SPEC)


def cache_of(pixels, network, **options):
    example = torch.zeros(1, 3, 64, 64)
    stages = stages_of(network, example)
    return ActivationCache(network, stages, Segments(network, stages, example), pixels, SPEC, device=CPU, **options)


def directly(cache, at, view, rows=ROWS):
    """What the cache should hold: all images drawn 64 at a time in order, then one pass from the images."""
    generator = torch.Generator().manual_seed(view.number)
    images = []
    for start in range(0, len(rows), 64):
        batch = torch.from_numpy(cache.pixels.batch(rows[start : start + 64]))
        clean = view.number == 0
        images.append(clean_view(batch, SPEC) if clean else augmented_view(batch, SPEC, view.kind, generator))
    with torch.no_grad():
        return cache.segments.between(cache.network, 0, at)(torch.cat(images))


def assert_close(kept, exact, bits=8):
    for one, two in zip(kept, exact, strict=True):
        assert one.dtype == torch.bfloat16
        assert one.shape == two.shape
        error = float((one.float() - two).norm() / two.norm())
        assert error < 2.0**-bits, error
        assert not torch.equal(two[0], two[1])


def computed(cache):
    """Images that went through the first module of the network from now on."""
    counts = []
    first = next(module for module in cache.network.modules() if isinstance(module, torch.nn.Conv2d))
    first.register_forward_hook(lambda _module, inputs, _output: counts.append(len(inputs[0])))
    return counts


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
@pytest.mark.parametrize("view", [CLEAN, View("flip_crop", 2)], ids=str)
def test_values_are_those_of_the_network_in_the_order_asked_for(pixels, architecture, view):
    cache = cache_of(pixels, network_of(architecture))
    for at in (4, 1):  # the deeper first, so that both are computed from the images
        found = cache.get(ROWS, at, view)
        exact = directly(cache, at, view)
        assert_close(found.take(torch.arange(len(ROWS))), exact)
        order = torch.tensor([66, 3, 3, 41])
        for part, whole in zip(found.take(order), exact, strict=True):
            assert torch.equal(part, whole[order].bfloat16()) or torch.allclose(part.float(), whole[order], rtol=0.02)
        manifest = json.loads((found.folder / "manifest.json").read_text())
        assert manifest["computed_from_stage"] == 0
        assert f"{architecture} after stage {at} of" in manifest["what"]
        assert manifest["bytes"] == cache.size(at, len(ROWS), 1)
        files = sum(file.stat().st_size for file in found.folder.glob("*.bf16"))
        assert files == manifest["bytes"]


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
@pytest.mark.parametrize("view", [CLEAN, View("crop", 1)], ids=str)
def test_a_deeper_cut_starts_from_the_deepest_shallower_one(pixels, architecture, view):
    cache = cache_of(pixels, network_of(architecture))
    counts = computed(cache)
    cache.get(ROWS, 1, view)
    cache.get(ROWS, 3, view)
    assert sum(counts) == len(ROWS)
    deep = cache.get(ROWS, 4, view)
    assert sum(counts) == len(ROWS)
    assert json.loads((deep.folder / "manifest.json").read_text())["computed_from_stage"] == 3
    assert_close(deep.take(torch.arange(len(ROWS))), directly(cache, 4, view), bits=6)  # rounded three times
    cache.get(ROWS[:50], 4, view)  # other rows have nothing to start from
    assert sum(counts) == 2 * len(ROWS) + 50  # `directly` ran once, too


def test_views_differ_and_number_0_is_clean_whatever_its_kind(pixels):
    cache = cache_of(pixels, network_of())
    folders = {cache.get(ROWS, 2, View(kind, number)).folder for kind in ("crop", "none") for number in (0, 1)}
    assert len(folders) == 2
    one, two = (cache.get(ROWS, 2, View("crop", n)).take(torch.arange(70))[0].float() for n in (1, 2))
    assert (one - two).norm() > 0.05 * one.norm()
    for wrong in (("blur", 1), ("crop", -1)):
        with pytest.raises(ValueError, match="no such view"):
            View(*wrong)


def test_weights_below_the_cut_are_in_the_key_and_those_above_are_not(pixels):
    network = network_of()
    first = cache_of(pixels, network).get(ROWS, 2, CLEAN).folder
    stages = stages_of(network, torch.zeros(1, 3, 64, 64))

    def changed(name):
        other = copy.deepcopy(network)
        with torch.no_grad():
            other.state_dict()[name].add_(1e-3)
        return cache_of(pixels, other)

    below, above = stages.stages[1].parameters[0], stages.stages[2].parameters[0]
    same = changed(above)
    counts = computed(same)
    assert same.get(ROWS, 2, CLEAN).folder == first
    assert counts == []
    assert changed("fc.weight").get(ROWS, 2, CLEAN).folder == first
    assert changed(below).get(ROWS, 2, CLEAN).folder != first
    assert changed("bn1.running_mean").get(ROWS, 2, CLEAN).folder != first
    assert same.get(ROWS, 3, CLEAN).folder != cache_of(pixels, network).get(ROWS, 3, CLEAN).folder
    assert cache_of(pixels, network).get(ROWS[::-1], 2, CLEAN).folder != first


def run_process(tiny_folder, architecture="test_resnet", slow=0.0):
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(tiny_folder), architecture, str(slow)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_two_processes_at_once_compute_once_and_a_third_finds_it(pixels, tiny_folder):
    with run_process(tiny_folder, slow=0.1) as one, run_process(tiny_folder, slow=0.1) as two:
        for process in (one, two):
            assert process.stdout.readline() == "ready\n"
        for process in (one, two):
            process.stdin.write("go\n")
            process.stdin.flush()
        outs = [process.communicate()[0] for process in (one, two)]
    assert sorted(out.count("computing") for out in outs) == [0, 1]
    assert sum(out.count("Waiting for another process") for out in outs) == 1
    cache = cache_of(pixels, network_of())
    counts = computed(cache)
    total = cache.get(ROWS, 3, View("flip_crop", 1)).take(torch.arange(70))[0].float().sum()
    assert counts == []
    assert [float(out.split()[-1]) for out in outs] == pytest.approx([float(total)] * 2)


def test_a_killed_writer_leaves_nothing_half_written_and_its_remains_go(pixels, tiny_folder):
    with run_process(tiny_folder, slow=0.5) as process:
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "computing\n"
        assert process.stdout.readline() == "batch\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    root = cache_dir("activations")
    assert [path.name for path in root.iterdir() if not path.name.startswith(".")] == []
    (partial,) = (path for path in root.iterdir() if path.is_dir())
    assert partial.name.endswith(f".{process.pid}")
    cache = cache_of(pixels, network_of())
    found = cache.get(ROWS, 3, View("flip_crop", 1))
    assert_close(found.take(torch.arange(70)), directly(cache, 3, View("flip_crop", 1)))
    assert not partial.exists()


def test_what_was_used_least_recently_gives_way(pixels):
    network = network_of()
    size = cache_of(pixels, network).size(2, len(ROWS), 1)
    cache = cache_of(pixels, network, limit=int(3.5 * size))
    views = [View("crop", number) for number in range(1, 5)]
    folders = [cache.get(ROWS, 2, view).folder for view in views[:3]]
    cache.get(ROWS, 2, views[0])  # used again, so the second is the oldest
    folders.append(cache.get(ROWS, 2, views[3]).folder)
    assert [folder.exists() for folder in folders] == [True, False, True, True]
    assert folder_bytes(cache_dir("activations")) <= cache.limit


def test_what_this_process_holds_stays_and_what_others_remove_is_still_read(pixels):
    network = network_of()
    size = cache_of(pixels, network).size(2, len(ROWS), 1)
    cache = cache_of(pixels, network, limit=int(1.5 * size))
    held = cache.get(ROWS, 2, CLEAN)
    before = held.take(torch.arange(70))[0]
    second = cache.get(ROWS, 2, View("crop", 1))
    assert held.folder.exists()
    assert second.folder.exists()
    assert clear_cache("activations") > size
    assert not held.folder.exists()
    assert torch.equal(held.take(torch.arange(70))[0], before)
    again = cache.get(ROWS, 2, CLEAN)
    assert torch.equal(again.take(torch.arange(70))[0], before)
    held.close()
    second.close()
    again.close()
    cache.get(ROWS, 2, View("crop", 1))
    assert not again.folder.exists()


def test_a_folder_changed_from_outside_is_made_again(pixels):
    cache = cache_of(pixels, network_of())
    folder = cache.get(ROWS, 2, CLEAN).folder
    with (folder / "0.bf16").open("r+b") as file:
        file.truncate(100)
    found = cache.get(ROWS, 2, CLEAN)
    assert_close(found.take(torch.arange(70)), directly(cache, 2, CLEAN))


def test_one_byte_that_is_wrong_is_noticed_and_all_is_made_again(pixels):
    cache = cache_of(pixels, network_of())
    found = cache.get(ROWS, 2, CLEAN)
    folder = found.folder
    found.close()
    with (folder / "0.bf16").open("r+b") as file:
        file.seek(101)
        byte = file.read(1)
        file.seek(101)
        file.write(bytes([byte[0] ^ 64]))
    os.utime(folder / "0.bf16", (1, 1))
    again = cache.get(ROWS, 2, CLEAN)
    assert_close(again.take(torch.arange(70)), directly(cache, 2, CLEAN))


def test_another_torch_keeps_activations_of_its_own(pixels, monkeypatch):
    cache = cache_of(pixels, network_of())
    folder = cache.get(ROWS, 1, CLEAN).folder
    monkeypatch.setattr(torch, "__version__", "99.0")
    assert not cache.has(ROWS, 1, CLEAN)
    assert cache.get(ROWS, 1, CLEAN).folder != folder


def test_values_that_are_not_finite_are_refused_and_leave_nothing(pixels):
    network = network_of()
    with torch.no_grad():
        network.layer2[0].bn1.weight[0] = float("nan")
    cache = cache_of(pixels, network)
    assert len(cache.get(ROWS, 1, CLEAN).take(torch.arange(2))) == 1
    with pytest.raises(BackboneError, match="not finite") as caught:
        cache.get(ROWS, 4, CLEAN)
    assert "depth = 0" in str(caught.value)
    assert len([path for path in cache_dir("activations").iterdir() if path.is_dir()]) == 1


def test_a_full_disk_is_said_and_leaves_nothing(pixels):
    resource = pytest.importorskip("resource")
    cache = cache_of(pixels, network_of())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (cache.size(2, len(ROWS), 1) - 1, hard))  # as on a full disk
    try:
        with pytest.raises(AdvisorError, match="The disk is full"):
            cache.get(ROWS, 2, CLEAN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert [path for path in cache_dir("activations").iterdir() if path.is_dir()] == []
    assert len(cache.get(ROWS, 2, CLEAN).take(torch.arange(3))[0]) == 3


def test_what_is_worth_keeping(pixels):
    cache = cache_of(pixels, network_of(), limit=10**6)
    sizes = [cache.size(at, 1, 1) for at in range(1, len(cache.stages))]
    assert sizes == sorted(sizes, reverse=True)
    for at, size in enumerate(sizes, 1):
        assert cache.pays(at, 10**6 // size, 1)  # within the limit
        assert not cache.pays(at, 10**6 // size + 1, 1)  # beyond it
    assert not cache.pays(len(sizes), 10**12, 4)  # nowhere is there so much room


def test_the_pages_read_do_not_stay_in_memory(pixels):
    def resident():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("needs /proc")
    cache = cache_of(pixels, network_of())
    rows = np.tile(ROWS, 12)
    found = cache.get(rows, 1, CLEAN)
    size = cache.size(1, len(rows), 1)
    found.take(torch.arange(8))
    before = resident()
    for start in range(0, len(rows), 8):
        found.take(torch.arange(start, start + 8))
    assert resident() - before < size / 4
