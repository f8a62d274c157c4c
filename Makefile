# Every target sets up what it needs. `make` alone lists them.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
# Above the targets, whose prerequisites are read with them. TRAINING= leaves out training, and with it its tests.
LEARN := $(VENV)-training
TRAINING ?= yes
BIN := $(VENV)/bin
ARGS ?=
# One worker for each core and one more, because tests that wait leave a third of the cores idle. The tests of a file stay in one
# worker, because they share servers. PARALLEL= runs without workers.
PARALLEL ?= -n $(shell echo $$(($$(nproc) + 1))) --dist loadfile --no-loadscope-reorder --max-worker-restart 0
# A test that hangs inside a library, out of reach of Python, ends its worker after a quarter of an hour and the run is red.
# The worker does not start again, because the same test would hang again.
GUARD := -o faulthandler_timeout=900 -o faulthandler_exit_on_timeout=true

# The targets beyond `make test`. Each runs by $(DEEPLY), which keeps the date and the commit of its last green run in
# tests/last-green.toml; `make test-all` lists them. Those of the second list take Debian 12, too.
DEEP := docs test-all coverage stress fuzz faults mutants bench security fleet api test-acme test-brokers test-home-assistant test-psychopy test-pipx test-container test-container-arm
DEEP_ON_DEBIAN := test-appliance test-appliance-fleet test-appliance-arm test-fresh
# `.ci/run` runs the small forms of the first list each time, and those of all others in turn but for what takes too long or
# boots machines: whoever changes what these try runs them.
EACH_TIME := docs test-acme test-brokers test-pipx api
BY_HAND := test-all coverage stress bench test-container test-container-arm $(DEEP_ON_DEBIAN)
IN_TURN = $(filter-out $(EACH_TIME) $(BY_HAND),$(DEEP))
# SMALL=yes: the small form, which does the same work with less of it. These have one; the others are small as they are.
SMALL ?=
HAVE_SMALL := api fuzz faults mutants security test-home-assistant
DEEPLY = $(call deeply,$(BIN))
deeply = $1/python -B -m tools.last_green '$@$(if $(filter $@,$(DEEP_ON_DEBIAN)),$(SUITE:%= SUITE=%))$(if $(filter $@,$(HAVE_SMALL)),$(SMALL:%= SMALL=%))' $(if $(ARGS),--part) --
small = $(if $(SMALL),$1,$2)
SUITE ?= trixie

