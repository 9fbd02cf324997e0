//! The kinds that stand in `steps`: they change a node.

use super::types::{FieldSpec, KindSpec, Rule, ScalarType, Shape};
use super::{Kind, Place};

const STEPS: &[Place] = &[Place::Steps];
const TEXT: Shape = Shape::Scalar(ScalarType::Text);
const NAME: Shape = Shape::Scalar(ScalarType::Name);
const PATH: Shape = Shape::Scalar(ScalarType::Path);
const SITE_PATH: Shape = Shape::Scalar(ScalarType::SitePath);
const BOOLEAN: Shape = Shape::Scalar(ScalarType::Boolean);
const INTEGER: Shape = Shape::Scalar(ScalarType::Integer);
const MODE: Shape = Shape::Scalar(ScalarType::Mode);
const TEXTS: Shape = Shape::List(&TEXT);
const NAMES: Shape = Shape::List(&NAME);
const URLS: Shape = Shape::List(&Shape::Scalar(ScalarType::Url));
const VERSIONS: Shape = Shape::Map(&Shape::Scalar(ScalarType::Version));
const PUBLIC_KEY: Shape = Shape::Scalar(ScalarType::PublicKey);

const OWNER: FieldSpec = FieldSpec::new("owner", NAME, "The user that owns it; root if not written.");
const GROUP_FIELD: FieldSpec = FieldSpec::new("group", NAME, "The group that owns it; the owner's own group if not written.");
const ABSENT: FieldSpec = FieldSpec::new("absent", BOOLEAN, "It must not be there.");

pub(super) const PACKAGE: KindSpec = KindSpec {
    kind: Kind::Package,
    word: "package",
    doc: "Packages of the distribution; each is a resource of its own, `package NAME`.",
    places: STEPS,
    fields: &[
        FieldSpec::new("install", NAMES, "Packages that must be installed.").key(),
        FieldSpec::new("versions", VERSIONS, "The exact version of a package of `install`."),
        FieldSpec::new("remove", NAMES, "Packages that must not be installed.").key(),
        FieldSpec::new("hold", NAMES, "Packages that no upgrade may touch.").later(),
    ],
    rules: &[Rule::AtLeastOne(&["install", "remove"]), Rule::With("versions", "install")],
};

pub(super) const FILE: KindSpec = KindSpec {
    kind: Kind::File,
    word: "file",
    doc: "A file with its whole content.",
    places: STEPS,
    fields: &[
        FieldSpec::new("path", PATH, "Where it is.").required().key(),
        FieldSpec::new("content", TEXT, "Its content, with expressions.").secret(),
        FieldSpec::new("from", SITE_PATH, "A file of `files/`, taken byte by byte."),
        FieldSpec::new("template", SITE_PATH, "A file of `templates/`, rendered in the role's scope."),
        OWNER,
        GROUP_FIELD,
        FieldSpec::new("mode", MODE, "Its mode; \"0644\" if not written, \"0600\" if it holds a secret."),
        FieldSpec::new("validate", TEXTS, "A command that must accept the new file, `%f`, before it takes the old one's place."),
        ABSENT,
    ],
    rules: &[Rule::ExactlyOneUnlessAbsent(&["content", "from", "template"])],
};

pub(super) const DIRECTORY: KindSpec = KindSpec {
    kind: Kind::Directory,
    word: "directory",
    doc: "A directory.",
    places: STEPS,
    fields: &[
        FieldSpec::new("path", PATH, "Where it is.").required().key(),
        OWNER,
        GROUP_FIELD,
        FieldSpec::new("mode", MODE, "Its mode; \"0755\" if not written."),
        FieldSpec::new("from", SITE_PATH, "A directory of `files/`, taken whole.").later(),
        FieldSpec::new("purge", BOOLEAN, "Removes entries that no role of the node declares.").later(),
        ABSENT,
    ],
    rules: &[],
};

pub(super) const LINK: KindSpec = KindSpec {
    kind: Kind::Link,
    word: "link",
    doc: "A symbolic link.",
    places: STEPS,
    fields: &[
        FieldSpec::new("path", PATH, "Where it is.").required().key(),
        FieldSpec::new("to", TEXT, "What it points to, as it is stored."),
        ABSENT,
    ],
    rules: &[Rule::ExactlyOneUnlessAbsent(&["to"])],
};

