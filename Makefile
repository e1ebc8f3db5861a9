# SPDX-License-Identifier: GPL-2.0-or-later
#
#   make demo       see it work, on a real kernel
#   make test       every check and every test, as continuous integration runs them
#   make help       the rest

# ---- Settings -----------------------------------------------------------------------------------
# Where `make install` puts things; DESTDIR is the root they go under while a package is made.
PREFIX     ?= /usr
SYSCONFDIR ?= /etc
DESTDIR    ?=
# The Python that an installed schedpilot runs on. Not one from a home directory: services cannot see it.
PYTHON     ?= /usr/bin/python3
# A wheel of the project built before. Without it, `make install` builds one.
WHEEL      ?=
# More for pip: `--no-index --find-links FOLDER` installs on a machine without a network.
PIP_ARGS   ?=
# Only these tests: `make test TESTS=tests/library`, `make test TESTS='-m "not vm"'`.
TESTS      ?=
# The lab's kernel, if it is to be another than the root's own: `make test KERNEL=6.18`. Tests compile for
# its types, and those that need a kernel run on it. `schedpilot lab kernels` lists what there is.
KERNEL     ?= $(SCHEDPILOT_LAB_KERNEL)
export SCHEDPILOT_LAB_KERNEL := $(KERNEL)

CLANG_FORMAT ?= clang-format-19

# ---- Derived ------------------------------------------------------------------------------------
PY      := .venv/bin/python
LIBDIR  := $(PREFIX)/lib/schedpilot
UNITDIR := $(PREFIX)/lib/systemd/system
DOCDIR  := $(PREFIX)/share/doc/schedpilot
HELPERS := schedpilot-runner schedpilot-signals schedpilot-recorder
HELPER_DIR := build/helpers
UNITS   := schedpilotd.service schedpilot-agent.service
C_DIRS  := bpf scheduler_library simulator benchmarks demo tests
C_FILES  = $(shell find $(C_DIRS) -name '*.[ch]')

.DEFAULT_GOAL := help
.PHONY: help demo test check coverage docs format inspector servers bench setup lab helpers wheel install uninstall clean
# A target that failed half-way leaves nothing that looks finished.
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   \(make [dt].*\)/\1/p' Makefile
	@echo 'make check      formatting, lint, types'
	@echo 'make coverage   how much of the code the tests reach that need no kernel'
	@echo 'make docs       the site of the documents, in build/site'
	@echo 'make format     put the formatting right'
	@echo 'make bench      the measurements of docs/benchmarks.md'
	@echo 'make setup      what the others need: packages and .venv'
	@echo 'make lab        the virtual machine with a sched_ext kernel'
	@echo 'make install    PREFIX=/usr DESTDIR= WHEEL= PIP_ARGS=; undo with make uninstall'
	@echo 'make clean      remove what was built in the tree'

# ---- Work in the tree ---------------------------------------------------------------------------
setup:
	@packaging/setup

lab: setup
	@$(PY) -m lab build

demo: lab
	@$(PY) -m demo

check: setup
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)

format: setup
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix-only .
	$(CLANG_FORMAT) -i $(C_FILES)

# Every warning is an error: a link that leads nowhere, a page that no menu has.
docs: setup
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict

# Tests that need no kernel run first, side by side. Then the lab's tests, which have the machine to
# themselves. Python counts the lines and branches that tests reach at next to no cost from 3.14 on;
# an older one would make the first half take up to twice as long, so there it is a command of its own.
HOST_TESTS = $(PY) -m pytest -m 'not vm and not long' -n auto --maxprocesses 8 --dist loadfile
# The lab's tests are in these files (tests/conftest.py checks it); the others need not be read.
LAB_FILES = $(sort $(shell grep -rl --include='test_*.py' 'mark\.vm' tests))
COUNTED = --cov --cov-report=
SUMMARY = $(PY) -m coverage json -q -o build/coverage/report.json && \
	$(PY) -m tests.coverage_summary build/coverage/report.json
CHEAP = $(shell $(PY) -c 'import sys; print("yes" if sys.version_info >= (3, 14) else "")')

test: check docs lab inspector servers
ifeq ($(strip $(TESTS)),)
	@mkdir -p build/coverage
	$(HOST_TESTS) $(if $(CHEAP),$(COUNTED))
	@$(if $(CHEAP),$(SUMMARY),echo 'coverage: not counted before Python 3.14; make coverage counts it')
	$(PY) -m pytest -m 'vm and not long' --durations 20 $(LAB_FILES)
else
	$(PY) -m pytest $(TESTS)
endif

