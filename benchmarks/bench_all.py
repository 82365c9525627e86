"""Prepared image datasets by refinery-beam, by a bare loop, and by other libraries: one table, one plot.

usage: bench_all.py [--photos DIR] [--count N] [--turns N] [--only NAME,...] [--out DIR] [--page FILE]

Within a section everybody does the same work on the same files, taking turns; every turn is a whole process, start-up included, into an
empty folder, on files that were read just before. refinery-beam and the bare loop run in the environment of this program, the others in
.venv-peers. `--count` is the number of photographs, and the other sections follow it; DIR holds one
folder a class, and without it noisy pictures are drawn. OUT gets bench.json (all raw figures; sections that are not measured again stay),
bench.md and bench.svg; `--page` writes the table between the two markers of a page, and the plot below its folder `pictures`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import shutil
import signal
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from by_hand import WORKS, listed
from measuring import Turn, disk_mb, machine, measured, versions
from PIL import Image

from refinery_beam.testing import images

HERE = Path(__file__).parent
ROOT = HERE.parent
BARE = "bare loop"
CLASSES = 20
MARKERS = ("<!-- bench-all: begin -->", "<!-- bench-all: end -->")
PEERS, DATAREFINERY = ROOT / ".venv-peers/bin/python", ROOT / ".venv-datarefinery/bin/datarefinery"
PACKAGES = ("refinery-beam", "apache-beam", "pyarrow", "pillow", "numpy")
OTHERS = ("datasets", "litdata", "mosaicml-streaming", "torch")
SPLITS = "splits: [train, val, test]"
RECIPE = """\
schema_version: 3
plugin: image_classification
Input: {{ sources: [{{ name: photos, type: image_folder, path: {folder} }}]{decode} }}
Labels: {{ field: label, source: {{ kind: direct }} }}
Output: {{ record_schema: {{ image: {{ dtype: {dtype}, shape: {shape} }}, label: {{ dtype: str }} }}, encoding: {encoding}{facts} }}
Splits: {{ ratios: {{ train: 0.7, val: 0.15, test: 0.15 }}, stratify_by: label }}
"""
GENERATION = """\
Generation:
  - name: corrupt
    op: imagecorruptions_apply
    seed: 5
    output_schema: matches_input
    params: { corruption_types: [gaussian_noise, contrast, jpeg_compression], severities: [3] }
"""
AUGMENTATIONS = """\
Augmentations:
  - { name: crop, op: random_crop, params: { size: 224, padding: 16 }, materialization: aggressive, expansion: 4, seed: 7 }
  - { name: jitter, op: color_jitter, params: { brightness: 0.2, contrast: 0.2 }, materialization: aggressive }
