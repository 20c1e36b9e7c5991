"""Graphs and rewards on the real movie and book data: agreement with networkx, better than
popularity, real answers rewarded. Needs REREC_DATA."""

import gzip
import json
import os
from pathlib import Path

import networkx as nx
import pytest
import torch

from rerec.base.data import load_benchmark
from rerec.base.titles import TitleIndex
from rerec.method.facts import AttributeGraph
from rerec.method.graphs import InteractionGraph
from rerec.method.lightgcn import rank_metrics, train_lightgcn
from rerec.method.rewards import DualGraphReward, query_alignment

data = Path(os.environ.get('REREC_DATA', ''))
pytestmark = pytest.mark.skipif(
    not os.environ.get('REREC_DATA'),
    reason='REREC_DATA is not set: it names the folder with the real data',
)


@pytest.fixture(scope='module', params=['movie', 'book'])
def world(request):
    catalogue, queries = load_benchmark(data / request.param, TitleIndex)
    likes = InteractionGraph.from_catalogue(catalogue)
    train, held = likes.split(0)
    return dict(
        domain=request.param,
        catalogue=catalogue,
        queries=queries,
        attributes=AttributeGraph.from_catalogue(catalogue),
        train=train,
        held=held,
        light=train_lightgcn(train, epochs=60),
    )


@pytest.fixture(scope='module')
def reward(world):
    return DualGraphReward(
        world['attributes'], world['light'].items, TitleIndex(world['catalogue'].items)
    )


def test_facts_in_common_are_those_a_walk_finds(world):
    graph, n = world['attributes'], len(world['catalogue'])
    walk = nx.Graph([(i, (r, v)) for i, r, v in world['catalogue'].facts])
    walk.add_nodes_from(range(n))
    a, b = torch.randint(n, (2, 20_000), generator=torch.Generator().manual_seed(0))
    shared = graph.overlap(a, b)
    assert shared.tolist() == [
        len(set(walk[i]) & set(walk[j])) for i, j in zip(a.tolist(), b.tolist())
    ]
    assert (shared > 0).sum() > 100 and torch.equal(graph.overlap(a, a), graph.degrees[a])
    qas = query_alignment(graph, a[:, None], b[:, None]).tolist()
    for i, j, q in zip(a.tolist(), b.tolist(), qas):
        assert (
            abs(q - (1.0 if i == j else len(set(walk[i]) & set(walk[j])) / max(len(walk[j]), 1)))
            < 1e-6
        )


def test_memory_is_linear_in_items_and_facts(world):
    graph = world['attributes']
    common, marks, rare = graph.split
    size = (
        sum(t.data.nbytes + t.indices.nbytes + t.indptr.nbytes for t in (graph.table, rare))
        + common.nbytes
        + marks.nbytes
    )
    assert size < 100 * (graph.n_items + len(world['catalogue'].facts))


def test_lightgcn_recommends_better_than_popularity(world):
    train, held = world['train'], world['held']
    popular = rank_metrics(
        lambda users: train.popularity.float().expand(len(users), -1), train, held
    )
    light = rank_metrics(world['light'].scores, train, held)
    assert light['ndcg'] > 1.2 * popular['ndcg'] and light['recall'] > 1.2 * popular['recall'], (
        light,
        popular,
    )


def test_the_truth_alone_earns_everything(world, reward):
    queries = world['queries'][:1_000]
    written = [
        'Because of the facts.\nAnswer: '
        + ' [SEP] '.join(str(world['catalogue'].items[i]) for i in q.truth[:5])
        for q in queries
    ]
    got = reward(
        completions=written,
        truth=[q.truth[:5] for q in queries],
        candidates=[q.truth for q in queries],
    )
    short = [(q.id, r) for q, r in zip(queries, got) if r != 1.5]
    assert not short, f'{len(short)} of {len(queries)}: {short[:5]}'


def test_real_answers_are_worth_more_for_their_own_query(world, reward):
    outputs = [
        json.loads(l) for l in gzip.open(data / 'llm_outputs.jsonl.gz', 'rt', encoding='utf-8')
    ]
    queries = {q.id: q for q in world['queries']}
    asked = [
        (o['response'], queries[o['query_id']].truth) for o in outputs if o['query_id'] in queries
    ]
    texts, truths = zip(*asked)
    own, foreign = reward.terms(texts, truths), reward.terms(texts, truths[1:] + truths[:1])
    for name, times in dict(
        ndcg=2, qas=2, pas=1.15, total=1.5
    ).items():  # well-liked films are alike in taste, so PAS tells least
        a, b = getattr(own, name).mean().item(), getattr(foreign, name).mean().item()
        assert a > times * b, (name, len(texts), a, b)
    assert own.total.isfinite().all() and (own.total >= -0.2).all() and (own.total <= 1.5).all()
    everything = reward.terms([o['response'] for o in outputs], [[0]] * len(outputs))
    assert len(outputs) == 487 and everything.total.isfinite().all()
