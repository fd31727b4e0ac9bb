import json
import time
from dataclasses import replace

import pytest
from conftest import blocks, draw

import advisor
from advisor.advice.forecast import Expected
from advisor.advice.inspection import ClassAdvice
from advisor.advice.recommend import replan
from advisor.cli import console
from advisor.cli import pages as terminal
from advisor.cli.main import main
from advisor.plugins import load_catalog
from advisor.progress import Silent
from advisor.report.page.blocks import Chart, Gallery, Shelf, Table
from advisor.report.page.documents import to_html, to_markdown
from advisor.report.recommendation import write_recommendation
from advisor.strategy import Strategy

SECTIONS = ["scenario", "depth", "ways", "labels", "pictures", "doubts", "data", "classes", "change", "origin"]


def test_the_first_screen_says_what_to_do_and_what_to_expect(plain, page_of):
    page = page_of(plain, plan="my plans/a.toml")
    text = to_markdown(page)
    first = text.split("\n## Which")[0]
    verdict = plain.verdict
    assert first.startswith("# ")
    assert f"Scenario {verdict.scenario}:" in first
    assert "advisor tune 'my plans/a.toml'" in first
    assert f"**{verdict.forecast.accuracy:.2f}**" in first
    for reason in verdict.reasons:
        assert reason[1:60].replace("*", "\\*").split("(")[0] in first


def test_an_earlier_layer_in_scenario_1_is_expected_alike_on_every_page(plain, page_of, capsys):
    """The recipe of scenario 1 with an earlier tap is way 3: terminal, plan and report expect that of it."""
    expected = {way: Expected(0.5, 0.4, 0.6) for way in Strategy}
    expected |= {Strategy.LAST_LAYER: Expected(0.803, 0.7, 0.9), Strategy.EARLIER_LAYER: Expected(0.88, 0.82, 0.92)}
    verdict = replace(
        plain.verdict, scenario=1, strategy=Strategy.EARLIER_LAYER, rival=Strategy.TUNE_SIMILAR, expected=expected,
        tap_stage=2, learnable=True,
    )  # fmt: skip
    found = replan(plain, verdict, catalog=load_catalog(), progress=Silent())
    terminal.recommendation(console.page(), found, "advisor.toml")
    out = capsys.readouterr().out
    (starred,) = [line for line in out.splitlines() if line.startswith("*") and " · " in line]
    assert starred.startswith("*3 · classifier, earlier layer")
    assert "0.88  0.82 to 0.92" in starred
    assert "Scenario 1: small and similar. Train a classifier on an earlier layer of the frozen network\n" in out
    departure = "here an earlier one is expected to do better, as in scenario 3."
    assert departure in out
    text = to_markdown(page_of(found))
    assert "**0.88**" in text.split("\n## Which")[0]
    assert departure in text
    advised = "The advised way, a classifier on an earlier layer, should reach 0.88 (80 % interval 0.82 to 0.92)"
    assert advised in out
    assert advised in text
    assert found.plan.evidence["expected"]["accuracy"] == 0.88
    assert departure in found._repr_html_()


def test_every_part_of_the_advice_has_its_place(plain, page_of):
    page = page_of(plain)
    assert [section.key for section in page.sections] == SECTIONS
    charts = blocks(page, Chart)
    assert len(charts) == 8
    for chart in charts:
        assert len(chart.finding) > 40
        assert chart.numbers.rows
        assert "var(--" in json.dumps(chart.spec)
    galleries = blocks(page, Gallery)
    assert any("wrong" in picture.path for gallery in galleries for picture in gallery.pictures)
    assert any("copy.png" in picture.path for gallery in galleries for picture in gallery.pictures)
    shelves = blocks(page, Shelf)
    assert {shelf.name.text for shelf in shelves} == {"across", "blobs", "down"}
    assert all(p.data and p.alt for shelf in shelves for gallery in shelf.galleries for p in gallery.pictures)


def test_numbers_of_a_chart_are_those_of_the_advice(plain, page_of):
    (table,) = [chart.numbers for chart in blocks(page_of(plain), Chart) if "every stage" in chart.title]
    told = [*plain.curve.points, *([plain.curve.joined] if plain.curve.joined else [])]
    assert [row[3] for row in table.rows] == [f"{point.accuracy:.3f}" for point in told]


