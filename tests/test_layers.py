"""Data flows one way: a wing imports only lower wings, and the four parts of the method know
nothing of each other."""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from conftest import notebooks

root = Path(__file__).resolve().parent.parent
WINGS = [
    'base',
    'method',
    'run',
    'shop',
    'study',
    'full',
    'cli',
    'start',
]  # each may import those before it
PARTS = {'method.rewards', 'method.segments', 'method.advantages', 'method.curriculum'}


def code_cells(notebook):
    cells = json.loads(notebook.read_text(encoding='utf-8'))['cells']
    return [''.join(c['source']) for c in cells if c['cell_type'] == 'code']


def module_of(notebook):
    """Name of the module that a page makes, such as `method.facts`; None if it only uses what
    others make."""
    named = [re.match(r'#\| default_exp (\S+)', code) for code in code_cells(notebook)]
    return next((m[1] for m in named if m), None)


pages = {
    p.relative_to(root / 'nbs').with_suffix('').as_posix(): p
    for p in notebooks
    if p.stem != 'index'
}
modules = {module_of(p): name for name, p in pages.items() if module_of(p)}


def wing(name):
    "Wing of a page or module; `cli_train` is of the wing `cli`."
    return re.split(r'[./_]', name)[0]


def absolute(node, module):
    """Full name of the module that a `from` statement imports from, without `rerec.`; None outside
    of rerec."""
    if not node.level:
        return (
            node.module.removeprefix('rerec').strip('.') if wing(node.module) == 'rerec' else None
        )
    above = ['rerec', *module.split('.')][: -node.level]
    return '.'.join([*above, *filter(None, [node.module])]).removeprefix('rerec').strip('.')


def imported(code, module=''):
    """Modules of rerec that a piece of code imports, anywhere in it; '*' if it takes all names of
    one."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            source = absolute(node, module)
            if source is None:
                continue
            names = [f'{source}.{a.name}'.strip('.') for a in node.names]
            found |= {source} if source in modules else {n for n in names if n in modules}
            found |= {'*' for a in node.names if a.name == '*'}
        elif isinstance(node, ast.Import):
            found |= {
                a.name.removeprefix('rerec.') for a in node.names if a.name.startswith('rerec.')
            }
    return found


def module_code(module):
    return (root / 'rerec' / f'{module.replace(".", "/")}.py').read_text(encoding='utf-8')


def page_code(notebook):
    "All code of a page, lines of IPython left out."
    lines = '\n'.join(code_cells(notebook)).splitlines()
    return '\n'.join('' if re.match(r'\s*[%!]', line) else line for line in lines)


@cache
def reached(module):
    "Modules that come along when one is imported, by whatever way."
    direct = imported(module_code(module), module)
    return direct.union(*(reached(other) for other in direct)) if direct else direct


def test_what_counts_as_an_import():
    "The reader of imports sees every form, wherever it stands."
    code = """
import os, rerec.base.core
from .rewards import x
from rerec.base import titles
from ..base.data import y
def f():
    from rerec.method.graphs import y as z
    from . import segments
    from ..run.world import *
