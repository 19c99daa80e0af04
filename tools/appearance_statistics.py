#!/usr/bin/env python3
# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Create gtr_ros/weights/mobile_appearance.safetensors: features for the untrained association.

The labelled objects of a COCO data set are pooled from the feature maps of the imported detector.
Their whitened principal components are the features that link objects until GTR is trained.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from gtr_ros.data.coco.stills import load_json
from gtr_ros.data.formats.images import read_image
from gtr_ros.model.build import APPEARANCE
from gtr_ros.model.checkpoint import fit
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.checkpoint import save_checkpoint
from gtr_ros.model.mobile_centernet import MobileCenterNet
from gtr_ros.model.registry import cached_checkpoint
from gtr_ros.model.roi import pool_boxes
from gtr_ros.model.roi import Whitening


@torch.inference_mode()
def pooled_objects(detector: MobileCenterNet, annotations: Path, size: int) -> torch.Tensor:
    """Return the pooled maps of all objects except crowds, (N, C, size, size)."""
    data = load_json(annotations)
    boxes: dict[int, list] = {}
    for annotation in data['annotations']:
        if not annotation.get('iscrowd'):
            boxes.setdefault(annotation['image_id'], []).append(annotation['bbox'])
    pooled = []
    for image in data['images']:
        if image['id'] not in boxes:
            continue
        file = annotations.with_suffix('') / image['file_name']
        batch = detector.prepare([read_image(file)], torch.device('cpu'))
        xywh = torch.tensor(boxes[image['id']])
        xyxy = torch.cat((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), dim=1)
        maps = detector.backbone(batch.pixels).appearance
        pooled.append(pool_boxes(maps, detector.strides, [xyxy * batch.scales[0].repeat(2)], size))
    return torch.cat(pooled)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'annotations', type=Path, help='COCO JSON; its images are in the folder of the same name'
    )
    parser.add_argument('--out', type=Path, default=Path(str(APPEARANCE)))
    arguments = parser.parse_args()

    detector = MobileCenterNet().eval()
    checkpoint = cached_checkpoint('mobile')
    fit(detector, load_checkpoint(checkpoint)[0], checkpoint)
    objects = pooled_objects(detector, arguments.annotations, size=4)
    head = Whitening(sum(detector.channels), size=4, features=256)
    head.learn(objects)
    state = {key: value.half() for key, value in head.state_dict().items()}
    save_checkpoint(
        arguments.out,
        state,
        {
            'model': 'gtr_mobile, untrained appearance',
            'source': f'{len(objects)} labelled objects of COCO images; '
            'features of the imported MobileNetV3 CenterNet',
        },
    )
    print(f'{len(objects)} objects -> {arguments.out}')


if __name__ == '__main__':
    main()
