"""Folders whose names are the labels or the splits."""

from __future__ import annotations

from collections.abc import Sequence

from refinery_beam.errors import display
from refinery_beam.index.text import plural
from refinery_beam.scaffold.evidence import Evidence
from refinery_beam.scaffold.facts import FolderFacts, Remark, SourceFacts, undecided
from refinery_beam.scaffold.size import usual_size
from refinery_beam.scaffold.survey import Folder, holds_pictures, is_split_word, split_of
from refinery_beam.scaffold.words import class_words, few, nested_remarks, rest_remarks, shell_word

_ORDER = ("train", "val", "test")


def split_folders(top: Folder, tables: Sequence[Evidence]) -> FolderFacts | None:
    """train/, val/ and test/ with class folders in them, as given; a val/ or test/ of plain pictures is unlabelled. None without any."""
    folders = _by_split(top)
    if not folders or (len(folders) == 1 and len([f for f in top.folders if f.total]) > 1 and not next(iter(folders.values())).folders):
        return None
    names = few([folder.name for folder in folders.values()])
    rest = [folder for folder in top.folders if folder.total and folder not in folders.values()]
    if len(folders) == 1 and rest:
        only = next(iter(folders.values()))
        raise undecided(
            display(top.path),
            f"{only.name}/ has the name of a split, and {few([f.name for f in rest])} beside it have not",
            [f"init {shell_word(folder.path)}" for folder in (only, *rest[:4])],
        )
    plain = [folder for split, folder in folders.items() if folder.images or not folder.classes]
    labelled = [split for split, folder in folders.items() if folder not in plain]
    if not labelled or ("train" in folders and "train" not in labelled):
        raise undecided(
            display(top.path),
            f"{names} are splits, no labels, and {few([f.name + '/' for f in plain])} hold no class folders",
            [
                "put the pictures of each split in class folders",
                "add a table (CSV) that names the pictures and their labels",
                "prepare them without labels: write the recipe by hand, with type: image_flat and unlabeled: true",
            ],
        )
    if "train" not in folders and len(folders) > 1:
        raise undecided(
            display(top.path), f"there is no train folder beside {names}", [f"init {shell_word(f.path)}" for f in folders.values()]
        )
    remarks = rest_remarks(top, tables, {folder.relative for folder in folders.values()})
    if len(folders) == 1:
        folder = next(iter(folders.values()))
        remarks += [Remark(folder.relative, "taken", class_words(folder)), *nested_remarks(folder)]
        source = SourceFacts(name="images", type="image_folder", path=folder.path)
        return FolderFacts(layout="class-folders", sources=(source,), remarks=tuple(sorted(remarks)), size=usual_size(top, folder.path))
    sources = []
    for split in (split for split in _ORDER if split in folders):
        folder, name = folders[split], f"{split}_data"
        if split in labelled:
            sources.append(SourceFacts(name=name, type="image_folder", path=folder.path, partition=split))
            remarks += [Remark(folder.relative, "taken", f"split {split}, as given: {class_words(folder)}"), *nested_remarks(folder)]
        else:
            sources.append(SourceFacts(name=name, type="image_flat", path=folder.path, partition=split, unlabeled=True))
            remarks.append(
                Remark(folder.relative, "taken", f"split {split}, unlabeled: {plural(folder.total, 'picture')} in no class folders")
            )
    return FolderFacts(
        layout="unlabeled-test" if plain else "train-test",
        sources=tuple(sources),
        remarks=tuple(sorted(remarks)),
        size=usual_size(top, sources[0].path),
        carve="val" not in folders,
    )


