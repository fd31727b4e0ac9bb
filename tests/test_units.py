import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import UsageError
from advisor.units import parse_size, show_size


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
