"""A catalogue of thirteen columns, half of them numbers: prompts tell what is asked for, and
demonstrations say what it is."""

import csv
import random

import pytest

from rerec.run.lookup import candidate_facts, demonstrate, look_up, render_lookup
from rerec.run.snippets import read_query
from rerec.shop.dataset import Build, build_data
from rerec.shop.runs import shop_run, shop_snippets

NUMBERS = ('min_players', 'max_players', 'playing_minutes', 'min_age', 'year', 'weight')
WORDS = dict(
    designer=40,
    artist=30,
    publisher=25,
    mechanism=15,
    theme=12,
    category=8,
    language=4,
)
SYLLABLES = ('ka', 'lo', 'mi', 'ren', 'tus', 'va', 'dor', 'pel', 'shi', 'gan', 'wex', 'ul')


def word(rng, n):
    "An invented word."
    return ''.join(rng.choice(SYLLABLES) for _ in range(n)).capitalize()


def games(folder, n=300):
    "Tables of invented board games and of who played them."
    rng = random.Random(7)
    names = {
        column: [
            f'{word(rng, 2)} {word(rng, 2)}' if column in ('designer', 'artist') else word(rng, 3)
            for _ in range(size)
        ]
        for column, size in WORDS.items()
    }
    titles = list(dict.fromkeys(f'{word(rng, 2)} of {word(rng, 3)}' for _ in range(2 * n)))[:n]
    rows = []
    for k, title in enumerate(titles):
        row = dict(sku=f'g{k}', title=title) | {
            column: rng.choice(values) for column, values in names.items()
        }
        low = rng.choice((1, 2, 2, 3, 4))
        row |= dict(
            min_players=low,
            max_players=low + rng.choice((0, 1, 2, 2, 4)),
            playing_minutes=rng.choice((15, 30, 45, 60, 90, 120)),
        )
        row |= dict(
            min_age=rng.choice((4, 6, 8, 10, 12)),
            year=rng.randint(1995, 2024),
            weight=rng.choice((1, 2, 3, 4, 5)),
        )
        rows.append(row)
    with open(folder / 'games.csv', 'w', newline='', encoding='utf-8') as f:
        writer = csv.DictWriter(f, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    tastes = [rng.sample(range(n), 40) for _ in range(12)]
    plays = [(f'u{u}', f'g{k}') for u in range(240) for k in rng.sample(tastes[u % 12], 14)]
    with open(folder / 'plays.csv', 'w', newline='', encoding='utf-8') as f:
        csv.writer(f).writerows([('user', 'sku'), *plays])


@pytest.fixture(scope='module')
def shop(tmp_path_factory):
    "A data set of these games with twenty candidates, and what its prompts tell."
    folder = tmp_path_factory.mktemp('games')
    games(folder)
    columns = (*WORDS, *NUMBERS)
    build = Build(
        str(folder / 'games.csv'),
        None,
        str(folder / 'plays.csv'),
        out=str(folder / 'shop'),
        domain='game',
        item_facts=columns,
        n_queries=600,
        epochs=3,
    )
    data = build_data(build, log=lambda text: None)
    return data, shop_snippets(shop_run('shop'), data)


def condition_queries(data):
    return [q for part in data.parts.values() for q in part if q.conditions]


def looked(snippets, query):
    "(request, what is told, what is wanted and who fits)"
    request = read_query(snippets, query)
    shown = candidate_facts(snippets, query.candidates, [request])
    return request, shown, look_up(snippets, query, request, shown)


def facts_of(entries):
    return {(relation, e.value) for e in entries for relation in e.relations}


def test_what_is_asked_for_is_told(shop):
    data, snippets = shop
    queries = condition_queries(data)
    assert len(queries) > 300
    told = [
        set(q.conditions) <= facts_of(looked(snippets, q)[1].facts[q.truth[0]]) for q in queries
    ]
    assert sum(told) / len(told) > 0.97


def test_wanted_is_what_the_query_asks_for(shop):
    data, snippets = shop
    same, n = 0, 0
    for q in condition_queries(data):
        _, shown, found = looked(snippets, q)
        if not set(q.conditions) <= facts_of(shown.facts[q.truth[0]]):
            continue
        n += 1
        same += facts_of(found.wanted) == set(q.conditions)
    assert same / n > 0.95


def test_no_demonstration_passes_over_an_item_with_the_same_values(shop):
    data, snippets = shop
    facts = {}
    for row, *fact in data.catalogue.facts:
        facts.setdefault(row, set()).add(tuple(fact))
    written = 0
    for q in condition_queries(data):
        request, shown, found = looked(snippets, q)
        if not demonstrate(snippets, q, request, shown):
            continue
        written += 1
        wanted = facts_of(found.wanted)
        same = [row for row in q.candidates if wanted <= facts[row]]
        assert same == list(found.fits) and q.truth[0] in same, q.text
    assert written > 250


def test_numbers_say_what_they_count(shop):
    "In every prompt, and in what demonstrations want."
    data, snippets = shop
    named = [c.replace('_', ' ') for c in NUMBERS]
    numbers = 0
    for q in condition_queries(data)[:150]:
        request, shown, _ = looked(snippets, q)
        written = ''.join(part.text for part in demonstrate(snippets, q, request, shown))
        values = [
            line.removeprefix('of these, ').rpartition(': ')[0]
            for line in written.partition('\n\n')[0].splitlines()
        ]
        lines = [
            l.split(': ', 1)[1]
            for l in render_lookup(q, snippets)[0]['content'].splitlines()
            if l[1:3] == '. '
        ]
        for part in ', '.join([*lines, *values]).split(', '):
            if not part[:1].isdigit():
                continue
            numbers += 1
            assert any(name in part for name in named), part
    assert numbers > 100
