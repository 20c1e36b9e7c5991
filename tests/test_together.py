"A run of several processes: one folder, an end for all when one is killed, and the same result."

import json
import time
from pathlib import Path

import pytest
from conftest import in_processes
from safetensors.torch import load_file

here = Path(__file__).resolve().parent
RUN = (
    '--data movie --model toy --steps 4 --max-new-tokens 8 --test-queries 6 --lora-rank 0'
    ' --save_steps 1 --eval_steps 2 --logging_steps 1 --per_device_train_batch_size 4'
)


@pytest.fixture
def folder(tmp_path):
    from rerec.run.kinds import write_queries
    from rerec.run.policy import toy_benchmark, toy_model
    from rerec.run.world import mini_world

    world = mini_world(n_users=60)
    films = [q for q in write_queries(world, 200, seed=0) if q.domain == 'movie']
    toy_benchmark(tmp_path / 'movie', world, films)
    toy_model(tmp_path / 'toy', world)
    return tmp_path


def launch(folder, line, processes=2, **env):
    "Exit code, seconds, and what was said."
    begun = time.time()
    worker = here / 'killed_rank_worker.py'
    ran = in_processes(worker, *line.split(), processes=processes, cwd=folder, **env)
    return ran.returncode, time.time() - begun, ran.stdout + ran.stderr


def logged(run):
    "What was logged and does not depend on the clock."
    rows = [json.loads(line) for line in (run / 'metrics.jsonl').read_text().splitlines()]
    timed = ('time', 'runtime', 'per_second')
    return [{k: v for k, v in row.items() if not k.endswith(timed)} for row in rows]


@pytest.mark.xdist_group('runs')
def test_a_killed_process_ends_all_and_the_run_goes_on(folder):
    code, _, said = launch(folder, f'train {RUN} --name whole')
    assert code == 0, said[-3000:]
    code, seconds, _ = launch(folder, f'train {RUN} --name broken', REREC_KILL_AT='2')
    assert code != 0 and seconds < 60
    assert not (folder / 'runs' / 'broken' / 'result.json').exists()
    code, _, said = launch(folder, f'train {RUN} --name broken --resume')
    assert code == 0, said[-3000:]
    whole, broken = folder / 'runs' / 'whole', folder / 'runs' / 'broken'
    assert logged(whole) == logged(broken) and len(logged(whole)) >= 4
    first, second = (load_file(run / 'model' / 'model.safetensors') for run in (whole, broken))
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)
    files = {p.name for p in (whole / 'model').iterdir()}
    assert 'training_args.bin' not in files and 'tokenizer.json' in files
    assert not list(whole.glob('.*draft*'))


@pytest.mark.xdist_group('runs')
def test_what_one_process_trains(folder):
    code, _, said = launch(folder, 'train --steps 1 --name small')
    assert code != 0 and 'the small world is trained by one process' in said
