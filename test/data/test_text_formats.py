# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MOTChallenge and KITTI files are read; errors name line and rule."""

from __future__ import annotations

import numpy as np
from PIL import Image
import pytest
from writers import write_kitti
from writers import write_motchallenge

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.kitti import read_kitti
from gtr_ros.data.formats.motchallenge import read_motchallenge
from gtr_ros.data.formats.motchallenge import result_rows
from gtr_ros.data.opening import open_sequences
from gtr_ros.data.sequence import Role
from gtr_ros.media.video import VideoWriter

INFO = '[Sequence]\nname={name}\nimDir=img1\nframeRate=10\nseqLength=4\nimWidth=64\nimHeight=48\n'


@pytest.fixture
def make(tmp_path):
    def make(rows, name='MOT17-02-FRCNN', info=INFO):
        folder = tmp_path / name
        (folder / 'gt').mkdir(parents=True)
        (folder / 'gt' / 'gt.txt').write_text('\n'.join(rows) + '\n')
        if info:
            (folder / 'seqinfo.ini').write_text(info.format(name=name))
        return folder

    return make


def frames(folder, count=4):
    for t in range(count):
        folder.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (64, 48), (10 * t, 0, 0)).save(folder / f'{t + 1:06d}.png')


def test_classes_of_mot17_have_their_roles(make):
    rows = [
        '1,1,10,10,5,10,1,1,1',  # a pedestrian
        '1,2,20,10,5,10,0,1,1',  # a pedestrian that does not count
        '1,3,30,10,5,10,1,7,1',  # static person
        '1,4,40,10,5,10,0,12,1',  # reflection
        '1,5,50,10,5,10,1,3,1',  # car
        '1,6,50,20,5,10,1,6,1',  # other vehicle
    ]
    roles = read_motchallenge(make(rows)).truth[0].roles.tolist()
    counted, distractor, void = Role.COUNTED, Role.DISTRACTOR, Role.VOID
    assert roles == [counted, void, distractor, distractor, void, void]
    roles = read_motchallenge(make(rows, 'MOT20-01')).truth[0].roles.tolist()
    assert roles == [counted, void, distractor, distractor, void, distractor]


def test_rows_of_mot15_have_no_class_and_confidence_0_does_not_count(make):
    sequence = read_motchallenge(make(['1,1,10,10,5,10,1,-1,-1,-1', '2,1,10,10,5,10,0,-1,-1,-1']))
    assert [len(t) for t in sequence.truth] == [1, 0, 0, 0]
    assert sequence.truth[0].boxes.tolist() == [[10, 10, 15, 20]]
    assert sequence.stamps.tolist() == [0, 100_000_000, 200_000_000, 300_000_000]
    assert (sequence.image_size, sequence.frame_rate) == ((48, 64), 10.0)


def test_halves_are_split_as_in_the_paper(make):
    folder = make([f'{t},1,{t},10,5,10,1,1,1' for t in range(1, 5)])
    frames(folder / 'img1')
    train, val = (read_motchallenge(folder, half) for half in ('train', 'val'))
    assert [t.boxes[0, 0] for t in train.truth] == [1, 2, 3]
    assert [t.boxes[0, 0] for t in val.truth] == [4]
    assert [i[0, 0, 0] for i in train.images()] == [0, 10, 20]
    assert [i[0, 0, 0] for i in val.images()] == [30]
    assert len({train.image_key, val.image_key, read_motchallenge(folder).image_key}) == 3


def test_a_video_may_replace_the_frames(make):
    folder = make(['1,1,10,10,5,10,1'], info='')
    with VideoWriter(folder / 'video.mp4', 5, (64, 48)) as writer:
        for _ in range(3):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    sequence = read_motchallenge(folder)
    assert (len(sequence), sequence.frame_rate, sequence.image_size) == (3, 5.0, (48, 64))
    assert len(list(sequence.images())) == 3


