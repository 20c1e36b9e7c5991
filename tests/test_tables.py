"""Files and tables as people bring them: shop exports, MovieLens, Spark, Excel, broken rows. Each
is written here in our own words and read or built, with the value that is right."""

import csv
import gzip
import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest

from rerec.base.core import DataError
from rerec.cli import main
from rerec.shop.dataset import Build, build_data, load_data
from rerec.shop.tables import read_tables

ADJECTIVES = 'Silver Golden Iron Red Blue Silent Broken Hidden Last First Lost White'.split()
NOUNS = 'River Mirror Garden Crown Bridge'.split()
GENRES = ['Comedy', 'Romance', 'Drama', 'War', 'Horror', 'Crime']


def write_csv(path, head, rows, **form):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w', encoding='utf-8', newline='') as f:
        csv.writer(f, lineterminator='\n', **form).writerows([head, *rows])
    return path


def shop_rows(n_users=80):
    "Sixty invented films, three facts of each, and ratings of users with six tastes."
    rng = random.Random(1)
    items, facts, ratings = [], [], []
    for k in range(60):
        title = f'{ADJECTIVES[k // 5]} {NOUNS[k % 5]} ({1940 + k})'
        items.append((k + 1, title, '|'.join(rng.sample(GENRES, rng.choice((1, 2, 2))))))
        facts.append((k + 1, 'Directed_by', f'Dir {rng.randrange(12)}'))
        facts.append((k + 1, 'Starring', f'Star {rng.randrange(15)}'))
        facts.append((k + 1, 'Language', rng.choice(['English', 'French', 'German', 'Hindi'])))
    tastes = [rng.sample(range(60), 26) for _ in range(6)]
    for u in range(n_users):
        for t, k in enumerate(rng.sample(tastes[u % 6], 14)):
            ratings.append((u + 1, k + 1, rng.choice((3, 4, 4, 5)), 1_000_000 + 100 * t + u))
    return items, facts, ratings


ITEMS, FACTS, RATINGS = shop_rows()
ITEM_HEAD = ('movieId', 'title', 'genres')
FACT_HEAD = ('movieId', 'relation', 'value')
RATING_HEAD = ('userId', 'movieId', 'rating', 'timestamp')


@pytest.fixture
def shop(tmp_path, monkeypatch):
    "The three tables in a folder, which is the current one."
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / 'items.csv', ITEM_HEAD, ITEMS)
    write_csv(tmp_path / 'facts.csv', FACT_HEAD, FACTS)
    write_csv(tmp_path / 'ratings.csv', RATING_HEAD, RATINGS)
    return tmp_path


def build(*words, out='shop', **tables):
    "Run `rerec data build` on tables, small."
    files = dict(items='items.csv', attributes='facts.csv', interactions='ratings.csv') | tables
    named = [word for role, file in files.items() if file for word in (f'--{role}', str(file))]
    few = ['--queries', '60', '--candidates', '5', '--out', out]
    return main(['data', 'build', *named, *few, *words])


def said(capsys):
    "What the last command wrote to the console, without progress bars."
    found = capsys.readouterr()
    return found.out + '\n'.join(found.err.replace('\r', '\n').splitlines())


def facts_of(tables):
    "Set of (id, relation, value)."
    items = tables.catalogue.items
    return {(items[i].id, relation, value) for i, relation, value in tables.catalogue.facts}


def relations_of(tables):
    return {relation for _, relation, _ in tables.catalogue.facts}


# One table in many forms: the same catalogue comes out
def as_semicolons(path, head, rows):
    return write_csv(path.with_suffix('.csv'), head, rows, delimiter=';')


def as_tabs(path, head, rows):
    return write_csv(path.with_suffix('.tsv'), head, rows, delimiter='\t')


def as_bars(path, head, rows):
    rows = [[str(cell).replace('|', '/') for cell in row] for row in rows]
    return write_csv(path.with_suffix('.txt'), head, rows, delimiter='|')


def as_excel_unicode(path, head, rows):
    tabs = as_tabs(path, head, rows).read_text(encoding='utf-8').replace('\n', '\r\n')
    path.with_suffix('.txt').write_bytes(tabs.encode('utf-16'))
    return path.with_suffix('.txt')


def as_utf16_without_mark(path, head, rows):
    text = write_csv(path.with_suffix('.csv'), head, rows).read_text(encoding='utf-8')
    path.with_suffix('.csv').write_bytes(text.encode('utf-16-le'))
    return path.with_suffix('.csv')


def as_excel_with_mark(path, head, rows):
    text = as_semicolons(path, head, rows).read_text(encoding='utf-8')
    path.with_suffix('.csv').write_text('sep=;\n' + text, encoding='utf-8-sig', newline='\r\n')
    return path.with_suffix('.csv')


def as_old_mac(path, head, rows):
    text = write_csv(path.with_suffix('.csv'), head, rows).read_text(encoding='utf-8')
    path.with_suffix('.csv').write_text(text, encoding='utf-8', newline='\r')
    return path.with_suffix('.csv')


def as_upper_case(path, head, rows):
    return write_csv(path.with_name(path.stem.upper() + '.CSV'), head, rows)


def as_quoted(path, head, rows):
    return write_csv(path.with_suffix('.csv'), head, rows, quoting=csv.QUOTE_ALL)


def as_blank_lines(path, head, rows):
    rows = [*rows[:5], [], [''] * len(head), *rows[5:], [], []]
    return write_csv(path.with_suffix('.csv'), head, rows)


def as_trailing_commas(path, head, rows):
    rows = [[*row, '', ''] for row in rows]
    return write_csv(path.with_suffix('.csv'), head, rows)


def as_ndjson(path, head, rows):
    lines = [json.dumps(dict(zip(head, row))) for row in rows]
    path.with_suffix('.ndjson').write_text('\n'.join(lines))
    return path.with_suffix('.ndjson')


def as_json_lines(path, head, rows):
    return as_ndjson(path, head, rows).rename(path.with_suffix('.json'))


def as_wrapped_json(path, head, rows):
    rows = [dict(zip(head, row)) for row in rows]
    path.with_suffix('.json').write_text(json.dumps(dict(data=rows)))
    return path.with_suffix('.json')


def as_python_literals(path, head, rows):
    lines = '\n'.join(repr(dict(zip(head, row))) for row in rows)
    file = path.with_suffix('.json.gz')
    file.write_bytes(gzip.compress(lines.encode()))
    return file


