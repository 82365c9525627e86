"""report.html in a real browser: nothing is loaded, nothing sticks out, everybody can use it, and its script does what it says.

SCREENSHOTS=folder keeps what each page looked like.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import refinery_beam as rb

pytestmark = pytest.mark.browser

PAGES = ("three", "thousand", "hostile")
SCREENS = ((390, 844), (800, 1000), (1400, 900))
STICKS_OUT = """() => [...document.querySelectorAll('body *')].filter(
    (one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.scroll, pre, .toc, .grid, .hidden, .skip')
).map((one) => one.outerHTML.slice(0, 100))"""


@contextmanager
def opened(chromium: Any, page: Path, *, width: int = 1400, height: int = 900, theme: str = "light", **more: Any) -> Iterator[Any]:
    """A page in a window; in the end nothing was said on the console, and nothing but the file was asked for."""
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=theme, **more)
    tab, said, asked = context.new_page(), [], []
    tab.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url) if not request.url.startswith("data:") else None)
    tab.goto(page.as_uri())
    yield tab
    assert said == []
    assert set(asked) == {page.as_uri()}
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SCREENS)
@pytest.mark.parametrize("name", PAGES)
def test_it_fits_the_screen_and_loads_nothing(
    chromium: Any, pages: dict[str, Path], name: str, width: int, height: int, theme: str
) -> None:
    with opened(chromium, pages[name], width=width, height=height, theme=theme) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        assert tab.evaluate(STICKS_OUT) == []
        assert tab.evaluate("[...document.images].filter((one) => one.src && !(one.complete && one.naturalWidth)).length") == 0
        dark = tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]") < 100
        assert dark is (theme == "dark")
        assert tab.title() in ("photos · refinery-beam",)
        if folder := os.environ.get("SCREENSHOTS"):
            tab.screenshot(path=f"{folder}/{name}-{theme}-{width}.png", full_page=True)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("name", PAGES)
def test_no_serious_fault_of_accessibility(chromium: Any, pages: dict[str, Path], name: str, width: int, theme: str) -> None:
    # The checker is put into the page from outside, which the page's own policy would not allow.
    from axe_playwright_python.sync_playwright import Axe

    with opened(chromium, pages[name], width=width, theme=theme, bypass_csp=True) as tab:
        for summary in tab.locator("summary").all():
            summary.click()
        found = Axe().run(tab).response["violations"]
        grave = [
            (one["id"], one["impact"], [node["html"][:160] for node in one["nodes"][:3]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert grave == []


def test_the_policy_holds(chromium: Any, pages: dict[str, Path]) -> None:
    """What a name could bring in, had it become markup, does not run and is not loaded."""
    context = chromium.new_context()
    tab = context.new_page()
    failed: dict[str, str] = {}
    tab.on("requestfailed", lambda request: failed.update({request.url: request.failure}))
    tab.goto(pages["hostile"].as_uri())
    tab.evaluate(
        """() => { document.body.insertAdjacentHTML('beforeend', '<img src="http://127.0.0.1:9/x.png" onerror="window.ran = 1">');
        const script = document.createElement('script'); script.textContent = 'window.ran = 2'; document.body.append(script); }"""
    )
    tab.wait_for_function("document.images[document.images.length - 1].complete")
    assert tab.evaluate("window.ran") is None
    assert failed == {"http://127.0.0.1:9/x.png": "csp"}
    assert tab.title() == "photos · refinery-beam"
    names = set(tab.evaluate("[...document.querySelectorAll('.name')].map((one) => one.textContent.trim())"))
    assert "{{ 7 * 7 }}" in names and "49" not in names
    context.close()


def column(tab: Any, table: str, number: int) -> list[str]:
    texts: list[str] = tab.evaluate(
        "([table, n]) => [...document.querySelectorAll(`#${table} tbody tr`)].filter((row) => !row.hidden)"
        ".map((row) => row.cells[n].textContent.trim())",
        [table, number],
    )
    return texts


def test_tables_are_sorted_and_filtered(chromium: Any, pages: dict[str, Path]) -> None:
    with opened(chromium, pages["thousand"]) as tab:
        table = tab.locator("#class-table")
        before = column(tab, "class-table", 0)
        assert before == sorted(before) and len(before) == 1_000
        head = table.locator("thead th", has_text="all")
        head.get_by_role("button").click()
        amounts = [int(text) for text in column(tab, "class-table", 3)]
        assert head.get_attribute("aria-sort") == "descending" and amounts == sorted(amounts, reverse=True) and len(set(amounts)) == 3
        head.get_by_role("button").press("Enter")
        assert head.get_attribute("aria-sort") == "ascending"
        assert [int(text) for text in column(tab, "class-table", 3)] == sorted(amounts)
        table.locator("thead th", has_text="label").get_by_role("button").click()
        assert column(tab, "class-table", 0) == before and head.get_attribute("aria-sort") is None
        tab.locator("[data-filter=class-table]").fill("CLASS-004")
        assert column(tab, "class-table", 0) == [f"class-004{i}" for i in range(10)]
        assert tab.locator("[data-count=class-table]").text_content() == "10 of 1,000"
        tab.locator("[data-filter=class-table]").fill("")
        assert len(column(tab, "class-table", 0)) == 1_000


def test_pictures_are_filtered_and_enlarged(chromium: Any, pages: dict[str, Path]) -> None:
    with opened(chromium, pages["three"]) as tab:
        cells = tab.locator("#pictures .cell:visible")
        every = cells.count()
        assert every > 20
        tab.locator("[data-grid-filter]").fill("circle")
        tab.locator("[data-grid-split]").select_option(label="test")
        shown = cells.count()
        assert 0 < shown < every and tab.locator("[data-grid-count]").text_content() == f"{shown} of {every}"
        first = cells.first.locator("button")
        first.focus()
        tab.keyboard.press("Enter")
        dialog = tab.locator("#zoom")
        assert dialog.is_visible() and tab.locator("#zoom-image").get_attribute("src") == first.locator("img").get_attribute("src")
        caption = tab.locator("#zoom-caption").text_content()
        assert caption is not None and "circle" in caption and caption.endswith("test")
        tab.keyboard.press("ArrowRight")
        assert tab.locator("#zoom-caption").text_content() != caption or shown == 1
        tab.keyboard.press("ArrowLeft")
        assert tab.locator("#zoom-caption").text_content() == caption
        tab.keyboard.press("Escape")
        assert not dialog.is_visible() and tab.evaluate(
            "document.activeElement === document.querySelector('#pictures .cell:not([hidden]) button')"
        )


def test_the_theme_is_switched_and_kept(chromium: Any, pages: dict[str, Path]) -> None:
    with opened(chromium, pages["three"], theme="light") as tab:

        def colour() -> str:
            found: str = tab.evaluate("getComputedStyle(document.body).backgroundColor")
            return found

        light = colour()
        tab.get_by_role("button", name="Dark", exact=True).click()
        dark = colour()
        assert dark != light
        tab.reload()
        assert colour() == dark and tab.get_by_role("button", name="Dark", exact=True).get_attribute("aria-pressed") == "true"
        tab.get_by_role("button", name="Auto", exact=True).click()
        assert colour() == light


def test_code_is_copied_and_runs(chromium: Any, pages: dict[str, Path]) -> None:
    with opened(chromium, pages["three"], permissions=["clipboard-read", "clipboard-write"]) as tab:
        tabs = tab.get_by_role("tab")
        names = tabs.all_text_contents()
        assert names == ["refinery_beam", "PyTorch", "datasets", "pandas", "DuckDB", "pyarrow"]
        tabs.first.focus()
        tab.keyboard.press("ArrowLeft")
        assert tab.evaluate("document.activeElement.textContent") == "pyarrow" and tab.locator("[data-tab=pyarrow]").is_visible()
        tab.keyboard.press("Home")
        assert tab.locator("[data-tab=refinery_beam]").is_visible() and not tab.locator("[data-tab=pyarrow]").is_visible()
        tab.locator("[data-tab=refinery_beam] [data-copy]").click()
        tab.locator("[data-tab=refinery_beam] [data-copy]", has_text="Copied").wait_for()
        code = tab.evaluate("navigator.clipboard.readText()")
        names_of: dict[str, Any] = {}
        exec(code, names_of)  # noqa: S102
        instance = rb.open_instance(pages["three"].parents[1])
        assert names_of["path"] == instance.path and names_of["row"]["record_id"] == instance["train"][0]["record_id"]


def test_without_script_everything_is_there(chromium: Any, pages: dict[str, Path]) -> None:
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(pages["three"].as_uri())
    assert all(
        tab.locator(f"[data-tab={name}]").is_visible() for name in ("refinery_beam", "PyTorch", "datasets", "pandas", "DuckDB", "pyarrow")
    )
    assert tab.locator("#class-table tbody tr").count() == 3
    context.close()


def test_the_keyboard_reaches_everything(chromium: Any, pages: dict[str, Path]) -> None:
    with opened(chromium, pages["three"]) as tab:
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.className") == "skip"
        tab.keyboard.press("Enter")
        assert tab.evaluate("document.activeElement.id") == "main"
        reached = set()
        for _ in range(120):
            tab.keyboard.press("Tab")
            reached.add(tab.evaluate("document.activeElement.closest('section')?.id ?? document.activeElement.tagName"))
        assert {"overview", "open", "splits", "pictures", "chain", "ledger", "recipe"} <= reached
