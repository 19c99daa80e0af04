# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Diagnosis of why no messages arrive on a topic."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rclpy.exceptions import ParameterException
from rclpy.qos import qos_check_compatible
from rclpy.qos import QoSCompatibility

from gtr_ros.options import ConfigurationError

if TYPE_CHECKING:
    from rclpy.subscription import Subscription
    from rclpy.topic_endpoint_info import TopicEndpointInfo


@contextmanager
def qos_overrides_checked() -> Iterator[None]:
    """
    Create publishers or subscriptions whose QoS the user may override by parameters.

    :raises ConfigurationError: if an override is invalid
    """
    try:
        yield
    except ParameterException as error:
        raise ConfigurationError(str(error)) from error
    except RuntimeError as error:
        if 'QoS override' not in str(error):
            raise
        raise ConfigurationError(
            f'{error}; expected a name of that policy in lower case, such as reliable or '
            'best_effort for reliability'
        ) from error


def explain_silence(
    content: str,
    subscription: Subscription,
    publishers: Iterable[TopicEndpointInfo],
    hint: str,
) -> str:
    """
    Return possible reasons why no messages arrive on a topic.

    :param content: what is expected on the topic, such as 'image'
    :param publishers: of the topic at present
    :param hint: what to check if there are none
    """
    topic, qos = subscription.topic_name, subscription.qos_profile
    expected = _type_name(subscription.msg_type)
    publishers = list(publishers)
    if not publishers:
        return f'no {content} on {topic}: no node publishes {expected} there. {hint}'
    reasons = []
    for publisher in publishers:
        name = f'{publisher.node_namespace.rstrip("/")}/{publisher.node_name}'
        if publisher.topic_type != expected:
            reasons.append(f'{name} publishes {publisher.topic_type} there, not {expected}')
            continue
        compatibility, reason = qos_check_compatible(publisher.qos_profile, qos)
        # A warning only means that one side leaves a policy unspecified.
        if compatibility == QoSCompatibility.ERROR:
            offered = publisher.qos_profile
            reasons.append(
                f"{name}'s QoS ({offered.reliability.name}, {offered.durability.name}) is "
                f'incompatible with this subscription ({qos.reliability.name}, '
                f'{qos.durability.name}): {reason}'
            )
    if not reasons:
        reasons.append(
            'type and QoS match, but nothing is sent, or the messages are lost: large ones need '
            'larger buffers, see docs/troubleshooting.md'
        )
    return f'no {content} on {topic}, publishers there: {len(publishers)}; {"; ".join(reasons)}'


def _type_name(kind: type) -> str:
    """Return the name of a message type, such as 'sensor_msgs/msg/Image'."""
    package, folder, *_ = kind.__module__.split('.')
    return f'{package}/{folder}/{kind.__name__}'
