# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stored boxes are read from text and npz; those of other scales and units are refused."""

from __future__ import annotations

import numpy as np
import pytest
from writers import write_boxes

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.data.stored_boxes import read_boxes


@pytest.fixture
def sequence():
    return Sequence(
        name='four frames',
        class_names=('person',),
        image_size=(48, 64),
        frame_rate=10.0,
        truth=(Truth.of([], []),) * 4,
        stamps=regular_stamps(4, 10),
    )


def test_boxes_are_read_from_text_and_npz(sequence, tmp_path):
    (tmp_path / 'det.txt').write_text(
        '1,-1,1,2,10,20,0.9\n1,-1,3,2,10,20,0.05\n4,-1,1,2,5,5,0.5\n'
    )
    boxes = read_boxes(tmp_path / 'det.txt', sequence)
    assert [len(d) for d in boxes] == [1, 0, 0, 1]
    assert boxes[0].boxes.tolist() == [[1, 2, 11, 22]]
    assert [d.stamp for d in boxes] == sequence.stamps.tolist()
    write_boxes(tmp_path / 'det.npz', boxes, ['dog', 'pedestrian'])
    assert [len(d) for d in read_boxes(tmp_path / 'det.npz', sequence)] == [0, 0, 0, 0]
    write_boxes(tmp_path / 'det.npz', boxes, ['pedestrian'])
    again = read_boxes(tmp_path / 'det.npz', sequence)
    assert again[3].boxes.tolist() == boxes[3].boxes.tolist()


@pytest.mark.parametrize(
    ('rows', 'rule'),
    [
        ([[1, 1, 1, 5, 5]], "'det' is of shape"),
        (
            [[2, 1, 1, 5, 5, 0.5], [1, 1, 1, 5, 5, 0.5]],
            r'row 2 of det, .*: frames are out',
        ),
        ([[9, 1, 1, 5, 5, 0.5]], 'row 1 of det, .*: the frame is not a whole number from 1 to 4'),
        ([[1, 5, 1, 1, 5, 0.5]], 'x2 must be above x1'),
        ([[1, 1, 1, 5, 5, 1.5]], 'row 1 of det: the score is 1.5; expected a number from 0 to 1'),
        ([[1, 1, 1, 5, float('nan'), 0.5]], 'a number is not finite'),
    ],
)
def test_broken_boxes_name_file_row_and_rule(sequence, tmp_path, rows, rule):
    np.savez(tmp_path / 'det.npz', det=np.array(rows, float))
    with pytest.raises(FormatError, match=rule) as caught:
        read_boxes(tmp_path / 'det.npz', sequence)
    assert 'det.npz' in str(caught.value)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'label': np.array([0.5])}, "'label' must be 1 indices into 2 class_names"),
        ({'label': np.array([np.nan])}, "'label' must be 1 indices"),
        ({'label': np.array(['dog'])}, "'label' must be 1 indices"),
        ({'label': np.array([2])}, "'label' must be 1 indices"),
        ({'det': np.array([['1', '1', '1', '5', '5', '0.5']])}, "'det' has the type <U3"),
    ],
)
def test_arrays_that_are_no_boxes_or_labels_are_named(sequence, tmp_path, changes, said):
    arrays = {'det': np.array([[1, 1, 1, 5, 5, 0.5]]), 'class_names': np.array(['a', 'person'])}
    np.savez(tmp_path / 'det.npz', **arrays | changes)
    with pytest.raises(FormatError, match=said):
        read_boxes(tmp_path / 'det.npz', sequence)


def test_names_of_classes_may_be_bytes_and_labels_whole_floats(sequence, tmp_path):
    names = np.array([b'dog', b'Person '])
    det = np.array([[1, 1, 1, 5, 5, 0.5]])
    np.savez(tmp_path / 'det.npz', det=det, label=np.array([1.0]), class_names=names)
    assert [len(d) for d in read_boxes(tmp_path / 'det.npz', sequence)] == [1, 0, 0, 0]


def test_a_truncated_npz_is_named(sequence, tmp_path):
    np.savez(tmp_path / 'det.npz', det=np.zeros((100, 6)))
    data = (tmp_path / 'det.npz').read_bytes()
    (tmp_path / 'det.npz').write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError, match=r'det.npz: not a readable npz file'):
        read_boxes(tmp_path / 'det.npz', sequence)


@pytest.mark.parametrize(
    ('scores', 'said'),
    [
        ((-1, -1), ':1: the score is -1; .*all are -1, which stands for no score'),
        ((87, 0.5), ':1: the score is 87; .*divide per cent by 100'),
        ((0.9, 3.2, -2.1), ':2: the score is 3.2; .* convert logits'),
        ((0.9, 300), ':2: the score is 300; .* convert logits'),
        ((0.04, 0.05), r'the highest score of its 2 boxes is 0\.05; boxes below 0\.1'),
    ],
)
def test_scores_of_another_scale_are_refused(sequence, tmp_path, scores, said):
    rows = [f'{t},-1,10,10,20,20,{score}\n' for t, score in enumerate(scores, 1)]
    (tmp_path / 'det.txt').write_text(''.join(rows))
    with pytest.raises(FormatError, match=said):
        read_boxes(tmp_path / 'det.txt', sequence)
    det = np.array([(t, 10, 10, 30, 30, score) for t, score in enumerate(scores, 1)], float)
    np.savez(tmp_path / 'det.npz', det=det)
    with pytest.raises(FormatError, match=said.rpartition(':')[2]):
        read_boxes(tmp_path / 'det.npz', sequence)


def test_boxes_of_other_units_are_refused(sequence, tmp_path):
    corners = np.array([[30 + t, 20, 50 + t, 45] for t in range(1, 5)], float)
    side = [64, 48, 64, 48]
    det = np.column_stack([np.arange(1, 5), corners / side, np.full(4, 0.9)])
    np.savez(tmp_path / 'det.npz', det=det)
    with pytest.raises(FormatError, match='fractions of the image; expected x1, y1, x2'):
        read_boxes(tmp_path / 'det.npz', sequence)
    rows = [f'{t},-1,{",".join(map(str, box))},0.9\n' for t, box in enumerate(corners, 1)]
    (tmp_path / 'det.txt').write_text(''.join(rows))  # corners instead of a width and a height
    with pytest.raises(FormatError, match=r'4 of 4 boxes extend by .* beyond .* 64 x 48'):
        read_boxes(tmp_path / 'det.txt', sequence)
    sizes = np.column_stack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    np.savez(tmp_path / 'det.npz', det=np.column_stack([np.arange(1, 5), sizes, np.full(4, 0.9)]))
    with pytest.raises(FormatError, match='are these x, y, width and height'):
        read_boxes(tmp_path / 'det.npz', sequence)
