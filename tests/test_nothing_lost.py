"""A job that is killed without warning, twenty times, ends as one that is not; no half of a file
is ever taken for the whole."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

worker = Path(__file__).with_name('killed_worker.py')


def killed(what, home, seed=1, kills=20):
    "Unbroken in home/whole, killed in home/broken-0 and on; what happened."
    r = subprocess.run(
        [sys.executable, worker, what, home, str(seed), str(kills)],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'MPLBACKEND': 'agg'},
    )
    assert r.returncode == 0, r.stderr[-4000:]
    told = json.loads(r.stdout.splitlines()[-1])
    assert len(told['attempts']) == kills
    return told, home / 'whole', sorted(home.glob('broken-*'))


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob('*') if p.is_file()
    }


def differing(a, b):
    return sorted(n for n in a.keys() | b.keys() if a.get(n) != b.get(n))


@pytest.mark.xdist_group('kills')
def test_killed_builds_end_the_same(tmp_path):
    told, whole, broken = killed('build', tmp_path)
    for folder in broken:
        assert not differing(contents(whole), contents(folder)), folder
    assert all(a['looked'] == 0 for a in told['attempts']), 'something other than DataError'
    assert all(a['found'] in (None, told['whole']) for a in told['attempts'])
    stages = {
        ('data.json' in t)
        + ('taste.safetensors' in t)
        + ('settings.json' in t)
        + any(n.startswith(s) for n in t for s in ('tables/', 'queries/'))
        for t in (a['there'] for a in told['attempts'])
    }
    drafts = sum('/.' in f'/{n}' for a in told['attempts'] for n in a['there'])
    assert len(stages) >= 4 and drafts >= 3, (
        stages,
        drafts,
    )  # kills hit different stages, and files that were being written


TIMES = ('time', 'per_second', 'runtime', 'flos', 'memory')


def timeless(row):
    return {k: v for k, v in row.items() if not any(w in k for w in TIMES)}


def outcome(folder):
    "All that a run leaves for its reader, without times and without what the machine was."
    result = json.loads((folder / 'result.json').read_text())
    rows = [timeless(json.loads(l)) for l in (folder / 'metrics.jsonl').read_text().splitlines()]
    files = {
        n: b
        for n, b in contents(folder).items()
        if n.startswith(('model/', 'warm_start/'))
        or n.endswith('.png')
        or n == 'lightgcn.safetensors'
    }
    return {k: v for k, v in result.items() if k not in ('seconds', 'provenance')}, rows, files


@pytest.mark.xdist_group('kills')
def test_killed_trainings_end_the_same(tmp_path):
    told, whole, broken = killed('train', tmp_path)
    result, rows, files = outcome(whole)
    assert [r['step'] for r in rows if 'reward' in r] == list(range(1, 7)) and files[
        'model/model.safetensors'
    ] != files['warm_start/model.safetensors']  # it learned something
    for folder in broken:
        ended = outcome(folder)
        assert ended[0] == result and ended[1] == rows and not differing(ended[2], files), folder
        assert not list(folder.rglob('.*.part')) and not list(folder.rglob('.*.draft'))
    assert all(a['looked'] == 0 for a in told['attempts']), (
        'what stood under its final name could not be read'
    )
    for a in told['attempts']:
        assert all(
            a['found'][n] == told['whole'][n] for n in ('warm_start', 'model') if n in a['found']
        )
    stages = Counter(tuple(sorted(k for k, v in a['found'].items() if v)) for a in told['attempts'])
    assert len(stages) >= 4, stages


@pytest.mark.xdist_group('kills')
def test_killed_trainings_on_a_data_set_end_the_same(tmp_path):
    told, whole, broken = killed('shop', tmp_path)

    def outcome(folder):
        result = json.loads((folder / 'result.json').read_text())
        rows = [
            timeless(json.loads(l)) for l in (folder / 'metrics.jsonl').read_text().splitlines()
        ]
        return (
            {k: v for k, v in result.items() if k not in ('seconds', 'minutes', 'provenance')},
            rows,
            {
                n: b.replace(bytes(folder), b'RUN')
                for n, b in contents(folder).items()
                if n.startswith(('model/', 'warm/model/', 'answers/')) or n.endswith('.png')
            },
        )  # an adapter names its base

    result, rows, files = outcome(whole)
    assert [r['step'] for r in rows if 'reward' in r] == list(range(1, 5)) and any(
        n.startswith('answers/') for n in files
    )
    for folder in broken:
        ended = outcome(folder)
        assert ended[0] == result and ended[1] == rows and not differing(ended[2], files), (
            folder,
            differing(ended[2], files),
        )
    assert all(a['looked'] == 0 for a in told['attempts']), (
        'what stood under its final name could not be read'
    )
    assert (
        len({tuple(sorted(k for k, v in a['found'].items() if v)) for a in told['attempts']}) >= 3
    )
