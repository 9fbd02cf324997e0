//! Catalogs, written shortly.

use super::FakeFacilities;
use ostler_roles::catalog::{Action, Catalog, Step, Watch};
use ostler_roles::resource::{self, Desired, Kind, Ownership, ResourceId};
use ostler_roles::words::{
    AbsPath, AccountName, Blob, Content, Digest, Mode, NodeName, Origin, PackageName, RoleName, SecretRef, Span, UnitName,
};

/// A catalog of these steps, for the facts of the fake node.
pub fn catalog(steps: Vec<Step>) -> Catalog {
    let node = NodeName::parse("build-1").expect("a name");
    Catalog { node, facts: FakeFacilities::fixed_facts().digest(), require: Vec::new(), steps, verify: Vec::new() }
}

/// A step without triggers.
pub fn step(desired: Desired) -> Step {
    Step {
        desired,
        role: RoleName::parse("base").expect("a name"),
        origin: Origin { file: "roles/base.yaml".to_owned(), line: 3, column: 5 },
        within: Span::seconds(20),
        watches: Vec::new(),
        together: None,
        while_busy: false,
    }
}

/// The bytes of the content with this name.
pub fn content(name: &str) -> Vec<u8> {
    format!("content {name}\n").into_bytes()
}

/// Its address.
pub fn blob_of(name: &str) -> Digest {
    Digest::of(&content(name))
}

fn desired_file(path: &str, content: Content) -> Desired {
    let path = AbsPath::parse(path).expect("a path");
    let present = resource::file::Present { content, ownership: Ownership::root(Mode::FILE), validate: None };
    Desired::File(resource::file::Desired { path, present: Some(present) })
}

/// A file with the content of this name.
pub fn file(path: &str, name: &str) -> Step {
    step(desired_file(path, Content::Blob(Blob::of(&content(name)))))
}

/// A file that shall belong to an account.
pub fn file_of(owner: &str, path: &str, name: &str) -> Step {
    let mut step = file(path, name);
    if let Desired::File(resource::file::Desired { present: Some(present), .. }) = &mut step.desired {
        present.ownership.owner = AccountName::parse(owner).expect("an account's name");
    }
    step
}

/// A directory.
pub fn directory(path: &str) -> Step {
    let path = AbsPath::parse(path).expect("a path");
    step(Desired::Directory(resource::directory::Desired { path, present: Some(Ownership::root(Mode::DIRECTORY)) }))
}

/// An account; with this home where one is named.
pub fn user(name: &str, home: Option<&str>) -> Step {
    let home = home.map(|home| AbsPath::parse(home).expect("a path"));
    let present = resource::user::Present { home, ..resource::user::Present::default() };
    step(Desired::User(resource::user::Desired { name: AccountName::parse(name).expect("an account's name"), present: Some(present) }))
}

/// A file with a secret.
pub fn secret_file(path: &str, key: &[u8], value: &[u8]) -> Step {
    step(desired_file(path, Content::Secret(SecretRef { name: "token".to_owned(), hmac: SecretRef::hmac(key, value) })))
}

/// A package.
pub fn package(name: &str) -> Step {
    let state = resource::package::State::Installed { version: None };
    step(Desired::Package(resource::package::Desired { name: PackageName::parse(name).expect("a name"), state }))
}

fn watching(mut step: Step, action: Action, files: &[&str]) -> Step {
    let watch = |path: &&str| Watch { id: ResourceId { kind: Kind::File, key: (*path).to_owned() }, action };
    step.watches = files.iter().map(watch).collect();
    step
}

/// A running service that restarts when these files change.
pub fn service(name: &str, restart_on: &[&str]) -> Step {
    let name = UnitName::parse_service(name).expect("a name");
    let state = Some(resource::service::State::Running);
    let desired = resource::service::Desired { name, unit: None, state, enabled: None, check: None, at_rest: false };
    watching(step(Desired::Service(desired)), Action::Restart, restart_on)
}

/// A command that runs when these files change.
pub fn command(name: &str, run_on: &[&str]) -> Step {
    let desired = resource::command::Desired {
        name: name.to_owned(),
        run: vec!["true".to_owned()],
        creates: None,
        unless: None,
        environment: Vec::new(),
        run_as: None,
        directory: None,
        stdin: None,
        accept: Vec::new(),
        stdout_to: None,
    };
    watching(step(Desired::Command(desired)), Action::Run, run_on)
}