"""
RESIZE = f"  - {{ name: resize, op: resize, params: {{ size: 224, method: bilinear }}, {SPLITS} }}\n"
NORMALIZE = f"  - {{ name: normalize, op: normalize, fit_source: train, {SPLITS} }}\n"
SINK = (
    "Sinks: [{ name: png, stage: post_Transformations, field: image, format: png_per_record, path_template: '{split}/{record_id}.png' }]\n"
)


class Section(NamedTuple):
    """What is compared: commands by the name of who works, given an empty folder for their output. `before` runs once, unmeasured."""

    name: str
    folder: Path
    records: int
    commands: dict[str, Callable[[Path], list[str | Path]]]
    before: list[str | Path] | None = None

    @property
    def baseline(self) -> str:
        return next(iter(self.commands))


def recipe_of(name: str, folder: Path, *, sink: bool = False, facts: bool = True) -> str:
    """The recipe of a workload, without facts if so wished; with `sink` what DataRefinery can carry out of it: it stores pixels as files,
    and normalizes no pixels that it stores."""
    work = WORKS[name]
    side = work.side or (32 if work.encoding != "source" else None)
    text = RECIPE.format(
        folder=folder,
        decode=", decode: { draft: true }" if work.draft else "",
        dtype="float32" if work.floats else "uint8",
        shape=f"[{side}, {side}, 3]".replace("None", "null"),
        encoding=work.encoding,
        facts="" if facts else ", facts: off",
    )
    steps = (RESIZE if work.side else "") + ("" if sink or work.encoding == "source" else NORMALIZE)
    if sink:
        text = text.replace(f", encoding: {work.encoding}", "") + SINK
    return (
        text
        + (GENERATION if work.corrupted else "")
        + (f"Transformations:\n{steps}" if steps else "")
        + (AUGMENTATIONS if work.augmented else "")
    )


class Bench(NamedTuple):
    """Where files lie, and how many there are."""

    out: Path
    photos: Path | None
    count: int

    def folder(self, name: str, count: int, draw: Callable[[Path, int], None]) -> Path:
        """A folder of so many pictures; it is kept, and made but once."""
        folder = self.out / "images" / (self.photos.name if self.photos else "drawn") / f"{name}-{count}"
        if not folder.exists():
            print(f"drawing {count:,} {name} ...", flush=True)
            shutil.rmtree(partial := folder.with_suffix(".partial"), ignore_errors=True)
            draw(partial, count)
            partial.rename(folder)
        return folder

    def photographs(self, count: int) -> Path:
        return self.folder("photographs", count, self.draw_photographs)

    def draw_photographs(self, folder: Path, count: int) -> None:
        if self.photos is None:
            images.class_folders(folder, per_class=-(-count // 3), size=(500, 375), formats=("jpg",))
            for extra in listed(folder)[count:]:
                extra.unlink()
            return
        files = [file for file in listed(self.photos) if file.suffix.lower() in (".jpg", ".jpeg")]
        if len(files) < count:
            raise SystemExit(f"{self.photos} holds {len(files)} JPEG files, not {count}: ask for --count {len(files)}")
        for file in files[:: len(files) // count][:count]:
            target = folder / file.relative_to(self.photos)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)

    def large(self, folder: Path, count: int) -> None:
        """Mosaics of photographs: 4000 x 3000 pixels with the detail of 64 pictures."""
        files = listed(self.photographs(self.count))
        for number in range(count):
            whole = Image.new("RGB", (4000, 3000))
            for tile in range(64):
                with Image.open(files[(number * 61 + tile) % len(files)]) as opened:
                    whole.paste(opened.convert("RGB").resize((500, 375)), (tile % 8 * 500, tile // 8 * 375))
            target = folder / f"class_{number % CLASSES:02d}" / f"{number:06d}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            whole.save(target, quality=90)

    def icons(self, folder: Path, count: int) -> None:
        """PNG of 32 x 32: eight by eight random colours, made smooth, with noise."""
        for number in range(count):
            chance = np.random.default_rng(number)
            colours = Image.fromarray(chance.integers(0, 256, (8, 8, 3), np.uint8)).resize((32, 32), Image.Resampling.BICUBIC)
            noise = chance.integers(-6, 7, (32, 32, 3))
            target = folder / f"class_{number % CLASSES:02d}" / f"{number:06d}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(np.asarray(colours) + noise, 0, 255).astype(np.uint8)).save(target)

    def recipe(self, work: str, folder: Path, *, sink: bool = False, facts: bool = True) -> Path:
        file = self.out / f"{folder.name}-{work.replace(' ', '_')}{'-sink' * sink}{'-bare' * (not facts)}.yaml"
        file.write_text(recipe_of(work, folder, sink=sink, facts=facts), encoding="utf-8")
        return file

    def ours(
        self, work: str, folder: Path, *, facts: bool = True, python: str | Path = sys.executable
    ) -> Callable[[Path], list[str | Path]]:
        recipe = self.recipe(work, folder, facts=facts)
        return lambda out: [python, "-m", "refinery_beam", "run", recipe, "--quiet", "--cache-root", out]

    def bare(self, work: str, folder: Path) -> Callable[[Path], list[str | Path]]:
        return lambda out: [sys.executable, HERE / "bare_loop.py", work, folder, out / "rows.parquet"]

    def section(self, work: str, folder: Path, count: int) -> Section:
        """refinery-beam beside all others."""
        commands = {BARE: self.bare(work, folder), "refinery-beam": self.ours(work, folder)}
        if work in ("photographs", "icons"):
            commands["refinery-beam, `facts: off`"] = self.ours(work, folder, facts=False)
        for title, word in (("HF datasets", "datasets"), ("litdata", "litdata"), ("MosaicML MDSWriter", "mds")):
            commands[title] = lambda out, word=word: [PEERS, HERE / "peers.py", word, work, folder, out / "data"]
        if work in ("icons", "png"):
            recipe = self.recipe(work, folder, sink=True)
            commands["DataRefinery, PNG files"] = lambda out: [DATAREFINERY, "--cache-root", out, "materialize", recipe]
        return Section(f"{work}: {count:,}", folder, count, commands)

    def sections(self) -> dict[str, Callable[[], list[Section]]]:
        """By the word of `--only`; nothing is drawn before it is wanted."""
        shares = {"photographs": 1.0, "float32": 0.5, "augmentation x4": 0.25, "corruptions": 0.125, "png": 0.5, "jpeg": 0.5, "source": 0.5}

        def photographs(work: str, share: float) -> list[Section]:
            count = max(1, round(self.count * share))
            return [self.section(work, self.photographs(count), count)]

        def large(work: str) -> list[Section]:
            count = max(20, round(self.count * 0.05))
            return [self.section(work, self.folder("large", count, self.large), count)]

        icons = round(self.count * 12.5)
        return {
            **{work.split()[0]: lambda work=work, share=share: photographs(work, share) for work, share in shares.items()},
            "large": lambda: large("12 Mpx"),
            "large-draft": lambda: large("12 Mpx, draft"),
            "icons": lambda: [self.section("icons", self.folder("icons", icons, self.icons), icons)],
            "growth": lambda: [self.grown(round(icons * by)) for by in (0.2, 1, 4)],
            "startup": lambda: [self.startup("start-up", sys.executable), self.startup("start-up with PyTorch and all extras", PEERS)],
            "hit": lambda: [self.hit(icons)],
        }

    def grown(self, count: int) -> Section:
        folder = self.folder("icons", count, self.icons)
        return Section(
            f"grows: {count:,} icons", folder, count, {BARE: self.bare("icons", folder), "refinery-beam": self.ours("icons", folder)}
        )

    def startup(self, name: str, python: str | Path) -> Section:
        folder = self.folder("icons", 100, self.icons)
        commands = {
            "import apache_beam": lambda out: [python, "-c", "import apache_beam"],
            "refinery-beam": self.ours("icons", folder, python=python),
        }
        return Section(f"{name}: 100 icons", folder, 100, commands)

    def hit(self, count: int) -> Section:
        folder, cache = self.folder("icons", count, self.icons), self.out / "hits"
        run = self.ours("icons", folder)(cache)
        commands = {"import pyarrow": lambda out: [sys.executable, "-c", "import pyarrow"], "refinery-beam": lambda out: run}
        return Section(f"a hit: {count:,} icons", folder, count, commands, before=run)


def compared(bench: Bench, section: Section, turns: int, limit: float) -> dict[str, Any]:
    """All turns of a section. Whoever fails is not asked again."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("REFINERY_BEAM_")} | {"HF_HUB_OFFLINE": "1"}
    if section.before:
        measured(section.before, limit=limit, env=env)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in section.commands}
    names = list(rows)
    for turn in range(turns):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if any(row["failed"] for row in rows[name]):
                continue
            out = bench.out / "scratch"
            shutil.rmtree(out, ignore_errors=True)
            (out / "to").mkdir(parents=True)
            for file in listed(section.folder):  # so that everybody finds them in memory
                file.read_bytes()
            try:
                got = measured(section.commands[name](out / "to"), limit=limit, env=env | {"TMPDIR": str(out), "HF_HOME": str(out / "hf")})
            except OSError as error:
                got = Turn(0, 0, 0, str(error))
            shutil.rmtree(out / "to/data.scratch", ignore_errors=True)
            rows[name].append({**got._replace(last="")._asdict(), "disk_mb": disk_mb(out / "to")})
            print(
                f"  {section.name}, turn {turn + 1}, {name}: {got.failed or f'{got.seconds:.1f} s, {got.cpu:.1f} s of processors'}",
                flush=True,
            )
            shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(bench.out / "hits", ignore_errors=True)
    about = {"name": section.name, "records": section.records, "date": str(datetime.date.today()), "load": f"{os.getloadavg()[0]:.1f}"}
    return {**about, "photographs": "real" if bench.photos else "drawn", "turns": rows}


