"""The four readers of the published training code, written again after what they do, accept every
row that we export; and every row comes back."""

import csv
import re
from dataclasses import replace
from functools import partial

import networkx as nx
import pandas as pd
import pytest

from rerec.base.answers import BOXED_TASK, render_prompt
from rerec.base.core import Query
from rerec.base.official_files import (
    NO_RELATION,
    read_graph,
    read_training,
    write_graph,
    write_training,
)
from rerec.cli import main
from rerec.run.kinds import write_queries
from rerec.run.world import mini_world
from rerec.shop.dataset import Build, build_data, load_data
from rerec.shop.exchange import IMPORTS

HARD = [
    'E; T (1982)',
    'Face / Off (1997)',
    '{proof}',
    '[Rec] <2>',
    'The Fly (1986)',
    'The Fly (1986)',
    'Drama',
    'L\'été, à "Paris" & <b>',
    'Snake_Eyes',
]


def box(solution):
    "Reward: what an answer recommends."
    solution = re.sub(r'\s*(<|>|/)\s*', r'\1', solution)
    found = re.findall(r'\\boxed{([^}]+)}', solution)
    return found[0].strip() if found else None


def ndcg_reader(solution, truth):
    "Reward: NDCG@1 of what the box holds; truths are one string, split and not stripped."
    assert type(truth) is str
    said = box(solution)
    return -0.5 if said is None else float(said in truth.split(';'))


def node_reader(graph, solution, truth):
    """Graph: neighbours shared with the right item, looked up by its title; -1 for a title that is
    no node."""
    said, right = box(solution).strip(), truth.strip()
    if said not in graph.nodes or right not in graph.nodes:
        return -1
    wanted = set(graph.neighbors(right))
    return len(set(graph.neighbors(said)) & wanted) / len(wanted) if wanted else 0.0


def line_reader(solution, truth):
    """Blame: truths are split at semicolons and stripped, and a right answer without its year is
    part of them."""
    titles = [t.strip() for t in truth.split(';') if t.strip()]
    said = box(solution)
    bare = re.sub(r'\s*\([0-9]{4}\)\s*$', '', said)
    return titles, said.lower() == truth.strip().lower() or bare in truth.strip().lower()


def group_reader(row):
    "Validation: the fields that are asserted, and those that results are grouped by."
    extra = row['extra_info']
    extra['dual_graph_enhanced'] = True  # it writes into the record
    assert isinstance(row['data_source'], str) and row['data_source']
    assert 'with_history' in extra and isinstance(extra['with_history'], bool)
    return (
        extra['with_history'],
        extra.get('category', 'unknown'),
        extra.get('difficulty_mode', 'unknown'),
    )


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    "A small shop with titles that are hard on readers, built and exported by the commands."
    folder = tmp_path_factory.mktemp('official')
    world = mini_world(n_users=80)
    rows = [i for i, o in enumerate(world.items) if o.domain == 'movie'][:60]
    title = dict(zip(rows, HARD)) | {i: str(world.items[i]) for i in rows[len(HARD) :]}

    def table(name, *lines):
        with open(folder / f'{name}.csv', 'w', encoding='utf-8', newline='') as f:
            csv.writer(f).writerows(lines)

    table('items', ('id', 'title'), *((f'm{i}', title[i]) for i in rows))
    table(
        'facts',
        ('id', 'relation', 'value'),
        *((f'm{i}', r, v) for i, r, v in world.facts if i in title),
        (f'm{rows[0]}', 'about', 'The Fly (1986)'),
    )
    table('likes', ('user', 'id'), *((f'u{u}', f'm{i}') for u, i in world.likes if i in title))
    build_data(
        Build(
            *(str(folder / f'{n}.csv') for n in ('items', 'facts', 'likes')),
            out=str(folder / 'shop'),
            domain='movie',
            n_queries=200,
            n_candidates=8,
            epochs=3,
        ),
        log=lambda text: None,
    )
    assert (
        main(
            [
                'data',
                'export',
                str(folder / 'shop'),
                '--format',
                'official',
                '--out',
                str(folder / 'out'),
            ]
        )
        == 0
    )
    return folder, load_data(folder / 'shop')


@pytest.fixture(scope='module')
def graph(exported):
    return nx.read_gexf(exported[0] / 'out' / 'movie_item_attribute_graph.gexf')


PARTS = ('train', 'validation', 'test')


def records(exported, part):
    return pd.read_parquet(exported[0] / 'out' / f'{part}.parquet').to_dict('records')


@pytest.mark.parametrize('part', PARTS)
def test_every_row_is_read_by_all_four(exported, graph, part):
    rows = records(exported, part)
    assert len(rows) == len(exported[1].parts[part]) > 5
    for row in rows:
        truth = row['reward_model']['ground_truth']
        right = truth.split(';')[0]
        solution = f'First I reason.\n\\boxed{{{right}}}'
        assert ndcg_reader(solution, truth) == 1 and ndcg_reader('no box', truth) == -0.5
        assert node_reader(graph, solution, right) == 1, f'{right!r} scores as a stranger'
        titles, is_right = line_reader(solution, truth)
        assert right in titles and (is_right or len(titles) > 1)
        with_history, category, difficulty = group_reader(row)
        assert 'unknown' not in (category, difficulty)


@pytest.mark.parametrize('part', PARTS)
def test_prompts_truths_and_nodes_use_the_same_names(exported, graph, part):
    for row, query in zip(records(exported, part), exported[1].parts[part]):
        [message] = row['prompt']
        listed = [
            l.split('. ', 1)[1] for l in message['content'].split('Candidates:\n')[1].split('\n')
        ]
        assert '\\boxed{title}' in message['content'] and message['role'] == 'user'
        assert listed == list(row['extra_info']['candidates']) and len(set(listed)) == len(
            query.candidates
        )
        assert set(row['reward_model']['ground_truth'].split(';')) <= set(listed)
        for name in listed:
            assert name in graph.nodes and graph.nodes[name]['kind'] == 'item'
            assert box(f'\\boxed{{{name}}}') == name, f'{name!r} does not come out of a box'


