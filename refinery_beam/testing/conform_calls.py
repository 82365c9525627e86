"""The calls of an op that the kit makes, and the five ways in which the same call must give the same result."""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from refinery_beam.identity import Stream, canonical_bytes, digest
from refinery_beam.plugins.base import ArrayType
from refinery_beam.testing.conform_values import copied, print_of, type_of

FAILURES = (
    "not-an-op",
    "unversioned",
    "bad-params",
    "unpicklable",
    "wrong-infer",
    "argument-changing",
    "impure",
    "order-dependent",
    "thread-dependent",
    "process-dependent",
    "inexact-fit",
    "bad-quota",
    "lossy",
)
THREADS = 8


class NotConforming(AssertionError):
    """An op breaks a rule. ``failure`` is one of `FAILURES`."""

    def __init__(self, failure: str, words: str) -> None:
        super().__init__(f"{failure}: {words}")
        self.failure = failure


class Apply:
    def __init__(self, sample: Any, fitted: Any, out: ArrayType) -> None:
        self.sample, self.fitted, self.out = sample, fitted, out

    def __call__(self, op: Any, params: Any) -> Any:
        return op.apply(self.sample, params, self.fitted, self.out)

    def arguments(self) -> bytes:
        return print_of(self.sample) + print_of(self.fitted)


class Featurize:
    def __init__(self, sample: list[Any], fitted: Any) -> None:
        self.sample, self.fitted = sample, fitted

    def __call__(self, op: Any, params: Any) -> Any:
        if self.fitted is not None:
            return op.featurize_fitted(self.sample, params, self.fitted)
        return op.featurize(self.sample, params)

    def arguments(self) -> bytes:
        return b"".join(print_of(v) for v in self.sample) + print_of(self.fitted)


class Ask:
    """A call of any function of an op that takes plain values before its parameters."""

    def __init__(self, function: str, *values: Any) -> None:
        self.function, self.values = function, values

    def __call__(self, op: Any, params: Any) -> Any:
        return getattr(op, self.function)(*self.values, params)

    def arguments(self) -> bytes:
        return print_of(self.values)


class Keep:
    def __init__(self, sample: tuple[Any, Any]) -> None:
        self.sample = sample

    def __call__(self, op: Any, params: Any) -> Any:
        return op.keep(self.sample[0], self.sample[1], params)

    def arguments(self) -> bytes:
        return print_of(self.sample[0]) + print_of(self.sample[1])


class Generate:
    """One record generated from one image, with its stream."""

    def __init__(self, sample: Any, name: str, made: Mapping[str, Any]) -> None:
        self.sample, self.name, self.made = sample, name, dict(made)

    def __call__(self, op: Any, params: Any) -> Any:
        return op.apply(self.sample, self.made, self.stream())

    def stream(self) -> Stream:
        return Stream(seed=1, op="conformance", key=digest("conformance", "record"), replica=self.name)

    def arguments(self) -> bytes:
        return print_of(self.sample) + print_of(self.made)


class Augment:
    """The sampled parameters for one image and the augmented image, in one value."""

    def __init__(self, sample: Any, replica: int) -> None:
        self.sample, self.replica = sample, replica

    def __call__(self, op: Any, params: Any) -> Any:
        sampled = op.draw(self.stream(), params, type_of(self.sample))
        return canonical_bytes(sampled).decode() + print_of(op.apply(self.sample, sampled, params)).hex()

    def stream(self) -> Stream:
        return Stream(seed=1, op="conformance", key=digest("conformance", "record"), replica=self.replica)

    def arguments(self) -> bytes:
        return print_of(self.sample)


class Draw:
    """One picture of a small dataset."""

    def __init__(self, view: Any) -> None:
        self.view = view

    def __call__(self, op: Any, params: Any) -> Any:
        return np.asarray(op.draw(self.view, params).convert("RGB"))

    def arguments(self) -> bytes:
        held: bytes = self.view.digest()
        return held


class Offence:
    """The judgement of a record assertion about one value."""

    def __init__(self, sample: Any) -> None:
        self.sample = sample

    def __call__(self, op: Any, params: Any) -> Any:
        return op.offence(self.sample, params)

    def arguments(self) -> bytes:
        return print_of(self.sample)


