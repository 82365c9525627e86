"""label_from_path: takes a label from a file's path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import Field

from refinery_beam.identity import nfc
from refinery_beam.plugins.kind import BadRecord
from refinery_beam.plugins.ops import FieldType, OpSpec, OpTypeError, Params


class LabelFromPathParams(Params):
    """Parameters of label_from_path."""

    source: Literal["parent_directory_name", "filename", "stem"] = Field(
        default="parent_directory_name",
        description="The name of the folder the file lies in, the file's name, or the file's name without its last extension.",
    )


def stem_of(name: str) -> str:
    """A file's name without its last extension. (`pathlib` takes a dot at the end for one in some releases of Python only.)

    >>> [stem_of(name) for name in ("im.01.png", ".png", "im.", "im")]
    ['im.01', '.png', 'im.', 'im']
    """
    dot = name.rfind(".")
    return name[:dot] if 0 < dot < len(name) - 1 else name


class LabelFromPath:
    """A part of a path as text, in Unicode NFC (file systems disagree on the form of one name). Input: a path with forward slashes."""

    spec = OpSpec(
        name="label_from_path",
        section="Featurizations",
        version=1,
        params=LabelFromPathParams,
        summary="Take a label from a file's path.",
    )
    needs_pixels = False

    def infer(self, inputs: Sequence[FieldType], params: LabelFromPathParams) -> FieldType:
        """Text."""
        if len(inputs) != 1 or inputs[0].dtype not in ("str", "string"):
            raise OpTypeError("label_from_path takes one input of text, the path")
        return FieldType("str")

    def featurize(self, inputs: Sequence[Any], params: LabelFromPathParams) -> str:
        """The part of the path. Raises BadRecord ``label_missing`` for a path without a folder if the rule needs one.

        >>> LabelFromPath().featurize(["photos/cat/1.png"], LabelFromPathParams())
        'cat'
        """
        path = PurePosixPath(inputs[0])
        part = {"parent_directory_name": path.parent.name, "filename": path.name, "stem": stem_of(path.name)}[params.source]
        if not part:
            raise BadRecord("label_missing", f"{inputs[0]!r} has no {params.source}")
        return nfc(part)

    def derivation(self, params: LabelFromPathParams) -> str:
        """The rule as Labels.source names it."""
        return params.source
