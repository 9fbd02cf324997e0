# Two commands do everything on a fresh Debian 12 machine: `make demo` and `make test`. Both install what they need.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

CARGO ?= cargo
TRIPLE := $(shell uname -m)-unknown-linux-gnu
TARGET := $(CURDIR)/target
AGENT := $(TARGET)/agent-static/$(TRIPLE)/agent/ostler-agent
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ostler
WHEELS := $(CACHE)/wheels
NODEPOOL_WHEELS := $(CACHE)/nodepool-wheels
BENCH_TOOLS := $(CACHE)/bench/venv
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

# What the lab, the tests and the demo run on: real sshd, systemd, apt, git, qemu, the shells that take our completions.
PACKAGES := build-essential ca-certificates cmake git iproute2 nftables openssh-client openssh-server sudo \
	systemd-container mmdebstrap zstd apt-utils dpkg-dev e2fsprogs python3-venv python3-pip time zsh fish tcsh
VM_PACKAGES := qemu-system-x86 qemu-utils
# ZooKeeper is run by the tests themselves; the package `zookeeper` would bring a JRE with a desktop.
NODEPOOL_PACKAGES := libzookeeper-java default-jre-headless openssl
# Disks of images and the machines that boot them. In the tree itself, beside a kernel and initramfs-tools: grub2-common, grub-pc-bin, grub-efi-amd64-bin.
IMAGE_PACKAGES := mtools ovmf qemu-system-common fdisk
VAGRANT_PACKAGES := vagrant

.PHONY: build setup agent release wheels test full-jenkins full-images fmt gate demo bench house clean

## build: the controller with its agent inside, in target/release/ostler
build: release

## setup: the Debian packages that everything below needs
setup:
	@missing=$$(for p in $(PACKAGES) $(VM_PACKAGES) $(IMAGE_PACKAGES) $(NODEPOOL_PACKAGES) $(VAGRANT_PACKAGES); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		echo "setup: installing $$missing"; \
		$(SUDO) apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
	fi

## agent: the static agent, built once and passed to every other build
# It aborts where it panics: nothing of it is ever unwound, its C libraries neither, and neither tables nor index for that are in it.
agent: $(AGENT)

$(AGENT): $(shell find agent/src roles/src -name '*.rs' 2>/dev/null) agent/Cargo.toml agent/without-unwinding.ld roles/Cargo.toml Cargo.toml Cargo.lock
	CFLAGS="-fno-asynchronous-unwind-tables" RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static -C link-arg=-Wl,--no-eh-frame-hdr -C link-arg=-Wl,-T,agent/without-unwinding.ld" \
	$(CARGO) build --locked -p ostler-agent --profile agent --target $(TRIPLE) --target-dir $(TARGET)/agent-static
	@touch $@

release: agent
	OSTLER_AGENT=$(AGENT) $(CARGO) build --locked --release -p ostler

## wheels: what a Buildbot master, its workers and the tests' nodepool are installed from, by pip's own configuration, by hash
wheels: $(WHEELS)/.complete $(NODEPOOL_WHEELS)/.complete

$(WHEELS)/.complete: $(addprefix roles/library/files/buildbot/,fetch-wheels master-requirements.txt worker-requirements.txt)
	roles/library/files/buildbot/fetch-wheels $(WHEELS)
	@touch $@

$(NODEPOOL_WHEELS)/.complete: roles/library/files/buildbot/fetch-wheels tests/data/nodepool/requirements.txt
	roles/library/files/buildbot/fetch-wheels $(NODEPOOL_WHEELS) tests/data/nodepool/requirements.txt
	@touch $@

## test: all set-up, then every test
test: setup wheels agent
	.ci/step "build tests" env OSTLER_AGENT=$(AGENT) $(CARGO) build --locked --workspace --all-targets
	.ci/step "tests" env OSTLER_AGENT=$(AGENT) OSTLER_WHEELS=$(WHEELS) $(CARGO) test --locked --workspace --no-fail-fast

## full-jenkins: what nodes of a Jenkins go through, whole, with the oldest version and with the newest: ten minutes on two cores
# The gate goes through it with the newest.
full-jenkins: setup agent
	env OSTLER_AGENT=$(AGENT) $(CARGO) build --locked -p ostler
	for version in 2.426 2.568; do \
		.ci/step "Jenkins $$version" env OSTLER_AGENT=$(AGENT) OSTLER_JENKINS=$$version $(CARGO) test --locked -p ostler-tests --test jenkins_apply --no-fail-fast; \
	done

## full-images: disks of images, each difference found by itself, both firmwares: ten minutes on two cores
full-images: setup agent
	env OSTLER_AGENT=$(AGENT) $(CARGO) build --locked -p ostler
	.ci/step "images" env OSTLER_AGENT=$(AGENT) $(CARGO) test --locked -p ostler-tests --test image --no-fail-fast -- --include-ignored

## fmt: every source file, those too whose modules a macro declares
fmt:
	$(CARGO) fmt --all
	rustfmt --edition 2024 $$(find agent controller roles tests -name '*.rs')

## gate: what must hold before a change lands
gate: setup
	.ci/step "rustfmt" rustfmt --check -l --edition 2024 $$(find agent controller roles tests -name '*.rs')
	.ci/step "agent" $(MAKE) --no-print-directory agent
	.ci/step "clippy" env OSTLER_AGENT=$(AGENT) $(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	if $(CARGO) deny --version >/dev/null 2>&1; then .ci/step "deny" $(CARGO) deny --offline --locked check bans licenses sources; fi
	$(MAKE) --no-print-directory test

## demo: all set-up, then the main job on real nodes
demo: setup $(WHEELS)/.complete release
	$(SUDO) env OSTLER_WHEELS=$(WHEELS) HOME=$(HOME) $(TARGET)/release/ostler demo

## bench: ours beside ssh, a script, Ansible and pyinfra, into docs/benchmarks.md; BENCH='one --fast 5' asks for less
bench: setup $(WHEELS)/.complete release $(BENCH_TOOLS)/.complete
	$(CARGO) build --locked -p ostler-tests --bin bench
	$(SUDO) env OSTLER_BIN=$(TARGET)/release/ostler HOME=$(HOME) $(TARGET)/debug/bench --into docs/benchmarks.md $(BENCH)

$(BENCH_TOOLS)/.complete: tests/src/bin/bench/requirements.txt
	rm -rf $(BENCH_TOOLS)
	/usr/bin/python3 -m venv $(BENCH_TOOLS)
	$(BENCH_TOOLS)/bin/pip install --quiet --requirement $<
	@touch $@

## house: only what holds the house: arrows, sizes, doors, dependencies, docs
house:
	$(CARGO) test --locked -p ostler-tests --test house --test readme

clean:
	$(CARGO) clean
