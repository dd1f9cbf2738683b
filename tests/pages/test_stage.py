"""The opening of a report: it draws and sounds what was measured, and in a browser everything moves together."""

import base64
import io
import json
import re
import shutil
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spectraledge.analyses.readings import Parts
from spectraledge.modes import grouping_basis
from spectraledge.pages.curve_plot import STEPS as CURVE_STEPS
from spectraledge.pages.curve_plot import curve_plot
from spectraledge.pages.document import Figure, Page, Panel, Section
from spectraledge.pages.marks import SOLID, Mark
from spectraledge.pages.page_writer import page_html
from spectraledge.pages.printed import draw_charts
from spectraledge.pages.stage import LIMIT, SHADES, Act, Stage
from spectraledge.pages.style import SIGNED
from spectraledge.report.clip import clip
from spectraledge.report.sound import RATE, SECONDS, sound
from spectraledge.tasks import grouping, named_task

STEPS = tuple(range(0, 2000, 100))
SIDE, LINES, BRIGHT = 11, 5, 3
CHROMIUM = shutil.which("chromium")

SIGNED_SHADES = [
    [np.interp(i / SHADES, np.linspace(0, 1, len(SIGNED)), channel) for channel in np.transpose(SIGNED)]
    for i in range(SHADES + 1)
]


def act(last: int, rises: float) -> Act:
    generator = np.random.default_rng(last)
    share_ST = generator.uniform(0, 0.02, (LINES, last))
    share_ST[BRIGHT] += np.linspace(0, rises, last)
    test_T = np.linspace(0, rises, last)
    waves_TMM = generator.normal(size=(last, SIDE, SIDE))
    waves_TMM[:, 0, 0] = np.nan
    labels = tuple(f"ω = {k + 1}" for k in range(LINES))
    basis = grouping_basis(grouping(named_task("add", modulus=SIDE), "sum"))
    elements_MM = (np.arange(SIDE)[:, None] + np.arange(SIDE)) % SIDE
    elements_MM[0, 0] = -1
    parts = Parts(elements_MM, basis.coefficients_GR, np.arange(2, SIDE, 2))
    return Act(f"run of {last}", "It ended.", labels, share_ST, share_ST.sum(0), test_T, waves_TMM, parts, "a + b")


@pytest.fixture(scope="module")
def stage() -> Stage:
    sentences = (("It learned by heart.", 300), ("It generalised.", 1500), ("How one knows.", None))
    return Stage(sentences, STEPS, (act(20, 0.8), act(12, 0.0)), 15, "How to read it.", "nothing would move.")


@pytest.fixture(scope="module")
def page(stage: Stage) -> str:
    sections = (Section("found", "What was found", short="Findings"),)
    return page_html(Page("a", "0" * 64, "A question", "An answer.", sections, "1.0", stage=stage), {})


def test_what_the_page_holds_is_what_was_measured(stage: Stage, page: str) -> None:
    (text,) = re.findall(r'id="stage-data">(.*?)</script>', page, flags=re.S)
    data = json.loads(text)
    for shown, given in zip(data["acts"], stage.acts, strict=True):
        root_ST = np.frombuffer(base64.b64decode(shown["score"]), np.uint8).reshape(LINES, given.last) / 255
        np.testing.assert_allclose(root_ST, np.sqrt(given.share_ST), atol=0.5 / 255)
        head, content = shown["waves"].split(",")
        assert head == "data:image/png;base64"
        shades = np.array(Image.open(io.BytesIO(base64.b64decode(content)))).reshape(-1, SIDE, SIDE)[:, ::-1]
        assert (shades[:, 0, 0] == SHADES + 1).all()
        inside = np.abs(given.waves_TMM) < LIMIT
        drawn = shades / SHADES * 2 * LIMIT - LIMIT
        np.testing.assert_allclose(drawn[inside], given.waves_TMM[inside], atol=LIMIT / SHADES + 1e-9)
    assert (data["steps"], data["rest"]) == (list(STEPS), 15)
    assert 'href="#step=1500"' in page


