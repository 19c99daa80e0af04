# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Text as other programs write it: encodings, line ends, separators, words, comments."""

from __future__ import annotations

import warnings

import pytest

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.motchallenge import read_motchallenge
from gtr_ros.data.formats.text import read_text
from gtr_ros.input_warning import InputWarning

KEYS = {
    'name': 'walk',
    'frameRate': '25',
    'seqLength': '2',
    'imWidth': '64',
    'imHeight': '48',
}
ROWS = '1,1,10,10,5,10,1,1,1\n2,1,11,10,5,10,1,1,1\n'
BOXES = [[[10, 10, 15, 20]], [[11, 10, 16, 20]]]


def ini(**changes: str) -> str:
    keys = {**KEYS, **changes}
    return '[Sequence]\n' + ''.join(f'{key}={value}\n' for key, value in keys.items())


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a sequence of two texts, given as text or bytes."""

    def read(info: str | bytes = ini(), rows: str | bytes = ROWS):
        for name, content in (('seqinfo.ini', info), ('gt.txt', rows)):
            data = content.encode() if isinstance(content, str) else content
            (tmp_path / name).write_bytes(data)
        return read_motchallenge(tmp_path)

    return read


ENCODINGS = ('utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32')


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('end', ['\n', '\r\n', '\r', '\n\n', '\x1a\n'])
def test_encodings_and_line_ends(read, encoding, end):
    if end == '\x1a\n':  # the end of a file in DOS
        info, rows = ini() + '\x1a', ROWS + '\x1a'
    else:
        info, rows = ini().replace('\n', end), ROWS.replace('\n', end)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        sequence = read(info.encode(encoding), rows.encode(encoding))
    assert (sequence.name, len(sequence), sequence.frame_rate) == ('walk', 2, 25)
    assert [truth.boxes.tolist() for truth in sequence.truth] == BOXES


@pytest.mark.parametrize('place', ['info', 'rows'])
def test_an_older_encoding_is_read_with_a_warning(read, place):
    given = {'info': ini(name='café').encode('latin-1'), 'rows': b'# caf\xe9\n' + ROWS.encode()}
    with pytest.warns(InputWarning, match=r'byte \d+ is not UTF-8: read as Latin-1'):
        sequence = read(**{place: given[place]})
    assert [truth.boxes.tolist() for truth in sequence.truth] == BOXES


@pytest.mark.parametrize(
    'content', [b'\x89PNG\r\n\x1a\n\0\0\xff', b'1,1\0,1', b'\xff\xfe1', b'\7\xff']
)
def test_what_is_no_text_is_refused(tmp_path, content):
    path = tmp_path / 'gt.txt'
    path.write_bytes(content)
    with pytest.raises(FormatError, match='not a text file'):
        read_text(path)


@pytest.mark.parametrize(
    'change',
    [
        lambda rows: rows.replace(',', '\t'),
        lambda rows: rows.replace(',', ' '),
        lambda rows: rows.replace(',', '   '),
        lambda rows: rows.replace(',', ';'),
        lambda rows: rows.replace(',', ', '),
        lambda rows: rows.replace(',', '|'),
        lambda rows: rows.replace(',10,', ',10.0,').replace(',', ';').replace('.', ','),
        lambda rows: rows.replace('1,1,1\n', '1,1,1,\n'),
        lambda rows: rows.replace('1,1,1\n', '1,1,1,,,\n'),
        lambda rows: rows.replace('1,1,1\n', '1,1,1 # a person\n'),
        lambda rows: f'# comment\n// comment\n% comment\n\n{rows}\n\n',
        lambda rows: f'frame,id,x,y,w,h,flag,class,visible\n{rows}',
        lambda rows: rows.replace('10', '"10"'),
        lambda rows: rows.replace('10', "'10'"),
        lambda rows: rows.replace('10', '1e1'),
        lambda rows: rows.replace('10', '+10.0'),
        lambda rows: rows.replace('10', '\u200b10'),
        lambda rows: rows.replace(',10,1,1,1', ',10,true,1,1'),
        lambda rows: rows.replace(',10,1,1,1', ',10,Yes,1,1'),
        lambda rows: rows.replace(',10,1,1,1', ',10,ON,1,1'),
    ],
)
def test_rows_that_mean_the_same_are_read_alike(read, change):
    changed = change(ROWS)
    assert changed != ROWS
    truth = read(rows=changed).truth
    assert [each.boxes.tolist() for each in truth] == BOXES
    assert [each.counted.sum() for each in truth] == [1, 1]


@pytest.mark.parametrize('word', ['false', 'No', 'off', '0', '0.0'])
def test_a_flag_in_words_can_be_off(read, word):
    truth = read(rows=ROWS.replace(',10,1,1,1', f',10,{word},1,1')).truth
    assert [each.counted.sum() for each in truth] == [0, 0]


def test_a_typographic_minus_is_a_minus(read):
    assert read(rows='1,1,\u221210,10,15,10,1\n').truth[0].boxes.tolist() == [[-10, 10, 5, 20]]


@pytest.mark.parametrize(
    'text',
    [
        ini().lower(),
        ini().upper().replace('WALK', 'walk'),
        ini().replace('=', ': '),
        ini().replace('=', '\t=\t'),
        ini().replace('\n', '\n   '),
        ini().replace('[Sequence]\n', ''),
        ini().replace('[Sequence]', '[ sequence ]'),
        ini(seqLength='2.0', frameRate='25.0', imWidth='"64"', imHeight="'48'"),
        ini(seqLength='2 ; two', frameRate='25 # Hz', imWidth='64,'),
        ini(frameRate='50/2'),
        '; comment\n# comment\n\n' + ini() + 'unknown=%(x)s\n[Other]\nframeRate=1\n',
    ],
)
def test_ini_files_that_mean_the_same_are_read_alike(read, text):
    sequence = read(info=text)
    assert (sequence.name, len(sequence)) == ('walk', 2)
    assert (sequence.frame_rate, sequence.image_size) == (25, (48, 64))


@pytest.mark.parametrize('name', ['100%', '%(x)s', '${HOME}', '%', 'a;b', 'a#b', 'a=b', 'ü'])
def test_a_name_may_have_any_character(read, name):
    assert read(info=ini(name=name)).name == name


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'frameRate': '29,97'}, "framerate must be a number above 0, not '29,97'"),
        ({'frameRate': '25 fps'}, "framerate must be a number above 0, not '25 fps'"),
        ({'frameRate': '1/0'}, 'framerate must be a number above 0'),
        ({'seqLength': 'two'}, "seqlength must be a number above 0, not 'two'"),
        ({'seqLength': '2.5'}, "seqlength must be a whole number, not '2.5'"),
        ({'imWidth': '64px'}, "imwidth must be a number above 0, not '64px'"),
    ],
)
def test_a_value_that_is_unclear_is_named(read, changes, said):
    with pytest.raises(FormatError, match=r'seqinfo\.ini: ') as refusal:
        read(info=ini(**changes))
    assert said in str(refusal.value)


@pytest.mark.parametrize('text', ['', '<html></html>', f'{ini()}hello\n', '[Other]\na=1\n'])
def test_what_is_no_ini_file_is_named_in_one_line(read, text):
    with pytest.raises(FormatError, match=r'seqinfo\.ini: (not an ini file|section)') as refusal:
        read(info=text)
    assert '\n' not in str(refusal.value)
