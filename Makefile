# make demo: everything on this machine, one address to open. make test: everything is tested. Nothing else is needed first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready-$(shell cksum requirements.txt pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1)
PORT ?= 8000

.PHONY: demo test test-fast lint types bench lock example clean

demo: $(READY)
	$(BIN)/idp demo --port $(PORT)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

test-fast: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not browser and not long" $(ARGS)

lint: $(READY)
	$(BIN)/ruff check idp tests

types: $(READY)
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m tests.bench

example: $(READY)
	$(BIN)/python -m idp.example > deploy/idp.example.toml

# The lock: every package with its hash, for Python 3.11 to 3.14. Needs uv on the PATH.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
		--extra embedded --extra demo --extra telemetry --extra test pyproject.toml -o requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
		--constraint requirements.txt pyproject.toml -o deploy/requirements.txt

$(READY): requirements.txt pyproject.toml
	@echo "setting up $(VENV) (once; about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit("imis-idp needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . 
	@rm -f $(VENV)/ready-*
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
