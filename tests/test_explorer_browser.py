"""The explorer in a real browser: what it shows, by pointer and by keyboard, small and large, light and dark.

Skipped where there is no Chromium with its driver, or no selenium; `.ci/run` installs the first two.
"""

import json
import re
import shutil

import numpy as np
import pytest
from explored import ODD, small_ensemble, small_report

from rgstep import explorer

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if not (BROWSER and DRIVER):
    pytest.skip("no Chromium with chromedriver on this machine", allow_module_level=True)

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

READY = "const e = document.getElementById('explorer'); return Number(e.dataset.ready || 0)"
SETTLED = """
const [what, done] = arguments, {state, change} = document.getElementById('explorer').rgstep;
change(() => Object.assign(state, JSON.parse(what))).then(() => done(true));
"""
NUMBERS = """
const [index, done] = arguments;
document.getElementById('explorer').rgstep.load(index).then((map) => done(Array.from(map.fields.raw)));
"""
CONTRAST = """
const level = (c) => { c /= 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; };
const light = (c) => .2126 * level(c[0]) + .7152 * level(c[1]) + .0722 * level(c[2]);
const parts = (words) => words.match(/[\\d.]+/g).map(Number);
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const c = parts(getComputedStyle(node).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c;
  }
  return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
};
const found = [];
for (const node of document.querySelectorAll('#explorer *')) {
  const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  if (!own || !node.getClientRects().length || node.closest('.rgx-said')) continue;
  const [a, b] = [light(parts(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
  found.push([(a + .05) / (b + .05), node.tagName + '.' + node.className + ': ' + node.textContent.slice(0, 40)]);
}
return found;
"""


@pytest.fixture(scope="module")
def report():
    return small_report(small_ensemble())


