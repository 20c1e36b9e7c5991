"""A rewording that is killed without warning goes on where it was: notebooks cannot be killed, so
it is shown here."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip('openai')

CODE = """
import json, sys
from rerec.run.needs import Drawer
from rerec.run.queries import draw_queries
from rerec.run.sources import Sources
from rerec.shop.judge import Judge
from rerec.shop.rewording import reword
from rerec.shop.server import Rewriter
from rerec.base.titles import TitleIndex
from rerec.run.world import mini_world
drawer = Drawer(Sources(mini_world()))
judge = Judge(drawer, TitleIndex(drawer.sources.catalogue.items))
drawn = draw_queries(drawer, judge.titles, range(300), 60)
new, tally = reword(drawn, judge, Rewriter(sys.argv[1], 'm', per_minute=60_000, concurrency=3), sys.argv[2])
print(json.dumps(dict(texts=[q.text for q,_ in new], asked=tally.asked, cached=tally.cached, reworded=tally.reworded, cost=tally.tokens_in)))
"""  # noqa: E501


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked, s = json.loads(self.rfile.read(int(self.headers['Content-Length']))), self.server
        s.seen.append((json.dumps(asked['messages']), asked.get('seed')))
        if len(s.seen) > 30:
            time.sleep(s.pause)
        text = 'Good evening! ' + asked['messages'][0]['content'].rpartition('Request: ')[2]
        if asked.get('seed') == 0 and len(text) % 3 == 0:
            text = 'No.'  # a second attempt is needed
        body = json.dumps(
            dict(
                choices=[dict(message=dict(role='assistant', content=text))],
                usage=dict(prompt_tokens=7, completion_tokens=5),
            )
        ).encode()
        try:
            self.send_response(200)
            for name, value in {
                'Content-Type': 'application/json',
                'Content-Length': len(body),
            }.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # whoever asked is dead

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    s = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    s.seen, s.pause = [], 0
    threading.Thread(target=s.serve_forever, daemon=True).start()
    yield s
    s.shutdown()


def start(server, store):
    return subprocess.Popen(
        [sys.executable, '-c', CODE, f'http://127.0.0.1:{server.server_port}/v1', str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )


def finish(process):
    out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said[-3000:]
    return json.loads(out)


def test_killed_goes_on_and_asks_only_for_what_is_missing(server, tmp_path):
    whole = finish(start(server, tmp_path / 'whole'))
    everything = [s for s in server.seen if 'Say: ready' not in s[0]]
    assert (
        whole['asked'] == len(everything) == len(set(everything)) > 60 and whole['reworded'] == 60
    )
    server.seen, server.pause = [], 0.2
    process, began = start(server, tmp_path / 'broken'), time.time()
    while len(server.seen) < 36:
        assert process.poll() is None and time.time() - began < 60, (
            'the run ended before it could be killed'
        )
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = set(server.seen)
    server.seen, server.pause = [], 0
    broken = finish(start(server, tmp_path / 'broken'))
    twice = before & set(server.seen) - {s for s in before if 'Say: ready' in s[0]}
    assert len(twice) <= 3, 'no more than was under way when it was killed'
    assert (
        broken['cached'] >= len(before) - 4 and broken['asked'] + broken['cached'] == whole['asked']
    )
    assert {k: broken[k] for k in ('texts', 'reworded', 'cost')} == {
        k: whole[k] for k in ('texts', 'reworded', 'cost')
    }


def test_the_command_builds_with_other_words(server, tmp_path, capsys):
    import shutil

    from rerec.cli import main
    from rerec.shop.dataset import load_data

    (tmp_path / 'games.csv').write_text(
        'sku,title,maker\n'
        + ''.join(f'{i},Game {chr(65 + i % 26)}{i},Maker {i % 7}\n' for i in range(40))
    )
    (tmp_path / 'plays.csv').write_text(
        'customer,sku\n'
        + ''.join(f'{u},{i}\n' for u in range(60) for i in range(40) if (u * 7 + i * 3) % 11 < 4)
    )
    words = [
        'data',
        'build',
        '--items',
        f'{tmp_path}/games.csv',
        '--interactions',
        f'{tmp_path}/plays.csv',
        '--item-facts',
        'maker',
        '--domain',
        'game',
        '--queries',
        '60',
        '--candidates',
        '5',
        '--out',
        f'{tmp_path}/shop',
    ]
    asked = [
        *words,
        '--paraphrase',
        f'http://127.0.0.1:{server.server_port}/v1',
        '--model',
        'm',
        '--per-minute',
        '60000',
        '--price',
        '1',
        '2',
    ]
    assert main([*asked[:-5], '--model', '']) == main(asked[:-7]) == 2, 'an address without a model'
    assert main(asked) == 0
    data = load_data(tmp_path / 'shop')
    texts = [q.text for qs in data.parts.values() for q in qs]
    came_to = data.about['reworded']
    assert (
        sum(t.startswith('Good evening! ') for t in texts)
        == sum(c['reworded'] for c in came_to.values())
        > 0.9 * len(texts)
    )
    assert sum(c['cost'] for c in came_to.values()) == pytest.approx(
        sum(c['tokens_in'] * 1 + c['tokens_out'] * 2 for c in came_to.values()) / 1e6
    )
    assert 'replies.sqlite' not in str(data.about['files']) and data.about['leaks'] == dict(
        text=0, pair=0, user=0
    )
    n = len(server.seen)
    for gone in ('queries', 'data.json'):
        shutil.rmtree(tmp_path / 'shop' / gone) if (tmp_path / 'shop' / gone).is_dir() else (
            tmp_path / 'shop' / gone
        ).unlink()
    assert main(asked) == 0 and len(server.seen) == n + 1, 'only the probe is new'
    assert load_data(tmp_path / 'shop').about['files'] == data.about['files']
    assert main(words) == 2, 'other settings'
    assert 'queries in other words' in capsys.readouterr().out
