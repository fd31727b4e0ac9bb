"""What the pages of a run say of its winner, from records made by hand."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from made import evidence_record, run_folder, run_record, trial

from advisor.report.page.blocks import Text
from advisor.report.run.page import run_page, run_screen


def leads(folder, record):
    """The first sentences of the report and of the terminal's page."""
    run = run_folder(folder, record, evidence_record(trial(1, 0.85)))
    pages = (run_page(run, made=datetime(2026, 1, 1, tzinfo=UTC)), run_screen(run))
    return [next(block.text for block in page.first if isinstance(block, Text)) for page in pages]


@pytest.mark.parametrize("refitted", [True, False])
def test_a_model_that_learnt_from_the_validation_images_too_is_said_to(tmp_path, refitted):
    record = run_record()
    for lead in leads(tmp_path, replace(record, winner=replace(record.winner, refitted=refitted))):
        assert ("fitted once more, on all 80 images of the training and validation parts" in lead) == refitted
        assert ("the validation figures are from before that" in lead) == refitted


@pytest.mark.parametrize(("fit", "words"), [("squash", "squashed into"), ("pad", "get borders"), ("crop", "")])
def test_how_pictures_become_squares_is_said_where_it_is_unusual(tmp_path, fit, words):
    record = run_record()
    values = replace(record.winner.values, features=replace(record.winner.values.features, fit=fit))
    for lead in leads(tmp_path, replace(record, winner=replace(record.winner, values=values))):
        assert words in lead
        assert ("Pictures" in lead) == bool(words)
