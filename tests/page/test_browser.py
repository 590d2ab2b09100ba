# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages in Debian's Chromium: quiet, alone, usable without a mouse, and the same everywhere."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from lab.page.write import write_history, write_run_pages
from tests.helpers.history import CONTROL, make_history
from tests.helpers.hostile import HostilePlace
from tests.helpers.runs import run_with, truth

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
DESKTOP, PHONE = (1200, 900), (390, 844)
PAGES = ["page/index.html", f"page/{CONTROL}.html", "page/dom0-k1.html", "run", "trial"]
# What Jenkins sends with every file of a build.
JENKINS = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder: a history, and one run with hostile consoles."""
    with pytest.MonkeyPatch.context() as patch:
        made = tmp_path_factory.mktemp("browser")
        ran, _ = run_with(made, patch, HostilePlace(truth), trials=2)
    results = made / "results"
    runs, found = make_history(60, 15)
    write_history(results, runs, found, {one.folder for one in runs})
    write_run_pages(ran.folder.path)
    (results / "run").symlink_to(ran.folder.path.name)
    return results


def find(folder: Path, name: str) -> Path:
    names = {"run": "run/page/index.html", "trial": "run/page/dom0-old.1.html"}
    return folder / names.get(name, name)


class Look:
    """A page that is open, what it said and what it asked for."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(address)


@pytest.fixture
def look(browser: Browser, folder: Path) -> Iterator[Any]:
    contexts = []

    def open_page(
        name: str, scheme: Any = "light", size: tuple[int, int] = DESKTOP, base: str = ""
    ) -> Look:
        context = browser.new_context(
            color_scheme=scheme, viewport={"width": size[0], "height": size[1]}
        )
        contexts.append(context)
        path = find(folder, name)
        address = f"{base}/{path.relative_to(folder)}" if base else path.as_uri()
        return Look(context.new_page(), address)

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_and_asks_for_nothing_but_its_own_style(look: Any, name: str) -> None:
    seen = look(name)
    assert seen.said == []
    assert [address.rpartition("/")[2].partition("#")[0] for address in seen.asked[1:]] == [
        "style.css"
    ]
    assert all(address.startswith("file:///") for address in seen.asked)
    background = "getComputedStyle(document.querySelector('.lead')).borderLeftWidth"
    assert seen.page.evaluate(background) != "0px"  # the style was taken


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(look: Any, name: str, scheme: str) -> None:
    seen = look(name, scheme)
    found = Axe().run(seen.page).response["violations"]
    assert [(one["impact"], one["id"], one["nodes"][0]["html"][:200]) for one in found] == []


def test_axe_can_find_something(look: Any) -> None:
    page = look("run").page
    page.evaluate("document.querySelector('html').removeAttribute('lang')")
    page.evaluate("document.querySelector('.lead').style.color = '#ccc'")
    found = {one["id"] for one in Axe().run(page).response["violations"]}
    assert {"html-has-lang", "color-contrast"} <= found


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_has_no_page_that_is_wider_than_it_is(look: Any, name: str) -> None:
    page = look(name, size=PHONE).page
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_the_newest_night_is_the_first_that_a_phone_shows(look: Any) -> None:
    page = look("page/index.html", size=PHONE).page
    box = page.locator(".matrix tbody tr:first-child td").last.bounding_box()
    assert box["x"] + box["width"] <= PHONE[0]


def test_hostile_console_text_is_text(look: Any) -> None:
    page = look("trial").page
    console = page.locator(".console").inner_text()
    assert r"<script>document.title='taken'</script>\x1b[31m\u202e" in console
    assert page.title() == "dom0-old, boot 1"
    assert page.locator("script").count() == 0


def test_a_script_that_got_in_would_not_run(look: Any) -> None:
    seen = look("trial")
    seen.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', "
        "`<img src=x onerror=\"document.title='taken'\">`)"
    )
    seen.page.wait_for_function("document.images[document.images.length - 1].complete")
    assert seen.page.title() == "dom0-old, boot 1"
    assert any("Content Security Policy" in text for text in seen.said)


def test_the_keyboard_reaches_the_content_and_what_scrolls(look: Any) -> None:
    page = look("run").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.className || 'x'"))
    assert "scroll" in reached
    assert any(name.startswith("boot ") for name in reached)


def test_figures_open_without_a_script(look: Any) -> None:
    page = look("run").page
    table = page.locator("details table").first
    assert not table.is_visible()
    page.locator("details summary").first.press("Enter")
    assert table.is_visible()


def test_from_the_run_to_a_boot_and_back(look: Any) -> None:
    page = look("run").page
    page.get_by_label("dom0-old, boot 1: CORRUPTS").click()
    assert page.locator("h1").inner_text() == "dom0-old, boot 1"
    page.get_by_text("Where it is in the console").click()
    assert page.url.endswith("#failed")
    page.locator("header a").first.click()
    assert page.locator("h1").inner_text().startswith("Run ")


def test_a_build_server_that_forbids_everything_shows_it(look: Any, folder: Path) -> None:
    class Strict(SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", JENKINS)
            super().end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Strict, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        seen = look("run", base=f"http://127.0.0.1:{server.server_port}")
        border = "getComputedStyle(document.querySelector('.lead')).borderLeftWidth"
        assert seen.page.evaluate(border) != "0px"
        assert [text for text in seen.said if "favicon" not in text and "404" not in text] == []
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_it_prints_with_the_whole_console(look: Any) -> None:
    page = look("trial").page
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('.console')).maxHeight") == "none"
