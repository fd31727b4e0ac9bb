"""The documents: every command runs, every link leads somewhere, and the site builds and needs no network."""

import contextlib
import io
import re
import shlex
import subprocess
import sys
import tomllib
import unicodedata
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from conftest import TINY, draw
from markdown_it import MarkdownIt

import advisor
from advisor.advice import priors
from advisor.cli.commands import COMMANDS
from advisor.cli.main import build_parser, main
from advisor.errors import ExitCode
from advisor.outcome import run as running
from advisor.plugins import load_catalog
from advisor.recipe import KEYS
from advisor.recipe.reading import parse_plan, parse_recipe
from advisor.testing.samples import tiny_images, tiny_network
from advisor.tuning.network_runner import NetworkRunner

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# In the order in which a reader meets them; what one leaves the next may use.
GUIDES = [DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(
        part.startswith(".") or part in {"site", "build", "runs", "demo"} for part in path.relative_to(ROOT).parts
    )
)
# What a person runs and a test cannot, by how the line begins.
NOT_RUN = {
    "python3 -m venv": "makes an environment of its own",
    ". .venv/bin/activate": "goes into that environment",
    "pip install": "needs a package index",
    "pip download": "needs a package index",
    "hf download": "needs the model hub",
    "advisor doctor": "starts a process that imports torch; tests/doctor and tests/cli/test_contract.py run it",
    "optuna-dashboard": "serves until it is stopped; tests/outcome/test_dashboard.py starts it",
    "advisor tune --storage postgresql": "needs a database server; tests/outcome/test_run.py has one",
}
MARKDOWN = MarkdownIt("commonmark").enable("table")


def fences(page, *languages):
    """Code blocks of some languages: first line's number in the file, and text."""
    for token in MARKDOWN.parse(page.read_text("utf-8")):
        if token.type == "fence" and token.info.strip() in languages:
            yield token.map[0] + 2, token.content


def lines_of(text):
    """Lines of a shell with their numbers from 0, those that a backslash continues joined."""
    joined, start = "", 0
    for number, line in enumerate(text.splitlines()):
        start = start if joined else number
        joined += line
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        if joined.strip():
            yield start, joined.strip()
        joined = ""


def words_of(line):
    """The first command of a line as the shell would split it, without comment, redirection and what follows a pipe."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if set(word) <= set("();<>|&"):
            break
        words.append(word)
    return words


def commands_in(page):
    for _, text in fences(page, "", "sh"):
        for _, line in lines_of(text):
            line = line.removeprefix("$ ")  # noqa: PLW2901
            if line.startswith("advisor ") and "..." not in line:
                yield line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_parse(page):
    known = {command.name for command in COMMANDS}
    for line in commands_in(page):
        if line.split()[1] in known:  # others are a plugin's
            assert build_parser().parse_args(words_of(line)[1:]), line


def test_there_are_commands_to_parse():
    assert sum(len(list(commands_in(page))) for page in PAGES) > 80


def world(folder):
    """What the guides speak of: folders of images, tables, a network in timm's layout."""
    tiny_images(folder / "data", each=16)
    tiny_images(folder / "photos", each=4)
    tiny_images(folder / "unlabelled", each=2)
    for name, counts in {"uneven": (30, 14, 7), "tiny-class": (16, 16, 1)}.items():
        for kind, count in enumerate(counts):
            (folder / name / str(kind)).mkdir(parents=True)
            for seed in range(count):
                draw(kind, 100 + seed).save(folder / name / str(kind) / f"{seed}.png")
    images = sorted(path.relative_to(folder) for path in (folder / "data").rglob("*.png"))
    rows = [f"{path},{path.parts[1]},,{n % 8}" for n, path in enumerate(images)]
    (folder / "photos.csv").write_text("\n".join(["path,label,split,patient", *rows]))
    (folder / "measurements.csv").write_text("\n".join(["where,species,,camera", *rows]))
    tags = [f"{path},{path.parts[1]}{'|even' if n % 2 == 0 else ''}" for n, path in enumerate(images)]
    (folder / "tagged.csv").write_text("\n".join(["path,tags", *tags]))
    tiny_network(folder / "my-network")


