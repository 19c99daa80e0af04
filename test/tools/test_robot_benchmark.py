# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of rendered drives: its bag is what drivers record, and its figures are right."""

from __future__ import annotations

from array import array
from dataclasses import replace
import re
import subprocess
import sys

import numpy as np
from opengl import needs_opengl
from paths import REPOSITORY
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from benchmarks.metric_scenes import Record
from benchmarks.robot import main
from benchmarks.robot import table_of
from benchmarks.robot_bag import BASE
from benchmarks.robot_bag import COLOUR
from benchmarks.robot_bag import DEPTH
from benchmarks.robot_bag import INFO
from benchmarks.robot_bag import ODOM
from benchmarks.robot_bag import OPTICAL
from benchmarks.robot_bag import START
from benchmarks.robot_bag import write_drive
from benchmarks.robot_events import choose_zones
from benchmarks.robot_events import Matched
from benchmarks.robot_figures import DriveFigures
from benchmarks.robot_figures import figures_of_drive
from benchmarks.robot_run import Heard
from benchmarks.robot_truth import choose_person
from benchmarks.robot_truth import Everybody
from benchmarks.robot_truth import pixel_of
from gtr_ros.data.formats.bag_messages import typestore
from gtr_ros.data.people import generate
from gtr_ros.data.people import PeopleScene
from gtr_ros.msg import Counts
from gtr_ros.msg import FollowedState
from gtr_ros.msg import LineCount
from gtr_ros.msg import TrackEvent
from gtr_ros.msg import TrackEventArray
from gtr_ros.msg import ZoneCount
from gtr_ros.node.messages.tracks import detections_message
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.node.messages.tracks_3d import tracks_3d_messages
from gtr_ros.srv import Follow
from gtr_ros.structures import Tracks
from gtr_ros.tracking.events import Kind
from gtr_ros.tracking.footprints import POINT
from gtr_ros.tracking.metric import MetricState
from gtr_ros.tracking.zones import Zone

FOCAL, SIZE, HEIGHT = 500.0, (480, 640), 1.0
STEP, IMAGES = 100_000_000, 50
#: level, looking along x
POSE = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, HEIGHT], [0, 0, 0, 1]], float)
ANNA, BERT = 0, 7
#: ids of their tracks
IDS = {ANNA: 3, BERT: 5}
AREA = Zone('area', 'area', np.array([[3, -1], [5, -1], [5, 0], [3, 0.0]]), 'metre', margin=0.2)
LINE = Zone('line', 'line', np.array([[3, 0.5], [5, 0.5]]), 'metre', margin=0.2)


def record_of(t: int, people: dict[int, tuple[float, float]]) -> Record:
    """Return the truth of an image in which people walk to the left, 1 m/s."""
    places = np.array(list(people.values()), float).reshape(-1, 2)
    x, y = places.T
    left, right = (320 - FOCAL * (y + s) / x for s in (0.25, -0.25))
    boxes = np.column_stack([left, 240 - FOCAL * 0.7 / x, right, 240 + FOCAL * HEIGHT / x])
    nothing = np.zeros(0)
    return Record(
        stamp=START + t * STEP,
        camera=POSE,
        focal=FOCAL,
        size=SIZE,
        tracks=Tracks(
            nothing.astype(np.int64),
            np.zeros((0, 4), np.float32),
            nothing.astype(np.float32),
            nothing.astype(np.int64),
            nothing.astype(bool),
        ),
        surfaces={},
        people=np.array(list(people), np.int64),
        boxes=boxes,
        visibility=np.ones(len(places)),
        positions=np.column_stack([places, np.full(len(places), 0.85)]),
        velocities=np.tile([0.0, 1.0], (len(places), 1)),
        upright=np.ones(len(places), bool),
    )


def place_of(person: int, t: int) -> tuple[float, float]:
    return {ANNA: (4.0, t / 10 - 2.4), BERT: (6.5, t / 10 - 1.0)}[person]


