"""Lower bounds of settings.ini: each is the version in lowest.txt, and with those versions (`make
lowest`) a small model is trained, tested and asked."""

import configparser
import re
import shlex
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

root = Path(__file__).resolve().parent.parent
lines = (root / 'lowest.txt').read_text(encoding='utf-8').splitlines()
PINS = dict(line.split('==') for line in lines if '==' in line)
EXTRAS = ('gguf', 'app', 'bench', 'reword')  # the others are tools for this repository


def bounds():
    "Lower bound of every requirement; '' if there is none."
    config = configparser.ConfigParser(delimiters=['='])
    config.read(root / 'settings.ini', encoding='utf-8')
    found = {}
    for name in ('requirements', *(f'{extra}_requirements' for extra in EXTRAS)):
        for requirement in shlex.split(config['DEFAULT'][name]):
            package = re.match(r'[\w.-]+', requirement)[0]
            bound = re.search(r'>=([\w.]+)', requirement)
            found[package] = bound[1] if bound else ''
    return found


def test_every_bound_is_one_that_is_tried():
    "2.6 in settings.ini is 2.6.0 in lowest.txt, or the first release of it that exists."
    found = bounds()
    assert not [package for package, bound in found.items() if not bound], 'a bound is missing'
    assert found.keys() == PINS.keys()
    wrong = {p: b for p, b in found.items() if not f'{PINS[p]}.'.startswith(f'{b}.')}
    assert not wrong, wrong


def are_installed():
    try:
        return all(version(p).split('+')[0] == pin for p, pin in PINS.items())
    except PackageNotFoundError:
        return False


@pytest.mark.skipif(not are_installed(), reason='`make lowest` installs the lowest versions')
def test_a_model_is_trained_and_asked(tmp_path):
    from killed_worker import prepared, shop, train

    from rerec.cli import main

    prepared(tmp_path)
    train(tmp_path / 'small')
    shop(tmp_path / 'run')
    words = ['--run', str(tmp_path / 'run'), '--data', str(tmp_path / 'data')]
    assert main(['recommend', *words, 'a film']) == 0
