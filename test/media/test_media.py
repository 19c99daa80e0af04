# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos are read as they were written, repaired times ascend, and tracks are drawn."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from gtr_ros.input_warning import InputWarning
from gtr_ros.media.drawing import annotate
from gtr_ros.media.drawing import colour_of
from gtr_ros.media.pixels import encode_jpeg
from gtr_ros.media.pixels import read_pixels
from gtr_ros.media.video import FrameTimes
from gtr_ros.media.video import VideoError
from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter
from gtr_ros.structures import Tracks
from gtr_ros.structures import Trajectory


def grey_video(path: Path, levels: list[int], size: tuple[int, int] = (64, 48)) -> Path:
    with VideoWriter(path, 10, size) as writer:
        for level in levels:
            writer.write(np.full((size[1], size[0], 3), level, np.uint8))
    return path


def test_frames_are_read_in_order_with_their_times(tmp_path):
    path = grey_video(tmp_path / 'new' / 'video.mp4', [10, 90, 170, 250])
    with VideoReader(path) as video:
        assert (video.rate, video.frame_count, video.size) == (10, 4, (64, 48))
        frames = list(video)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert [frame.stamp for frame in frames] == [0, 100_000_000, 200_000_000, 300_000_000]
    levels = [frame.image.mean() for frame in frames]
    np.testing.assert_allclose(levels, [10, 90, 170, 250], atol=4)
    assert all(f.image.shape == (48, 64, 3) and f.image.flags.c_contiguous for f in frames)


def test_an_odd_size_loses_a_pixel(tmp_path):
    with VideoReader(grey_video(tmp_path / 'odd.mp4', [100], size=(63, 47))) as video:
        assert video.size == (62, 46)


def test_an_error_while_writing_leaves_no_file(tmp_path):
    with pytest.raises(KeyError), VideoWriter(tmp_path / 'broken.mp4', 10, (64, 48)) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_video_without_an_image_is_refused(tmp_path):
    with pytest.raises(VideoError, match='no image'):
        grey_video(tmp_path / 'empty.mp4', [])
    assert list(tmp_path.iterdir()) == []


def test_the_index_is_before_the_frames(tmp_path):
    content = grey_video(tmp_path / 'video.mp4', [10, 90]).read_bytes()
    assert 0 < content.index(b'moov') < content.index(b'mdat')


