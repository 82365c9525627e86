"""What `init` found out about a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from refinery_beam.errors import DataError

Layout = Literal["class-folders", "flat-with-table", "train-test", "unlabeled-test", "nested-folders"]


class Remark(NamedTuple):
    """What was done with something in the folder: ``taken`` or ``left``, and why."""

    path: str
    verdict: Literal["taken", "left"]
    why: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A label table beside the images: its path, the column of ids, the column of labels, the column that names splits ('' for none) and
    the split that each of its values means."""

    path: str
    id_field: str
    label_field: str
    split_field: str = ""
    splits: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """A source of the recipe. ``path`` is absolute."""

    name: str
    type: str
    path: str
    table: Table | None = None
    partition: str = ""
    unlabeled: bool = False
    layout: str = ""


@dataclass(frozen=True, kw_only=True)
class FolderFacts:
    """The layout of a folder: the ``sources`` of a recipe for it, ``remarks`` on everything in it, and a side to resize to. ``carve`` says
    that train is divided, because nothing else is there to validate on; ``splits`` are those that a layout reads off paths."""

    layout: Layout
    sources: tuple[SourceFacts, ...]
    remarks: tuple[Remark, ...] = ()
    size: int = 224
    carve: bool = False
    splits: tuple[str, ...] = ()

    @property
    def table(self) -> Table | None:
        """The label table of the first source that has one."""
        return next((source.table for source in self.sources if source.table is not None), None)


def undecided(folder: str, why: str, options: list[str] | None = None) -> DataError:
    """No recipe can be written: why, and what there is to decide."""
    listed = "; ".join(f"({k}) {option}" for k, option in enumerate(options or [], 1))
    return DataError(
        f"init makes nothing of the folder: {why}", code="init-layout", at=folder, remedy=f"one of: {listed}" if listed else None
    )