TRUTH = [record_of(t, {i: place_of(i, t) for i in IDS}) for t in range(IMAGES)]
EVERYBODY = Everybody(
    np.array(list(IDS)), np.array([[place_of(i, t) for i in IDS] for t in range(IMAGES)])
)


def heard_of(ids=lambda t: IDS, shift: float = 0.0, events=()) -> Heard:
    """
    Return what a node publishes that is right but for what the test changes.

    :param ids: returns the track of each person in an image
    :param shift: error of all positions along x, metres
    :param events: (image, kind, person, zone, direction) each
    """
    heard = Heard(status={'received': '50'}, asked=TRUTH[10].stamp)
    heard.answer = Follow.Response(success=True, id=str(IDS[ANNA]))
    kept = heard.messages
    for t, record in enumerate(TRUTH):
        header = Header(stamp=nanoseconds_to_stamp(record.stamp), frame_id=ODOM)
        own = np.array([ids(t)[person] for person in record.people.tolist()])
        count = len(own)
        scores, labels = np.full(count, 0.9, np.float32), np.zeros(count, np.int64)
        boxes = record.boxes.astype(np.float32)
        tracks = Tracks(own, boxes, scores, labels, np.ones(count, bool))
        kept['detections'].append(detections_message(tracks, header, ['person']))
        positions = record.positions + np.array([shift, 0, 0])
        state = MetricState(
            ids=own,
            labels=labels,
            scores=scores,
            positions=positions,
            velocities=np.tile([0.0, 1.0, 0.0], (count, 1)),
            covariances=np.tile(0.01 * np.eye(6), (count, 1, 1)),
            sizes=np.tile([0.5, 1.7], (count, 1)),
            unobserved=np.zeros(count),
            ages=np.full(count, t / 10),
        )
        placed, moving = tracks_3d_messages(state, header, ['person'])
        kept['tracks_3d'].append(placed)
        kept['tracks_with_velocity'].append(moving)
        points = np.zeros(count, POINT)
        points['x'], points['y'], points['id'] = *positions[:, :2].T, own
        data = array('B', points.tobytes())
        kept['obstacles'].append(PointCloud2(header=header, width=count, data=data))
        state = FollowedState.FOLLOWING if t >= 10 else FollowedState.NONE
        kept['followed/state'].append(FollowedState(header=header, state=state, id='3'))
        for image, kind, person, zone, direction in events:
            if image == t:
                event = TrackEvent(kind=kind, id=str(IDS[person]), zone=zone, direction=direction)
                kept['events'].append(TrackEventArray(header=header, events=[event]))
    kept['counts'].append(
        Counts(
            zones=[ZoneCount(zone='area', entered=1, left=1)],
            lines=[LineCount(line='line', right_to_left=1)],
        )
    )
    return heard


#: Anna enters at y = -1, leaves at 0.2 and crosses at 0.7
EVENTS = (
    (15, TrackEvent.ENTERED_ZONE, ANNA, 'area', ''),
    (26, TrackEvent.LEFT_ZONE, ANNA, 'area', ''),
    (32, TrackEvent.CROSSED_LINE, ANNA, 'line', 'right_to_left'),
)


def figures(heard: Heard, person: int | None = ANNA) -> DriveFigures:
    return figures_of_drive(TRUTH, heard, [AREA, LINE], person, EVERYBODY)


def test_a_node_without_errors_has_none():
    found = figures(heard_of(events=EVENTS))
    assert found.images == IMAGES
    assert found.placed == (IMAGES, IMAGES)
    assert found.metric.count == 2 * IMAGES
    assert found.metric.rms == pytest.approx(0, abs=1e-6)
    assert found.metric.speed == pytest.approx(0, abs=1e-6)
    assert (found.coasted, found.same, found.counted) == (0, True, True)
    assert (found.outlined, found.empty) == (1, 0)
    assert found.followed.hand_overs == 0
    assert found.followed.followed == pytest.approx(found.followed.seen) == pytest.approx(3.9)
    assert found.events == dict.fromkeys(found.events, Matched(1, 1, 0, 0))
    assert set(found.events) == {Kind.ENTERED_ZONE, Kind.LEFT_ZONE, Kind.CROSSED_LINE}
    rows = table_of({'seed 1': found})
    assert rows.row_count > 20