def class_folders(top: Folder, tables: Sequence[Evidence]) -> FolderFacts | None:
    """One folder a class, two at least. None where most folders hold no pictures themselves."""
    classes = top.classes
    bare = [folder for folder in top.folders if not folder.images and folder.total]
    if len(classes) < 2 or len(bare) >= len(classes) or any(map(holds_pictures, classes)):
        return None
    remarks = rest_remarks(top, tables, {folder.relative for folder in top.folders})
    remarks += [Remark("./", "taken", class_words(top)), *nested_remarks(top)]
    remarks += [Remark(f.relative, "left", f"{plural(f.total, 'picture')}, all in folders below it") for f in bare]
    remarks += [Remark(f.relative, "left", "no picture lies in it") for f in top.folders if not f.total]
    if top.images:
        remarks.append(Remark("./", "left", f"{plural(len(top.images), 'picture')} in no class folder"))
    source = SourceFacts(name="images", type="image_folder", path=top.path)
    return FolderFacts(layout="class-folders", sources=(source,), remarks=tuple(sorted(remarks)), size=usual_size(top, top.path))


def nested_folders(top: Folder, tables: Sequence[Evidence]) -> FolderFacts | None:
    """Folders in folders: a tree, where only one level can be the labels. None for pictures in no folder."""
    full = [folder for folder in top.folders if folder.total]
    if len(full) == 1 and not top.images and full[0].folders:
        below = full[0]
        raise undecided(
            display(top.path),
            f"it holds one folder, {display(below.name)}/, which looks like the set itself",
            [f"init {shell_word(below.path)}"],
        )
    paths = top.paths()
    if len(full) < 2 or top.images:
        return None
    first = sorted({path.split("/")[0] for path in paths})
    remarks = rest_remarks(top, tables, {folder.relative for folder in top.folders})
    if {path.count("/") for path in paths} == {2}:
        second = sorted({path.split("/")[1] for path in paths})
        splits: tuple[str, ...] = ()
        if len({is_split_word(name) for name in second}) == len(second) > 1 and all(map(is_split_word, second)) and "train" in second:
            splits = tuple(sorted(second, key=lambda name: _ORDER.index(is_split_word(name))))
            layout, why = "{label}/{split}/{file}", f"classes, each with splits: {few(second)}"
        elif len(second) == 1:
            layout, why = "{label}/*/{file}", f"classes, each with a folder {second[0]}/"
        else:
            raise undecided(
                display(top.path),
                "its folders hold folders: the labels may be either",
                [
                    f'type: image_tree with layout "{{label}}/*/{{file}}": {len(first):,} labels ({few(first)})',
                    f'type: image_tree with layout "*/{{label}}/{{file}}": {len(second):,} labels ({few(second)})',
                ],
            )
        remarks.append(Remark("./", "taken", f"{len(paths):,} pictures of {len(first):,} {why}"))
        source = SourceFacts(name="images", type="image_tree", path=top.path, layout=layout)
        size = usual_size(top, top.path)
        return FolderFacts(layout="nested-folders", sources=(source,), remarks=tuple(sorted(remarks)), size=size, splits=splits)
    raise undecided(
        display(top.path),
        "pictures lie at several depths of its folders",
        [
            f'type: image_tree with layout "{{label}}/**/{{file}}": {len(first):,} labels ({few(first)})',
            'type: image_tree with layout "**/{label}/{file}": the last folder is the label',
            *(f"init {shell_word(folder.path)}" for folder in full[:3] if len(folder.classes) > 1),
        ],
    )


def _by_split(top: Folder) -> dict[str, Folder]:
    """The folders that are splits by their names, each once."""
    found: dict[str, list[Folder]] = {}
    for folder in top.folders:
        if folder.total and (split := split_of(folder.name)):
            found.setdefault(split, []).append(folder)
    for split, folders in found.items():
        if len(folders) > 1:
            raise undecided(
                display(top.path),
                f"{few([f.name for f in folders])} may each be the split {split}",
                ["move all but one elsewhere", *(f"init {shell_word(folder.path)}" for folder in folders[:3])],
            )
    # Words such as testing_tools are among class names by chance: whole words count for one folder, parts of names for several.
    if len(found) == 1 and not is_split_word(next(iter(found.values()))[0].name):
        return {}
    return {split: folders[0] for split, folders in sorted(found.items(), key=lambda item: _ORDER.index(item[0]))}
