# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clips of labelled videos: their frames, ids, labels and boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image
import pytest
from writers import write_bag

from gtr_ros.data.formats.images import frame_folder
from gtr_ros.data.formats.images import video_file
from gtr_ros.data.formats.rosbag import read_rosbag
from gtr_ros.data.sequence import Federated
from gtr_ros.data.sequence import read_images
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.data.synthetic import generate
from gtr_ros.data.synthetic import Scene
from gtr_ros.media.video import VideoWriter
from gtr_ros.training.clip import Clip
from gtr_ros.training.video_clips import VideoClips

HEIGHT, WIDTH = 48, 64


class Shades:
    """Images of one red box each, with the value t in the blue channel of frame t."""

    def __init__(self, boxes: np.ndarray) -> None:
        self.boxes = boxes
        self.asked: list[int] = []

    def at(self, t: int) -> np.ndarray:
        self.asked.append(t)
        x1, y1, x2, y2 = self.boxes[t].tolist()
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image[..., 2] = t
        image[y1:y2, x1:x2, 0] = 255
        return image

    def __call__(self) -> Iterator[np.ndarray]:
        return map(self.at, range(len(self.boxes)))


def walk(frames: int) -> np.ndarray:
    """Return (frames, 4) int64, xyxy, pixels: a box that moves to the right."""
    x = 4 + np.arange(frames) % 40
    return np.stack([x, 0 * x + 10, x + 14, 0 * x + 36], axis=1)


def video(frames: int = 60, truth: list[Truth] | None = None, **changes) -> Sequence:
    boxes = walk(frames)
    sequence = Sequence(
        name='walk',
        class_names=('person',),
        image_size=(HEIGHT, WIDTH),
        frame_rate=30.0,
        truth=tuple(truth or (Truth.of([7], [box]) for box in boxes)),
        stamps=regular_stamps(frames, 30.0),
        images=Shades(boxes),
    )
    return replace(sequence, **changes)


def clips(*sequences: Sequence, names=('person',), **options) -> VideoClips:
    """Return clips of whole frames at their own scale, unless options say otherwise."""
    whole = {'frames': 4, 'most_frames': 4, 'size': WIDTH, 'scale': (1.0, 1.0), 'flip': 0.0}
    return VideoClips(sequences or (video(),), names, **{**whole, **options})


def drawn(source: VideoClips, seed: int = 0) -> Clip:
    return source(np.random.default_rng(seed))


def frames_of(clip: Clip) -> list[int]:
    return [int(image[0, 0, 2]) for image in clip.images]


@pytest.mark.parametrize('seed', range(20))
def test_a_clip_is_an_ascending_subset_of_twice_as_many_frames(seed):
    clip = drawn(clips(), seed)
    frames = frames_of(clip)
    assert len(clip) == 4
    assert (np.diff(frames) > 0).all()
    assert frames[-1] - frames[0] < 8
    assert clip.source == f'walk, frames {", ".join(str(t + 1) for t in frames)}'


def test_every_frame_of_a_video_occurs_in_clips():
    source = clips(video(12))
    assert {t for seed in range(80) for t in frames_of(drawn(source, seed))} == set(range(12))


def test_frames_are_multiples_of_the_stride_apart():
    steps = {
        step
        for seed in range(20)
        for step in np.diff(frames_of(drawn(clips(strides=(5,)), seed))).tolist()
    }
    assert steps
    assert all(step % 5 == 0 for step in steps)


def test_each_stride_is_drawn():
    source = clips(video(200), frames=2, most_frames=2, strides=(1, 40))
    steps = [np.diff(frames_of(drawn(source, seed))).item() for seed in range(20)]
    assert min(steps) < 4
    assert max(steps) >= 40


def test_short_videos_reduce_the_stride_and_shorter_ones_the_clip():
    assert len(drawn(clips(video(9), strides=(30,)))) == 4
    assert frames_of(drawn(clips(video(3)))) == [0, 1, 2]


