"""Makes Beam's pipelines, without the folder that each of them makes in ``$TMPDIR``."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any


def make_pipeline(*, runner: Any, options: Any) -> Any:
    """A pipeline of a runner with options.

    Beam makes ``$TMPDIR/beam-pipeline-temp*`` with every pipeline, for transforms of other languages, which this package has none of, and
    removes it when the job has ended. A job that is killed left it there for ever; so it is removed at once.
    """
    import apache_beam as beam

    pipeline = beam.Pipeline(runner=runner, options=options)
    with suppress(OSError, AttributeError):
        os.rmdir(pipeline.local_tempdir)
    return pipeline
