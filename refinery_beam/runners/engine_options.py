"""A runner with its Beam options. No Beam here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

ENVIRONMENTS = ("LOOPBACK", "PROCESS", "EXTERNAL", "DOCKER")

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """A runner and its Beam options. `flags` are normalised: ``--name=value`` or ``--name``, with underscores."""

    runner: str
    flags: tuple[str, ...] = ()

    def value(self, name: str, default: str = "") -> str:
        """The last value of an option; `default` without the option."""
        found = default
        for flag in self.flags:
            key, _, text = flag[2:].partition("=")
            if key == name:
                found = text
        return found

    def values(self, name: str) -> tuple[str, ...]:
        """All values of an option that may occur several times."""
        return tuple(flag.partition("=")[2] for flag in self.flags if flag[2:].partition("=")[0] == name)

    def given(self, name: str) -> bool:
        """Whether the option occurs."""
        return any(flag[2:].partition("=")[0] == name for flag in self.flags)

    @property
    def master(self) -> str:
        """The host or service of the engine; '' for an engine that starts in this process or on this machine."""
        if self.runner == "dataflow":
            return "Dataflow"
        if self.given("job_endpoint"):
            return _host(self.value("job_endpoint"))
        if self.runner == "flink":
            master = self.value("flink_master")
            return "" if master in ("", "[auto]", "[local]") else _host(master)
        if self.runner == "spark":
            master = self.value("spark_rest_url") or self.value("spark_master_url")
            return "" if master == "" or re.fullmatch(r"local(\[.+\])?", master) else _host(master)
        return ""

    @property
    def environment(self) -> str:
        """How workers are started: a word of Beam's ``--environment_type``. In this process when the engine starts with it."""
        if self.runner == "dataflow":
            return "DOCKER"
        return self.value("environment_type", "" if self.master else "LOOPBACK")

    @property
    def here(self) -> bool:
        """Whether workers see the files of this machine."""
        return self.environment == "LOOPBACK" or self.master in ("", *LOCAL_HOSTS)


def _host(master: str) -> str:
    """The host of ``host:port`` or of an address; the text itself where there is none (``yarn``)."""
    text = master if "://" in master else f"//{master}"
    try:
        return urlsplit(text).hostname or master
    except ValueError:
        return master
