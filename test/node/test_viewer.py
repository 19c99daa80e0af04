# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The viewer shows a running tracker in a browser, and costs nothing while there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import re
import signal
import socket
import sys
from time import sleep
from urllib.request import urlopen

import numpy as np
from paths import REPOSITORY
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from browser import CHROMIUM
from browser import Chromium
from fake_tracker import detection
from fake_tracker import HEIGHT
from fake_tracker import OBJECTS
from fake_tracker import QUADRANTS
from fake_tracker import scene
from fake_tracker import set_box
from fake_tracker import TENTATIVE
from fake_tracker import TRAIL
from fake_tracker import WIDTH
from node_processes import ANSWER_SECONDS
from node_processes import executable
from node_processes import Process
from node_processes import process
from node_processes import ros_environment
from node_processes import STOP_SECONDS
from vision_msgs.msg import Detection2D
from vision_msgs.msg import Detection2DArray
from web_viewers import Viewer
from web_viewers import web_viewer

from gtr_ros.media.drawing import colour_of
from gtr_ros.msg import Trajectory
from gtr_ros.msg import TrajectoryArray
from gtr_ros.node.viewer.objects import objects_to_draw

pytestmark = pytest.mark.ros

FAKE_TRACKER = REPOSITORY / 'test/support/fake_tracker.py'


@contextmanager
def fake_tracker(namespace: str, encoding: str = 'rgb8') -> Iterator[Process]:
    rule = f'__ns:=/{namespace}'
    with process(sys.executable, FAKE_TRACKER, encoding, '--ros-args', '-r', rule) as running:
        running.wait_for_output('subscribers: 0')
        yield running


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def source() -> Iterator[Process]:
    with process(sys.executable, FAKE_TRACKER, 'rgb8') as running:
        running.wait_for_output('subscribers: 0')
        yield running


@pytest.fixture(scope='module')
def viewer(source: Process) -> Iterator[Viewer]:
    with web_viewer() as running:
        yield running


@pytest.fixture
def chromium(tmp_path) -> Iterator[Chromium]:
    if CHROMIUM is None:
        pytest.skip('no Chromium here (Debian: apt-get install chromium)')
    browser = Chromium(tmp_path)
    yield browser
    browser.close()


def near(pixels: np.ndarray, colour: tuple[int, ...], tolerance: int = 30) -> np.ndarray:
    return (np.abs(pixels.astype(int) - colour) <= tolerance).all(axis=-1)