def test_the_hard_titles_are_asked_for(exported, graph):
    "Or the tests above would show nothing."
    asked = {
        name
        for part in PARTS
        for row in records(exported, part)
        for name in row['extra_info']['candidates']
    }
    assert {
        'E, T (1982)',
        'Face/Off (1997)',
        '(proof)',
        'The Fly (1986)',
        'The Fly (1986) #2',
    } <= asked
    assert graph.nodes['The Fly (1986) #3'][
        'kind'
    ] == 'value' and 'The Fly (1986) #3' in graph.neighbors('E, T (1982)')


def test_right_answers_share_what_the_catalogue_says(exported, graph):
    "The score of the graph is that of our facts, for all pairs of a query's candidates."
    data = exported[1]
    values = [
        {v for i, _, v in data.catalogue.facts if i == row} for row in range(len(data.catalogue))
    ]
    for row, query in zip(records(exported, 'test'), data.parts['test']):
        names, right = dict(zip(query.candidates, row['extra_info']['candidates'])), query.truth[0]
        for i, name in names.items():
            expected = len(values[i] & values[right]) / len(values[right]) if values[right] else 0
            assert node_reader(graph, f'\\boxed{{{name}}}', names[right]) == expected


def test_what_goes_out_comes_back(exported):
    folder, data = exported
    back = IMPORTS['official'](folder / 'out', data)
    for part in PARTS:
        assert list(back[part]) == [replace(q, user=None) for q in data.parts[part]]
    assert (
        main(
            [
                'data',
                'import',
                str(folder / 'out'),
                '--format',
                'official',
                '--catalogue',
                str(folder / 'shop'),
                '--out',
                str(folder / 'again'),
            ]
        )
        == 0
    )
    plain = partial(replace, id='', user=None)
    again = load_data(folder / 'again')
    for part in PARTS:
        assert [plain(q) for q in again.parts[part]] == [plain(q) for q in data.parts[part]]


@pytest.fixture(scope='module')
def small_world(tmp_path_factory):
    """Queries of the embedded world, every third with two right items and every second with a
    history."""
    folder = tmp_path_factory.mktemp('world')
    world = mini_world(n_users=80)
    queries = []
    for k, q in enumerate(write_queries(world, 60, seed=0)):
        others = [i for i in q.candidates if i not in q.truth]
        truth = (*q.truth, others[0]) if k % 3 == 0 else q.truth
        history = tuple(others[1:3]) if k % 2 == 0 else ()
        queries.append(
            Query(
                q.id, q.text, q.kind, q.domain, truth, q.candidates, q.conditions, history=history
            )
        )
    write_training(folder / 'mini.parquet', queries, world, partial(render_prompt, task=BOXED_TASK))
    write_graph(folder / 'mini.gexf', world)
    return folder, world, queries


def test_every_row_of_the_small_world_is_read_by_all_four(small_world):
    folder, world, queries = small_world
    graph = nx.read_gexf(folder / 'mini.gexf')
    rows = pd.read_parquet(folder / 'mini.parquet').to_dict('records')
    assert len(rows) == 60
    for row, query in zip(rows, queries):
        truth = row['reward_model']['ground_truth']
        assert truth.split(';') == [str(world.items[i]) for i in query.truth]
        for right in truth.split(';'):
            solution = f'First I reason.\n\\boxed{{{right}}}'
            assert ndcg_reader(solution, truth) == 1 and node_reader(graph, solution, right) == 1
            assert right in line_reader(solution, truth)[0]
            assert f'. {right}' in row['prompt'][0]['content'].split('Candidates:')[1]
        with_history, category, difficulty = group_reader(row)
        assert (with_history, category) == (bool(query.history), query.kind) and difficulty in (
            'simple',
            'medium',
            'hard',
            'open',
        )


def test_queries_of_the_small_world_come_back(small_world):
    folder, world, queries = small_world
    back = read_training(folder / 'mini.parquet', world)
    assert [replace(b, domain=q.domain) for b, q in zip(back, queries)] == queries
    assert set(read_graph(folder / 'mini.gexf', world.items)) == set(world.facts)


def test_a_graph_with_numbers_for_ids_scores_nothing(small_world):
    """The readers above can say no: with ids that are not titles, the right answer itself is a
    stranger."""
    folder, world, queries = small_world
    names = {str(o): f'i{k}' for k, o in enumerate(world.items)}
    graph = nx.relabel_nodes(nx.read_gexf(folder / 'mini.gexf'), names)
    right = str(world.items[queries[0].truth[0]])
    assert node_reader(graph, f'\\boxed{{{right}}}', right) == -1
    with pytest.raises(AssertionError):
        ndcg_reader('\\boxed{x}', ['x'])
    with pytest.raises(AssertionError):
        group_reader(dict(data_source='movie', extra_info=dict(category='explicit')))


def test_edges_without_a_relation_are_read(small_world):
    "Published graphs say only what is joined to what."
    folder, world, _ = small_world
    graph = nx.read_gexf(folder / 'mini.gexf')
    bare = nx.Graph()
    bare.add_nodes_from(graph.nodes)
    bare.add_edges_from(edge[:2] for edge in graph.edges)
    nx.write_gexf(bare, folder / 'bare.gexf')
    facts = read_graph(folder / 'bare.gexf', world.items)
    assert {r for _, r, _ in facts} == {NO_RELATION}
    assert {(i, v) for i, _, v in facts} == {(i, v) for i, _, v in world.facts}