def test_an_image_of_another_size_is_refused(tmp_path):
    video = VideoWriter(tmp_path / 'video.mp4', 10, (64, 48))
    with pytest.raises(VideoError, match='does not fit'), video as writer:
        writer.write(np.zeros((40, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ('content', 'rule'),
    [
        (None, 'no video at'),
        (b'no video at all, but some bytes of text', 'is not a readable video'),
    ],
)
def test_a_file_that_is_not_a_video_is_named(tmp_path, content, rule):
    path = tmp_path / 'video.mp4'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=f'{rule}|video.mp4 {rule}'):
        VideoReader(path)


def test_a_missing_camera_is_named():
    with pytest.raises(VideoError, match='no camera at /dev/video97'):
        VideoReader('97')


def test_a_truncated_file_is_named(tmp_path):
    path = grey_video(tmp_path / 'video.mp4', list(range(0, 250, 5)))
    short = tmp_path / 'short.mp4'
    short.write_bytes(path.read_bytes()[:300])
    with pytest.raises(VideoError, match=r'short\.mp4'), VideoReader(short) as video:
        list(video)


MILLISECOND = 1_000_000


@pytest.mark.parametrize(
    ('written', 'expected'),
    [
        # correct: of a camera that started earlier, with a changing rate
        ([500, 600, 700, 1700, 1710], [0, 100, 200, 1200, 1210]),
        # no times
        ([None] * 4, [0, 100, 200, 300]),
        # some frames without a time
        ([0, 40, None, 120, None, None], [0, 40, 80, 120, 160, 200]),
        # the same time twice
        ([0, 0, 100, 100, 200, 200], [0, 50, 100, 150, 200, 250]),
        ([0, 0, 0, 0, 100, 200], [0, 50, 100, 150, 200, 250]),
        # restarted: three concatenated files, the last one with an offset
        ([0, 40, 80, 0, 40, 80, 5000, 5040], [0, 40, 80, 120, 160, 200, 5120, 5160]),
        ([9000, 9040, 9080, 0, 40, 80], [0, 40, 80, 120, 160, 200]),
        # joined by a program that writes the first part's last time, or one tick more, until that
        # has passed: from the fifth such frame on, at the usual interval
        (
            [0, 100, 200, 200, 200, 200, 200, 200, 200, 300, 400],
            [0, 100, 200, 250, 300, 350, 400, 500, 600, 700, 800],
        ),
        (
            [0, 100, 200, 200.1, 200.2, 200.1, 200.3, 200.4, 200.5, 300, 400],
            [0, 100, 200, 250, 300, 350, 400, 500, 600, 699.5, 799.5],
        ),
        # stood still for a second, and went on where it should be
        (
            [0, 100, 200, 200, 200, 200, 200, 200, 200, 900, 1000],
            [0, 100, 200, 250, 300, 350, 400, 500, 600, 900, 1000],
        ),
        # FFmpeg takes times that restart in MPEG-TS for those after 26.5 hours
        ([0, 40, 80, 95443717, 95443757], [0, 40, 80, 120, 160]),
        # one step back
        ([0, 100, 50, 200, 300], [0, 100, 200, 350, 450]),
    ],
)
def test_wrong_times_are_repaired(written, expected):
    times = FrameTimes(rate=10)
    given = [times.next(None if t is None else round(t * MILLISECOND)) for t in written]
    assert [t / MILLISECOND for t in given] == expected


def test_a_thousand_frames_with_the_same_time_get_ascending_times():
    times = FrameTimes(rate=1e9)
    given = [times.next(0) for _ in range(1000)]
    assert all(a < b for a, b in pairwise(given))


def test_in_a_video_whose_times_restart_frames_continue_at_its_rate(tmp_path):
    # MPEG-TS files can be concatenated bytewise.
    joined = b''
    for part in range(3):
        file = tmp_path / f'{part}.ts'
        with av.open(str(file), 'w') as container:
            stream = container.add_stream('mpeg4', rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
            for level in range(20):
                image = np.full((48, 64, 3), 10 * level, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
            container.mux(stream.encode(None))
        joined += file.read_bytes()
    path = tmp_path / 'joined.ts'
    path.write_bytes(joined)
    with av.open(str(path)) as container:
        written = [frame.pts for frame in container.decode(video=0)]
    assert any(b < a for a, b in pairwise(written))
    with VideoReader(path) as video, pytest.warns(InputWarning, match=r'go back \(2 times\)'):
        stamps = [frame.stamp for frame in video]
    assert len(stamps) == len(written)
    assert {b - a for a, b in pairwise(stamps)} == {100 * MILLISECOND}


@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
def test_times_that_stand_still_in_the_second_part_of_a_joined_file_go_on(tmp_path, suffix):
    # As `ffmpeg -c copy` joins MPEG-TS: times that are not after the last one are set just after.
    part = grey_video(tmp_path / 'part.mp4', [10 * level for level in range(20)])
    path, end = tmp_path / f'joined.{suffix}', -1
    with av.open(str(path), 'w') as joined:
        for _ in range(2):
            with av.open(str(part)) as container:
                stream = joined.streams.video[0] if joined.streams.video else None
                stream = stream or joined.add_stream_from_template(container.streams.video[0])
                for packet in container.demux(video=0):
                    if packet.dts is None:
                        continue
                    packet.dts = end = max(packet.dts, end + 1)
                    packet.pts = max(packet.pts, packet.dts)
                    packet.stream = stream
                    joined.mux(packet)
    with VideoReader(path) as video, pytest.warns(InputWarning, match=r'still \((\d+) of 40'):
        steps = np.diff([frame.stamp for frame in video]) / MILLISECOND
    assert len(steps) == 39
    np.testing.assert_allclose(steps[:19], 100, atol=1)
    assert (steps[19:] > 45).all()
    np.testing.assert_allclose(steps[25:], 100, atol=3)


def tracks(box=(20, 30, 60, 90), confirmed=True) -> Tracks:
    boxes = np.array([box], np.float32)
    past = np.array([[10, 10, 30, 40], box], np.float32)
    trajectory = Trajectory(7, np.array([1, 2]), past, np.ones(2, np.float32), confirmed)
    return Tracks(
        ids=np.array([7]),
        boxes=boxes,
        scores=np.array([0.8], np.float32),
        labels=np.array([0]),
        confirmed=np.array([confirmed]),
        trajectories=[trajectory],
    )


def test_a_jpeg_is_decoded_as_the_image():
    rows, columns = np.mgrid[:48, :64].astype(np.uint8)
    image = np.stack((rows * 4, columns * 3, 255 - rows), axis=2)
    data = encode_jpeg(image, 95)
    message = SimpleNamespace(format='jpeg', data=data)
    decoded = read_pixels(message)
    assert abs(decoded.astype(int) - image).mean() < 4
    assert len(encode_jpeg(image, 30)) < len(data)


def test_a_box_is_drawn_in_the_colour_of_its_id():
    image = np.zeros((120, 160, 3), np.uint8)
    drawn = annotate(image, tracks(), ('person',))
    assert tuple(drawn[90, 40]) == colour_of(7)
    assert tuple(drawn[60, 20]) == colour_of(7)
    assert tuple(drawn[60, 40]) == (0, 0, 0)
    assert not image.any()


def test_only_a_confirmed_object_has_a_trail():
    image = np.zeros((120, 160, 3), np.uint8)
    with_trail = annotate(image, tracks(), ('person',))
    without = annotate(image, tracks(confirmed=False), ('person',))
    assert with_trail[45:88, 22:38].any()
    assert not without[45:88, 22:38].any()


@pytest.mark.parametrize(
    'box', [(-50, -50, -10, -10), (150, 110, 300, 300), (0, 0, 160, 120), (5, 5, 5.2, 5.2)]
)
def test_boxes_at_and_beyond_the_border_can_be_drawn(box):
    drawn = annotate(np.zeros((120, 160, 3), np.uint8), tracks(box), ('person',))
    assert drawn.shape == (120, 160, 3)


def test_without_tracks_the_image_is_unchanged():
    none = Tracks(*(np.zeros(shape) for shape in (0, (0, 4), 0, 0, 0)))
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    assert (annotate(image[..., ::-1], none, ()) == image[..., ::-1]).all()


def test_neighbouring_ids_have_colours_that_differ():
    colours = np.array([colour_of(identity) for identity in range(1, 12)])
    for first, second in pairwise(colours):
        assert np.abs(first - second).max() > 60
