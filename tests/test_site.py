"""The README and the site are what the notebooks make, every page is listed, and no link leads
nowhere."""

import json
import re
import sys
from pathlib import Path

import docs
import pytest
from conftest import notebooks

root = Path(__file__).resolve().parent.parent
names = {p: p.relative_to(root / 'nbs').as_posix() for p in notebooks}
bar = docs.quarto()['website']['sidebar']['contents']  # in reading order
order = [
    page for entry in bar for page in ([entry] if isinstance(entry, str) else entry['contents'])
]


def headline(notebook):
    "(title, sentence) that a notebook begins with"
    text = next(
        ''.join(c['source'])
        for c in json.loads(notebook.read_text(encoding='utf-8'))['cells']
        if c['cell_type'] == 'markdown'
    )
    return re.match(r'# (.+)\n\n> (.+)', text).groups()


def test_quarto_yml_is_one_file():
    assert (root / 'nbs/_quarto.yml').read_bytes() == (root / '_quarto.yml').read_bytes()


def test_sidebar_lists_each_page_once():
    assert sorted(order) == sorted(names.values()), 'the sidebar of _quarto.yml lacks a page'
    assert order[0] == 'index.ipynb'


def test_home_page_lists_each_page():
    "One row for each section of the sidebar, with its pages in that order."
    text = '\n'.join(docs.source(c) for c in docs.cells(root / 'nbs/index.ipynb'))
    rows = [l for l in text.splitlines() if l.startswith('|')]
    listed = re.findall(r'\[([^\]]+)\]\((\w+/\d\d_\w+\.ipynb)\)', '\n'.join(rows))
    expected = [(headline(root / 'nbs' / n)[0], n) for n in order[1:]]
    assert listed == expected, 'index.ipynb needs these links:\n' + '\n'.join(map(str, expected))


def test_pages_link_to_pages(notebook):
    """Every link between notebooks names one that exists; sooner found here than in the rendered
    site."""
    links = re.findall(
        r'\]\(([^)\s]*?\.ipynb)(?:#[^)]*)?\)',
        '\n'.join(docs.source(c) for c in docs.cells(notebook)),
    )
    assert not [
        l for l in links if not re.match('https?:', l) and not (notebook.parent / l).exists()
    ]


def test_readme_is_short():
    assert (
        len((root / 'README.md').read_text(encoding='utf-8').splitlines()) < 180
    )  # a line for each page among them


SEARCHED = {
    'install': 'index.html',
    'CUDA': 'index.html',
    'zero variance': 'method/advantages.html',
    'how to change the reward': 'start/change.html',
}


def pages_with(entries, words):
    "Find the pages that have a section with all of the words, as the search box does."
    found = set()
    for entry in entries:
        text = ' '.join(str(entry.get(key, '')) for key in ('title', 'section', 'text'))
        text = text.lower().replace('-', ' ')
        if all(word in text for word in words.lower().split()):
            found.add(entry['href'].partition('#')[0])
    return found


def test_the_search_needs_all_words():
    entries = [dict(href='a.html#x', title='Zero-variance groups', section='', text='are left out')]
    assert pages_with(entries, 'zero variance') == {'a.html'}
    assert pages_with(entries, 'zero mean') == set()


def test_readme_and_site(copy, run):
    "README.md is what index.ipynb makes; the site renders and has no broken link"
    code, said = run(sys.executable, 'tools/docs.py', 'all', '--check', cwd=copy)
    assert code == 0, said
    pages = {p.relative_to(copy / '_docs').as_posix() for p in (copy / '_docs').rglob('*.html')}
    assert pages == {re.sub(r'\d\d_', '', n).replace('.ipynb', '.html') for n in order}
    bare = {
        n: re.sub(
            r'(?s)<pre.*?</pre>|<script.*?</script>|<code>.*?</code>',
            ' ',
            (copy / '_docs' / n).read_text(encoding='utf-8'),
        )
        for n in pages
    }
    assert not [n for n, text in bare.items() if re.search(r'\]\([\w./]+\)', text)], (
        'a link inside a link: a page shows its Markdown'
    )
    assert 'class="navbar' in (copy / '_docs/index.html').read_text(encoding='utf-8')
    entries = json.loads((copy / '_docs/search.json').read_text(encoding='utf-8'))
    assert len(entries) > 100, 'the search knows too little'
    for words, page in SEARCHED.items():
        assert page in pages_with(entries, words), f'{words!r} does not find {page}'


GOOD = dict(
    page='<h2 id="a b">x</h2><a href="other.html#here">y</a><a href="#a%20b">z</a><a href="https://example.org/#no">w</a>',
    other='<p id="here"><a class="k" href="page.html">v</a>',
)


@pytest.mark.parametrize(
    'bad,found',
    [
        ('<a href="gone.html">', 'gone.html'),
        ('<a class="k" href="other.html#there">', 'other.html#there'),
        ('<a href="#there">', '#there'),
        ('<img src="plot.png">', 'plot.png'),
        ('<script defer src="site_libs/x.js">', 'site_libs/x.js'),
        ('<link rel="stylesheet" href="x.css">', 'x.css'),
    ],
)
def test_the_link_check_finds(tmp_path, bad, found):
    for name, text in GOOD.items():
        (tmp_path / f'{name}.html').write_text(text)
    (tmp_path / 'search.json').write_text(json.dumps([dict(href='other.html#here')]))
    assert docs.broken(tmp_path) == []
    (tmp_path / 'page.html').write_text(GOOD['page'] + bad)
    assert docs.broken(tmp_path) == [f'page.html: {found}']


def test_the_link_check_reads_the_search(tmp_path):
    (tmp_path / 'search.json').write_text(json.dumps([dict(href='other.html#there')]))
    (tmp_path / 'other.html').write_text(GOOD['other'].replace('page', 'other'))
    assert docs.broken(tmp_path) == ['search.json: other.html#there']


@pytest.mark.parametrize(
    'text,why',
    [
        ('$$x$$ {#eq-x}', 'label'),
        ('see @fig-one', 'cross-reference'),
        ('[@huang]', 'citation'),
        (r'\(x\)', 'maths'),
        ('RESULTS', 'filled'),
    ],
)
def test_the_lint_finds(tmp_path, monkeypatch, text, why):
    (tmp_path / '00_x.ipynb').write_text(
        json.dumps(
            dict(
                cells=[dict(cell_type='markdown', source=['Fine, `@fig-x` and $x$.\n', '\n', text])]
            )
        )
    )
    monkeypatch.setattr(docs, 'nbs', tmp_path)
    assert len(docs.lint()) == 1 and why in docs.lint()[0]
