"""The weights of the best trainings, on disk until one is handed over."""

import errno

import pytest
import torch
from torch import nn

from advisor.errors import AdvisorError
from advisor.tuning.weights import KeptWeights


def network(value=0.0):
    model = nn.Linear(3, 2)
    nn.init.constant_(model.weight, value)
    return model


@pytest.fixture
def kept(tmp_path):
    return KeptWeights(tmp_path / "weights", "abc")


def files(kept):
    return sorted(path.name for path in kept.folder.iterdir())


def test_what_is_kept_comes_back_as_it_was(kept):
    kept.keep(3, network(0.25))
    state = kept.load(3)
    assert set(state) == {"weight", "bias"}
    assert torch.equal(state["weight"], torch.full((2, 3), 0.25))


def test_the_folder_is_made_when_something_is_kept_and_not_before(kept):
    assert not kept.folder.exists()
    kept.keep(0, network())
    assert files(kept) == ["abc-trial-0.safetensors"]


def test_what_another_machine_trained_is_not_here(kept):
    assert kept.load(7) is None
    kept.keep(0, network())
    assert kept.load(7) is None


def test_a_trial_that_is_kept_again_replaces_itself(kept):
    kept.keep(1, network(1.0))
    kept.keep(1, network(2.0))
    assert float(kept.load(1)["weight"][0, 0]) == 2.0
    assert len(files(kept)) == 1


def test_beaten_trials_go_and_the_others_stay(kept):
    for number in range(5):
        kept.keep(number, network())
    kept.drop_all_but([1, 3, 99])
    assert files(kept) == ["abc-trial-1.safetensors", "abc-trial-3.safetensors"]
    kept.drop_all_but([])
    assert files(kept) == []


def test_dropping_where_nothing_was_kept_is_no_error(kept):
    kept.drop_all_but([1])
    assert not kept.folder.exists()


def test_a_file_of_a_persons_own_stays(kept):
    kept.keep(0, network())
    (kept.folder / "notes.txt").write_text("mine")
    kept.drop_all_but([])
    assert files(kept) == ["notes.txt"]


def test_a_trial_of_another_study_is_not_taken_for_one_of_this(kept):
    KeptWeights(kept.folder, "other").keep(1, network(5.0))
    assert kept.load(1) is None


def test_tensors_in_any_order_of_memory_are_kept(kept):
    model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    kept.keep(1, model)
    assert torch.equal(kept.load(1)["weight"], model.weight)


def test_a_full_disk_is_an_error_with_words_and_leaves_no_half_file(kept, monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    kept.keep(0, network(1.0))
    monkeypatch.setattr("advisor.tuning.weights.write_whole", full)
    with pytest.raises(AdvisorError, match=r"(?i)full|space") as caught:
        kept.keep(1, network())
    assert caught.value.hint or caught.value.ways
    assert files(kept) == ["abc-trial-0.safetensors"]
    assert kept.load(0) is not None
