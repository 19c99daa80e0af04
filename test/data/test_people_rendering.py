# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered frames agree with their ground truth."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
import threading

import numpy as np
from opengl import needs_opengl
from paths import REPOSITORY
import pytest

from gtr_ros.boxes import clip_boxes
from gtr_ros.data.opening import open_sequences
from gtr_ros.data.people import Frame
from gtr_ros.data.people import generate
from gtr_ros.data.people import People
from gtr_ros.data.people import PeopleScene
from gtr_ros.data.people.camera import Camera
from gtr_ros.data.people.places import Place
from gtr_ros.data.sequence import Role

pytestmark = needs_opengl

SMALL = (192, 256)


def small(**parameters) -> PeopleScene:
    return PeopleScene(**{'size': SMALL, 'objects': 6, 'duration': 2.0, **parameters})


def same_truth(a: Frame, b: Frame) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ('ids', 'boxes', 'full_boxes', 'visibility', 'owners', 'depth', 'camera')
    )


def test_the_same_seed_gives_the_same_pictures_in_any_order():
    a, b = generate(small(seed=3)), generate(small(seed=3))
    first = [a.frame(t) for t in (0, 7)]
    again = [b.frame(t) for t in (7, 0)][::-1]
    for x, y in zip(first, again, strict=True):
        assert x.image.shape == (*SMALL, 3)
        assert x.image.dtype == np.uint8
        assert np.array_equal(x.image, y.image)
        assert same_truth(x, y)


def test_another_seed_gives_other_people():
    a, b = (generate(small(seed=seed)) for seed in (0, 1))
    assert not {p.identity for p in a.people} & {p.identity for p in b.people}
    assert (a.frame(0).image != b.frame(0).image).any(axis=2).mean() > 0.5


def test_scenes_at_two_rates_agree_at_common_times():
    slow, fast = generate(small(rate=5, camera='shake')), generate(small(rate=10, camera='shake'))
    for t in (0, 3, 9):
        x, y = slow.frame(t), fast.frame(2 * t)
        assert same_truth(x, y)
        assert np.array_equal(x.image, y.image)


def test_the_truth_does_not_need_the_picture():
    people = generate(small(seed=5))
    assert people.truth(4).image is None
    assert same_truth(people.truth(4), people.frame(4))


@pytest.mark.parametrize('camera', ['wall', 'stand', 'drive'])
def test_boxes_bound_the_pixels_of_their_owners(camera):
    people = generate(small(camera=camera, objects=12, seed=2))
    checked = 0
    for t in (0, 10):
        frame = people.truth(t)
        for i in range(len(frame.ids)):
            rows, columns = np.nonzero(frame.owners == i + 1)
            if len(rows) == 0:
                assert frame.visibility[i] == 0
                assert not frame.boxes[i].any()
                continue
            checked += 1
            box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            assert tuple(frame.boxes[i]) == box
            clipped = clip_boxes(frame.full_boxes, SMALL)[i]
            assert (frame.boxes[i][:2] >= np.floor(clipped[:2]) - 0).all()
            assert (frame.boxes[i][2:] <= np.ceil(clipped[2:]) + 0).all()
            if frame.visibility[i] > 0.999:
                assert np.abs(frame.boxes[i] - clipped).max() < 1.5
        assert frame.owners.max() <= len(frame.ids)
    assert checked > 4


def lone(**parameters) -> tuple[People, int]:
    """Return a scene with one person who is in the image, and the frame."""
    for seed in range(20):
        people = generate(
            small(objects=1, occluders=0, light='day', fov=60, seed=seed, **parameters)
        )
        for t in range(0, len(people), 5):
            full = people.truth(t).full_boxes
            if len(full) and (full == clip_boxes(full, SMALL)).all():
                return people, t
    raise AssertionError('nobody is in view')


def test_a_lone_person_is_visible_and_as_far_as_the_depth_says():
    people, t = lone()
    frame = people.truth(t)
    assert frame.visibility[0] == pytest.approx(1, abs=0.01)
    own = frame.depth[frame.owners == 1]
    assert np.median(own) == pytest.approx(frame.distance[0], abs=0.25)
    x, y, z = np.linalg.inv(frame.camera)[:3] @ (*people.world.at(t / 10).positions[0], 0.9, 1)
    assert z == pytest.approx(frame.distance[0], abs=0.25)
    u, v = (frame.intrinsics @ (x / z, y / z, 1))[:2]
    x1, y1, x2, y2 = frame.full_boxes[0]
    assert x1 < u < x2
    assert y1 < v < y2


