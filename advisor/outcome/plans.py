"""Which plan a person means: a file, a run to go on with, or another recipe on the same images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from advisor.data.dataset import task_of
from advisor.errors import RunError, UsageError, closest
from advisor.plugins import Catalog, load_catalog
from advisor.recipe import Plan, for_task, load_plan, load_recipe

_OF_THE_IMAGES = ("search.metric", "features.codes", "features.fit")


def chosen_plan(
    plan: str = "",
    *,
    resume: str = "",
    recipe: str = "",
    name: str = "",
    runs: str = "runs",
    catalog: Catalog | None = None,
) -> tuple[Plan, str, str]:
    """The plan that a person means, the name of its run's folder (empty for the dataset's), and what that lies in.

    Args:
        plan: path of a plan; empty for `advisor.toml`.
        resume: a run whose own plan is gone on with: its name or its folder; empty for none.
        recipe: name or file of a recipe that takes the place of the plan's; empty for the plan's own.
        name: of the run's folder; empty for the dataset's name, to which another recipe's is added.
        runs: the folder of run folders.
        catalog: the installed plugins by default.

    Raises:
        RunError: there is no such run.
        UsageError: a run has a plan, a recipe and a name of its own.
    """
    catalog = catalog or load_catalog()
    if resume:
        if plan or recipe or name:
            raise UsageError(
                "--resume goes on with a run as it is; no other plan, recipe or name can be given.",
                hint=f"advisor tune --resume {resume}",
            )
        folder = Path(resume) if (Path(resume) / "plan.toml").is_file() else Path(runs) / resume
        if not (folder / "plan.toml").is_file():
            known = sorted(path.parent.name for path in Path(runs).glob("*/plan.toml"))
            raise RunError(
                f"There is no run `{resume}` in `{runs}`.",
                ways=[f"runs there: {', '.join(known)}" if known else "no run has been started there"],
                hint=closest(resume, known) or "advisor tune",
            )
        return load_plan(folder / "plan.toml", catalog), folder.name, str(folder.parent)
    found = load_plan(plan or "advisor.toml", catalog)
    if not recipe:
        return found, name, runs
    other = load_recipe(recipe, catalog)
    listing = catalog.dataset_for(found.location).open(found.location)
    other = for_task(other, task_of(listing), catalog)
    # How images are read and trials judged belongs to the images, not to a recipe.
    kept = {key: found.recipe.values[key] for key in _OF_THE_IMAGES if key in found.recipe.values}
    if not name:
        name = f"{listing.name}-{other.name}"
    return replace(found, recipe=other.with_values(kept)), name, runs
