"""The HTML report in a real browser: its scripts, its layout, and the slider under a hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

import report_case
from latentsr.report.html import render_html

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
waits = pytest.importorskip("selenium.webdriver.support.wait")
selects = pytest.importorskip("selenium.webdriver.support.select")
wheels = pytest.importorskip("selenium.webdriver.common.actions.wheel_input")
services = pytest.importorskip("selenium.webdriver.chrome.service")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
# What is drawn, as a number for each of the left and the right half: a changed picture changes it.
PIXELS = """
const canvas = document.querySelector('#compare canvas');
const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
let left = 0, right = 0;
for (let at = 0; at < data.length; at += 4) {
  const weighted = data[at] * 3 + data[at + 1] * 5 + data[at + 2] * 7;
  if ((at / 4) % canvas.width < canvas.width / 2) left += weighted; else right += weighted;
}
return [left, right];
"""
SETTLED = """
const done = arguments[0];
requestAnimationFrame(() => requestAnimationFrame(() => done(true)));
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no Chromium with its driver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = services.Service(driver)
    found = webdriver.Chrome(options=options, service=service)
    found.set_script_timeout(20)
    yield found
    found.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    text = render_html(report_case.result(), report_case.pictures(), [report_case.result()])
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


def show(browser: Any, page: str, width: int = 1280, dark: bool = False) -> None:
    """Open the page at a width, and wait until the slider has drawn."""
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(page)
    waiting = waits.WebDriverWait(browser, 20)
    waiting.until(lambda b: sum(pixels(b)) > 0)


def pixels(browser: Any) -> list[int]:
    browser.execute_async_script(SETTLED)
    found: list[int] = browser.execute_script(PIXELS)
    return found


def part(browser: Any, name: str) -> Any:
    return browser.find_element("css selector", f'[data-part="{name}"]')


def zoom(browser: Any) -> float:
    browser.execute_async_script(SETTLED)
    return float(part(browser, "zoom").text.rstrip("×"))


def press(browser: Any, name: str, *keys: str) -> None:
    for key in keys:
        part(browser, name).send_keys(key)


def test_no_errors_and_the_scripts_have_run(browser: Any, page: str) -> None:
    browser.get_log("browser")
    show(browser, page)
    assert browser.get_log("browser") == []
    assert "ready" in browser.find_element("id", "compare").get_attribute("class")
    assert browser.find_element("id", "save").is_displayed()
    loaded = "return performance.getEntriesByType('resource').map(one => one.name)"
    assert all(name.startswith("data:") for name in browser.execute_script(loaded))


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_is_wider_than_the_page(browser: Any, page: str, width: int) -> None:
    show(browser, page, width)
    root = "document.documentElement"
    found = browser.execute_script(f"return [{root}.scrollWidth, {root}.clientWidth, innerWidth]")
    assert found[0] == found[1] and found[2] == width
    script = """
    const edge = document.documentElement.clientWidth + 0.5;
    return [...document.querySelectorAll('main *, header *')].filter((one) => {
      const box = one.getBoundingClientRect();
      return box.width && box.right > edge && !one.closest('.scroll');
    }).map((one) => one.tagName + '.' + one.className);
    """
    assert browser.execute_script(script) == []


def test_text_in_charts_stays_readable_and_inside(browser: Any, page: str) -> None:
    script = """
    return [...document.querySelectorAll('svg')].filter((svg) => svg.getBoundingClientRect().width)
      .flatMap((svg) => [...svg.querySelectorAll('text')].map((text) => {
        const own = svg.getBoundingClientRect(), box = text.getBoundingClientRect();
        return [text.textContent, box.height, box.left - own.left, own.right - box.right];
      }));
    """
    for width in (360, 1280):
        show(browser, page, width)
        found = browser.execute_script(script)
        assert len(found) > 50
        for said, height, left, right in found:
            assert height >= 10 and left >= -1.5 and right >= -1.5, (width, said, left, right)


def test_dark_follows_the_reader(browser: Any, page: str) -> None:
    script = "return getComputedStyle(document.body).backgroundColor"
    seen = []
    for dark in (False, True):
        show(browser, page, dark=dark)
        seen.append(browser.execute_script(script))
    assert seen[0] == "rgb(255, 255, 255)" and seen[1] != seen[0]


def test_divider_moves_by_keyboard_and_by_hand(browser: Any, page: str) -> None:
    show(browser, page)
    before = pixels(browser)
    press(browser, "divider", *["\ue012"] * 40)  # arrow left
    assert pixels(browser)[0] != before[0]
    view = part(browser, "view")
    moved = pixels(browser)
    width = view.size["width"]
    chains = webdriver.ActionChains(browser, duration=20)
    chains.move_to_element_with_offset(view, -width // 4, 0).click_and_hold()
    chains.move_by_offset(width // 2, 5).release().perform()
    assert pixels(browser) != moved
    value = int(part(browser, "divider").get_attribute("value"))
    assert value == pytest.approx(750, abs=10)


def test_zoom_by_buttons_keys_and_wheel(browser: Any, page: str) -> None:
    show(browser, page)
    first, before = zoom(browser), pixels(browser)
    part(browser, "in").click()
    assert first == 1 and zoom(browser) == 2 and pixels(browser) != before
    press(browser, "view", "+", "+", "+", "+", "+", "+")
    assert zoom(browser) == 16
    part(browser, "one").click()
    assert zoom(browser) == 1
    origin = wheels.ScrollOrigin.from_element(part(browser, "view"))
    chains = webdriver.ActionChains(browser)
    chains.scroll_from_origin(origin, 0, -240).perform()
    assert 1 < zoom(browser) <= 2
    press(browser, "view", "0")
    assert zoom(browser) == first


def test_pixels_are_shown_exactly_and_can_be_moved(browser: Any, page: str) -> None:
    show(browser, page)
    part(browser, "one").click()
    press(browser, "view", "+", "+", "+")
    before = pixels(browser)
    script = """
    const canvas = document.querySelector('#compare canvas');
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, 1).data;
    const changes = [];
    for (let x = 1; x < canvas.width / 2 - 8; x++)
      if ([0, 1, 2].some((c) => data[4 * x + c] !== data[4 * x - 4 + c])) changes.push(x);
    return changes;
    """
    changes = browser.execute_script(script)
    # Noise differs from pixel to pixel, so colours change at the edges of squares of 8 only.
    assert zoom(browser) == 8 and len(changes) > 10
    assert len({x % 8 for x in changes}) == 1
    press(browser, "view", "\ue014", "\ue015")  # arrow right, arrow down
    assert pixels(browser) != before


def test_choice_of_pictures(browser: Any, page: str) -> None:
    show(browser, page)
    choose = selects.Select
    left, right = choose(part(browser, "left")), choose(part(browser, "right"))
    names = [option.text for option in left.options]
    assert names == list(report_case.pictures())
    assert right.first_selected_option.text == "latent_x4"
    assert left.first_selected_option.text == "pixel_x4"
    before = pixels(browser)
    left.select_by_visible_text("original")
    after = pixels(browser)
    assert after[0] != before[0] and after[1] == before[1]
    assert part(browser, "name-left").text == "original"
    assert part(browser, "name-right").text == "latent_x4 · 26.44 dB"
    part(browser, "swap").click()
    assert part(browser, "name-right").text == "original"
    assert pixels(browser)[1] != after[1]
