"""Where a study lives: a file in its run's folder, or wherever an Optuna URL points."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sqlite3
from typing import TYPE_CHECKING

import optuna

from advisor.data.cache import write_whole
from advisor.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.recipe import Plan

_ELSEWHERE = "storage.txt"  # in a run's folder: where its study is, when that is not the folder


def owner() -> str:
    """This process, as a trial that it runs is marked."""
    return f"{socket.gethostname()}:{os.getpid()}"


def fail_stale_trials(study: optuna.Study, *, shared: bool) -> None:
    """End the trials that a killed process left running.

    Args:
        study: whose trials are looked at.
        shared: whether other processes may be at work on it; then only trials of processes of this machine that
            are no more are ended.
    """
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        if shared and not _has_ended(str(trial.user_attrs.get("owner", ""))):
            continue
        study._storage.set_trial_user_attr(trial._trial_id, "kind", "interrupted")  # noqa: SLF001
        study._storage.set_trial_user_attr(trial._trial_id, "reason", "the process ended")  # noqa: SLF001
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)


def _has_ended(owner: str) -> bool:
    host, _, process = owner.rpartition(":")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def fingerprint(plan: Plan) -> str:
    """Hash of everything in a plan that changes what a trial means; the search's length does not."""
    length = ("search.trials", "search.budget", "search.seeds")
    values = {k: repr(v) for k, v in sorted(plan.recipe.values.items()) if k not in length}
    text = json.dumps([values, plan.backbone, list(plan.backbones), plan.seed, plan.skip_small_classes])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def open_study(storage: str, name: str, folder: Path) -> tuple[optuna.Study, optuna.Study, Callable[[], None]]:
    """The study and that of its probes, in its folder or wherever an Optuna URL points, and how to close them.

    A folder whose study is elsewhere says so, and is not begun anew without it.

    Raises:
        RunError: the storage cannot be used, or the folder's study is in another.
    """
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    _settle_place(storage, folder)
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

    def close() -> None:
        place.remove_session()
        place.engine.dispose()

    return study, probes, close


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
