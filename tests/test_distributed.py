"Two processes give the advantages, the curriculum and the epochs of one."

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

here = Path(__file__).resolve().parent


def play(out, *launcher, world):
    env = {
        **os.environ,
        'PYTHONPATH': str(here.parent),
        'OMP_NUM_THREADS': '1',
        'ACCELERATE_USE_CPU': 'true',
    }
    r = subprocess.run(
        [sys.executable, *launcher, here / 'distributed_worker.py', out, str(world)],
        capture_output=True,
        text=True,
        env=env,
        timeout=400,
    )
    assert r.returncode == 0, r.stderr[-3000:]
    return json.loads(Path(out).read_text())


@pytest.mark.xdist_group('runs')
def test_two_processes_are_one(tmp_path):
    one = play(tmp_path / 'one.json', world=1)
    two = play(
        tmp_path / 'two.json',
        '-m',
        'torch.distributed.run',
        '--standalone',
        '--nproc_per_node',
        '2',
        world=2,
    )
    assert one['curriculum'] == two['curriculum']
    assert len(one['advantages']) == len(two['advantages']) == 4
    for a, b in zip(one['advantages'], two['advantages']):
        assert len(a) == len(b) == 12
        for x, y in zip(a, b):
            assert x == pytest.approx(y, abs=1e-5)
    assert one['played'] == two['played'] and one['rates'] == pytest.approx(two['rates'])
    for epoch in (0, 1):  # three of five queries and then two: none is left out
        assert {q for e, queries in two['played'] if e == epoch for q in queries} == set(range(5))
    assert two['rates'] == pytest.approx([k * 1e-3 / 4 for k in (4, 3, 2, 1)])
    assert two['weights'] == pytest.approx(one['weights'], rel=1e-5), (
        'the same answers move the model differently'
    )
    assert any(len(set(row)) > 1 for step in one['advantages'] for row in step), (
        'no answer was blamed in part: the test would prove little'
    )