def test_a_browser_shows_boxes_labels_and_trails_where_they_are(viewer, chromium, tmp_path):
    chromium.open(viewer.url)
    chromium.wait_for_status('/image: 2 objects')
    left, top, width, height = chromium.evaluate(
        "(() => { const r = document.querySelector('canvas').getBoundingClientRect();"
        'return [r.left, r.top, r.width, r.height] })()'
    )
    screenshot = chromium.screenshot()
    screenshot.save(tmp_path / 'viewer.png')
    pixels = np.asarray(screenshot)
    assert width / height == pytest.approx(WIDTH / HEIGHT, rel=0.01)
    scale = width / WIDTH
    assert scale > 2  # it fills the window

    def at(x: float, y: float) -> np.ndarray:
        """Return the 3 x 3 pixels of the screenshot around a point of the image."""
        column, row = round(left + x * scale), round(top + y * scale)
        return pixels[row - 1 : row + 2, column - 1 : column + 2]

    def outline(box: tuple[float, ...]) -> Iterator[np.ndarray]:
        x1, y1, x2, y2 = box
        for part in np.linspace(0.05, 0.95, 19):
            x, y = x1 + part * (x2 - x1), y1 + part * (y2 - y1)
            yield from (at(x, y1), at(x, y2), at(x1, y), at(x2, y))

    for i, grey in enumerate(QUADRANTS):
        assert near(at(10 + 300 * (i % 2), 10 + 220 * (i // 2)), (grey,) * 3, 6).all(), i
    shown = [(identity, box) for identity, *_, box in OBJECTS] + [TENTATIVE]
    for identity, box in shown:
        colour = colour_of(identity)
        assert all(near(point, colour).any() for point in outline(box)), identity
        # The label: a plate of that colour above the box, with dark or light text.
        x1, y1, x2, y2 = box
        row, column = round(top + y1 * scale) - 10, round(left + x1 * scale)
        plate = pixels[row - 5 : row + 6, column + 2 : column + 18]
        assert near(plate, colour).mean() > 0.3, identity
        assert (~near(plate, colour, 90)).any(), identity
        # Inside the box is the image.
        inside = at(x1 + 0.3 * (x2 - x1), y1 + 0.4 * (y2 - y1))
        assert (np.ptp(inside.astype(int), axis=-1) < 12).all(), identity

    # A plate is as wide as its text.
    def plate_width(identity: int, box: tuple[float, ...]) -> int:
        row = round(top + box[1] * scale) - 15
        column = round(left + box[0] * scale)
        return int(near(pixels[row, column:], colour_of(identity)).sum())

    assert plate_width(*shown[0]) > 2 * plate_width(*TENTATIVE)
    for (x1, y1), (x2, y2) in zip(TRAIL, (*TRAIL[1:], (130, 180))):
        middle = at((x1 + x2) / 2, (y1 + y2) / 2).astype(float)
        # Older segments are fainter: between the grey of the image and the colour.
        towards = np.array(colour_of(7)) - QUADRANTS[2]
        share = ((middle - QUADRANTS[2]) @ towards / (towards @ towards)).max()
        assert share > 0.25, (x1, y1)


def test_a_browser_shows_why_there_is_no_image(chromium):
    with web_viewer(tracker='/nowhere') as viewer:
        chromium.open(viewer.url)
        chromium.wait_for_status('no Detection2DArray on /nowhere/detections: no node publishes')


def test_a_frame_has_the_image_of_its_detections(viewer):
    header, pixels = viewer.frame()
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(pixels, scene(), atol=25)
    assert header['topic'] == '/image'
    assert [each['label'] for each in header['objects']] == ['7 person 0.91', '12 car 0.55', '31']
    person, car, tentative = header['objects']
    assert person['box'] == list(OBJECTS[0][3])
    assert person['trail'] == [list(map(float, point)) for point in (*TRAIL, (130, 180))]
    assert tuple(car['colour']) == colour_of(12)
    assert (person['confirmed'], tentative['confirmed']) == (True, False)
    # This tracker has no zones, and follows nothing: no frame waits for that.
    assert (header['zones'], header['followed']) == ([], None)


def test_compressed_images_are_shown_too(source):
    with web_viewer(image_transport='compressed') as viewer:
        header, pixels = viewer.frame()
        np.testing.assert_allclose(pixels, scene(), atol=30)
        assert header['topic'] == '/image/compressed'
        assert len(header['objects']) == 3


def test_an_image_that_cannot_be_shown_is_explained():
    with fake_tracker('broken', '16UC1'), web_viewer('-r', '__ns:=/broken') as viewer:
        viewer.wait_for_status("cannot show an image of /broken/image: encoding '16UC1'")
        assert 'Traceback' not in viewer.process.output


def test_a_tracker_of_other_images_is_explained(source):
    with fake_tracker('other'), web_viewer('-r', 'image:=/other/image') as viewer:
        viewer.wait_for_status('messages arrive on all of these topics, but never with the')


def test_without_a_browser_nothing_is_received_or_encoded():
    with fake_tracker('idle') as source, web_viewer('-r', '__ns:=/idle') as viewer:
        sleep(2.0)
        viewer.process.send(signal.SIGINT)
        assert viewer.process.wait(STOP_SECONDS) == 0
        assert 'encoded 0 images' in viewer.process.output
        assert 'subscribers: 1' not in source.output


def test_the_viewer_subscribes_from_the_first_browser_to_the_last():
    with fake_tracker('busy') as source, web_viewer('-r', '__ns:=/busy') as viewer:
        viewer.frame()
        source.wait_for_output('subscribers: 1', ANSWER_SECONDS)
        source.wait_for_output('subscribers: 1\nsubscribers: 0', ANSWER_SECONDS)
        # A browser that connects later gets no old frame.
        source.end()
        header, jpeg = viewer.request()
        assert (header['status'], jpeg) == ('waiting for the next image', b'')


def test_a_browser_that_does_not_read_blocks_no_other(viewer):
    viewer.frame()
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(('127.0.0.1', viewer.port))
        stuck.sendall(b'GET /frame?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n' * 2000)
        number = 0
        for _ in range(10):
            header, jpeg = viewer.request(number)
            assert jpeg
            assert header['number'] > number
            number = header['number']


def test_ctrl_c_ends_the_viewer_cleanly_while_browsers_wait(source):
    with web_viewer() as viewer:
        viewer.frame()
        with socket.create_connection(('127.0.0.1', viewer.port)) as waiting:
            waiting.sendall(b'GET /frame?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n')
            viewer.process.send(signal.SIGINT)
            assert viewer.process.wait(STOP_SECONDS) == 0
        assert 'Traceback' not in viewer.process.output
        assert 'Failed to publish' not in viewer.process.output
        encoded = re.search(r'encoded (\d+) images', viewer.process.output)
        assert int(encoded[1]) > 0


def own_address() -> str:
    """Return an address of this machine that others can reach, or another loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(('192.0.2.1', 9))  # sends nothing
            return probe.getsockname()[0]
        except OSError:
            return '127.0.0.2'


def test_by_default_other_machines_cannot_connect(viewer):
    assert viewer.url == f'http://127.0.0.1:{viewer.port}'
    assert 'no authentication' not in ' '.join(viewer.process.output.split())
    for address in ('127.0.0.2', own_address()):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, viewer.port), ANSWER_SECONDS)


@pytest.mark.parametrize('host', ['localhost:1', '127.0.0.1', '[::1]:80'])
def test_the_page_is_served_under_this_machines_names(viewer, host):
    status, body = viewer.get('/', host)
    assert status == 200
    assert b'<canvas' in body


@pytest.mark.parametrize('host', ['evil.example', 'localhost.evil.example:80', '10.0.0.1', '[::'])
def test_another_name_is_refused(viewer, host):
    for path in ('/', '/frame?after=0'):
        status, body = viewer.get(path, host)
        assert (status, body) == (
            403,
            b'Forbidden: this viewer only serves this machine, as localhost.\n',
        )


def test_an_address_that_others_can_reach_is_served_with_a_warning():
    with web_viewer(address='0.0.0.0') as viewer:
        viewer.process.wait_for_output('there is no authentication: anyone who can reach it')
        with socket.create_connection((own_address(), viewer.port), ANSWER_SECONDS):
            pass
        assert viewer.get('/', 'robot.example')[0] == 200


def test_the_page_must_not_be_framed_by_other_sites(viewer):
    with urlopen(viewer.url, timeout=ANSWER_SECONDS) as response:
        assert response.headers['X-Frame-Options'] == 'DENY'
        assert response.headers['X-Content-Type-Options'] == 'nosniff'


@pytest.mark.parametrize(
    ('path', 'status'), [('/other', 404), ('/frame?after=-1', 400), ('/frame?after=x', 400)]
)
def test_invalid_requests_are_refused(viewer, path, status):
    assert viewer.get(path)[0] == status


@pytest.mark.parametrize(
    ('parameter', 'text'),
    [
        ('port:=70000', 'Expected a value from 0 to 65535'),
        ('max_rate:=0.0', 'Expected a value from 0.1 to 1000.0'),
        ('jpeg_quality:=high', 'Expected a value from 1 to 95, such as 80'),
        ('image_transport:=h264', "image_transport is 'h264'; expected one of raw, compressed"),
        ('address:=nowhere.invalid', "cannot serve on address 'nowhere.invalid'"),
        ('tracker:="not a name"', "tracker is 'not a name'; expected the name of a node"),
    ],
)
def test_a_wrong_parameter_is_one_clear_error(parameter, text):
    command = [*executable('web_viewer'), '--ros-args', '-p', parameter]
    with process(*command) as viewer:
        assert viewer.wait() == 1
        assert text in viewer.output
        assert 'Traceback' not in viewer.output


def test_a_taken_port_is_one_clear_error(viewer):
    command = [*executable('web_viewer'), '--ros-args', '-p', f'port:={viewer.port}']
    with process(*command) as second:
        assert second.wait() == 1
        assert f"cannot serve on address '127.0.0.1', port {viewer.port}" in second.output
        assert 'Traceback' not in second.output


def test_objects_of_other_trackers_are_shown_too():
    nameless = Detection2D(id='')
    set_box(nameless, (1, 2, 3, 4))
    detections = Detection2DArray(
        detections=[
            detection('cup-a', 'cup', 0.5, (0, 0, 10, 10)),
            nameless,
            detection('9', 'cup', 0.5, (0, 0, float('nan'), 10)),
        ]
    )
    shown = objects_to_draw(detections, TrajectoryArray(trajectories=[Trajectory(id='gone')]))
    assert [each['label'] for each in shown] == ['cup-a cup 0.50', '']
    assert shown[0]['colour'] != shown[1]['colour']
    assert shown[1]['box'] == [1, 2, 3, 4]
    assert [each['trail'] for each in shown] == [[], []]