class Key:
    """The key under which a dataset assertion counts a record."""

    def __init__(self, split: str, values: Sequence[Any]) -> None:
        self.split, self.values = split, list(values)

    def __call__(self, op: Any, params: Any) -> Any:
        return op.key(self.split, self.values, params)

    def arguments(self) -> bytes:
        return b"".join(print_of(v) for v in self.values)


def check_calls(op: Any, model: Any, calls: Sequence[Any], *, name: str = "") -> tuple[str, ...]:
    """Check purity in five forms. A failure says which form: each keeps other things fixed."""
    name = name or op.spec.name
    before = [call.arguments() for call in calls]
    written = model.model_dump_json()
    wanted = [print_of(call(copied(op), model)) for call in calls]
    for k, call in enumerate(calls):
        if call.arguments() != before[k]:
            raise NotConforming("argument-changing", f"{name} changed the values it was given (sample {k})")
    if model.model_dump_json() != written:
        raise NotConforming("argument-changing", f"{name} changed its parameters")

    random.seed(20240229)
    np.random.seed(20240229)
    for k, call in enumerate(calls):
        if print_of(call(copied(op), model)) != wanted[k]:
            raise NotConforming("impure", f"{name} gives another result for the same sample the second time (sample {k})")

    one = copied(op)
    for order in (range(len(calls)), reversed(range(len(calls)))):
        for k in order:
            if print_of(calls[k](one, model)) != wanted[k]:
                raise NotConforming("order-dependent", f"{name} gives another result for sample {k} after other samples: it keeps state")

    shared = copied(op)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            jobs = [(k, pool.submit(calls[k], shared, model)) for k in list(range(len(calls))) * THREADS]
            for k, job in jobs:
                if print_of(job.result()) != wanted[k]:
                    raise NotConforming("thread-dependent", f"{name} gives another result for sample {k} when threads share it")
    finally:
        sys.setswitchinterval(interval)
    done = ("argument-changing", "impure", "order-dependent", "thread-dependent")
    return (*done, "process-dependent") if _check_process(op, model, calls, wanted, name) else done


_CHILD = """
import importlib.util, json, pickle, sys, types
try:
    for name, file in json.loads(sys.argv[2]):
        if name not in sys.modules:
            # A test's module may have a name that only its test runner knows.
            spec = importlib.util.spec_from_file_location(name, file)
            for parent in (name.rsplit(".", k)[0] for k in range(name.count("."), 0, -1)):
                sys.modules.setdefault(parent, types.ModuleType(parent))
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
    op, params, calls = pickle.load(open(sys.argv[1], "rb"))
except (ImportError, AttributeError):
    sys.exit(77)
from refinery_beam.testing.conform_values import print_of
for call in calls:
    print(print_of(call(op, params)).hex())
"""


def _check_process(op: Any, model: Any, calls: Sequence[Any], wanted: Sequence[bytes], name: str) -> bool:
    """The same results in a process of its own, with another hash seed. False where that process cannot import the op."""
    homes = dict.fromkeys((type(op).__module__, type(model).__module__))
    modules = [(n, sys.modules[n].__file__) for n in homes if n != "__main__" and getattr(sys.modules.get(n), "__file__", None)]
    with tempfile.TemporaryDirectory() as folder:
        location = os.path.join(folder, "calls")
        with open(location, "wb") as file:
            file.write(pickle.dumps((op, model, list(calls))))
        here = os.environ.get("PYTHONHASHSEED", "random")
        environment = {
            **os.environ,
            "PYTHONHASHSEED": "1" if here != "1" else "2",
            "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path),
        }
        command = [sys.executable, "-c", _CHILD, location, json.dumps(modules)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode == 77:
        return False
    if done.returncode or done.stdout.split() != [w.hex() for w in wanted]:
        last_line = done.stderr.strip().splitlines()[-1:] or ["other results"]
        raise NotConforming("process-dependent", f"{name} does something else in a process of its own: {last_line[0]}")
    return True
