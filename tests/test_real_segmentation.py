"""The 487 real outputs of language models, cut into segments: nothing is lost, no title is cut,
every token has one place."""

import gzip
import json
import os
import time
from pathlib import Path

import pytest

from rerec.base.data import read_items
from rerec.base.titles import TitleIndex
from rerec.method.segments import segment

data = Path(os.environ.get('REREC_DATA', ''))
pytestmark = pytest.mark.skipif(
    not os.environ.get('REREC_DATA'), reason='set REREC_DATA to the folder of the real data'
)


@pytest.fixture(scope='module')
def indexes():
    return {d: TitleIndex(read_items(data / d / 'items.csv.gz', d)) for d in ('movie', 'book')}


@pytest.fixture(scope='module')
def texts(indexes):
    with gzip.open(data / 'llm_outputs.jsonl.gz', 'rt', encoding='utf-8') as f:
        outputs = [json.loads(l) for l in f]
    return [
        (indexes[o['domain']], '\n'.join(filter(None, [o.get('reasoning'), o['response']])))
        for o in outputs
    ]


@pytest.fixture(scope='module', params=['item', 'paragraph'])
def cut(request, texts):
    begin = time.process_time()
    parts = [segment(text, index, by=request.param) for index, text in texts]
    rate = len(texts) / (time.process_time() - begin)
    print(f'{request.param}: {rate:.0f} answers a second, {sum(map(len, parts))} segments')
    return request.param, parts


def test_segments_are_the_text(texts, cut):
    assert len(texts) == 487
    for (_, text), parts in zip(texts, cut[1]):
        assert ''.join(text[s.start : s.end] for s in parts) == text
        assert all(s.end > s.start for s in parts) or not text


def test_no_title_is_cut(texts, cut):
    for (index, text), parts in zip(texts, cut[1]):
        borders, mentions = [s.start for s in parts[1:]], index.find(text)
        assert not [text[m.start : m.end] for m in mentions for b in borders if m.start < b < m.end]
        assert {i for m in mentions for i in m.items} == {i for s in parts for i in s.items}


def test_by_item_is_the_finer_cut(texts, cut):
    by, parts = cut
    assert sum(map(len, parts)) > 487 * (3 if by == 'item' else 2)


def test_fast(texts, cut):
    begin = time.process_time()
    for index, text in texts:
        segment(text, index, by=cut[0])
    assert time.process_time() - begin < 487 / 50, 'fewer than 50 answers a second'