def run_line(line, folder):
    """Run a line of a shell: `advisor` in this process, what it is piped from and to by the shell; exit code, output."""
    given, said, code = b"", io.StringIO(), 0
    for part in line.split(" | "):
        if not part.startswith("advisor "):
            done = subprocess.run(["bash", "-c", part], input=given, capture_output=True, cwd=folder)
            given, code = done.stdout, code or done.returncode
            said.write(done.stderr.decode())
            continue
        words = words_of(part)[1:]
        if words[0] == "tune":  # the last of two equal options counts
            words += ["--trials", "1", "--budget", "20s"]
        if words[0] in {"recommend", "tune"}:
            words += ["--no-report"]  # they have tests of their own
        if not torch.cuda.is_available():
            words = ["cpu" if word.startswith("cuda") else word for word in words]
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
            code = code or main(words)
        given = out.getvalue().encode()
    return code, said.getvalue() + given.decode()


def test_every_command_of_the_guides_runs(tmp_path, monkeypatch, install):
    for name in ("lite0", "lite1", "lite2"):  # very small networks take the place of the real ones
        install(name, TINY.format(name=name, architecture="test_resnet"))
    monkeypatch.setenv("ADVISOR_DISABLE", "efficientnet-lite")
    # Short searches and trainings: what is tried is whether the lines work, not what comes out.
    monkeypatch.setattr(running, "tune", partial(running.tune, trials=1))
    monkeypatch.setattr(priors, "LEAST_STEPS", 8)
    # Of so few images a head on several views may win, which `eject` cannot say.
    monkeypatch.setattr(NetworkRunner, "variants", lambda *_: {})
    for key in ("search.folds", "search.seeds"):
        monkeypatch.setitem(KEYS, key, replace(KEYS[key], default=1))
    monkeypatch.setenv("ADVISOR_WEIGHTS", str(tmp_path / "weights"))
    home = tmp_path / "home"
    home.mkdir()
    world(home)
    monkeypatch.chdir(home)
    wrong, ran, left_out = [], set(), set()
    for page in GUIDES:
        for number, block in fences(page, "sh", "python"):
            if block.startswith("import "):
                exec(compile(block, str(page), "exec"), {})  # noqa: S102 - our own document
                ran.add((page, block))
                continue
            for line_number, line in lines_of(block):
                where = f"{page.relative_to(ROOT)}:{number + line_number}: {line}"
                reason = next((start for start in NOT_RUN if line.startswith(start)), "")
                if reason:
                    left_out.add(reason)
                else:
                    ran.add((page, line))
                    code, said = run_line(line, home)
                    if code:
                        wrong.append(f"{where}\n{said}")
    assert not wrong, "\n\n".join(wrong)
    assert left_out == set(NOT_RUN)  # reasons that nothing needs go
    assert {page for page, _ in ran} == set(GUIDES)
    assert len(ran) > 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_recipes_in_pages_validate(page):
    for _, text in fences(page, "toml"):
        table = tomllib.loads(text)
        if "project" not in table and "build-system" not in table and "schema" not in table:
            head = 'schema = 1\nname = "x"\nsummary = "x"\n'
            if "range" in table:  # a part of a plan
                head += '[data]\nlocation = "./data"\n[backbone]\nname = "lite0"\n'
                parse_plan(f"{head}{text}", str(page), load_catalog())
            else:
                parse_recipe(f"{head}{text}", str(page), load_catalog())


def slugs(page):
    """Anchors of a page: those that GitHub makes and, of a page of the site, those of it that the site makes too."""
    text = filled(page.read_text("utf-8"))
    tokens = MARKDOWN.parse(text)
    found = set()
    for heading, inline in zip(tokens, tokens[1:], strict=False):
        if heading.type == "heading_open":
            title = "".join(part.content for part in inline.children)
            kept = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
            plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
            ours = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())
            if DOCS not in page.parents or kept == ours:
                found.add(kept)
    return found