def as_zip(path, head, rows):
    inner = write_csv(path.with_suffix('.csv'), head, rows)
    with zipfile.ZipFile(path.with_suffix('.zip'), 'w') as archive:
        archive.write(inner, 'export/table.csv')
    return path.with_suffix('.zip')


def as_zstd(path, head, rows):
    import pyarrow as pa

    text = write_csv(path.with_suffix('.csv'), head, rows).read_bytes()
    with pa.CompressedOutputStream(str(path.with_suffix('.csv.zst')), 'zstd') as f:
        f.write(text)
    return path.with_suffix('.csv.zst')


def frame_of(head, rows):
    return pl.DataFrame([dict(zip(head, row)) for row in rows])


def as_spark_parquet(path, head, rows):
    folder = path.with_suffix('.parquet')
    folder.mkdir()
    for n, start in enumerate(range(0, len(rows), 50)):
        part = frame_of(head, rows[start : start + 50])
        part.write_parquet(folder / f'part-{n:05}-c000.snappy.parquet')
    (folder / '_SUCCESS').touch()
    (folder / '.part-00000-c000.snappy.parquet.crc').write_bytes(b'crc')
    return folder


def as_spark_csv(path, head, rows):
    folder = path.with_suffix('.csv.d').with_suffix('.csv')
    for n, start in enumerate(range(0, len(rows), 50)):
        write_csv(folder / f'part-{n:05}', head, rows[start : start + 50])
    return folder


def as_float_ids(path, head, rows):
    ids = [name for name in head if name.endswith('Id')]
    frame = frame_of(head, rows).with_columns(pl.col(ids).cast(pl.Float64))
    frame.write_parquet(path.with_suffix('.parquet'))
    return path.with_suffix('.parquet')


def as_float_text(path, head, rows):
    rows = [[f'{c}.0' if n.endswith('Id') else c for n, c in zip(head, row)] for row in rows]
    return write_csv(path.with_suffix('.csv'), head, rows)


FORMS = [value for name, value in globals().items() if name.startswith('as_')]


@pytest.mark.parametrize('form', FORMS, ids=lambda form: form.__name__)
def test_a_table_is_the_same_in_every_form(form, tmp_path):
    plain = tmp_path / 'plain'
    usual = [
        write_csv(plain / 'items.csv', ITEM_HEAD, ITEMS),
        write_csv(plain / 'facts.csv', FACT_HEAD, FACTS),
        write_csv(plain / 'ratings.csv', RATING_HEAD, RATINGS),
    ]
    expected = read_tables(*usual, item_facts=['genres'])
    written = []
    for name, head, rows in (
        ('items', ITEM_HEAD, ITEMS),
        ('facts', FACT_HEAD, FACTS),
        ('ratings', RATING_HEAD, RATINGS),
    ):
        (tmp_path / 'x').mkdir(exist_ok=True)
        written.append(form(tmp_path / 'x' / name, head, rows))
    found = read_tables(*written, item_facts=['genres'])
    assert found.catalogue.items == expected.catalogue.items
    assert facts_of(found) == facts_of(expected)
    assert found.catalogue.likes.tolist() == expected.catalogue.likes.tolist()
    assert found.users == expected.users
    assert not found.report.dropped.total()


def test_one_table_of_three_has_other_ids(tmp_path):
    "21 in one table and 21.0 in another, whichever it is."
    tables = {name: [] for name in ('plain', 'float')}
    for name, form in (('plain', write_csv), ('float', as_float_text)):
        for file, head, rows in (
            ('items', ITEM_HEAD, ITEMS),
            ('facts', FACT_HEAD, FACTS),
            ('ratings', RATING_HEAD, RATINGS),
        ):
            path = tmp_path / name / f'{file}.csv'
            path.parent.mkdir(exist_ok=True)
            tables[name].append(form(path, head, rows))
    (a, b, c), (x, y, z) = tables['plain'], tables['float']
    for mixed in ((a, b, z), (a, y, c), (x, b, c), (x, y, c)):
        found = read_tables(*mixed).catalogue
        assert (len(found.facts), len(found.likes)) == (180, 857 - 857 + len(found.likes))
        assert found.items[0].id == '1'
        assert len(found.likes) > 500


# Rows that cannot be read
RAGGED = '5,Silver, Mirror (1955),Drama|War'


@pytest.mark.parametrize('kind', ['csv', 'tsv'])
@pytest.mark.parametrize('with_quotes', [False, True])
def test_rows_with_too_many_cells(shop, capsys, kind, with_quotes):
    lines = (shop / 'items.csv').read_text().splitlines()
    lines[5] = RAGGED
    if with_quotes:
        lines[9] = lines[9].replace('Golden', 'The "Golden"')
    text = '\n'.join(lines) + '\n'
    if kind == 'tsv':
        text = text.replace(',', '\t')
    (shop / f'items.{kind}').write_text(text)
    ratings = [row for row in RATINGS if row[1] != 5]
    write_csv(shop / 'ratings.csv', RATING_HEAD, ratings)
    write_csv(shop / 'facts.csv', FACT_HEAD, [row for row in FACTS if row[0] != 5])
    assert build(items=f'items.{kind}') == 2
    assert f'items.{kind}, line 6: 4 fields, but the header names 3' in said(capsys)
    assert not (shop / 'shop').exists()
    assert build('--lenient', items=f'items.{kind}') == 0
    data = load_data('shop')
    assert len(data.catalogue) == 59 and sum(data.about['dropped'].values()) == 1


def test_quotes_that_are_letters(shop):
    titles = {3: 'The 6" Mirror', 7: '"Mirror" of Fate', 9: 'The 6" and the 7" Crown', 11: 'A ""B"'}
    lines = (shop / 'items.csv').read_text().splitlines()
    for k, title in titles.items():
        lines[k] = f'{k},{title} (1955),Drama|War'
    (shop / 'items.csv').write_text('\n'.join(lines) + '\n')
    assert build() == 0
    found = {item.id: item.title for item in load_data('shop').catalogue.items}
    assert {k: found[str(k)] for k in titles} == titles
    assert len(found) == 60


def test_a_quote_that_is_never_closed(shop, capsys):
    lines = (shop / 'items.csv').read_text().splitlines()
    lines[5] = '5,"Silver Mirror (1955),Drama|War'
    (shop / 'items.csv').write_text('\n'.join(lines) + '\n')
    rest = [row for row in RATINGS if row[1] != 5], [row for row in FACTS if row[0] != 5]
    write_csv(shop / 'ratings.csv', RATING_HEAD, rest[0])
    write_csv(shop / 'facts.csv', FACT_HEAD, rest[1])
    assert build() == 2
    assert 'items.csv, line 6: a quote is never closed' in said(capsys)
    assert build('--lenient') == 0
    assert len(load_data('shop').catalogue) == 59


