# Every target does its own set-up: Python 3.11 or newer, make and network are all it needs.
PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.8
STAMP := .venv/.installed
# Half the CPU of a short command is spent on compiling its imports, where bytecode is not kept.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup browser demo test campaigns coverage pythons crash crowd endurance hunt moto layouts hostfactory apart readers takeover coherence chaos mutation scale check format docs docs-serve lock bench release notes audit extras services services-stop doctor

help: ## the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## the virtual environment with everything that is locked

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Holdfast needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say which: make PYTHON=python3.12")'
	@echo "setting up .venv (once; one or two minutes)"
	@test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $@

demo: $(STAMP) ## a generated traffic scene, or VIDEO=path: ingested, detected, reported
	@$(BIN)/holdfast demo $(if $(VIDEO),"$(VIDEO)")

PYTEST := $(BIN)/python -m pytest -n $(or $(WORKERS),4) --dist loadscope --no-loadscope-reorder

test: $(STAMP) ## all tests but the campaigns, WORKERS=4 at once, for they wait more than they compute
	@$(PYTEST) -m "not campaign"

campaigns: $(STAMP) ## the long tests: kills, random requests, suites again on servers, releases, services
	@$(PYTEST) -m campaign

coverage: $(STAMP) ## lines and branches that the tests reach, printed by file (TESTS=tests/records); pages in .coverage-pages/
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m $(subst $(BIN)/python -m ,,$(PYTEST)) -q $(TESTS); \
		code=$$?; $(BIN)/coverage combine --quiet; $(BIN)/coverage html --quiet; $(BIN)/coverage report; exit $$code

pythons: $(STAMP) ## the tests on every supported Python (VERSIONS="3.12 3.14", TESTS=tests/records)
	@$(BIN)/python -m tools.pythons $(VERSIONS) --workers $(or $(WORKERS),4) $(if $(TESTS),--tests $(TESTS))

crash: $(STAMP) ## the main job, registrations, the sequencer, workers and their servers killed twenty times each
	@HOLDFAST_TEST_KILLS=20 $(BIN)/python -m pytest -q tests/cli/test_crashes.py \
		tests/cli/test_on_servers.py tests/models/test_crash_safety.py tests/audit/test_killed_sequencer.py \
		tests/jobs/test_killed_steps.py tests/jobs/test_killed_claims.py tests/jobs/test_server_faults.py

crowd: $(STAMP) ## 50 claimers and 10,000 jobs on each backend, each job once
	@HOLDFAST_TEST_CLAIMERS=50 HOLDFAST_TEST_JOBS=10000 $(BIN)/python -m pytest -q \
		tests/jobs/test_claim_many.py -k get_each_job_once

HUNTS := transactions audit queries s3_server redis_server films dynamodb_races jobs

hunt: $(STAMP) ## random searches for faults, MINUTES=10 each; ONLY="queries films" some of them
	@for each in $(or $(ONLY),$(HUNTS)); do \
		echo "$$each: $(or $(MINUTES),10) minutes"; \
		$(BIN)/python tests/hunt/$$each.py --minutes $(or $(MINUTES),10) || exit 1; \
	done

moto: $(STAMP) ## the public suite on moto's server, the other emulator of DynamoDB
	@$(BIN)/python -m pytest -q -n $(or $(WORKERS),2) tests/records/dynamodb/moto_suite.py

layouts: $(STAMP) ## models in layouts of OCI, by skopeo and ORAS (installed where missing)
	@PYTHONPATH=. $(BIN)/python tests/models/layout_trips.py

hostfactory: $(STAMP) ## the HostFactory scripts beside those of Open Resource Broker
	@PYTHONPATH=.:tests $(BIN)/python tests/hosts/orb_trip.py

apart: $(STAMP) ## workers on three hosts (network namespaces, as root): one cut off, one without power
	@PYTHONPATH=.:tests $(BIN)/python tests/hosts/apart_trip.py

readers: $(STAMP) ## results of a film read by DuckDB, Polars and Ray, in an environment of their own
	@PYTHONPATH=.:tests $(BIN)/python tests/media/readers_trip.py

takeover: $(STAMP) ## jobs of the real procrastinate, Celery and arq are taken over
	@PYTHONPATH=.:tests $(BIN)/python tests/integrations/queues/takeover_trip.py

coherence: $(STAMP) ## two clients, a cache hurt at random, stale reads counted (MINUTES=10)
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements-bench.lock
	@$(BIN)/python tests/cache/coherence.py --minutes $(or $(MINUTES),10)

