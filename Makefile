# SPDX-License-Identifier: GPL-2.0-or-later
# Set-up is part of every target: ./setup.sh does what is missing and nothing else.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test lint bench speed clean
LAB := .venv/bin/lab
SHELL_SCRIPTS := setup.sh .ci/run $(wildcard images/*/*.sh)

help:
	@echo "make run     set up and run the lab on lab.yaml; ARGS=\"'pv-*'\" selects cells"
	@echo "make test    set up, check the code, run all tests (they boot Xen)"
	@echo "make bench   set up and print the figures: seconds per guest kind, windows, yield"
	@echo "make speed   set up and print how fast the lab is, beside plain QEMU; ARGS=--no-host: quicker"
	@echo "make lint    the checks of the code alone"
	@echo "make setup   only set up; BOARDS=1: also what machines in a rack need (docs/boards.md)"
	@echo "make clean   remove what make built here; results/ and the cache stay"

setup:
	@./setup.sh

setup-dev:
	@./setup.sh --dev

run: setup
	@$(LAB) run $(ARGS); code=$$?; \
	echo "the same with a kernel of 2015, from kernel.org: $(LAB) run --plan mainline '*-3.19.8'"; exit $$code

bench: setup
	@$(LAB) run -c bench.yaml $(ARGS); code=$$?; $(LAB) figures "$${LAB_RESULTS:-results}/latest"; exit $$code

speed: setup
	@.venv/bin/python -m tests.benchmark $(ARGS)

test: lint
	.venv/bin/pytest $(ARGS)

lint: setup-dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	.venv/bin/reuse lint --quiet
	.venv/bin/python -m tests.words
	shellcheck $(SHELL_SCRIPTS)
	$(MAKE) --no-print-directory -s -C repro analyze

clean:
	$(MAKE) --no-print-directory -s -C repro clean
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache build *.egg-info
	find lab playbooks tests -name __pycache__ -type d -prune -exec rm -rf {} +
