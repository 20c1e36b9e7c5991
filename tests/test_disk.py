"""A disk that is full or read-only: one line that says what and where, nothing lost, and the same
command goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_nothing_lost import contents, differing, outcome

pytestmark = pytest.mark.xdist_group('disk')
worker = Path(__file__).with_name('disk_worker.py')
FULL = ('File too large', 'No space left on device')


def mounted(folder, options):
    "An empty disk in memory, if we may."
    folder.mkdir()
    return (
        os.geteuid() == 0
        and subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', folder], capture_output=True
        ).returncode
        == 0
    )


@pytest.fixture(scope='module')
def disk(tmp_path_factory):
    "All commands at once: (their folder, what they said)."
    home = tmp_path_factory.mktemp('disk')
    frozen, small = home / 'frozen', home / 'small'
    disks = [f for f, options in ((frozen, 'ro'), (small, 'size=40k')) if mounted(f, options)]
    if frozen not in disks:
        frozen.chmod(0o555)
        frozen = frozen if os.geteuid() else Path('/sys')  # no mode stops root
    try:
        r = subprocess.run(
            [sys.executable, worker, home, frozen, small if small in disks else ''],
            capture_output=True,
            text=True,
            timeout=600,
            env={**os.environ, 'OMP_NUM_THREADS': '1', 'MPLBACKEND': 'agg'},
        )
        assert r.returncode == 0, r.stderr[-4000:]
        yield home, json.loads(r.stdout.splitlines()[-1]), small in disks, contents(small / 'shop')
    finally:
        for f in disks:
            subprocess.run(['umount', '-l', f])


def is_clear(said, path, reasons=FULL):
    "One line, exit code 1: the path, the reason and a remedy."
    (line,) = said['said']
    return (
        said['code'] == 1
        and line.startswith(f'rerec: {path}')
        and any(f'{r} -> ' in line for r in reasons)
    )


@pytest.mark.parametrize('size', [900, 4000, 20_000, 40_000])
def test_full_while_building(disk, size):
    home, told, *_ = disk
    failed, again = told[f'full {size}']
    assert is_clear(failed, home / f'full-{size}') and again['code'] == 0
    assert not differing(contents(home / 'whole'), contents(home / f'full-{size}'))


def test_really_full_while_building(disk):
    home, told, could_mount, made = disk
    if not could_mount:
        pytest.skip('no disk can be mounted here')
    assert is_clear(told['small'][0], home / 'small') and told['small'][1]['code'] == 0
    assert not differing(contents(home / 'whole'), made)


def test_debug_shows_where(disk):
    said = disk[1]['debug']
    assert said['code'] != 0 and any('Traceback' in l for l in said['said'])


def test_full_while_exporting(disk):
    home, told, *_ = disk
    failed, is_there, again = told['export']
    assert is_clear(failed, home / 'exported') and not is_there and again['code'] == 0


def test_full_while_training(disk):
    home, told, *_ = disk
    whole, failed, left, again = told['train']
    assert whole['code'] == 0 and is_clear(failed, home) and again['code'] == 0
    assert (
        left['rerec checkpoint'][0] == 'checkpoint-4' and not left['result']
    )  # could be read, optimizer and all
    a, b = (outcome(home / n) for n in ('whole-run', 'full-run'))
    assert a[:2] == b[:2] and not differing(a[2], b[2])


def test_read_only(disk):
    "Refused before anything is read: the tables of the build do not even exist."
    for said in disk[1]['frozen']:
        (line,) = said['said']
        assert (
            said['code'] in (1, 2)
            and '/new' in line + 'mini-0/new'
            and ' -> ' in line
            and 'none.csv' not in line
            and said['seconds'] < 5
        )
