"A run that is killed without warning goes on to the same end as one that is not."
import json, os, signal, subprocess, sys, time
from pathlib import Path
import pytest

CODE = '''
import sys
from rerec.runs import MiniRun, train_mini
few = dict(demos=300, train=24, validation=10, test=20, unseen=10)
tiny = dict(per_device_train_batch_size=16, num_generations=4, eval_steps=2, save_steps=2, logging_steps=1)
train_mini(MiniRun(folder=sys.argv[1], seed=5, warm_steps=40, steps=8, sizes=few, trainer=tiny, resume=True))
'''

def start(folder):
    return subprocess.Popen([sys.executable, '-c', CODE, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})

def finish(process):
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out[-3000:]

def logged(folder, stage):
    f = Path(folder)/'metrics.jsonl'
    rows = [json.loads(l) for l in f.read_text().splitlines() if l.endswith('}')] if f.exists() else []
    return [r for r in rows if r['stage'] == stage]

def kill_when(folder, ready):
    "Start, wait until `ready()`, and end the process as a power cut would."
    process, began = start(folder), time.time()
    while not ready():
        assert process.poll() is None and time.time() - began < 300, 'the run ended before it could be killed'
        time.sleep(.05)
    process.send_signal(signal.SIGKILL)
    process.wait()

def timeless(row): return {k: v for k, v in row.items() if not any(w in k for w in ('time', 'per_second', 'runtime', 'flos', 'memory'))}

@pytest.mark.xdist_group('runs')
def test_killed_twice_ends_the_same(tmp_path):
    whole, broken = tmp_path/'whole', tmp_path/'broken'
    finish(start(whole))
    kill_when(broken, lambda: (broken/'warm_start').exists() and any(r['step'] >= 3 for r in logged(broken, 'rerec')))
    done = max(r['step'] for r in logged(broken, 'rerec'))
    assert done < 8, 'killed too late to prove anything'
    kill_when(broken, lambda: any(r['step'] >= 5 for r in logged(broken, 'rerec')))
    finish(start(broken))
    a, b = (json.loads((f/'result.json').read_text()) for f in (whole, broken))
    for key in ('accuracy', 'warm_start_accuracy', 'by_domain_and_kind', 'curriculum', 'unseen', 'steps', 'best_step'): assert a[key] == b[key], key
    rows = [[timeless(r) for r in logged(f, 'rerec') if 'reward' in r] for f in (whole, broken)]
    assert [r['step'] for r in rows[1]] == list(range(1, 9))
    assert rows[0] == rows[1]