.PHONY: help demo test test-unit test-training deep release release-key image-layer lint quick hook formatted judged typed typed-training shell-checked worded write style format screenshots container fleet-containers fleet-server clean $(DEEP) $(DEEP_ON_DEBIAN)
help:
	@echo "make demo          agent and dashboard on a demonstration camera; ARGS='--seconds 60 --data DIR --port N'"
	@echo "make test          lint, then the tests (real broker, real browser, real models); what CI runs"
	@echo "make test-all      the same with the deep tests: every page, size, language and theme, long fuzz, trainings, RabbitMQ, R, a fleet, its containers; lists the last green run of each target beyond make test"
	@echo "make deep          what CI runs after make test: cheap deep targets whole, and one dear one in turn in its small form (SMALL=yes)"
	@echo "make test-training  the tests of training alone, by its own environment (.venv-training)"
	@echo "make test-unit     the unit and contract tests alone, quick"
	@echo "make stress        the tests ten times, every second time beside two busy loops; names what failed; ARGS='--runs 3'"
	@echo "make coverage      all tests outside the browser with the lines that they run; fails below 92 %"
	@echo "make fuzz          10,000 odd payloads to each decoder, parser of files and endpoint (make test sends 40 to 300); FUZZ_SEED=N: others"
	@echo "make faults        about 1,000 faults on purpose, for 20 minutes, and what they cost; ARGS='--only power --minutes 5'"
	@echo "make mutants       breaks the code in 120 places, one at a time; 90 % must be noticed; ARGS='--seed 2 --number 200'"
	@echo "make test-fresh    make test of HEAD on a bare Debian 13 (root or sudo, minutes); SUITE=bookworm: Debian 12"
	@echo "make test-acme     certbot and lego get certificates from Pebble, and the dashboard takes them (Debian's packages; a minute)"
	@echo "make test-home-assistant  the agent beside the real Home Assistant for ten minutes (Python 3.12; installs 540 MB once, in ~/.cache)"
	@echo "make test-psychopy  the lines of docs/control.md in the real PsychoPy (installs 2 GB once, in ~/.cache)"
	@echo "make test-brokers  the agent beside mosquitto, RabbitMQ, NATS and aedes, through every kind of door (minutes)"
	@echo "make test-pipx     pipx install, as docs/install.md says it, up to a face on the page Live (twice 450 MB; minutes)"
	@echo "make test-container  builds and runs the containers, updates and ends them (podman as root, or for users; minutes)"
	@echo "make test-container-arm  builds the image for 64-bit ARM and runs it, emulated (root, a quarter of an hour)"
	@echo "make test-appliance  install, break, update and remove it on a booted Debian (root, minutes); SUITE=bookworm: Debian 12"
	@echo "make test-appliance-fleet  a fleet's server on a booted Debian: PostgreSQL, mosquitto, its unit, a device (root, minutes)"
	@echo "make test-appliance-arm  the release on the Pi's processor, emulated; its models' answers beside x86-64's (root, minutes)"
	@echo "make release       the archive for \`affect-edge update\`, images, an app for Home Assistant; KEY=FILE signs, \`make release-key KEY=FILE\` makes a key"
	@echo "make image-layer   what pi-gen or rpi-image-gen copy into a ready image; SUITE=bookworm: for Raspberry Pi OS 12"
	@echo "make quick         what judges the text alone, in 3 seconds: ruff, the words, the habits of make style; lint and test begin with it"
	@echo "make hook          lets git run make quick before each commit of this checkout"
	@echo "make lint          make quick, then mypy --strict and shellcheck"
	@echo "make write         the files that follow from the source: catalogues, manual page, golden files, figures of documents; names what is to be translated"
	@echo "make style         sizes of code, tests and documentation, and what is judged, beside the bars; ARGS=--list names the places"
	@echo "make bench         what this machine does, beside the bars"
	@echo "make fleet         many devices, a broker, collectors and PostgreSQL, beside the bars, in 3 minutes; ARGS=--long: 10,000 devices, 75 minutes"
	@echo "make security      the bars of security: units, routes, requests of every shape, damaged inputs, a crowd at the dashboard's door; a quarter of an hour"
	@echo "make api           about 4,000 requests a role to the API, right and wrong ones, beside its description; ARGS='--examples 5 --role viewer'"
	@echo "make screenshots   the pictures of the README and of the documentation, from the running demo"
	@echo "make docs          the documentation as a site, in build/site; ARGS=--serve shows it at http://127.0.0.1:8000"
	@echo "make fleet-containers  the images of a fleet's server (docs/fleet.md); ARGS as for make container"
	@echo "make fleet-server  builds and starts them with podman-compose; NAME=server.example DEVICES='room-1 room-2'"
	@echo "make container     the images of docs/containers.md, by podman; ARGS='--build-arg BASE=IMAGE' builds on another Debian 13"
	@echo "make clean         removes the virtual environment and caches"

demo: $(VENV)/.demo
	@exec $(BIN)/affect-edge demo $(ARGS)

# The tests start hundreds of programs of ours. Where this is set, each of them would translate
# all that it loads again, which costs minutes of processor time.
test test-all test-unit stress coverage: export PYTHONDONTWRITEBYTECODE =

TOOLS := openssl openssh-client age
SERVERS := $(TOOLS) mosquitto postgresql nginx-light dbus-daemon gcc libc6-dev libfaketime mandoc
# What tests follow the documentation with, and what computes anew: without them these tests would be skipped.
JUDGES := curl zsh fish r-base-core r-cran-lme4 r-cran-lmertest
BROWSER := chromium-headless-shell libatomic1
# What gives containers names for each other has another name on Debian 12, and crun starts none beside both versions of cgroups.
NAMES := $(shell grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release && echo golang-github-containernetworking-plugin-dnsname || echo netavark aardvark-dns)
CONTAINERS := podman podman-compose debootstrap $(NAMES) $(if $(wildcard /sys/fs/cgroup/unified),runc)
OTHERS := $(CONTAINERS) mono-mcs mono-runtime libmono-system-net-http4.0-cil rabbitmq-server