def test_a_page_is_small_and_made_quickly(plain, page_of):
    to_html(page_of(plain))  # the script of the charts is put together once
    began = time.perf_counter()
    text = to_html(page_of(plain))
    assert time.perf_counter() - began < 10
    assert len(text.encode()) < 5_000_000


def test_two_thousand_classes_are_cut_and_counted(plain, page_of):
    names = [f"class {i}" for i in range(2000)]
    many = replace(
        plain,
        profile=replace(
            plain.profile, per_class=dict.fromkeys(names, 5), notes=(f"no test images for: {', '.join(names)}",)
        ),
        classes=tuple(ClassAdvice(name, 5, i / 2000, None) for i, name in enumerate(names[:250])),
        examples=tuple(replace(plain.examples[0], name=name) for name in names[:250]),
    )
    page = page_of(many)
    (table,) = [table for table in blocks(page, Table) if table.caption == "Classes"]
    assert len(table.rows) + table.rest == 2000
    assert table.rest > 1900
    assert len(blocks(page, Shelf)) < 40
    text = to_html(page)
    assert f"… and {table.rest:,} more" in text
    assert len(text.encode()) < 5_000_000


def test_what_was_not_measured_is_left_out_and_not_invented(plain, page_of):
    nothing = replace(
        plain,
        distance=replace(plain.distance, early=None, middle=None, late=None, votes={}, vote_intervals={}),
        labels=None, suspects=(), confusions=(), examples=(),
        profile=replace(plain.profile, duplicates=(), near_duplicates=(), conflicting=(), leaking=()),
    )  # fmt: skip
    page = page_of(nothing)
    assert {"labels", "pictures", "doubts"}.isdisjoint(section.key for section in page.sections)
    assert "could not be measured" in to_markdown(page)
    assert to_html(page)


def test_images_with_several_labels_are_told_in_their_own_measure(multilabel, page_of):
    page = page_of(multilabel)
    text = to_markdown(page)
    keys = [section.key for section in page.sections]
    assert "labels" not in keys
    assert "mean average precision" in text.split("\n## Which")[0]
    assert "| label | images | average precision |" in text
    assert "recognised" not in text
    assert {shelf.name.text for shelf in blocks(page, Shelf)} == {"across", "blobs", "down", "even"}
    assert to_html(page)


def test_labels_that_say_nothing_are_the_first_thing_said(plain, page_of):
    page = page_of(replace(plain, verdict=replace(plain.verdict, learnable=False)))
    assert page.title.startswith("Check the labels")


def test_hostile_names_survive_in_markdown_and_html(odd, page_of):
    page = page_of(odd)
    text = to_html(page)
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "{{ 7 * 7 }}" in text
    assert "\u202e" not in text
    assert "<script>" not in to_markdown(page)


def test_the_command_writes_the_report_beside_the_plan(tiny, tiny_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["recommend", str(tiny_folder), "--backbone", tiny, "-o", "my.toml", "--md"]) == 0
    out = capsys.readouterr().out
    assert "Report with charts and pictures: my.html" in out
    assert (tmp_path / "my.html").read_text("utf-8").startswith("<!doctype html>")
    assert (tmp_path / "my.md").read_text("utf-8").startswith("# ")
    for path in ("my.html", "my.md"):
        (tmp_path / path).unlink()
    assert main(["recommend", str(tiny_folder), "--backbone", tiny, "--no-report", "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["reports"] == []
    assert not list(tmp_path.glob("*.html"))
    assert main(["recommend", str(tiny_folder), "-o", "plan.html"]) == 2
    assert "the plan is TOML" in capsys.readouterr().err


def test_images_that_are_gone_are_an_error_with_words(plain, tmp_path):
    gone = replace(plain, plan=replace(plain.plan, location=str(tmp_path / "nowhere")))
    with pytest.raises(advisor.AdvisorError, match="nowhere"):
        write_recommendation(gone, plan="a.toml", html=tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


def test_one_image_that_vanished_costs_no_page(tiny, tmp_path):
    for kind, name in enumerate(("a", "b")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for seed in range(12):
            draw(kind, seed).save(tmp_path / "set" / name / f"{seed}.png")
    found = advisor.recommend(str(tmp_path / "set"), backbone=tiny)
    (tmp_path / "set" / found.examples[0].typical[0]).unlink()
    write_recommendation(found, plan="a.toml", html=tmp_path / "a.html")
    assert "No such file" in (tmp_path / "a.html").read_text("utf-8")
