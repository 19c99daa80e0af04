# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings spread over the machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from functools import lru_cache
import os
from pathlib import Path
import socket
import time
from typing import Any

import torch

from gtr_ros.model.gtr import GTR
from gtr_ros.recordings.folder import Job
from gtr_ros.recordings.folder import Outcome
from gtr_ros.recordings.recording import TrackingOptions
from gtr_ros.runtime.process import keep_freed_memory

LOCAL = 'local'

_SECONDS_BETWEEN_REPORTS = 0.5
_SECONDS_TO_ANSWER = 5

#: told of a recording how many frames are done, and of how many if that is known
Watch = Callable[[str, int, 'int | None'], None]
Say = Callable[[str], None]


class ProgressActor:
    """Where workers say how far they are; an actor of the cluster."""

    def __init__(self) -> None:
        self._starts: dict[str, int] = {}
        self._steps: dict[str, tuple[int, int | None]] = {}

    def start(self, name: str) -> None:
        """Note that a worker begins with a recording, perhaps not for the first time."""
        self._starts[name] = self._starts.get(name, 0) + 1

    def step(self, name: str, done: int, total: int | None) -> None:
        """Note how far it is."""
        self._steps[name] = done, total

    def read(self) -> tuple[dict[str, int], dict[str, tuple[int, int | None]]]:
        """Return how often each recording was begun, and how far it is."""
        return self._starts, self._steps


def track_on_cluster(
    jobs: Sequence[Job],
    settings: TrackingOptions,
    weights: str,
    partial: Path,
    address: str,
    cores: int,
    retries: int,
    watch: Watch,
    say: Say,
) -> Iterator[Outcome]:
    """
    Track recordings on a Ray cluster, each by one worker; yields them as they end.

    Every machine needs this package, and the recordings, the folder of the results and the
    checkpoint under the same paths. A worker takes `cores` cores, and a GPU where the cluster has
    some and the device is not 'cpu'. A recording whose worker dies (out of memory, a machine that
    goes) begins again; one that is wrong does not.

    :param weights: fingerprint of the model; a worker with other weights fails
    :param address: of the cluster, 'auto', or 'local' for one on this machine that ends with us
    :param retries: how often a recording whose worker died begins again
    :param say: told what happens beside the recordings
    :raises ModuleNotFoundError: if Ray is not installed
    :raises ValueError: if there is no cluster at the address
    """
    # Ray tells its authors of each start, unless it is told not to.
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    import ray
    from ray.exceptions import RayError

    _expect_somebody_at(address)
    options: dict[str, Any] = {}
    if address == LOCAL:
        options = {'include_dashboard': False, 'object_store_memory': 100 << 20}
    try:
        ray.init(address=address, log_to_driver=False, logging_level='error', **options)
    except (RayError, ConnectionError, ValueError, RuntimeError) as error:
        raise ValueError(f'no Ray cluster at {address}: {error}') from error
    try:
        there = ray.cluster_resources()
        gpus = int(settings.device != 'cpu' and there.get('GPU', 0) >= 1)
        if address == LOCAL:
            cores = min(cores, int(there['CPU']))
        elif all(node['Resources'].get('CPU', 0) < cores for node in ray.nodes()):
            say(f'no machine of the cluster has {cores} cores (yet): waiting for one')
        each = f'{cores} core{"s" * (cores > 1)}{" and a GPU" * gpus}'
        say(f'{len(jobs)} recordings on {int(there.get("CPU", 0))} cores; a worker takes {each}')
        # A progress that was lost with its machine is hung up again, empty.
        progress = ray.remote(num_cpus=0, max_restarts=-1)(ProgressActor).remote()
        work = ray.remote(_track).options(num_cpus=cores, num_gpus=gpus, max_retries=retries)
        pending = {
            work.remote(job, settings, weights, str(partial), cores, progress): job for job in jobs
        }
        reports = _Reports(progress, watch, say)
        while pending:
            ready, _ = ray.wait(list(pending), timeout=_SECONDS_BETWEEN_REPORTS)
            reports.pass_on()
            for result in ready:
                job = pending.pop(result)
                try:
                    yield ray.get(result)
                except RayError as error:
                    reason = str(error).strip().splitlines()[0]
                    yield Outcome(job.name, None, f'{job.source}: its worker was lost: {reason}')
    finally:
        ray.shutdown()


def _expect_somebody_at(address: str) -> None:
    """Raise ValueError if nobody listens there; Ray would go on trying for eight minutes."""
    host, _, port = address.removeprefix('ray://').rpartition(':')
    if address in (LOCAL, 'auto'):
        return
    if not host or not port.isdecimal():
        raise ValueError(f"--ray is {address!r}; expected 'local', 'auto' or HOST:PORT")
    try:
        socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise ValueError(f'no Ray cluster at {address}: {error}') from error


class _Reports:
    """Passes on what is new on the progress."""

    def __init__(self, progress: Any, watch: Watch, say: Say) -> None:
        self._progress = progress
        self._watch = watch
        self._say = say
        self._starts: dict[str, int] = {}

    def pass_on(self) -> None:
        import ray
        from ray.exceptions import RayError

        try:
            starts, steps = ray.get(self._progress.read.remote(), timeout=10)
        except RayError:
            return  # reports are no reason to stop
        for name, count in starts.items():
            if count > max(1, self._starts.get(name, 0)):
                self._say(f'{name}: its worker was lost; it begins again')
        self._starts = starts
        for name, (done, total) in steps.items():
            self._watch(name, done, total)


def _track(
    job: Job, settings: TrackingOptions, weights: str, partial: str, cores: int, progress: Any
) -> Outcome:
    """Track one recording; what a worker does."""
    import ray

    ray.get(progress.start.remote(job.name))  # noted before anything can happen to us
    last = 0.0

    def step(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_REPORTS or done == total:
            last = now
            progress.step.remote(job.name, done, total)

    try:
        model = _load(settings, weights, cores)
        outcome = job.run(model, settings, Path(partial), step)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        outcome = Outcome(job.name, None, str(error))
    if outcome.error:
        where = f'{outcome.error} (on {socket.gethostname()})'
        outcome = Outcome(job.name, None, where)
    return outcome


@lru_cache(maxsize=1)
def _load(settings: TrackingOptions, weights: str, cores: int) -> GTR:
    """Return the model, which a worker keeps for its next recording."""
    keep_freed_memory()
    torch.set_num_threads(cores)
    if settings.fingerprint() != weights:
        raise ValueError(
            'the weights here are others than where `gtr track` was started: the machines need '
            'the same version of gtr_ros and the same checkpoint'
        )
    return settings.load()
