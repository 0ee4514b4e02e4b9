# Two commands: `make run` and `make test`. The rest is in `make help`; what they do is in .ci/*.py.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help env run outputs stale test test-slow test-browser lab readme badges rooms site clean

PYTHON ?= $(firstword $(foreach p,python3.11 python3 python3.12 python3.13 python3.14,\
  $(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))) python3)

empty :=
export CALLED_FROM := $(PWD)
export VIRTUAL_ENV := $(CURDIR)/.venv
export PATH := $(VIRTUAL_ENV)/bin:$(PATH)
export PIP_CONSTRAINT := file://$(subst $(empty) $(empty),%20,$(CURDIR))/constraints.txt
export MPLCONFIGDIR := $(VIRTUAL_ENV)/matplotlib
export IPYTHONDIR := $(VIRTUAL_ENV)/ipython
# threads that wait sleep: beside other work two that spin for each other take many times as long
export OMP_WAIT_POLICY := passive
export GOMP_SPINCOUNT := 0
unexport PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE
ifeq ($(shell test -w "$$HOME" && echo yes),)
export HOME := $(VIRTUAL_ENV)/home
endif

help: ## show these lines
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'
	@echo '  DATA=folder, PROFILE=test|demo|full, KIND=raw|weighted|debiased and NB=part-of-a-name go with run'

env: ## make or refresh .venv (every target below does so first)
	@command -v $(PYTHON) >/dev/null || { echo 'galaxy_nbdev needs Python 3.11 or newer: install it, or name it: make PYTHON=/path/to/python3.11'; exit 1; }
	@$(PYTHON) .ci/env.py

run: env ## execute all notebooks into _report/ and print the table of models
	@.venv/bin/python .ci/report.py

outputs: env ## execute all notebooks on simulated galaxies and store their outputs in nbs/
	@.venv/bin/python .ci/outputs.py outputs
	@.venv/bin/python .ci/readme.py

stale: env ## list the notebooks whose outputs are older than their code, and make those again
	@.venv/bin/python .ci/outputs.py stale
	@.venv/bin/python .ci/readme.py

test: env ## every quick check
	@.venv/bin/python .ci/checks.py quick

test-slow: env ## every slow check, one at a time
	@.venv/bin/python .ci/checks.py slow

test-browser: env ## drive the galaxy browser in JupyterLab in headless Chromium (Debian: chromium, chromium-driver)
	@.venv/bin/python .ci/browser.py

lab: env ## open JupyterLab on the notebooks
	@.venv/bin/jupyter lab nbs $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB)

readme: env ## write README.md from nbs/index.ipynb
	@.venv/bin/python .ci/readme.py

badges: env ## write the Colab and Binder badges of every notebook
	@.venv/bin/python .ci/badges.py

rooms: env ## print the modules in their order: lines, and what each imports
	@.venv/bin/python .ci/rooms.py

site: env ## build the site into _docs/ (needs Quarto)
	@command -v quarto >/dev/null || { echo 'make site needs Quarto: install it from https://quarto.org/docs/get-started'; exit 1; }
	@.venv/bin/python .ci/freshness.py
	@.venv/bin/python .ci/pages.py && cd _proc && quarto render --no-cache
	@rm -rf _docs && mv _proc/_docs _docs

clean: ## delete the environments, the report and built files; surveys, stores and runs stay
	@rm -rf .venv .ci/env _report _proc _docs build dist *.egg-info
