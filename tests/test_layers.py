"Data flows one way: a notebook imports only earlier ones, and the four parts of the method know nothing of each other."
import ast, re, subprocess, sys
from pathlib import Path
import pytest

root = Path(__file__).resolve().parent.parent
order = [re.sub(r'^\d+_', '', p.stem) for p in sorted((root/'nbs').glob('[0-9]*.ipynb'))]

def imports(name):
    "Modules of rerec that a module imports, anywhere in it."
    found = set()
    for node in ast.walk(ast.parse((root/'rerec'/f'{name}.py').read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom):
            module = ('rerec.' + (node.module or '')).strip('.') if node.level else node.module
            if module == 'rerec': found |= {a.name for a in node.names}
            elif module.startswith('rerec.'): found.add(module.split('.')[1])
        elif isinstance(node, ast.Import): found |= {a.name.split('.')[1] for a in node.names if a.name.startswith('rerec.')}
    return found

def test_numbers_are_contiguous_and_modules_match():
    numbers = [int(p.name[:2]) for p in sorted((root/'nbs').glob('[0-9]*.ipynb'))]
    assert numbers == list(range(len(numbers)))
    assert {p.stem for p in (root/'rerec').glob('*.py')} - {'__init__', '_modidx'} == set(order)

@pytest.mark.parametrize('name', order)
def test_imports_point_backwards(name):
    assert (known := imports(name)) <= set(order), known
    later = {o for o in known if order.index(o) >= order.index(name)}
    assert not later, f'{name} imports {later}, which come later in reading order'

@pytest.mark.parametrize('name', ['rewards', 'segmentation', 'advantages', 'curriculum'])
def test_parts_stand_alone(name):
    assert not imports(name) & {'rewards', 'segmentation', 'advantages', 'curriculum'} - {name}

def test_evaluation_knows_no_rewards(): assert 'rewards' not in imports('evaluation')

@pytest.mark.parametrize('name', ['core', 'formats', 'data', 'titles', 'answers', 'cli'])
def test_light_modules_do_not_load_torch(name):
    code = f"import rerec.{name}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, '-c', code], cwd=root).returncode == 0
