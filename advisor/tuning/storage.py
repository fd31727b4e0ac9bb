"""Where a study lives: a file in its run's folder, or wherever an Optuna URL points."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import optuna

from advisor.data.cache import write_whole
from advisor.errors import RunError
from advisor.tuning.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from advisor.recipe import Plan

_ELSEWHERE = "storage.txt"  # in a run's folder: where its study is, when that is not the folder


def fingerprint(plan: Plan) -> str:
    """Hash of everything in a plan that changes what a trial means; the search's length does not."""
    length = ("search.trials", "search.budget", "search.seeds", "search.prefer")
    values = {k: repr(v) for k, v in sorted(plan.recipe.values.items()) if k not in length}
    scaled = [plan.ranges.key] if plan.ranges else []
    text = json.dumps([values, plan.backbone, list(plan.backbones), plan.seed, plan.skip_small_classes, *scaled])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def study_key(digest: str, plan: Plan) -> str:
    """Equal for equal data and equal plans, on whatever machine."""
    return hashlib.sha256(f"{digest}|{fingerprint(plan)}".encode()).hexdigest()[:12]


@contextmanager
def open_ledger(storage: str, key: str, folder: Path) -> Iterator[Ledger]:
    """The ledger of a run, in its folder or wherever an Optuna URL points.

    A folder whose study is elsewhere says so, and is not begun anew without it.

    Args:
        storage: an Optuna URL; empty for a file in the folder.
        key: of the study, by which it is found in a shared storage.
        folder: of the run.

    Raises:
        RunError: the storage cannot be used, or the folder's study is in another.
    """
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _settle_place(storage, folder)
    name = f"advisor-{key}" if storage else "advisor"
    try:
        place = (
            optuna.storages.RDBStorage(storage)
            if storage
            # Connected to by path: in a URL, a `?` or `%` in the folder's name would be taken for syntax.
            else optuna.storages.RDBStorage(
                "sqlite:///study.db",
                engine_kwargs={
                    "creator": lambda: sqlite3.connect(folder / "study.db", timeout=60, check_same_thread=False)
                },
            )
        )
        study, probes = (
            optuna.create_study(storage=place, study_name=one, load_if_exists=True, direction="maximize")
            for one in (name, f"{name}-probes")
        )
    except (SQLAlchemyError, ArgumentError, ImportError) as error:
        if not storage:
            raise
        raise RunError(
            f"The storage `{_without_password(storage)}` cannot be used: {str(error).splitlines()[0]}",
            ways=["check the address, and that the server runs", "install the database's Python driver"],
            hint="--storage sqlite:///study.db, postgresql+psycopg://user@host/name, mysql+pymysql://user@host/name",
        ) from error
    try:
        yield Ledger(study, probes, shared=bool(storage))
    finally:
        place.remove_session()
        place.engine.dispose()


def claim(ledger: Ledger, digest: str, plan: Plan, folder: Path) -> None:
    """Settle whose run this is.

    Args:
        ledger: of the run.
        digest: of the dataset.
        plan: that is searched.
        folder: of the run, for people.

    Raises:
        RunError: it is the run of other data or of another plan.
    """
    for name, mine, what in (
        ("digest", digest, "another dataset, or this one before it changed"),
        ("plan", fingerprint(plan), "another plan"),
    ):
        if ledger.setting(name) not in (None, mine):
            raise RunError(
                f"`{folder}` holds a run of {what}.",
                ways=[
                    "go on with the plan that it was started with: --resume",
                    "start a new run under another name",
                    f"move or delete {folder}",
                ],
                hint=f"advisor tune --name {folder.name}-2",
            )
        ledger.settle(name, mine)


def _settle_place(storage: str, folder: Path) -> None:
    note, here = folder / _ELSEWHERE, _without_password(storage) if storage else ""
    there = note.read_text(encoding="utf-8").strip() if note.exists() else ""
    if there and there != here:
        raise RunError(
            f"The study of `{folder}` is in {there}.",
            ways=["give that storage, with its password", "start a new run under another name"],
            hint=f"--storage {there}",
        )
    if storage and not there:
        write_whole(note, here + "\n")


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url
