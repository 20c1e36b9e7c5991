"""Rows of the comparison on a real language model, made on one GPU in about eight minutes.

    python tools/gpu_language.py --data benchmark/movie --out rows  # 20 candidates, seed 0
    python tools/gpu_language.py --tiny --out /tmp/rows  # the same with a toy, on a CPU

The most valuable rows come first, and each is stored as soon as it is made; a row that is stored
is not made again. No method begins after `--minutes`. The card's name stands in the provenance
of every row."""

import argparse
import tempfile
import time
from pathlib import Path

from rerec.run.language import METHODS
from rerec.run.rows import run_language
from rerec.run.warm import language_run

FULL = dict(n_candidates=20, n_test=500, answers=150 * 256, warm='short', warm_rows=1200)
FULL_TRAINER = dict(
    per_device_train_batch_size=64, gradient_accumulation_steps=4, save_steps=50
)  # 256 answers a step
TINY = dict(
    n_candidates=5, n_test=6, n_validation=4, answers=8, warm='short', warm_rows=8, max_new_tokens=8
)
TINY_TRAINER = dict(
    per_device_train_batch_size=4, gradient_accumulation_steps=1, num_generations=2, save_steps=2
)


def toy(folder: Path) -> dict:
    "A benchmark folder and a model of a few thousand parameters."
    from rerec.run.kinds import write_queries
    from rerec.run.policy import toy_benchmark, toy_model
    from rerec.run.world import mini_world

    world = mini_world(n_users=60)
    films = [q for q in write_queries(world, 200, seed=0) if q.domain == 'movie']
    return dict(
        data=str(toy_benchmark(folder / 'movie', world, films)),
        model=str(toy_model(folder / 'toy', world)),
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', help='a benchmark folder')
    parser.add_argument('--out', required=True, help='where rows and runs are kept')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--minutes', type=float, default=8, help='no method begins after so many')
    parser.add_argument('--tiny', action='store_true', help='a toy instead of the benchmark')
    a = parser.parse_args()
    began = time.time()
    settings, trainer = (TINY, TINY_TRAINER) if a.tiny else (FULL, FULL_TRAINER)
    source = toy(Path(tempfile.mkdtemp())) if a.tiny else dict(data=a.data)
    for method in ('BM25', 'warm start', 'ReRec', *(m for m in METHODS if m != 'ReRec'), 'SFT'):
        if time.time() - began > 60 * a.minutes:
            print(f'{method}: not begun, {a.minutes:g} minutes are over')
            continue
        run = language_run(
            **source,
            seed=a.seed,
            folder=f'{a.out}/runs/{method}',
            method=method,
            warm_folder=f'{a.out}/runs/warm',
            trainer=trainer,
            **settings,
        )
        row = run_language(run, f'{a.out}/rows')
        sampled = row.get('drawn', {}).get('accuracy', float('nan'))
        ceiling = sum(row['chances']) / len(row['chances'])
        print(
            f'{method}: greedy {row["test"]["accuracy"]:.3f}, sampled {sampled:.3f},',
            f'ceiling {ceiling:.3f}, {row["seconds"]:.0f} s, {row["provenance"]["device"]}',
            flush=True,
        )


if __name__ == '__main__':
    main()
