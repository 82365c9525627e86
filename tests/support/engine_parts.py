"""Where the engines are that launchers/engines.sh has built."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

# Read now: the tests themselves run without any variable of the program.
ENGINES = Path(os.environ.get("REFINERY_BEAM_ENGINES") or Path.home() / ".cache/refinery-beam/engines")
JARS = {"flink": ENGINES / "flink-job-server.jar", "spark": ENGINES / "spark" / "spark-job-server.jar"}
PRISM = ENGINES / f"prism-{version('apache-beam')}"
FLINK = ENGINES / "flink-1.19.3" / "lib"
