"""Commands on a disk that is full or read-only: python tests/disk_worker.py FOLDER [READ-ONLY-
FOLDER [SMALL-DISK]]. Each command runs in a forked child, which may get a limit on the size of
files. Prints what each said as one line of JSON."""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import killed_worker
from killed_worker import child, ended, standing, tables

from rerec.cli import main
from rerec.run import callbacks as run_callbacks
from rerec.run import small as run_small


def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def say(folder, *argv, size=None, late=None):
    """A command; (exit code, what it wrote to stderr, seconds). Files may have `size` bytes, from
    log `late` of training if that is given."""
    err, began = Path(folder) / 'stderr', time.time()

    def before():
        os.dup2(os.open(err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        if size and late is None:
            limit(size)
        log, train = run_callbacks.MetricsFile.on_log, run_small.train_small

        def on_log(self, args, state, control, **kwargs):
            if late and self.stage == 'rerec' and state.global_step >= late:
                limit(size)
            return log(self, args, state, control, **kwargs)

        run_callbacks.MetricsFile.on_log, run_small.train_small = (
            on_log,
            lambda run: train(replace(run, sizes=killed_worker.FEW)),
        )

    code, how = ended(*child(main, [str(a) for a in argv], before=before))
    lines = [l for l in err.read_text().splitlines() if l.startswith('rerec:') or 'Traceback' in l]
    return dict(code=code if how == 0 else how, said=lines, seconds=time.time() - began)


if __name__ == '__main__':
    home, frozen, small, told = Path(sys.argv[1]), *(sys.argv[2:] + ['', ''])[:2], {}
    ended(*child(tables, home / 'shop'))
    files = dict(items='items', attributes='facts', interactions='likes')
    inputs = [f'--{name}={home}/shop/{file}.csv' for name, file in files.items()]
    small_job = [f'--{k}={v}' for k, v in killed_worker.TINY.items()]

    def build(out, *more):
        few = ['--queries=80', '--candidates=5']
        return [*more, 'data', 'build', *inputs, *few, f'--out={out}']

    def train(name, *more):
        short = ['--seed=5', '--warm-steps=12', '--steps=6']
        return ['train', f'--out={home}', f'--name={name}', *short, *small_job, *more]

    told['whole'] = say(home, *build(home / 'whole'))
    for size in (900, 4000, 20_000, 40_000):
        told[f'full {size}'] = [
            say(home, *build(home / f'full-{size}'), size=size),
            say(home, *build(home / f'full-{size}')),
        ]
    told['debug'] = say(home, *build(home / 'debug', '--debug'), size=4000)
    told['export'] = [
        say(home, 'data', 'export', home / 'whole', f'--out={home}/exported', size=4000),
        (home / 'exported').exists(),
        say(home, 'data', 'export', home / 'whole', f'--out={home}/exported'),
    ]
    told['train'] = [
        say(home, *train('whole-run')),
        say(home, *train('full-run'), size=100_000, late=5),
        ended(*child(standing, home / 'full-run'))[0],
        say(home, *train('full-run', '--resume')),
    ]
    if frozen:
        told['frozen'] = [
            say(
                home,
                *build(f'{frozen}/new')[:2],
                '--items=none.csv',
                '--interactions=none.csv',
                f'--out={frozen}/new',
            ),
            say(home, 'train', f'--out={frozen}'),
            say(home, 'data', 'export', home / 'whole', f'--out={frozen}/new'),
        ]
    if small:
        told['small'] = [say(home, *build(f'{small}/shop'))]
        subprocess.run(['mount', '-o', 'remount,size=50m', small], check=True)
        told['small'].append(say(home, *build(f'{small}/shop')))
    print(json.dumps(told))
