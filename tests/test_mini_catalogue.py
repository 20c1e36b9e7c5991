"""The films and books of the package: their form, and their facts against the real tables. Every
difference is settled in checked.csv."""

import csv
import gzip
import os
import re
import unicodedata
from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path

import pytest
from rapidfuzz import fuzz

mini = Path(__file__).resolve().parent.parent / 'rerec/mini'
data = Path(os.environ.get('REREC_DATA', ''))
real = pytest.mark.skipif(
    not os.environ.get('REREC_DATA'),
    reason='set REREC_DATA to the folder of the real data (movie/ and book/) to compare the facts',
)
FILES = dict(movie='films.csv', book='books.csv')
COLUMNS = dict(
    movie=['title', 'year', 'Directed_by', 'Starring', 'Genre'],
    book=['title', 'year', 'WRITTEN_BY', 'BELONGS_TO'],
)
PEOPLE = dict(movie=('Directed_by', 'Starring'), book=('WRITTEN_BY',))
GENRES = {
    'sci-fi': 'science fiction',
    "children's": 'children',
}  # theirs to ours; the other names only differ in case
ALIASES = {
    'The Gunslinger': 'The Dark Tower: The Gunslinger',
    'Twenty Thousand Leagues Under the Seas': 'Twenty Thousand Leagues Under the Sea',
}


def read_rows(name):
    return list(csv.DictReader((mini / name).open(encoding='utf-8', newline='')))


def read_real(domain, name):
    return list(csv.DictReader(gzip.open(data / domain / name, 'rt', encoding='utf-8', newline='')))


# Matching and comparing; nothing of rerec.base.titles, so that this is a second opinion
def plain(text):
    "Words without case, diacritics and punctuation."
    text = (
        ''.join(c for c in unicodedata.normalize('NFKD', text) if not unicodedata.combining(c))
        .casefold()
        .replace('&', ' and ')
    )
    return ' '.join(re.findall(r'\w+', re.sub(r"['’.]", '', text)))


def title_forms(title):
    """'Seven (Se7en) (1995)' is called 'seven' and 'se7en'; 'Star Wars: Episode IV - A New Hope'
    also 'star wars'."""
    title = re.sub(r'\s*\(\d{4}\)\s*$', '', title)
    names = [
        re.sub(r'\([^()]*\)', '', title),
        *(re.sub(r'^a\.?k\.?a\.?\s+', '', o) for o in re.findall(r'\(([^()]*)\)', title)),
    ]
    names += [n.split(': ')[0] for n in names if 'Episode' in n]
    moved = (
        re.sub(
            r"^(.+), (the|an?|l[aeo]s?|el|los|il|das|der|die|l')\s*$",
            r'\2 \1',
            n.strip(),
            flags=re.I,
        )
        for n in names
    )
    return {re.sub(r'^(the|an?) ', '', plain(n)) for n in moved} - {''}


def counterparts(domain):
    """(our row, ids of theirs): films of that title a year off at most, the same year first; books
    of that title."""
    index, years = defaultdict(list), {}
    for o in read_real(domain, 'items.csv.gz'):
        key = o['bookId' if domain == 'book' else 'movieId']
        years[key] = int(o['year']) if domain == 'movie' else None
        for form in title_forms(o['title']):
            index[form].append(key)
    out = []
    for row in read_rows(FILES[domain]):
        ids = list(
            dict.fromkeys(
                chain.from_iterable(
                    index[f] for f in title_forms(ALIASES.get(row['title'], row['title']))
                )
            )
        )
        if domain == 'movie':
            ids = sorted(
                (i for i in ids if abs(years[i] - int(row['year'])) <= 1),
                key=lambda i: abs(years[i] - int(row['year'])),
            )[:1]
        if ids:
            out.append((row, ids, years[ids[0]]))
    return out


def same_person(a, b):
    return fuzz.ratio(plain(a), plain(b)) >= 90


