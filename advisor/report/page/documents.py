"""A page as one HTML file that needs nothing else, or as Markdown."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from importlib import resources
from importlib.metadata import version
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from advisor.data.cache import MANIFEST, cache_dir, new_folder
from advisor.report.charts.drawing import CONFIG
from advisor.report.page.blocks import Chart, Name, Pair

if TYPE_CHECKING:
    from collections.abc import Iterable

    from advisor.report.page.blocks import Block, Page

# Characters that would be markup somewhere in Markdown.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def to_html(page: Page) -> str:
    """One file: style, script, charts and pictures are in it, and it asks nobody for anything.

    A content security policy lets no other script run than the two that are written here, whatever a class is called.
    """
    keys = {id(chart): f"chart-{number}" for number, chart in enumerate(_charts(page), 1)}
    charts = {keys[id(chart)]: chart.spec for chart in _charts(page)}
    data = _embedded({"config": CONFIG, "charts": charts})
    scripts = {"library": chart_library() if charts else "", "script": _template("page.js")}
    return _environment().get_template("page.html.jinja").render(
        page=page,
        style=Markup(_template("page.css")),  # noqa: S704 - our own file
        data=data,
        hashes=[_integrity(script) for script in scripts.values() if script],
        key_of=lambda chart: keys[id(chart)],
        **{name: Markup(script) for name, script in scripts.items()},  # noqa: S704 - ours and vl-convert's
    )  # fmt: skip


def to_markdown(page: Page) -> str:
    """The same words and tables; charts are their findings and numbers, pictures their paths."""
    text = _environment().get_template("page.md.jinja").render(page=page)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@cache
def chart_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, from the installed vl-convert.

    Putting it together takes seconds, so it is kept between runs.
    """
    from altair import SCHEMA_VERSION

    written = ".".join(SCHEMA_VERSION.removeprefix("v").split(".")[:2])  # vl-convert knows no third number
    name = f"vega-lite-{written}-vl-convert-{version('vl-convert-python')}"
    kept = cache_dir("charts") / name
    if not (kept / "vega.js").is_file():
        import vl_convert

        with new_folder(kept) as folder:
            (folder / "vega.js").write_text(
                vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=written), "utf-8"
            )
            (folder / MANIFEST).write_text(json.dumps({"what": "the script that draws the charts of reports"}))
    script = (kept / "vega.js").read_text("utf-8")
    assert "</script" not in script.lower()
    return script


def _charts(page: Page) -> Iterable[Chart]:
    def inside(blocks: Iterable[Block]) -> Iterable[Chart]:
        for block in blocks:
            if isinstance(block, Chart):
                yield block
            elif isinstance(block, Pair):
                yield from inside(block.blocks)

    yield from inside(page.first)
    for section in page.sections:
        yield from inside(section.blocks)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("advisor.report.page"),
        autoescape=jinja2.select_autoescape(["html.jinja"]),  # Markdown has its own filter
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = _markdown
    environment.filters["code"] = _markdown_code
    environment.tests["name"] = lambda value: isinstance(value, Name)
    return environment


def _template(name: str) -> str:
    return resources.files("advisor.report.page").joinpath("templates", name).read_text("utf-8")


def _embedded(data: object) -> Markup:
    """JSON that nothing in it can end: no tag, no comment, no line separator."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - what could be markup is escaped above


def _integrity(script: str) -> str:
    """The script's hash as a content security policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _markdown(value: str | Name) -> str:
    """Text or a whole name, with nothing in it that Markdown would take for markup."""
    text = value.full if isinstance(value, Name) else " ".join(value.split())
    return _MARKUP.sub(r"\\\1", text)


def _markdown_code(text: str) -> str:
    """Text as a code block whose fence is longer than any in it."""
    fence = "`" * (3 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"
