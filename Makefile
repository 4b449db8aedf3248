# Two commands for a new machine with Python >= 3.11, pip and make:
#   make demo    install, run the default study, write its report, print the scores
#   make test    install, run all tests
# The scores of a study next to the published ones, computing whatever is missing:
#   make tables STUDY=studies/voc12-resnet38.yaml
# Options for pip, for example a CPU build of torch, a mirror or tested versions:
#   make demo PIP_OPTIONS='--index-url https://download.pytorch.org/whl/cpu --extra-index-url https://pypi.org/simple'
#   make test PIP_OPTIONS='--constraint envs/pins.txt'

PYTHON ?= python3
VENV ?= .venv
PIP_OPTIONS ?=
PYTEST_OPTIONS ?= --numprocesses 2 --dist loadfile
CORES ?= all

BIN := $(VENV)/bin
RESULTS := results/shapes
REPORT := $(RESULTS)/report.html
STUDY ?=

.PHONY: demo tables test lint docs linkcheck figures release clean

demo: $(VENV)/.installed
	$(BIN)/snakemake --cores $(CORES)
	$(BIN)/snakemake --report $(REPORT)
	@$(BIN)/wsss summary $(RESULTS)

tables: $(VENV)/.installed
	$(BIN)/snakemake write_tables --cores $(CORES) $(if $(STUDY),--configfile $(STUDY))
	@$(BIN)/wsss tables $(STUDY)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

# The site, from the pages in docs/: docs/_build/html/index.html. The notebook runs if `make demo` has run.
docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

# Follows the links to other sites, which needs a connection.
linkcheck: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx -b linkcheck docs docs/_build/linkcheck

# The pictures of the documentation, from the finished default study.
figures: $(VENV)/.installed-dev
	$(BIN)/python -m docs.figures $(RESULTS)

# Wheel and sdist in dist/; the wheel is tried in an empty folder.
release: $(VENV)/.installed-dev
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	WSSS_DIST=$(CURDIR)/dist $(BIN)/python -m pytest tests/workflow/test_wheel.py
	@ls dist

# Removes the installation and the caches of tools. results/ is kept: it can hold days of work.
clean:
	rm -rf $(VENV) .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An editable install: the code that runs is the code whose digests Snakemake compares.
$(VENV)/.installed: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install $(PIP_OPTIONS) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install $(PIP_OPTIONS) --editable '.[dev]'
	@touch $@ $(VENV)/.installed

# Debian's python3 may lack ensurepip (package python3-venv): the machine's own pip then installs pip.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PYTHON) is older than 3.11 or missing: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || \
	    { $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	      $(PYTHON) -m pip --python $(BIN)/python install $(PIP_OPTIONS) pip; } || \
	    { rm -rf $(VENV); echo "Cannot create $(VENV): install python3-venv (apt-get install python3-venv)" >&2; exit 1; }
