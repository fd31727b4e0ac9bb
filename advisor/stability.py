"""What may change, and what will: two marks that documents and checks can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class HookWarning(FutureWarning):
    """A hook, or a way of implementing it, that will go.

    A hookspec that will go carries `warn_on_impl=HookWarning("what to do instead, and until when")`. Whoever still
    implements it is named, with distribution and version, in one line; nothing breaks before the release it states.
    """


def experimental(since: str) -> Callable[[T], T]:
    """Mark a public class or function whose form may change in any release.

    The mark is for people who read: it stands at the end of the docstring and in `docs/plugins/stability.md`. It does
    not warn when the thing is used.

    Args:
        since: the release it came with.
    """

    def mark(thing: T) -> T:
        thing.__experimental__ = since  # type: ignore[attr-defined]
        thing.__doc__ = f"{(thing.__doc__ or '').rstrip()}\n\nExperimental since {since}: it may change in any release."
        return thing

    return mark