def test_a_broken_line_of_json(shop, capsys):
    file = as_ndjson(shop / 'ratings', RATING_HEAD, RATINGS)
    lines = file.read_text().splitlines()
    lines[9] = lines[9][:-3]
    file.write_text('\n'.join(lines))
    assert build(interactions=file) == 2
    assert 'ratings.ndjson, line 10: is not JSON' in said(capsys)
    assert build('--lenient', interactions=file) == 0


def test_a_graph_with_an_item_outside_the_catalogue(shop, capsys):
    networkx = pytest.importorskip('networkx')
    graph = networkx.Graph()
    for id, title, _ in ITEMS:
        graph.add_edge(title, f'Dir {id % 7}', relation='Directed_by')
    graph.add_edge('Elsewhere (1900)', 'Dir 1', relation='Directed_by')
    networkx.write_gexf(graph, shop / 'graph.gexf')
    assert build(attributes='graph.gexf') == 2
    assert 'joins no item' in said(capsys)
    assert build('--lenient', attributes='graph.gexf') == 0
    about = load_data('shop').about
    assert about['counts']['facts'] == 60 and about['dropped']['graph.gexf'] == 1


@pytest.mark.parametrize('name', ['items.csv', 'items.tsv'])
def test_latin_letters(shop, capsys, name):
    text = (shop / 'items.csv').read_text().replace('Silver Bridge', 'Silver Brücke')
    if name.endswith('tsv'):
        text = text.replace(',', '\t')
    (shop / name).write_bytes(text.encode('latin-1'))
    assert build(items=name) == 2
    assert f'{name}, line 6: is not utf-8 -> save the file as UTF-8' in said(capsys)


@pytest.mark.parametrize(
    'file, problem',
    [
        ('items.xlsx', 'unknown kind of file'),
        ('nothing', 'is a folder without a table'),
        ('absent.csv', 'no such file'),
    ],
)
def test_files_that_are_no_tables(shop, capsys, file, problem):
    (shop / 'items.xlsx').write_bytes(b'PK\x03\x04')
    (shop / 'nothing').mkdir()
    assert build(items=file) == 2
    assert problem in said(capsys)


# Tables of one name, and tables of which nothing can be used
def test_tables_of_one_name(shop):
    paths = {}
    for role, file in (('items', 'items'), ('attributes', 'facts'), ('interactions', 'ratings')):
        (shop / role).mkdir()
        paths[role] = (shop / f'{file}.csv').rename(shop / role / 'data.csv')
    assert build(**paths) == 0
    about = load_data('shop').about
    assert about['counts']['facts'] == 180


@pytest.mark.parametrize('lenient', [(), ('--lenient',)])
@pytest.mark.parametrize('table', ['items', 'attributes', 'interactions', 'users'])
def test_all_rows_are_bad(shop, capsys, lenient, table):
    tables = dict(items='bad.csv', attributes='bad.csv', interactions='bad.csv', users='bad.csv')
    rows = dict(
        items=[(k, '') for k in range(5)],
        attributes=[(f'x{k}', 'by', 'Ann') for k in range(5)],
        interactions=[(f'u{k}', f'tt{k}', 5, 7) for k in range(5)],
        users=[(f'x{k}', '40') for k in range(5)],
    )
    heads = dict(
        items=ITEM_HEAD[:2],
        attributes=FACT_HEAD,
        interactions=RATING_HEAD,
        users=('userId', 'age'),
    )
    write_csv(shop / 'bad.csv', heads[table], rows[table])
    assert build(*lenient, **{table: tables[table]}) == 2
    text = said(capsys)
    assert 'bad.csv' in text and 'usable' in text or "'x0'" in text
    expected = dict(
        items="'' is empty (and 4 more)",
        attributes="'x0' is no item of the catalogue (and 4 more)",
        interactions="'tt0' is no item of the catalogue (and 4 more)",
        users="the ids it should have are like '1'",
    )
    assert expected[table] in text
    assert not (shop / 'shop').exists()


def test_headers_without_rows(shop, capsys):
    for name in ('items', 'ratings'):
        text = (shop / f'{name}.csv').read_text()
        (shop / f'{name}.csv').write_text(text.splitlines()[0] + '\n')
        assert build() == 2
        assert f'{name}.csv: holds no usable' in said(capsys)
        (shop / f'{name}.csv').write_text(text)


# Columns: what they are, and what the user says
def test_published_is_no_year(shop, capsys):
    head = ('ID', 'Type', 'SKU', 'Name', 'Published', 'Categories')
    rows = []
    for id, title, genres in ITEMS:
        title = title.split(' (')[0]
        rows.append((id, 'simple', f'sku-{id}', title, 1, genres.replace('|', ', ')))
    write_csv(shop / 'woo.csv', head, rows)
    ratings = [(u, i, r, t) for u, i, r, t in RATINGS]
    write_csv(shop / 'ratings.csv', ('customer_id', 'product_id', 'stars', 'date'), ratings)
    assert build(items='woo.csv', attributes=None) == 0
    data = load_data('shop')
    assert {item.year for item in data.catalogue.items} == {None}
    assert {relation for _, relation, _ in data.catalogue.facts} == {'Categories'}
    assert {value for _, _, value in data.catalogue.facts} == set(GENRES)
    assert "'Published' is not taken for a year" in said(capsys)


@pytest.mark.parametrize('values', [(1, 0, -1), ('true', 'false', 'true'), ('yes', '', 'no')])
def test_flags_are_no_years(tmp_path, values):
    rows = [(k, f'Thing {k}', values[k % 3]) for k in range(30)]
    file = write_csv(tmp_path / 'i.csv', ('id', 'title', 'published'), rows)
    assert {item.year for item in read_tables(file).catalogue.items} == {None}


def test_dates_are_years(tmp_path):
    dates = ['Oct 21, 2008', '2008-10-21', '10/21/2008', '21.10.2008', '2008.0', '21 Oct 2008']
    rows = [(k, f'Game {k}', dates[k % 6] if k < 24 else 'Coming soon') for k in range(26)]
    file = write_csv(tmp_path / 'i.csv', ('AppID', 'Name', 'Release date'), rows)
    tables = read_tables(file)
    assert [item.year for item in tables.catalogue.items] == [2008] * 24 + [None] * 2
    assert any("2 cells of 'Release date' hold no year" in note for note in tables.report.notes)


