"What a page cannot say: the wheel holds what it needs, imports without developer tools, and every public name is on its page."
import ast, json, re, subprocess, sys, zipfile
from pathlib import Path
import pytest

root = Path(__file__).resolve().parent.parent
pages = {re.sub(r'^\d+_', '', p.stem): p for p in sorted((root/'nbs').glob('[0-9]*.ipynb'))}

@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp('wheel')
    r = subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', out, root], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    return next(out.glob('*.whl'))

def test_wheel_holds_the_catalogue(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {'rerec/mini/films.csv', 'rerec/mini/books.csv'} <= set(names)
    assert {f'rerec/{p}.py' for p in pages} <= set(names)

BLOCK = '''
import sys
class Absent:
    def find_spec(self, name, *_):
        if name.split('.')[0] in {'fastcore', 'nbdev', 'execnb', 'hypothesis', 'smalldocs'}: raise ImportError(f'{name} is a developer tool')
sys.meta_path.insert(0, Absent())
sys.path.insert(0, sys.argv[1])
import importlib
for name in sys.argv[2:]: importlib.import_module(f'rerec.{name}')
import rerec
assert rerec.__file__.startswith(sys.argv[1]), rerec.__file__
from rerec.world import mini_world
assert len(mini_world(n_users=8)) > 200
'''
def test_wheel_imports_without_developer_tools(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    r = subprocess.run([sys.executable, '-c', BLOCK, str(tmp_path), *pages], capture_output=True, text=True, cwd=tmp_path)
    assert r.returncode == 0, r.stderr[-2000:]

@pytest.mark.parametrize('name', pages)
def test_public_names_are_on_their_page(name):
    tree = ast.parse((root/'rerec'/f'{name}.py').read_text(encoding='utf-8'))
    public = next((ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == '__all__'), [])
    cells = json.loads(pages[name].read_text(encoding='utf-8'))['cells']
    text = '\n'.join(''.join(c['source']) for c in cells)
    once = [p for p in public if len(re.findall(rf'\b{re.escape(p)}\b', text)) < 2]
    assert not once, f'{name} exports {once} but neither uses nor explains them'

@pytest.mark.parametrize('name', pages)
def test_functions_say_what_they_are(name):
    tree = ast.parse((root/'rerec'/f'{name}.py').read_text(encoding='utf-8'))
    silent = [n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith('_') and not ast.get_docstring(n)
        and not (isinstance(n, ast.FunctionDef) and (n.body[-1].end_lineno - n.lineno) < 5)]
    assert not silent, f'no docstring: {silent}'
