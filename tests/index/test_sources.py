from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refinery_beam.errors import DataError
from refinery_beam.index import Selection, Source, SourceListing, list_source
from refinery_beam.index.listing.left_out import LeftOut
from refinery_beam.plugins.discovery import find_plugin
from support.index_parts import of_type

Put = Callable[..., Path]


def listing(root: Path, type: str = "image_folder", **more: Any) -> SourceListing:
    return list_source(Source(name="s", type=type, root=str(root), at="r.yaml:4:7", **of_type(type), **more))


def paths(found: SourceListing) -> list[str]:
    return [f.path for f in found.files]


def test_folder(tmp_path: Path, put: Put) -> None:
    for name in ("dog/b.jpg", "dog/a.PNG", "cat/with space.jpeg", "cat/x.TIFF", "cat/x.WebP"):
        put(f"r/{name}")
    found = listing(tmp_path / "r")
    assert [(f.path, f.label, f.partition) for f in found.files] == [
        ("cat/with space.jpeg", "cat", None),
        ("cat/x.TIFF", "cat", None),
        ("cat/x.WebP", "cat", None),
        ("dog/a.PNG", "dog", None),
        ("dog/b.jpg", "dog", None),
    ]
    assert found.skipped == {} and found.warnings == ()
    fact = os.stat(tmp_path / "r/dog/b.jpg")
    assert list(found.files)[4][1:5] == (fact.st_size, fact.st_mtime_ns, fact.st_ctime_ns, fact.st_ino)


def test_what_is_skipped_is_counted(tmp_path: Path, put: Put) -> None:
    for name in (
        "cat/1.png", "cat/notes.txt", "cat/more.TXT", "cat/README", "cat/.DS_Store", "cat/._1.png", "cat/Thumbs.db", "cat/x.db",
        "cat/deep/2.png", "cat/deep/er/3.png", "top.png", ".git/4.png", "cat/a.name with many words",
    ):  # fmt: skip
        put(f"r/{name}")
    (tmp_path / "r/empty").mkdir()
    (tmp_path / "r/cat/gone.png").symlink_to("nowhere")
    (tmp_path / "r/cat/self.png").symlink_to("self.png")
    (tmp_path / "r/cat/lost").symlink_to("nowhere")
    os.mkfifo(tmp_path / "r/cat/pipe.png")
    found = listing(tmp_path / "r")
    assert paths(found) == ["cat/1.png"]
    assert found.skipped == {
        "(none)": 1, "(other)": 1, ".db": 1, ".txt": 2, "broken_link": 3, "hidden": 4, "nested": 2, "special": 1, "top_level": 1,
    }  # fmt: skip
    assert found.warnings == (("class-without-files", "source 's': 1 class folder without an image: 'empty' holds nothing"),)
    groups = {group["kind"]: group["folders"] for group in found.selection.to_dict()["kinds"]}
    assert groups["nested"] == [
        {"folder": "cat/deep", "count": 2, "examples": ["cat/deep/2.png", "cat/deep/er/3.png"]},
    ]
    assert groups[".txt"] == [{"folder": "cat", "count": 2, "examples": ["cat/more.TXT", "cat/notes.txt"]}]
    assert [f["folder"] for f in groups["hidden"]] == ["cat", ""]


def test_a_class_that_loses_all_its_files_is_a_warning(tmp_path: Path, put: Put) -> None:
    for name in ("cat/1.png", "phone/a.HEIC", "phone/b.heic", "phone/notes.txt", "deep/er/2.png", "deep/er/3.png", "nil/.hidden"):
        put(f"r/{name}")
    ((code, words),) = listing(tmp_path / "r", advice={".heic": "install heic", ".raw": "develop it"}).warnings
    assert code == "class-without-files" and "; .heic: install heic" in words and ".raw" not in words
    assert words.startswith(
        "source 's': 3 class folders without an image: 'deep' holds 2 nested images; 'nil' holds 1 hidden files; "
        "'phone' holds 2 .heic, 1 .txt; images are files ending in "
    )
    assert "layout" in words and "{label}/**/{file}" in words


