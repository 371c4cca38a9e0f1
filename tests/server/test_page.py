"""The page in a browser."""

import os
import shutil

import pytest

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = os.environ.get("PHYSURROGATE_CHROMIUM") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Open an address; whatever the page complains about fails the test."""
    contexts, complaints = [], []

    def open_(url, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else 0
        )
        # Nothing may come from elsewhere
        host = url.split("#")[0]
        page.on("request", lambda r: r.url.startswith((host, "blob:")) or complaints.append(r.url))
        page.goto(url)
        page.complaints = complaints
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def shown(page):
    page.wait_for_selector("body[data-answered]")
    return page.evaluate("document.body.dataset.answered")


def pixels(page):
    return page.evaluate("document.getElementById('canvas').toDataURL()")


def until_changed(page, before):
    page.wait_for_function("before => document.body.dataset.answered !== before", arg=before)


def test_sliders_change_the_picture(everywhere, open_page):
    page = open_page(everywhere.url)
    before, picture = shown(page), pixels(page)
    slider = page.get_by_role("slider", name="conductivity")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("PageUp")  # the keyboard is enough
    until_changed(page, before)
    page.wait_for_function(
        "old => document.getElementById('canvas').toDataURL() !== old", arg=picture
    )
    box = page.get_by_label("conductivity", exact=True).first
    assert float(box.input_value()) > 0.01
    assert "Inside the training range" in page.text_content("#domain")
    assert "2 %" in page.text_content("#facts")
    before = shown(page)
    box.fill("0.5")  # admissible, and beyond the training
    until_changed(page, before)
    assert page.text_content("#domain") == "Outside the training range: kappa"


def test_values_under_the_pointer_and_by_keyboard(everywhere, open_page, hot):
    page = open_page(everywhere.url)
    shown(page)
    page.focus("#canvas")
    page.keyboard.press("ArrowRight")
    text = page.text_content("#readout")
    assert text.startswith("x = ")
    value = float(text.rpartition(": ")[2].split()[0])
    theta = hot(kappa=0.01, offset=0.0).theta.isel(time=-1)
    x, y = (float(part.split(" = ")[1].split()[0]) for part in text.split(":")[0].split(", "))
    assert value == pytest.approx(float(theta.sel(x=x, y=y, method="nearest")), rel=1e-3)


def test_solve_it_for_real(everywhere, open_page):
    page = open_page(everywhere.url)
    shown(page)
    page.click("#solve")
    page.wait_for_selector("#views:not([hidden])", timeout=60000)
    assert page.is_checked("input[value=difference]")
    assert "true error now" in page.text_content("#facts")
    assert "simulation" in page.text_content("#timing")
    page.select_option("#field", "power")  # of another field the simulation has not been asked
    page.wait_for_selector("#views", state="hidden")


def test_a_link_brings_back_what_was_seen(everywhere, open_page):
    url = everywhere.url
    page = open_page(f"{url}/#model=toy&p.kappa=0.05&seed=4&field=flux&part=1&frame=2")
    shown(page)
    assert page.text_content("#title") == "toy"
    assert page.input_value("#seed") == "4"
    assert (page.input_value("#field"), page.input_value("#component")) == ("flux", "1")
    assert page.text_content("#time-value") == "0.25 s"
    before = shown(page)
    page.click("#draw")
    until_changed(page, before)
    seed = page.input_value("#seed")
    again = open_page(page.url)
    shown(again)
    assert again.input_value("#seed") == seed
    hostile = open_page(f"{url}/#model=<img src=x onerror=alert(1)>&p.kappa=nonsense&frame=99")
    shown(hostile)
    assert hostile.text_content("#title") == "hot"


def test_downloads(everywhere, open_page):
    page = open_page(everywhere.url)
    shown(page)
    for button, start in (("#netcdf", b"\x89HDF"), ("#npy", b"\x93NUMPY"), ("#png", b"\x89PNG")):
        with page.expect_download() as download:
            page.click(button)
        with open(download.value.path(), "rb") as file:
            assert file.read(6).startswith(start[:6])


def test_a_service_with_a_key_asks_for_it(live, open_page):
    page = open_page(live(api_keys=("sesame",)).url)
    page.wait_for_selector("#key-dialog[open]")
    page.fill("#key", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#key-dialog[open]")
    page.fill("#key", "sesame")
    page.keyboard.press("Enter")
    shown(page)
    # The browser itself notes each refusal of a key
    page.complaints[:] = [text for text in page.complaints if "401" not in text]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_on_a_phone(everywhere, open_page, scheme):
    page = open_page(
        everywhere.url, viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True
    )
    shown(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    ground, ink = page.evaluate(
        "(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))"
    )
    bright = [sum(map(int, c[4:-1].split(","))) for c in (ground, ink)]
    assert (bright[0] > bright[1]) == (scheme == "light")
    assert abs(bright[0] - bright[1]) > 400