class Line(NamedTuple):
    """One row of the table: medians, and the ratios to the baseline's turns as median, least and most."""

    section: str
    name: str
    records: int
    failed: str
    seconds: float = math.nan
    cpu: float = math.nan
    peak_mb: float = math.nan
    disk_mb: float = math.nan
    wall: tuple[float, float, float] = (math.nan,) * 3
    work: tuple[float, float, float] = (math.nan,) * 3


def lines_of(section: dict[str, Any]) -> list[Line]:
    base = next(iter(section["turns"].values()))
    lines = []
    for name, turns in section["turns"].items():
        failed = next((turn["failed"] for turn in turns if turn["failed"]), "")
        if failed:
            lines.append(Line(section["name"], name, section["records"], failed))
            continue
        medians = {what: statistics.median(turn[what] for turn in turns) for what in ("seconds", "cpu", "peak_mb", "disk_mb")}
        ratios = {}
        for what, key in (("wall", "seconds"), ("work", "cpu")):
            each = [turn[key] / other[key] for turn, other in zip(turns, base, strict=False) if not other["failed"]] or [math.nan]
            ratios[what] = (statistics.median(each), min(each), max(each))
        lines.append(Line(section["name"], name, section["records"], "", **medians, **ratios))
    return lines


def spread(ratio: tuple[float, float, float]) -> str:
    return f"{ratio[0]:.2f} ({ratio[1]:.2f}–{ratio[2]:.2f})" if ratio[0] == ratio[0] else ""


