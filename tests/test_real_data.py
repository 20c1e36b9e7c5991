"""The real tables: what is in them, that splits and candidates keep their promises on them, and
that a broken copy of each gives the one clear error."""

import gzip
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from rerec.base.blind import LIMIT, blind_rules, check_blind_rules
from rerec.base.core import KINDS, DataError
from rerec.base.data import (
    leakage,
    load_benchmark,
    read_items,
    read_likes,
    read_queries,
    split_queries,
)
from rerec.base.distractors import add_candidates
from rerec.base.titles import TitleIndex

data = Path(os.environ.get('REREC_DATA', ''))
pytestmark = pytest.mark.skipif(
    not os.environ.get('REREC_DATA'), reason='set REREC_DATA to the folder of the real data'
)


@pytest.fixture(scope='module')
def movie():
    return load_benchmark(data / 'movie')


@pytest.fixture(scope='module')
def book():
    return load_benchmark(data / 'book', TitleIndex)


def test_movie_tables(movie):
    catalogue, queries = movie
    assert (len(catalogue), len(catalogue.facts), catalogue.n_users, len(queries)) == (
        3883,
        41359,
        610,
        3200,
    )
    assert str(catalogue.items[0]) == 'Toy Story (1995)' and all(o.year for o in catalogue.items)
    assert len(read_queries(data / 'movie/queries.jsonl.gz', catalogue.items, usable=False)) == 8522
    likes, users = read_likes(
        data / 'movie/interactions_mllatestsmall.csv.gz', catalogue.items, liked=0, strict=False
    )
    assert (len(likes), users) == (58501, 610)
    assert {q.kind for q in queries} == {'explicit', 'implicit', 'misinformed', 'demographics'}


def test_book_tables(book):
    catalogue, queries = book
    assert (len(catalogue), len(catalogue.facts), catalogue.n_users) == (9866, 32913, 7195)
    assert len(read_queries(data / 'book/queries.jsonl.gz', catalogue.items, usable=False)) == 2954
    likes, users = read_likes(
        data / 'book/interactions_librarything.parquet', catalogue.items, liked=0
    )
    assert (len(likes), users) == (103911, 7195)
    exact = load_benchmark(data / 'book')[1]
    assert len(queries) > len(exact) > 100 and {q.kind for q in queries} <= set(KINDS)


def test_facts_of_conditions_hold(movie):
    catalogue, queries = movie
    held = {}
    for i, *fact in catalogue.facts:
        held.setdefault(i, set()).add(tuple(fact))
    stated = [(q, i) for q in queries if q.conditions for i in q.truth]
    assert len(stated) > 300 and sum(
        any(c in held[i] for c in q.conditions) for q, i in stated
    ) > 0.9 * len(stated)


def test_split_of_the_real_queries(movie):
    parts = split_queries(movie[1], seed=0)
    assert [len(p) for p in parts] == [2560, 320, 320]
    for a in parts:
        for b in parts:
            assert a is b or not any(leakage(a, b).values())


def test_candidates_of_the_real_queries(movie):
    catalogue, queries = movie
    begin = time.process_time()
    offered = add_candidates(queries, catalogue)
    assert time.process_time() - begin < 60
    check_blind_rules(blind_rules(offered, catalogue))
    assert max(r['times_chance'] for r in blind_rules(offered, catalogue)) < 1.35
    for q, old in zip(offered, queries):
        assert (
            len(set(q.candidates)) == 20
            and q.truth[0] in old.truth
            and sum(i in old.truth for i in q.candidates) == 1
        )
    held = [set() for _ in catalogue.items]
    for i, *fact in catalogue.facts:
        held[i].add(tuple(fact))

    def centre(q):
        return max(
            q.candidates, key=lambda i: sum(len(held[i] & held[j]) for j in q.candidates if j != i)
        )

    rate = {
        own: sum(centre(q) == q.truth[0] for q in add_candidates(queries[::4], catalogue, own=own))
        / len(queries[::4])
        for own in (1.0, 0.1)
    }
    print(rate)
    assert rate[1.0] > 0.3 and rate[0.1] < 0.15


@pytest.mark.parametrize('n', (5, 20))
def test_nobody_finds_the_real_items_unread(movie, book, n):
    catalogue, queries = movie
    assert (
        blind_rules(add_candidates(queries, catalogue, n), catalogue)[0]['times_chance'] < LIMIT
    )  # no allowance for luck
    catalogue, queries = book
    check_blind_rules(blind_rules(add_candidates(queries, catalogue, n), catalogue))


def test_distractors_drawn_for_hardness_alone_give_the_item_away(movie):
    catalogue, queries = movie
    with pytest.raises(DataError, match='number 1 by popularity'):
        check_blind_rules(blind_rules(add_candidates(queries, catalogue, fair=False), catalogue))


