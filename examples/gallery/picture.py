"""Take the pictures of a report that the documentation shows.

    python examples/gallery/picture.py

It opens a page of the gallery in headless Chromium, in both color schemes, and writes its top, to
the end of the first section, to ``docs/images/report.png`` and ``report-dark.png``.
"""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

import ghostify

GALLERY = Path(__file__).parent
IMAGES = GALLERY.parents[1] / "docs" / "images"
SHOWN = "resnet20-ghost"
WIDTH = 1000


def first_section(page: Page) -> int:
    """Return where the first section ends, in pixels from the top."""
    box = page.locator("section").first.bounding_box()
    assert box is not None
    return int(box["y"] + box["height"])


def main() -> None:
    """Write both pictures."""
    with tempfile.TemporaryDirectory() as work, sync_playwright() as playwright:
        report = ghostify.write_report(GALLERY / SHOWN, Path(work, "report.html"))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for scheme, name in (("light", "report.png"), ("dark", "report-dark.png")):
            page = browser.new_page(viewport={"width": WIDTH, "height": 800}, color_scheme=scheme)
            page.goto(report.resolve().as_uri())
            clip = {"x": 0, "y": 0, "width": WIDTH, "height": first_section(page)}
            page.screenshot(path=IMAGES / name, clip=clip, full_page=True)


if __name__ == "__main__":
    main()
