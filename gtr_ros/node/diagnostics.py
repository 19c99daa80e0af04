# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node says about itself: a diagnostics message, and why no image arrives."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import re

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
from rclpy.qos import qos_check_compatible
from rclpy.qos import QoSCompatibility
from rclpy.qos import QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo


def diagnostics_message(
    name: str,
    stamp: Time,
    level: bytes,
    summary: str,
    values: Mapping[str, object],
) -> DiagnosticArray:
    """Put one status, its values as text, into a message for /diagnostics."""
    status = DiagnosticStatus(
        level=level,
        name=name,
        message=summary,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp
    return message


def explain_silence(
    topic: str,
    expected_type: str,
    qos: QoSProfile,
    publishers: Iterable[TopicEndpointInfo],
) -> str:
    """
    Say why no image may be arriving on a topic.

    :param topic: the topic's full name
    :param expected_type: the type subscribed to, such as 'sensor_msgs/msg/Image'
    :param qos: the subscription's QoS
    :param publishers: what publishes on the topic now
    """
    publishers = list(publishers)
    if not publishers:
        return (
            f'no image on {topic}: nobody publishes there. Is the camera running, and is '
            "'image' remapped to its topic (image_topic:=... of the launch file)?"
        )
    reasons = []
    for publisher in publishers:
        who = f'{publisher.node_namespace.rstrip("/")}/{publisher.node_name}'
        if publisher.topic_type != expected_type:
            reasons.append(f'{who} publishes {publisher.topic_type} there, not {expected_type}')
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
    return f'no image on {topic}, publishers there: {len(publishers)}; {"; ".join(reasons)}'


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