def test_small_images_make_longer_clips_up_to_the_maximum():
    source = clips(most_frames=9, scale=(0.2, 0.2))
    lengths = np.array([len(drawn(source, seed)) for seed in range(40)])
    assert lengths.min() >= 4
    assert lengths.max() == 9
    assert np.mean(lengths == 9) > 0.7  # lengths of 4 to 100 are drawn and limited to 9
    assert {len(drawn(clips(most_frames=9), seed)) for seed in range(10)} == {4}


def test_only_the_frames_of_a_clip_are_read():
    sequence = video()
    clip = drawn(clips(sequence))
    assert sequence.images.asked == frames_of(clip)


@pytest.mark.parametrize('seed', range(12))
def test_boxes_stay_on_their_pixels_and_all_frames_have_one_crop(seed):
    clip = drawn(clips(size=128, scale=(0.5, 2.0), flip=0.5, clip_boxes=True), seed)
    assert len({image.shape for image in clip.images}) == 1
    for image, boxes in zip(clip.images, clip.boxes, strict=True):
        rows, columns = np.nonzero(image[..., 0] > 127)
        if not len(boxes):
            assert len(rows) <= 2 * 128  # at most a line at the border
            continue
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(boxes[0], seen, atol=2.5)


def test_a_mirrored_clip_is_the_mirror_image_of_the_other():
    plain, mirrored = drawn(clips(flip=0.0)), drawn(clips(flip=1.0))
    for t in range(len(plain)):
        np.testing.assert_array_equal(mirrored.images[t], plain.images[t][:, ::-1])
        (x1, y1, x2, y2), (left, top, right, bottom) = plain.boxes[t][0], mirrored.boxes[t][0]
        assert [left, top, right, bottom] == [WIDTH - x2, y1, WIDTH - x1, y2]


def test_the_same_random_stream_makes_the_same_clip():
    source = clips(most_frames=16, scale=(0.1, 2.0), flip=0.5, strides=(1, 3))
    one, two, other = (drawn(source, seed) for seed in (3, 3, 4))
    assert one.source == two.source != other.source
    assert all(np.array_equal(a, b) for a, b in zip(one.images, two.images, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(one.boxes, two.boxes, strict=True))


def test_counted_boxes_are_objects_and_other_boxes_and_regions_are_crowds():
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]]
    roles = [Role.COUNTED, Role.DISTRACTOR, Role.VOID]
    truth = [Truth.of([1, 2, 3], boxes, roles=roles, regions=[[0, 30, 20, 40]])] * 10
    clip = drawn(clips(video(10, truth)))
    for t in range(len(clip)):
        assert clip.boxes[t].tolist() == boxes[:1]
        assert clip.crowds[t].tolist() == [*boxes[1:], [0, 30, 20, 40]]


def test_an_object_has_the_same_id_in_all_frames_for_any_ids_of_the_truth():
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]]
    orders = ([-1, 0, 900], [900, -1, 0])
    truth = [Truth.of(ids, boxes) for ids in orders for _ in range(2)]
    clip = drawn(clips(video(4, truth)))
    numbers = dict(zip(orders[0], clip.ids[0].tolist(), strict=True))
    assert sorted(numbers.values()) == [1, 2, 3]
    for ids, own in zip(clip.ids, truth, strict=True):
        assert ids.tolist() == [numbers[i] for i in own.ids.tolist()]


def test_an_id_in_two_classes_means_two_objects():
    truth = [Truth.of([5, 5], [[0, 0, 10, 10], [20, 0, 30, 10]], [0, 1])] * 4
    sequence = video(4, truth, class_names=('car', 'person'))
    clip = drawn(clips(sequence, names=('person', 'car')))
    assert [ids.tolist() for ids in clip.ids] == [[1, 2]] * 4
    assert [labels.tolist() for labels in clip.labels] == [[1, 0]] * 4


def test_classes_are_found_by_name_and_those_the_model_lacks_are_ignored():
    truth = [Truth.of([1, 2], [[0, 0, 10, 10], [20, 0, 30, 10]], [0, 1])] * 4
    sequence = video(4, truth, class_names=('tram', 'person'))
    clip = drawn(clips(sequence, names=('dog', 'cat', 'person')))
    assert [labels.tolist() for labels in clip.labels] == [[2]] * 4
    assert [len(crowds) for crowds in clip.crowds] == [0] * 4


