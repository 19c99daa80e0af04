# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One part of a soak: the node in its own process, two cameras, and what happens to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
import os
from pathlib import Path
import platform
import signal
import statistics
import subprocess
import sys
from time import monotonic

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from scenery import CAMERAS
from scenery import ROUND
from scenery import Scenery
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from verdict import ENDS
from verdict import Part
from verdict import Sample
from vision_msgs.msg import Detection2DArray

from gtr_ros.msg import TrajectoryArray
from gtr_ros.node.messages.synchronizing import stamp_of

_START_SECONDS, _ANSWER_SECONDS, _STOP_SECONDS = 120.0, 30.0, 30.0
_EVENT_SECONDS = 5.0
_PRINT_SECONDS = 30.0


class Session:
    """
    Runs the node and its cameras, disturbs them, and measures.

    :param rate: images per second of each camera
    :param arguments: more arguments of the node, after `--ros-args`
    """

    def __init__(self, rate: float, arguments: list[str]) -> None:
        self._rate = rate
        self.part = Part(
            date=datetime.now().strftime('%Y-%m-%d %H:%M'),
            machine=f'{os.cpu_count()} cores, {platform.machine()}, {platform.system()}',
            seconds=0.0,
            rate=rate,
        )
        program = Path(sys.prefix, 'lib', 'gtr_ros', 'tracker_node')
        names = f'[{", ".join(CAMERAS)}]'
        self._node = subprocess.Popen(
            [sys.executable, program, '--ros-args', '-p', f'cameras:={names}', *arguments]
        )
        self._drivers: dict[str, subprocess.Popen] = {}
        self._scenery = {name: Scenery(name) for name in CAMERAS}
        rclpy.init()
        self._client = rclpy.create_node('soak')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._client)
        self._status: dict[str, dict[str, str]] = {}
        self._reported_at: float | None = None
        self._ages: list[float] = []
        self._ids: dict[str, set[int]] = {name: set() for name in CAMERAS}
        #: those that ended with the newest reset, and when it was, nanoseconds
        self._ended_ids: dict[str, set[int]] = {name: set() for name in CAMERAS}
        self._reset_at = 0
        self._viewers: list[object] = []
        self._client.create_subscription(DiagnosticArray, '/diagnostics', self._on_report, 10)
        for name in CAMERAS:
            self._client.create_subscription(
                Detection2DArray,
                f'/tracker/{name}/detections',
                lambda message, name=name: self._on_detections(name, message),
                50,
            )

    def run(self, minutes: float) -> Part:
        """Run for some minutes, or until interrupted; return what was measured."""
        part, disturbances = self.part, self._disturbances()
        with suppress(KeyboardInterrupt):
            for name in CAMERAS:
                self._start(name)
            self._wait(lambda: all(self._ids.values()), _START_SECONDS, 'detections')
            start = sampled = monotonic()
            self._reported_at, part.reports, event, printed = None, 0, 1, 1
            while monotonic() - start < 60 * minutes:
                self._executor.spin_once(timeout_sec=0.05)
                part.seconds = monotonic() - start
                if monotonic() - sampled >= 1.0:
                    sampled += 1.0
                    self._sample()
                if part.seconds >= event * _EVENT_SECONDS:
                    name, act = disturbances[event % len(disturbances)]
                    act()
                    event += 1
                    part.events[name] = part.events.get(name, 0) + 1
                if part.seconds >= printed * _PRINT_SECONDS:
                    printed += 1
                    self._print()
        rounds = int(part.seconds // ROUND) + 1
        part.appearances = rounds * sum(scenery.objects for scenery in self._scenery.values())
        self._settle()
        part.ids = sum(map(len, self._ids.values()))
        return part

    def close(self) -> None:
        """End all processes."""
        self._node.send_signal(signal.SIGINT)
        for driver in self._drivers.values():
            driver.terminate()
        for process in (*self._drivers.values(), self._node):
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._client.destroy_node()
        rclpy.try_shutdown()

    def _start(self, camera: str) -> None:
        program = Path(__file__).with_name('scenery.py')
        topic = f'/{camera}/image'
        self._drivers[camera] = subprocess.Popen(
            [sys.executable, program, camera, topic, str(self._rate)]
        )

    def _restart(self, camera: str) -> None:
        """Kill a camera's driver, as if it crashed, and start it again."""
        self._drivers[camera].kill()
        self._drivers[camera].wait()
        self._start(camera)

    def _disturbances(self) -> list[tuple[str, Callable[[], None]]]:
        """Return what happens to the node, in this order and again."""
        front, rear = CAMERAS
        return [
            ('viewers come', self._watch),
            ('parameters are refused', lambda: self._set(False, window=1, max_rate=-1.0)),
            ('parameters change', lambda: self._set(True, score_threshold=0.3, window=16)),
            ('viewers go', self._ignore),
            ('a driver is killed', lambda: self._restart(front)),
            ('parameters change', lambda: self._set(True, score_threshold=0.4, window=32)),
            ('the rate is limited', lambda: self._set(True, max_rate=3.0)),
            ('the rate is free', lambda: self._set(True, max_rate=0.0)),
            ('tracks are reset', self._reset),
            ('a driver is killed', lambda: self._restart(rear)),
        ]

    def _watch(self) -> None:
        for name in CAMERAS:
            for kind, topic in ((Image, 'debug_image'), (TrajectoryArray, 'trajectories')):
                topic = f'/tracker/{name}/{topic}'
                self._viewers.append(
                    self._client.create_subscription(kind, topic, lambda message: None, 1)
                )

    def _ignore(self) -> None:
        while self._viewers:
            self._client.destroy_subscription(self._viewers.pop())

    def _set(self, valid: bool, **values: object) -> None:
        """Change parameters; some must be refused."""
        parameters = [Parameter(n, value=v).to_parameter_msg() for n, v in values.items()]
        answer = self._call(SetParameters, '/tracker/set_parameters', parameters=parameters)
        if answer and any(result.successful != valid for result in answer.results):
            self.part.unanswered += 1

    def _reset(self) -> None:
        """End all tracks: what is seen until the answer may be from before or after it."""
        before = {name: set(ids) for name, ids in self._ids.items()}
        answer = self._call(Trigger, '/tracker/reset')
        if answer and answer.success:
            self._reset_at = self._client.get_clock().now().nanoseconds
            self._ended_ids = before

    def _call(self, kind: type, name: str, **fields: object) -> object | None:
        self.part.calls += 1
        client = self._client.create_client(kind, name)
        deadline = monotonic() + _ANSWER_SECONDS
        future = None
        while monotonic() < deadline and not (future and future.done()):
            if future is None and client.service_is_ready():
                future = client.call_async(kind.Request(**fields))
            self._executor.spin_once(timeout_sec=0.05)
        self._client.destroy_client(client)
        if future is None or not future.done():
            self.part.unanswered += 1
            return None
        return future.result()

    def _on_report(self, message: DiagnosticArray) -> None:
        statuses = {s.name.partition(': ')[2]: s for s in message.status if 'tracker' in s.name}
        if set(statuses) != set(CAMERAS):
            return
        now, before = monotonic(), self._reported_at
        self._reported_at = now
        self.part.reports += 1
        if before is not None:
            self.part.longest_gap = max(self.part.longest_gap, now - before)
        for name, status in statuses.items():
            self._status[name] = {value.key: value.value for value in status.values}

    def _on_detections(self, camera: str, message: Detection2DArray) -> None:
        stamp = stamp_of(message)
        self._ages.append((self._client.get_clock().now().nanoseconds - stamp) / 1e6)
        ids = [int(detection.id) for detection in message.detections]
        part = self.part
        part.repeated += len(set(ids)) != len(ids)
        part.found += len(ids)
        part.true += self._scenery[camera].count(stamp / 1e9)
        self._ids[camera].update(ids)
        if stamp > self._reset_at:
            part.reused += len(self._ended_ids[camera].intersection(ids))

    def _sample(self) -> None:
        """Measure the node."""
        folder = Path('/proc', str(self._node.pid))
        if self._node.poll() is not None:
            raise SystemExit(f'the node ended with exit code {self._node.returncode}')
        fields = dict(line.split(':', 1) for line in (folder / 'status').read_text().splitlines())
        ages, self._ages = self._ages, []
        times = [float(status['processing_ms']) for status in self._status.values()]
        if ages and times:
            self.part.samples.append(
                Sample(
                    memory=int(fields['VmRSS'].split()[0]) / 1e3,
                    threads=int(fields['Threads']),
                    files=len(os.listdir(folder / 'fd')),
                    age=round(statistics.median(ages), 1),
                    processing=max(times),
                )
            )

    def _settle(self) -> None:
        """Stop the cameras, and wait until all that was received has been processed."""
        reported, gap = self.part.reports, self.part.longest_gap
        for driver in self._drivers.values():
            driver.terminate()  # SIGINT would leave a traceback if it is still starting
            driver.wait(_STOP_SECONDS)
        previous: list[object] = []

        def still() -> bool:
            current = [self._counters(name) for name in self._status]
            if previous and previous[-1][0] < self.part.reports and current == previous[-1][1]:
                return True
            if not previous or previous[-1][0] < self.part.reports:
                previous.append((self.part.reports, current))
            return False

        self._wait(still, _ANSWER_SECONDS, 'an end of the images')
        self.part.counters = {name: self._counters(name) for name in self._status}
        self.part.reports, self.part.longest_gap = reported, gap

    def _counters(self, name: str) -> dict[str, int]:
        return {key: int(self._status[name][key] or 0) for key in ('received', 'lost', *ENDS)}

    def _wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = monotonic() + timeout
        while not condition():
            self._executor.spin_once(timeout_sec=0.05)
            if self._node.poll() is not None:
                raise SystemExit(f'the node ended with exit code {self._node.returncode}')
            if monotonic() > deadline:
                raise SystemExit(f'no {what} within {timeout:g} s')

    def _print(self) -> None:
        counts: Counter[str] = Counter()
        for name in self._status:
            counts.update(self._counters(name))
        newest = self.part.samples[-1] if self.part.samples else None
        share = counts['processed'] / max(counts['received'], 1)
        print(
            f'{self.part.seconds:.0f} s: {newest.memory if newest else 0:.0f} MB, '
            f'{counts["received"]} images, {share:.0%} processed, age '
            f'{newest.age if newest else 0:.0f} ms',
            flush=True,
        )