"""
    expected = {
        'base.core',
        'method.rewards',
        'base.titles',
        'base.data',
        'method.graphs',
        'method.segments',
        'run.world',
        '*',
    }
    assert imported(code, 'method.trainer') == expected


def test_modules_are_those_of_the_pages():
    made = {
        p.relative_to(root / 'rerec').with_suffix('').as_posix().replace('/', '.')
        for p in (root / 'rerec').rglob('*.py')
    }
    assert {m for m in made if m.split('.')[-1] not in ('__init__', '_modidx')} == set(modules)


def test_pages_of_a_wing_are_numbered_without_gaps():
    for name in WINGS:
        numbers = [int(page.split('/')[1][:2]) for page in pages if wing(page) == name]
        assert sorted(numbers) == list(range(1, 1 + len(numbers))), name


@pytest.mark.parametrize('page', pages)
def test_wings_import_lower_wings(page):
    "In the module, in functions of it, and in the cells of the page that only check it."
    allowed = WINGS[: 1 + WINGS.index(wing(page))]
    for module in imported(page_code(pages[page])):
        assert wing(module) in allowed, f'{page} imports {module}'


@pytest.mark.parametrize('module', modules)
def test_modules_of_a_wing_form_no_circle(module):
    assert module not in reached(module)


def test_parts_stand_alone():
    assert not {m: both for m in PARTS if (both := reached(m) & PARTS)}


def test_evaluation_knows_no_rewards():
    assert not reached('run.evaluation') & {'method.rewards', 'method.trainer'}


def test_the_assistant_needs_no_study():
    code = "import rerec.shop.assistant, sys; print([m for m in sys.modules if m.startswith(('rerec.study', 'rerec.run.world', 'trl'))])"  # noqa: E501
    r = subprocess.run([sys.executable, '-c', code], cwd=root, capture_output=True, text=True)
    assert (r.returncode, r.stdout.strip()) == (0, '[]'), r.stdout + r.stderr


def test_types_are_not_text():
    assert not [m for m in modules if '__future__' in module_code(m)], (
        'jaxtyping needs annotations that are evaluated'
    )


LIGHT = [
    'base.core',
    'base.formats',
    'base.official_files',
    'base.data',
    'base.titles',
    'base.answers',
    'method.curriculum',
    'run.world',
    'run.kinds',
    'run.splits',
    'run.demonstrator',
    'cli',
]


@pytest.mark.parametrize('module', LIGHT)
def test_light_modules_load_fast(module):
    "PyTorch takes seconds to load: reading files and `rerec --help` do without."
    heavy = "{'torch', 'transformers', 'trl', 'pandas', 'matplotlib'}"
    code = f'import rerec.{module}, sys; print(sorted({heavy} & set(sys.modules)))'
    r = subprocess.run([sys.executable, '-c', code], cwd=root, capture_output=True, text=True)
    assert (r.returncode, r.stdout.strip()) == (0, '[]'), r.stdout + r.stderr


def test_names_at_the_top_are_loaded_when_used():
    code = "import sys, rerec; assert not {'torch', 'transformers', 'trl'} & set(sys.modules); print(all(getattr(rerec, n) for n in rerec.__all__), rerec.Query.__module__)"  # noqa: E501
    r = subprocess.run([sys.executable, '-c', code], cwd=root, capture_output=True, text=True)
    assert r.stdout.strip() == 'True rerec.base.core', r.stdout + r.stderr


def test_modules_define_or_import_every_name_they_use():
    "A name that only the page imports makes the page run and the module fail."
    ruff = Path(sys.executable).parent / 'ruff'
    command = [
        ruff,
        'check',
        'rerec',
        '--isolated',
        '--select',
        'F821',
        '--output-format',
        'concise',
    ]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True).stdout
    undefined = re.findall(
        r'^.*Undefined name `(\w{2,})`.*$', said, re.M
    )  # single letters are axes of jaxtyping
    assert not undefined, said


def is_patch(node):
    "Tell whether a function is a method that `@patch` or `@patch(...)` adds to a class."
    decorators = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(isinstance(d, ast.Name) and d.id == 'patch' for d in decorators)


def defined(code):
    "Public names that a module defines at its top level; methods are none."
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not is_patch(node):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (t.id for t in node.targets if isinstance(t, ast.Name))


def defined_twice(modules):
    "Public names that several modules define, each with those modules."
    found = {}
    for module, code in modules.items():
        for name in set(defined(code)):
            if not name.startswith('_'):
                found.setdefault(name, []).append(module)
    return {name: where for name, where in found.items() if len(where) > 1}


def test_what_counts_as_defined_twice():
    modules = dict(a='def f(): pass\nX = 1\n_y = 2', b='class f: pass\n_y = 3\ng = 1')
    assert defined_twice(modules) == {'f': ['a', 'b']}
    methods = '@patch\ndef f(self: A): pass\n@patch(as_prop=True)\ndef g(self: A): pass'
    assert list(defined(methods)) == []
    assert list(defined('@cache\ndef f(): pass')) == ['f']


def test_a_public_name_is_defined_once():
    "One word has one meaning in the whole package."
    modules = {
        path.relative_to(root).as_posix(): path.read_text(encoding='utf-8')
        for path in sorted(root.glob('rerec/*/*.py'))
    }
    assert len(modules) > 50
    assert not defined_twice(modules)