def test_a_video_without_a_class_of_the_model_is_refused_with_both_their_names():
    with pytest.raises(ValueError, match=r'walk .*: person; the model has dog, cat'):
        clips(names=('dog', 'cat'))


def test_an_id_twice_in_a_frame_is_refused_by_video_frame_and_id():
    truth = [Truth.of([7], [[0, 0, 9, 9]]), Truth.of([8, 8], [[0, 0, 9, 9], [9, 9, 20, 20]])]
    with pytest.raises(ValueError, match='walk, frame 2: id 8 of class person occurs 2 times'):
        clips(video(2, truth))


@pytest.mark.parametrize(
    ('sequences', 'options', 'message'),
    [
        ([video(images=None)], {}, 'walk has no images'),
        ([video(1)], {}, 'walk has 1 frames; expected at least 2'),
        ([], {}, 'there is no video'),
        ([video()], {'strides': ()}, r'strides are \(\); expected at least one'),
        ([video()], {'strides': (2, 0)}, r'strides are \(2, 0\); .* each 1 or more'),
    ],
)
def test_invalid_videos_and_strides_are_refused(sequences, options, message):
    with pytest.raises(ValueError, match=message):
        VideoClips(sequences, ('person',), **options)


def test_clips_of_a_federated_video_are_not_complete():
    assert drawn(clips()).complete
    assert not drawn(clips(video(federated=Federated()))).complete


def folder_of_frames(folder) -> Sequence:
    source = video(10)
    for t, image in enumerate(source.images()):
        Image.fromarray(image).save(folder / f'{t:03}.png')
    return replace(source, images=frame_folder(folder).images)


def folder_of_a_video(folder) -> Sequence:
    source = video(10)
    with VideoWriter(folder / 'walk.mp4', 30.0, (WIDTH, HEIGHT)) as writer:
        for image in source.images():
            writer.write(image)
    return replace(source, images=video_file(folder).images)


def bag(folder) -> Sequence:
    source = video(10)
    stamps = (source.stamps + 1).tolist()  # 0 means no stamp
    one, label = np.ones(1), np.zeros(1, np.int64)
    people = [(s, box[None], one, label, ['7']) for s, box in zip(stamps, walk(10))]
    write_bag(folder / 'walk', images=zip(stamps, source.images()), detections=people)
    return read_rosbag(folder / 'walk')


def drawn_scene(folder) -> Sequence:
    return generate(Scene(objects=3, occlusion=0, duration=1, size=(96, 128))).sequence


@pytest.mark.parametrize('make', [folder_of_frames, folder_of_a_video, bag, drawn_scene])
def test_images_by_index_are_those_of_the_iterator_also_after_select(tmp_path, make):
    sequence = make(tmp_path)
    images = list(sequence.images())
    for found, t in zip(read_images(sequence, [1, 4, 9]), [1, 4, 9], strict=True):
        np.testing.assert_array_equal(found, images[t])
    some = sequence.select([2, 5, 7, 8])
    for found, t in zip(read_images(some, [1, 3]), [5, 8], strict=True):
        np.testing.assert_array_equal(found, images[t])
    assert read_images(sequence, []) == []


def test_images_of_files_and_scenes_can_be_read_in_any_order(tmp_path):
    for sequence in (folder_of_frames(tmp_path), drawn_scene(tmp_path)):
        images = list(sequence.images())
        for t in (8, 2, 5):
            np.testing.assert_array_equal(sequence.images.at(t), images[t])


@pytest.mark.parametrize('make', [folder_of_frames, folder_of_a_video, bag])
def test_a_missing_image_is_an_error_that_names_the_video(tmp_path, make):
    sequence = make(tmp_path)
    with pytest.raises(ValueError, match='walk has fewer images than frames'):
        read_images(sequence, [3, 40])