def test_what_is_left_out_is_bounded_and_knows_no_order() -> None:
    paths = [(f".k{k % 40}", f"class{k % 50}/sub{k % 3}/file{k}.k{k % 40}") for k in range(3000)]
    one, other = LeftOut(), LeftOut()
    for kind, path in paths:
        one.add(kind, path)
    for kind, path in reversed(paths):
        other.add(kind, path)
    first, second = (Selection((left.selection("s", 1, bare=["class0", "gone"]),)) for left in (one, other))
    assert first == second and first.as_json() == second.as_json()
    (source,) = first.to_dict()["sources"]
    assert source["left_out"] == 3000 and len(source["kinds"]) == 30 and source["more_kinds"] == 10
    assert {len(folder["examples"]) for kind in source["kinds"] for folder in kind["folders"]} <= {1, 2, 3}
    assert all(len(kind["folders"]) <= 20 and kind["folders"][0]["folder"].count("/") == 1 for kind in source["kinds"])
    assert sum(source["bare_class_folders"][0]["holds"].values()) == 60
    assert source["bare_class_folders"][1] == {"folder": "gone", "holds": {}}
    assert json.loads(first.as_json()) == first.to_dict()
    assert first.lines()[0].endswith("; and 35 other kinds")


def test_flat_any_depth_in_order_of_path(tmp_path: Path, put: Put) -> None:
    for name in ("b.png", "a/z.png", "a.png", "a-b.png"):
        put(f"r/{name}")
    found = listing(tmp_path / "r", "image_flat")
    assert paths(found) == ["a-b.png", "a.png", "a/z.png", "b.png"]
    assert {f.label for f in found.files} == {None}


def test_order_is_that_of_composed_names(tmp_path: Path, put: Put) -> None:
    for name in ("e\u0301.png", "f.png", "\u00e8.png"):
        put(f"r/{name}")
    # Decomposed bytes would put 'e' + accent before 'f'.
    assert paths(listing(tmp_path / "r", "image_flat")) == ["f.png", "\u00e8.png", "e\u0301.png"]


def test_tree(tmp_path: Path, put: Put) -> None:
    for name in ("train/x/cat/1.png", "val/cat/2.png", "val/3.png"):
        put(f"r/{name}")
    found = listing(tmp_path / "r", "image_tree", layout="{split}/**/{label}/{file}")
    assert [(f.path, f.label, f.partition) for f in found.files] == [("train/x/cat/1.png", "cat", "train"), ("val/cat/2.png", "cat", "val")]
    assert found.skipped == {"unmatched": 1}


def test_partition_of_the_source(tmp_path: Path, put: Put) -> None:
    put("r/cat/1.png")
    assert [f.partition for f in listing(tmp_path / "r", partition="test").files] == ["test"]


def test_heic_is_listed_where_it_is_accepted() -> None:
    kind = find_plugin("image_classification").kind
    assert kind.more_extensions(kind.limits.model_validate({"formats": ["heic", "png"]})) == ("heic", "heif")
    assert kind.more_extensions(kind.limits.model_validate({})) == ()


