"Layout, names and sentences of the pages: what a reader meets on every one of them."

import ast
import io
import json
import re
import statistics
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
from conftest import notebooks

root = Path(__file__).resolve().parent.parent
RUFF = Path(sys.executable).parent / 'ruff'

# Words that hide a known thing, or once had several meanings here; the word to use instead.
FORBIDDEN = dict(
    told='facts, attention mask, completion mask, pairs: whichever is meant',
    spread='std',
    quiet='zero variance',
    floor='min_std',
    taste='embeddings, or lightgcn',
    fame='popularity',
    lure='false_answer',
    lures='false_answers',
    places='ranked',
    played='sampled',
    blame='wrong_segments',
    blamed='wrong',
    eval_record='record',
    screen='summary table',
    company='co_liked',
    some='sample_queries',
    teach='sft',
    warmed='warm start',
    teller='via_item',
    tellers='via_items',
    dig='find_json',
    pace='throughput',
    writer='rewriter',
    stays='select_queries',
)
ALLOWED = {'np.floor'}  # names of other libraries


def cells_of(notebook, kind='code'):
    cells = json.loads(notebook.read_text(encoding='utf-8'))['cells']
    return [c for c in cells if c['cell_type'] == kind]


def source(cell):
    return ''.join(cell['source'])


def exported(notebook):
    return [source(c) for c in cells_of(notebook) if source(c).startswith('#| export')]


def python(code):
    "Code without lines of IPython."
    return '\n'.join('' if re.match(r'\s*[%!]', line) else line for line in code.splitlines())


