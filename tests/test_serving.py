"An exported run answers through `transformers serve`, asked as any OpenAI-compatible server is."

import contextlib
import io
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from killed_worker import prepared

from rerec.run.lookup import lookup_prompt
from rerec.shop.assistant import run_backend
from rerec.shop.dataset import load_data
from rerec.shop.runs import export_run, shop_run, shop_snippets
from rerec.shop.served import ServedModel
from rerec.shop.training import train_shop


@pytest.mark.xdist_group('runs')
def test_an_exported_run_is_served(tmp_path):
    openai = pytest.importorskip('openai')
    pytest.importorskip('uvicorn')
    prepared(tmp_path)
    run = shop_run(
        data=str(tmp_path / 'data'),
        model=str(tmp_path / 'toy'),
        method='untuned',
        folder=str(tmp_path / 'run'),
        n_test=4,
        max_new_tokens=8,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        train_shop(run)
    data = load_data(run.data)
    export_run(run.folder, tmp_path / 'served')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    with open(tmp_path / 'log', 'w') as log:
        p = subprocess.Popen(
            [
                str(Path(sys.executable).parent / 'transformers'),
                'serve',
                str(tmp_path / 'served'),
                '--port',
                str(port),
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, 'HF_HUB_OFFLINE': '1'},
        )
    try:
        began = time.time()
        while True:
            assert p.poll() is None and time.time() - began < 240, (tmp_path / 'log').read_text()[
                -2000:
            ]
            try:
                urllib.request.urlopen(f'http://127.0.0.1:{port}/health', timeout=2).read()
                break
            except OSError:
                time.sleep(0.5)
        client = openai.OpenAI(
            base_url=f'http://127.0.0.1:{port}/v1', api_key='none', timeout=240, max_retries=0
        )
        prompt = lookup_prompt(shop_snippets(run, data), run.method)(
            data.parts['test'][0], data.catalogue
        )
        said = client.chat.completions.create(
            model=str(tmp_path / 'served'), messages=prompt, max_tokens=8
        )
        assert said.choices[0].message.content.strip() and said.usage.completion_tokens <= 8
        served = ServedModel(
            f'http://127.0.0.1:{port}/v1', str(tmp_path / 'served'), max_tokens=8, timeout=240
        )
        pieces = []
        followed = served([prompt], lambda i, piece: pieces.append(piece))
        assert served.ready() and len(pieces) > 1 and [''.join(pieces)] == followed
        assert served([prompt, prompt]) == followed * 2 == run_backend(run)([prompt]) * 2
    finally:
        p.kill()
        p.wait()
