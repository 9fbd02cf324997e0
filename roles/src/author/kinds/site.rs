//! The tables that are no kinds: executors of a role, `ssh` and `masters` of a site.

use super::types::{FieldSpec, ScalarType, Shape};

const TEXT: Shape = Shape::Scalar(ScalarType::Text);
const NAME: Shape = Shape::Scalar(ScalarType::Name);
const PATH: Shape = Shape::Scalar(ScalarType::Path);
const PORT: Shape = Shape::Scalar(ScalarType::Port);
const URL: Shape = Shape::Scalar(ScalarType::Url);
const NODE: Shape = Shape::Scalar(ScalarType::Node);
const SECRET: Shape = Shape::Scalar(ScalarType::Secret);

/// One executor of a role.
pub const EXECUTOR: &[FieldSpec] = &[
    FieldSpec::new("master", Shape::Scalar(ScalarType::Master), "The master, a key of `masters`.").required(),
    FieldSpec::new("name", NAME, "Its name on the master; the node's if not written."),
    FieldSpec::new("user", NAME, "The account that jobs run as.").required(),
    FieldSpec::new("count", Shape::Scalar(ScalarType::Integer), "How many jobs at once; 1 if not written."),
    FieldSpec::new("alone", Shape::Scalar(ScalarType::Boolean), "One job owns the machine: a count of 1 and no other executor."),
    FieldSpec::new(
        "jobs",
        Shape::Choice(&["labelled", "any"]),
        "Only jobs that name a label, or any; `labelled` if not written, and with Buildbot always.",
    ),
    FieldSpec::new("labels", Shape::List(&Shape::Scalar(ScalarType::Label)), "Its labels, beside those of the roles."),
    FieldSpec::new("remote_fs", PATH, "The directory it works in.").required(),
    FieldSpec::new(
        "launch",
        Shape::Choice(&["ssh", "inbound"]),
        "Who opens the connection: a Jenkins asks for it, and a Buildbot's workers always do.",
    ),
    FieldSpec::new("credential", NAME, "The master's credential for `launch: ssh`."),
    FieldSpec::new("java", Shape::Scalar(ScalarType::Integer), "The major version of its Java, which a Jenkins master must accept."),
];

/// How a node is reached: `ssh` in `ostler.yaml`, of a group, of a node.
pub const SSH: &[FieldSpec] = &[
    FieldSpec::new("user", NAME, "The account to log in as."),
    FieldSpec::new("port", PORT, "The port; 22 if nothing else says one."),
    FieldSpec::new("become", Shape::Choice(&["none", "sudo", "doas"]), "How root is reached from that account; `none` where it is root."),
    FieldSpec::new("jump", NAME, "The node to go through; `none` for straight."),
    FieldSpec::new("known_hosts", TEXT, "A file with host keys, below the site or absolute."),
    FieldSpec::new("identity", TEXT, "The private key's file, below the site or absolute."),
];

/// `lab` of `ostler.yaml`: nodes of the site that the lab holds.
pub const LAB: &[FieldSpec] = &[FieldSpec::new(
    "nodes",
    Shape::Map(&Shape::Record(&[
        FieldSpec::new("suite", Shape::Choice(&["bullseye", "bookworm", "trixie"]), "Its Debian; `bookworm` if not written."),
        FieldSpec::new(
            "disk",
            Shape::Scalar(ScalarType::Bytes),
            "The size of its disk; an equal share of half this machine's memory if not written, 4 GiB at least.",
        ),
        FieldSpec::new("vm", Shape::Scalar(ScalarType::Boolean), "A virtual machine with a kernel of its own."),
    ])),
    "Its nodes, by their names in `nodes.yaml`, where `host` is their address.",
)
.required()];

/// A password must not travel in clear by an oversight.
const PLAIN_HTTP: FieldSpec = FieldSpec::new(
    "plain_http",
    Shape::Scalar(ScalarType::Boolean),
    "Its password or token may travel in clear, over `http://`; not needed for this machine itself and for a lab's.",
);

/// A Buildbot master.
pub const BUILDBOT: &[FieldSpec] = &[
    FieldSpec::new("url", URL, "Its web address.").required(),
    FieldSpec::new("node", NODE, "The node it runs on."),
    FieldSpec::new("directory", PATH, "Its base directory on that node; /var/lib/buildbot/master if not written."),
    FieldSpec::new("service", NAME, "The unit that is reloaded after its files change; buildbot-master if not written."),
    FieldSpec::new("user", NAME, "The account of its web interface; `ostler` if not written."),
    FieldSpec::new("password", SECRET, "Its password.").secret(),
    PLAIN_HTTP,
];

/// A Jenkins master.
pub const JENKINS: &[FieldSpec] = &[
    FieldSpec::new("url", URL, "Its web address.").required(),
    FieldSpec::new("node", NODE, "The node it runs on: order, and checks made from there."),
    FieldSpec::new(
        "trust",
        TEXT,
        "PEM of its own certificate, or of the only authorities that may vouch for it; the public ones if not written.",
    ),
    FieldSpec::new("user", NAME, "The account that registers.").required(),
    FieldSpec::new("token", SECRET, "Its API token; exactly one of `token` and `password`.").secret(),
    FieldSpec::new("password", SECRET, "Its password.").secret(),
    PLAIN_HTTP,
    FieldSpec::new(
        "credentials",
        Shape::Map(&Shape::Record(&[FieldSpec::new(
            "ssh_key",
            Shape::Record(&[
                FieldSpec::new("user", NAME, "The account the master logs in as.").required(),
                FieldSpec::new("key", SECRET, "The private key.").required().secret(),
            ]),
            "A key for SSH launches.",
        )
        .required()])),
        "Credentials it must have, by their ids.",
    ),
    FieldSpec::new("queue", Shape::Map(&TEXT), "Where workers are counted after labelling.").later(),
];