def filled(text):
    sys.path.insert(0, str(DOCS))
    try:
        import generated
    finally:
        sys.path.remove(str(DOCS))
    return generated.fill(text)


def links_of(page):
    for token in MARKDOWN.parse(filled(page.read_text("utf-8"))):
        for part in token.children or ():
            yield from (part.attrs[key] for key in ("href", "src") if key in part.attrs)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_anchors_lead_somewhere(page):
    for link in links_of(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert ROOT in target.parents, link
        assert not anchor or anchor in slugs(target), link


def test_no_page_claims_more_of_the_advice_than_its_interval_allows():
    """Rules whose regret may be that of the advice are named below each table, and those that always may in the README."""
    page = (ROOT / "docs" / "advice.md").read_text()
    readme = " ".join((ROOT / "README.md").read_text().split())
    (named,) = re.findall(r"cannot be told from two simpler rules: (.+?)\.", readme)
    tables = re.split(r"^## At most ", page, flags=re.MULTILINE)[1:]
    always = None
    for table in tables:
        rows = re.findall(r"^\| ([^|*]+) \|.*\| [+-][\d.]+ \(([+-][\d.]+) to ([+-][\d.]+)\) \|$", table, re.MULTILINE)
        assert len(rows) == 4
        (told,) = re.findall(r"cannot be told from: (.+)\.$", table, re.MULTILINE)
        alike = {name for name, low, high in rows if float(low) <= 0 <= float(high)}
        assert set(told.split("; ")) - {"none of these rules"} == alike
        always = alike if always is None else always & alike
    assert len(tables) == 3
    assert set(named.split(", and ")) == always


def test_there_are_links_to_follow():
    assert sum(not link.startswith("http") for page in PAGES for link in links_of(page)) > 40


def test_every_command_key_and_name_is_in_the_reference():
    commands = filled((DOCS / "reference/commands.md").read_text("utf-8"))
    for command in COMMANDS:
        assert f"\n## advisor {command.name}\n" in commands
    assert "`--resume RUN`" in commands
    keys = filled((DOCS / "reference/recipe-keys.md").read_text("utf-8"))
    assert all(f"| `{key}` |" in keys for key in [*KEYS, "head.linear.l2"])
    codes = filled((DOCS / "reference/terminal.md").read_text("utf-8"))
    assert all(f"| `{code}` |" in codes for code in map(int, ExitCode))
    names = filled((DOCS / "reference/python.md").read_text("utf-8"))
    assert all(f"::: advisor.{name}\n" in names for name in advisor.__all__ if name != "__version__")


class Needs(HTMLParser):
    """What a page asks for by itself: scripts, styles, images, frames."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag in {"script", "link", "img", "iframe", "source", "video", "audio", "embed", "object"}:
            self.found += [value for name, value in attrs if name in {"src", "href", "srcset", "data"} and value]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as `make docs` builds it."""
    pytest.importorskip("mkdocs", reason="needs the extra `docs`")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_no_page_of_the_site_asks_for_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(list(DOCS.rglob("*.md")))  # and one for what is not found
    for page in pages:
        outside = [found for found in Needs(page.read_text("utf-8")).found if re.match(r"(https?:)?//", found)]
        assert not outside, page
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", style.read_text("utf-8")), style
    assert "--json" in (site / "reference" / "commands.html").read_text("utf-8")
    assert not list(site.rglob("generated.py"))


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(380, "dark"), (1600, "light")])
def test_the_site_is_quiet_and_fits(site, chromium, width, scheme):
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for name in ("index.html", "tutorial.html", "reference/commands.html", "reference/python.html", "method.html"):
        page.goto((site / name).as_uri())
        assert page.locator("h1").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    context.close()
    assert asked
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
