# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The viewer shows zones, counters and the followed object, and a click follows another one."""

from __future__ import annotations

from collections.abc import Iterator
import json
import math
import sys

import numpy as np
from paths import REPOSITORY
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from browser import CHROMIUM
from browser import Chromium
from fake_follower import COUNTS
from fake_follower import DISTANCE
from fake_follower import GATE
from fake_follower import SECONDS
from fake_follower import YARD
from fake_follower import ZONES
from fake_tracker import HEIGHT
from fake_tracker import OBJECTS
from fake_tracker import WIDTH
from geometry_msgs.msg import Point
from node_processes import ANSWER_SECONDS
from node_processes import Process
from node_processes import process
from node_processes import ros_environment
from web_viewers import Viewer
from web_viewers import web_viewer

from gtr_ros.msg import FollowedState
from gtr_ros.msg import Zone
from gtr_ros.msg import ZoneArray
from gtr_ros.node.viewer.objects import followed_to_show
from gtr_ros.node.viewer.objects import zones_to_draw

pytestmark = pytest.mark.ros

FAKE_FOLLOWER = REPOSITORY / 'test/support/fake_follower.py'
AMBER = (255, 191, 0)


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def tracker() -> Iterator[Process]:
    with process(sys.executable, FAKE_FOLLOWER, '--ros-args', '-r', '__ns:=/f') as running:
        running.wait_for_output('subscribers: 0')
        yield running


@pytest.fixture(scope='module')
def viewer(tracker: Process) -> Iterator[Viewer]:
    with web_viewer('-r', '__ns:=/f') as running:
        yield running


@pytest.fixture
def browser(tmp_path) -> Iterator[Chromium]:
    if CHROMIUM is None:
        pytest.skip('no Chromium here (Debian: apt-get install chromium)')
    made = Chromium(tmp_path)
    yield made
    made.close()


def follow(viewer: Viewer, track_id: str) -> tuple[int, str]:
    return viewer.post('/follow', json.dumps({'id': track_id}).encode())


def frame_with(viewer: Viewer, state: str) -> dict:
    """Request frames until the followed object has this state."""
    header, number = {}, 0
    for _ in range(100):
        header, _ = viewer.request(number)
        number = header.get('number', 0)
        if (header.get('followed') or {}).get('state') == state:
            return header
    raise AssertionError(f'never {state}: {header}')


def test_a_frame_has_zones_and_counters(viewer):
    header = frame_with(viewer, 'none')
    yard, gate, bay = header['zones']
    assert yard['corners'] == [[x * WIDTH, y * HEIGHT] for x, y in YARD]
    assert gate['corners'] == [list(corner) for corner in GATE]
    assert bay['corners'] is None, 'a zone on the ground has no place in the image'
    assert [zone['line'] for zone in header['zones']] == [False, True, False]
    assert yard['text'] == 'yard: 2 inside, 5 entered, 3 left'
    assert gate['text'] == 'gate: 4 left to right, 6 right to left'
    assert (yard['crossings'], gate['crossings']) == (None, [4, 6])


def test_a_request_reaches_the_tracker_and_its_answer_the_page(viewer, tracker):
    assert follow(viewer, '7') == (200, 'following 7\n')
    tracker.wait_for_output("asked to follow '7' of camera ''", ANSWER_SECONDS)
    followed = frame_with(viewer, 'following')['followed']
    assert followed == {'id': '7', 'state': 'following', 'seconds': 0.0, 'distance': DISTANCE}
    assert follow(viewer, '4711') == (409, 'there is no 4711\n')
    assert frame_with(viewer, 'following')['followed']['id'] == '7'
    assert follow(viewer, '')[0] == 200
    assert frame_with(viewer, 'none')['followed']['id'] == ''


def test_a_tracker_that_does_not_follow_is_named(tracker):
    with web_viewer('-r', '__ns:=/f', tracker='other/front') as viewer:
        assert follow(viewer, '7') == (
            409,
            'no node offers the service /f/other/front/follow or /f/other/follow\n',
        )