def table(found: dict[str, Any]) -> str:
    sections = found["sections"].values()
    dates = sorted({section["date"] for section in sections})
    turns = sorted({len(rows) for section in sections for rows in section["turns"].values() if not any(row["failed"] for row in rows)})
    photographs = " and ".join(sorted({section["photographs"] for section in sections}, reverse=True))
    text = [
        f"Measured on {' to '.join([dates[0], dates[-1]][: len(dates)])} with {found['versions']}; {found['machine']}."
        f" Photographs are {photographs}. Medians of {' to '.join(map(str, turns[:: max(1, len(turns) - 1)]))} turns;"
        " ratios to the first row of each section, turn by turn, with the least and the most.",
        "",
        "| | | seconds | ratio | processor time, s | ratio | peak MB | MB on disk |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for section in sections:
        for number, line in enumerate(lines_of(section)):
            first = f"**{line.section}**" if not number else ""
            if line.failed:
                text.append(f"| {first} | {line.name} | failed: {line.failed[:160].replace('|', '/')} | | | | | |")
                continue
            wall, work = (spread(line.wall), spread(line.work)) if number else ("1", "1")
            disk = f"{line.disk_mb:,.1f}" if line.disk_mb else ""
            text.append(
                f"| {first} | {line.name} | {line.seconds:,.2f} | {wall} | {line.cpu:,.2f} | {work} | {line.peak_mb:,.0f} | {disk} |"
            )
    return "\n".join(text) + "\n"


def plot(found: dict[str, Any]) -> str:
    """Everybody's ratios to the baseline, logarithmic, as SVG: dots are seconds, with the least and the most, rings processor time."""
    lines = [line for section in found["sections"].values() for line in lines_of(section)[1:] if line.wall[0] == line.wall[0]]
    names = list(dict.fromkeys(line.name for line in lines))
    colours = dict(zip(names, ("#c2410c", "#f59e0b", "#2563eb", "#16a34a", "#9333ea", "#6b7280", "#0891b2"), strict=False))
    sections = list(dict.fromkeys(line.section for line in lines))
    every = [0.5, 4.0, *(ratio for line in lines for ratio in (*line.wall, *line.work))]
    least, most = min(every), max(every)
    left, width, row = 190, 640, 16

    def at(ratio: float) -> float:
        return left + (math.log(ratio) - math.log(least)) / (math.log(most) - math.log(least)) * (width - 20)

    parts, y = [], 46
    for number, name in enumerate(names):
        x, top, word = 10 + number % 4 * 210, 14 + number // 4 * 16, name.replace("`", "")
        parts.append(f'<circle cx="{x}" cy="{top - 4}" r="4" fill="{colours[name]}"/><text x="{x + 9}" y="{top}">{word}</text>')
    for section in sections:
        parts.append(f'<text x="10" y="{y + row}">{section}</text>')
        for line in (line for line in lines if line.section == section):
            y += row
            (middle, low, high), colour = line.wall, colours[line.name]
            parts.append(f'<path d="M{at(low):.1f} {y - 4}H{at(high):.1f}" stroke="{colour}" stroke-width="2"/>')
            parts.append(f'<circle cx="{at(middle):.1f}" cy="{y - 4}" r="4" fill="{colour}"><title>{middle:.2f}</title></circle>')
            parts.append(f'<circle cx="{at(line.work[0]):.1f}" cy="{y - 4}" r="6" fill="none" stroke="{colour}"/>')
        y += 8
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if least <= tick <= most]
    for tick in ticks:
        parts.append(
            f'<path d="M{at(tick):.1f} 40V{y}" stroke="{"#111" if tick == 1 else "#ddd"}" stroke-width="{1 if tick == 1 else 0.5}"/>'
        )
        parts.append(f'<text x="{at(tick):.1f}" y="{y + 14}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<text x="{left}" y="{y + 30}">ratios to the first of each section: dots are seconds, rings processor time</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 20} {y + 40}" font-family="sans-serif" font-size="11">'
    return head + '<rect width="100%" height="100%" fill="white"/>' + "".join(parts) + "</svg>\n"


def write(found: dict[str, Any], out: Path, page: Path | None) -> None:
    (out / "bench.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (out / "bench.md").write_text(table(found), encoding="utf-8")
    (out / "bench.svg").write_text(plot(found), encoding="utf-8")
    if page is not None:
        before, _, rest = page.read_text(encoding="utf-8").partition(MARKERS[0])
        _, marker, after = rest.partition(MARKERS[1])
        if not marker:
            raise SystemExit(f"{page} has no lines {MARKERS[0]} and {MARKERS[1]} to write between")
        page.write_text(
            f"{before}{MARKERS[0]}\n{table(found)}\n![the ratios of seconds](pictures/bench.svg)\n{MARKERS[1]}{after}", encoding="utf-8"
        )
        (page.parent / "pictures/bench.svg").write_text(plot(found), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="JPEG files in class folders")
    parser.add_argument("--count", type=int, default=4000, help="photographs (4000); icons are 12.5 times as many, and so on")
    parser.add_argument("--turns", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--only", help="some sections, with commas between")
    parser.add_argument("--limit", type=float, default=3600, help="seconds after which a turn has failed (3600)")
    parser.add_argument("--out", type=Path, default=ROOT / "build/bench")
    parser.add_argument("--page", type=Path, help="write the table between the markers of this page")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that what is being measured ends too
    bench = Bench(args.out.resolve(), args.photos and args.photos.resolve(), args.count)
    sections = bench.sections()
    wanted = args.only.split(",") if args.only else list(sections)
    if unknown := set(wanted) - set(sections):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(sections)}")
    bench.out.mkdir(parents=True, exist_ok=True)
    file = bench.out / "bench.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"sections": {}}
    found |= {"versions": f"{versions(*PACKAGES)}; {versions(*OTHERS, python=PEERS)}", "machine": machine()}
    for word in wanted:
        for section in sections[word]():
            found["sections"][section.name] = compared(bench, section, args.turns, args.limit)
            write(found, bench.out, args.page)
    print("\n" + table(found))


if __name__ == "__main__":
    main()
