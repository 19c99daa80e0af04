# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Warn of what the user gave a node and nothing uses: QoS overrides, remappings, parameters."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import sys
from typing import TYPE_CHECKING

from rclpy.exceptions import NameValidationException
from rclpy.expand_topic_name import expand_topic_name

from gtr_ros.node.arguments import suggestion
from gtr_ros.options import without_effect

if TYPE_CHECKING:
    from rclpy.node import Node

    from gtr_ros.options import Options

_QOS = 'qos_overrides.'


def warn_of_unused(
    node: Node,
    optional: Iterable[str] = (),
    words: Sequence[str] | None = None,
    settings: Options | None = None,
) -> None:
    """
    Log a warning for each QoS override, remapping and parameter that has no effect on a node.

    :param node: with all its publishers, subscriptions and services
    :param optional: names that may be remapped although the node does not use them now
    :param words: command line; None: that of the process
    :param settings: parameters, with what they need to have an effect
    """
    for line in without_effect(settings) if settings else ():
        node.get_logger().warning(line)
    declared = [name for name in node.get_parameters_by_prefix('') if name.startswith(_QOS)]
    given = getattr(node, '_parameter_overrides', {})  # rclpy has no public way
    for name in sorted(given):
        if name.startswith(_QOS) and name not in declared:
            text = f'{name} has no effect{suggestion(name, declared)}'
            can = f'; can be overridden: {", ".join(sorted(declared))}' if declared else ''
            node.get_logger().warning(f'{text}{can}')
    used = set(_names_in_use(node))
    for source, target in remappings(sys.argv if words is None else words, node.get_name()):
        if source in optional or _expand(node, target) in used:
            continue
        node.get_logger().warning(
            f'the remapping {source}:={target} has no effect: the node uses no {source}'
            f'{suggestion(source, [*optional, *_NAMES])}'
        )


# Names that users remap, for suggestions.
_NAMES = ('image', 'image/compressed', 'depth', 'camera_info')


def remappings(words: Sequence[str], node_name: str) -> Iterator[tuple[str, str]]:
    """Yield the name and its replacement in each remapping of a topic or service for a node."""
    after_remap = in_ros = False
    for word in words:
        if word in ('--ros-args', '--'):
            in_ros, after_remap = word == '--ros-args', False
        elif in_ros and after_remap:
            after_remap = False
            source, _, target = word.partition(':=')
            owner, _, name = source.rpartition(':')
            # Patterns and substitutions may match anything.
            plain = target and not source.startswith('__') and not set('*{(\\') & set(word)
            if plain and owner in ('', node_name):
                yield name, target
        else:
            after_remap = in_ros and word in ('-r', '--remap')


def _names_in_use(node: Node) -> Iterator[str]:
    for publisher in node.publishers:
        yield publisher.topic_name
    for subscription in node.subscriptions:
        yield subscription.topic_name
    for service in node.services:
        yield getattr(service, 'service_name', None) or service.srv_name


def _expand(node: Node, name: str) -> str:
    try:
        return expand_topic_name(name, node.get_name(), node.get_namespace())
    except (NameValidationException, ValueError):
        return name
