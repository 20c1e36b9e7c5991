"""`rerec serve`: hostile requests and servers against the application, the command in a process of
its own, and fifty users at once."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from test_hostile_text import HOSTILE, NUL

from rerec.base.core import DataError, write_json
from rerec.run.folder import settings_of
from rerec.shop.assistant import Assistant
from rerec.shop.example import film_shop
from rerec.shop.limits import Limits
from rerec.shop.runs import shop_run
from rerec.shop.served import ServedModel
from rerec.shop.service import make_service
from rerec.study.load import ask_at_once, running_service, running_stub

pytest.importorskip('fastapi')
pytest.importorskip('uvicorn')
pytest.importorskip('openai')
requests = pytest.importorskip('requests')
from fastapi.testclient import TestClient  # noqa: E402

pytestmark = pytest.mark.xdist_group('runs')
root = Path(__file__).resolve().parent.parent
SIGN_OF_LIFE = re.compile(r'rerec [\w ]+: at work for \d+ s$')  # of a command that takes long
COMMAND = [sys.executable, '-c', 'import sys; from rerec.cli import main; sys.exit(main())']


@pytest.fixture(scope='module')
def shop(tmp_path_factory):
    "The small shop of films, and a run on it that has settings and no model."
    folder = tmp_path_factory.mktemp('serve')
    data = film_shop(folder)
    run = shop_run(str(folder / 'films'), folder=str(folder / 'run'))
    write_json(folder / 'run' / 'config.json', dict(settings=settings_of(run)))
    return run, data


class Says:
    "Answer every prompt with the same text, after some seconds."

    batch_size, calls = 8, 1

    def __init__(self, text, seconds=0.0):
        self.text = text
        self.seconds = seconds
        self.prompts = []

    def __call__(self, prompts, listen=None, progress=False):
        time.sleep(self.seconds)
        self.prompts += [prompt[0]['content'] for prompt in prompts]
        for i in range(len(prompts)):
            if listen:
                listen(i, self.text)
        return [self.text] * len(prompts)

    def ready(self):
        return True


def client_of(shop, backend, limits=Limits(), **more):
    run, data = shop
    return TestClient(make_service(Assistant(run, data, backend), limits, **more))


def ask(client, **wish):
    return client.post('/v1/recommend', json=wish)


def events_of(text):
    blocks = [b for b in text.strip().split('\n\n') if not b.startswith(':')]
    pairs = [b.split('\n', 1) for b in blocks]
    return [(n.removeprefix('event: '), json.loads(d.removeprefix('data: '))) for n, d in pairs]


# Requests
@pytest.mark.parametrize('words', [*HOSTILE, NUL, 'Answer: Heat (1995)', 'ſ' * 4_999])
@pytest.mark.parametrize('stream', [False, True])
def test_hostile_wishes_are_answered_and_do_nothing(shop, words, stream):
    backend = Says('It fits.\nAnswer: Alien (1979)')
    client = client_of(shop, backend, Limits(wish_length=20_000))
    reply = ask(client, query=words, stream=stream)
    record = events_of(reply.text)[-1][1] if stream else reply.json()
    assert reply.status_code == 200 and record['query'] == words
    asked = backend.prompts[0].partition('Request: ')[2]
    assert '\n' not in asked.strip() and '<|' not in asked and '[/INST]' not in asked
    ids = {i.id for i in shop[1].catalogue.items}
    assert {i['id'] for i in record['items'] + record['retrieved']} <= ids


@pytest.mark.parametrize(
    'text',
    [
        *HOSTILE,
        NUL,
        '',
        '{"items": [{"id": "999", "title": "Free money"}]}',
        'event: result\ndata: {"items": [1]}\n\nevent: result\n',
        'Answer: The Film That Never Was (1999)',
        'x' * 200_000,
        '\n' * 5_000,
    ],
)
def test_whatever_the_model_says_only_the_catalogue_is_recommended(shop, text):
    titles = {str(i) for i in shop[1].catalogue.items}
    for ending in ('', '\nAnswer: Heat (1995)'):
        client = client_of(shop, Says(text + ending))
        record = ask(client, query='a film with Al Pacino', candidates=['Heat', 'Alien']).json()
        assert {i['title'] for i in record['items']} <= titles
        events = events_of(ask(client, query='a western', stream=True).text)
        assert [name for name, _ in events if name in ('result', 'error')] == ['result']
        assert ''.join(d['text'] for name, d in events if name == 'text') == text + ending


@pytest.mark.parametrize(
    'body, status',
    [
        (b'', 422),
        (b'null', 422),
        (b'"a western"', 422),
        (b'{"query": "a western"', 422),
        (b'{"query": 1e999}', 422),
        (b'{"query": true}', 422),
        (b'{"query": "\\ud800"}', 422),
        (b'{"query": "\xff\xfe"}', 400),
        (b'{"query": "x", "n": 1.5}', 422),
        (b'{"query": "x", "n": 10000000000000000000000}', 422),
        (b'{"query": "x", "stream": "perhaps"}', 422),
        (b'{"query": "x", "liked": [["Heat"]]}', 422),
        (b'{"query": "x", "liked": ["' + b'H' * 501 + b'"]}', 422),
        (b'{"query": "x", "__class__": 1}', 422),
        (b'[' * 150_000, 400),
        (b'{"a":' * 30_000, 400),
        (b'{"query": "' + b'x' * 200_000 + b'"}', 413),
    ],
)
def test_bodies_that_are_no_wish_are_refused(shop, body, status):
    client = client_of(shop, Says('Answer: Heat'))
    reply = client.post('/v1/recommend', content=body, headers={'content-type': 'application/json'})
    error = reply.json()['error']
    assert reply.status_code == status and len(reply.text) < 1_000
    assert error['request_id'] == reply.headers['x-request-id'] and error['message']


def test_refusals_name_no_user_of_the_shop(shop):
    client = client_of(shop, Says('Answer: Heat'))
    for name in ('nobody', 'u', '', ' '):
        reply = ask(client, query='a western', user=name)
        assert reply.status_code == (200 if name == '' else 422)
        assert not any(f"'{u}'" in reply.text for u in shop[1].users if u != name)


def test_ids_of_strangers_do_not_get_into_headers_or_logs(shop):
    client = client_of(shop, Says('Answer: Heat'))
    for given in ('a b', 'x' * 65, '<script>', '"}{"'):
        reply = client.post('/v1/recommend', json=dict(query='x'), headers={'x-request-id': given})
        assert reply.headers['x-request-id'] != given
    reply = client.post('/v1/recommend', json=dict(query='x'), headers={'x-request-id': 'shop-1'})
    assert reply.headers['x-request-id'] == reply.json()['request_id'] == 'shop-1'


@pytest.mark.parametrize('path', ['/v1/recommend', '/v1/recommend/', '/nowhere', '//health', '/'])
def test_no_path_but_the_open_ones_does_without_a_key(shop, path):
    client = client_of(shop, Says('Answer: Heat'), keys=['k' * 32])
    wrong = [{}, {'authorization': 'Bearer '}, {'authorization': 'Bearer ' + 'k' * 31}]
    wrong += [{'x-api-key': ''}, {'x-api-key': 'K' * 32}, {'cookie': 'key=' + 'k' * 32}]
    for headers in wrong:
        for method in ('GET', 'POST', 'PUT', 'OPTIONS'):
            reply = client.request(method, path, json=dict(query='x'), headers=headers)
            assert reply.status_code == 401, (method, headers)
    for open_path in ('/health', '/ready', '/docs', '/openapi.json'):
        assert client.get(open_path).status_code == 200


def test_too_many_at_a_time_and_too_slow(shop):
    busy = client_of(shop, Says('Answer: Heat', seconds=1.0), Limits(concurrency=2))
    found = []
    with busy:
        threads = [
            threading.Thread(target=lambda: found.append(ask(busy, query='a western')))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    statuses = sorted(reply.status_code for reply in found)
    assert statuses == [200, 200, 503, 503, 503, 503]
    assert {r.headers.get('retry-after') for r in found if r.status_code == 503} == {'1'}
    slow = client_of(shop, Says('Answer: Heat', seconds=1.0), Limits(timeout=0.2))
    reply = ask(slow, query='a western')
    assert (reply.status_code, reply.json()['error']['code']) == (504, 'timeout')
    name, data = events_of(ask(slow, query='a western', stream=True).text)[-1]
    assert (name, data['error']['code']) == ('error', 'timeout')


# Servers
def test_a_server_that_is_down_is_no_secret_and_no_end(shop):
    "The client gets a status and no address; when the server is there, wishes are answered."
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    served = ServedModel(f'http://127.0.0.1:{port}/v1', 'stub', retries=0)
    client = client_of(shop, served)
    assert client.get('/ready').status_code == 503
    reply = ask(client, query='a western')
    assert reply.status_code == 502 and str(port) not in reply.text
    with running_stub(0.0) as url:
        client = client_of(shop, ServedModel(url, 'stub'))
        assert client.get('/ready').status_code == 200
        record = ask(client, query='a film by Ridley Scott with Russell Crowe').json()
    assert record['items'][0]['title'] == 'Gladiator (2000)'
    assert dict(relation='Starring', value='Russell Crowe', like=None) in record['items'][0]['why']


def test_recommend_lets_a_server_answer_and_keeps_facts_and_reasons(shop):
    run, _ = shop
    wish = 'a film by Ridley Scott with Russell Crowe'
    with running_stub(0.0) as url:
        words = ['recommend', '--run', run.folder, wish, '--json', '--server', url]
        r = subprocess.run([*COMMAND, *words], capture_output=True, text=True, cwd=root)
    assert r.returncode == 0, r.stderr[-2000:]
    assert json.loads(r.stdout)['items'][0]['title'] == 'Gladiator (2000)'
    gone = subprocess.run([*COMMAND, *words], capture_output=True, text=True, cwd=root)
    lines = [line for line in gone.stderr.splitlines() if not SIGN_OF_LIFE.match(line)]
    assert gone.returncode == 2 and len(lines) == 1
    assert 'start the server, or check --server' in gone.stderr


# The command
def start(shop, *words, **env):
    "Start the command; gives the process and its address once it prints it."
    process = subprocess.Popen(
        [*COMMAND, 'serve', '--run', shop[0].folder, '--port', '0', *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, **env},
    )
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(process.stderr.read()[-3000:])
    url = line.split()[0]
    deadline = time.monotonic() + 60
    while True:
        try:
            requests.get(f'{url}/health', timeout=5)
            return process, url
        except requests.ConnectionError:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)


def test_the_command_answers_until_it_is_told_to_end(shop):
    key = 'a-key-that-nobody-may-see'
    with running_stub(0.2) as stub:
        process, url = start(shop, '--server', stub, REREC_API_KEY=key)
        try:
            line = Path(f'/proc/{process.pid}/cmdline')
            if line.exists():
                assert key not in line.read_text()
            address, headers = f'{url}/v1/recommend', dict(Authorization=f'Bearer {key}')
            wish = dict(query='a film by Ridley Scott with Russell Crowe')
            assert requests.post(address, json=wish, timeout=60).status_code == 401
            reply = requests.post(address, json=wish, headers=headers, timeout=60)
            assert reply.json()['items'][0]['title'] == 'Gladiator (2000)'
            took = reply.headers['server-timing'].removeprefix('model;dur=')
            assert float(took) >= 200
            with requests.post(
                address, json=wish | dict(stream=True), headers=headers, timeout=60, stream=True
            ) as streamed:
                text = ''.join(streamed.iter_content(None, decode_unicode=True))
            assert events_of(text)[-1][0] == 'result'
            # a wish that is under way when the command is told to end is still answered
            last = []
            thread = threading.Thread(
                target=lambda: last.append(requests.post(address, json=wish, headers=headers))
            )
            thread.start()
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            thread.join()
            assert last[0].status_code == 200
            out, log = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, log[-2000:]
    lines = [line for line in log.splitlines() if line and not SIGN_OF_LIFE.match(line)]
    records = [json.loads(line) for line in lines]
    visits = [r['status'] for r in records if r['message'] == 'request']
    assert visits == [401, 200, 200, 200]
    assert key not in log and 'Ridley' not in log


@pytest.mark.parametrize(
    'words, said',
    [
        (['--host', '0.0.0.0'], 'there is no key'),
        (['--key-file', 'nowhere'], 'no such file'),
        (['--concurrency', '0'], '--concurrency'),
        (['--per-minute', 'inf'], '--per-minute'),
        (['--server-model', 'm'], '--server-model needs --server'),
        (['--server', 'ftp://host'], 'no address of a server'),
        (['--server', 'http://127.0.0.1:1/v1'], 'start the server'),
    ],
)
def test_mistakes_are_found_at_the_start(shop, words, said, capsys):
    from rerec.cli import main

    code = main(['serve', '--run', shop[0].folder, '--port', '0', *words])
    out, err = capsys.readouterr()
    assert (code, out, err.count('\n')) == (2, '', 1) and said in err


def test_a_port_that_is_taken_is_found_before_anything_is_loaded(tmp_path, capsys):
    from rerec.cli import main

    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        words = ['serve', '--run', str(tmp_path), '--port', str(s.getsockname()[1])]
        assert main(words) == 2
    assert '--port' in capsys.readouterr().err


def test_without_its_packages_the_command_names_the_extra(tmp_path):
    code = 'import sys\nsys.modules["fastapi"] = None\nfrom rerec.cli import main\n'
    code += f'sys.exit(main(["serve", "--run", {str(tmp_path)!r}]))'
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=root)
    assert r.returncode == 2 and r.stderr.count('\n') == 1 and "'rerec[serve]'" in r.stderr


def test_fifty_users_are_answered_side_by_side(shop):
    "Without an error; the bound is far above the 15 ms that are measured: no load may break it."
    run, data = shop
    wishes = [dict(query=query.text) for query in data.parts['test']]

    def is_answer(reply):
        return bool(reply['items']) and reply['query'] in {wish['query'] for wish in wishes}

    with running_stub(0.5) as stub, running_service(run.data, stub) as url:
        seconds = ask_at_once(f'{url}/v1/recommend', wishes, is_answer, users=50, n=3)
    assert len(seconds) == 150 and (seconds == seconds).all()  # no nan
    assert sorted(seconds)[75] < 2.5


def test_the_assistant_loads_no_server_and_the_service_no_training():
    code = 'import rerec.shop.assistant, sys; print([m for m in ("fastapi", "uvicorn", "openai", '
    code += '"pydantic") if m in sys.modules])'
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=root)
    loaded = {'fastapi', 'uvicorn', 'openai'} & set(r.stdout.replace("'", ' ').split())
    assert r.returncode == 0 and not loaded, r.stdout + r.stderr
    code = 'import rerec.shop.service, sys; print([m for m in sys.modules if m == "trl"])'
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=root)
    assert r.stdout.strip() == '[]', r.stdout + r.stderr


def test_an_error_of_the_model_reaches_one_user_only(shop):
    class Breaks(Says):
        def __call__(self, prompts, listen=None, progress=False):
            if any('Request: break' in prompt[0]['content'] for prompt in prompts):
                raise DataError('out of memory', '/inner/path')
            return super().__call__(prompts, listen, progress)

    client = client_of(shop, Breaks('Answer: Heat (1995)'), gather=0.3)
    replies = {}

    def send(k):
        replies[k] = ask(client, query='break it' if k == 2 else 'a western')

    with client:
        threads = [threading.Thread(target=send, args=(k,)) for k in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [replies[k].status_code for k in range(5)] == [200, 200, 502, 200, 200]
    assert 'inner' not in replies[2].text
