# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Installs the Python code without the ROS nodes, for machines that train and evaluate."""

from pathlib import Path
import re

from setuptools import find_packages
from setuptools import setup

version = re.search(r"__version__ = '(.+)'", Path('gtr_ros/__init__.py').read_text())[1]

setup(
    name='gtr_ros',
    version=version,
    description='Global Tracking Transformer: multi-object tracking in videos',
    license='Apache-2.0 AND MIT',  # MIT: the avatars of the rendered people
    python_requires='>=3.10',
    packages=find_packages(include=['gtr_ros', 'gtr_ros.*'], exclude=['gtr_ros.node*']),
    package_data={
        'gtr_ros': ['py.typed'],
        'gtr_ros.data.people': [
            'avatars/*.glb',
            'avatars/*.md',
            'avatars/LICENSE',
            'avatars/parts/*.png',
        ],
        'gtr_ros.weights': ['*.safetensors', '*.tsv'],
    },
    install_requires=[
        'av>=12',
        'numpy>=1.26',
        'pillow>=10',
        'rich>=13',
        'safetensors>=0.4',
        'scipy>=1.10',
        'timm>=1.0',
        'torch>=2.6',
        'torchvision>=0.21',
    ],
    extras_require={
        'evaluation': [
            'faster-coco-eval>=1.6',
            'matplotlib>=3.8',
            'onnxruntime>=1.20',
            'rosbags>=0.10',
            'trackers>=2.6',
            'trackeval>=1.3',
        ],
        'cluster': ['ray>=2.9'],
        'detectors': ['onnxruntime>=1.20', 'pyyaml>=6'],
        'onnx': ['onnx>=1.17', 'onnxruntime>=1.24'],
        'openvino': ['onnx>=1.17', 'openvino>=2025.0'],
        'people': ['moderngl>=5.12'],
        'training': ['pydantic>=2.5', 'pyyaml>=6', 'tensorboard>=2.15'],
    },
    entry_points={'console_scripts': ['gtr = gtr_ros.cli:main']},
)