# The tests that need no kernel, and how much of the code they reach.
coverage: setup inspector servers
	@mkdir -p build/coverage
	$(HOST_TESTS) $(COUNTED)
	@$(SUMMARY)

# Without it one test is skipped, which is a failure in continuous integration only.
inspector: setup
	-@packaging/inspector

# The same; on a machine that somebody works on, no server is installed for a test.
servers: setup
ifeq ($(CI),true)
	-@packaging/setup redis-server postgresql
endif

bench: lab
	@$(PY) -m benchmarks

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# ---- Install ------------------------------------------------------------------------------------
# Against this machine's libbpf. The lab builds its own, with the guest's.
helpers:
	$(MAKE) --no-print-directory -C bpf OUT=$(abspath $(HELPER_DIR))

# The project as one file, for make install WHEEL=build/wheel/….whl elsewhere.
wheel: setup
	rm -rf build/wheel
	$(PY) -m pip wheel -q --disable-pip-version-check --no-deps -w build/wheel .

ROOTED   = $(DESTDIR)$(LIBDIR)
CONFIG   = $(DESTDIR)$(SYSCONFDIR)/schedpilot/schedpilot.toml
PIP      = -m pip install -q --disable-pip-version-check --no-warn-script-location
# Units and the command name the prefix; the files in systemd/ are written for /usr.
PREFIXED = sed -e 's|/usr/bin/|$(PREFIX)/bin/|g' -e 's|/usr/lib/|$(PREFIX)/lib/|g' \
	-e 's|/usr/share/|$(PREFIX)/share/|g' -e 's|/etc/schedpilot|$(SYSCONFDIR)/schedpilot|g'

install: helpers
	install -d $(DESTDIR)$(PREFIX)/bin $(ROOTED) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(DOCDIR)/docs/adr \
		$(DESTDIR)$(PREFIX)/lib/systemd/catalog $(DESTDIR)$(PREFIX)/lib/sysusers.d \
		$(DESTDIR)$(PREFIX)/lib/tmpfiles.d $(dir $(CONFIG))
	install -m 0755 $(addprefix $(HELPER_DIR)/,$(HELPERS)) $(ROOTED)/
	$(PYTHON) -m venv --clear $(ROOTED)/venv
	$(ROOTED)/venv/bin/python $(PIP) $(PIP_ARGS) $(or $(WHEEL),.)
	printf '%s\n' '#!$(LIBDIR)/venv/bin/python -I' 'from cli.main import main' 'main()' \
		>$(DESTDIR)$(PREFIX)/bin/schedpilot
	chmod 0755 $(DESTDIR)$(PREFIX)/bin/schedpilot
	for unit in $(UNITS); do \
		$(PREFIXED) systemd/$$unit >$(DESTDIR)$(UNITDIR)/$$unit || exit 1; \
	done
	$(PREFIXED) systemd/schedpilot.catalog >$(DESTDIR)$(PREFIX)/lib/systemd/catalog/schedpilot.catalog
	$(PREFIXED) systemd/schedpilot.tmpfiles >$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/schedpilot.conf
	install -m 0644 systemd/schedpilot.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/schedpilot.conf
	install -m 0644 systemd/schedpilot.toml $(ROOTED)/schedpilot.toml
	test -e $(CONFIG) || install -m 0644 systemd/schedpilot.toml $(CONFIG)
	install -m 0644 README.md CHANGELOG.md LICENSE $(DESTDIR)$(DOCDIR)/
	install -m 0644 docs/*.md $(DESTDIR)$(DOCDIR)/docs/
	install -m 0644 docs/adr/*.md $(DESTDIR)$(DOCDIR)/docs/adr/
	@if [ -z '$(DESTDIR)' ]; then packaging/register add; \
	else echo 'Staged. On the machine itself: packaging/register add'; fi

# What the operator wrote stays: a changed configuration, and the state folder.
uninstall:
	@if [ -z '$(DESTDIR)' ]; then packaging/register stop; fi
	if cmp -s $(ROOTED)/schedpilot.toml $(CONFIG); then rm -f $(CONFIG); fi
	rm -f $(DESTDIR)$(PREFIX)/bin/schedpilot $(addprefix $(DESTDIR)$(UNITDIR)/,$(UNITS)) \
		$(DESTDIR)$(PREFIX)/lib/systemd/catalog/schedpilot.catalog \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d/schedpilot.conf \
		$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/schedpilot.conf
	rm -rf $(ROOTED) $(DESTDIR)$(DOCDIR)
	[ ! -d $(dir $(CONFIG)) ] || rmdir --ignore-fail-on-non-empty $(dir $(CONFIG))
	@if [ -z '$(DESTDIR)' ]; then packaging/register forget; fi
