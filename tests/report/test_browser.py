"""Reports in a real browser: drawn, silent, without a request, readable by everyone, on every width."""

import pytest

from advisor.records.folder import read_run
from advisor.report.page.documents import to_html
from advisor.report.run import run_page

from .conftest import MADE

pytestmark = pytest.mark.browser
WIDTHS, SCHEMES = (380, 1600), ("light", "dark")
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


@pytest.fixture
def visit(chromium, tmp_path):
    """Open a page and wait until its charts are drawn; what it said and asked for."""
    contexts = []

    def _visit(text, width=1600, scheme="light"):
        file = tmp_path / "report.html"
        file.write_text(text, "utf-8")
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_function("[...document.querySelectorAll('.plot')].every(one => one.dataset.drawn)")
        return page, said, [url for url in asked if not url.startswith("data:") and url != file.as_uri()]

    yield _visit
    for context in contexts:
        context.close()


def violations(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": STANDARD}})
    return [(one["id"], [node["html"][:120] for node in one["nodes"]][:3]) for one in found.response["violations"]]


def of_run(folder):
    return to_html(run_page(read_run(folder), made=MADE))


def check(page, width):
    """Drawn, described, no wider than the screen, and nothing that axe objects to."""
    for plot in page.locator(".plot").all():
        assert plot.locator("svg path, svg line, svg text").count() > 8
        assert plot.get_attribute("role") == "img"
        assert len(plot.get_attribute("aria-label")) > 60
        box = plot.locator("svg").bounding_box()
        assert box["width"] <= width
        assert box["width"] > 0.6 * min(width, 700) * (0.6 if width > 1000 else 1)
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_report_is_drawn_and_quiet_and_for_everyone(plain, page_of, visit, width, scheme):
    page, said, asked = visit(to_html(page_of(plain)), width, scheme)
    assert said == []
    assert asked == []
    check(page, width)


@pytest.mark.parametrize(("width", "scheme"), list(zip(WIDTHS, SCHEMES, strict=True)))
def test_the_report_of_a_run_too(searched, visit, width, scheme):
    page, said, asked = visit(of_run(searched), width, scheme)
    assert said == []
    assert asked == []
    assert page.locator(".plot").count() == 8
    check(page, width)


def test_so_are_runs_over_hostile_names_and_over_several_labels(odd_run, multilabel_run, visit):
    for folder in (odd_run, multilabel_run):
        for width in WIDTHS:
            page, said, asked = visit(of_run(folder), width)
            assert said == []
            assert asked == []
            check(page, width)
    page, _, _ = visit(of_run(odd_run))
    assert "<script>alert(1)</script>" in page.locator("#classes th bdi").all_inner_texts()
    # Not two names fall on one row of the heat map.
    assert len(set(page.locator("#confusions .role-axis-label text").all_text_contents())) == 6


def test_colours_follow_the_scheme(plain, page_of, visit):
    text = to_html(page_of(plain))
    seen = {}
    for scheme in SCHEMES:
        page, _, _ = visit(text, 1600, scheme)
        seen[scheme] = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('.plot .role-axis-label text')).fill]"
        )
    assert seen["light"][0] != seen["dark"][0]
    assert seen["light"][1] != seen["dark"][1]
    page.emulate_media(media="print", color_scheme="dark")
    printed = page.evaluate("getComputedStyle(document.querySelector('.plot .role-axis-label text')).fill")
    assert printed == seen["light"][1]


def test_names_of_any_kind_run_nothing_and_break_nothing(odd, page_of, visit):
    text = to_html(page_of(odd))
    for width in WIDTHS:
        page, said, asked = visit(text, width)
        assert said == []
        assert asked == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(page) == []
    headings = page.locator("#pictures h3 bdi").all_inner_texts()
    assert "<script>alert(1)</script>" in headings
    assert any(len(text) == 40 and text.endswith("…") for text in headings)
    assert max(len(one.get_attribute("title")) for one in page.locator("#pictures h3 bdi[title]").all()) == 199


def test_everything_is_reached_by_the_keyboard(plain, page_of, visit):
    page, _, _ = visit(to_html(page_of(plain)), 380)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    summary = page.locator(".numbers summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator(".numbers").first.get_attribute("open") is not None
    # What scrolls can be reached; what does not is no stop on the way.
    for region in page.locator(".scroll").all():
        scrolls = region.evaluate("one => one.scrollWidth > one.clientWidth + 1")
        assert (region.get_attribute("tabindex") == "0") == scrolls


def test_on_paper_the_numbers_are_open(plain, page_of, visit):
    page, _, _ = visit(to_html(page_of(plain)))
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".numbers[open]").count() == page.locator(".numbers").count() > 0
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator(".numbers[open]").count() == 0
    assert page.pdf().startswith(b"%PDF")
