"The page, in a real browser: typed into, clicked, read."

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

chromium = next(
    (p for p in map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome')) if p), None
)
HOSTILE = '<img src=x onerror="document.title=\'broken\'"><script>document.title="broken"</script>'
SERVER = """
import sys
from pathlib import Path
import polars as pl
from rerec.shop.page import serve
from rerec.shop.assistant import Assistant
from rerec.shop.backends import LocalModel
from rerec.shop.dataset import Build, build_data
from rerec.base.models import load_policy
from rerec.shop.runs import shop_run
from rerec.run.policy import toy_model
from rerec.run.world import mini_world
folder, port, bad = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
whole = mini_world()
films = [i for i,o in enumerate(whole.items) if o.domain == 'movie']
pl.DataFrame(dict(id=films, title=[str(whole.items[i]) for i in films])).write_csv(folder/'items.csv')
pl.DataFrame([dict(id=i, relation=r, value=v) for i,r,v in whole.facts if i in films] + [dict(id=films[0], relation='Genre', value=bad)]).write_csv(folder/'facts.csv')
pl.DataFrame([dict(user=f'u{u}', id=i) for u,i in whole.likes if i in films]).write_csv(folder/'likes.csv')
data = build_data(Build(*(str(folder/f'{n}.csv') for n in ('items', 'facts', 'likes')), out=str(folder/'shop'), domain='movie', n_queries=100, n_candidates=5, epochs=5))
model, tok = load_policy(str(toy_model(folder/'toy', whole)))
(folder/'known.txt').write_text(data.parts['test'][0].text)
run = shop_run(data=str(folder/'shop'), max_new_tokens=8)
serve(Assistant(run, data, LocalModel(model, tok, 8)), port=port)
"""  # noqa: E501


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    if not chromium:
        pytest.skip('no Chromium here (Debian: apt-get install chromium)')
    folder = tmp_path_factory.mktemp('app')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    p = subprocess.Popen(
        [sys.executable, '-c', SERVER, folder, str(port), HOSTILE],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    url, began = f'http://127.0.0.1:{port}/', time.time()
    while True:
        assert p.poll() is None and time.time() - began < 240, (
            p.stdout.read()[-3000:] if p.poll() is not None else 'no answer'
        )
        try:
            urllib.request.urlopen(url, timeout=2).read()
            break
        except OSError:
            time.sleep(0.3)
    yield url, folder
    p.kill()
    p.wait()


@pytest.fixture(scope='module')
def page(server):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=chromium,
            args=[
                '--no-sandbox',
                '--disable-gpu',
                '--disable-quic',
                '--no-first-run',
                '--disable-background-networking',
                '--disable-component-update',
                '--disable-sync',
            ],
        )
        page = browser.new_page(viewport=dict(width=1200, height=900))
        page.elsewhere, page.streams = [], 0

        def ended(request):
            page.streams += '/queue/data' in request.url

        for event in ('requestfinished', 'requestfailed'):
            page.on(event, ended)  # Gradio hangs up itself after the last message

        def only_here(route):
            if route.request.url.startswith((server[0], 'data:', 'blob:')):
                return route.continue_()
            page.elsewhere.append(route.request.url)
            route.abort()

        page.route('**/*', only_here)
        page.goto(server[0])
        page.wait_for_selector('#wish textarea', timeout=60_000)
        yield page
        browser.close()


def ask(page, wish, user='', liked=''):
    "Type, click, and wait until the stream that brings the answer has ended."
    for field, words in (('wish', wish), ('user', user), ('liked', liked)):
        page.fill(f'#{field} textarea, #{field} input', words)
    before, began = page.streams, time.time()
    page.click('#recommend')
    while page.streams == before:
        assert time.time() - began < 120, f'no answer to {wish[:80]!r}'
        page.wait_for_timeout(100)
    page.wait_for_timeout(500)
    return page.inner_text('#cards')


@pytest.mark.xdist_group('runs')
def test_a_wish_is_answered_with_cards(page):
    said = ask(page, 'a film by Ridley Scott', liked='Heat')
    assert page.locator('.rerec-card').count() >= 1 and 'Ridley Scott' in said
    if shot := os.environ.get('REREC_SHOT'):
        page.screenshot(path=shot)


@pytest.mark.xdist_group('runs')
def test_a_known_query_is_judged(page, server):
    assert 'the answer to this query is known' in ask(page, (server[1] / 'known.txt').read_text())


@pytest.mark.xdist_group('runs')
def test_a_mistake_is_explained(page):
    assert 'no user is called' in ask(page, 'a western', user='nobody')


@pytest.mark.xdist_group('runs')
def test_nothing_typed_or_in_the_catalogue_runs(page):
    ask(page, HOSTILE)
    for words in (
        HOSTILE,
        f'a film that counts as {HOSTILE}',
        'x' * 5_000,
        '\u202eesrever \u200b',
        '</textarea></div>{{7*7}}',
    ):
        ask(page, words, liked='' if words != HOSTILE else 'Heat')
    assert (
        page.title() != 'broken'
        and page.locator('#cards img, #cards script, #steps img, #steps script').count() == 0
    )
    assert '49' not in page.inner_text('#steps')
    assert not page.elsewhere, f'the page asked elsewhere: {page.elsewhere[:3]}'