def test_on_an_address_that_others_can_reach_nobody_chooses(tracker):
    with web_viewer('-r', '__ns:=/f', address='0.0.0.0') as viewer:
        status, text = follow(viewer, '12')
        assert status == 403
        assert 'on a loopback address only' in text
        assert frame_with(viewer, 'none')['can_follow'] is False
    assert "asked to follow '12'" not in tracker.output


def test_a_click_follows_and_the_page_says_so(viewer, tracker, browser):
    browser.open(viewer.url)
    browser.wait_for_status('click an object to follow it', '#follow')
    browser.wait_for_status('bay: 1 inside, 1 entered, 0 left', '#zones')
    left, top, width = browser.evaluate(
        "(() => { const r = document.querySelector('canvas').getBoundingClientRect();"
        'return [r.left, r.top, r.width] })()'
    )
    scale = width / WIDTH

    def pixels(x: float, y: float) -> np.ndarray:
        """Return the 5 x 5 pixels of the page around a point of the image."""
        column, row = round(left + x * scale), round(top + y * scale)
        return shown[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3).astype(int)

    def is_near(x: float, y: float, colour: tuple[int, ...]) -> bool:
        return bool((np.abs(pixels(x, y) - colour) < 40).all(axis=1).any())

    shown = np.asarray(browser.screenshot())
    corners = [(x * WIDTH, y * HEIGHT) for x, y in YARD]
    for (x1, y1), (x2, y2) in [*zip(corners, corners[1:] + corners[:1]), GATE]:
        assert is_near(0.3 * x1 + 0.7 * x2, 0.3 * y1 + 0.7 * y2, AMBER), (x1, y1, x2, y2)
    # Who looks along the gate, to the right of the image, has the lower side at the right.
    browser.evaluate(
        'window.texts = {}; window.draw_ = drawText; drawText = (text, x, y, ...rest) => '
        '{ texts[text] = y; draw_(text, x, y, ...rest) }; draw(); 0'
    )
    texts = browser.evaluate('texts')
    assert texts['4'] > GATE[0][1] * scale > texts['6']

    (first, _, _, box), (second, *_) = OBJECTS
    middle = left + scale * (box[0] + box[2]) / 2, top + scale * (box[1] + box[3]) / 2
    browser.click(*middle)
    browser.wait_for_status(f'following {first}, 2.5 m away', '#follow')
    # A white frame around the box.
    edge = box[0] - 4 / scale, (box[1] + box[3]) / 2
    for _ in range(100):
        shown = np.asarray(browser.screenshot())
        if is_near(*edge, (255, 255, 255)):
            break
    else:
        raise AssertionError('the followed object has no frame')
    # What is refused is said; what was followed goes on.
    browser.evaluate("follow('4711'); 0")
    browser.wait_for_status('there is no 4711', '#follow')
    follow(viewer, 'hidden')
    browser.wait_for_status(f'{first}: hidden, last seen {SECONDS:.1f} s ago', '#follow')
    follow(viewer, str(second))
    browser.wait_for_status(f'following {second}, 2.5 m away', '#follow')
    # The button, and a second click, stop.
    browser.evaluate("document.querySelector('button').click(); 0")
    browser.wait_for_status('click an object to follow it', '#follow')
    browser.click(*middle)
    browser.wait_for_status(f'following {first}, 2.5 m away', '#follow')
    browser.click(*middle)
    browser.wait_for_status('click an object to follow it', '#follow')
    assert tracker.output.count("asked to follow ''") >= 2


def test_zones_of_which_no_counters_are_known_have_their_names():
    drawn = zones_to_draw(ZONES, None, (HEIGHT, WIDTH))
    assert [(zone['text'], zone['crossings']) for zone in drawn] == [
        ('yard', None),
        ('gate', None),
        ('bay', None),
    ]
    assert zones_to_draw(ZoneArray(), COUNTS, (HEIGHT, WIDTH)) == []


def test_values_that_json_lacks_are_left_out():
    zones = ZoneArray(zones=[Zone(name='odd', corners=[Point(x=math.nan)])])
    assert zones_to_draw(zones, None, (HEIGHT, WIDTH)) == []
    odd = FollowedState(state=99, seconds=math.inf, distance=math.nan)
    assert followed_to_show(odd) == {'id': '', 'state': 'none', 'seconds': 0.0, 'distance': None}
    assert followed_to_show(None) is None
