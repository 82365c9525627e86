"""Beam with less work around small runs: what it does again for every run, or waits for, is most of the time of a run of 36 records.

What a pipeline computes, and in which order and thread, is Beam's own. Programs that tests start have Beam as it is.
"""

from __future__ import annotations

import bz2
import threading
from argparse import HelpFormatter
from collections.abc import Callable
from types import FunctionType, MethodType, SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from apache_beam.internal import cloudpickle_pickler
from apache_beam.options import pipeline_options
from apache_beam.runners.worker import statesampler
from apache_beam.transforms import core, userstate
from apache_beam.typehints import decorators

_plain_specs = userstate.get_dofn_specs

_specs: dict[tuple[Any, Any], tuple[set[Any], set[Any]]] = {}


def make_beam_quick() -> None:
    """For all pipelines of this process."""
    userstate.get_dofn_specs = _remembered_specs
    # It asks for six hundred signatures a run, and for the source of every function: is there a return next to a yield?
    decorators.get_signature = core.get_signature = _remembered(decorators.get_signature)
    core._check_fn_use_yield_and_return = _remembered(core._check_fn_use_yield_and_return)
    # Five lines of the stack for every type hint, for a text that debuggers read.
    decorators.IOTypeHints._make_origin = classmethod(lambda cls, bases, tb=True, msg=(): [])
    # For each of five hundred arguments it asks for the width of the terminal, to print a help that nobody asks for.
    pipeline_options._BeamArgumentParser._get_formatter = lambda parser: HelpFormatter(parser.prog, width=80)
    # Every bundle starts a thread that wakes now and then to note which step is busy; at its end the bundle waits until it wakes again.
    statesampler.StateSampler.start = _start_without_sampling
    statesampler.StateSampler.stop = _stop_without_sampling
    # Any reader can read it. For blocks of 900 KB, which Beam asks for, more memory is cleared than a thousand of our pickles fill.
    cloudpickle_pickler.bz2 = SimpleNamespace(compress=lambda data, compresslevel: bz2.compress(data, 1), decompress=bz2.decompress)


def _remembered_specs(dofn: Any) -> tuple[set[Any], set[Any]]:
    """Beam reads the signatures of all methods of every DoFn some ten times a run: a quarter of a small run. A class has the same ones."""
    # Of a function that is no method nothing is read: it is an attribute of the DoFn, and no method of it.
    method = getattr(getattr(dofn, "_fn", None), "__func__", None)
    key = (type(dofn), method)
    if key not in _specs:
        _specs[key] = _plain_specs(dofn)
    states, timers = _specs[key]
    return set(states), set(timers)


def _remembered(plain: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`plain`, which is asked once for every function and for every method: what it reads in them does not change."""
    answers: dict[bool, WeakKeyDictionary[FunctionType, Any]] = {False: WeakKeyDictionary(), True: WeakKeyDictionary()}

    def remembered(asked: Any) -> Any:
        bound = isinstance(asked, MethodType)
        function = asked.__func__ if isinstance(asked, MethodType) else asked
        if not isinstance(function, FunctionType):
            return plain(asked)
        known = answers[bound]
        if function not in known:
            known[function] = plain(asked)
        return known[function]

    return remembered


def _start_without_sampling(sampler: Any) -> None:
    sampler.tracked_thread = threading.current_thread()
    statesampler.set_current_tracker(sampler)
    sampler.started = True


def _stop_without_sampling(sampler: Any) -> None:
    statesampler.set_current_tracker(None)
    sampler.finished = True
