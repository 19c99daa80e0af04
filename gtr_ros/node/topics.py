# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Diagnosis of why no messages arrive on a topic, or those of another node."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any
from typing import TYPE_CHECKING

from rclpy.exceptions import InvalidTopicNameException
from rclpy.exceptions import ParameterException
from rclpy.qos import qos_check_compatible
from rclpy.qos import QoSCompatibility
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import InvalidQosOverridesError
from rclpy.qos_overriding_options import QosCallbackResult
from rclpy.qos_overriding_options import QoSOverridingOptions

from gtr_ros.options import ConfigurationError

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.subscription import Subscription
    from rclpy.topic_endpoint_info import TopicEndpointInfo

_MOST_MESSAGES = 100_000  # depth of a QoS; the middleware refuses much larger ones


def overridable(qos: QoSProfile) -> dict[str, Any]:
    """
    Return arguments for a publisher or subscription whose QoS parameters may override.

    rclpy writes the overrides into the profile that it is given, so each has a profile of its own.
    """
    options = QoSOverridingOptions.with_default_policies(callback=_check_qos)
    return {'qos_profile': copy(qos), 'qos_overriding_options': options}


def _check_qos(qos: QoSProfile) -> QosCallbackResult:
    result = QosCallbackResult()
    result.successful = 0 <= qos.depth <= _MOST_MESSAGES
    if not result.successful:
        result.reason = f'depth is {qos.depth}; expected 0 to {_MOST_MESSAGES}'
    return result


@contextmanager
def qos_overrides_checked() -> Iterator[None]:
    """
    Create publishers or subscriptions whose QoS the user may override by parameters.

    :raises ConfigurationError: if an override is invalid, or the name of a topic
    """
    try:
        yield
    except InvalidTopicNameException as error:
        reason, name, *_ = str(error).strip().splitlines()
        raise ConfigurationError(
            f'{name.strip()} cannot be a topic. {reason.rstrip(":")}. Correct the parameter or '
            'the remapping that has it'
        ) from error
    except ValueError as error:
        if 'topic name' not in str(error):
            raise
        raise ConfigurationError(f'{error}; correct the parameter that has it') from error
    except (ParameterException, InvalidQosOverridesError) as error:
        raise ConfigurationError(str(error)) from error
    except RuntimeError as error:
        if 'QoS override' not in str(error):
            raise
        raise ConfigurationError(
            f'{error}; expected a name of that policy in lower case, such as reliable or '
            'best_effort for reliability'
        ) from error


def explain_namesakes(node: Node) -> str:
    """Return what is wrong if other nodes have this node's full name; empty: none has."""
    name = node.get_fully_qualified_name()
    names = [f'{space.rstrip("/")}/{base}' for base, space in node.get_node_names_and_namespaces()]
    others = names.count(name) - 1
    if others <= 0:
        return ''
    return (
        f'{others} other nodes are also named {name}: their topics and services are mixed up with '
        'those of this one. End them, or start this one under another name or namespace '
        '(-r __ns:=/other)'
    )


def explain_clock(node: Node) -> str:
    """Return what is wrong if a node waits for simulated time; empty: it does not."""
    clock = node.get_clock()
    if not clock.ros_time_is_active or clock.now().nanoseconds:
        return ''
    return (
        'use_sim_time is true, but nothing was published on /clock: images are tracked, but their '
        'age is unknown, and a clock that begins again is not noticed. Start the simulator, play '
        'the bag with --clock, or set use_sim_time to false'
    )


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
