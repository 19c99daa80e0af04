# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convert tracks in metres to the messages of people_msgs, which need not be installed."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import Any
from typing import TYPE_CHECKING

from geometry_msgs.msg import Point

from gtr_ros.options import ConfigurationError

if TYPE_CHECKING:
    from geometry_msgs.msg import Vector3

    from gtr_ros.msg import Track3DArray


class PeopleMessages:
    """
    Makes messages of people_msgs.

    :raises ConfigurationError: if that package cannot be imported
    """

    def __init__(self) -> None:
        try:
            messages = import_module('people_msgs.msg')
        except ImportError as error:
            raise ConfigurationError(
                f'people is true, but the package people_msgs cannot be imported ({error}): '
                'install it, or build it in your workspace and source that; or set people to false'
            ) from error
        #: people_msgs.msg.People
        self.kind = messages.People
        self._person = messages.Person

    def make(self, tracks: Track3DArray, class_ids: Collection[str]) -> Any:
        """
        Convert the tracks of people; the others are left out.

        :param class_ids: that people have
        :return: people_msgs/People; name: track id; reliability: score of the newest detection;
            tags: whether it is coasted, and for how many seconds it has been tracked
        """
        return self.kind(
            header=tracks.header,
            people=[
                self._person(
                    name=track.id,
                    position=track.pose.pose.position,
                    velocity=_point(track.twist.twist.linear),
                    reliability=track.score,
                    tagnames=['coasted', 'age'],
                    tags=[str(track.coasted).lower(), f'{track.age:.3f}'],
                )
                for track in tracks.tracks
                if track.class_id in class_ids
            ],
        )


def _point(vector: Vector3) -> Point:
    """Return a velocity as this package stores it: as a point."""
    return Point(x=vector.x, y=vector.y, z=vector.z)