@pytest.mark.parametrize(
    ('rows', 'line', 'rule'),
    [
        (['1,1,10,10,5,10,1', '1,2,10,10,5'], 2, 'a row has 5 columns; expected 7'),
        (['1,1,10,ten,5,10,1'], 1, "top is 'ten'; expected a finite number"),
        (['1,1,10,nan,5,10,1'], 1, "top is 'nan'; expected a finite number"),
        (['1,1,10,10,5,10,1', '', '1,1,20,10,5,10,1'], 3, 'id 1 occurs twice in frame 1'),
        (['2,1,1,1,5,5,1', '1,1,1,1,5,5,1'], 2, 'out of order: frame 1 after frame 2 of id 1'),
        (['5,1,10,10,5,10,1'], 1, 'frame is 5, but the sequence has 4'),
        (['0,1,10,10,5,10,1'], 1, 'frame is 0; expected a whole number from 1'),
        (['1,1.5,10,10,5,10,1'], 1, 'id is 1.5; expected a whole number'),
        (['1,1,10,10,0,10,1'], 1, 'width 0 and height 10 must both be above 0'),
        (['1,1,10,10,5,10,1,99,1'], 1, 'class is 99; expected one of MOTChallenge, 1 to 13'),
    ],
)
def test_a_broken_truth_names_file_line_and_rule(make, rows, line, rule):
    folder = make(rows)
    with pytest.raises(FormatError, match=r'gt\.txt') as caught:
        read_motchallenge(folder)
    assert f'gt.txt:{line}: ' in str(caught.value)
    assert rule in str(caught.value)


def test_other_missing_parts_are_named(make, tmp_path):
    with pytest.raises(FormatError, match=r'neither gt/gt\.txt nor gt\.txt'):
        read_motchallenge(tmp_path)
    folder = make(['1,1,1,1,5,5,1'], info='[Sequence]\nframeRate=fast\n')
    with pytest.raises(FormatError, match=r'seqinfo.ini: framerate must be a number above 0'):
        read_motchallenge(folder)
    (folder / 'seqinfo.ini').write_text('no ini')
    with pytest.raises(FormatError, match='not an ini file'):
        read_motchallenge(folder)
    (folder / 'seqinfo.ini').unlink()
    with pytest.raises(FormatError, match='frameRate is missing'):
        read_motchallenge(folder)
    (folder / 'gt' / 'gt.txt').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(FormatError, match='not a text file'):
        read_motchallenge(folder)


def test_a_damaged_frame_is_named(make):
    folder = make(['1,1,1,1,5,5,1'])
    frames(folder / 'img1')
    (folder / 'img1' / '000003.png').write_bytes(b'no image')
    sequence = read_motchallenge(folder)
    with pytest.raises(FormatError, match=r'000003\.png: not a readable image'):
        list(sequence.images())


def test_result_rows_are_those_of_the_benchmark():
    rows = result_rows(3, [7], np.array([[10, 20, 40, 80]], np.float32), [0.5])
    assert rows == ['3,7,10.00,20.00,30.00,60.00,0.5000,-1,-1,-1\n']


def test_motchallenge_survives_a_round_trip(make, tmp_path):
    rows = ['1,1,10,10,5,10,1,1,1', '1,2,20,10,5,10,0,8,1', '3,1,12,10,5,10,1,1,1']
    first = read_motchallenge(make(rows))
    write_motchallenge(tmp_path / 'again', first)
    again = read_motchallenge(tmp_path / 'again')
    for a, b in zip(first.truth, again.truth, strict=True):
        assert (a.ids.tolist(), a.roles.tolist()) == (b.ids.tolist(), b.roles.tolist())
        assert a.boxes == pytest.approx(b.boxes)


KITTI_TAIL = '-1 -1 -1 -1000 -1000 -1000 -10'


@pytest.fixture
def kitti(tmp_path):
    def kitti(*rows):
        (tmp_path / 'label_02').mkdir(exist_ok=True)
        path = tmp_path / 'label_02' / '0003.txt'
        path.write_text(''.join(f'{row} {KITTI_TAIL}\n' for row in rows))
        return path

    return kitti


