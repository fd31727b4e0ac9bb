import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import UsageError
from advisor.units import parse_duration, parse_size, show_duration, show_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GB", 2 * 10**9), ("500MB", 5 * 10**8), ("1.5GiB", 3 * 2**29), ("0.25 tb", 25 * 10**10), (" 64 KiB ", 2**16),
        ("12kB", 12_000), ("800 B", 800), (".5 gb", 5 * 10**8), ("1mib", 2**20),
    ],
)  # fmt: skip
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "2", "GB", "2 G", "two GB", "-1GB", "1e3MB", "1,5GB", "5iB", "2GB x", "nanB", "1.GB", "infGB"]
)
def test_what_is_no_size_is_told_with_an_example(text):
    with pytest.raises(UsageError, match="is not a size") as found:
        parse_size(text)
    assert parse_size(found.value.hint)


@pytest.mark.parametrize("text", ["0GB", "0.1B"])
def test_nothing_is_no_size(text):
    with pytest.raises(UsageError, match="less than a byte"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1500, "1.5 kB"), (999_949, "999.9 kB"), (999_950, "1 MB"),
     (2 * 10**9, "2 GB"), (12_340_000_000, "12.3 GB"), (4 * 10**15, "4000 TB")],
)  # fmt: skip
def test_sizes_are_shown_in_the_largest_unit(size, text):
    assert show_size(size) == text


@given(st.integers(1, 10**15))
def test_what_is_shown_can_be_read_to_the_decimal_shown(size):
    assert abs(parse_size(show_size(size)) - size) <= 0.051 * max(1, size)


@given(st.integers(0, 10**16), st.integers(0, 10**16))
def test_a_larger_size_is_never_shown_as_a_smaller_one(one, other):
    low, high = sorted((one, other))
    steps = {"B": 0, "kB": 1, "MB": 2, "GB": 3, "TB": 4}

    def shown(size):
        number, unit = show_size(size).split()
        return steps[unit], float(number)

    assert shown(low) <= shown(high)


@given(st.integers(1, 999), st.sampled_from(["B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"]))
def test_capitals_and_blanks_do_not_matter(number, unit):
    size = parse_size(f"{number}{unit}")
    for typed in (f"{number} {unit}", f"  {number}{unit.lower()} ", f"{number}.0 {unit.upper()}"):
        assert parse_size(typed) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90), ("1m", 60), ("20m", 1200), ("1h", 3600), ("1h30m", 5400), ("1h30m15s", 5415), ("1.5h", 5400),
        ("0.5s", 0.5), (" 10m ", 600), ("0h1m", 60), ("2h0m", 7200), ("100h", 360_000),
    ],
)  # fmt: skip
def test_lengths_of_time_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "10", "h", "m", "0s", "0h0m0s", "-5m", "5 m", "30m1h", "1m1m", "1d", "1h 30m", "1e3s", "nan", "infs",
     ".5h", "1.h", "10 minutes", "5M", "1h30"],
)  # fmt: skip
def test_what_is_no_length_of_time_is_refused_with_examples_that_work(text):
    with pytest.raises(UsageError, match="is not a length of time") as refused:
        parse_duration(text)
    assert f"`{text}`" in refused.value.message
    assert parse_duration(refused.value.hint.split()[-1]) > 0
    examples = refused.value.ways[0].removeprefix("write ").replace(" or ", ", ").split(", ")
    assert len(examples) == 3
    assert all(parse_duration(example) > 0 for example in examples)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_hours_minutes_and_seconds_add_up(hours, minutes, seconds):
    text = f"{hours}h{minutes}m{seconds}s"
    total = 3600 * hours + 60 * minutes + seconds
    if total:
        assert parse_duration(text) == total
    else:
        with pytest.raises(UsageError):
            parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.4, "0 s"), (90, "90 s"), (119.4, "119 s"), (120, "2 min"), (150, "2 min"), (3600, "60 min"),
     (5399, "90 min"), (5400, "1.5 h"), (36_000, "10.0 h")],
)  # fmt: skip
def test_lengths_of_time_are_shown_in_the_unit_people_use(seconds, text):
    assert show_duration(seconds) == text


@given(st.floats(120, 10**6))
def test_a_shown_length_of_time_is_right_to_about_two_digits(seconds):
    number, unit = show_duration(seconds).split()
    shown = float(number) * {"s": 1, "min": 60, "h": 3600}[unit]
    assert abs(shown - seconds) <= max(30, 0.05 * seconds)