def compare(domain):
    """(title, relation, ours, theirs, agree) for each fact of ours that theirs speaks of; genres
    and year once for each film."""
    held = defaultdict(lambda: defaultdict(list))
    for o in read_real(domain, 'attributes.csv.gz'):
        held[o['bookId' if domain == 'book' else 'movieId']][o['relation']].append(o['value'])
    out = []
    for row, ids, year in counterparts(domain):
        for relation in PEOPLE[domain]:
            theirs = list(dict.fromkeys(v for i in ids for v in held[i][relation]))
            out += [
                (row['title'], relation, v, theirs, any(same_person(v, o) for o in theirs))
                for v in row[relation].split('; ')
                if theirs
            ]
        if domain == 'book':
            continue
        out.append((row['title'], 'year', row['year'], [str(year)], int(row['year']) == year))
        theirs = held[ids[0]]['Genre']
        shared = {GENRES.get(g.casefold(), g.casefold()) for g in theirs} & set(
            row['Genre'].split('; ')
        )
        if theirs:
            out.append((row['title'], 'Genre', row['Genre'], theirs, bool(shared)))
    return out


# The form of the files
@pytest.fixture(params=FILES)
def domain(request):
    return request.param


def facts(domain):
    return [
        (row['title'], c, v)
        for row in read_rows(FILES[domain])
        for c in COLUMNS[domain][2:]
        for v in row[c].split('; ')
    ]


def test_size_and_columns():
    assert len(read_rows('films.csv')) >= 120 and len(read_rows('books.csv')) >= 80
    for d, name in FILES.items():
        assert all(list(row) == COLUMNS[d] for row in read_rows(name))


def test_titles_are_unique():
    twice = [
        t
        for t, n in Counter(
            plain(row['title']) for name in FILES.values() for row in read_rows(name)
        ).items()
        if n > 1
    ]
    assert not twice


def test_cells(domain):
    for row in read_rows(FILES[domain]):
        assert all(v and v == v.strip() for v in row.values()), row
        assert re.fullmatch('1[89]\\d\\d|20[012]\\d', row['year']), row
        for c in COLUMNS[domain][2:]:
            values = row[c].split('; ')
            assert all(re.fullmatch(r'[^;\s]+( [^;\s]+)*', v) for v in values) and len(
                set(values)
            ) == len(values), (row['title'], c)
        if domain == 'movie':
            assert 1 <= len(row['Starring'].split('; ')) <= 3, row


def test_genres_are_held_by_five(domain):
    held = Counter(v for _, c, v in facts(domain) if c == COLUMNS[domain][-1])
    assert not {g: n for g, n in held.items() if n < 5}


def test_items_share_two_facts(domain):
    held = Counter((c, v) for _, c, v in facts(domain))
    shared = Counter(t for t, c, v in facts(domain) if held[c, v] > 1)
    assert not [row['title'] for row in read_rows(FILES[domain]) if shared[row['title']] < 2]


def test_settled_differences_name_our_facts():
    rows = read_rows('checked.csv')
    assert all(
        list(row) == ['title', 'relation', 'ours', 'theirs', 'settled'] and row['settled']
        for row in rows
    )
    ours = {o for d in FILES for o in facts(d)}
    ours |= {
        (row['title'], c, row[c])
        for d in FILES
        for row in read_rows(FILES[d])
        for c in ('year', COLUMNS[d][-1])
    }
    keys = [(row['title'], row['relation'], row['ours']) for row in rows]
    assert not set(keys) - ours and len(set(keys)) == len(keys)


# The facts against the real tables
@real
def test_most_facts_are_found_and_agree():
    for domain, least, titles in (('movie', 0.85, 90), ('book', 0.95, 80)):
        compared, n = compare(domain), len(counterparts(domain))
        by = Counter((r, agree) for _, r, _, _, agree in compared)
        print(domain, n, dict(by))
        assert n >= titles and sum(agree for *_, agree in compared) > least * len(compared)


@real
def test_every_difference_is_settled():
    found = {
        (t, r, ours): theirs for d in FILES for t, r, ours, theirs, agree in compare(d) if not agree
    }
    listed = {
        (row['title'], row['relation'], row['ours']): row['theirs']
        for row in read_rows('checked.csv')
    }
    assert not set(found) - set(listed), 'differences that checked.csv does not settle'
    assert not set(listed) - set(found), 'rows of checked.csv that are no difference'
    assert all(v in ('', '; '.join(found[k])) for k, v in listed.items())
