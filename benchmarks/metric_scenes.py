# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes of rendered people for `benchmarks.metric`: what a tracker finds, and what is true."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
import math

import numpy as np

from gtr_ros import TrackingPipeline
from gtr_ros.boxes import box_iou
from gtr_ros.boxes import clip_boxes
from gtr_ros.data.people import generate
from gtr_ros.data.people import People
from gtr_ros.data.people import PeopleScene
from gtr_ros.data.people.rendering import Frame
from gtr_ros.node.messages.depth import find_surface
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks
from gtr_ros.tracking.upper_body import upper_middles

#: metres between the lenses of the simulated stereo camera
_BASELINE = 0.05
#: its errors of the disparity, pixels: of blocks of 16 x 16 pixels, and of single pixels
_BLOCK_ERROR, _PIXEL_ERROR = 0.08, 0.1
#: depths that it does not measure: beyond this distance, metres, and this share of all
_LONGEST, _HOLES = 10.0, 0.1
#: seconds over which true velocities are computed
_SPAN = 0.1
#: metres that a person can move in 0.05 s; whoever moves farther was put elsewhere, out of view
_JUMP = 0.5


@dataclass(frozen=True, eq=False)
class Record:
    """
    One frame of a scene: what the tracker found, and what is true for the P people in the image.

    :param stamp: nanoseconds
    :param camera: (4, 4), from the optical frame to the world
    :param focal: pixels; the principal point is the middle of the image
    :param size: (height, width), pixels
    :param tracks: the confirmed tracks
    :param surfaces: by kind of depth, (N, 3): distance and extent of each track's surface, metres;
        x of its upper body, pixels
    :param people: (P,) identities
    :param boxes: (P, 4) of the whole bodies, xyxy, pixels
    :param visibility: (P,) in [0, 1]
    :param positions: (P, 3) metres
    :param velocities: (P, 2) m/s; nan where somebody was put elsewhere
    :param upright: (P,) bool; the others sit or bend down, so that they are not above their feet
    """

    stamp: int
    camera: np.ndarray
    focal: float
    size: tuple[int, int]
    tracks: Tracks
    surfaces: dict[str, np.ndarray]
    people: np.ndarray
    boxes: np.ndarray
    visibility: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    upright: np.ndarray


def record(scene: PeopleScene, pipeline: TrackingPipeline) -> list[Record]:
    """Render and track a scene."""
    people, stream = generate(scene), np.random.default_rng([scene.seed, 1])
    records = []
    for t in range(len(people)):
        frame, stamp = people.frame(t), int(people.stamps[t])
        tracks = pipeline(frame.image, stamp, colour='rgb')
        focal = float(frame.intrinsics[0, 0])
        depths = {
            'depth': np.where(np.isfinite(frame.depth), frame.depth, np.nan).astype(np.float32),
            'stereo': stereo(frame.depth, focal, stream),
        }
        positions, velocities, upright = truth_of(people, frame, stamp / NANOSECONDS)
        records.append(
            Record(
                stamp=stamp,
                camera=frame.camera,
                focal=focal,
                size=scene.size,
                tracks=replace(tracks, trajectories=()),
                surfaces={name: surfaces_of(d, tracks.boxes) for name, d in depths.items()},
                people=frame.ids,
                boxes=frame.full_boxes,
                visibility=frame.visibility,
                positions=positions,
                velocities=velocities,
                upright=upright,
            )
        )
    return records


def surfaces_of(depth: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return `Record.surfaces` of a depth image that is as large as the image."""
    found = [find_surface(depth, box.astype(np.float64)) for box in boxes]
    rows = [(math.nan, math.nan) if surface is None else surface for surface in found]
    surfaces = np.array(rows, np.float64).reshape(-1, 2)
    middles = upper_middles(depth, boxes, surfaces[:, 0], depth.shape)
    return np.column_stack([surfaces, middles])


def stereo(depth: np.ndarray, focal: float, stream: np.random.Generator) -> np.ndarray:
    """Return what a stereo camera measures, (H, W) float32, metres, nan where it sees nothing."""
    rows, columns = (-(-side // 16) for side in depth.shape)
    blocks = stream.normal(0, _BLOCK_ERROR, (rows, columns)).repeat(16, 0).repeat(16, 1)
    error = blocks[: depth.shape[0], : depth.shape[1]] + stream.normal(
        0, _PIXEL_ERROR, depth.shape
    )
    measured = focal * _BASELINE / np.maximum(focal * _BASELINE / depth + error, 1e-3)
    measured[(measured > _LONGEST) | (stream.random(depth.shape) < _HOLES)] = np.nan
    return measured.round(3).astype(np.float32)


def truth_of(
    people: People, frame: Frame, seconds: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a frame's people: positions, (P, 3), velocities, (P, 2), and who is upright, (P,)."""
    rows = {person.identity: i for i, person in enumerate(people.people)}
    chosen = [rows[i] for i in frame.ids.tolist()]
    moment = people.world.at(seconds)
    ground = moment.positions[chosen].reshape(-1, 2)
    before = max(seconds - _SPAN / 2, 0.0)
    step = (
        people.world.at(before + _SPAN).positions[chosen]
        - people.world.at(before).positions[chosen]
    ).reshape(-1, 2)
    step[np.abs(step).max(axis=1, initial=0) > _JUMP] = np.nan
    # As high as the middle of the body's box is, seen at the person's distance.
    to_camera = np.linalg.inv(frame.camera)
    focal, (cx, cy) = frame.intrinsics[0, 0], frame.intrinsics[:2, 2]
    distance = (np.column_stack([ground, np.full(len(ground), 0.9)]) @ to_camera[2, :3]) + (
        to_camera[2, 3]
    )
    u, v = (frame.full_boxes[:, :2] + frame.full_boxes[:, 2:]).T / 2
    rays = np.column_stack([(u - cx) / focal, (v - cy) / focal, np.ones(len(ground))])
    middle = (rays * distance[:, None]) @ frame.camera[:3, :3].T + frame.camera[:3, 3]
    positions = np.column_stack([ground, middle[:, 2]])
    return positions, step / _SPAN, moment.shares[chosen] == 0


def chosen_scenes(
    parser: ArgumentParser, seeds: Mapping[str, Iterable[int]], scene: str, default: str
) -> list[PeopleScene]:
    """
    Return the scenes that the command line asks for; an invalid one ends the program.

    :param seeds: of the scenes by default, by camera
    :param scene: their other parameters
    :param default: a description of these scenes
    """
    parser.add_argument(
        '--scenes',
        nargs='+',
        metavar='SCENE',
        help=f'such as people:camera=drive,seed=7 (default: {default})',
    )
    texts = parser.parse_args().scenes or [
        f'people:camera={camera},{scene},seed={seed}'
        for camera, values in seeds.items()
        for seed in values
    ]
    try:
        return [PeopleScene.parse(text) for text in texts]
    except ValueError as error:
        parser.error(str(error))


def match(entry: Record) -> np.ndarray:
    """
    Return for each track the row of the person that it shows, -1: none.

    Of the people whose box overlaps that of the track by half, it is the one that is seen best.
    """
    rows = np.full(len(entry.tracks), -1)
    if len(entry.people) and len(rows):
        whole = clip_boxes(entry.boxes, entry.size)
        overlap = box_iou(entry.tracks.boxes.astype(np.float64), whole)
        seen = np.where(overlap >= 0.5, overlap * entry.visibility, 0)
        rows = np.where(seen.max(axis=1) > 0, seen.argmax(axis=1), -1)
    return rows