def test_fewer_images_than_frames_are_found_when_a_sequence_is_opened(make, kitti, tmp_path):
    folder = make(['1,1,10,10,5,10,1,1,1'])
    frames(folder / 'img1', 3)
    with pytest.raises(FormatError, match=r'1 of the frames 1 to 4 have no image: 4; .*seqLength'):
        read_motchallenge(folder)
    frames(folder / 'img1', 5)  # more are allowed
    assert len(read_motchallenge(folder)) == 4
    path = kitti('5 1 Car 0 0 0 10 10 20 20')
    frames(path.parent.parent / 'image_02' / path.stem, 5)
    with pytest.raises(FormatError, match='1 of the frames 0 to 5 have no image: 0'):
        read_kitti(path)


def test_kitti_has_counted_classes_distractors_and_regions(kitti, tmp_path):
    path = kitti(
        '0 -1 DontCare -1 -1 -10 0 0 50 50',
        '0 0 Car 0 0 -1 10 10 60 60',
        '0 1 Van 0 0 -1 100 10 160 60',
        '0 2 Pedestrian 0 3 -1 200 10 220 60',
        '0 3 Cyclist 0 0 -1 300 10 320 60',
        '2 2 Pedestrian 0 1 -1 200 10 220 60',
    )
    sequence = read_kitti(path)
    assert sequence.name == '0003'
    assert len(sequence) == 3
    first = sequence.truth[0]
    assert first.ids.tolist() == [0, 1, 2]
    assert first.labels.tolist() == [0, 0, 1]
    assert first.roles.tolist() == [Role.COUNTED, Role.DISTRACTOR, Role.DISTRACTOR]
    assert first.regions.tolist() == [[0, 0, 50, 50]]
    assert sequence.truth[2].roles.tolist() == [Role.COUNTED]
    assert [o.sequence.name for o in open_sequences(str(tmp_path))] == ['0003']
    write_kitti(tmp_path / 'again.txt', sequence)
    again = read_kitti(tmp_path / 'again.txt').truth
    assert [t.ids.tolist() for t in again] == [t.ids.tolist() for t in sequence.truth]


@pytest.mark.parametrize(
    ('rows', 'rule'),
    [
        (['0 1 Tank 0 0 -1 1 1 9 9'], ":1: type is 'Tank'; expected one of car"),
        (['1 1 Car 0 0 -1 1 1 9 9', '0 1 Car 0 0 -1 1 1 9 9'], ':2: frames are out of order'),
        (['0 1 Car 0 0 -1 1 1 9 9'] * 2, ':2: id 1 occurs twice in frame 0'),
        (['0 1 Car 0 0 -1 9 1 1 9'], ':1: right must be above left'),
        (['0 -1 Car 0 0 -1 1 1 9 9'], ':1: id is -1, which only DontCare may have'),
    ],
)
def test_a_broken_kitti_file_names_file_line_and_rule(kitti, rows, rule):
    with pytest.raises(FormatError) as caught:
        read_kitti(kitti(*rows))
    assert f'0003.txt{rule}' in str(caught.value)


def test_a_short_kitti_row_is_named(tmp_path):
    (tmp_path / 'a.txt').write_text('0 1 Car 0 0\n')
    with pytest.raises(FormatError, match=r'a.txt:1: a row has 5 columns; expected 10'):
        read_kitti(tmp_path / 'a.txt')


def test_one_of_three_copies_of_a_mot17_video_is_opened(make, tmp_path):
    for detector in ('DPM', 'FRCNN', 'SDP'):
        make(['1,1,1,1,5,5,1,1,1'], f'MOT17-02-{detector}')
    names = [o.sequence.name for o in open_sequences(str(tmp_path))]
    assert names == ['MOT17-02-FRCNN']


