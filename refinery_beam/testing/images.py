"""Tiny image sets: for tests, for examples, for trying a recipe. They are drawn by arithmetic, the same on every machine; see `drawing`.

From a shell::

    python -m refinery_beam.testing.images folders my-images
    python -m refinery_beam.testing.images flat my-dataset --per-class 12 --size 64x48
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from refinery_beam.testing.awkward import awkward_folders
from refinery_beam.testing.drawing import CLASSES, SIZE, class_folders, draw, flat_with_csv, save_options, train_test, unlabeled

__all__ = ["CLASSES", "SIZE", "class_folders", "draw", "flat_with_csv", "save_options", "train_test", "unlabeled"]


def main(argv: Sequence[str] | None = None) -> None:
    """The command line: ``python -m refinery_beam.testing.images KIND FOLDER``."""
    kinds: dict[str, Callable[..., Sequence[Any]]] = {
        "folders": class_folders,
        "flat": flat_with_csv,
        "train-test": train_test,
        "unlabeled": unlabeled,
        "awkward": awkward_folders,
    }
    parser = argparse.ArgumentParser(prog="python -m refinery_beam.testing.images", description="Draw a tiny image set.")
    parser.add_argument("kind", choices=kinds, help="the layout to draw")
    parser.add_argument("folder", type=Path, help="where to; made if it is missing")
    parser.add_argument("--per-class", type=int, default=12, help="pictures of each class (default 12)")
    parser.add_argument("--size", default="96x72", help="width x height (default 96x72)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other pictures (default 0)")
    args = parser.parse_args(argv)
    width, _, height = args.size.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        parser.error(f"--size takes WIDTHxHEIGHT, such as 96x72, not {args.size!r}")
    files = kinds[args.kind](args.folder, per_class=args.per_class, size=(int(width), int(height)), seed=args.seed)
    print(f"drew {len(files)} images under {args.folder}")


if __name__ == "__main__":
    main()