def test_the_ground_is_where_the_camera_says():
    people, t = lone(camera='wall')
    frame = people.truth(t)
    rows, columns = np.nonzero((frame.owners == 0) & np.isfinite(frame.depth))
    z = frame.depth[rows, columns]
    rays = np.linalg.inv(frame.intrinsics) @ (columns + 0.5, rows + 0.5, np.ones(len(rows)))
    points = frame.camera[:3, :3] @ (rays * z) + frame.camera[:3, 3:]
    near = (z < 15) & (rows > SMALL[0] / 2)
    assert near.sum() > 1000
    assert np.median(np.abs(points[2][near])) < 0.02
    assert np.isinf(frame.depth).any()


def test_visibility_falls_behind_an_occluder():
    people, t = lone()
    open_view = people.truth(t)
    eye = open_view.camera[:2, 3]
    person = people.world.at(t / 10).positions[0]
    along = (person - eye) / np.hypot(*(person - eye))
    turn = float(np.arctan2(along[1], along[0])) + np.pi / 2
    hidden = generate(people.scene)
    crate = Place('crate', person - 0.8 * along, turn, np.array([1.5, 0.3, 0.8]), 0)
    hidden.places = (crate,)
    frame = hidden.truth(t)
    assert np.array_equal(frame.full_boxes, open_view.full_boxes)
    assert 0.1 < frame.visibility[0] < 0.75
    assert frame.boxes[0, 3] < open_view.boxes[0, 3]
    assert frame.depth[frame.depth < frame.distance[0] - 0.4].size


def test_visits_differ_in_pixels_and_not_in_identities():
    first, second = generate(small(seed=1)), generate(small(seed=1, visit=1))
    x, y = first.frame(5), second.frame(5)
    assert np.array_equal(x.ids, y.ids)
    assert np.array_equal(x.full_boxes, y.full_boxes)
    assert np.array_equal(x.owners, y.owners)
    assert (x.image != y.image).any(axis=2).mean() > 0.7


def test_absent_people_are_absent():
    people = generate(small(absence=2.0, duration=8.0, rate=5, objects=5, seed=4))
    found = 0
    for t, stamp in enumerate(people.stamps / 1e9):
        frame = people.truth(t)
        for person, (begin, end) in zip(people.people, people.world.absences, strict=True):
            if begin <= stamp < end:
                assert person.identity not in frame.ids
                found += 1
    assert found >= 5 * 9


