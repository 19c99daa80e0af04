# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking of recordings on the machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
import os
from pathlib import Path
import socket
import time
from typing import Any

import torch

from gtr_ros.model.gtr import GTR
from gtr_ros.model.registry import model_spec
from gtr_ros.recordings.folder import Job
from gtr_ros.recordings.folder import JobResult
from gtr_ros.recordings.options import TrackingOptions
from gtr_ros.runtime.process import keep_freed_memory

LOCAL = 'local'

_SECONDS_BETWEEN_REPORTS = 0.5
_SECONDS_TO_CONNECT = 5

#: called with the name of a recording, the frames done and, if known, their total number
JobProgressCallback = Callable[[str, int, 'int | None'], None]


class ProgressActor:
    """A Ray actor that collects the progress of all workers."""

    def __init__(self) -> None:
        self._starts: dict[str, int] = {}
        self._progress: dict[str, tuple[int, int | None]] = {}

    def start(self, name: str) -> None:
        """Count the start of a recording; there are several starts if workers are lost."""
        self._starts[name] = self._starts.get(name, 0) + 1

    def update(self, name: str, done: int, total: int | None) -> None:
        """Set the progress of a recording."""
        self._progress[name] = done, total

    def read(self) -> tuple[dict[str, int], dict[str, tuple[int, int | None]]]:
        """Return the number of starts and the progress of each recording."""
        return self._starts, self._progress


def track_on_cluster(
    jobs: Sequence[Job],
    settings: TrackingOptions,
    weights: str,
    partial: Path,
    address: str,
    cores: int,
    retries: int,
    on_progress: JobProgressCallback,
    notify: Callable[[str], None],
) -> Iterator[JobResult]:
    """
    Track recordings on a Ray cluster, each in one worker; yields results as they are ready.

    Every machine needs this package, and must have the recordings, the results folder and the
    checkpoint under the same paths. A worker takes `cores` cores, and a GPU if the cluster has any
    and the device is not 'cpu'. A recording whose worker is lost (out of memory, failure of a
    machine) is restarted; a recording that cannot be tracked is not.

    :param settings: of the tracking
    :param weights: fingerprint of the model; a worker with other weights fails
    :param partial: existing folder for incomplete results, see `Job.run`
    :param address: of the cluster, 'auto', or 'local' for a cluster on this machine that ends with
        this process
    :param retries: maximum number of restarts of a recording
    :param on_progress: called at intervals
    :param notify: called with messages for the user
    :raises ModuleNotFoundError: if Ray is not installed
    :raises ValueError: if there is no cluster at the address, or workers cannot build the model
    """
    if not model_spec(settings.model).on_cluster:
        raise ValueError(
            f'model {settings.model!r} is registered in this process only; the workers of a '
            'cluster cannot build it. Track without --ray'
        )
    # Ray sends usage statistics unless they are disabled.
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    import ray
    from ray.exceptions import RayError

    _check_address(address)
    options: dict[str, Any] = {}
    if address == LOCAL:
        options = {'include_dashboard': False, 'object_store_memory': 100 << 20}
    try:
        ray.init(address=address, log_to_driver=False, logging_level='error', **options)
    except (RayError, ConnectionError, ValueError, RuntimeError) as error:
        raise ValueError(f'no Ray cluster at {address}: {error}') from error
    try:
        resources = ray.cluster_resources()
        gpus = int(settings.device != 'cpu' and resources.get('GPU', 0) >= 1)
        if address == LOCAL:
            cores = min(cores, int(resources['CPU']))
        elif all(node['Resources'].get('CPU', 0) < cores for node in ray.nodes()):
            notify(f'waiting: no machine of the cluster has {cores} cores yet')
        total = int(resources.get('CPU', 0))
        each = f'{cores} core{"s" * (cores > 1)}{" and a GPU" * gpus}'
        notify(f'{len(jobs)} recordings on {total} cores; a worker takes {each}')
        # If the actor's machine fails, Ray restarts the actor, but without its state.
        progress = ray.remote(num_cpus=0, max_restarts=-1)(ProgressActor).remote()
        work = ray.remote(_track).options(num_cpus=cores, num_gpus=gpus, max_retries=retries)
        pending = {
            work.remote(job, settings, weights, str(partial), cores, progress): job for job in jobs
        }
        reporter = _Reporter(progress, on_progress, notify)
        while pending:
            finished, _ = ray.wait(list(pending), timeout=_SECONDS_BETWEEN_REPORTS)
            reporter.report()
            for reference in finished:
                job = pending.pop(reference)
                try:
                    yield ray.get(reference)
                except RayError as error:
                    reason = str(error).strip().splitlines()[0]
                    yield JobResult(job.name, None, f'{job.source}: its worker was lost: {reason}')
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise ValueError if nothing listens at the address; Ray would retry for eight minutes."""
    host, _, port = address.removeprefix('ray://').rpartition(':')
    if address in (LOCAL, 'auto'):
        return
    if not host or not port.isdecimal():
        raise ValueError(f"--ray is {address!r}; expected 'local', 'auto' or HOST:PORT")
    try:
        socket.create_connection((host, int(port)), _SECONDS_TO_CONNECT).close()
    except OSError as error:
        raise ValueError(f'no Ray cluster at {address}: {error}') from error


class _Reporter:
    """Reports the progress that the actor has collected."""

    def __init__(
        self, progress: Any, on_progress: JobProgressCallback, notify: Callable[[str], None]
    ) -> None:
        self._progress = progress
        self._on_progress = on_progress
        self._notify = notify
        self._starts: dict[str, int] = {}

    def report(self) -> None:
        import ray
        from ray.exceptions import RayError

        try:
            starts, progress = ray.get(self._progress.read.remote(), timeout=10)
        except RayError:
            return  # tracking continues without reports
        for name, count in starts.items():
            if count > max(1, self._starts.get(name, 0)):
                self._notify(f'{name}: its worker was lost; restarting')
        self._starts = starts
        for name, (done, total) in progress.items():
            self._on_progress(name, done, total)


def _track(
    job: Job, settings: TrackingOptions, weights: str, partial: str, cores: int, progress: Any
) -> JobResult:
    """Track one recording, in a worker."""
    import ray

    ray.get(progress.start.remote(job.name))  # counted before the worker can be lost
    last = 0.0

    def on_progress(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_REPORTS or done == total:
            last = now
            progress.update.remote(job.name, done, total)

    try:
        model = _load(settings, weights, cores)
        result = job.run(model, settings, Path(partial), on_progress)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        result = JobResult(job.name, None, str(error))
    if result.error:
        return replace(result, error=f'{result.error} (on {socket.gethostname()})')
    return result


@lru_cache(maxsize=1)
def _load(settings: TrackingOptions, weights: str, cores: int) -> GTR:
    """Return the model; cached for the next recording of the worker."""
    keep_freed_memory()
    torch.set_num_threads(cores)
    if settings.fingerprint() != weights:
        raise ValueError(
            'the weights of this worker differ from those of `gtr track`: all machines need the '
            'same version of gtr_ros and the same checkpoint'
        )
    return settings.load()
