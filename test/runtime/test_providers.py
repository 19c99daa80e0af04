# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ONNX Runtime computes on, by what is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gtr_ros.runtime.providers import choose_provider
from gtr_ros.runtime.providers import describe_provider
from gtr_ros.runtime.providers import provider_options

CPU = 'CPUExecutionProvider'
CUDA = [CPU, 'CUDAExecutionProvider']
ALL = ['TensorrtExecutionProvider', *CUDA]


@pytest.mark.parametrize(
    ('provider', 'device', 'found', 'engines', 'chosen'),
    [
        ('auto', 'auto', ALL, True, 'tensorrt'),
        ('auto', 'cuda:1', ALL, True, 'tensorrt'),
        ('auto', 'auto', ALL, False, 'cuda'),  # building takes minutes before the first frame
        ('auto', 'cpu', ALL, True, 'cpu'),
        ('auto', 'auto', CUDA, True, 'cuda'),
        ('auto', 'auto', [CPU], True, 'cpu'),
        ('tensorrt', 'auto', ALL, False, 'tensorrt'),
        ('cuda', 'auto', ALL, True, 'cuda'),
        ('cpu', 'auto', ALL, True, 'cpu'),
    ],
)
def test_the_fastest_that_is_there_is_chosen(provider, device, found, engines, chosen):
    assert choose_provider(provider, device, found, engines, '1.0') == chosen


def test_of_this_machine_the_cpu_is_always_there():
    onnxruntime = pytest.importorskip('onnxruntime', reason='needs the onnx extra')
    found = onnxruntime.get_available_providers()
    assert choose_provider('auto', 'cpu', found, True, '1.0') == 'cpu'
    best = choose_provider('auto', 'auto', found, True, '1.0')
    assert (best == 'tensorrt') == ('TensorrtExecutionProvider' in found)
    assert f'and computes on {best}' in describe_provider(best, found, False, '1.0')


@pytest.mark.parametrize('provider', ['cuda', 'tensorrt'])
def test_what_is_not_there_is_refused(provider):
    words = (
        rf'provider is {provider}, but .*1\.0 lacks it \(it has: cpu\); install onnxruntime-gpu'
    )
    with pytest.raises(ValueError, match=words):
        choose_provider(provider, 'auto', [CPU, 'AzureExecutionProvider'], True, '1.0')


@pytest.mark.parametrize(
    ('provider', 'found', 'gpu', 'end'),
    [
        ('cpu', [CPU], False, 'has the providers cpu and computes on cpu'),
        ('cpu', [CPU], True, '; the GPU would be faster: pip install onnxruntime-gpu'),
        ('cuda', CUDA, True, '; TensorRT would be faster, if its libraries are installed'),
        ('cuda', ALL, True, 'faster: build its engines once with `gtr compile`'),
        ('tensorrt', ALL, True, 'cpu, cuda, tensorrt and computes on tensorrt'),
    ],
)
def test_it_says_what_was_found_and_what_would_be_faster(provider, found, gpu, end):
    assert describe_provider(provider, found, gpu, '1.0').endswith(end)


def test_engines_are_kept_and_others_take_over():
    names = [name for name, _ in provider_options('tensorrt', 'cuda:1', Path('engines'))]
    assert names == ['TensorrtExecutionProvider', 'CUDAExecutionProvider', CPU]
    options = provider_options('tensorrt', 'cuda:1', Path('engines'))[0][1]
    assert options['device_id'] == 1
    assert options['trt_engine_cache_enable']
    assert options['trt_engine_cache_path'] == 'engines'
    assert provider_options('cpu', 'auto', Path('engines')) == [(CPU, {})]
