# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The front doors. Each does its own set-up: a machine needs Python 3.11 or newer, make and a package index.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON  ?=
CLUSTER ?= lab/clusters/three-nodes.yml
PORT    ?= 8006
SPEED   ?= 1

ENTER = @PYTHON='$(PYTHON)' sh tools/enter.sh

.PHONY: help demo lab bench test oldest matrix lint unit zfs sanity molecule docs package format pins clean

help:  ## say what there is
	@echo "make demo      upgrade a simulated cluster of five nodes, before your eyes"
	@echo "make lab       serve a simulated cluster   CLUSTER=$(CLUSTER) PORT=$(PORT) SPEED=$(SPEED)"
	@echo "make test      every check and test there is"
	@echo "make oldest    the tests of modules, under Python 3.11 and ansible-core 2.19"
	@echo "make matrix    the same and sanity under each supported ansible-core and Python, where the Pythons are found"
	@echo "make bench     measure, into build/bench.json"
	@echo "make docs      the documentation as HTML, in build/docs"
	@echo "make lint | unit | zfs | sanity | molecule | package   parts of make test"
	@echo "make format    mend what ruff can mend"
	@echo "make pins      renew the exact versions in constraints.txt"
	@echo "make clean     remove what was built"
	@echo
	@echo "The newest Python from 3.11 is used; PYTHON=/path/to/python3 chooses another."

demo:
	$(ENTER) demo python -m lab.demo

lab:
	$(ENTER) demo python -m lab --cluster "$(CLUSTER)" --port "$(PORT)" --speed "$(SPEED)"

bench:
	$(ENTER) dev python -m tests.bench

test:
	$(ENTER) dev python -m tools.check

# What depends on ansible-core, under the oldest supported one, which is the newest for this Python.
oldest:
	@sh tools/matrix.sh 3.11 core

matrix:
	@SANITY=yes sh tools/matrix.sh 3.11 core 3.12 core-2.20 3.12 core 3.13 core

lint unit zfs sanity molecule package:
	$(ENTER) dev python -m tools.check $@

format:
	$(ENTER) dev sh -c 'ruff check --fix --quiet . ; ruff format .'

docs:
	$(ENTER) dev python -m tools.docs

pins:
	$(ENTER) dev python -m tools.pins

clean:
	@area=$$("$$(sh tools/python.sh)" -m tools.area) && rm -rf "$$area" build tests/output
