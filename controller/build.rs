//! Builds the agent for this architecture, statically, and names its file for `include_bytes!`.
//!
//! `OSTLER_AGENT` names a ready agent instead (packagers, `make`, which builds it once). Without it a release build runs a nested
//! cargo; a debug build embeds none, so that `cargo check` stays quick, and says so when an agent is needed.

#![expect(clippy::disallowed_methods, reason = "cargo speaks to a build script through its environment")]

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=OSTLER_AGENT");
    let out = PathBuf::from(variable("OUT_DIR"));
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("..");
    let agent = match std::env::var_os("OSTLER_AGENT") {
        Some(ready) if !ready.is_empty() => root.join(ready),
        _ if variable("PROFILE") == "release" => nested(&root, &out),
        _ => none(&out),
    };
    assert!(agent.is_file(), "the agent {} does not exist", agent.display());
    println!("cargo:rerun-if-changed={}", agent.display());
    println!("cargo:rustc-env=OSTLER_AGENT_FILE={}", agent.display());
    // Made once here, and neither at each start nor for the first node: it is of six megabytes.
    let bytes = std::fs::read(&agent).unwrap_or_else(|error| panic!("read {}: {error}", agent.display()));
    write(&out.join("agent.sha256"), &Sha256::digest(&bytes));
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    let packed = packer.write_all(&bytes).and_then(|()| packer.finish()).unwrap_or_else(|error| panic!("pack the agent: {error}"));
    write(&out.join("agent.gz"), &packed);
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

fn none(out: &Path) -> PathBuf {
    let empty = out.join("no-agent");
    write(&empty, b"");
    empty
}

/// Its own target directory (no lock of the outer build) and a clean environment (no flags of the outer build).
fn nested(root: &Path, out: &Path) -> PathBuf {
    for source in
        ["agent/src", "agent/Cargo.toml", "agent/without-unwinding.ld", "roles/src", "roles/Cargo.toml", "Cargo.toml", "Cargo.lock"]
    {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
    }
    let triple = format!("{}-unknown-linux-gnu", variable("CARGO_CFG_TARGET_ARCH"));
    let target = out.join("agent-target");
    let mut cargo = Command::new(variable("CARGO"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["CARGO_FEATURE_", "CARGO_CFG_", "CARGO_PKG_", "CARGO_MANIFEST_", "DEP_"].iter().any(|prefix| text.starts_with(prefix));
        if ours || FOREIGN.contains(&text.as_ref()) {
            cargo.env_remove(&name);
        }
    }
    cargo
        .current_dir(root)
        .env("RUSTFLAGS", FLAGS)
        .args(["build", "--locked", "-p", "ostler-agent", "--profile", "agent", "--target", &triple, "--target-dir"])
        .arg(&target);
    let status = cargo.status().unwrap_or_else(|error| panic!("start the nested cargo: {error}"));
    assert!(status.success(), "the agent does not build: {status}");
    target.join(triple).join("agent/ostler-agent")
}

/// As in the Makefile. Cargo links what is in the workspace from its root.
const FLAGS: &str = "-C target-feature=+crt-static -C relocation-model=static -C link-arg=-Wl,--no-eh-frame-hdr -C link-arg=-Wl,-T,agent/without-unwinding.ld";

const FOREIGN: &[&str] = &[
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET",
    "TARGET",
    "HOST",
    "PROFILE",
    "OPT_LEVEL",
    "DEBUG",
    "NUM_JOBS",
    "OUT_DIR",
    "RUSTC",
    "RUSTDOC",
];