def identifiers(code):
    """Names that a piece of code defines: variables, arguments, functions, classes, fields,
    keywords of its own calls."""
    found = set()
    for node in ast.walk(ast.parse(python(code))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return found


def forbidden(names):
    return {n for n in names if set(n.lower().split('_')) & set(FORBIDDEN) and n not in ALLOWED}


def test_what_counts_as_a_name():
    code = 'def f(a, *, told=1):\n    x.spread, y = 1, 2\n    return g(fame=a)\nclass Quiet: pass'
    assert identifiers(code) == {'f', 'a', 'told', 'spread', 'y', 'Quiet'}
    assert forbidden(identifiers(code)) == {'told', 'spread', 'Quiet'}
    assert forbidden({'told_apart', 'untold'}) == {'told_apart'}


def test_names_are_the_fields_words(notebook):
    used = set().union(*(identifiers(source(c)) for c in cells_of(notebook)))
    wrong = {
        n: [FORBIDDEN[w] for w in n.lower().split('_') if w in FORBIDDEN] for n in forbidden(used)
    }
    assert not wrong, f'{notebook.name}: {wrong}'


def ruff(*command):
    r = subprocess.run(
        [RUFF, *command, 'nbs', 'tests', 'tools'], cwd=root, capture_output=True, text=True
    )
    return r.returncode, (r.stdout + r.stderr)[-3000:]


def test_layout_is_ruffs():
    code, said = ruff('format', '--check', '--quiet')
    assert code == 0, 'ruff format nbs tests tools\n' + said


def test_lint_is_clean():
    code, said = ruff('check', '--output-format', 'concise')
    assert code == 0, said


def definitions(code):
    return [
        n for n in ast.parse(python(code)).body if isinstance(n, ast.FunctionDef | ast.ClassDef)
    ]


def lines_of(code):
    return [line for line in code.splitlines() if line.strip() and not line.startswith('#|')]


def test_a_cell_defines_one_thing(notebook):
    crowded = [[d.name for d in definitions(code)] for code in exported(notebook)]
    assert not [names for names in crowded if len(names) > 1]


def test_exported_cells_are_short(notebook):
    long = [code.splitlines()[1] for code in exported(notebook) if len(lines_of(code)) > 50]
    assert not long


def test_half_of_all_exported_cells_are_very_short():
    sizes = [len(lines_of(code)) for p in notebooks for code in exported(p) if definitions(code)]
    assert statistics.median(sizes) <= 14


NO_VERB = set(
    'a an the what which who whose where when how one all every each no nothing call self'.split()
)
VERBS_IN_S = set('pass process express focus guess miss press discuss compress address'.split())


def is_verb(word):
    "Words that no verb is are known; a plural or a third person ends in s."
    word = word.lower().strip(',.:;')
    return word not in NO_VERB and (not word.endswith('s') or word in VERBS_IN_S)


def documented(code):
    "Public functions, classes and methods of a cell, each with its docstring or None."
    for node in definitions(code):
        if node.name.startswith('_'):
            continue
        yield node.name, ast.get_docstring(node)
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith('_'):
                    yield f'{node.name}.{method.name}', ast.get_docstring(method)


def without_verb(code):
    return [name for name, doc in documented(code) if not doc or not is_verb(doc.split()[0])]


def test_what_counts_as_a_docstring():
    good = 'class A:\n    "Hold a."\n    def b(self):\n        "Return b."\n    def _c(self): pass'
    assert not without_verb(good)
    assert without_verb(good.replace('Return b', 'Returns b')) == ['A.b']
    assert without_verb(good.replace('"Return b."', 'pass')) == ['A.b']
    assert without_verb(good.replace('Hold a', 'The a')) == ['A']
    assert without_verb('def f():\n    "Words of a text."') == ['f']


def test_docstrings_begin_with_a_verb(notebook):
    "`Score each answer`, not `The score of an answer`: functions, classes and methods."
    found = [name for code in exported(notebook) for name in without_verb(code)]
    assert not found, f'{notebook.name}: {found}'


def outputs_of(notebook):
    for cell in cells_of(notebook):
        for output in cell.get('outputs', []):
            data = output.get('data', {})
            yield (
                ''.join(data.get('text/plain', output.get('text', ''))),
                ''.join(data.get('text/html', '')),
            )


def test_outputs_read_like_prose(notebook):
    for text, html in outputs_of(notebook):
        assert 'np.float' not in text and '127.0.0.1' not in html, text[:300]
        assert not re.search(r'\d\.\d{10,}', text), text[:300]
        if not html:
            assert max(map(len, text.splitlines()), default=0) <= 110, text[:300]


def test_comments_of_arguments_are_plain(notebook):
    "They are shown in signatures, where backticks stay backticks."
    for code in exported(notebook):
        for token in tokenize.generate_tokens(io.StringIO(python(code)).readline):
            if token.type == tokenize.COMMENT and not token.string.startswith('#|'):
                assert '`' not in token.string, token.string


def test_no_page_speaks_of_papers_nobody_has(notebook):
    text = '\n'.join(source(c) for kind in ('code', 'markdown') for c in cells_of(notebook, kind))
    assert 'METHOD' not in re.sub(r'\bMETHODS\b', '', text)


SOURCE = re.compile(r'Eq\. \d+|\bours\b|\bpaper\b|et al\.|\[[^\]]+\]\(http')


def formulas_without_source(texts):
    return [text for text in texts if '$$' in text and not SOURCE.search(text)]


def test_what_counts_as_a_source():
    named = [
        '$$x$$ (ours)',
        "the paper's $$x$$",
        '$$x$$ (Eq. 7)',
        '[Li, 2001](https://x.org) $$x$$',
    ]
    nameless = ['$$x$$ of hours', 'on [this page](02_page.ipynb) $$x$$', '$$x$$ by neighbours']
    assert not formulas_without_source([*named, 'no formula'])
    assert formulas_without_source(nameless) == nameless


def test_formulas_name_their_source(notebook):
    "An equation of the paper, a publication, or ours."
    texts = [source(c) for c in cells_of(notebook, 'markdown')]
    assert not formulas_without_source(texts), f'{notebook.name}: say where the formula is from'


@pytest.mark.parametrize('text', ['told apart', 'not told'])
def test_statistics_are_named(notebook, text):
    prose = '\n'.join(source(c) for c in cells_of(notebook, 'markdown'))
    assert text not in prose
