# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""torch and torchvision are imported without the compiler, which still works afterwards."""

import subprocess
import sys

import pytest

BEGIN = """
import sys
from gtr_ros.runtime.process import import_torch
import_torch()
assert 'torchvision' in sys.modules
assert 'torch._dynamo' not in sys.modules
assert 'torch._dynamo.utils' not in sys.modules
import torch
"""
USES = {
    'the operators of torchvision': """
from torchvision.ops import nms, roi_align
boxes = torch.tensor([[0., 0., 4., 4.], [0., 0., 4., 4.]])
assert nms(boxes, torch.tensor([.5, .9]), .5).tolist() == [1]
torch.use_deterministic_algorithms(True)
assert roi_align(torch.ones(1, 1, 8, 8), [boxes], 2).eq(1).all()
""",
    'torch.compile': """
torch.compile(lambda x: x + 1, backend='eager')(torch.zeros(2)).eq(1).all()
assert 'torch._dynamo' in sys.modules
""",
    'what torchvision asks on a GPU': """
from torchvision.ops import roi_align
module = sys.modules[roi_align.__module__]
assert module.is_compile_supported('cpu') is True
""",
    'names of the compiler': """
import torch._dynamo
from torch._dynamo.utils import counters
assert torch._dynamo.utils.counters is counters
""",
    'a second call': """
import_torch()
""",
}


@pytest.mark.parametrize('use', USES)
def test_after_the_import_this_works(use):
    run = subprocess.run([sys.executable, '-c', BEGIN + USES[use]], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_stand_in_gives_way_to_a_module_that_imports_the_compiler_first():
    code = """
import sys
import torch
from gtr_ros.runtime.process import _COMPILER, _LazyCompiler
sys.modules[_COMPILER] = _LazyCompiler(_COMPILER)
import torch._dynamo
assert torch.compile(lambda x: x + 1, backend='eager')(torch.zeros(2)).eq(1).all()
assert not isinstance(sys.modules[_COMPILER], _LazyCompiler)
"""
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
