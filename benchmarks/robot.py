# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what a robot gets: rendered drives go through the node, and each output is compared.

A drive is rendered into a bag with images, depth of a stereo camera, camera_info, /tf and
/tf_static, and played at its rate over DDS to the node in a process of its own, with the default
checkpoint. One person is chosen by ~/follow; an area and a line are where most happens. Then the
measurements follow that need no node, an hour or more: tracks in metres, people followed, the
camera's own motion, several cameras. On a machine that is too slow, the node drops images;
--speed 0.5 plays half as fast.

Events that must be reported are those that the node's rules give for the true positions of people
who are within 8 m and half visible for a second before and after. A published one is right if such
a thing happened to the same person within a second, late if it is true of where the person is (who
was not seen before), wrong otherwise. What happens because a track was lost is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import subprocess
import sys
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from benchmarks.metric_scenes import Record
from benchmarks.node_overhead import REPOSITORY
from benchmarks.robot_bag import everybody_of
from benchmarks.robot_bag import write_drive
from benchmarks.robot_events import choose_zones
from benchmarks.robot_events import write_zones
from benchmarks.robot_figures import DriveFigures
from benchmarks.robot_figures import figures_of_drive
from benchmarks.robot_figures import with_tracks
from benchmarks.robot_run import run
from benchmarks.robot_run import RunError
from benchmarks.robot_truth import BEGIN
from benchmarks.robot_truth import choose_person
from benchmarks.robot_truth import pixel_of
from gtr_ros.data.people import generate
from gtr_ros.data.people import PeopleScene
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.tracking.events import Kind

#: of the scenes without seed; nothing was chosen on these
SCENE = 'people:camera=drive,objects=8,fov=69,rate=10,size=480x640'
SEEDS, SECONDS = (51, 52, 53), 20
QUICK_SEEDS, QUICK_SECONDS = (51,), 12
#: the other measurements: module, its arguments, and those of a quick run; None: not in it
OTHERS = (
    ('metric', [], ['--scenes', f'{SCENE},duration=4,seed=31']),
    ('following', ['--first', '3000'], ['--first', '3000', '--scenes', '3']),
    ('following', ['--rendered', '--first', '8000'], None),
    ('followed_people', [], None),
    ('ego_motion', [], None),
    ('cameras', [], None),
)
_KINDS = {
    Kind.ENTERED_ZONE: 'area entered',
    Kind.LEFT_ZONE: 'area left',
    Kind.CROSSED_LINE: 'line crossed',
}

console = Console(width=None if sys.stdout.isatty() else 180)


def measure(scene: PeopleScene, bag: Path, arguments: list[str], speed: float) -> DriveFigures:
    """
    Render a drive into a bag, play it to the node, and compare.

    :param bag: folder, which is created; zones.yaml and the output of the processes are beside it
    :param arguments: more arguments of the node
    :param speed: seconds of the bag per second
    :raises RunError: if the node or the player fails
    """
    console.print(f'rendering {scene}', style='dim')
    bag.parent.mkdir(parents=True, exist_ok=True)
    people = generate(scene)
    truth = write_drive(bag, people)
    everybody = everybody_of(people)
    zones, person = choose_zones(truth, everybody), choose_person(truth)
    write_zones(bag.parent / 'zones.yaml', zones)
    by_stamp = {record.stamp: record for record in truth}

    def choose(message: object) -> tuple[float, float] | None:
        record: Record | None = by_stamp.get(stamp_to_nanoseconds(message.header.stamp))
        if person is None or record is None or record.stamp < truth[0].stamp + BEGIN:
            return None
        return pixel_of(with_tracks(record, message), person)

    console.print(f'playing {len(truth)} images to the node', style='dim')
    heard = run(bag, bag.parent / 'zones.yaml', choose, arguments, speed, bag.parent)
    return figures_of_drive(truth, heard, zones, person, everybody)


def table_of(drives: dict[str, DriveFigures]) -> Table:
    """Return a table with a column for each drive."""
    table = Table('', title='rendered drives through the node, people at 2 to 8 m')
    for name in drives:
        table.add_column(name, justify='right')
    columns = [dict(_rows(figures)) for figures in drives.values()]
    for name in columns[0]:
        table.add_row(name, *(column[name] for column in columns))
    return table