def test_positions_that_are_wrong_are_measured_and_are_outlines_of_nobody():
    found = figures(heard_of(shift=1.0))
    assert found.metric.median == found.metric.rms == pytest.approx(1.0)
    assert found.metric.ground == 0
    assert (found.outlined, found.empty) == (0, 1)


def test_events_that_are_missing_late_or_of_somebody_else_are_told_apart():
    late = (18, TrackEvent.LEFT_ZONE, ANNA, 'area', '')  # Anna is still in it
    wrong = (32, TrackEvent.CROSSED_LINE, BERT, 'line', 'right_to_left')
    slow = (23, TrackEvent.ENTERED_ZONE, ANNA, 'area', '')  # it is true, a second later
    found = figures(heard_of(events=[late, wrong, slow]))
    assert found.events == {
        Kind.ENTERED_ZONE: Matched(1, 1, 0, 0),
        Kind.LEFT_ZONE: Matched(1, 1, 0, 0),
        Kind.CROSSED_LINE: Matched(1, 0, 0, 1),
    }
    later = (25, TrackEvent.ENTERED_ZONE, ANNA, 'area', '')
    early = (10, TrackEvent.LEFT_ZONE, ANNA, 'area', '')
    found = figures(heard_of(events=[early, later]))
    assert found.events[Kind.ENTERED_ZONE] == Matched(1, 0, 1, 0)
    assert found.events[Kind.LEFT_ZONE] == Matched(1, 0, 1, 0)
    assert not found.counted


@pytest.mark.parametrize(('images', 'hand_overs'), [(5, 0), (6, 1), (20, 1)])
def test_another_person_with_the_id_for_half_a_second_is_a_hand_over(images, hand_overs):
    exchanged = {ANNA: 5, BERT: 3}
    found = figures(heard_of(lambda t: exchanged if 20 <= t < 20 + images else IDS))
    assert found.followed.hand_overs == hand_overs
    assert found.followed.followed == pytest.approx(3.9 - images / 10)


def test_without_somebody_to_follow_or_an_answer_nobody_is_followed():
    assert figures(heard_of(), None).followed is None
    heard = heard_of()
    heard.answer = Follow.Response(success=False)
    assert figures(heard).followed is None


def test_zones_are_where_something_must_be_reported():
    area, line = choose_zones(TRUTH, EVERYBODY)
    assert (area.kind, line.kind) == ('area', 'line')
    due = figures_of_drive(TRUTH, heard_of(), [area, line], None, EVERYBODY).events
    assert all(due[kind].due for kind in due)


def test_who_is_hidden_between_two_views_is_followed_and_chosen_by_a_pixel_that_only_they_have():
    hidden = [
        replace(record, visibility=np.array([1.0, 0.0 if 25 <= t < 35 else 1.0]))
        for t, record in enumerate(TRUTH)
    ]
    assert choose_person(hidden) == BERT
    record = TRUTH[0]
    tracks = Tracks(
        ids=np.array([5]),
        boxes=record.boxes[1:].astype(np.float32),
        scores=np.ones(1, np.float32),
        labels=np.zeros(1, np.int64),
        confirmed=np.ones(1, bool),
    )
    x, y = pixel_of(replace(record, tracks=tracks), BERT)
    assert (x, y) == pytest.approx((320 + FOCAL / 6.5, 240 + FOCAL * 0.15 / 6.5))
    assert pixel_of(replace(record, tracks=tracks), ANNA) is None
    # A second box that overlaps it.
    two = replace(
        tracks,
        ids=np.array([5, 6]),
        boxes=np.concatenate([tracks.boxes, tracks.boxes + 5]),
        scores=np.ones(2, np.float32),
        labels=np.zeros(2, np.int64),
        confirmed=np.ones(2, bool),
    )
    assert pixel_of(replace(record, tracks=two), BERT) is None


