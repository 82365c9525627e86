"""Options whose views are kept: they must be what Beam's own are."""

from __future__ import annotations

import copy
import pickle

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, PortableOptions, StandardOptions

from refinery_beam.runners.parsed_once import ParsedOnce, pipeline_options_of

FLAGS = ["--direct_num_workers=3", "--streaming", "--environment_options=a=1"]


def test_they_say_what_beams_own_say() -> None:
    own, kept = PipelineOptions(FLAGS, save_main_session=False), pipeline_options_of(FLAGS)
    assert kept.get_all_options() == own.get_all_options()
    assert kept.get_all_options(drop_default=True) == own.get_all_options(drop_default=True)
    assert kept.to_runner_api() == own.to_runner_api()


def test_what_one_view_sets_all_see() -> None:
    options = pipeline_options_of(FLAGS)
    options.view_as(DirectOptions).direct_num_workers = 7
    assert options.view_as(StandardOptions).view_as(DirectOptions).direct_num_workers == 7
    assert options.get_all_options()["direct_num_workers"] == 7


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["deepcopy", "pickle"])  # noqa: S301
def test_a_copy_is_independent(copied: object) -> None:
    options = pipeline_options_of(FLAGS)
    options.view_as(PortableOptions).environment_options.append("b=2")
    other = copied(options)  # type: ignore[operator]
    assert isinstance(other, ParsedOnce)
    assert other.view_as(PortableOptions).environment_options == ["a=1", "b=2"]
    other.view_as(PortableOptions).environment_options.append("c=3")
    other.view_as(StandardOptions).streaming = False
    assert options.view_as(PortableOptions).environment_options == ["a=1", "b=2"]
    assert options.view_as(StandardOptions).streaming is True


def test_applying_transforms_parses_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = beam.Pipeline(runner="FnApiRunner", options=pipeline_options_of([]))
    numbers = pipeline | beam.Create([1])

    def apply(label: str) -> int:
        before = len(parsed)
        _ = numbers | label >> beam.Map(str)
        return len(parsed) - before

    parsed: list[str] = []
    plain = PipelineOptions.__init__

    def counting(self: PipelineOptions, *args: object, **more: object) -> None:
        parsed.append(type(self).__name__)
        plain(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(PipelineOptions, "__init__", counting)
    apply("first")
    assert apply("second") == 0
