# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes for `benchmarks.following`: whom the tracker's boxes show in each frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gtr_ros import TrackingPipeline
from gtr_ros.data.people import generate
from gtr_ros.data.people import PeopleScene
from gtr_ros.evaluation.following import observe_frame
from gtr_ros.evaluation.following import Observed
from gtr_ros.model.gtr import GTR

#: the cameras of successive seeds
CAMERAS = ('wall', 'stand', 'shake')
#: of the scenes of each script, seconds
SECONDS = {'crossing': 7.5, 'company': 12.0, 'wall': 12.0}


def crossing_scene(kind: str, seed: int) -> PeopleScene:
    """
    Return a scene of six people in which the first one is covered.

    :param kind: a script of `PeopleScene`
    """
    return PeopleScene(
        objects=6,
        camera=CAMERAS[seed % len(CAMERAS)],
        duration=SECONDS[kind],
        occluders=0,
        script=kind,
        seed=seed,
    )


def observe_rendered(scene: PeopleScene, model: GTR) -> Iterator[Observed]:
    """
    Render and track a scene as a node does with its defaults.

    :param model: that finds the people
    """
    people = generate(scene)
    identities = [person.identity for person in people.people]
    pipeline = TrackingPipeline(model, colour='rgb', tentative=True)
    for t in range(len(people)):
        frame, stamp = people.frame(t), int(people.stamps[t])
        tracks = replace(pipeline(frame.image, stamp), trajectories=())
        yield observe_frame(stamp, tracks, frame, identities)