def _rows(figures: DriveFigures) -> list[tuple[str, str]]:
    """Return the rows of a drive: names and values."""
    metric, status, followed = figures.metric, figures.status, figures.followed
    tracked, detected = figures.placed
    rows = [
        ('images played', f'{figures.images}'),
        *((f'images {name}', status.get(name, '?')) for name in ('received', 'processed')),
        ('images dropped for newer ones', status.get('dropped', '?')),
        ('images without transform', status.get('without_transform', '?')),
        ('images with detections / with tracks in metres', f'{detected} / {tracked}'),
        ('~/tracks_3d has the same objects', 'yes' if figures.same else 'NO'),
        ('positions compared', f'{metric.count}'),
        ('position error, m: median / RMS', f'{metric.median:.3f} / {metric.rms:.3f}'),
        ('truth in the 95 % ellipse on the ground', f'{metric.ground:.1%}'),
        ('coasted share of the tracks', f'{figures.coasted:.1%}'),
        ('velocities compared', f'{metric.walking}'),
        ('speed RMSE, m/s: all who walk / steady', f'{metric.speed:.3f} / {metric.steady:.3f}'),
    ]
    if followed is None:
        rows += [(name, 'nobody') for name in _FOLLOWING]
    else:
        states = ', '.join(f'{name} {seconds:.1f}' for name, seconds in followed.states.items())
        share = followed.followed / followed.seen if followed.seen else float('nan')
        values = (
            f'{followed.followed:.1f} of {followed.seen:.1f} ({share:.0%})',
            states,
            f'{followed.hand_overs}',
            f'{followed.error:.3f}',
        )
        rows += list(zip(_FOLLOWING, values))
    for kind, matched in figures.events.items():
        text = f'{matched.found} of {matched.due}; {matched.late} late, {matched.wrong} wrong'
        rows.append((f'events, {_KINDS[kind]}', text))
    have, pictures = figures.pictured, figures.pictures
    return [
        *rows,
        ('~/counts are the sums of the events', 'yes' if figures.counted else 'NO'),
        ('people within 8 m with an outline', f'{figures.outlined:.1%}'),
        ('outlines where nobody is', f'{figures.empty:.1%}'),
        ('people seen well for 1 s with a picture', f'{have[1]} of {have[0]}'),
        ('pictures / tracks with pictures of several', f'{pictures[0]} / {pictures[1]}'),
    ]


_FOLLOWING = (
    'followed, s of those in view',
    'states of following, s',
    'hand-overs',
    'error of the followed pose, m: median',
)


def main() -> int:
    """Run the command line; return the exit code, 1: a process failed, or there are hand-overs."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.robot',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--quick', action='store_true', help='one short drive; two minutes')
    parser.add_argument(
        '--scenes', nargs='+', metavar='SCENE', help=f'such as {SCENE},duration=20,seed=7'
    )
    parser.add_argument(
        '--speed', type=float, default=1.0, help='seconds of the bag per second (default: 1)'
    )
    parser.add_argument(
        '--keep', type=Path, metavar='FOLDER', help='keep bags, zones and logs in this folder'
    )
    parser.add_argument('--only', action='store_true', help='leave the other measurements out')
    parser.add_argument(
        '--node',
        nargs=argparse.REMAINDER,
        default=[],
        metavar='WORD',
        help='all that follows: more arguments of the node, such as -p coast:=2.0',
    )
    options = parser.parse_args()
    seeds, seconds = (QUICK_SEEDS, QUICK_SECONDS) if options.quick else (SEEDS, SECONDS)
    texts = options.scenes or [f'{SCENE},duration={seconds},seed={seed}' for seed in seeds]
    if not options.speed > 0:
        parser.error(f'--speed is {options.speed}; expected a number above 0')
    try:
        scenes = [PeopleScene.parse(text) for text in texts]
    except ValueError as error:
        parser.error(str(error))
    drives: dict[str, DriveFigures] = {}
    with TemporaryDirectory(prefix='robot_') as temporary:
        folder = options.keep or Path(temporary)
        for i, scene in enumerate(scenes):
            bag = folder / f'drive_{i + 1}' / 'bag'
            if bag.exists():
                parser.error(f'{bag} exists, and is not overwritten; choose another --keep')
            try:
                drives[f'seed {scene.seed}'] = measure(scene, bag, options.node, options.speed)
            except RunError as error:
                console.print(f'robot: {error}', style='red', markup=False)
                return 1
    console.print(table_of(drives))
    wrong = sum(d.followed.hand_overs for d in drives.values() if d.followed)
    failed = [] if options.only else _others(options.quick)
    return 1 if wrong or failed else 0


def _others(quick: bool) -> list[str]:
    """Run the other measurements, which print their tables; return those that failed."""
    failed = []
    for name, full, short in OTHERS:
        arguments = short if quick else full
        if arguments is None:
            continue
        command = [sys.executable, '-m', f'benchmarks.{name}', *arguments]
        console.print(f'python {" ".join(command[1:])}', style='dim', markup=False)
        if subprocess.run(command, cwd=REPOSITORY, check=False).returncode:
            failed.append(name)
    return failed


if __name__ == '__main__':
    sys.exit(main())