def test_people_who_look_alike_are_in_pairs():
    people = generate(small(objects=8, likeness=1.0, seed=2))
    identities = [person.identity for person in people.people]
    assert len(set(identities)) == 8
    others = [i for i in identities if i >= people.scene.pool]
    assert len(others) == 4
    assert {(i - people.scene.pool) // 3 for i in others} <= set(identities)


def test_an_opened_sequence_has_truth_and_images():
    text = 'people:objects=8,duration=1,rate=5,size=192x256,seed=3'
    (opened,) = open_sequences(text)
    sequence = opened.sequence
    assert opened.boxes is None
    assert PeopleScene.parse(sequence.name) == PeopleScene.parse(text)
    assert len(sequence) == 5
    people = generate(PeopleScene.parse(text))
    frame, truth = people.truth(2), sequence.truth[2]
    assert np.array_equal(truth.ids, frame.ids)
    assert np.array_equal(truth.boxes, clip_boxes(frame.full_boxes, SMALL))
    high = truth.boxes[:, 3] - truth.boxes[:, 1] >= 20
    assert np.array_equal(truth.roles == Role.COUNTED, (frame.visibility >= 0.25) & high)
    assert np.array_equal(sequence.images.at(2), people.frame(2).image)
    assert len(list(sequence.images())) == 5


def test_a_frame_that_does_not_exist_is_named():
    with pytest.raises(IndexError, match='frame 20; expected 0 to 19'):
        generate(small()).frame(20)


def test_nobody_can_be_drawn():
    frame = generate(small(objects=0)).frame(0)
    assert len(frame.ids) == 0
    assert frame.boxes.shape == (0, 4)
    assert not frame.owners.any()
    assert frame.image.std() > 2


def test_threads_share_one_context():
    people, images = generate(small(seed=8)), {}
    expected = people.frame(1).image
    threads = [
        threading.Thread(target=lambda i=i: images.update({i: people.frame(1).image}))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(images[i], expected) for i in range(4))


def _draw_into(queue, people: People) -> None:
    queue.put(people.frame(1).image)


def test_a_forked_process_draws_the_same():
    people = generate(small(seed=8))
    expected = people.frame(1).image
    fork = multiprocessing.get_context('fork')
    queue = fork.SimpleQueue()
    workers = [fork.Process(target=_draw_into, args=(queue, people)) for _ in range(2)]
    for worker in workers:
        worker.start()
    images = [queue.get() for _ in workers]
    for worker in workers:
        worker.join(20)
        assert worker.exitcode == 0
    assert np.array_equal(people.frame(1).image, expected)
    assert all(np.array_equal(image, expected) for image in images)


def test_a_pickled_scene_draws_the_same():
    people = generate(small(seed=8))
    expected = people.frame(1)
    text = pickle.dumps(people)
    assert len(text) < 2000
    again = pickle.loads(text).frame(1)
    assert np.array_equal(again.image, expected.image)
    assert same_truth(again, expected)


def test_another_camera_sees_the_same_people_at_the_same_places():
    world = generate(small(seed=8, camera='wall', fov=90, occluders=0))
    behind = Camera.fixed((8.0, 0.0, 2.3, np.pi, 0.25, 0.0), 90, SMALL)
    frames = [people.frame(3) for people in (world, world.seen_by(behind, visit=1))]
    shown = [dict(zip(f.ids.tolist(), f.full_boxes)) for f in frames]
    both = sorted(shown[0].keys() & shown[1].keys())
    assert len(both) > 1
    where = {p.identity: x for p, x in zip(world.people, world.world.at(0.3).positions)}
    for frame, boxes in zip(frames, shown):
        for person in both:
            x, y, z = np.linalg.inv(frame.camera) @ [*where[person], 0.9, 1] @ np.eye(4, 3)
            u, v = frame.intrinsics[:2, :2] @ [x / z, y / z] + frame.intrinsics[:2, 2]
            x1, y1, x2, y2 = boxes[person]
            assert x1 < u < x2
            assert y1 < v < y2
    # Light and things are the same; the lens is another one.
    assert (frames[0].image != frames[1].image).mean() > 0.5
    assert world.lens != world.seen_by(behind, visit=1).lens


def test_a_pickled_view_of_another_camera_draws_the_same():
    people = generate(small(seed=8)).seen_by(
        Camera.fixed((2.0, 2.0, 2.3, -0.5, 0.25, 0.0), 60, SMALL), visit=2
    )
    expected, again = people.frame(1), pickle.loads(pickle.dumps(people))
    assert np.array_equal(again.frame(1).image, expected.image)
    assert same_truth(again.frame(1), expected)
    own = generate(small(seed=8)).sequence
    assert again.sequence.image_key == people.sequence.image_key != own.image_key
    assert people.sequence.name != own.name


def run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-c', code], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )


def test_a_process_ends_without_messages():
    done = run_python(
        'from gtr_ros.data.people import PeopleScene, generate\n'
        'print(generate(PeopleScene(size=(96, 96), objects=1)).frame(0).image.shape)'
    )
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout == '(96, 96, 3)\n'


def test_the_compiler_of_torch_can_be_imported_after_something_was_drawn():
    pytest.importorskip('triton', reason='needs triton')
    done = run_python(
        'from gtr_ros.data.people import PeopleScene, generate\n'
        'people = generate(PeopleScene(size=(96, 96), objects=1))\n'
        'before = people.image(0)\n'
        'import triton._C.libtriton\n'
        'print((people.image(0) == before).all())'
    )
    assert done.stdout == 'True\n', (done.returncode, done.stderr)


def test_without_moderngl_the_error_says_what_to_install():
    done = run_python(
        'import sys; sys.modules["moderngl"] = None\n'
        'from gtr_ros.data.opening import open_sequences\n'
        'from gtr_ros.data.people import DrawingError\n'
        'try:\n'
        '    open_sequences("people:duration=1")\n'
        'except DrawingError as error:\n'
        '    print(error)\n'
    )
    assert "pip install 'gtr_ros[people]'" in done.stdout, done.stderr
    assert 'apt install libegl1 libgl1 libgl1-mesa-dri' in done.stdout


def test_photos_are_seen_behind_the_people(tmp_path):
    from PIL import Image

    Image.new('RGB', (300, 200), (220, 30, 30)).save(tmp_path / 'red.png')
    scene = small(light='day', backgrounds=str(tmp_path), camera='wall', seed=2)
    frame = generate(scene).frame(0)
    behind = frame.image[np.isinf(frame.depth)].astype(int)
    red = (behind[:, 0] > 1.5 * behind[:, 1]) & (behind[:, 0] > 1.5 * behind[:, 2])
    assert red.mean() > 0.3


def test_a_folder_without_photos_is_named(tmp_path):
    with pytest.raises(ValueError, match='has no photos'):
        generate(small(backgrounds=str(tmp_path))).frame(0)
