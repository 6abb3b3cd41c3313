# One command each; every target does its own set-up. See CONTRIBUTING.md.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Small shared CPUs run many times slower with one BLAS thread per core and process.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export JAX_PLATFORMS ?= cpu
export MPLBACKEND ?= agg
# Where it is set, every worker of every run rewrites the asserts of all tests anew.
unexport PYTHONDONTWRITEBYTECODE

# The first that runs and is new enough; the name alone may be a shim with nothing behind it.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
VENV := .venv
RUN := $(VENV)/bin/python
EXTRAS := dev
WORKERS ?= 2

.PHONY: help setup demo test test-digits test-deep test-short test-gpu-compile bench docs-results lint types \
  clean deep-optimised deep-adjoints deep-float64-off deep-standard deep-standard-float64-off

help:
	@echo "make demo      train the hare-lynx universal ODE (RESUME=1 continues after an interruption)"
	@echo "make test      the test suite, with float64 on and again with it off"
	@echo "make test-digits  the part of it where digits are the point, with XLA as users have it"
	@echo "make test-deep  all of it so, with what make test leaves out, and under standard promotion"
	@echo "make test-short  some minutes of it; PYTHON=python3.13 VENV=.venv313 takes another Python"
	@echo "make test-gpu-compile  what XLA makes for a GPU, without one; installs JAX's CUDA plugin"
	@echo "make bench     benchmarks against equinox and flax; ARGS='dispatch' picks one"
	@echo "make docs-results  measures and draws what the pages of docs/ show, from nothing"
	@echo "make lint      format and lint checks;  make types  static types"

setup: $(VENV)/.ready-$(EXTRAS)

$(VENV)/.ready-%: pyproject.toml scripts/setup.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" EXTRAS="$*" bash scripts/setup.sh
	@touch $@

demo: setup
	$(RUN) examples/lynx_hare.py $(if $(RESUME),--resume)

# Each worker has a half of the tests in their order, so that a file's programs are compiled once.
PYTEST = $(RUN) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)
# Compiling is most of the time of a test: XLA is in a hurry but where digits are the point.
HURRY = XLA_FLAGS="$$(bash scripts/xla_flags.sh $(RUN))"

# Without the slow checks; with float64 off also without what shows the same as with it on; and a
# third of the catalogue, another each day, with every check: see tests/conftest.py.
test: setup
	JAX_ENABLE_X64=1 $(HURRY) $(PYTEST)
	JAX_ENABLE_X64=0 $(HURRY) $(PYTEST)

# Where digits are the point, with XLA as users have it.
DIGITS = tests/test_digits.py tests/test_digits_losses.py tests/test_digits_norms.py \
  tests/test_references.py tests/test_half_gradients.py tests/test_catalogue.py tests/ops

test-digits: setup
	JAX_ENABLE_X64=1 CATALOGUE_THIRD=all $(PYTEST) $(DIGITS)

# All that `make test` leaves out, and what it runs once more in other settings.
test-deep: deep-optimised deep-adjoints deep-float64-off deep-standard deep-standard-float64-off

# Every adjoint with every feature: hundreds of programs, which are compared to 1e-7 and not to the
# last digit.
ADJOINTS = tests/ode/adjoints

deep-optimised: setup
	JAX_ENABLE_X64=1 CATALOGUE_THIRD=all $(PYTEST) --ignore=$(ADJOINTS) \
	  -m "(slow or not traced) and not gpu_compile"

deep-adjoints: setup
	JAX_ENABLE_X64=1 $(HURRY) $(PYTEST) -m slow $(ADJOINTS)

deep-float64-off: setup
	JAX_ENABLE_X64=0 $(HURRY) $(PYTEST) -m "slow and not another_day"

# A program that strict promotion lets pass is the same under standard promotion: only where dtypes
# are the point.
DTYPES = tests/test_catalogue.py tests/test_options.py tests/test_x64_off.py tests/core \
  tests/losses tests/ops tests/precision --ignore=tests/ops/solve

deep-standard: setup
	JAX_ENABLE_X64=1 JAX_NUMPY_DTYPE_PROMOTION=standard $(HURRY) $(PYTEST) $(DTYPES)

deep-standard-float64-off: setup
	JAX_ENABLE_X64=0 JAX_NUMPY_DTYPE_PROMOTION=standard $(HURRY) $(PYTEST) $(DTYPES)

# What another version of Python and JAX is likely to break: how programs are made and read.
SHORT = tests/programs/test_interpret.py tests/precision/test_audit.py \
  tests/precision/test_audit_sums.py tests/precision/test_audit_blind_spots.py \
  tests/core/test_layer.py tests/nn/science/test_spline.py \
  tests/nn/containers/test_repeated_layer.py \
  tests/nn/transformations/test_alternate_precision.py tests/ode/equation/test_equation.py \
  tests/training/minimisers/test_minimise.py tests/training/minimisers/test_minimise_session.py

test-short: setup
	JAX_ENABLE_X64=1 $(PYTEST) $(SHORT)

# What XLA makes for a GPU that is described and not there; in an environment of its own, with JAX's
# CUDA plugin and NVRTC, of some 600 MB.
test-gpu-compile:
	@$(MAKE) --no-print-directory setup VENV=.venv-gpu-compile EXTRAS=gpu-compile
	JAX_SKIP_CUDA_CONSTRAINTS_CHECK=1 CUDA_VISIBLE_DEVICES=-1 JAX_PLATFORMS=cpu JAX_ENABLE_X64=1 \
	  .venv-gpu-compile/bin/python -m pytest -m "not slow" tests/gpu_compile tests/ops/kernels $(ARGS)

bench:
	@$(MAKE) --no-print-directory setup EXTRAS=dev,bench
	$(RUN) -m benchmarks $(ARGS)

# What is in docs/gradients.json is not measured again: it is deleted first.
docs-results: setup
	rm -f docs/gradients.json
	JAX_ENABLE_X64=1 $(RUN) scripts/gradients_page.py
	JAX_ENABLE_X64=1 $(RUN) docs/kepler.py
	$(RUN) docs/lux_parity.py

lint: setup
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .

types: setup
	$(RUN) -m pyright

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache
