"""Takes the pictures of docs/looking.md and README.md: the report of a drawn set with known faults, in Chromium.

usage: draw_page.py FOLDER

The set has three classes. Triangles are PNG files, the others JPEG; some pictures are dark, some blurred, some lie in two classes, and one
file is damaged. CHROMIUM names the browser, if it is not on the path.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import sync_playwright

import refinery_beam as rb

PER_CLASS = 100
SIZE = (240, 180)
RECIPE = """\
schema_version: 3
plugin: image_classification
Input:
  sources: [{{ name: shapes, type: image_folder, path: {images} }}]
  on_error: quarantine
Labels: {{ field: label, source: {{ kind: direct }} }}
Output:
  record_schema:
    image: {{ dtype: uint8, shape: [64, 64, 3] }}
    label: {{ dtype: str }}
Splits: {{ ratios: {{ train: 0.7, val: 0.15, test: 0.15 }}, stratify_by: label }}
Transformations:
  - {{ name: resize, op: resize, params: {{ size: 64, method: bilinear }}, splits: [train, val, test] }}
  - {{ name: normalize, op: normalize, fit_source: train, splits: [train, val, test] }}
Augmentations:
  - {{ name: flip, op: horizontal_flip, params: {{ p: 0.5 }}, materialization: lazy, splits: [train] }}
"""

SHOTS = {
    "report": ("overview", 1400, 900, "light"),
    "report-leaks": ("leaks", 1400, 1000, "light"),
    "report-quality": ("quality", 1400, 900, "light"),
    "report-record": ("chain", 1400, 700, "dark"),
}
"""Pictures by name: the section at the top of the window, the size of the window, the colours."""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        draw(work / "images")
        recipe = work / "recipe.yaml"
        recipe.write_text(RECIPE.format(images=work / "images"))
        page = Path(rb.run(recipe, cache_root=work / "cache").path) / "report" / "report.html"
        with sync_playwright() as playwright:
            found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
            for name, shot in SHOTS.items():
                take(browser, page, folder / f"{name}.png", *shot)
            browser.close()


def take(browser: Any, page: Path, to: Path, section: str, width: int, height: int, theme: str) -> None:
    """One picture, in 256 colours, which makes it a third as large."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce")
    tab = context.new_page()
    tab.goto(page.as_uri())
    tab.evaluate(f"document.getElementById('{section}').scrollIntoView({{behavior: 'instant'}})")
    tab.wait_for_timeout(300)
    tab.screenshot(path=str(to))
    context.close()
    with Image.open(to) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(to, optimize=True)


def draw(root: Path) -> None:
    """The set, from seeds."""
    number = 0
    for label in ("circle", "square", "triangle"):
        (root / label).mkdir(parents=True)
        for n in range(PER_CLASS):
            number += 1
            image = picture(label, number)
            if n in (3, 40, 71):
                image = image.point(lambda value: value // 7)
            elif n in (12, 55):
                image = image.filter(ImageFilter.GaussianBlur(16))
            image.save(root / label / (f"{n:03}.png" if label == "triangle" else f"{n:03}.jpg"))
    for n in range(4):
        with Image.open(root / "circle" / f"{20 + n:03}.jpg") as image:
            image.resize((SIZE[0] - 16, SIZE[1] - 12)).save(root / ("square" if n < 2 else "circle") / f"copy{n}.jpg", quality=80)
    (root / "circle" / "broken.jpg").write_bytes((root / "circle" / "001.jpg").read_bytes()[:900])


def picture(label: str, seed: int) -> Image.Image:
    """Some shapes before a cloudy ground, the last of them that of the label."""
    rng = np.random.Generator(np.random.Philox(seed))
    ground = Image.fromarray(rng.integers(40, 216, (4, 5, 3), dtype=np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(ground)
    for word in (*rng.choice(["circle", "square", "triangle"], 3), label, label):
        side = int(rng.integers(24, 90))
        x, y = int(rng.integers(0, SIZE[0] - side)), int(rng.integers(0, SIZE[1] - side))
        colour = tuple(int(v) for v in rng.integers(30, 256, 3))
        if word == "circle":
            pen.ellipse((x, y, x + side, y + side), fill=colour)
        elif word == "square":
            pen.rectangle((x, y, x + side, y + side), fill=colour)
        else:
            pen.polygon([(x, y + side), (x + side, y + side), (x + side // 2, y)], fill=colour)
    grain = rng.integers(-7, 8, (SIZE[1], SIZE[0], 1), dtype=np.int16)
    return Image.fromarray(np.clip(np.asarray(ground).astype(np.int16) + grain, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
