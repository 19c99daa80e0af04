# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0

# jazzy or kilted: `make demo ROS=kilted`
ROS := jazzy
VENV := $(if $(filter jazzy,$(ROS)),.venv,.venv-$(ROS))
PYTHON_VENV := $(VENV)/bin/python

.PHONY: help env demo test test-kilted test-platform test-slow bench soak fuzz mutants default-checkpoint imported lint picture docs lock audit sbom clean

help:
	@echo 'make demo       track people in a real video with a ROS 2 node (sets up .venv first)'
	@echo 'make test       run the linters and the tests (sets up .venv first)'
	@echo 'make test-kilted  run the tests with ROS 2 Kilted, in .venv-kilted (another 7 GB)'
	@echo 'make test-platform  run the tests that need no ROS with PYTHON=3.12 TORCH=2.6.0 NUMPY=1.26.4 (6 GB, removed afterwards)'
	@echo 'make test-slow  run the tests that take minutes'
	@echo 'make bench      measure the speed of networks, association, tracker, a whole frame and the node'
	@echo 'make soak       run the node for 30 minutes and check that nothing grows and nothing is lost'
	@echo 'make fuzz       feed a million mutated files and messages to every parser (about ten minutes)'
	@echo 'make mutants    change single places of the tracker and the node, and see whether a test fails (half an hour)'
	@echo 'make default-checkpoint  retrain the weights included in the package: DATA=folder with coco_mini and avatars'
	@echo 'make picture    track a part of the demo video and write docs/tracking.webp and docs/following.jpg, the pictures of README'
	@echo 'make docs       build the documentation as a site, in build/site'
	@echo 'make lock       write tools/lock-*.txt: all packages with the hashes of their files on PyPI; asks PyPI'
	@echo 'make audit      look up known vulnerabilities of the locked packages; downloads pip-audit, asks PyPI'
	@echo 'make sbom       write build/sbom.json: packages and weights with their hashes (CycloneDX)'
	@echo 'make env        only set up .venv: ROS 2 Jazzy, torch and this package (7 GB)'
	@echo 'make lint       run the linters'
	@echo 'make clean      remove build output; environments, trained and imported weights are kept'

env:
	@tools/environment.sh $(ROS)

demo: env
	@$(PYTHON_VENV) tools/demo.py $(DEMO_ARGUMENTS)

lint: env
	$(PYTHON_VENV) -m ruff check .
	$(PYTHON_VENV) -m ruff format --check .

# Tests of nodes depend on real time: they run after the others, one at a time.
test: imported lint
	@code=0; \
	$(PYTHON_VENV) -m pytest -n auto --maxprocesses 4 -m 'not slow and not ros' || code=1; \
	$(PYTHON_VENV) -m pytest -m 'ros and not slow' || code=1; \
	exit $$code

test-kilted:
	@$(MAKE) --no-print-directory imported ROS=kilted
	.venv-kilted/bin/python -m pytest -m 'not slow'

# Not .venv: other versions in an environment of its own.
test-platform:
	@PYTHON='$(PYTHON)' TORCH='$(TORCH)' NUMPY='$(NUMPY)' tools/platform.sh $(TESTS)

test-slow: imported
	$(PYTHON_VENV) -m pytest -m slow

bench: env
	@$(PYTHON_VENV) -m benchmarks $(BENCH_ARGUMENTS)

soak: env
	@$(PYTHON_VENV) tools/soak $(SOAK_ARGUMENTS)

fuzz: env
	@PYTHONPATH=. $(PYTHON_VENV) tools/fuzz.py $(FUZZ_ARGUMENTS)

mutants: env
	@$(PYTHON_VENV) tools/mutants.py $(MUTANTS_ARGUMENTS)

# The published detector that training starts from and that tests and evaluations compare with:
# a download of 144 MB.
imported: env
	@[ -f "$${XDG_CACHE_HOME:-$$HOME/.cache}/gtr_ros/gtr_mobile.safetensors" ] || $(VENV)/bin/gtr weights import

default-checkpoint: imported
	@$(PYTHON_VENV) tools/default_checkpoint.py --data '$(or $(DATA),../shared/data)' $(ARGUMENTS)

picture: env
	@$(PYTHON_VENV) tools/picture.py $(PICTURE_ARGUMENTS)
	@$(PYTHON_VENV) tools/follow_picture.py

# In an environment of its own: it needs neither ROS nor torch. The first call downloads 20 MB.
DOCS_VENV := build/docs-venv
docs: $(DOCS_VENV)/.installed
	@NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --strict $(DOCS_ARGUMENTS)

$(DOCS_VENV)/.installed: tools/requirements-docs.txt
	python3 -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

lock:
	@tools/lock.sh

AUDIT_VENV := build/audit-venv
audit:
	@tools/lock.sh --check
	@echo 'downloading pip-audit, and asking PyPI for known vulnerabilities'
	@[ -x $(AUDIT_VENV)/bin/pip-audit ] || \
	  { python3 -m venv $(AUDIT_VENV) && $(AUDIT_VENV)/bin/pip install --quiet --disable-pip-version-check pip-audit; }
	@$(AUDIT_VENV)/bin/pip-audit --strict --disable-pip --require-hashes -r tools/lock-$(ROS).txt

sbom:
	@python3 tools/sbom.py

clean:
	rm -rf build install log demo_output .pytest_cache .ruff_cache
