"""The page as a browser has it: headless Chromium, driven by Playwright."""

import pytest

import ghostify

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(browser, measured):
    """The page in a browser, which neither logs nor requests anything."""
    file = ghostify.write_report(measured)
    page = browser.new_page()
    logged, requested = [], []
    page.on("console", lambda message: logged.append(message.text))
    page.on("pageerror", lambda error: logged.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    page.goto(file.as_uri())
    yield page
    assert logged == []
    assert requested == [file.as_uri()]
    page.close()


def layers(page):
    return page.locator(".sites tbody tr:visible td:nth-child(2)").all_inner_texts()


ORDER = ["stem", "body.0.conv", "body.1.conv", "head"]


def test_sort(opened):
    assert layers(opened) == ORDER
    heading = opened.locator(".sites th", has_text="sensitivity")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert layers(opened) == ["head", "body.1.conv", "body.0.conv", "stem"]
    heading.get_by_role("button").click()
    assert layers(opened) == ORDER
    opened.locator(".sites th button", has_text="layer").focus()
    opened.keyboard.press("Enter")
    assert layers(opened) == sorted(ORDER)
    assert heading.get_attribute("aria-sort") is None


def test_filter(opened):
    find = opened.get_by_label("Find")
    find.fill("CONV body")
    assert layers(opened) == ["body.0.conv", "body.1.conv"]
    assert opened.locator("#shown").inner_text() == "2 layers"
    opened.get_by_label("Show").select_option("kept")
    assert layers(opened) == []
    find.fill("")
    assert layers(opened) == ["stem"]
    assert opened.locator("#shown").inner_text() == "1 layer"


def test_copy(opened):
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.locator(".commands .copy").first.click()
    opened.locator(".commands .copy", has_text="Copied").wait_for()
    command = opened.locator(".commands code").first.inner_text()
    assert opened.evaluate("navigator.clipboard.readText()") == command


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_horizontal_scrolling_on_a_phone(opened, scheme):
    opened.set_viewport_size({"width": 360, "height": 740})
    opened.emulate_media(color_scheme=scheme)
    assert opened.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened, scheme, axe):
    opened.emulate_media(color_scheme=scheme)
    opened.evaluate(axe)
    found = opened.evaluate("axe.run()")["violations"]
    serious = [v["help"] for v in found if v["impact"] in ("serious", "critical")]
    assert serious == []
