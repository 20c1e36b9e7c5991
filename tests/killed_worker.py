"""Does a job in a child that is killed without warning at a random moment, does it again until it
is done, and starts afresh until there were enough kills: python tests/killed_worker.py
build|train|shop FOLDER SEED KILLS. Half of the moments are drawn by the clock, half by the
operations on files, where most harm can be done. Prints what happened as one line of JSON."""

import csv
import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import matplotlib.pyplot  # noqa: F401  # imported once: children are forked from here,
import polars  # noqa: F401  # where nothing was computed yet
import torch

from rerec.base.core import DataError, is_json
from rerec.run.policy import toy_model
from rerec.run.small import small_run, train_small
from rerec.run.world import mini_world
from rerec.shop.cards import write_card
from rerec.shop.dataset import Build, build_data, load_data
from rerec.shop.runs import shop_run
from rerec.shop.training import train_shop

FEW = dict(demos=120, train=24, validation=6, test=6, unseen=6)
TINY = dict(
    per_device_train_batch_size=16,
    num_generations=8,
    max_completion_length=24,
    temperature=3.0,
    eval_steps=2,
    save_steps=2,
    logging_steps=1,
    save_total_limit=1,
    load_best_model_at_end=False,
)


def tables(folder):
    "The small world as a shop would have it."
    world, folder = mini_world(n_users=120), Path(folder)
    folder.mkdir(parents=True)

    def table(name, head, rows):
        with open(folder / f'{name}.csv', 'w', encoding='utf-8', newline='') as f:
            csv.writer(f).writerows([head, *rows])

    table('items', ('sku', 'title'), [(f's{i}', str(o)) for i, o in enumerate(world.items)])
    table('facts', ('sku', 'relation', 'value'), [(f's{i}', r, v) for i, r, v in world.facts])
    table('likes', ('customer', 'sku'), [(f'c{u}', f's{i}') for u, i in world.likes])


def build(folder):
    shop = folder.parent / 'shop'
    write_card(
        folder,
        build_data(
            Build(
                *(str(shop / f'{n}.csv') for n in ('items', 'facts', 'likes')),
                out=str(folder),
                n_queries=80,
                n_candidates=5,
                epochs=3,
            ),
            log=lambda text: None,
        ),
    )


def train(folder):
    train_small(
        small_run(
            folder=str(folder), seed=5, warm_steps=12, steps=6, sizes=FEW, trainer=TINY, resume=True
        )
    )


def prepared(home):
    "A data set and a toy to train on it."
    tables(home / 'shop')
    build(home / 'data')
    toy_model(home / 'toy', mini_world(n_users=60))


def shop(folder):
    few = dict(
        per_device_train_batch_size=4,
        gradient_accumulation_steps=1,
        num_generations=2,
        temperature=3.0,
        learning_rate=1e-2,
        eval_steps=2,
        save_steps=2,
        logging_steps=1,
        save_total_limit=1,
    )
    train_shop(
        shop_run(
            data=str(folder.parent / 'data'),
            model=str(folder.parent / 'toy'),
            folder=str(folder),
            seed=5,
            warm_rows=80,
            steps=4,
            n_test=6,
            n_validation=4,
            max_new_tokens=12,
            facts_in_prompt=2,
            trainer=few,
            resume=True,
        )
    )


def whole(folder):
    "Checksums of a data set, or that it is none; an error other than DataError is one."
    try:
        return sorted(load_data(folder).about['files'].items())
    except DataError:
        return None


TOUCHING = {
    'open': 0,
    'os.rename': 1,
    'os.remove': 0,
    'os.mkdir': 0,
    'os.rmdir': 0,
    'os.chmod': 0,
    'shutil.rmtree': 0,
}  # which argument is looked at


def at_operation(folder, act):
    """Call `act` with the number of each operation that changes a file of the folder, before it
    happens."""
    count = 0

    def hook(event, args):
        nonlocal count
        if (
            event not in TOUCHING
            or event == 'open'
            and not (
                args[1]
                and set(args[1]) & set('wax+')
                or args[1] is None
                and args[2] & (os.O_WRONLY | os.O_RDWR)
            )
        ):
            return
        if str(folder) in str(args[TOUCHING[event]]) or event in ('os.remove', 'os.rmdir'):
            count += 1
            act(count)

    sys.addaudithook(hook)


def child(do, *args, before=lambda: None):
    "Fork a child that does it; (its id, where its answer can be read)."
    r, w = os.pipe()
    if pid := os.fork():
        os.close(w)
        return pid, r
    os.close(r)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        before()
        answer = do(*args)
        os.write(w, json.dumps(answer).encode())
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def ended(pid, r, after=None):
    "(answer, how it ended), killed `after` seconds if that is said and it still runs."
    began = time.time()
    while after is not None and time.time() - began < after:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        time.sleep(0.002)
    else:
        if after is not None:
            os.kill(pid, signal.SIGKILL)
    with open(r, 'rb') as f:
        answer = f.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return json.loads(answer) if answer and not code else None, code