pub(super) const USER: KindSpec = KindSpec {
    kind: Kind::User,
    word: "user",
    doc: "An account of the node.",
    places: STEPS,
    fields: &[
        FieldSpec::new("name", NAME, "Its name.").required().key(),
        FieldSpec::new("uid", INTEGER, "Its number; the next free one if not written."),
        FieldSpec::new("group", NAME, "Its first group; one of its own name if not written."),
        FieldSpec::new("groups", NAMES, "Further groups; it is added to them and stays in others."),
        FieldSpec::new(
            "home",
            PATH,
            "Its home directory; made when missing. Where none is written, a new account that is not `system` gets `/home/NAME`, and others keep theirs.",
        ),
        FieldSpec::new("shell", PATH, "Its login shell."),
        FieldSpec::new("system", BOOLEAN, "A system account: a low number, no ageing."),
        ABSENT,
    ],
    rules: &[],
};

pub(super) const GROUP: KindSpec = KindSpec {
    kind: Kind::Group,
    word: "group",
    doc: "A group of accounts.",
    places: STEPS,
    fields: &[
        FieldSpec::new("name", NAME, "Its name.").required().key(),
        FieldSpec::new("gid", INTEGER, "Its number; the next free one if not written."),
        FieldSpec::new("system", BOOLEAN, "A system group: a low number."),
        ABSENT,
    ],
    rules: &[],
};

pub(super) const AUTHORIZED_KEY: KindSpec = KindSpec {
    kind: Kind::AuthorizedKey,
    word: "authorized_key",
    doc: "Keys that may log in to an account; each is a resource of its own.",
    places: STEPS,
    fields: &[
        FieldSpec::new("user", NAME, "The account.").required().key(),
        FieldSpec::new("key", PUBLIC_KEY, "One public key.").key(),
        FieldSpec::new("keys", Shape::List(&PUBLIC_KEY), "Several public keys.").key(),
        FieldSpec::new("options", TEXTS, "Restrictions written before each key."),
        FieldSpec::new(
            "exclusive",
            BOOLEAN,
            "Removes every key that no role of the node declares, also from `authorized_keys2`, which sshd reads too.",
        ),
        ABSENT,
    ],
    rules: &[Rule::ExactlyOne(&["key", "keys"]), Rule::AtMostOne(&["exclusive", "absent"])],
};

pub(super) const LINE: KindSpec = KindSpec {
    kind: Kind::Line,
    word: "line",
    doc: "One line of a file that others write too.",
    places: STEPS,
    fields: &[
        FieldSpec::new("path", PATH, "The file; made when missing.").required().key(),
        FieldSpec::new("line", TEXT, "The line.").required().key(),
        FieldSpec::new("replaces", TEXT, "A line that begins so is replaced; without it the line is added at the end.").key(),
        ABSENT,
    ],
    rules: &[],
};

pub(super) const SERVICE: KindSpec = KindSpec {
    kind: Kind::Service,
    word: "service",
    doc: "A systemd unit: its file, whether it runs and whether it starts with the machine.",
    places: STEPS,
    fields: &[
        FieldSpec::new("name", NAME, "The unit; `.service` if it has no suffix.").required().key(),
        FieldSpec::new("state", Shape::Choice(&["running", "stopped"]), "Whether it runs now."),
        FieldSpec::new("enabled", BOOLEAN, "Whether it starts with the machine."),
        FieldSpec::new("restart_on", Shape::Triggers, "A change to one of these restarts it."),
        FieldSpec::new("reload_on", Shape::Triggers, "A change to one of these reloads it."),
        FieldSpec::new("check", TEXTS, "A command that must succeed before each restart or reload."),
        FieldSpec::new("unit_content", TEXT, "The unit file, with expressions."),
        FieldSpec::new("unit_from", SITE_PATH, "The unit file from `files/`, byte by byte."),
        FieldSpec::new("unit_template", SITE_PATH, "The unit file from `templates/`, rendered."),
    ],
    rules: &[Rule::AtMostOne(&["unit_content", "unit_from", "unit_template"])],
};

