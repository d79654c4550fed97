"""The built documentation in a browser."""

import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        """Requests are not printed."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The addresses of all pages, first the landing page, from a web server."""
    pytest.importorskip("mkdocs", reason="pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder]
    subprocess.run(command, cwd=ROOT, check=True)
    pages = sorted(page.parent.relative_to(folder) for page in folder.rglob("index.html"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield [f"http://127.0.0.1:{server.server_port}/{page.as_posix()}/" for page in pages]
        server.shutdown()


CLIPPED = """[...document.querySelectorAll(".md-content pre > code")]
    .filter(code => code.scrollWidth > code.clientWidth + 1).map(code => code.innerText)"""
WIDTH = "document.documentElement.scrollWidth"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_every_page_can_be_read(browser, site, axe, scheme, width):
    """Axe finds nothing serious, code is not clipped, and no page scrolls sideways."""
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    found = {}
    for address in site:
        page.goto(address)
        page.evaluate(axe)
        violations = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        faults = [v["help"] for v in violations if v["impact"] in ("serious", "critical")]
        if width > 1000:  # on a phone, tables of output scroll
            faults += page.evaluate(CLIPPED)
        if page.evaluate(WIDTH) > width:
            faults.append("scrolls sideways")
        found |= {address: faults} if faults else {}
    page.close()
    assert found == {}


def test_pages_load_nothing_from_elsewhere(browser, site):
    page, requested, logged = browser.new_page(), [], []
    page.on("request", lambda request: requested.append(request.url))
    page.on("pageerror", lambda error: logged.append(str(error)))
    page.goto(site[0])
    assert [url for url in requested if not url.startswith("http://127.0.0.1:")] == []
    assert logged == []


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("troubleshooting", "guides/troubleshooting"),
        ("quantization", "guides/int8"),
        ("pruning", "concepts/pruning"),
        ("YOLO", "guides/detectors"),
        ("slower", "guides/troubleshooting"),
        ("compress", "guides/compress"),
        ("DDP", "guides/troubleshooting"),  # in parentheses there
        ("two inputs", "guides/troubleshooting"),
        ("target FLOPs", "guides/troubleshooting"),
    ],
)
def test_the_search_finds(browser, site, query, first):
    page = browser.new_page()
    page.goto(f"{site[0]}?q={query}")
    page.wait_for_selector(".md-search-result__link")
    found = page.locator(".md-search-result__link").first.get_attribute("href")
    assert f"/{first}/" in found
    page.close()