def test_sound_has_the_pitch_of_the_function_that_rises(stage: Stage) -> None:
    with wave.open(io.BytesIO(sound(stage.acts[0]))) as file:
        assert (file.getframerate(), file.getnframes()) == (RATE, int(RATE * SECONDS))
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    late = samples[-4 * RATE : -RATE // 2]
    power = np.abs(np.fft.rfft(late * np.hanning(len(late)))) ** 2
    pitch = np.fft.rfftfreq(len(late), 1 / RATE)[power.argmax()]
    assert pitch == pytest.approx(stage.acts[0].tones[BRIGHT], rel=0.002)
    # Evenly spread over four octaves.
    np.testing.assert_allclose(np.diff(np.log2(stage.acts[0].tones)), 4 / (LINES - 1), atol=1e-3)
    assert np.abs(samples[:RATE]).mean() < np.abs(late).mean()


def test_a_clip_has_a_frame_for_each_step(stage: Stage) -> None:
    image = Image.open(io.BytesIO(clip(stage)))
    assert (image.format, image.n_frames, image.info["loop"]) == ("WEBP", len(STEPS), 0)


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("no chromium here, so the page is not tried in a browser: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as played:
        yield played.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def opened(browser, page: str, tmp_path: Path):
    path = tmp_path / "page.html"
    path.write_text(page)
    said: list[str] = []
    context = browser.new_context(reduced_motion="reduce")
    tab = context.new_page()
    tab.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(path.as_uri())
    tab.wait_for_function("window.spectraledgeStage")
    yield tab
    assert said == []
    context.close()


def pixels(tab, selector: str) -> str:
    return tab.eval_on_selector(selector, "canvas => canvas.toDataURL()")


def test_it_rests_where_the_network_generalised(opened) -> None:
    assert opened.text_content("output") == "step 1,500"


def test_the_slider_moves_everything(opened) -> None:
    opened.wait_for_function("document.querySelector('.wave canvas').width === 11")
    before = pixels(opened, ".wave canvas")
    opened.focus("input[type=range]")
    for _ in range(3):
        opened.keyboard.press("ArrowLeft")
    assert opened.text_content("output") == "step 1,200"
    assert opened.evaluate("location.hash") == "#step=1200"
    assert pixels(opened, ".wave canvas") != before
    readings = opened.eval_on_selector_all(".reading", "all => all.map(one => one.textContent)")
    assert readings[0].startswith("test accuracy 51%")
    assert readings[1].startswith("ended at step 1,100")
    lines = opened.eval_on_selector_all(".now", "all => all.map(one => one.style.left)")
    assert set(lines) == {"62.5%"}


def test_links_lead_to_their_step(opened) -> None:
    opened.click('a[href="#step=300"]')
    opened.wait_for_function("document.querySelector('output').textContent === 'step 300'")


def test_pointing_at_a_line_names_it(opened) -> None:
    box = opened.locator(".score canvas").first.bounding_box()
    opened.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] * (1 - (BRIGHT + 0.5) / LINES))
    words = opened.locator(".act").first.locator(".tip").text_content()
    assert re.fullmatch(rf"ω = {BRIGHT + 1} at step 1,900: 8\d\.\d%", words)


def wave_of(tab, index: int) -> np.ndarray:
    read = "(all, at) => Array.from(all[at].getContext('2d').getImageData(0, 0, 11, 11).data)"
    return np.array(tab.eval_on_selector_all(".wave canvas", read, index), np.float64).reshape(SIDE, SIDE, 4)[..., :3]


def test_pointing_at_a_line_shows_its_part_of_the_wave(opened, stage: Stage) -> None:
    opened.wait_for_function("document.querySelector('.wave canvas').width === 11")
    opened.locator("input[type=range]").fill("10")
    whole = wave_of(opened, 0)
    box = opened.locator(".score canvas").first.bounding_box()
    opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * (1 - (BRIGHT + 0.5) / LINES))
    assert not np.array_equal(wave_of(opened, 0), whole)
    picture = stage.acts[0].waves_TMM[10]
    shades = np.rint((np.clip(picture, -LIMIT, LIMIT) + LIMIT) / (2 * LIMIT) * SHADES) - SHADES / 2
    sums = np.array([np.nansum(shades[stage.acts[0].parts.elements_MM == g]) for g in range(SIDE)])
    angles = 2 * np.pi * (BRIGHT + 1) * np.arange(SIDE) / SIDE
    part = sum(f * (f @ sums) * 2 / SIDE**2 for f in (np.cos(angles), np.sin(angles)))
    place = np.clip(np.floor(part + SHADES / 2 + 0.5), 0, SHADES)[stage.acts[0].parts.elements_MM]
    expected = np.array(SIGNED_SHADES)[place.astype(int)]
    expected[0, 0] = 255
    # The first row of a picture is its upper one; a shade is one in rounding at most.
    np.testing.assert_allclose(wave_of(opened, 0)[::-1], expected, atol=20)
    assert opened.locator(".act").first.locator(".whole").text_content().endswith(f"only ω = {BRIGHT + 1}")
    assert opened.locator("tr.lit").get_attribute("data-function") == f"ω = {BRIGHT + 1}"
    opened.mouse.move(0, 0)
    np.testing.assert_array_equal(wave_of(opened, 0), whole)
    assert opened.locator("tr.lit").count() == 0