pub(super) const SYSCTL: KindSpec = KindSpec {
    kind: Kind::Sysctl,
    word: "sysctl",
    doc: "A kernel parameter, now and after a reboot.",
    places: STEPS,
    fields: &[
        FieldSpec::new("name", NAME, "Its name with dots: `net.ipv4.ip_forward`.").required().key(),
        FieldSpec::new("value", TEXT, "Its value.").required(),
    ],
    rules: &[],
};

pub(super) const KERNEL_MODULE: KindSpec = KindSpec {
    kind: Kind::KernelModule,
    word: "kernel_module",
    doc: "A kernel module, loaded now and after a reboot.",
    places: STEPS,
    fields: &[FieldSpec::new("name", NAME, "The module.").required().key(), ABSENT],
    rules: &[],
};

pub(super) const COMMAND: KindSpec = KindSpec {
    kind: Kind::Command,
    word: "command",
    doc: "A program to run, with a reason to stop.",
    places: STEPS,
    fields: &[
        FieldSpec::new("name", NAME, "What it is called; two commands of one name are one.").required().key(),
        FieldSpec::new("run", TEXTS, "The program and its arguments; no shell.").required(),
        FieldSpec::new("creates", PATH, "Runs only while this is not there; it must be there afterwards."),
        FieldSpec::new("unless", TEXTS, "Runs only while this command fails; it must succeed afterwards."),
        FieldSpec::new("run_on", Shape::Triggers, "Runs when one of these changed."),
        FieldSpec::new("as", NAME, "The user that runs it; root if not written."),
        FieldSpec::new("directory", PATH, "Where it runs."),
        FieldSpec::new("environment", Shape::Map(&TEXT), "Variables added to its environment.").secret(),
        FieldSpec::new("stdin", TEXT, "What it reads.").secret(),
        FieldSpec::new("accept", Shape::List(&INTEGER), "Exit codes that are good; [0] if not written."),
        FieldSpec::new("stdout_to", PATH, "The file that takes its output."),
    ],
    rules: &[Rule::AtLeastOne(&["creates", "unless", "run_on"])],
};

pub(super) const GIT_CACHE: KindSpec = KindSpec {
    kind: Kind::GitCache,
    word: "git_cache",
    doc: "Bare mirrors of a list of repositories.",
    places: STEPS,
    fields: &[
        FieldSpec::new("root", PATH, "The directory that holds them.").required().key(),
        FieldSpec::new("repositories", TEXTS, "Their names below each upstream: `openstack/nova`."),
        FieldSpec::new(
            "from",
            Shape::Record(&[
                FieldSpec::new("projects_yaml", SITE_PATH, "A projects.yaml: a list of `project: NAME`."),
                FieldSpec::new("list", SITE_PATH, "A file with one name a line; `#` begins a comment."),
            ]),
            "A file of the site that names them.",
        ),
        FieldSpec::new("upstreams", URLS, "Where they come from; tried in this order.").required(),
        FieldSpec::new("owner", NAME, "The user that owns them; root if not written."),
        FieldSpec::new("required", TEXTS, "Those without which the step fails; all if not written."),
        FieldSpec::new("workers", INTEGER, "How many are fetched at once; 8 if not written."),
        FieldSpec::new("layout", Shape::Choice(&["flat", "host"]), "Whether a host's name is the first directory.").later(),
        FieldSpec::new("host", Shape::Scalar(ScalarType::Host), "The host's name in the layout `host`.").later(),
        FieldSpec::new("budget", Shape::Scalar(ScalarType::Bytes), "The most they may take on the disk.").later(),
    ],
    rules: &[Rule::ExactlyOne(&["repositories", "from"])],
};

pub(super) const DOWNLOAD: KindSpec = KindSpec {
    kind: Kind::Download,
    word: "download",
    doc: "A file from the network, by its checksum.",
    places: STEPS,
    fields: &[
        FieldSpec::new("path", PATH, "Where it is put.").required().key(),
        FieldSpec::new("url", Shape::Scalar(ScalarType::Url), "Where it comes from.").required(),
        FieldSpec::new("sha256", Shape::Scalar(ScalarType::Digest), "Its checksum.").required(),
        OWNER,
        GROUP_FIELD,
        FieldSpec::new("mode", MODE, "Its mode; \"0644\" if not written."),
    ],
    rules: &[],
};