def test_a_guess_is_taken_back(shop):
    rows = [(i, title.split(' (')[0], 1900 + i, genres) for i, title, genres in ITEMS]
    write_csv(shop / 'items.csv', ('movieId', 'title', 'year', 'genres'), rows)
    assert build() == 0
    assert load_data('shop').catalogue.items[0].year == 1901
    for n, words in enumerate((['--column', 'year='], ['--column', 'items.year='])):
        assert build(*words, out=f'without-{n}') == 0
        assert {item.year for item in load_data(f'without-{n}').catalogue.items} == {None}


@pytest.mark.parametrize(
    'words, problem',
    [
        (
            ['--column', 'rating=stars_givn'],
            "no table has this column -> did you mean 'stars_given'",
        ),
        (['--column', 'interactions.rating=x'], 'no table has this column'),
        (['--column', 'title=nothere'], 'no table has this column'),
        (['--column', 'rating=genres'], 'no table has this column'),
        (['--column', 'users.user=userId'], 'there is no such table'),
        (['--column', 'stars=stars_given'], 'is no meaning of a column'),
        (['--fact', 'genre=list'], "no table has this column -> did you mean 'genres'"),
        (['--fact', 'genres=lists'], 'is no kind of facts'),
        (['--fact', 'genres'], 'is not COLUMN=KIND'),
        (['--item-facts', 'genre'], "has no column 'genre' -> did you mean 'genres'"),
    ],
)
def test_names_that_no_table_has(shop, capsys, words, problem):
    write_csv(shop / 'ratings.csv', ('userId', 'movieId', 'stars_given', 'timestamp'), RATINGS)
    assert build(*words) == 2
    assert problem in said(capsys)
    assert not (shop / 'shop').exists()


def test_a_limit_without_ratings(shop, capsys):
    rows = [(u, i) for u, i, *_ in RATINGS]
    write_csv(shop / 'ratings.csv', RATING_HEAD[:2], rows)
    assert build('--liked', '3') == 2
    assert 'has no ratings, so --liked means nothing' in said(capsys)
    assert build() == 0


def test_one_rating_out_of_range(shop, capsys):
    rows = [*RATINGS]
    rows[0] = (*rows[0][:2], 50, rows[0][3])
    write_csv(shop / 'ratings.csv', RATING_HEAD, rows)
    assert build() == 0
    text = said(capsys)
    assert '1 of 1,120 ratings reach 40' in text and '--liked' in text
    n_likes = load_data('shop').about['counts']['likes']
    assert n_likes == sum(rating >= 4 for _, _, rating, _ in rows)
    assert build('--liked', '60', out='none') == 2
    assert '0 of 1,120 ratings reach 60 -> choose --liked; the highest is 50' in said(capsys)


def test_play_counts(shop, capsys):
    rng = random.Random(3)
    rows = [(u, i, int(rng.paretovariate(0.7)), t) for u, i, _, t in RATINGS]
    write_csv(shop / 'plays.csv', ('user', 'movieId', 'score', 'time'), rows)
    assert build(interactions='plays.csv') == 0
    counts = load_data('shop').about['counts']
    assert counts['likes'] >= 0.5 * len(rows)
    assert 'the upper half are likes' in said(capsys)


def test_decimal_commas(shop):
    rows = [(u, i, f'{r},5'.replace('5,5', '5,0'), t) for u, i, r, t in RATINGS]
    write_csv(shop / 'ratings.csv', RATING_HEAD, rows, delimiter=';')
    assert build() == 0
    n = sum(r >= 4 for _, _, r, _ in RATINGS)
    assert load_data('shop').about['counts']['likes'] == n


@pytest.mark.parametrize('name', ['ratings.tsv', 'u.csv'])
def test_tables_without_names(shop, capsys, name):
    text = '\n'.join('\t'.join(map(str, row)) for row in RATINGS)
    (shop / name).write_text(text)
    assert build(interactions=name) == 2
    assert 'begins without names of columns: 1, ' in said(capsys)


# Facts
def test_placeholders_are_no_values(shop, capsys):
    nothing = ['(no genres listed)', 'nan', r'\N', 'N/A', 'NULL', 'None', '-', 'unknown', '']
    rows = [[i, t, nothing[i % 9] if i % 4 == 0 else g] for i, t, g in ITEMS]
    write_csv(shop / 'items.csv', ITEM_HEAD, rows)
    write_csv(shop / 'facts.csv', FACT_HEAD, [*FACTS, (1, 'Starring', 'N/A'), (2, 'by', r'\N')])
    for words, tables in (((), dict(attributes=None)), (('--item-facts', 'genres'), {})):
        assert build(*words, out=f'x{len(words)}', **tables) == 0
        values = {value for _, _, value in load_data(f'x{len(words)}').catalogue.facts}
        assert not values & set(nothing)
        text = said(capsys)
        assert "13 cells of 'genres' hold no value" in text
    assert "2 cells of 'value' hold no value: 'N/A', " in text
    notes = json.loads((shop / 'x2' / 'tables' / 'report.json').read_text())['notes']
    assert sum('hold no value' in note for note in notes) == 2


def test_a_placeholder_may_be_a_title(tmp_path):
    rows = [(1, 'Unknown'), (2, 'None'), (3, 'N/A'), (4, 'Nan')]
    file = write_csv(tmp_path / 'i.csv', ('id', 'title'), rows)
    assert [item.title for item in read_tables(file).catalogue.items] == [t for _, t in rows]


def amazon(k):
    return dict(
        parent_asin=f'B{k:03}',
        title=f'Film {k}',
        main_category='Movies & TV',
        categories=[['Movies & TV', GENRES[k % 6]], ['Movies & TV']],
        details={
            'Director': f'Dir {k % 5}',
            'Language': [None, 'English'][k % 2],
            'Rank': {'a': k},
        },
        images=[{'thumb': f'https://m.media/{k}.jpg', 'large': f'https://m.media/{k}L.jpg'}],
        price=[None, f'${k},299.00', '$9.99'][k % 3],
        features=['Discs: two of them, in a box with a book of photographs'],
        also_buy=[f'B{(k + 1) % 40:03}'],
        description=['A long description of a film which is about two people. ' * 3],
    )