def reported(folder):
    "Rows of the log, and whether there is a result."
    from rerec.run.callbacks import log_rows

    return dict(
        logged=len(log_rows(folder / 'metrics.jsonl')),
        result=(folder / 'result.json').exists() and is_json(folder / 'result.json'),
    )


def standing(folder):
    "Whatever stands under its final name has to be whole: sizes of weights and logs, by name."
    from safetensors.torch import load_file

    from rerec.base.models import load_policy
    from rerec.method.checkpoints import latest_checkpoint
    from rerec.run.folder import newest_checkpoint

    found = {
        n: hashlib.sha256((folder / n / 'model.safetensors').read_bytes()).hexdigest()
        for n in ('warm_start', 'model')
        if (folder / n).exists() and load_policy(folder / n)
    }
    if (folder / 'lightgcn.safetensors').exists():
        found['taste'] = len(load_file(folder / 'lightgcn.safetensors'))
    for stage, last in (('warm_start', newest_checkpoint), ('rerec', latest_checkpoint)):
        if c := last(folder / 'checkpoints' / stage):
            found[stage + ' checkpoint'] = [
                c.name,
                len(load_file(c / 'model.safetensors')),
                len(torch.load(c / 'optimizer.pt', weights_only=True)),
            ]
    return found | reported(folder)


def shop_standing(folder):
    """The same for a run on a data set: a whole model, and an optimizer that holds the missing
    digits of 16-bit weights."""
    from safetensors.torch import load_file

    from rerec.method.checkpoints import latest_checkpoint
    from rerec.shop.runs import run_model

    found = {
        n: hashlib.sha256((folder / n).read_bytes()).hexdigest()
        for n in ('warm/model/model.safetensors', 'model/model.safetensors')
        if (folder / n).exists() and load_file(folder / n)
    }
    if (folder / 'model').exists():
        run_model(folder)
    if c := latest_checkpoint(folder / 'checkpoints' / 'rerec'):
        kept = torch.load(c / 'optimizer.pt', weights_only=True)
        found['checkpoint'] = [
            c.name,
            len(load_file(c / 'model.safetensors')),
            len(kept.get('masters') or kept['state']),  # float32 weights have no masters
        ]
    return found | reported(folder)


JOBS = dict(build=(build, whole), train=(train, standing), shop=(shop, shop_standing))
if __name__ == '__main__':
    (job, look), home, rng, kills = (
        JOBS[sys.argv[1]],
        Path(sys.argv[2]),
        random.Random(int(sys.argv[3])),
        int(sys.argv[4]),
    )
    if job == build:
        assert ended(*child(tables, home / 'shop'))[1] == 0
    if job == shop:
        assert ended(*child(prepared, home))[1] == 0
    seen, began, attempts, n, series = home / 'operations', time.time(), [], 0, 0
    handle = os.open(seen, os.O_WRONLY | os.O_CREAT)

    def count():
        at_operation(home / 'whole', lambda k: os.pwrite(handle, b'%09d' % k, 0))

    assert ended(*child(job, home / 'whole', before=count))[1] == 0, 'the unbroken job failed'
    seconds, operations = time.time() - began, int(seen.read_text())

    def attempt(folder, by_clock):
        "Do the job, killed at a random moment; how it ended."
        if by_clock:
            return ended(*child(job, folder), after=rng.uniform(0, 0.5 * seconds))[1]
        when = rng.randrange(1, operations)
        return ended(
            *child(
                job,
                folder,
                before=lambda: at_operation(
                    folder, lambda k: os.kill(os.getpid(), signal.SIGKILL) if k == when else None
                ),
            )
        )[1]

    while n < kills:
        folder, code = home / f'broken-{series}', -signal.SIGKILL
        while n < kills and code == -signal.SIGKILL:
            if (code := attempt(folder, n % 2 == 0)) == -signal.SIGKILL:
                n += 1
                there = (
                    sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file())
                    if folder.exists()
                    else []
                )
                answer, fine = ended(*child(look, folder))
                attempts.append(dict(folder=folder.name, there=there, found=answer, looked=fine))
        if code == -signal.SIGKILL:
            code = ended(*child(job, folder))[1]
        assert code == 0, f'{folder} could not be finished'
        series += 1
    print(
        json.dumps(
            dict(
                seconds=seconds,
                operations=operations,
                series=series,
                attempts=attempts,
                whole=ended(*child(look, home / 'whole'))[0],
            )
        )
    )
