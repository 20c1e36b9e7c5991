"`rerec score` on files with gaps: a request that failed, a model without a name, chat messages."

import csv
import gzip
import json

import pytest

from rerec.base.core import tiny_queries, tiny_world
from rerec.cli import main


def write_table(path, heads, rows):
    "Write a compressed table."
    with gzip.open(path, 'wt', newline='') as file:
        csv.writer(file).writerows([heads, *rows])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "Write the tiny world as a benchmark of one domain."
    base = tmp_path_factory.mktemp('benchmark')
    movie = base / 'movie'
    movie.mkdir()
    world = tiny_world()
    titles = [(i, str(item), item.year) for i, item in enumerate(world.items)]
    likes = [(user, row, 5, 0) for user, row in world.likes]
    write_table(movie / 'items.csv.gz', ['movieId', 'title', 'year'], titles)
    write_table(movie / 'attributes.csv.gz', ['movieId', 'relation', 'value'], world.facts)
    heads = ['userId', 'movieId', 'rating', 'timestamp']
    write_table(movie / 'interactions_tiny.csv.gz', heads, likes)
    with gzip.open(movie / 'queries.jsonl.gz', 'wt') as file:
        for query in tiny_queries():
            row = dict(id=query.id, category='explicit', query=query.text, gt_complete=True)
            row['gt_ids'] = list(query.truth)
            file.write(json.dumps(row) + '\n')
    return base


def score(folder, capsys, *rows):
    "Score stored answers: the lines of the table by model."
    file = folder / 'outputs.jsonl'
    query = tiny_queries()[0].id
    lines = [dict(model='m', domain='movie', query_id=query, response='') | row for row in rows]
    file.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    assert main(['score', str(file), '--json']) == 0
    return {line['model']: line for line in json.loads(capsys.readouterr().out)}


def right_title():
    "Write the right answer of the first query."
    return tiny_world().titles[tiny_queries()[0].truth[0]]


def test_a_null_counts_as_an_empty_answer(folder, capsys):
    found = score(folder, capsys, dict(response=f'Answer: {right_title()}'), dict(response=None))
    assert (found['m']['answers'], found['m']['parsed'], found['m']['judged']) == (2, 1, 2)
    assert found['m']['ndcg'] == 0.5
    assert found['all'] == found['m'] | {'model': 'all'}


@pytest.mark.parametrize(
    'row',
    [
        dict(response=None, reasoning='I think of Heat.'),
        dict(response='', reasoning=None),
        dict(response=[]),
        dict(response={}),
        dict(response=False),
        dict(response=[dict(role='assistant', content=None)]),
    ],
)
def test_nothing_said_is_scored(folder, capsys, row):
    found = score(folder, capsys, row)['m']
    assert (found['answers'], found['parsed'], found['judged'], found['ndcg']) == (1, 0, 1, 0)


def test_an_answer_without_a_model_has_a_line(folder, capsys):
    rows = [dict(model=None), dict(model=''), dict(model='a'), dict(model=7)]
    found = score(folder, capsys, *rows)
    assert {model: line['answers'] for model, line in found.items()} == {
        '(no name)': 2,
        'a': 1,
        '7': 1,
        'all': 4,
    }


@pytest.mark.parametrize('kind', [list, dict, 'messages', 'titles'])
def test_other_json_is_read(folder, capsys, kind):
    title = right_title()
    message = dict(role='assistant', content=f'Answer: {title}')
    stored = {list: [message], dict: message, 'titles': [title]}
    stored['messages'] = [dict(role='user', content='Which?'), message]
    assert score(folder, capsys, dict(response=stored[kind]))['m']['ndcg'] == 1


def test_numbers_lists_and_nulls_may_name_the_query(folder, capsys):
    for name in (None, 7, ['a'], {}):
        found = score(folder, capsys, dict(query_id=name, response='Answer: Heat'))['m']
        assert (found['answers'], found['parsed'], found['judged']) == (1, 1, 0)


def test_a_file_without_answers_is_refused(folder, capsys):
    file = folder / 'empty.jsonl'
    file.write_text('')
    assert main(['score', str(file)]) == 2
    assert 'holds no answer' in capsys.readouterr().err


def test_a_domain_that_is_null_is_refused(folder, capsys):
    file = folder / 'domains.jsonl'
    rows = [dict(model='m', domain=d, query_id='q', response='') for d in ('movie', None)]
    file.write_text(''.join(json.dumps(row) + '\n' for row in rows))
    assert main(['score', str(file)]) == 2
    assert 'is empty -> correct' in capsys.readouterr().err
