"""The report in a real browser: it is painted, sorts, filters and points, and hostile names do nothing."""

import math

import pytest
from browser import CHROMIUM, dark, needs_browser, open_browser, phone, requests
from report_folders import HANDLER, IMAGES, SCRIPT, write_pipeline, write_sweep
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait
from sweep_folders import sweep_of_points, trained_run

from sgg.report.page import write_report

pytestmark = [pytest.mark.slow, needs_browser]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a pipeline whose names attack."""
    base = tmp_path_factory.mktemp("browser")
    folder = write_pipeline(base / "all", base / "cache")
    return write_report([folder])


@pytest.fixture(scope="module")
def driver():
    assert CHROMIUM
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(driver, report):
    """The page, freshly loaded; afterwards nothing was reported, asked for or taken over."""
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.get_log("browser")
    requests(driver)
    driver.get(report.as_uri())
    yield driver
    assert driver.get_log("browser") == []
    assert {url.partition(":")[0] for url in requests(driver)} <= {"file", "data"}
    assert driver.title == "all"
    assert (
        driver.execute_script("return document.querySelectorAll('script[src], main script').length")
        == 0
    )


def until(driver, script):
    """What the script returns, once that is true."""
    return WebDriverWait(driver, 20).until(lambda d: d.execute_script(f"return {script}"))


def gallery(driver):
    """Go to the gallery; its first cards are painted."""
    driver.execute_script("document.getElementById('gallery').scrollIntoView()")
    until(driver, "document.querySelectorAll('#cards .card').length > 0")


def cards(driver):
    return [
        int(c.get_attribute("data-image"))
        for c in driver.find_elements(By.CSS_SELECTOR, ".card[data-image]")
    ]


def select(driver, label, value):
    found = driver.find_element(By.XPATH, f"//label[starts-with(., '{label}')]/select")
    Select(found).select_by_value(value)


def test_the_first_screen_says_what_was_run_and_what_is_better(page):
    top = page.find_element(By.ID, "summary").text
    assert "eval → grpo · tiny_" in top
    assert f"{IMAGES} evaluated images" in top
    assert "after is better than before: triplet recall " in top
    assert "beside" in page.find_element(By.ID, "worst").text + top


def test_images_are_painted_with_their_boxes_and_arrows(page):
    gallery(page)
    until(page, "[...document.querySelectorAll('#cards img')].every(i => i.naturalWidth > 0)")
    assert len(page.find_elements(By.CSS_SELECTOR, "#cards img")) == 24 * 3
    first = page.find_element(By.CSS_SELECTOR, ".card .view")
    assert len(first.find_elements(By.CSS_SELECTOR, ".box")) == 3
    assert len(first.find_elements(By.CSS_SELECTOR, ".arrow .path")) == 2


def test_a_label_far_from_what_it_names_has_a_line_to_it(page):
    page.execute_script("""
        const part = document.getElementById("image-0"), block = JSON.parse(part.textContent);
        block.gold.graph.b[0].t = [10, 20, 30, 40];
        part.textContent = JSON.stringify(block);
    """)
    gallery(page)
    page.find_element(By.ID, "clear").click()
    select(page, "order", "split")
    found = page.find_elements(By.CSS_SELECTOR, "#cards .leader")
    assert [line.get_attribute("points") for line in found] == ["10,20 30,40"]
    assert found[0].value_of_css_property("fill") == "none"


def test_what_an_attacker_named_is_shown_letter_by_letter(page):
    gallery(page)
    text = page.find_element(By.ID, "cards").get_property("textContent")
    assert SCRIPT in text
    assert HANDLER in text
    assert (
        page.execute_script("return document.querySelectorAll('[onerror], main b b').length") == 0
    )


def test_pages_turn_and_filters_narrow(page):
    gallery(page)
    first = cards(page)
    assert len(first) == 24
    page.find_element(By.ID, "next").click()
    assert len(cards(page)) == IMAGES - 24
    assert not {*first} & {*cards(page)}
    select(page, "misses predicate", "on")
    found = page.find_element(By.ID, "found").text
    assert found.startswith(f"12 of {IMAGES} images")  # skill 1 and 2: two of five images
    search = page.find_element(By.CSS_SELECTOR, "input[type=search]")
    search.send_keys("000 ")
    until(page, "document.querySelectorAll('.card[data-image]').length === 1")
    assert cards(page) == [0]
    search.send_keys("beside")  # all words must fit, each anywhere
    until(page, "document.querySelector('input[type=search]').value === '000 beside'")
    assert cards(page) == [0]
    search.send_keys("s")
    until(page, "document.querySelectorAll('.card[data-image]').length === 0")
    page.find_element(By.ID, "clear").click()
    assert len(cards(page)) == 24


def test_the_order_by_change_begins_with_what_changed_most(page):
    gallery(page)
    assert cards(page)[0] == 2, "none of two before, both after"
    select(page, "order", "worst")
    assert cards(page)[0] % 5 in (0, 4)
    select(page, "order", "split")
    assert cards(page) == [*range(24)]


def test_counts_of_the_first_screen_open_the_gallery_filtered(page):
    link = page.find_element(By.CSS_SELECTOR, "#changes a")
    number = int(link.text)
    link.click()
    until(page, "document.querySelectorAll('#cards .card').length > 0")
    assert page.find_element(By.ID, "found").text.startswith(f"{number} of {IMAGES} images")
    assert "after: fixed" in page.find_element(By.CSS_SELECTOR, ".card header").text


def test_pointing_at_a_relation_shows_its_objects_and_its_partner(page):
    gallery(page)
    select(page, "order", "best")
    hit = page.find_elements(By.CSS_SELECTOR, "#cards .view")[2].find_element(
        By.CSS_SELECTOR, "li.hit"
    )
    page.execute_script("arguments[0].focus()", hit)
    on = "[...document.querySelectorAll('#cards .card:first-child .view')].map("
    on += "v => v.querySelectorAll('.on .path, .on .box').length)"
    gold, _, after = page.execute_script(f"return {on}")
    assert gold == after == 3, "the arrow and both boxes"
    page.execute_script("arguments[0].blur()", hit)
    assert sum(page.execute_script(f"return {on}")) == 0


def test_a_miss_says_why(page):
    gallery(page)
    page.find_element(By.ID, "clear").click()
    select(page, "order", "split")
    first, second = (c.text for c in page.find_elements(By.CSS_SELECTOR, ".card")[:2])
    assert "“under” ≠ “on”" in first
    assert "no object was predicted" in first
    assert "malformed" in first or "truncated" in first
    third = page.find_elements(By.CSS_SELECTOR, ".card")[2].text
    assert "cup: box IoU 0.39" in third or "cup: box IoU 0.40" in third
    assert "gold relations: 2 of 2 found" in second


def test_tables_sort_by_a_click(page):
    table = page.find_element(By.ID, "scores")

    def column():
        return [cell.text for cell in table.find_elements(By.CSS_SELECTOR, "tbody th")]

    head = table.find_elements(By.CSS_SELECTOR, "thead th")[1]
    head.click()
    assert column() == ["after", "before"]
    head.click()
    assert column() == ["before", "after"]
    assert head.get_attribute("aria-sort") == "ascending"


def test_curves_are_drawn_and_tell_their_values(page):
    page.execute_script("document.getElementById('curves').scrollIntoView()")
    until(page, "document.querySelectorAll('figure[data-chart=\"0\"] polyline').length === 2")
    figure = page.find_element(By.CSS_SELECTOR, "figure[data-chart='0']")
    assert "optimiser step" in figure.text
    assert "reward" in figure.text
    page.execute_script(
        "const s = arguments[0].querySelector('svg'), r = s.getBoundingClientRect();"
        "s.dispatchEvent(new PointerEvent('pointermove', {clientX: r.right - 5, clientY: r.top + 9}))",
        figure,
    )
    assert "4.2 (mean" in figure.text
    assert "at step 40" in figure.text
    grid = [line.get_attribute("d") for line in figure.find_elements(By.CSS_SELECTOR, ".grid")]
    levels = [d.partition("H")[0] for d in grid if "H" in d]
    assert (levels[0], levels[-1]) == ("M74,210.0", "M74,10.0"), "an axis ends at ticks"
    before = figure.find_element(By.CSS_SELECTOR, "polyline.smooth").get_attribute("points")
    page.find_element(By.ID, "curve-log").click()
    after = figure.find_element(By.CSS_SELECTOR, "polyline.smooth").get_attribute("points")
    assert before != after


def test_an_image_is_followed_through_training(page):
    page.execute_script("document.getElementById('training').scrollIntoView()")
    view = page.find_element(By.ID, "training-view")
    assert "step 0 · 1 of 2 gold relations found · reward 1" in view.text
    run = Select(page.find_element(By.CSS_SELECTOR, "#training-choice select"))
    assert run.first_selected_option.text in view.find_element(By.TAG_NAME, "header").text
    select(page, "step", "2")
    assert "step 40 · 2 of 2 gold relations found · reward 41" in view.text
    until(
        page, "[...document.querySelectorAll('#training-view img')].every(i => i.naturalWidth > 0)"
    )


def colours(driver):
    return driver.execute_script(
        "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    )


def test_dark_is_what_the_system_wishes_until_the_switch_is_used(page, report):
    light = colours(page)
    dark(page)
    assert colours(page) != light
    page.find_element(By.ID, "theme").click()
    assert colours(page) == light


@pytest.mark.parametrize("section", ["summary", "gallery", "curves", "predicates", "runs"])
def test_on_a_phone_nothing_is_wider_than_the_screen(page, report, section):
    phone(page)
    page.get(report.as_uri())
    page.execute_script("document.getElementById(arguments[0]).scrollIntoView()", section)
    until(page, "document.readyState === 'complete'")
    assert page.execute_script("return document.documentElement.scrollWidth") == 390
    assert not page.find_element(By.CSS_SELECTOR, "nav ul").is_displayed(), (
        "the contents are folded"
    )


def test_a_wide_table_shows_where_it_goes_on_and_keeps_its_first_column(page, report):
    phone(page)
    page.get(report.as_uri())
    table = page.find_element(By.ID, "scores")
    box = table.find_element(By.XPATH, "..")
    left = "return arguments[0].getBoundingClientRect().left"
    name = table.find_element(By.CSS_SELECTOR, "tbody th")
    for to, edges in ((0, "more-right"), (60, "more-left more-right"), (9999, "more-left")):
        page.execute_script("arguments[0].scrollLeft = arguments[1]", box, to)
        shown = "[...document.getElementById('scores').parentElement.classList].sort().join(' ')"
        until(page, f"{shown} === '{edges} scroll'")
        assert page.execute_script(left, name) == page.execute_script(left, box)


@pytest.fixture(scope="module")
def sweep_report(tmp_path_factory):
    base = tmp_path_factory.mktemp("browser_sweep")
    return write_report([write_sweep(base / "rewards", base / "cache")])


STRUCK = """
const boxes = [...document.querySelectorAll('#parallel svg text')].map(t => [t, t.getBBox()]);
const behind = [...document.querySelectorAll('#parallel .behind')].map(r => r.nextElementSibling);
const lines = [...document.querySelectorAll('#parallel polyline')];
const steps = Array.from({length: 401}, (_, i) => i / 400);
return boxes.filter(([t, b]) => !behind.includes(t) && lines.some(line => steps.some(share => {
  const p = line.getPointAtLength(share * line.getTotalLength());
  return p.x > b.x && p.x < b.x + b.width && p.y > b.y && p.y < b.y + b.height;
}))).map(([t]) => t.textContent);
"""


def test_a_sweep_shows_its_configurations_and_one_line_a_run(driver, sweep_report):
    driver.get_log("browser")
    requests(driver)
    driver.get(sweep_report.as_uri())
    top = driver.find_element(By.ID, "summary").text
    assert "reward=balanced is better than reward=hard_recall: triplet recall " in top
    assert "seeds 0, 1, 2" in top
    assert len(driver.find_elements(By.CSS_SELECTOR, "#parallel .run")) == 6
    width = "return document.querySelector(arguments[0]).getBoundingClientRect().width"
    figure, plot = (driver.execute_script(width, f"#parallel{part}") for part in ("", " svg"))
    assert plot > 0.9 * figure
    line = driver.find_element(By.CSS_SELECTOR, "#parallel .run")
    driver.execute_script("arguments[0].dispatchEvent(new PointerEvent('pointerenter'))", line)
    said = driver.find_element(By.CSS_SELECTOR, "#parallel [role=status]").text
    assert said.startswith("000_reward-hard_recall_seed-0/eval: reward hard_recall, seed 0, ")
    assert "hard_recall" in driver.find_element(By.CSS_SELECTOR, "#parallel svg").text
    assert driver.execute_script(STRUCK) == [], "no line passes through a number"
    bars = driver.find_elements(By.CSS_SELECTOR, "#configurations .bar")
    assert len(bars) == 2
    assert len({bar.location["x"] for bar in bars}) == 1, "beside a bold number as well"
    heads = driver.find_elements(By.CSS_SELECTOR, "#configurations thead th")
    heads[2].click()
    first = driver.find_element(By.CSS_SELECTOR, "#configurations tbody tr").text
    assert first.startswith("balanced")
    gallery(driver)
    assert len(driver.find_elements(By.CSS_SELECTOR, "#cards .view")) == 24 * 3
    run = driver.find_element(By.CSS_SELECTOR, "#training-choice select")
    assert Select(run).first_selected_option.text == "005_reward-balanced_seed-2/grpo (best)"
    assert driver.get_log("browser") == []
    assert {url.partition(":")[0] for url in requests(driver)} <= {"file", "data"}


DRAWN = """
return [...document.querySelectorAll(arguments[0])].map(line => {
  const style = getComputedStyle(line);
  return [style.stroke, style.strokeDasharray];
});
"""


def test_all_plots_of_a_sweep_draw_a_run_alike(driver, sweep_report):
    """A colour for each configuration, a dash for each seed; of six runs only the means."""
    driver.get(sweep_report.as_uri())
    driver.execute_script("document.getElementById('curves').scrollIntoView()")
    figure = "figure[data-chart='0']"
    until(driver, f'document.querySelectorAll("{figure} polyline").length === 6')
    lines = driver.execute_script(DRAWN, f"{figure} polyline")
    assert lines == driver.execute_script(DRAWN, "#parallel .run")
    assert len({colour for colour, _ in lines}) == 2
    assert [dash for _, dash in lines[:3]] == [dash for _, dash in lines[3:]]
    assert len({dash for _, dash in lines}) == 3
    text = driver.find_element(By.CSS_SELECTOR, figure).text
    assert "different rewards" in text
    assert "seed 2" in text
    driver.find_element(By.ID, "curve-raw").click()
    until(driver, f'document.querySelectorAll("{figure} polyline").length === 12')


def test_numbers_of_a_sweep_are_drawn_and_sorted_as_numbers(driver, tmp_path):
    """Learning rates out of order, two seeds each, of which one has failed."""
    rates = ("3e-6", "1e-4", "2e-5", "1e-3")
    words = [[f"stage.args.learning_rate={rate}", f"seed={s}"] for rate in rates for s in "01"]
    folder = sweep_of_points(tmp_path / "rates", words, ["sft"])
    for i in range(8):
        state = "failed" if i == 3 else "finished"
        rows = [{"step": 1, "loss": 2.0 - i / 10}]
        trained_run(folder / "points" / str(i), ["stage=sft"], rows, state)
    driver.get(write_report([folder]).as_uri())
    heights = [
        float(line.get_attribute("points").split()[0].split(",")[1])
        for line in driver.find_elements(By.CSS_SELECTOR, "#parallel .run")
    ]
    a, b, c, d = (heights[i] for i in (0, 2, 3, 5))
    assert a > c > b > d
    assert (a - c) / (a - d) == pytest.approx(math.log(20 / 3) / math.log(1000 / 3), abs=0.01)
    assert "learning_rate (log)" in driver.find_element(By.CSS_SELECTOR, "#parallel svg").text
    assert "loss ↓" in driver.find_element(By.CSS_SELECTOR, "#parallel svg").text
    losses = [
        float(line.get_attribute("points").split()[2].split(",")[1])
        for line in driver.find_elements(By.CSS_SELECTOR, "#parallel .run")
    ]
    assert losses == sorted(losses, reverse=True), "the lowest loss is at the top"
    seeds = driver.find_elements(By.CSS_SELECTOR, "#configurations thead th")[1]
    for place in (-1, 0):
        seeds.click()
        rows = driver.find_elements(By.CSS_SELECTOR, "#configurations tbody tr")
        assert rows[place].text.startswith("1e-4 1 of 2")
    assert driver.get_log("browser") == []