def test_unknown_data_sets_are_refused(tmp_path):
    with pytest.raises(FormatError, match='not a known data set'):
        open_sequences(str(tmp_path))
    with pytest.raises(FormatError, match='there is no such file'):
        open_sequences(str(tmp_path / 'nowhere'))


MOT_ROWS = ['1,1,10,10,5,10,1,1,1', '2,1,11,10,5,10,1,1,1']


@pytest.mark.parametrize(
    'written',
    [
        '\n'.join(MOT_ROWS).encode('utf-8-sig'),
        '\r\n'.join(MOT_ROWS).encode('utf-16'),
        '\r'.join(MOT_ROWS).encode(),
        '\n'.join(MOT_ROWS).replace(',', ';').encode(),
        '\n'.join(MOT_ROWS).replace(',', '\t').encode(),
        '\n'.join(MOT_ROWS).replace(',', ' , ').encode(),
        '\n'.join(f'{row},' for row in MOT_ROWS).encode(),
        '\n'.join(['frame,id,left,top,w,h,conf,class,vis', '# made', *MOT_ROWS]).encode(),
        '\n'.join(MOT_ROWS).replace(',1,', ',1.0,').encode(),
    ],
)
def test_text_is_read_as_other_programs_write_it(make, written):
    folder = make([])
    (folder / 'gt' / 'gt.txt').write_bytes(written)
    truth = read_motchallenge(folder).truth
    assert [t.boxes.tolist() for t in truth] == [[[10, 10, 15, 20]], [[11, 10, 16, 20]], [], []]
    assert [t.counted.sum() for t in truth] == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ('written', 'said'),
    [
        ('1,1,10,10,5,10,,1,1', r"gt\.txt:1: confidence is ''; expected a finite number"),
        ('1 1 10,5 10 5 10 1', r'gt\.txt:1: a row has 2 columns'),
        ('1;1;10.5;1,2,3;5;10;1', r"gt\.txt:1: top is '1.2.3'"),
        ('0x1,1,10,10,5,10,1', r"gt\.txt:1: frame is '0x1'"),
        ('1.5,1,10,10,5,10,1', r'gt\.txt:1: frame is 1.5; expected a whole number'),
        ('[1,1,10,10,5,10,1]', r"gt\.txt:1: frame is '\[1'"),
        ('1,1,10,10,5,10,maybe', r"gt\.txt:1: confidence is 'maybe'"),
        ('1,1,1_0,10,5,10,1', r"gt\.txt:1: left is '1_0'"),
        (f'1,{2**53 + 1}00,10,10,5,10,1', r'gt\.txt:1: id is .*; expected at most'),
        ('1\0,1,10', 'not a text file'),
    ],
)
def test_text_that_is_ambiguous_is_named(make, written, said):
    folder = make([])
    (folder / 'gt' / 'gt.txt').write_text(written)
    with pytest.raises(FormatError, match=said):
        read_motchallenge(folder)


def test_an_ini_file_is_read_as_other_programs_write_it(make):
    info = '\ufeff[sequence]\r\nname="50%"\r\nframeRate=10.0\r\nseqLength=4.0\r\n'
    folder = make(['1,1,10,10,5,10,1'], info=f'{info}imWidth=64\r\nimHeight=48\r\nimDir=img1\r\n')
    sequence = read_motchallenge(folder)
    assert (sequence.name, len(sequence), sequence.frame_rate) == ('50%', 4, 10)
    (folder / 'seqinfo.ini').write_text('[Sequence]\nframeRate=10\nseqLength=4.5\n')
    with pytest.raises(FormatError, match=r"seqlength must be a whole number, not '4\.5'"):
        read_motchallenge(folder)


def test_the_flag_of_ground_truth_is_no_score(make):
    folder = make(['1,1,10,10,5,10,-1', '1,2,20,10,5,10,0', '1,3,30,10,5,10,87'])
    assert read_motchallenge(folder).truth[0].ids.tolist() == [1, 3]