# Tests of training run by its own environment, with what it needs, where it was touched since they were green.
TOUCHED = $(BIN)/python -B -m tools.touched
NOT_LEARNING := -m "not deep and not training"
LEARNING := -m "not deep and training" tests/unit/training tests/integration/training tests/docs/test_snippets.py

# LINT=: without the checks of lint, which .ci/run makes beside the tests.
LINT ?= lint
test: $(VENV)/.dev quick $(LINT) servers
	@./tools/in-memory $(BIN)/python -m pytest $(PARALLEL) $(GUARD) $(NOT_LEARNING) $(ARGS)
	@$(if $(ARGS),,$(if $(TRAINING),! $(TOUCHED) || $(MAKE) --no-print-directory test-training))

# Where PyTorch could not be had, the environment is empty, and what made it said so.
test-training: $(if $(TRAINING),$(LEARN)/.dev)
	@$(if $(TRAINING),[ ! -e $(LEARN)/bin/pytest ] || ./tools/in-memory $(call deeply,$(LEARN)/bin) -m pytest $(PARALLEL) $(GUARD) $(LEARNING) $(ARGS))

test-all: lint servers
	@./tools/system-packages $(OTHERS)
	@$(if $(ARGS),,$(MAKE) --no-print-directory test-training LEARNING='$(subst not deep and ,,$(LEARNING))')
	@./tools/in-memory $(DEEPLY) -m pytest $(PARALLEL) $(GUARD) -m "not training" $(ARGS); status=$$?; \
	$(BIN)/python -m tools.last_green test-training $(DEEP) $(HAVE_SMALL:%='% SMALL=yes') $(foreach suite,trixie bookworm,$(DEEP_ON_DEBIAN:%='% SUITE=$(suite)')); exit $$status

# What .ci/run runs after `make test`.
deep: $(VENV)/.dev
	@$(BIN)/python -B -m tools.run_deep --each $(EACH_TIME) --in-turn $(IN_TURN)

stress: $(VENV)/.dev servers
	@./tools/in-memory $(DEEPLY) -m tools.stress $(ARGS) -- $(PARALLEL) $(GUARD)

test-unit: $(VENV)/.dev
	@./tools/system-packages $(TOOLS)
	@./tools/in-memory $(BIN)/python -m pytest $(PARALLEL) $(GUARD) tests/unit tests/contracts $(ARGS)

