# Everything that is done to the project, by name. PY is the environment's Python.
PY ?= .venv/bin/python

.PHONY: env check test faults bench results

env:            ## an environment with everything, in .venv
	python3 -m venv .venv
	$(PY) -m pip install -q -c constraints.txt -e '.[test]'

check:          ## form, types, architecture: seconds
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(dir $(PY))lint-imports --no-cache

test:           ## the default suite: minutes
	$(PY) -m pytest -n 2

faults:         ## kill -9, full disks: about 15 minutes; figures go to results/
	$(PY) benchmarks/faults.py

bench:          ## speed against the plain loop, as ratios: about 20 minutes
	$(PY) benchmarks/training.py

results:        ## train the shipped recipes and write their headers: hours
	$(PY) benchmarks/recipes.py
