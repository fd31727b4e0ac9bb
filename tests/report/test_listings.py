"""What there is on this machine: offers, plugins, the cache."""

import pytest

from advisor.data.cache import CacheEntry
from advisor.report.listings import cache, offers, plugins


def cells(table):
    return [[getattr(cell, "text", cell) for cell in row] for row in table.rows]


def test_rows_of_offers_become_columns_and_lists_words():
    table = offers("heads", [{"name": "svm", "parameters": ["l2", "bias"], "size": 3, "summary": None}])
    assert [column.label for column in table.columns] == ["name", "parameters", "size", "summary"]
    assert cells(table) == [["svm", "l2, bias", "3", ""]]


def test_where_nothing_is_installed_it_is_said():
    assert offers("recipes", []).text == "No recipes are installed."


def test_a_long_summary_is_not_cut():
    table = offers("heads", [{"summary": "word " * 100}])
    assert not table.rows[0][0].cut


def plugin(**changes):
    usual = {"name": "a", "distribution": "advisor-a", "version": "1.0", "status": "active", "hooks": ["heads", "commands"],
             "commands": ["shout"], "reason": ""}  # fmt: skip
    return {**usual, **changes}


def test_a_plugin_is_told_by_its_commands_and_what_else_it_offers():
    assert cells(plugins([plugin()])) == [["a", "advisor-a 1.0", "active", "command shout, heads", ""]]


def test_a_broken_plugin_says_why():
    row = cells(plugins([plugin(status="broken", reason="ImportError: no", hooks=[], commands=[])]))[0]
    assert row[2:] == ["broken", "", "ImportError: no"]


def entry(kind="features", used=0.0, size=1500):
    return CacheEntry(kind, "a-name", size, used, "of birds")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "just now"), (59, "just now"), (60, "60 s ago"), (600, "10 min ago"), (7200, "2.0 h ago"),
     (2 * 86400, "2 days ago"), (100 * 86400, "100 days ago")],
)  # fmt: skip
def test_ages_are_said_as_people_do(seconds, words):
    table, _ = cache([entry(used=1000.0)], "/c", 1000.0 + seconds, None)
    assert cells(table)[0][-1] == words


def test_the_cache_is_summed_up():
    table, total = cache([entry(), entry("charts", size=500)], "/c", 0.0, None)
    assert total.text == "2 kB in 2 folders under /c"
    assert [row[0] for row in cells(table)] == ["features", "charts"]


def test_an_empty_cache_has_no_table_and_a_cleared_one_says_what_was_freed():
    (total,) = cache([], "/c", 0.0, None)
    assert total.text == "0 B in 0 folders under /c"
    freed, left = cache([entry()], "/c", 0.0, 2_000_000)
    assert freed.text == "2 MB freed."
    assert left.text == "1.5 kB in 1 folder under /c"