chaos: $(STAMP) ## the whole platform hurt at random, what it promised counted (MINUTES=10, SEED=, EMBEDDED=1, PLANT=)
	@PYTHONPATH=.:tests $(BIN)/python -m chaos --minutes $(or $(MINUTES),10) \
		$(if $(SEED),--seed $(SEED)) $(if $(EMBEDDED),--embedded) $(if $(PLANT),--plant $(PLANT))

mutation: $(STAMP) ## is code that is changed noticed by the tests? ONLY="proofs floors", MINUTES=20 for each, GO_ON=1: what is left, FUNCTIONS="take add"
	@$(BIN)/python -m tools.mutation $(ONLY) --minutes $(or $(MINUTES),20) $(if $(GO_ON),--go-on) \
		$(if $(FUNCTIONS),--functions $(FUNCTIONS))

scale: $(STAMP) ## what an operation costs as tables and buckets grow (ROWS=10000,1000000 OBJECTS= ENTRIES= ONLY=sqlite,audit)
	@$(BIN)/python benchmarks/scale.py $(if $(ROWS),--rows $(ROWS)) $(if $(OBJECTS),--objects $(OBJECTS)) \
		$(if $(ENTRIES),--entries $(ENTRIES)) $(if $(ONLY),--only $(ONLY))

check: $(STAMP) ## lint, format, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pyright
	@$(BIN)/lint-imports
	@$(BIN)/lint-imports --config import-contracts-for-types.toml

format: $(STAMP) ## rewrite the code as the formatter wants it
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(STAMP) ## the documentation as a site in site/; a warning, a dead link or a foreign host is an error
	@$(BIN)/zensical build --strict --clean
	@$(BIN)/python -m tools.check_site site

docs-serve: $(STAMP) ## the same on http://localhost:8000, built again at each change
	@$(BIN)/zensical serve

COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header $(if $(UPGRADE),--upgrade)

lock: ## add to the lock files, and those of programs, what is asked for (UPGRADE=1: the newest of all)
	@test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet uv==$(UV_VERSION); }
	@$(BIN)/$(COMPILE) --all-extras --group dev --group bench \
		--output-file requirements-bench.lock pyproject.toml
	@$(BIN)/$(COMPILE) --all-extras --group dev --constraints requirements-bench.lock \
		--output-file requirements.lock pyproject.toml
	@$(BIN)/$(COMPILE) --output-file tools/services/moto.lock tools/services/moto.in
	@$(BIN)/$(COMPILE) --output-file tests/hosts/orb.lock tests/hosts/orb.in
	@$(BIN)/$(COMPILE) --output-file tests/media/readers.lock tests/media/readers.in
	@$(BIN)/$(COMPILE) --output-file tools/release/tools.lock tools/release/tools.in
	@$(BIN)/$(COMPILE) --constraints requirements-bench.lock \
		--output-file tools/mutation/tools.lock tools/mutation/tools.in

endurance: $(STAMP) ## jobs beside a transaction held open for 30 minutes' worth of 800 a second (JOBS=1440000)
	@$(BIN)/python benchmarks/jobs_endurance.py --jobs $(or $(JOBS),1440000)

bench: $(STAMP) ## measure against other libraries, and write docs/benchmarks.md (QUICK=1: a trial)
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements-bench.lock
	@$(BIN)/python benchmarks/run.py $(if $(QUICK),--quick)

release: $(STAMP) ## wheel, sdist, bill of materials and checksums of HEAD in dist/ (KEY=an SSH key signs)
	@$(BIN)/python -m tools.release make $(if $(KEY),--key $(KEY))

notes: $(STAMP) ## the release notes in changes/ become the next version in CHANGELOG.md and pyproject.toml
	@$(BIN)/python -m tools.release notes

audit: $(STAMP) ## known vulnerabilities of the packages that the extras bring in
	@$(BIN)/python -m tools.release audit

extras: $(STAMP) ## each extra installed alone, and its part of the tutorial run
	@$(BIN)/python -m tools.release.extras $(EXTRAS)

services: ## install and start the real servers of the tests
	@$(PYTHON) -m tools.services start $(SERVICES_FLAGS)

browser: $(STAMP) ## install the browsers that the tests of the console drive
	@$(BIN)/python -m tools.browser

services-stop: ## stop them
	@$(PYTHON) -m tools.services stop

doctor: $(STAMP) ## what works here, what is missing and how to get it, servers included
	@PYTHONPATH=. $(BIN)/holdfast doctor
