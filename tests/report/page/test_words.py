"""How numbers and names are said."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.report.page import words
from advisor.strategy import Strategy

FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [(0.5, 2, "0.50"), (0.005, 2, "0.01"), (1, 0, "1"), (None, 2, "–"), (math.nan, 3, "–"), (-math.inf, 1, "–"),
     (-0.004, 1, "-0.0"), (12345.678, 1, "12345.7")],
)  # fmt: skip
def test_a_number_has_its_digits_and_what_is_none_is_a_dash(value, digits, said):
    assert words.number(value, digits) == said


@given(FLOATS)
def test_a_number_is_never_nan_or_inf_in_words(value):
    said = words.number(value)
    assert "n" not in said
    assert said == "–" or float(said) == pytest.approx(value, abs=0.0051, rel=1e-9)


@pytest.mark.parametrize(
    ("value", "signed", "bare"), [(0.021, "+2.1", "2.1"), (-0.3, "-30.0", "-30.0"), (0.0, "+0.0", "0.0")]
)
def test_points_are_hundredths_and_say_their_direction_where_it_matters(value, signed, bare):
    assert words.points(value) == signed
    assert words.points(value, sign=False) == bare


@given(st.integers(0, 1000))
def test_a_share_is_a_whole_percentage(thousandths):
    said = words.share(thousandths / 1000)
    assert said.endswith(" %")
    assert abs(int(said.removesuffix(" %")) - thousandths / 10) <= 0.5


@pytest.mark.parametrize(("count", "said"), [(0, "0"), (9999, "9999"), (10_000, "10,000"), (1_234_567, "1,234,567")])
def test_only_long_whole_numbers_have_marks(count, said):
    assert words.whole(count) == said


@pytest.mark.parametrize(
    ("count", "forms", "said"),
    [(1, ("image",), "1 image"), (0, ("image",), "0 images"), (2, ("class", "classes"), "2 classes"),
     (1, ("class", "classes"), "1 class"), (20_000, ("image",), "20,000 images")],
)  # fmt: skip
def test_one_is_singular_and_everything_else_plural(count, forms, said):
    assert words.counted(count, *forms) == said


@pytest.mark.parametrize(
    ("noun", "said"), [("accuracy", "an accuracy"), ("mean average precision", "a mean average precision"),
                       ("balanced accuracy", "a balanced accuracy"), ("epoch", "an epoch")]
)  # fmt: skip
def test_articles_go_by_the_first_letter(noun, said):
    assert words.article(noun) == said


@pytest.mark.parametrize(
    ("reason", "said"),
    [("few images", "Few images."), ("It is so.", "It is so."), ("really?", "Really?"), ("stop!", "Stop!"),
     ("élan", "Élan."), ("iPhone photos, 3 of them", "IPhone photos, 3 of them.")],
)  # fmt: skip
def test_a_reason_becomes_one_sentence(reason, said):
    assert words.sentence(reason) == said


@given(st.text(alphabet="ab .!?", min_size=1))
def test_a_sentence_ends_and_stays_one_when_said_again(reason):
    once = words.sentence(reason)
    assert once[-1] in ".!?"
    assert words.sentence(once)[1:] == once[1:]


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0001, "0.0001"), (1 / 3, "0.333"), (1.0, "1"), ("adamw", "adamw"), (True, "true"), (None, "null"), (16, "16"),
     (1e-7, "1e-07")],
)  # fmt: skip
def test_values_of_recipes_are_said_as_toml_writes_them_and_floats_shortly(value, said):
    assert words.plain(value) == said


def test_no_further_memory_is_a_word_and_an_amount_has_its_unit():
    assert words.memory(0) == "none"
    assert words.memory(1_500_000_000) == "1.5 GB"


def test_an_interval_stands_behind_its_figure():
    assert words.interval(0.8051, 0.7, 0.91) == "0.81 (0.70 to 0.91)"


@pytest.mark.parametrize("names", [words.WAYS, words.IN_A_SENTENCE], ids=["table", "sentence"])
def test_every_way_has_a_name_of_its_own(names):
    assert set(names) == set(Strategy)
    assert len(set(names.values())) == len(names)


@pytest.mark.parametrize("way", [way for way in Strategy if way.scenario])
def test_a_way_in_a_table_begins_with_the_number_of_its_scenario(way):
    assert words.WAYS[way].startswith(f"{way.scenario} ")
    assert way.fine_tunes == ("fine-tun" in words.IN_A_SENTENCE[way])
