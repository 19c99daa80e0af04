# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node says about itself: a camera's diagnostics, and why no image arrives."""

from __future__ import annotations

from collections.abc import Iterable
import re
from time import monotonic
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
from rclpy.qos import qos_check_compatible
from rclpy.qos import QoSCompatibility

if TYPE_CHECKING:
    from rclpy.subscription import Subscription
    from rclpy.topic_endpoint_info import TopicEndpointInfo

    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.node.tracker.pipeline import Pipeline
    from gtr_ros.node.tracker.steps import Camera
    from gtr_ros.node.tracker.worker import Worker
    from gtr_ros.profiling import Profiler
    from gtr_ros.tracking.recognition import Return

#: without anything to track, until it is said
SILENCE_SECONDS = 5.0


class CameraReport:
    """
    Makes the diagnostics of one camera, from one time to the next.

    :param name: of the camera; '' is the one without
    :param profiler: of all cameras
    """

    def __init__(
        self,
        name: str,
        camera: Camera,
        worker: Worker,
        pipeline: Pipeline,
        profiler: Profiler,
    ) -> None:
        self._name = name
        self._camera = camera
        self._worker = worker
        self._pipeline = pipeline
        self._profiler = profiler
        self._time = monotonic()
        self._received = camera.inputs.arrivals.received
        self._processed = self._failed = 0

    def make(
        self, node: str, settings: NodeParameters, enabled: bool
    ) -> tuple[DiagnosticStatus, str]:
        """
        Say how it is going since the last time.

        :param node: its full name
        :return: the status, and what is to be warned of in the log, if anything
        """
        inputs, counts = self._camera.inputs, self._worker.counts[self._name]
        events = self._pipeline.events(self._name)
        arrivals, age, now = inputs.arrivals, self._camera.age, monotonic()
        elapsed = max(now - self._time, 1e-6)
        rate_in = (arrivals.received - self._received) / elapsed
        processed, failed = counts.processed - self._processed, counts.failed - self._failed
        rate = processed / elapsed
        self._time, self._received = now, arrivals.received
        self._processed, self._failed = counts.processed, counts.failed
        level, summary, warning = DiagnosticStatus.OK, f'tracking at {rate:.1f} frames/s', ''
        if not enabled:
            summary = 'disabled by ~/enable'
        elif now - arrivals.last >= SILENCE_SECONDS:
            level, summary = DiagnosticStatus.WARN, inputs.explain_silence()
            warning = summary
        elif settings.max_age and processed and age > settings.max_age:
            level = DiagnosticStatus.WARN
            summary = (
                f'detections on {inputs.topic} are {age:.2f} s old when they are published, more '
                f'than max_age {settings.max_age:g} s. Are stamps and clocks right, is the model '
                'too slow here?'
            )
            warning = summary
        if failed:
            level = DiagnosticStatus.ERROR
            summary = f'{failed} images failed: {counts.last_error}'
        values = {
            'topic': inputs.topic,
            'model': settings.model,
            'device': self._pipeline.place,
            'device_memory_mb': self._pipeline.device_megabytes,
            'association': self._pipeline.association,
            'rate_in_hz': f'{rate_in:.2f}',
            'rate_hz': f'{rate:.2f}',
            'received': arrivals.received,
            'processed': counts.processed,
            'dropped': self._worker.dropped(self._name),
            'skipped': arrivals.skipped,
            'unmatched': inputs.unmatched,
            'failed': counts.failed,
            'without_stamp': self._camera.without_stamp,
            'repaired_stamps': events.repaired_stamps,
            'without_depth': self._camera.without_depth,
            'resets': events.resets,
            'returns': events.returns,
            'last_return': _text_of(events.last_return),
            'last_error': counts.last_error,
            'processing_ms': f'{1e3 * counts.busy_seconds:.1f}',
            'age_ms': f'{1e3 * age:.1f}',
        }
        for lap, median in self._profiler.medians().items():
            values[f'profile.{lap}_ms'] = f'{median:.2f}'
        status = DiagnosticStatus(
            level=level,
            name=f'{node}: {self._name or "tracker"}',
            message=summary,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        return status, warning


def _text_of(back: Return | None) -> str:
    """Say who came back; '': nobody."""
    return f'id {back.id} after {back.away:.1f} s' if back else ''


def explain_silence(
    what: str,
    subscription: Subscription,
    publishers: Iterable[TopicEndpointInfo],
    way_out: str,
) -> str:
    """
    Say why nothing may be arriving on a topic.

    :param what: is expected there, in a word
    :param publishers: what publishes on the topic now
    :param way_out: what to look at if nobody does
    """
    topic, qos = subscription.topic_name, subscription.qos_profile
    expected = _type_name(subscription.msg_type)
    publishers = list(publishers)
    if not publishers:
        return f'no {what} on {topic}: nobody publishes {expected} there. {way_out}'
    reasons = []
    for publisher in publishers:
        who = f'{publisher.node_namespace.rstrip("/")}/{publisher.node_name}'
        if publisher.topic_type != expected:
            reasons.append(f'{who} publishes {publisher.topic_type} there, not {expected}')
            continue
        compatibility, reason = qos_check_compatible(publisher.qos_profile, qos)
        # A warning only says that one side leaves a policy open.
        if compatibility == QoSCompatibility.ERROR:
            offered = publisher.qos_profile
            reasons.append(
                f"{who}'s QoS ({offered.reliability.name}, {offered.durability.name}) does not "
                f'fit this subscription ({qos.reliability.name}, {qos.durability.name}): {reason}'
            )
    if not reasons:
        reasons.append('their type and QoS fit, but they send nothing, or it is lost on the way')
    return f'no {what} on {topic}, publishers there: {len(publishers)}; {"; ".join(reasons)}'


def _type_name(kind: type) -> str:
    """Return a message type's name, such as 'sensor_msgs/msg/Image'."""
    package, folder, *_ = kind.__module__.split('.')
    return f'{package}/{folder}/{kind.__name__}'


class Throttle:
    """
    Lets each kind of message through once in a while; messages that differ in numbers are one.

    :param seconds: how long a kind is held back after it was let through
    """

    _KINDS = 64

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._times: dict[str, float] = {}

    def admits(self, text: str, now: float) -> bool:
        """
        Say whether this text may be logged at this time.

        :param now: seconds of a steady clock
        """
        kind = re.sub(r'\d+', '#', text)
        last = self._times.get(kind)
        if last is not None and now - last < self._seconds:
            return False
        if len(self._times) >= self._KINDS:
            self._times.clear()
        self._times[kind] = now
        return True
