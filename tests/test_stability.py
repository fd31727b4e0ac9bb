"""The mark of what may change, and the warning of what will."""

import inspect
import warnings

import pytest

from advisor.stability import HookWarning, experimental


def test_a_marked_function_says_so_at_the_end_of_its_docstring_and_works_as_before():
    @experimental("0.3")
    def double(number: int) -> int:
        """Twice as much.

        More words.
        """
        return 2 * number

    assert double(4) == 8
    assert double.__name__ == "double"
    assert double.__experimental__ == "0.3"
    lines = inspect.getdoc(double).splitlines()
    assert lines[0] == "Twice as much."
    assert lines[-1].strip() == "Experimental since 0.3: it may change in any release."
    assert inspect.signature(double).parameters.keys() == {"number"}


def test_using_what_is_marked_warns_of_nothing():
    @experimental("0.3")
    def quiet() -> None:
        """Nothing."""

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet()


def test_a_class_stays_the_same_class_and_one_without_a_docstring_gets_one():
    class Plain:
        pass

    marked = experimental("1.0")(Plain)
    assert marked is Plain
    assert isinstance(Plain(), marked)
    assert Plain.__doc__.strip() == "Experimental since 1.0: it may change in any release."


def test_subclasses_of_what_is_marked_know_since_when():
    @experimental("0.2")
    class Base:
        """A base."""

    class Child(Base):
        pass

    assert Child.__experimental__ == "0.2"


def test_a_hook_that_will_go_is_shown_to_people_who_did_not_write_it():
    assert issubclass(HookWarning, FutureWarning)  # a DeprecationWarning would be hidden from them
    with pytest.warns(HookWarning, match="use the other one"):
        warnings.warn(HookWarning("use the other one until 1.0"), stacklevel=1)
