"""The greedy average of the best trainings: who is in it, what it is judged by, when it is handed over."""

import numpy as np
import pytest
import torch
from replay import Replay
from searches import ledger, searching
from torch import nn

from advisor.recipe import Choices
from advisor.recipe.values import FreezeValues, HeadValues, TrialValues
from advisor.records.trial import SOUP, Member, TrialKind, TrialRecord, Way
from advisor.tuning.network_runner import NetworkRunner, origin_of
from advisor.tuning.soup import MOST_MEMBERS
from advisor.tuning.weights import KeptWeights, average_weights

TUNED = {"freeze__depth": 0.0, "search__seeds": 3}


def better(by):
    """An average of several is so much better than the mean of its members, a single one is what it was."""

    def average(runner):
        return lambda members: np.mean([runner.kept[one].accuracy for one in members]) + by * (len(members) > 1)

    return average


def searched(average=better(0.05), book=None, *, trials=4, deadline=1e6, **changes):  # noqa: B008 - a function
    runner = Replay(lambda values: 0.8 - abs(np.log10(values.optimizer.lr) + 3) / 50)
    runner.average = average(runner)
    runner.given_validation = True
    search, heard = searching(runner, book, **{**TUNED, **changes})
    search.run(trials=trials, deadline=deadline)
    search.confirm(deadline)
    search.average(deadline)
    return search, runner, heard


def soups(search):
    return [record for record in search.ledger.records() if record.kind is TrialKind.SOUP]


def test_an_average_that_gains_is_a_trial_with_its_members_and_may_be_chosen():
    search, runner, heard = searched()
    (soup,) = soups(search)
    assert (soup.number, soup.way, soup.name) == (SOUP, Way.SOUP, "model soup")
    assert 2 <= len(soup.members) <= MOST_MEMBERS
    assert soup.members == runner.averaged[-1][: len(soup.members)]
    assert soup.values == search.ledger.record(soup.members[0].trial).values
    assert search.choice().chosen.number == SOUP
    assert soup not in search.ledger.searched()
    assert heard.sentences[-1].startswith(f"The average of the weights of {soup.members[0].name} and ")


def test_seeds_of_a_confirmed_leader_are_members_too():
    search, _, _ = searched(trials=1)
    (soup,) = soups(search)
    assert set(soup.members) == {Member(0, 0), Member(0, 1), Member(0, 2)}
    assert Member(0, 2).name == "trial 0 under seed 3"


def test_it_is_greedy_and_a_member_that_makes_it_worse_stays_out():
    def average(_runner):
        return lambda members: {1: 0.8, 2: 0.9}.get(len(members), 0.7)

    search, runner, _ = searched(average)
    (soup,) = soups(search)
    assert len(soup.members) == 2
    assert all(tried[:2] == soup.members for tried in runner.averaged[2:])
    assert len(runner.averaged) == MOST_MEMBERS  # the first alone, and each of the others once


def test_where_nothing_gains_there_is_no_average_and_it_is_said():
    search, _, heard = searched(better(-0.1))
    assert not soups(search)
    assert "is better than the first of them" in heard.sentences[-1]
    assert search.choice().chosen.record.kind is TrialKind.TRIAL


def test_what_trying_many_averages_is_worth_by_luck_is_taken_off():
    search, _, _ = searched(better(0.001))
    assert soups(search)
    assert search.choice().chosen.number != SOUP
    (soup,) = [one for one in search.scored_trials() if one.is_soup]
    assert len(soup.tried) == MOST_MEMBERS - 1


def test_what_others_gain_from_the_validation_images_is_taken_off():
    search, runner, _ = searched()
    assert search.choice().chosen.number == SOUP
    runner.given_validation, runner.images = False, len(search.sample_weight) * 5 // 4  # all but a fifth judge
    assert search.choice().chosen.number != SOUP


def test_trainings_from_other_starts_are_not_mixed():
    search, _, _ = searched(trials=8, features__input_size=Choices((0, 96)))
    (soup,) = soups(search)
    sizes = {search.ledger.record(member.trial).values.features.input_size for member in soup.members}
    assert len(sizes) == 1


def test_the_same_members_are_not_averaged_twice_and_other_ones_replace_them():
    search, runner, _ = searched(book=ledger())
    count = len(runner.averaged)
    search.average(1e6)
    assert len(runner.averaged) == count
    (before,) = soups(search)
    runner.kept.pop(before.members[-1])
    assert not any(one.is_soup for one in search.scored_trials())  # its weights are not all at hand any more
    search.average(1e6)
    (after,) = soups(search)
    assert after.members != before.members


def test_the_search_leaves_time_for_averages_and_none_is_judged_after_the_deadline():
    _, runner, _ = searched(deadline=100.0, trials=50, search__seeds=1)
    assert runner.clock.now <= 100
    assert len(runner.averaged) > 1
    search, late, _ = searched(search__seeds=1)
    search.ledger.settle_average((), ())
    late.averaged.clear()
    search.average(late.clock.now)
    assert len(late.averaged) <= 1


def test_folds_have_no_average():
    search, runner, _ = searched(search__folds=5)
    assert not runner.averaged
    assert not soups(search)


def test_a_record_of_an_average_comes_back_from_json():
    search, _, _ = searched()
    (soup,) = soups(search)
    assert TrialRecord.from_dict(soup.to_dict()) == soup
    with pytest.raises((TypeError, ValueError)):
        TrialRecord.from_dict({**soup.to_dict(), "members": [[1]]})


def test_weights_are_averaged_and_what_is_alike_stays_to_the_bit():
    states = [
        {"w": torch.full((2,), value), "same": torch.tensor([0.1]), "n": torch.tensor(7)} for value in (1.0, 2.0, 6.0)
    ]
    average = average_weights(states)
    assert average["w"].tolist() == [3.0, 3.0]
    assert torch.equal(average["same"], states[0]["same"])
    assert average["n"] == 7
    assert average_weights([{"w": torch.zeros(2)}, {"w": torch.zeros(3)}]) is None


def test_the_average_of_real_networks_has_averaged_weights_and_keeps_what_was_frozen(pool, tmp_path):
    values = TrialValues(head=HeadValues("linear", params={"l2": 1e-3}), freeze=FreezeValues(0.5))
    kept = KeptWeights(tmp_path, "study")
    runner = NetworkRunner(pool, origin_of(values, pretrained=True), kept)
    context = pool.of(values)
    last = len(context.stages)
    networks = []
    for number in range(2):
        network = context.build(last, nn.Linear(context.standardise(last).mean.numel(), context.classes))
        with torch.no_grad():
            for name in context.stages.stages[-1].parameters:
                network.trunk.get_parameter(name).add_(0.01 * (number + 1))
        networks.append(network)
        kept.keep(number, network)
    members = (Member(0, 0), Member(1, 0))
    judged = runner.judge_average(values, members)
    for name, tensor in judged.network().state_dict().items():
        first, second = (one.state_dict()[name] for one in networks)
        expected = (first.double() + second.double()) / 2 if tensor.is_floating_point() else first
        torch.testing.assert_close(tensor.double(), expected.double(), atol=1e-6, rtol=1e-6)
    networks[0].freeze(context.stages.frozen_index(0.5, last), batchnorm="eval")
    assert judged.audit == networks[0].frozen_digest()
    assert judged.rows.tolist() == context.rows("val").tolist()
    assert runner.judge_average(values, (*members, Member(5, 0))) is None
    assert runner.judging_seconds(values) > 0
