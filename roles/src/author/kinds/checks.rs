//! The kinds that stand in `require`, `verify` and `smoke`: they look and never write.

use super::types::{FieldSpec, KindSpec, Rule, ScalarType, Shape};
use super::{Kind, Place};

const CHECKS: &[Place] = &[Place::Require, Place::Verify];
const TEXT: Shape = Shape::Scalar(ScalarType::Text);
const NAME: Shape = Shape::Scalar(ScalarType::Name);
const PATH: Shape = Shape::Scalar(ScalarType::Path);
const BYTES: Shape = Shape::Scalar(ScalarType::Bytes);
const VERSION: Shape = Shape::Scalar(ScalarType::Version);
const NAMES: Shape = Shape::List(&NAME);
const TEXTS: Shape = Shape::List(&TEXT);
const SYSTEMS: Shape = Shape::List(&Shape::Scalar(ScalarType::System));

const PER: FieldSpec = FieldSpec::new("per", Shape::Choice(&["executor"]), "Multiplied by the node's number of executors.");

pub(super) const DISK: KindSpec = KindSpec {
    kind: Kind::Disk,
    word: "disk",
    doc: "Room on the file system that holds a path.",
    places: CHECKS,
    fields: &[
        FieldSpec::new("path", PATH, "The path; one that is not there is judged by its nearest parent.").required().key(),
        FieldSpec::new("size", BYTES, "The least size of the file system."),
        FieldSpec::new(
            "free_after",
            BYTES,
            "What must remain after this plan has written what is missing; on one file system the needs of all roles add up.",
        ),
        PER,
    ],
    rules: &[Rule::ExactlyOne(&["size", "free_after"])],
};

pub(super) const KERNEL: KindSpec = KindSpec {
    kind: Kind::Kernel,
    word: "kernel",
    doc: "The running kernel.",
    places: CHECKS,
    fields: &[
        FieldSpec::new("at_least", VERSION, "The oldest version that will do."),
        FieldSpec::new("below", VERSION, "The first version that will not do."),
        FieldSpec::new("not", Shape::List(&VERSION), "Versions that will not do."),
        FieldSpec::new("modules", NAMES, "Modules that must be loaded, built in or loadable."),
        FieldSpec::new("shared", Shape::Scalar(ScalarType::Boolean), "Whether the kernel is shared with other machines (a container)."),
    ],
    rules: &[Rule::AtLeastOne(&["at_least", "below", "not", "modules", "shared"])],
};

pub(super) const MEMORY: KindSpec = KindSpec {
    kind: Kind::Memory,
    word: "memory",
    doc: "The machine's memory.",
    places: CHECKS,
    fields: &[FieldSpec::new("total", BYTES, "The least that must be built in.").required(), PER.later()],
    rules: &[],
};

pub(super) const PACKAGE: KindSpec = KindSpec {
    kind: Kind::PackageCheck,
    word: "package",
    doc: "A package that must be there already; a package that the role can install is a step.",
    places: CHECKS,
    fields: &[
        FieldSpec::new("name", NAME, "The package.").required().key(),
        FieldSpec::new("version", VERSION, "The version asked for."),
        FieldSpec::new("offered", Shape::Scalar(ScalarType::Boolean), "It is enough that the package sources offer it."),
    ],
    rules: &[],
};

pub(super) const CONNECT: KindSpec = KindSpec {
    kind: Kind::Connect,
    word: "connect",
    doc: "A TCP connection from the node. In `verify`, a port of the node itself that is refused behind a changed service, package or command is asked for again for up to 3 seconds, and the report says how long was waited.",
    places: CHECKS,
    fields: &[
        FieldSpec::new("to", TEXT, "A host, or a URL whose host and port are meant.").required().key(),
        FieldSpec::new("port", Shape::Scalar(ScalarType::Port), "The port; a URL brings its own.").key(),
        FieldSpec::new("from", Shape::Scalar(ScalarType::Node), "Another node that connects.").later(),
    ],
    rules: &[],
};

pub(super) const VIRTUALIZATION: KindSpec = KindSpec {
    kind: Kind::Virtualization,
    word: "virtualization",
    doc: "What the machine runs on, as systemd-detect-virt names it (`kvm`, `lxc`, `none`).",
    places: CHECKS,
    fields: &[FieldSpec::new("any_of", NAMES, "It must be one of these."), FieldSpec::new("none_of", NAMES, "It must be none of these.")],
    rules: &[Rule::ExactlyOne(&["any_of", "none_of"])],
};

pub(super) const ASSERT: KindSpec = KindSpec {
    kind: Kind::Assert,
    word: "assert",
    doc: "A relation between parameters and facts.",
    places: CHECKS,
    fields: &[
        FieldSpec::new("that", Shape::Expression, "A bare expression that must be true.").required(),
        FieldSpec::new("say", TEXT, "What is said when it is not.").required(),
    ],
    rules: &[],
};

pub(super) const SYSTEM: KindSpec = KindSpec {
    kind: Kind::System,
    word: "system",
    doc: "The distribution.",
    places: CHECKS,
    fields: &[FieldSpec::new("any_of", SYSTEMS, "`ID-VERSION`, `ID` or family; it must be one of these.").required()],
    rules: &[],
};

pub(super) const LOGIN: KindSpec = KindSpec {
    kind: Kind::Login,
    word: "login",
    doc: "A user's login shell starts, in its home.",
    places: &[Place::Verify],
    fields: &[FieldSpec::new("user", NAME, "The account.").required().key()],
    rules: &[],
};

pub(super) const PROBE: KindSpec = KindSpec {
    kind: Kind::Probe,
    word: "command",
    doc: "A command that must succeed and must not write; it runs as `nobody` unless `as` says whom.",
    places: &[Place::Require, Place::Verify, Place::Smoke],
    fields: &[
        FieldSpec::new("name", NAME, "What it is called.").required().key(),
        FieldSpec::new("run", TEXTS, "The program and its arguments; no shell.").required(),
        FieldSpec::new("as", NAME, "The user that runs it; in `smoke` always the executor's."),
        FieldSpec::new("directory", PATH, "Where it runs; in `smoke` the workspace if not written."),
        FieldSpec::new("environment", Shape::Map(&TEXT), "Variables added to its environment."),
        FieldSpec::new("stdin", TEXT, "What it reads."),
        FieldSpec::new("accept", Shape::List(&Shape::Scalar(ScalarType::Integer)), "Exit codes that are good; [0] if not written."),
    ],
    rules: &[],
};
