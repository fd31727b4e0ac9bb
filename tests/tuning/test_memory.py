import copy
import os

import pytest
import timm
import torch
from torch import nn

from advisor.tuning.memory import activation_bytes, fitting_batch, free_memory, used_memory

CPU = torch.device("cpu")
GB = 10**9


def host(root, *, available=8 * 2**20, group="0::/\n", **files):
    """A file system that tells: `available` in KiB, and control groups' files by path with __ for /."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 99999999 kB\nMemFree: 1 kB\nMemAvailable:  {available} kB\n")
    (root / "proc/self/cgroup").write_text(group)
    for path, text in files.items():
        file = root / "sys/fs/cgroup" / path.replace("__", "/").replace("memory_", "memory.")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return root


def test_this_machine_has_memory_and_less_of_it_when_some_is_taken():
    before, free = used_memory(CPU), free_memory(CPU)
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < free <= total
    assert 0 < before < total
    held = torch.ones(200_000_000, dtype=torch.uint8)
    assert 150e6 < used_memory(CPU) - before < 300e6
    del held
    assert used_memory(CPU) - before < 100e6


def test_without_limits_it_is_what_the_system_has_available(tmp_path):
    root = host(tmp_path, memory_max="max", memory_current=GB)
    assert free_memory(CPU, root) == 8 * 2**30


def test_a_control_group_limits_apart_from_files_that_give_way(tmp_path):
    root = host(tmp_path, memory_max=2 * GB, memory_current=GB, memory_stat="anon 7\ninactive_file 300\nfile 400")
    assert free_memory(CPU, root) == GB + 300


def test_a_group_above_limits_too(tmp_path):
    root = host(
        tmp_path, group="0::/batch/job\n", batch__memory_max=3 * GB, batch__memory_current=2_500_000_000,
        batch__job__memory_max="max", batch__job__memory_current=GB,
    )  # fmt: skip
    assert free_memory(CPU, root) == 500_000_000


def test_the_first_version_of_control_groups(tmp_path):
    root = host(
        tmp_path, group="5:cpu,cpuacct:/x\n4:memory:/docker/abc\n1:name=systemd:/x\n",
        memory__memory_limit_in_bytes=2 * GB, memory__memory_usage_in_bytes=GB, memory__memory_stat="total_inactive_file 50",
    )  # fmt: skip
    assert free_memory(CPU, root) == GB + 50
    (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert free_memory(CPU, root) == 8 * 2**30


def test_more_used_than_allowed_leaves_nothing(tmp_path):
    assert free_memory(CPU, host(tmp_path, memory_max=GB, memory_current=GB + 5)) == 0


def test_a_system_without_these_files_is_asked_otherwise(tmp_path):
    assert free_memory(CPU, tmp_path) == pytest.approx(
        os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), rel=0.5
    )


def test_activations_of_layers_counted_by_hand():
    """A linear layer keeps its input, 10 numbers, and the rectifier its output, 20."""
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5))
    assert activation_bytes(model, torch.randn(8, 10)) == 4 * (10 + 20 + 3 * 20)
    assert activation_bytes(model, torch.randn(1, 10)) == 4 * (10 + 20 + 3 * 20)
    model[0].requires_grad_(False)
    assert activation_bytes(model, torch.randn(8, 10)) == 4 * (20 + 3 * 20)
    model.requires_grad_(False)
    assert activation_bytes(model, torch.randn(8, 10)) == 0


def test_several_inputs_and_slices_count_once():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(10, 4)

        def forward(self, one, two):
            return self.layer(one) + self.layer(two)

    wide = torch.randn(64, 10)
    assert activation_bytes(Both(), (wide[:2], wide[2:4])) == 4 * (20 + 3 * 10)


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_frozen_stages_keep_nothing_and_the_model_stays_as_it_was(architecture):
    model = timm.create_model(architecture, num_classes=3).train()
    size = model.pretrained_cfg["input_size"]
    images, before = torch.randn(2, *size), copy.deepcopy(model.state_dict())
    whole = activation_bytes(model, images)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    model.requires_grad_(False)
    model.get_classifier().requires_grad_(True)
    assert 0 < activation_bytes(model, images) < 0.05 * whole


def test_checkpointing_keeps_less():
    model = timm.create_model("test_vit", num_classes=3)
    images = torch.randn(2, *model.pretrained_cfg["input_size"])
    plain = activation_bytes(model, images)
    model.set_grad_checkpointing()
    model.train()
    assert activation_bytes(model, images) < 0.5 * plain


def test_what_fits():
    assert fitting_batch(cap=1000, used=200, fixed_bytes=100, per_image=70) == 10
    assert fitting_batch(cap=1000, used=900, fixed_bytes=200, per_image=70) == 1
    assert fitting_batch(cap=1000, used=0, fixed_bytes=0, per_image=0) == 1000
