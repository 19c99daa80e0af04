# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node compares the colours of the image when it follows, over DDS."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from faults import ids_of
from faults import Mark
from faults import rig
from faults import scene
from node_processes import ros_environment
import numpy as np
from vision_msgs.msg import Detection2DArray

from gtr_ros.msg import FollowedState
from gtr_ros.srv import Follow

pytestmark = pytest.mark.ros

_IMAGES = 30  # after which new objects are confirmed, and an exchange is certain


def test_people_whose_features_are_alike_are_told_apart_by_their_clothes():
    """They exchange their places; the tracker gives each the id of the other."""
    image = scene(Mark.ALIKE)
    exchanged = image.copy()
    dressed = image.max(axis=2) > Mark.ALIKE
    exchanged[dressed] = image[dressed][:, ::-1]
    with ros_environment(), rig('/dressed') as running:
        user, prefix = running.user, '/dressed/tracker'
        states = user.subscribe(FollowedState, f'{prefix}/left/followed/state')

        def show(image: np.ndarray) -> Detection2DArray:
            for _ in range(_IMAGES):
                found = running.exchange('left', image)
            return found

        def followed(found: Detection2DArray) -> str:
            assert user.spin_until(lambda: states and states[-1].header == found.header)
            return states[-1].id

        first, second = ids_of(show(image))
        answer = user.call(Follow, f'{prefix}/follow', id=str(first), camera='left')
        assert answer.success, answer.message
        assert followed(show(image)) == str(first)
        found = show(exchanged)
        assert ids_of(found) == [first, second], 'the tracker sees no difference'
        assert followed(found) == str(second)
