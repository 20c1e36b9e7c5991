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


@pytest.mark.xdist_group('runs')
@pytest.mark.parametrize('more', [{}, dict(steps_per_generation=2), dict(num_iterations=2)])
def test_a_plan_counts_what_two_processes_do(tmp_path, more):
    "The formulas of a plan against counters in both processes."
    from rerec.full.counts import n_updates, pass_counts, sizes_of

    settings = dict(
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=4,
        use_cpu=True,
        bf16=False,
        report_to=[],
        save_strategy='no',
        disable_tqdm=True,
    )
    out = tmp_path / 'counts.json'
    launcher = ('-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2')
    ran = subprocess.run(
        [sys.executable, *launcher, here / 'counting_worker.py', json.dumps(settings | more), out],
        capture_output=True,
        text=True,
        timeout=400,
        env=os.environ
        | dict(PYTHONPATH=str(here.parent), OMP_NUM_THREADS='1', ACCELERATE_USE_CPU='true'),
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    sizes = sizes_of(settings | more | dict(max_steps=3), 8, processes=2)
    planned = {count.name: count.value for count in pass_counts(sizes)}
    assert json.loads(out.read_text()) == dict(
        learned=3 * 8,  # three updates of both processes
        old=planned['scored before learning (forward)'],
        reference=0,
        sampled=planned['sampled answers, at most'],
        updates=n_updates(sizes),
    )