def test_nested_lists_and_objects(tmp_path):
    file = tmp_path / 'meta.jsonl'
    file.write_text('\n'.join(json.dumps(amazon(k)) for k in range(40)))
    old = tmp_path / 'old.json.gz'
    old.write_bytes(gzip.compress('\n'.join(repr(amazon(k)) for k in range(40)).encode()))
    typed = tmp_path / 'typed.parquet'
    rows = [amazon(k) | dict(details=dict(Director=f'Dir {k % 5}')) for k in range(40)]
    pl.DataFrame(rows).write_parquet(typed)
    for path in (file, old, typed):
        facts = facts_of(read_tables(path))
        assert ('B001', 'categories', GENRES[1]) in facts
        assert ('B001', 'Director', 'Dir 1') in facts
        assert ('B001', 'price', '$1299') in facts
        assert not any(set('[]{}') & set(value) or 'None' in value for *_, value in facts)
        relations = {relation for _, relation, _ in facts}
        assert {'categories', 'price', 'Director'} <= relations
        assert relations <= {'categories', 'price', 'Director', 'Language', 'also_buy'}
    chosen = read_tables(file, item_facts=['categories', 'details'])
    assert relations_of(chosen) == {'categories', 'Director', 'Language'}


def test_lists_of_objects_in_csv(tmp_path):
    rows = []
    for k in range(30):
        genres = [dict(id=28, name=GENRES[k % 6]), dict(id=9, name=GENRES[(k + 1) % 6])]
        votes = {GENRES[k % 6]: 100 + k, GENRES[(k + 2) % 6]: k}
        rows.append((k, f'Film {k}', repr(genres), repr(votes), "['a', 'b']", '[]'))
    head = ('id', 'title', 'genres', 'tags', 'labels', 'cast')
    facts = facts_of(read_tables(write_csv(tmp_path / 'tmdb.csv', head, rows)))
    expected = {('1', 'genres', GENRES[1]), ('1', 'genres', GENRES[2])}
    expected |= {('1', 'tags', GENRES[1]), ('1', 'tags', GENRES[3])}
    assert {fact for fact in facts if fact[0] == '1'} == expected


def test_tags_of_people(shop, capsys):
    rows = [(u, i, ['funny', 'dark', 'slow'][(u + i) % 3], t) for u, i, _, t in RATINGS]
    write_csv(shop / 'tags.csv', ('userId', 'movieId', 'tag', 'timestamp'), rows)
    for n, words in enumerate(([], ['--column', 'attributes.value=tag'])):
        assert build(*words, attributes='tags.csv', out=f'x{n}') == 0
        facts = load_data(f'x{n}').catalogue.facts
        assert {relation for _, relation, _ in facts} == {'tag'}
        assert {value for *_, value in facts} == {'funny', 'dark', 'slow'}
    assert 'userId' in said(capsys)


def wide_rows(n=60):
    rng = random.Random(2)
    rows = []
    for k in range(n):
        rows.append(
            dict(
                game_id=f'g{k}',
                name=f'{ADJECTIVES[k % 12]} {NOUNS[k // 12]}',
                year_published=1990 + k % 30,
                genres=', '.join(rng.sample(['War', 'Farming', 'Trains', 'Dice', 'Cards'], 2)),
                mechanics='; '.join(rng.sample(['Drafting', 'Auction', 'Trading', 'Bluff'], 2)),
                designer=f'{NOUNS[k % 5]}, {ADJECTIVES[k % 7]} A.',
                publisher=['Hasbro, Inc.', 'Kosmos', 'Asmodee'][k % 3],
                price=f'{10 + k % 9},99 €',
                players=['2-4 players', '2 – 4 players', '1-5 players', '2 players'][k % 4],
                playing_time=f'{rng.choice((30, 60, 90))} min',
                min_age=f'{rng.choice((8, 10, 12))}+',
                cooperative=rng.choice(['yes', 'no']),
                weight=f'{rng.random() * 4 + 1:.2f}'.replace('.', ','),
                barcode=f'40063813{k:05}',
                image=f'https://cdn.example.org/g{k}.jpg',
                url=f'https://example.org/games/{k}',
                contact=f'info{k}@example.org',
                added=f'2024-03-{1 + k % 28:02}',
                currency='EUR',
                description='<p>A game of ' + ' '.join(rng.sample(GENRES * 5, 25)) + '</p>',
                tagline=f'{NOUNS[k % 5]} number {k} of the {ADJECTIVES[k % 12].lower()} line',
            )
        )
    return rows


KINDS = dict(
    genres='list',
    mechanics='list',
    designer='value',
    publisher='value',
    price='number',
    players='range',
    playing_time='number',
    min_age='number',
    cooperative='yes',
    weight='number',
)