def test_links_are_followed_but_never_in_circles(tmp_path: Path, put: Put) -> None:
    put("r/cat/1.png")
    put("elsewhere/2.png")
    (tmp_path / "r/cat/loop").symlink_to(tmp_path / "r")
    (tmp_path / "r/cat/self").symlink_to(".")
    (tmp_path / "r/dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "r/cat/3.png").symlink_to(tmp_path / "elsewhere/2.png")
    found = listing(tmp_path / "r", "image_flat", follow_links=True)
    assert paths(found) == ["cat/1.png", "cat/3.png", "dog/2.png"]
    assert found.skipped == {"link_loop": 2}
    assert list(found.files)[1].size == len("elsewhere/2.png")


def test_links_that_stay_inside_are_followed(tmp_path: Path, put: Put) -> None:
    put("r/cat/1.png")
    (tmp_path / "r/cat/2.png").symlink_to("1.png")
    (tmp_path / "r/dog").symlink_to(tmp_path / "r/cat")
    (tmp_path / "alias").symlink_to(tmp_path / "r")
    for root in ("r", "alias"):
        assert paths(listing(tmp_path / root)) == ["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"]


def test_links_that_leave_the_source_are_refused(tmp_path: Path, put: Put) -> None:
    put("r/cat/1.png")
    put("elsewhere/2.png")
    put("really/3.png")
    (tmp_path / "r/cat/passwd.png").symlink_to("/etc/passwd")
    (tmp_path / "r/cat/passwd.txt").symlink_to("/etc/passwd")  # not selected: nobody reads it
    (tmp_path / "r/cat/two.png").symlink_to("../../elsewhere/2.png")
    (tmp_path / "r/all").symlink_to("/")
    (tmp_path / "r-almost").symlink_to(tmp_path / "really")
    (tmp_path / "r/near").symlink_to(tmp_path / "r-almost")
    with pytest.raises(DataError) as caught:
        listing(tmp_path / "r")
    assert caught.value.code == "link-outside"
    assert str(caught.value).startswith(
        f"source 's': 4 links out of '{tmp_path}/r': 'all' to '/', 'cat/passwd.png' to '/etc/passwd', "
        f"'cat/two.png' to '{tmp_path}/elsewhere/2.png' and 1 more"
    )
    assert "Input.follow_links: outside" in str(caught.value.remedy)


@pytest.mark.timeout(20)
def test_pipes_and_devices_are_never_opened(tmp_path: Path, put: Put) -> None:
    put("r/cat/1.png")
    os.mkfifo(tmp_path / "r/cat/pipe.png")
    (tmp_path / "r/cat/zero.png").symlink_to("/dev/zero")
    found = listing(tmp_path / "r", follow_links=True)
    assert paths(found) == ["cat/1.png"]
    assert found.skipped == {"special": 2}


def test_folders_that_link_crosswise_end(tmp_path: Path, put: Put) -> None:
    names = "abcd"
    for one in names:
        put(f"r/{one}/1.png")
        for two in names:
            if one != two:
                (tmp_path / f"r/{one}/{two}").symlink_to(tmp_path / f"r/{two}")
    found = listing(tmp_path / "r", "image_flat")
    assert len(found.files) == 4 * (1 + 3 + 3 * 2 + 3 * 2 * 1)
    assert found.skipped == {"link_loop": 4 * (3 * 1 + 6 * 2 + 6 * 3)}


def test_bytes_that_are_no_text_come_through(tmp_path: Path, put: Put) -> None:
    put("r/caf\udce9.png")
    found = listing(tmp_path / "r", "image_flat")
    assert paths(found) == ["caf\udce9.png"]


def error_of(root: Path, type: str = "image_folder", **more: str) -> DataError:
    with pytest.raises(DataError) as caught:
        listing(root, type, **more)
    assert caught.value.at == "r.yaml:4:7" and caught.value.rule and caught.value.remedy
    return caught.value


def test_errors_name_the_place(tmp_path: Path, put: Put) -> None:
    file = put("file.png")
    put("flat/1.png")
    put("none/cat/readme.txt")
    (tmp_path / "nil").mkdir()
    assert error_of(tmp_path / "nowhere").message == f"source 's': '{tmp_path}/nowhere' does not exist"
    assert error_of(file).message == f"source 's': '{file}' is not a folder"
    assert error_of(tmp_path / "flat").code == "no-class-folder"
    assert error_of(tmp_path / "nil", "image_flat").code == "no-images"
    assert error_of(tmp_path / "none").message == f"source 's': no image was found in '{tmp_path}/none' (skipped .txt: 1)"


def test_a_layout_that_describes_no_file(tmp_path: Path, put: Put) -> None:
    put("r/a/1.png")
    error = error_of(tmp_path / "r", "image_tree", layout="x/{label}/{file}")
    assert (error.code, error.value) == ("no-images", "x/{label}/{file}")
    assert "no image matches the layout" in error.message and "unmatched: 1" in error.message


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("r/cat/1.png")
    put("r/dog/1.png")
    real = os.scandir

    def guarded(path: str) -> object:
        if str(path).rstrip("/").endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", guarded)
    error = error_of(tmp_path / "r")
    assert error.code == "unreadable-folder"
    assert error.message == f"source 's': cannot read '{tmp_path}/r/dog/': permission denied"