def rewrite(path, change):
    text = change(gzip.decompress(path.read_bytes()).decode())
    path.write_bytes(gzip.compress(text if isinstance(text, bytes) else text.encode()))


def line(n, change):
    "Change one line of a text."
    return lambda text: '\n'.join(
        change(l) if i == n else l for i, l in enumerate(text.split('\n'), 1)
    )


def cell(k, value):
    "Change one cell of a line."
    return lambda l: ','.join(value if i == k else c for i, c in enumerate(l.split(',')))


BROKEN = [
    (
        'items.csv.gz',
        lambda t: t.replace('movieId,', 'id,', 1),
        r'items.csv.gz, line 1: has no item or no column',
    ),
    (
        'items.csv.gz',
        lambda t: t.replace(',title,', ',name,', 1),
        r"items.csv.gz, line 2, field 'title': is missing -> the file has movieId, name",
    ),
    (
        'items.csv.gz',
        line(7, lambda l: l.split(',')[0] + ',,,,'),
        r"items.csv.gz, line 7, field 'title': is empty",
    ),
    (
        'items.csv.gz',
        line(7, lambda l: l.replace('(1995),1995', '(1995),19x5')),
        r"items.csv.gz, line 7, field 'year': is not a number: '19x5'",
    ),
    (
        'items.csv.gz',
        line(9, lambda l: '3' + l[l.index(',') :]),
        r"items.csv.gz, line 9, field 'movieId': '3' is in line 4",
    ),
    (
        'items.csv.gz',
        lambda t: t.replace('Toy Story', 'Toÿ Story', 1).encode('latin-1', 'replace'),
        r'items.csv.gz, line 2: is not utf-8',
    ),
    (
        'attributes.csv.gz',
        line(5, lambda l: '999999' + l[l.index(',') :]),
        r"attributes.csv.gz, line 5, field 'movieId': '999999' is no item",
    ),
    (
        'attributes.csv.gz',
        line(5, lambda l: l.rsplit(',', 1)[0]),
        r"attributes.csv.gz, line 5, field 'value': 2 fields, but the header names 3",
    ),
    (
        'interactions_mllatestsmall.csv.gz',
        line(6, cell(2, 'nan')),
        r"interactions_mllatestsmall.csv.gz, line 6, field 'rating': is not a finite number",
    ),
    (
        'interactions_mllatestsmall.csv.gz',
        line(6, cell(2, 'five')),
        r"line 6, field 'rating': is not a number: 'five'",
    ),
    ('queries.jsonl.gz', line(4, lambda l: l[:50]), r'queries.jsonl.gz, line 4: is not JSON'),
    (
        'queries.jsonl.gz',
        line(4, lambda l: re.sub(r'"category": "\w+"', '"category": "hard"', l)),
        r"queries.jsonl.gz, line 4, field 'category': 'hard' is no kind",
    ),
    (
        'queries.jsonl.gz',
        line(4, lambda l: re.sub(r'"gt_ids": (null|\[[^]]*\])', '"gt_ids": [999999]', l)),
        r"queries.jsonl.gz, line 4, field 'gt_ids': 999999 is no item",
    ),
    (
        'queries.jsonl.gz',
        line(4, lambda l: re.sub(r'"query": "[^"]*', '"query": "', l)),
        r"queries.jsonl.gz, line 4, field 'query': is empty",
    ),
]


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp('movie')
    for name in {b[0] for b in BROKEN}:
        shutil.copyfile(data / 'movie' / name, folder / name)
    return folder


@pytest.mark.parametrize(
    'name,change,words', BROKEN, ids=[f'{b[0].split(".")[0]}-{i}' for i, b in enumerate(BROKEN)]
)
def test_a_broken_copy_gives_one_clear_error(source, name, change, words):
    whole = (source / name).read_bytes()
    try:
        rewrite(source / name, change)
        with pytest.raises(DataError, match=words):
            load_benchmark(source)
    finally:
        (source / name).write_bytes(whole)


@pytest.mark.parametrize('name', sorted({b[0] for b in BROKEN}))
def test_a_cut_off_copy_is_noticed(source, name):
    whole = (source / name).read_bytes()
    try:
        (source / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(
            DataError, match=re.escape(name) + '.*cannot be read.*fetch the file again'
        ):
            load_benchmark(source)
    finally:
        (source / name).write_bytes(whole)


def test_broken_parquet(tmp_path):
    whole = (data / 'book/interactions_librarything.parquet').read_bytes()
    (tmp_path / 'interactions_x.parquet').write_bytes(whole[:-100])
    items = read_items(data / 'book/items.csv.gz', 'book')
    with pytest.raises(DataError, match='is not parquet'):
        read_likes(tmp_path / 'interactions_x.parquet', items)
