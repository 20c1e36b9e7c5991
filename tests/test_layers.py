"Data flows one way: a notebook imports only earlier ones, and the four parts of the method know nothing of each other."
import ast, json, re, subprocess, sys
from functools import cache
from pathlib import Path
import pytest
root = Path(__file__).resolve().parent.parent
pages = {re.sub(r'^\d+_', '', p.stem): p for p in sorted((root/'nbs').glob('[0-9]*.ipynb'))}
order = list(pages)
PARTS = {'rewards', 'segmentation', 'advantages', 'curriculum'}

def imported(code):
    "Modules of rerec that a piece of code imports, anywhere in it; '*' if it takes all names of one."
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            module = f'rerec.{node.module or ""}'.strip('.') if node.level else node.module
            if module=='rerec': found |= {a.name for a in node.names}
            elif module.startswith('rerec.'): found |= {module.split('.')[1]} | {'*' for a in node.names if a.name=='*'}
        elif isinstance(node, ast.Import): found |= {a.name.split('.')[1] for a in node.names if a.name.startswith('rerec.')}
    return found

modules = [n for n in order if '#| default_exp' in pages[n].read_text(encoding='utf-8')] # some pages only use what others make
def module_code(name): return (root/'rerec'/f'{name}.py').read_text(encoding='utf-8') if name in modules else ''
def page_code(name):
    "All code of a page, lines of IPython left out"
    cells = json.loads(pages[name].read_text(encoding='utf-8'))['cells']
    lines = '\n'.join(''.join(c['source']) for c in cells if c['cell_type']=='code').splitlines()
    return '\n'.join('' if re.match(r'\s*[%!]', l) else l for l in lines)

@cache
def reached(name):
    "Modules that come along when one is imported, by whatever way."
    direct = imported(module_code(name))
    return direct.union(*(reached(o) for o in direct)) if direct else direct

def test_what_counts_as_an_import():
    "The reader of imports sees every form, wherever it stands."
    code = 'import os, rerec.core\nfrom .data import x\nfrom rerec import titles\ndef f():\n  from rerec.graphs import y as z\n  from . import cli\n  from .world import *'
    assert imported(code)=={'core', 'data', 'titles', 'graphs', 'cli', 'world', '*'}

def test_numbers_are_contiguous_and_modules_match():
    assert sorted({int(p.name[:2]) for p in pages.values()})==list(range(1 + max(int(p.name[:2]) for p in pages.values())))
    assert {p.stem for p in (root/'rerec').glob('*.py')} - {'__init__', '_modidx'}==set(modules)

@pytest.mark.parametrize('name', order)
def test_imports_point_backwards(name):
    "In the module, in functions of it, and in the cells of the page that only check it."
    earlier = set(order[:order.index(name)])
    assert not (later := imported(module_code(name)) - earlier), f'{name}.py imports {later}, no earlier page'
    assert not (later := imported(page_code(name)) - earlier - {name}), f'{pages[name].name} imports {later}, no earlier page'

def test_parts_stand_alone(): assert not {n: both for n in PARTS if (both := reached(n) & PARTS)}
def test_evaluation_knows_no_rewards(): assert not reached('evaluation') & {'rewards', 'trainer'}
def test_types_are_not_text(): assert not [n for n in order if '__future__' in module_code(n)], 'jaxtyping needs annotations that are evaluated'

@pytest.mark.parametrize('name', ['core', 'formats', 'data', 'titles', 'answers', 'curriculum', 'world', 'cli'])
def test_light_modules_load_fast(name):
    "PyTorch takes seconds to load: reading files and `rerec --help` do without."
    heavy = "{'torch', 'transformers', 'trl', 'pandas', 'matplotlib'}"
    code = f'import rerec.{name}, sys; print(sorted({heavy} & set(sys.modules)))'
    r = subprocess.run([sys.executable, '-c', code], cwd=root, capture_output=True, text=True)
    assert (r.returncode, r.stdout.strip())==(0, '[]'), r.stdout + r.stderr
