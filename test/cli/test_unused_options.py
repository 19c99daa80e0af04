# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An option of `gtr` that nothing would use is refused, and not ignored in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PIL import Image
import pytest
from videos import write_noise

from gtr_ros.cli import main
from gtr_ros.options import RULES
from gtr_ros.recordings.options import TrackingOptions

SCENE = 'synthetic:duration=2'


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return the current folder, which has a video and a folder of images."""
    monkeypatch.chdir(tmp_path)
    write_noise(tmp_path / 'video.mp4')
    (tmp_path / 'frames').mkdir()
    Image.new('RGB', (64, 48)).save('frames/1.png')
    return tmp_path


@pytest.mark.parametrize(
    ('command', 'said'),
    [
        ('track video.mp4 --exported onnx --runtime torch', "exported is 'onnx', but"),
        ('track video.mp4 --exported onnx --compile', 'compile True is torch, which reads no'),
        ('track video.mp4 --exported onnx --precision bfloat16', 'precision bfloat16'),
        ('track video.mp4 --provider cuda', 'provider is cuda, but runtime auto has no prov'),
        ('track video.mp4 --provider cpu --runtime openvino', 'runtime openvino has no prov'),
        ('track video.mp4 --provider cuda --runtime onnxruntime --device cpu', 'device is cpu'),
        ('track video.mp4 --retries 3', '--retries is for the workers of a cluster'),
        ('track frames --hardware-decoding', 'frames is not a video file: --hardware-decoding is'),
        ('track video.mp4 --window 8', '--window is for rules that link by P_A, and has no'),
        ('track video.mp4 video.mp4 --window 8', 'evidence links by evidence of motion, size,'),
        ('compile --size 64x48 --exported onnx', "exported is 'onnx', but"),
        ('export --threads 2', '--threads is for --measure'),
        (f'evaluate {SCENE} --seeds 5', '--seeds is for --curves'),
        (f'evaluate {SCENE} --scenes people', '--scenes is for --curves'),
        (f'evaluate {SCENE} --images frames', '--images is for a JSON'),
        (f'evaluate {SCENE} --image-topic /image', '--image-topic is for bags'),
        (f'evaluate {SCENE} --truth-topic /truth', '--truth-topic is for bags'),
        (f'evaluate {SCENE} --boxes-topic /boxes', '--boxes-topic is for bags given as --boxes'),
        (f'evaluate {SCENE} --half val', 'only MOTChallenge sequences have halves'),
        (f'evaluate {SCENE} --table 1 --trackers gtr', '--trackers is for evaluations without'),
        (f'evaluate {SCENE} --trackers oracle --rule paper', '--rule is for the tracker gtr'),
        (f'evaluate {SCENE} --trackers motion gtr:rule=mot --rule paper', '--rule is for'),
        (f'evaluate {SCENE} --trackers oracle --window 8', '--window is for trackers that'),
        (f'evaluate {SCENE} --trackers gtr motion --window 8', '--window is for trackers that'),
        (f'evaluate {SCENE} --trackers gtr:rule=mot,window=4 --window 8', '--window is for track'),
        (f'evaluate {SCENE} --trackers gtr:rule=mot,gallery=off', 'gallery of tracker'),
        (f'evaluate {SCENE} --table 1 --rule evidence', "window of tracker 'gtr' is for rules"),
        (
            f'evaluate {SCENE} --table 4b --checkpoint random --rule evidence',
            'the rows of this table differ in P_A, by which the rule evidence does not link',
        ),
        (f'evaluate {SCENE} --exported onnx --runtime torch', "exported is 'onnx', but"),
        ('evaluate --curves rate=5 --strides 1', '--strides is for sequences'),
        ('evaluate --curves rate=5 --boxes a.npz', '--boxes is for sequences'),
        ('evaluate --curves rate=5 --half val', '--half is for sequences'),
        ('evaluate --curves rate=5 --table 1', '--table is for sequences'),
        ('evaluate --curves rate=5 --track-map', '--track-map is for sequences'),
        ('evaluate --curves rate=5 --save-tracks', '--save-tracks is for sequences'),
    ],
)
def test_an_option_without_effect_is_refused(folder, capsys, command, said):
    before = sorted(folder.rglob('*'))
    assert main(command.split()) == 1
    error = ' '.join(capsys.readouterr().err.split())
    assert said in error
    assert 'Traceback' not in error
    assert sorted(folder.rglob('*')) == before


@pytest.mark.parametrize('rule', [*RULES, 'mobile', ''])
@pytest.mark.parametrize('model', ['mobile', 'mot'])
@pytest.mark.parametrize('flag', ['--camera-motion', '--no-camera-motion', '--no-gallery'])
def test_what_a_linking_rule_does_not_use_is_refused(folder, capsys, flag, model, rule):
    """Those of the rule evidence change it; the result of another one would be the same."""
    words = [f'--rule={rule}'] if rule else []
    # A file that is missing is the error after this one.
    assert main(['track', 'none.mp4', '--model', model, *words, flag]) == 1
    error = ' '.join(capsys.readouterr().err.split())
    refused = f'{flag} is for the rule evidence, and has no effect with the rule' in error
    assert refused or 'none.mp4' in error
    settings = TrackingOptions(model=model, rule_name=rule or None)
    uses = replace(settings, gallery=False).rule != settings.rule
    assert refused == (not uses)
