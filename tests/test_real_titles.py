"Every title of the real catalogues can be answered."

import csv
import gzip
import json
import os
from collections import defaultdict

import pytest

from rerec.base.answers import parse_answer
from rerec.base.core import Item
from rerec.base.data import read_items
from rerec.base.formats import split_year
from rerec.base.titles import TitleIndex

data = os.environ.get('REREC_DATA')
if not data:
    pytest.skip('REREC_DATA does not name the folder with the real data', allow_module_level=True)


def titles_of(path):
    "Read the column of titles of a table."
    with gzip.open(path, 'rt') as file:
        rows = list(csv.DictReader(file))
    column = 'title' if 'title' in rows[0] else next(c for c in rows[0] if 'title' in c)
    return [row[column] for row in rows]


def movielens_items():
    "Read the films of the smaller MovieLens, whose year is in the title."
    for written in titles_of(f'{data}/movie/items_mllatestsmall.csv.gz'):
        title, year = split_year(written)
        yield Item(title, 'movie', year)


def goodbooks_items():
    "Read the books of goodbooks-10k."
    for title in titles_of(f'{data}/book/goodbooks_items.csv.gz'):
        yield Item(title, 'book')


CATALOGUES = {
    'movie': lambda: read_items(f'{data}/movie/items.csv.gz', 'movie'),
    'book': lambda: read_items(f'{data}/book/items.csv.gz', 'book'),
    'movielens': movielens_items,
    'goodbooks': goodbooks_items,
}


@pytest.fixture(scope='module', params=CATALOGUES)
def index(request):
    "Read a catalogue, with the rows of each written title."
    items = tuple(CATALOGUES[request.param]())
    index = TitleIndex(items)
    rows = defaultdict(set)
    for row, item in enumerate(items):
        rows[item.title].add(row)
        rows[str(item)].add(row)
    return index, rows


def test_every_title_is_read_back(index):
    index, rows = index
    lost = []
    for item in index.items:
        for written in {item.title, str(item)}:
            ranked = parse_answer(f'Answer: {written}', index).ranked
            if len(ranked) != 1 or ranked[0] not in rows[written]:
                lost.append((written, ranked))
    assert not lost, f'{len(lost)} of {len(index)}: {lost[:5]}'


FORMS = {
    'separators': '{} [SEP] {} [SEP] {}',
    'announced': 'Answer: {} [SEP] {} [SEP] {}',
    'numbers': '1. {}\n2. {}\n3. {}',
    'numbers in a line': '1. {} 2. {} 3. {}',
    'bold': '1. **{}**\n2. **{}**\n3. **{}**',
    'bullets': 'My picks:\n- {}\n- {}\n- {}',
    'box': r'So \boxed{{{}; {}; {}}}',
    'lines': '{}\n{}\n{}',
}
# Signs by which these forms divide a list, so that a title with one is not determined
DIVIDING = {'box': '{}$\\', 'numbers in a line': '0123456789'}


@pytest.mark.parametrize('form', FORMS)
def test_titles_are_read_back_from_lists(index, form):
    index, rows = index
    listed = [o for o in index.items if not set(str(o)) & set(DIVIDING.get(form, ''))]
    written = [item.title if item.domain == 'book' else str(item) for item in listed]
    # neighbours are far apart in the catalogue, so that no two are one title together
    half = len(written) // 2
    lost = []
    for i in range(0, half, 3):
        three = [written[i], written[half + i], written[i + 1]]
        ranked = parse_answer(FORMS[form].format(*three), index).ranked
        right = len(ranked) == 3 and all(r in rows[t] for r, t in zip(ranked, three))
        if not right:
            lost.append((three, ranked))
    assert len(lost) <= half // 3 // 500, f'{len(lost)} of {half // 3}: {lost[:5]}'


def test_titles_are_read_back_from_json(index):
    index, rows = index
    written = [str(item) for item in index.items]
    lost = []
    for i in range(0, len(written) - 2, 7):
        three = written[i : i + 3]
        for value in (three, {'recommendations': three}, [{'title': t, 'why': 'x'} for t in three]):
            for ascii_only in (True, False):
                text = f'```json\n{json.dumps(value, ensure_ascii=ascii_only)}\n```'
                ranked = parse_answer(text, index).ranked
                if len(ranked) != 3 or any(r not in rows[t] for r, t in zip(ranked, three)):
                    lost.append((three, ranked))
    assert not lost, f'{len(lost)}: {lost[:5]}'
