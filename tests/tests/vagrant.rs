//! The Vagrantfile: valid, of options that we know, and of one mind with the site beside it.

use ostler_tests::house::root;
use ostler_tests::program::{Desk, copy_tree};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

/// A desk with a copy of `vagrant/`.
fn desk() -> Desk {
    let desk = Desk::new();
    copy_tree(&root().join("vagrant"), &desk.at(""));
    let identity = desk.at("insecure-identity.txt");
    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o600)).expect("the identity is made private");
    desk
}

fn run(desk: &Desk, program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .current_dir(desk.at(""))
        .env("HOME", desk.path().join("home"))
        .env("VAGRANT_HOME", desk.path().join("vagrant-home"))
        .env("VAGRANT_CHECKPOINT_DISABLE", "1")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; `make setup` installs it"))
}

fn check(desk: &Desk) -> Result<Value, String> {
    let checker = root().join("tests/data/vagrant/check.rb");
    let output = run(desk, "ruby", &[&checker.display().to_string(), &desk.at("Vagrantfile").display().to_string()]);
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).expect("the checker prints JSON"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn replace(desk: &Desk, from: &str, to: &str) {
    let text = std::fs::read_to_string(desk.at("Vagrantfile")).expect("the Vagrantfile");
    assert!(text.contains(from), "the Vagrantfile has no `{from}`");
    desk.write("Vagrantfile", text.replacen(from, to, 1));
}

#[test]
fn vagrant_finds_the_file_valid() {
    let output = run(&desk(), "vagrant", &["validate", "--ignore-provider"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("validated successfully"), "{text}");
}

#[test]
fn its_machines_are_the_nodes_of_the_site() {
    let desk = desk();
    let machines = check(&desk).expect("the Vagrantfile holds")["machines"].clone();
    let site: serde_yaml::Value = serde_yaml::from_str(&std::fs::read_to_string(desk.at("nodes.yaml")).expect("nodes")).expect("YAML");
    let nodes = site["nodes"].as_mapping().expect("nodes");
    assert_eq!(nodes.len(), 3, "one master and two nodes");
    assert_eq!(machines.as_object().expect("machines").len(), nodes.len());
    for (name, node) in nodes {
        let name = name.as_str().expect("a name");
        assert_eq!(machines[name]["ip"].as_str(), node["host"].as_str(), "{name}");
        assert_eq!(machines[name]["hostname"].as_str(), Some(name));
        for provider in ["libvirt", "virtualbox"] {
            assert!(machines[name][provider]["memory"].as_u64() >= Some(1024), "{name}: {provider}");
        }
    }
}

#[test]
fn a_misspelt_option_is_a_fault() {
    for (from, to, said) in [
        ("libvirt.memory", "libvirt.memroy", "libvirt has no option `memroy`"),
        ("virtualbox.cpus", "virtualbox.cpu", "virtualbox has no option `cpu`"),
        ("machine.vm.hostname", "machine.vm.hostnme", "vm has no option `hostnme`"),
        ("ssh.insert_key", "ssh.insert_keys", "ssh has no option `insert_keys`"),
        ("\"libvirt\" do", "\"libvrt\" do", "`libvrt` is not one of"),
        ("private_network", "privat_network", "only private_network is known"),
    ] {
        let desk = desk();
        replace(&desk, from, to);
        let fault = check(&desk).expect_err(to);
        assert!(fault.contains(said), "{to}: {fault}");
    }
}

#[test]
fn vagrant_itself_sees_a_misspelt_option_outside_the_providers_blocks() {
    let desk = desk();
    replace(&desk, "machine.vm.hostname", "machine.vm.hostnme");
    let output = run(&desk, "vagrant", &["validate", "--ignore-provider"]);
    assert!(!output.status.success());
}

#[test]
fn the_site_lints_and_its_secrets_open() {
    let desk = desk();
    let identity = desk.at("insecure-identity.txt").display().to_string();
    let desk = desk.variable("OSTLER_IDENTITY", &identity);
    let lint = desk.run(&["lint"]);
    assert_eq!(lint.code, Some(0), "{lint}");
    assert!(lint.out.starts_with("No faults: 3 nodes"), "{lint}");
    let recipients = desk.run(&["secret", "show-recipients"]);
    assert!(recipients.out.contains("(opened here)"), "{recipients}");
    let open = Command::new("chmod").arg("644").arg(desk.at("insecure-identity.txt")).status().expect("chmod runs");
    assert!(open.success());
    let refused = desk.run(&["secret", "show-recipients"]);
    assert_eq!(refused.code, Some(3), "{refused}");
}