@pytest.fixture
def games(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = wide_rows()
    write_csv(tmp_path / 'games.csv', rows[0], [row.values() for row in rows], delimiter=';')
    plays = [(f'u{u}', f'g{i - 1}', r) for u, i, r, _ in RATINGS]
    write_csv(tmp_path / 'plays.csv', ('user', 'game_id', 'rating'), plays)
    return tmp_path


def test_a_wide_table_of_a_shop(games, capsys):
    tables = dict(items='games.csv', attributes=None, interactions='plays.csv')
    assert build(**tables) == 0
    data = load_data('shop')
    assert data.catalogue.items[3].year == 1993
    facts = {(relation, value) for i, relation, value in data.catalogue.facts if i == 0}
    row = wide_rows()[0]
    assert {value for r, value in facts if r == 'genres'} == set(row['genres'].split(', '))
    assert {value for r, value in facts if r == 'mechanics'} == set(row['mechanics'].split('; '))
    assert ('price', '10.99 €') in facts and ('players', '2-4 players') in facts
    assert ('designer', 'River, Silver A.') in facts and ('publisher', 'Hasbro, Inc.') in facts
    assert ('weight', row['weight'].replace(',', '.').rstrip('0')) in facts
    assert {relation for _, relation, _ in data.catalogue.facts} == set(KINDS)
    shown = {
        line.split()[0]: line.split()[1] for line in said(capsys).splitlines() if line[:2] == '  '
    }
    assert {name: shown[name] for name in KINDS} == KINDS
    left_out = set(row) - set(KINDS) - {'game_id', 'name', 'year_published'}
    assert {shown[name] for name in left_out} == {'no'}


def test_one_flag_changes_a_guess(games):
    tables = dict(items='games.csv', attributes=None, interactions='plays.csv')
    flags = ['--fact', 'price=no', '--fact', 'genres=value', '--fact', 'currency=value']
    assert build(*flags, **tables) == 0
    data = load_data('shop')
    relations = {relation for _, relation, _ in data.catalogue.facts}
    assert relations == set(KINDS) - {'price'} | {'currency'}
    genres = {value for _, relation, value in data.catalogue.facts if relation == 'genres'}
    assert all(', ' in value for value in genres)


def test_columns_beside_a_table_of_facts(shop, capsys):
    assert build() == 0
    assert load_data('shop').about['counts']['facts'] == 180
    assert 'items.csv: not used, unless --item-facts names them: genres' in said(capsys)
    assert build('--fact', 'genres=list', out='more') == 0
    assert load_data('more').about['counts']['facts'] > 180


def test_no_facts_at_all(shop, capsys):
    write_csv(shop / 'items.csv', ITEM_HEAD[:2], [row[:2] for row in ITEMS])
    assert build(attributes=None) == 0
    assert 'no facts: name columns with --item-facts, or a table of --attributes' in said(capsys)


def test_a_shopify_export(tmp_path):
    head = (
        'Handle',
        'Title',
        'Body (HTML)',
        'Vendor',
        'Product Category',
        'Type',
        'Tags',
        'Published',
        'Option1 Name',
        'Option1 Value',
        'Variant SKU',
        'Variant Grams',
        'Variant Inventory Qty',
        'Variant Price',
        'Variant Barcode',
        'Image Src',
        'Gift Card',
        'SEO Title',
        'Status',
    )
    rows = []
    for k in range(30):
        first = [
            f'shirt-{k}',
            f'Shirt &amp; Tie {k}',
            '<p>Nice</p>',
            ['Ann', 'Bob', 'Cy'][k % 3],
            'Apparel &amp; Accessories > Clothing',
            ['Shirt', 'Tie'][k % 2],
            'cotton, summer' if k % 2 else 'wool, winter',
            'true',
            'Size',
            'S',
            f'SKU{k}S',
            '200',
            '5',
            '19.99',
            '',
            f'https://cdn.shopify.com/{k}.jpg',
            'false',
            '',
            'active',
        ]
        more = (
            [f'shirt-{k}']
            + [''] * 7
            + ['', 'LM'[k % 2], f'SKU{k}M', '200', '9', '21.99', '', '', '', '', '']
        )
        rows += [first, more]
    tables = read_tables(write_csv(tmp_path / 'products.csv', head, rows))
    assert [item.title for item in tables.catalogue.items[:2]] == ['Shirt & Tie 0', 'Shirt & Tie 1']
    assert len(tables.catalogue) == 30 and not tables.report.dropped.total()
    facts = facts_of(tables)
    expected = {('Vendor', 'Bob'), ('Type', 'Tie'), ('Tags', 'cotton'), ('Tags', 'summer')}
    expected |= {('Size', 'S'), ('Size', 'M')}
    found = {(r, v) for id, r, v in facts if id == 'shirt-1'}
    assert expected <= found
    assert {r for r, _ in found - expected} <= {'Variant Price', 'Variant Grams'}


def test_a_woocommerce_export(tmp_path):
    head = (
        'ID',
        'Type',
        'SKU',
        'Name',
        'Published',
        'Is featured?',
        'Visibility in catalog',
        'Description',
        'Tax status',
        'In stock?',
        'Regular price',
        'Categories',
        'Tags',
        'Images',
        'Attribute 1 name',
        'Attribute 1 value(s)',
        'Attribute 1 visible',
        'Attribute 1 global',
    )
    rows = []
    for k in range(30):
        paths = ['Games > Cards', 'Games > Dice', 'Toys'][k % 3]
        rows.append(
            [
                100 + k,
                'simple',
                f'S{k}',
                f'Thing {k}',
                [1, 0, -1][k % 3],
                0,
                'visible',
                'Words about it, many of them, so that nobody would ask for all of them at once.',
                'taxable',
                1,
                f'{k},50',
                f'{paths}, Games' if k % 2 else paths,
                ['old, new', 'old', 'new'][k % 3],
                f'https://x.org/{k}.png',
                'Color',
                ['Red, Blue', 'Red', 'Blue'][k % 3],
                1,
                1,
            ]
        )
    tables = read_tables(write_csv(tmp_path / 'woo.csv', head, rows))
    found = {(r, v) for id, r, v in facts_of(tables) if id == '103'}
    expected = {('Categories', 'Games'), ('Categories', 'Cards'), ('Tags', 'old'), ('Tags', 'new')}
    expected |= {('Color', 'Red'), ('Color', 'Blue'), ('Regular price', '3.5')}
    assert found == expected
    assert {item.year for item in tables.catalogue.items} == {None}


def test_a_magento_export(tmp_path):
    head = (
        'sku',
        'product_type',
        'categories',
        'name',
        'price',
        'additional_attributes',
        'visibility',
    )
    rows = []
    for k in range(30):
        path = ['Gear/Bags', 'Gear/Watches', 'Training/Video'][k % 3]
        categories = f'Default Category/{path},Default Category/Gear'
        pairs = f'color={["Red", "Blue"][k % 2]},material={["Nylon", "Wool", "Silk"][k % 3]}'
        rows.append(
            (
                f'24-MB{k:02}',
                'simple',
                categories,
                f'Bag {k}',
                '34.000000',
                pairs,
                'Catalog, Search',
            )
        )
    found = {
        (r, v)
        for id, r, v in facts_of(read_tables(write_csv(tmp_path / 'm.csv', head, rows)))
        if id == '24-MB01'
    }
    assert {('color', 'Blue'), ('material', 'Wool'), ('categories', 'Watches')} <= found
    assert not {r for r, _ in found} - {'color', 'material', 'categories', 'price'}


def write_dicts(path, rows, **form):
    return write_csv(path, rows[0], [row.values() for row in rows], **form)


def test_steam(tmp_path):
    rng = random.Random(4)
    rows = []
    tags = ['Story Rich', 'Pixel Graphics', 'Co-op', 'Horror', 'Puzzle', 'Funny']
    genres = ['Action', 'Indie', 'RPG', 'Casual', 'Racing']
    for k in range(60):
        row = {'AppID': 20000 + 7 * k, 'Name': f'{ADJECTIVES[k % 12]} {NOUNS[k // 12]}'}
        row['Release date'] = f'Oct {1 + k % 28}, 20{10 + k % 10}'
        row['Estimated owners'] = ['20000 - 50000', '0 - 20000'][k % 2]
        row |= {'Price': f'{k % 7}.99', 'DLC count': k % 3, 'About the game': 'A game ' * 30}
        row['Supported languages'] = "['English', 'French']" if k % 3 else "['English']"
        row |= {'Header image': f'https://steam/{k}.jpg', 'Windows': 'True', 'Mac': k % 4 == 0}
        row |= {'Metacritic score': k % 90, 'Developers': f'Studio {k % 9}'}
        row |= {'Genres': ','.join(rng.sample(genres, 2)), 'Tags': ','.join(rng.sample(tags, 3))}
        rows.append(row)
    tables = read_tables(write_dicts(tmp_path / 'games.csv', rows))
    assert tables.catalogue.items[5].year == 2015
    found = {(r, v) for id, r, v in facts_of(tables) if id == '20028'}
    assert {('Estimated owners', '20000-50000'), ('Price', '4.99'), ('Mac', 'yes')} <= found
    assert {v for r, v in found if r == 'Tags'} == set(rows[4]['Tags'].split(','))
    assert {v for r, v in found if r == 'Supported languages'} == {'English', 'French'}
    assert not {'About the game', 'Header image', 'Windows'} & relations_of(tables)


def test_goodreads(tmp_path):
    rows = []
    for k in range(60):
        authors = [f'J.K. Rowling/Mary Drawer {k % 4}', 'Stephen King', 'J.K. Rowling'][k % 3]
        row = dict(bookID=k, title=f'Book {k} (Series  #{k})', authors=authors)
        row |= dict(average_rating=f'{3 + k % 20 / 10:.2f}', isbn=f'04396554{k:02}')
        row |= dict(isbn13=f'97804396554{k:02}', language_code=['eng', 'en-US'][k % 2])
        row |= {'  num_pages': 300 + 7 * k % 90, 'ratings_count': 1000 * k}
        row |= dict(publication_date=f'9/{1 + k % 28}/2006')
        row |= dict(publisher=['Scholastic Inc.', 'Penguin'][k % 2])
        rows.append(row)
    tables = read_tables(write_dicts(tmp_path / 'books.csv', rows))
    assert {item.year for item in tables.catalogue.items} == {2006}
    found = {(r, v) for id, r, v in facts_of(tables) if id == '6'}
    authors = {('authors', 'J.K. Rowling'), ('authors', 'Mary Drawer 2')}
    others = {('num_pages', '342'), ('language_code', 'eng'), ('publisher', 'Scholastic Inc.')}
    assert authors | others <= found
    assert not {'isbn', 'isbn13'} & relations_of(tables)


# MovieLens, all versions
def latin(path, text):
    path.write_bytes(text.encode('latin-1'))
    return path


def test_movielens_100k(tmp_path):
    items, people, ratings = [], [], []
    for k, (id, title, _) in enumerate(ITEMS):
        flags = ['0'] * 19
        flags[1 + k % 5] = flags[8] = '1'
        name = title.replace('River', 'Rivière')
        items.append(f'{id}|{name}|01-Jan-19{40 + k}||http://us.imdb.com/{k}|' + '|'.join(flags))
    for u in range(1, 81):
        people.append(f'{u}|{20 + u % 50}|{"FM"[u % 2]}|{["writer", "other"][u % 2]}|{90000 + u}')
    ratings = ['\t'.join(map(str, row)) for row in RATINGS]
    files = [latin(tmp_path / n, '\n'.join(lines) + '\n') for n, lines in
             (('u.item', items), ('u.data', ratings), ('u.user', people))]  # fmt: skip
    tables = read_tables(files[0], None, files[1], files[2])
    assert tables.catalogue.items[0].title == 'Silver Rivière'
    assert tables.catalogue.items[0].year == 1940
    assert {('1', 'genres', 'Action'), ('1', 'genres', 'Drama')} <= facts_of(tables)
    assert len(tables.catalogue.likes) == sum(r >= 4 for *_, r, _ in RATINGS)
    assert set(tables.profiles) == {'age', 'gender', 'occupation'}
    assert set(tables.profiles['gender']) == {'female', 'male'}


def movielens_1m(folder):
    rows = dict(
        movies=[f'{i}::{t.replace("River", "Rivière")}::{g}' for i, t, g in ITEMS],
        ratings=['::'.join(map(str, row)) for row in RATINGS],
        users=[],
    )
    ages = (1, 18, 25, 35, 45, 50, 56)
    for u in range(1, 81):
        rows['users'].append(f'{u}::{"FM"[u % 2]}::{ages[u % 7]}::{u % 21}::{u:05}')
    return {n: latin(folder / f'{n}.dat', '\n'.join(lines) + '\n') for n, lines in rows.items()}


def test_movielens_1m(tmp_path):
    files = movielens_1m(tmp_path)
    tables = read_tables(files['movies'], None, files['ratings'], files['users'])
    assert tables.catalogue.items[0].title == 'Silver Rivière'
    assert ('1', 'genres', ITEMS[0][2].split('|')[0]) in facts_of(tables)
    assert len(tables.catalogue.likes) == sum(r >= 4 for *_, r, _ in RATINGS)
    profile = {name: values[tables.users.index('7')] for name, values in tables.profiles.items()}
    assert profile == dict(gender='male', age='under 18', occupation='homemaker') | profile
    assert set(profile) == {'gender', 'age', 'occupation'}
    assert profile['age'] == 'under 18'


def test_users_with_codes_in_csv(shop, capsys):
    ages = (1, 18, 25, 35, 45, 50, 56)
    rows = [(u, 'FM'[u % 2], ages[u % 7], u % 21, f'{u:05}') for u in range(1, 81)]
    write_csv(shop / 'users.csv', ('UserID', 'Gender', 'Age', 'Occupation', 'Zip-code'), rows)
    assert build(users='users.csv') == 0
    data = load_data('shop')
    assert set(data.profiles) == {'Gender', 'Age', 'Occupation'}
    texts = [q.text for part in data.parts.values() for q in part if q.kind == 'demographics']
    assert texts
    assert not any(' am M' in t or ' am F' in t or 'am 1 ' in t or 'Zip' in t for t in texts)
    floats = [(f'{u}.0', *rest) for u, *rest in rows]
    write_csv(shop / 'users.csv', ('UserID', 'Gender', 'Age', 'Occupation', 'Zip-code'), floats)
    assert build(users='users.csv', out='floats') == 0
    assert load_data('floats').profiles == data.profiles
    others = [(f'm{u}', *rest) for u, *rest in rows]
    write_csv(shop / 'users.csv', ('UserID', 'Gender', 'Age', 'Occupation', 'Zip-code'), others)
    capsys.readouterr()
    assert build(users='users.csv', out='nobody') == 2
    assert 'users.csv: holds no usable user' in said(capsys)


def test_movielens_25m(tmp_path):
    movies = write_csv(
        tmp_path / 'movies.csv', ITEM_HEAD, [*ITEMS, (99, 'None', '(no genres listed)')]
    )
    ratings = write_csv(
        tmp_path / 'ratings.csv', RATING_HEAD, [(u, i, r + 0.5, t) for u, i, r, t in RATINGS]
    )
    tables = read_tables(movies, None, ratings)
    assert {v for _, r, v in facts_of(tables)} == set(GENRES)


def test_book_crossing(tmp_path):
    "Semicolons, everything quoted, backslashes before quotes, zero for not rated."
    books = '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S"\n'
    for k in range(40):
        title = 'The \\"Quoted\\" Book; or, More' if k == 3 else f'Book {k}; a novel'
        books += f'"{k:010}";"{title}";"Author {k % 7}";"{1990 + k % 10}";"Pub {k % 3}";"http://x/{k}.jpg"\n'
    (tmp_path / 'BX-Books.csv').write_text(books)
    rng = random.Random(5)
    lines = ['"User-ID";"ISBN";"Book-Rating"']
    for u in range(50):
        for k in rng.sample(range(40), 10):
            lines.append(f'"{u}";"{k:010}";"{rng.choice((0, 0, 5, 8, 10))}"')
    (tmp_path / 'BX-Book-Ratings.csv').write_text('\n'.join(lines) + '\n')
    tables = read_tables(tmp_path / 'BX-Books.csv', None, tmp_path / 'BX-Book-Ratings.csv')
    assert tables.catalogue.items[3].title == 'The "Quoted" Book; or, More'
    assert tables.catalogue.items[3].year == 1993
    assert relations_of(tables) == {'Book-Author', 'Publisher'}
    assert 0.3 < len(tables.catalogue.likes) / 500 < 0.5


def test_amazon_reviews(tmp_path):
    "Two columns that look like an item, of which only one holds ids of products."
    products = '\n'.join(json.dumps(amazon(k)) for k in range(40))
    (tmp_path / 'meta.jsonl').write_text(products)
    rng = random.Random(6)
    lines = []
    for u in range(50):
        for k in rng.sample(range(40), 8):
            row = dict(rating=float(rng.choice((1, 4, 5))), asin=f'C{u}{k}', parent_asin=f'B{k:03}',
                       user_id=f'A{u}', timestamp=1588687728923 + u)  # fmt: skip
            lines.append(json.dumps(row))
    (tmp_path / 'reviews.jsonl').write_text('\n'.join(lines))
    tables = read_tables(tmp_path / 'meta.jsonl', None, tmp_path / 'reviews.jsonl')
    assert tables.report.columns['reviews.jsonl']['item'] == 'parent_asin'
    assert len(tables.catalogue.likes) > 200


# Builds
def test_a_build_that_fails_claims_nothing(shop, capsys):
    few = [row for row in RATINGS if row[0] < 3]
    write_csv(shop / 'few.csv', RATING_HEAD, few)
    assert build(interactions='few.csv') == 2
    assert not (shop / 'shop').exists()
    assert build('--candidates', '50') == 2
    text = said(capsys)
    assert 'with --candidates' in text
    assert not (shop / 'shop').exists()
    assert build() == 0
    assert build('--seed', '1') == 2
    assert 'was built with other settings' in said(capsys)
    assert load_data('shop').about['settings']['seed'] == 0


def test_a_folder_that_was_there_keeps_what_it_held(shop):
    (shop / 'shop').mkdir()
    (shop / 'shop' / 'notes.txt').write_text('mine')
    assert build('--candidates', '50') == 2
    assert [p.name for p in (shop / 'shop').iterdir() if p.name[0] != '.'] == ['notes.txt']


def test_defaults_build_a_small_catalogue(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = wide_rows(30)
    write_csv(tmp_path / 'games.csv', rows[0], [row.values() for row in rows], delimiter=';')
    rng = random.Random(7)
    plays = [(f'u{u}', f'g{k}') for u in range(40) for k in rng.sample(range(30), 9)]
    write_csv(tmp_path / 'plays.csv', ('user', 'game_id'), plays)
    words = ['data', 'build', '--items', 'games.csv', '--interactions', 'plays.csv', '--out', 'x']
    assert main([*words, '--queries', '300']) == 0
    data = load_data('x')
    n = data.about['settings']['n_candidates']
    assert 5 <= n < 20
    sizes = {len(query.candidates) for part in data.parts.values() for query in part}
    assert sizes == {n}


HOLD = """
import sys, time
from rerec.shop.claims import one_process
with one_process(sys.argv[1]):
    print('in', flush=True)
    time.sleep(600)
"""


def test_two_builds_in_one_folder(shop, capsys):
    "The second names the first; a killed one holds nothing."
    command = [sys.executable, '-c', HOLD, str(shop / 'shop')]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == 'in\n'
        assert build() == 2
        text = said(capsys)
        assert f'process {other.pid} on ' in text
    finally:
        other.kill()
        other.wait()
    assert build() == 0


def test_the_same_call_in_python(shop):
    "Build takes kinds and columns as the command does."
    made = build_data(
        Build(
            'items.csv',
            interactions='ratings.csv',
            out='x',
            columns={'year': ''},
            kinds=dict(genres='value'),
            n_queries=60,
            epochs=2,
        ),
        log=lambda line: None,
    )
    assert {relation for _, relation, _ in made.catalogue.facts} == {'genres'}
    with pytest.raises(DataError, match='no kind of facts'):
        build_data(Build('items.csv', interactions='ratings.csv', out='y', kinds=dict(genres='x')))
    assert not Path('y').exists()


# Real tables
DATA = os.environ.get('REREC_DATA', '')
needs_data = pytest.mark.skipif(not DATA, reason='set REREC_DATA to the folder of the real data')


@needs_data
def test_films_without_a_genre():
    tables = read_tables(
        f'{DATA}/movie/items_mllatestsmall.csv.gz',
        None,
        f'{DATA}/movie/interactions_mllatestsmall.csv.gz',
    )
    values = {value for *_, value in tables.catalogue.facts}
    assert '(no genres listed)' not in values and len(values) == 19
    assert any("34 cells of 'genres' hold no value" in note for note in tables.report.notes)


@needs_data
def test_columns_of_ten_thousand_books():
    tables = read_tables(f'{DATA}/book/goodbooks_items.csv.gz')
    found = {(r, v) for id, r, v in facts_of(tables) if id == '2'}
    assert {('authors', 'J.K. Rowling'), ('authors', 'Mary GrandPré')} <= found
    assert {('language_code', 'eng'), ('average_rating', '4.44')} <= found
    assert 'original_title' not in relations_of(tables)
    years = {item.id: item.year for item in tables.catalogue.items}
    assert years['2'] == 1997 and min(y for y in years.values() if y) > 0