@pytest.fixture(scope="module")
def address(report, tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "page.html"
    path.write_text(explorer.page_explorer(report).to_html(), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(30)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, address):
    """The page, opened anew at 1400 px in light colours."""
    show(browser, address)
    yield browser
    said = [line for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
    assert said == []


def show(browser, address, width=1400, height=1000, **media):
    """Open the page in a window of some size."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    features = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in media.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get_log("browser")
    browser.get(address)
    wait(browser, lambda: browser.execute_script(READY) > 0)


def wait(browser, holds):
    """Wait until something holds, half a minute at most."""
    WebDriverWait(browser, 30, 0.02).until(lambda _: holds())


def settle(browser, **state):
    """Set what is shown and wait until it is."""
    browser.execute_async_script(SETTLED, json.dumps(state))


def at(report, name, level=1):
    """Return the place of a map among all."""
    return [(one.name, one.level) for one in explorer.pictures_of(report)].index((name, level))


def board(browser, name, card=0):
    """Return a picture of a card, and the words below it."""
    figure = browser.find_elements("css selector", f'.rgx-card [data-board="{name}"]')[card]
    return figure.find_element("css selector", ".rgx-board"), figure.find_element("css selector", ".rgx-readout")


def point(browser, box, row, column, rows, columns, click=False):
    """Move the pointer to a cell of a picture, and click it if asked."""
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
    size = box.find_element("css selector", "canvas").rect
    x = round((column + 0.5) * size["width"] / columns - size["width"] / 2)
    y = round((row + 0.5) * size["height"] / rows - size["height"] / 2)
    moved = ActionChains(browser, duration=0).move_to_element_with_offset(box, x, y)
    (moved.click() if click else moved).perform()


def press(browser, box, *keys):
    """Press keys while a picture has the focus."""
    browser.execute_script("arguments[0].focus({preventScroll: true})", box)
    ActionChains(browser, duration=0).send_keys(*keys).perform()


def button(browser, words):
    """Return the visible button that says something."""
    return next(b for b in browser.find_elements("css selector", "#explorer button") if words in b.text)


@pytest.mark.parametrize(("name", "level"), [("majority", 1), ("average", 2), ("rbm", 1), (ODD, 1)])
def test_the_browser_has_the_numbers_of_the_report(page, report, name, level):
    arrays = report.maps[name].arrays["vh_pattern"]
    head = "" if level == 1 else f"level_{level}_"
    exact, errors = arrays[f"{head}vh"].ravel(), arrays[f"{head}vh_error"]
    found = np.array(page.execute_async_script(NUMBERS, at(report, name, level)))
    allowed = max(1e-3, 0.1 * float(np.median(errors))) * (1 + 1e-3)
    assert np.abs(found - exact).max() <= allowed
    assert np.abs(np.roll(found, 1) - exact).max() > 5 * allowed


def test_without_a_script_nothing_of_it_is_seen(browser, address):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(address)
        assert not browser.find_element("id", "explorer").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    show(browser, address)
    assert browser.find_element("id", "explorer").is_displayed()


def test_pointer_and_keyboard_read_the_same_values(page, report):
    settle(page, maps=[at(report, "majority"), -1], units=[9, 0])
    box, words = board(page, "picture")
    point(page, box, 2, 5, 16, 16)
    by_pointer = words.text
    press(page, box, Keys.HOME, Keys.ARROW_DOWN, Keys.ARROW_DOWN, *[Keys.ARROW_RIGHT] * 5)
    assert words.text == by_pointer
    value = report.maps["majority"].arrays["vh_pattern"]["vh"][9, 2, 5]
    place, number, error = re.match(r"(.*): ([−\d.]+) ± ([\d.]+)", by_pointer).groups()
    assert place == "row 3, column 6"
    assert float(number.replace("−", "-")) == pytest.approx(value, abs=0.2 * float(error))
    press(page, box, Keys.ARROW_LEFT)
    assert words.text != by_pointer


def test_click_and_enter_choose_the_same(page, report):
    """A site, then a unit: the transposed picture follows, and the picture of the unit."""
    settle(page, maps=[at(report, "majority"), -1], site=0, units=[0, 0])
    seen = []
    for way in ("pointer", "keyboard"):
        settle(page, site=0, units=[0, 0])
        for name, row, column, side in (("picture", 1, 3, 16), ("units", 2, 1, 8)):
            box, _ = board(page, name)
            before = page.execute_script(READY)
            if way == "pointer":
                point(page, box, row, column, side, side, click=True)
            else:
                press(page, box, Keys.HOME, *[Keys.ARROW_DOWN] * row, *[Keys.ARROW_RIGHT] * column, Keys.ENTER)
            wait(page, lambda before=before: page.execute_script(READY) > before)
        figures = page.find_elements("css selector", ".rgx-card figcaption")
        seen.append([figure.text for figure in figures if figure.is_displayed()])
    assert seen[0] == seen[1]
    assert seen[0][1:3] == ["unit 18, plain", "row 2, column 4: who knows it"]
    _, words = board(page, "site")
    value = report.maps["majority"].arrays["vh_pattern"]["vh"][17, 1, 3]
    assert words.text.startswith("unit 18: ")
    assert float(re.search(r": ([\d.]+)", words.text)[1]) == pytest.approx(value, abs=0.01)


def test_every_control_and_picture_is_reached_by_tab_and_shows_that_it_is(page):
    reached = []
    page.execute_script("document.body.focus()")
    for _ in range(30):
        ActionChains(page, duration=0).send_keys(Keys.TAB).perform()
        kind, width = page.execute_script(
            "const n = document.activeElement, s = getComputedStyle(n);"
            "return [n.className + n.tagName, s.outlineStyle === 'none' ? 0 : parseFloat(s.outlineWidth)]"
        )
        if kind == "BODY":
            break
        reached.append(kind)
        assert width >= 2, kind
    assert reached.count("BUTTON") == 3
    assert reached.count("SELECT") == 5
    assert sum(kind.startswith("rgx-board") for kind in reached) == 6


def test_two_maps_share_one_scale_unless_each_has_its_own(page, report):
    def ends():
        return [card.text for card in page.find_elements("css selector", ".rgx-card:not([hidden]) .rgx-legend")]

    settle(page, maps=[at(report, "majority"), at(report, "rbm@untrained")], scale="common")
    common = ends()
    settle(page, scale="own")
    assert common[0] == common[1]
    assert len(set(ends())) == 2


def test_modes_show_other_numbers_and_say_what_they_are(page, report):
    settle(page, maps=[at(report, "rbm"), -1], units=[5, 0], site=0)
    words = {}
    for mode in ("raw", "connected", "flattened", "beta", "weights"):
        settle(page, mode=mode)
        words[mode] = board(page, "picture")[1].text
    assert len(set(words.values())) == 5
    arrays = report.maps["rbm"].arrays["vh_pattern"]
    vh, mean = arrays["vh"][5].astype(float), arrays["vh"][5].mean()
    values = {mode: float(re.search(r": ([−\d.]+)", text)[1].replace("−", "-")) for mode, text in words.items()}
    assert values["flattened"] == pytest.approx(vh[0, 0] - mean, abs=0.01)
    connected = vh[0, 0] - arrays["mean_v"][0, 0] * arrays["unit_mean_h"][5]
    assert values["connected"] == pytest.approx(connected, abs=0.01)
    settle(page, mode="flattened", errors=True)
    assert "in standard errors" in page.find_element("css selector", ".rgx-card").text
    assert "noise alone has 1" in page.find_element("css selector", ".rgx-facts").text


def test_weights_are_not_shown_of_a_map_that_has_none(page, report):
    settle(page, maps=[at(report, "majority"), -1], mode="weights")
    assert "not known of this map" in page.find_element("css selector", ".rgx-card").text


def test_units_are_sorted(page, report):
    settle(page, maps=[at(report, "rbm"), -1])

    def first(sort):
        settle(page, sort=sort)
        box, words = board(page, "units")
        press(page, box, Keys.HOME)
        return int(re.match(r"unit (\d+)", words.text)[1])

    arrays = report.maps["rbm"].arrays["vh_pattern"]
    assert first("index") == 1
    assert first("dead") == 16
    assert first("contrast") == 1 + int(np.argmax(arrays["unit_range"]))
    assert first("extent") == 1 + int(np.argmin(arrays["unit_participation"]))
    assert first("corr") == 1 + int(np.argmax(np.abs(arrays["unit_correlation_m"])))


def test_a_configuration_stands_beside_its_h(page, report):
    settle(page, maps=[at(report, "majority"), -1], units=[0, 0], site=0)
    page.find_element("css selector", ".rgx-example summary").click()
    arrays = report.maps["majority"].arrays["vh_pattern"]
    for number in range(2):
        settle(page, example=number)
        assert board(page, "v")[1].text.endswith(f"v = {arrays['example_v'][number, 0, 0]}".replace("-", "−"))
        h = float(board(page, "h")[1].text.split("= ")[1].replace("−", "-"))
        assert h == arrays["example_h"][number, 0]


def test_the_tour_of_the_worked_example_calculates_it(page):
    button(page, "tour: the example").click()
    told = []
    for step in range(1, 9):
        wait(
            page,
            lambda step=step: page.find_element("css selector", ".rgx-guide").get_attribute("data-step") == str(step),
        )
        told.append(page.find_element("css selector", ".rgx-step").text)
        button(page, "next").click()
    assert "(1·1 + 1·1)/2 = 1." in told[1]
    assert "(1·(−1) + (−1)·(−1))/2 = 0." in told[2]
    assert not button(page, "next").is_enabled()
    button(page, "end the tour").click()
    assert not page.find_element("css selector", ".rgx-guide").is_displayed()


def test_the_tour_of_noise_states_strengths(page):
    button(page, "above noise?").click()
    for step in range(1, 4):
        wait(
            page,
            lambda step=step: page.find_element("css selector", ".rgx-guide").get_attribute("data-step") == str(step),
        )
        words = page.find_element("css selector", ".rgx-step").text
        button(page, "next").click()
    assert re.search(r"is [\d.]+ standard errors strong in the trained network and [\d.]+ in", words)


def test_the_blind_test_draws_lots_reveals_and_counts(page):
    button(page, "blind test").click()
    sides, right = set(), 0
    for asked in range(1, 17):
        wait(page, lambda: button(page, "the left one").is_enabled())
        before = page.find_element("css selector", ".rgx-answer").text
        assert before == ""  # nothing is given away
        button(page, "the left one").click()
        answer = page.find_element("css selector", ".rgx-answer").text
        left = re.search(r"left is (.+), right is (.+)\. You", answer)[1]
        right += left == "rbm@untrained"
        sides.add(left)
        assert answer.startswith("Right" if left == "rbm@untrained" else "Wrong")
        assert f"{right} of {asked}" in answer
        if len(sides) == 2:
            break
        button(page, "another pair").click()
    assert sides == {"rbm", "rbm@untrained"}  # one chance in 2¹⁵ that lots fall alike


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_is_readable(browser, address, report, scheme):
    show(browser, address, color_scheme=scheme)
    button(browser, "tour: the example").click()
    wait(browser, lambda: browser.find_element("css selector", ".rgx-guide").get_attribute("data-step") == "1")
    settle(browser, maps=[at(report, "rbm"), at(report, "rbm@untrained")])
    found = browser.execute_script(CONTRAST)
    assert len(found) > 40
    assert [what for ratio, what in found if ratio < 4.5] == []
    browser.execute_script("document.querySelector('.rgx').style.setProperty('--rgx-soft', '#888')")
    browser.execute_script("document.querySelector('.rgx').style.setProperty('--rgx-card', '#777')")
    assert any(ratio < 4.5 for ratio, _ in browser.execute_script(CONTRAST))


def test_the_colours_follow_the_scheme(browser, address):
    backs = set()
    for scheme in ("light", "dark"):
        show(browser, address, color_scheme=scheme)
        backs.add(
            browser.execute_script("return getComputedStyle(document.getElementById('explorer')).backgroundColor")
        )
    assert len(backs) == 2


@pytest.mark.parametrize("width", [390, 1024, 2560])
def test_nothing_hangs_over_the_edge(browser, address, report, width):
    over = "return document.documentElement.scrollWidth - innerWidth"
    show(browser, address, width=width)
    settle(browser, maps=[at(report, "rbm"), at(report, ODD)])
    button(browser, "blind test").click()
    wait(browser, lambda: browser.find_elements("css selector", ".rgx-answer"))
    assert browser.execute_script(over) <= 0
    browser.execute_script("document.getElementById('explorer').firstChild.style.width = '3000px'")
    assert browser.execute_script(over) > 0


def test_a_finger_reads_and_chooses(browser, address, report):
    show(browser, address, width=390, height=844)
    settle(browser, maps=[at(report, "majority"), -1], site=0)
    box, words = board(browser, "picture")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
    place = browser.execute_script(
        "const r = arguments[0].getBoundingClientRect(); return [r.x, r.y, r.width, r.height]", box
    )
    spot = {"x": place[0] + place[2] * 4.5 / 16, "y": place[1] + place[3] * 7.5 / 16}
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    before = browser.execute_script(READY)
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [spot]})
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    wait(browser, lambda: browser.execute_script(READY) > before)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert words.text.startswith("row 8, column 5: ")
    assert browser.execute_script("return document.getElementById('explorer').rgstep.state.site") == 7 * 16 + 4


def test_nothing_moves_for_who_asks_for_less_motion(browser, address):
    spent = "return getComputedStyle(document.querySelector('.rgx-cursor')).transitionDuration"
    show(browser, address, reduced_motion="reduce")
    assert browser.execute_script(spent) == "0s"
    show(browser, address, reduced_motion="no-preference")
    assert browser.execute_script(spent) != "0s"
