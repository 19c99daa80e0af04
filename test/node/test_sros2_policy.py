# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SROS 2 policy allows each node what it uses, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree

from paths import REPOSITORY
import pytest

pytest.importorskip('rclpy', reason='needs rclpy')

import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node

from gtr_ros.node.tracker.node import TrackerNode
from gtr_ros.node.video_publisher import VideoPublisher
from gtr_ros.node.viewer.node import WebViewer

SUCCESS = TransitionCallbackReturn.SUCCESS
POLICY = ElementTree.parse(REPOSITORY / 'config' / 'sros2' / 'policy.xml').getroot()


def allowed(node: str) -> dict[str, set[str]]:
    """Return what the policy allows a node: full names by what it may do with them."""
    [profile] = POLICY.findall(f".//enclave[@path='/gtr_ros/{node}']/profiles/profile")
    assert (profile.get('ns'), profile.get('node')) == ('/', node)
    found: dict[str, set[str]] = {}
    for rule in profile:
        [kind] = rule.attrib
        names = (each.text.replace('~', f'/{node}') for each in rule)
        found[kind] = {name if name.startswith('/') else f'/{name}' for name in names}
    return found


def used(node: Node) -> dict[str, set[str]]:
    """Return what a node uses now."""

    def names(endpoints: Iterable[object]) -> set[str]:
        return {getattr(e, 'service_name', None) or e.srv_name for e in endpoints}

    return {
        'publish': {each.topic_name for each in node.publishers},
        'subscribe': {each.topic_name for each in node.subscriptions},
        'reply': names(node.services),
        'request': names(node.clients),
    }


@contextmanager
def ros(**parameters: object) -> Iterator[None]:
    """Initialise rclpy with parameters for all nodes."""
    words = [word for name, value in parameters.items() for word in ('-p', f'{name}:={value}')]
    rclpy.init(args=['--ros-args', *words] if words else [])
    yield
    rclpy.shutdown()


def check(used: dict[str, set[str]], node: str, sometimes: set[str]) -> None:
    # rclpy's own; older distributions lack the last.
    extra = {'/rosout', '/parameter_events', '/clock', f'/{node}/get_type_description'}
    policy = allowed(node)
    for kind in used.keys() | policy.keys():
        names = policy.get(kind, set())
        assert used[kind] - names == set(), f'{node} may not {kind} these'
        assert names - used[kind] - extra - sometimes == set(), f'{node} does not {kind} these'


def test_the_tracker_is_allowed_what_it_uses():
    found: dict[str, set[str]] = {}
    for others in (
        {'detections_topic': 'detections', 'target_frame': 'map'},
        {'image_transport': 'compressed'},
    ):
        with ros(checkpoint='random', runtime='torch', depth='true', **others):
            node = TrackerNode()
            try:
                assert node.trigger_configure() == node.trigger_activate() == SUCCESS
                for kind, names in used(node).items():
                    found.setdefault(kind, set()).update(names)
            finally:
                node.stop()
                node.destroy_node()
    # The listener of transforms has subscriptions of its own; people_msgs may not be installed.
    sometimes = {'/tracker/transition_event', '/tf', '/tf_static', '/tracker/people'}
    check(found, 'tracker', sometimes)


def test_the_video_publisher_is_allowed_what_it_uses():
    with ros():
        node = VideoPublisher('camera', None)
        check(used(node), 'video_publisher', set())
        node.destroy_node()


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_the_viewer_is_allowed_what_it_uses(transport):
    with ros(image_transport=transport):
        node = WebViewer()
        node._subscribe()  # as while a browser is connected
        check(used(node), 'web_viewer', {'/image', '/image/compressed'})
        node._open_subscriptions.clear()
        node._extra_subscriptions.clear()
        node.destroy_node()