def test_a_function_is_kept_and_in_the_address(opened, browser) -> None:
    opened.locator("input[type=range]").fill("10")
    row = opened.locator("[data-function='ω = 2']")
    row.locator("button").focus()
    opened.keyboard.press("Enter")
    opened.mouse.move(0, 0)
    assert row.get_attribute("class") == "lit"
    address = opened.evaluate("location.href")
    assert address.endswith("#step=1000&function=%CF%89%20%3D%202")
    tab = browser.new_page(reduced_motion="reduce")
    tab.goto(address)
    tab.wait_for_function("document.querySelector('tr.lit')?.dataset.function === 'ω = 2'")
    assert tab.text_content("output") == "step 1,000"
    tab.close()


def test_functions_as_numbers_are_those_of_the_step(opened, stage: Stage) -> None:
    opened.locator("input[type=range]").fill("5")
    found = opened.eval_on_selector_all("[data-function] td", "all => all.map(one => parseFloat(one.textContent))")
    ends = [row for row, _ in stage.functions]
    expected = [100 * act.share_ST[act.labels.index(label), 5] for label in ends for act in stage.acts]
    np.testing.assert_allclose(found, expected, atol=0.8)


def test_the_page_sounds_as_the_file_does(opened, stage: Stage) -> None:
    samples = np.array(opened.evaluate("spectraledgeStage.samples(0, 4).then(all => Array.from(all))"))
    late = samples[2 * 44100 : int(3.5 * 44100)]
    power = np.abs(np.fft.rfft(late * np.hanning(len(late)))) ** 2
    assert np.fft.rfftfreq(len(late), 1 / 44100)[power.argmax()] == pytest.approx(stage.acts[0].tones[BRIGHT], rel=0.01)
    assert np.abs(opened.evaluate("spectraledgeStage.samples(1, 1).then(all => Array.from(all))")).max() < 0.2


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_is_wider_than_the_window(opened, width: int) -> None:
    opened.set_viewport_size({"width": width, "height": 900})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_charts_over_steps_have_a_line_where_the_slider_is(browser, stage: Stage, tmp_path: Path) -> None:
    marks = {"one": Mark("one", "#0b5a8c", dash=SOLID)}
    table = pd.DataFrame({"name": "one", "mark": "one", "place": STEPS, "value": np.arange(20.0)})
    charts = [
        curve_plot(table, marks, axis="value", words="A curve", height=90, across=across)
        for across in (CURVE_STEPS, "frequency")
    ]
    figure = Figure("curves", "Curves", "How to read.", "they would lie flat.", (Panel(tuple(charts)),), ())
    sections = (Section("found", "What was found", blocks=(figure,), short="Findings"),)
    page = Page("a", "0" * 64, "A question", "An answer.", sections, "1.0", stage=stage)
    drawn = {figure.key: draw_charts(figure)}
    path = tmp_path / "page.html"
    path.write_text(page_html(page, drawn))
    context = browser.new_context(reduced_motion="reduce")
    tab = context.new_page()
    tab.goto(path.as_uri() + "#step=1500")
    tab.locator("#curves-0-0").scroll_into_view_if_needed()
    place = "document.querySelector('#curves-0-0 .step:not([hidden])')?.getBoundingClientRect().left + 1"
    tab.wait_for_function(place)
    late = tab.evaluate(place)
    tab.locator("input[type=range]").fill("2")
    tab.wait_for_function(f"{place} !== {late}")
    early = tab.evaluate(place)
    box = tab.evaluate("document.querySelector('#curves-0-0 svg .background').getBoundingClientRect().toJSON()")
    # Steps 1,500 and 200 of an axis from 0 to 1,900, a little wider on either side.
    for step, at in ((1500, late), (200, early)):
        np.testing.assert_allclose((at - box["left"]) / box["width"], (step + 38) / 1976, atol=0.004)
    line = tab.evaluate("document.querySelector('#curves-0-0 .step').getBoundingClientRect().toJSON()")
    np.testing.assert_allclose([line["top"], line["height"]], [box["top"], box["height"]], atol=1)
    assert tab.locator("#curves-0-1 .step").count() == 0
    tab.set_viewport_size({"width": 500, "height": 800})
    tab.wait_for_function(f"{place} < {box['left'] + 0.3 * box['width']}")
    context.close()
