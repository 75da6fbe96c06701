# Everything a newcomer needs: `make demo` and `make test` set up what they use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONSAFEPATH := 1
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test torture half-hour check serve bench lock clean

demo: $(VENV)/.ready
	$(BIN)/candor demo

# The viewer is fetched first; without it (no npm) its tests are skipped and say so.
test: $(VENV)/.dev-ready
	-PYTHONPATH=. $(BIN)/python -m tests.ohif.fetch
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder --durations 20

# What costs more than a test may, in full; `make test` has a slice of it.
torture: $(VENV)/.dev-ready
	TORTURE_KILLS=20 $(BIN)/python -m pytest tests/e2e/service/test_torture.py

half-hour: $(VENV)/.dev-ready
	WHOLE_HALF_HOUR=1 $(BIN)/python -m pytest tests/e2e/service/test_half_hour.py

check: $(VENV)/.dev-ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	PYTHONPATH=. $(BIN)/python -m tests.architecture.dead_code
	$(BIN)/codespell

serve: $(VENV)/.ready
	test -e var/data/candor.toml || $(BIN)/candor init --data var/data
	$(BIN)/candor serve --data var/data

bench: $(VENV)/.dev-ready
	PYTHONPATH=. $(BIN)/python -m tests.benchmarks.round_trip

# torch first: the CPU build where one is to be had; then everything else, each file checked against its hash.
$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# What only tests, checks and training need.
$(VENV)/.dev-ready: requirements-dev.lock $(VENV)/.ready
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement requirements-dev.lock
	touch $@

# A file that is there keeps its versions; the second has those of the first.
COMPILE = $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-package torch --no-header --no-annotate pyproject.toml
lock:
	$(BIN)/pip install --quiet uv
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --output-file requirements-dev.lock --all-extras --constraint requirements.lock

clean:
	rm -rf $(VENV) build demo-output *.egg-info