# Counting lines is nearly free from Python 3.12 on; before, the tests take a third longer.
coverage: $(VENV)/.dev servers
	@./tools/system-packages $(OTHERS)
	@COVERAGE_CORE=$$($(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")') \
	$(DEEPLY) -m pytest $(PARALLEL) $(GUARD) --cov --cov-report=term-missing:skip-covered --ignore=tests/browser $(ARGS)

fuzz: $(VENV)/.dev
	@FUZZ_PAYLOADS=$(call small,800,10000) $(DEEPLY) -m pytest -s -m "deep or not deep" -k "payload or odd_messages or odd_requests or any_bytes or any_list or any_part" \
	tests/integration/vitals/test_ingest_fuzz.py tests/integration/fuzz tests/unit/vitals $(ARGS)

faults: $(VENV)/.dev
	@./tools/system-packages mosquitto gcc libc6-dev libfaketime
	@nice -n 10 $(DEEPLY) -m tests.faults $(call small,--minutes 3) $(ARGS)

mutants: $(VENV)/.dev
	@./tools/system-packages mosquitto
	@nice -n 10 $(DEEPLY) -m tools.mutants $(call small,--modules 2 --seed $(shell git rev-list --count HEAD) --minutes 4 --bar 75) $(ARGS)

# From an authority by ACME: clients and test server of Debian, which `make test` does not install.
test-acme: $(VENV)/.dev
	@./tools/system-packages pebble certbot lego curl
	@$(DEEPLY) -m pytest tests/integration/appliance/with_acme.py $(ARGS)

# Home Assistant is too large for `make test`, which judges the message for it by its own lists instead.
test-home-assistant: $(VENV)/.dev
	@./tools/system-packages mosquitto
	@$(call small,HOME_ASSISTANT_SECONDS=60) $(DEEPLY) -m pytest -s -p no:cacheprovider tests/integration/home_assistant/with_core.py $(ARGS)

# PsychoPy, too, with a window that nobody sees.
test-psychopy: $(VENV)/.dev
	@./tools/system-packages xvfb xauth
	@$(DEEPLY) -m pytest -s -p no:cacheprovider tests/integration/laboratory/with_psychopy.py $(ARGS)

# Brokers of others, too large for `make test`: versions × transports × encryption, and the words where a setting is wrong.
test-brokers: $(VENV)/.dev
	@./tools/system-packages mosquitto openssl rabbitmq-server nats-server nodejs npm
	@$(DEEPLY) -m pytest -s -p no:cacheprovider tests/integration/brokers/with_brokers.py $(ARGS)

# The program as pipx installs it, twice, with the packages that pip finds: too long for `make test`, which looks into the wheel.
test-pipx: $(VENV)/.dev
	@./tools/system-packages chromium-headless-shell libatomic1
	@$(DEEPLY) -m pytest -s -p no:cacheprovider tests/appliance/with_pipx.py $(ARGS)

test-appliance: $(VENV)/.dev
	@./tools/system-packages systemd-container debootstrap slirp4netns openssl openssh-client
	@SUITE=$(SUITE) $(DEEPLY) -m pytest tests/appliance/on_debian.py -vv -s -p no:cacheprovider -o timeout=1800 $(ARGS)

test-appliance-fleet: $(VENV)/.dev
	@./tools/system-packages systemd-container debootstrap slirp4netns openssl openssh-client
	@SUITE=$(SUITE) $(DEEPLY) -m pytest tests/appliance/fleet_on_debian.py -vv -s -x -p no:cacheprovider -o timeout=1800 $(ARGS)

test-fresh: | $(VENV)/bin/python
	@./tools/system-packages git systemd-container debootstrap slirp4netns
	@$(DEEPLY) -B -m tests.appliance.fresh $(SUITE) $(ARGS)

test-appliance-arm: $(VENV)/.dev
	@./tools/system-packages systemd-container debootstrap qemu-user-static
	@SUITE=$(SUITE) $(DEEPLY) -m pytest tests/appliance/on_arm.py -vv -s -p no:cacheprovider -o timeout=3600 $(ARGS)

release: $(VENV)/.dev
	@$(if $(KEY),./tools/system-packages openssh-client)
	@$(BIN)/python -m tools.build_release $(if $(KEY),--key '$(KEY)') $(if $(IMAGE),--image '$(IMAGE)') $(ARGS)

release-key: $(VENV)/.dev
	@[ -n "$(KEY)" ] || { echo "Say where the private part goes, outside of this folder: make release-key KEY=FILE" >&2; exit 1; }
	@./tools/system-packages openssh-client
	@$(BIN)/python -m tools.build_release --make-key '$(KEY)'

image-layer: $(VENV)/.dev
	@$(BIN)/python -m tools.build_image_layer --suite $(SUITE) $(ARGS)

# Both at once, because the type checker works in one process. The quick check comes before: it is what fails most.
lint: quick
	@$(MAKE) --no-print-directory --jobs --keep-going --output-sync typed shell-checked

quick: $(VENV)/.dev
	@$(MAKE) --no-print-directory --jobs --keep-going --output-sync formatted worded judged

judged: $(VENV)/.dev
	@$(BIN)/python -m tools.style --judged

# A hook that somebody wrote stays.
hook:
	@hook=$$(git rev-parse --git-path hooks/pre-commit) && mkdir -p "$$(dirname "$$hook")" && \
	if [ -e "$$hook" ] && ! grep -q 'make .*quick' "$$hook"; then \
	echo "$$hook is there already: add the line make --no-print-directory quick to it" >&2; exit 1; fi && \
	printf '#!/bin/sh\nexec make --no-print-directory quick\n' >"$$hook" && chmod +x "$$hook" && \
	echo "git runs make quick before each commit; git commit --no-verify leaves it out"

formatted: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

# Training is checked beside the packages that it has: the files of `[tool.mypy]` are those of both environments. Workers of mypy
# (`--num-workers`) have three seconds to start, too few on a machine at work, and save no processor time.
TRAINED := training tests/unit/training tests/integration/training tests/support/vision/line_task.py
typed: $(VENV)/.dev
	@$(BIN)/mypy --follow-imports silent --exclude '^($(subst $(eval) ,|,$(TRAINED)))' \
	affect_edge edge_agent collector container dashboard benchmarks tests tools
	@$(if $(TRAINING),! $(TOUCHED) || $(MAKE) --no-print-directory typed-training)

typed-training: $(LEARN)/.dev
	@if [ -e $(LEARN)/bin/mypy ]; then $(LEARN)/bin/mypy --follow-imports silent --cache-dir .mypy_cache/training $(TRAINED); \
	else echo "PyTorch is missing: training is not checked"; fi

shell-checked:
	@./tools/system-packages shellcheck
	@shellcheck install.sh .ci/run tools/system-packages tools/in-memory docs/fleet-on-debian.sh docs/second-screen.sh container/start-broker container/fleet/start-database container/fleet/fleet-secrets image/pi-gen/prerun.sh image/pi-gen/00-affect-edge/01-run.sh

worded: $(VENV)/.dev
	@$(BIN)/python -m tools.words

# What follows from the source; a test names each that is out of date.
write: $(VENV)/.dev
	@$(BIN)/python -m tools.write_configuration
	@$(BIN)/python -m tools.write_registers
	@$(BIN)/python -m tools.write_questions
	@$(BIN)/python -m tools.write_figures
	@$(BIN)/python -m tools.render_statistics
	@$(BIN)/python -m tools.documents.write_manual
	@$(BIN)/python -m tools.languages update
	@$(BIN)/python -m tools.languages compile
	@$(BIN)/python -m tools.languages check || echo "Translate these in dashboard/languages/catalogues/*/LC_MESSAGES/affect-edge.po, then run make write again."
	@$(BIN)/python -m tests.golden.rewrite

style: $(VENV)/.dev
	@$(BIN)/python -m tools.style $(ARGS)

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev
	@$(DEEPLY) -m benchmarks $(ARGS)

fleet: $(VENV)/.dev
	@./tools/system-packages mosquitto postgresql rabbitmq-server
	@$(DEEPLY) -m benchmarks.fleet.fleet $(ARGS)

security: $(VENV)/.dev
	@./tools/system-packages systemd
	@$(DEEPLY) -m benchmarks security crowd $(call small,--small) $(ARGS)

# Requests of every shape to every operation of the API, by schemathesis, for each role.
api: $(VENV)/.dev
	@nice -n 10 $(DEEPLY) -m tests.integration.api.conformance $(call small,--examples 1 --small) $(ARGS)

screenshots: $(VENV)/.dev
	@./tools/system-packages chromium-headless-shell libatomic1
	@$(BIN)/python -m tools.screenshots $(ARGS)

docs: $(VENV)/.dev
	@$(if $(ARGS),,./tools/system-packages $(BROWSER))
	@$(BIN)/python -m tools.documents.build_site $(ARGS)
	@$(if $(ARGS),,$(DEEPLY) -m pytest -p no:cacheprovider tests/docs/with_built_site.py)

# HEALTHCHECK is part of docker's format alone.
TAG ?= latest
container:
	@./tools/system-packages podman
	@podman build --format docker --file container/Containerfile --target program --tag localhost/affect-edge:$(TAG) $(ARGS) .
	@podman build --format docker --file container/Containerfile --target broker --tag localhost/affect-edge-broker:$(TAG) $(ARGS) .
	@podman build --format docker --file container/Containerfile --target home-assistant --tag localhost/affect-edge-home-assistant:$(TAG) \
	--build-arg VERSION=$(TAG) $(ARGS) .

fleet-containers:
	@./tools/system-packages podman
	@podman build --format docker --file container/Containerfile --target program --build-arg PARTS=fleet --tag localhost/affect-edge-fleet $(ARGS) .
	@podman build --format docker --file container/Containerfile --target broker --tag localhost/affect-edge-broker $(ARGS) .
	@podman build --format docker --file container/Containerfile --target database --tag localhost/affect-edge-database $(ARGS) .

# The name is asked for before the images are built, which takes minutes.
COMPOSE ?= podman-compose
fleet-server: export AFFECT_EDGE_SECRETS ?= $(CURDIR)/container/fleet/secrets
fleet-server:
	@[ -n "$(NAME)" ] || { echo "Say by which name or address appliances reach this machine: make fleet-server NAME=server.example DEVICES='room-1 room-2'" >&2; exit 2; }
	@$(MAKE) fleet-containers
	@mkdir -p "$$AFFECT_EDGE_SECRETS"
	@podman run --rm --user 0 --network none --volume "$$AFFECT_EDGE_SECRETS:/out:z" localhost/affect-edge-broker fleet-secrets $(NAME) $(DEVICES)
	@$(COMPOSE) --file container/fleet/compose.yaml up --detach --no-build --force-recreate

test-container: $(VENV)/.dev
	@./tools/system-packages $(CONTAINERS)
	@$(DEEPLY) -m pytest tests/appliance/in_containers.py tests/appliance/test_fleet_in_containers.py -m 'deep or not deep' -vv -s -p no:cacheprovider -o timeout=1800 $(ARGS)

test-container-arm: $(VENV)/.dev
	@./tools/system-packages $(CONTAINERS) qemu-user-static
	@$(DEEPLY) -m pytest tests/appliance/arm_container.py -vv -s -p no:cacheprovider $(ARGS)

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed and was not found; on Debian: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "the virtual environment could not be made; on Debian: apt install python3-venv" >&2; exit 1; }

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	@echo "Installing Affect Edge into $(VENV) (once, some minutes) …"
	@$(BIN)/pip install -q --disable-pip-version-check -e .
	@touch $@

EXTRAS ?= dev,ble
# The tests load a tenth of what is installed; Python translates each module when it is first loaded, and keeps it.
PIP_OPTIONS := -q --disable-pip-version-check --no-compile
# The tests run with the versions that an appliance installs; a Python for which none are pinned gets the newest. pip and setuptools
# only install.
PINS = $(wildcard requirements/linux-$(shell uname -m)-py$(shell $(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')*.txt)
$(VENV)/.dev: pyproject.toml $(wildcard requirements/*.txt) | $(VENV)/bin/python
	@echo "Installing Affect Edge with its test tools into $(VENV) (once, some minutes) …"
	@sed '/^#/d; /^pip==/d; /^setuptools==/d; s/ --hash.*//' /dev/null $(PINS) | sort -u >$(VENV)/pins.txt
	@$(BIN)/pip install $(PIP_OPTIONS) -c $(VENV)/pins.txt -e ".[$(EXTRAS)]"
	@$(BIN)/pip install $(PIP_OPTIONS) --no-deps picamera2 2>/dev/null || echo "picamera2 was not found by pip: the tests of how it scores modes are skipped."
	@touch $@ $(VENV)/.demo

# Training has an environment of its own, because what turns a network into TFLite needs older packages than an appliance installs.
# PyTorch comes first and alone, pinned: every later requirement is then met by it. On x86-64 only its CPU build is taken
# (the other one brings gigabytes of CUDA). pip is asked where it is told to look, then PyTorch's own index, which alone
# carries that build on most machines; where neither has it, the tests of training say so and are skipped.
TORCH := torch==2.13.0$(if $(filter x86_64,$(shell uname -m)),+cpu)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
.PHONY: torch
torch: $(if $(TRAINING),$(LEARN)/.torch)
$(LEARN)/.torch: pyproject.toml | $(VENV)/bin/python
	@$(PYTHON) -m venv $(LEARN)
	@$(LEARN)/bin/pip install $(PIP_OPTIONS) '$(TORCH)' 2>/dev/null || \
	$(LEARN)/bin/pip install $(PIP_OPTIONS) --no-deps --retries 1 --timeout 15 --index-url $(TORCH_INDEX) '$(TORCH)' 2>/dev/null || \
	echo "$(TORCH) was found neither by pip nor at $(TORCH_INDEX): the tests of training are skipped."
	@touch $@
$(LEARN)/.dev: $(LEARN)/.torch
	@$(LEARN)/bin/python -c 'import importlib.util as found, sys; sys.exit(found.find_spec("torch") is None)' || exit 0; \
	echo "Installing what training needs into $(LEARN) (once, some minutes) …"; \
	$(LEARN)/bin/pip install $(PIP_OPTIONS) -e '.[training,unit,typed]'
	@touch $@

.PHONY: servers
servers:
	@./tools/system-packages shellcheck $(SERVERS) $(JUDGES) $(BROWSER)

clean:
	rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage build dist *.egg-info
