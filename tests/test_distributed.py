"Two processes give the advantages, the curriculum and the epochs of one."

import json
from pathlib import Path

import pytest
from conftest import in_processes

here = Path(__file__).resolve().parent


def play(out, processes=None):
    ran = in_processes(here / 'distributed_worker.py', out, processes or 1, processes=processes)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(Path(out).read_text())


@pytest.mark.xdist_group('runs')
def test_two_processes_are_one(tmp_path):
    one = play(tmp_path / 'one.json')
    two = play(tmp_path / 'two.json', processes=2)
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
    line = json.dumps(settings | more)
    ran = in_processes(here / 'counting_worker.py', line, out, processes=2)
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
