"""Draw `docs/figures/report.png`, the picture in the README: the first screen of a report.

    advisor recommend digits:
    python benchmarks/report_picture.py advisor.html

It needs playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parents[1] / "docs" / "figures" / "report.png"
WIDTH, HEIGHT = 1000, 1570  # to the end of the map of scenarios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    args = parser.parse_args()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        tab.goto(args.page.resolve().as_uri())
        tab.wait_for_function("[...document.querySelectorAll('.plot')].every(one => one.dataset.drawn)")
        tab.screenshot(path=PICTURE)
        browser.close()
    print(f"{PICTURE.name}, {PICTURE.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