@needs_opengl
def test_the_bag_has_what_drivers_publish_and_its_transforms_give_the_camera(tmp_path):
    scene = PeopleScene.parse('people:camera=drive,objects=2,rate=10,duration=0.3,size=96x128')
    truth = write_drive(tmp_path / 'bag', generate(scene))
    store, found = typestore(), {}
    with Reader(tmp_path / 'bag') as reader:
        for connection, received, data in reader.messages():
            message = store.deserialize_cdr(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((received, message))
        [static] = [c for c in reader.connections if c.topic == '/tf_static']
    assert static.ext.offered_qos_profiles[0].durability == QosDurability.TRANSIENT_LOCAL
    assert {topic: len(found[topic]) for topic in (COLOUR, DEPTH, INFO)} == dict.fromkeys(
        (COLOUR, DEPTH, INFO), 3
    )
    [(_, mount)] = found['/tf_static']
    moves = {stamp_of(m.transforms[0]): matrix_of(m, ODOM, BASE) for _, m in found['/tf']}
    for record, (received, image) in zip(truth, found[COLOUR], strict=True):
        assert stamp_of(image) == record.stamp < received
        assert (image.width, image.height, image.encoding) == (128, 96, 'rgb8')
        pose = moves[record.stamp] @ matrix_of(mount, BASE, OPTICAL)
        np.testing.assert_allclose(pose, record.camera, atol=1e-9)
    info, depth = found[INFO][0][1], found[DEPTH][0][1]
    assert info.k[0] == pytest.approx(truth[0].focal)
    # Calibrations count from the centre of the first pixel.
    assert (info.k[2], info.k[5]) == (63.5, 47.5)
    assert (depth.encoding, depth.step, len(depth.data)) == ('16UC1', 256, 256 * 96)


def stamp_of(message) -> int:
    stamp = message.header.stamp
    return stamp.sec * 10**9 + stamp.nanosec


def matrix_of(message, parent: str, child: str) -> np.ndarray:
    [stamped] = message.transforms
    assert (stamped.header.frame_id, stamped.child_frame_id) == (parent, child)
    shift, turn = stamped.transform.translation, stamped.transform.rotation
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
    pose[:3, 3] = shift.x, shift.y, shift.z
    return pose


def bench(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'benchmarks.robot', *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=550)


@pytest.mark.slow
@needs_opengl
def test_a_drive_goes_through_the_node_and_every_output_is_compared(tmp_path):
    scene = 'people:camera=drive,objects=5,fov=69,rate=10,duration=6,size=240x320,seed=3'
    arguments = ['--only', '--speed', '0.25', '--keep', str(tmp_path), '--scenes', scene]
    run = bench(*arguments)
    assert run.returncode == 0, run.stdout + run.stderr

    def values(row: str) -> list[float]:
        [line] = [line for line in run.stdout.splitlines() if row in line]
        return [float(text) for text in re.findall(r'-?\d+\.?\d*', line.split('│')[2])]

    assert values('images played') == [60]
    assert values('images processed')[0] > 40
    assert values('positions compared')[0] > 40
    median, rms = values('position error')
    assert 0.02 < median < 0.2
    assert median < rms < 0.5
    assert values('people within 8 m with an outline')[0] > 80
    assert values('hand-overs') == [0]
    assert values('pictures / tracks')[0] > 0
    assert 'yes' in run.stdout
    assert bench(*arguments).returncode == 2  # the folder has a bag


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--speed', '0'], '--speed is 0.0; expected a number above 0'),
        (['--scenes', 'people:camera=boat'], "camera is 'boat'"),
    ],
)
def test_what_cannot_be_measured_is_refused(monkeypatch, capsys, arguments, words):
    monkeypatch.setattr(sys, 'argv', ['robot', *arguments])
    with pytest.raises(SystemExit, match='2'):
        main()
    assert words in capsys.readouterr().err
