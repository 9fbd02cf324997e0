//! The keys of maps that are no kinds: one table for reading, the schema and the reference.

/// A key of a map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeySpec {
    /// What is written.
    pub name: &'static str,
    /// What it holds, where the sentence does not say it.
    pub holds: &'static str,
    /// What it is for; whole sentences.
    pub doc: &'static str,
}

/// The names of keys.
pub fn names(keys: &'static [KeySpec]) -> impl Iterator<Item = &'static str> + Clone {
    keys.iter().map(|key| key.name)
}

/// The keys of a role.
pub const ROLE: &[KeySpec] = &[
    KeySpec { name: "role", holds: "", doc: "Its name, the same as the file's. Must be written." },
    KeySpec { name: "summary", holds: "", doc: "One sentence: what a node is that has it. Must be written." },
    KeySpec {
        name: "replaces",
        holds: "",
        doc: "`library`: it stands in the place of the library's role of its name, which is an error otherwise.",
    },
    KeySpec {
        name: "needs",
        holds: "",
        doc: "List of `ROLE: {PARAMETER: VALUE}`: roles that come before it, with what it passes to them.",
    },
    KeySpec { name: "params", holds: "", doc: "`NAME: {type: TYPE}`: its inputs, see below." },
    KeySpec {
        name: "by_system",
        holds: "",
        doc: "`NAME: {SYSTEM: VALUE}`: words that differ by distribution. The most specific of `debian-12`, `debian` and the family counts.",
    },
    KeySpec { name: "require", holds: "", doc: "Checks that must hold on every node before anything is changed on any. They never write." },
    KeySpec { name: "steps", holds: "", doc: "What the node shall be, in this order." },
    KeySpec { name: "verify", holds: "", doc: "Checks made after the steps." },
    KeySpec { name: "executors", holds: "", doc: "What a CI master may run here; see [kinds](kinds.md)." },
    KeySpec { name: "smoke", holds: "", doc: "Commands that the master runs as a job, on that very node, before the labels are attached." },
    KeySpec { name: "labels", holds: "", doc: "Labels for every executor of the node." },
];

/// The keys of a parameter.
pub const PARAMETER: &[KeySpec] = &[
    KeySpec { name: "type", holds: "", doc: "What may be written; see [types](kinds.md#types-of-parameters). Must be written." },
    KeySpec { name: "default", holds: "", doc: "The value where nobody gives one; without it, somebody must." },
    KeySpec { name: "optional", holds: "", doc: "`true`: it may be none. Then it has no default." },
    KeySpec { name: "choices", holds: "", doc: "The only values allowed." },
    KeySpec { name: "at_least", holds: "", doc: "The least value allowed." },
    KeySpec { name: "at_most", holds: "", doc: "The greatest value allowed." },
    KeySpec { name: "fields", holds: "", doc: "The fields of a `record`, each written as a parameter." },
    KeySpec { name: "help", holds: "", doc: "What it is for." },
];

/// The words that stand beside a kind.
pub const STEP: &[KeySpec] = &[
    KeySpec {
        name: "when",
        holds: "",
        doc: "A bare expression: unless it is true, the step is left out. It sees parameters and facts, never what the node looks like now.",
    },
    KeySpec { name: "each", holds: "", doc: "`NAME in EXPRESSION`: once for each element; of a map, NAME has `.key` and `.value`." },
    KeySpec {
        name: "within",
        holds: "",
        doc: "How long it may take. Otherwise the kind's own: a minute for files, 10 minutes for a command, half an hour for packages and downloads.",
    },
    KeySpec { name: "live", holds: "", doc: "`true`: it is in no image; a machine that is made of one gets it by its first apply." },
];

/// What stands in place of a kind.
pub const BLOCKS: &[KeySpec] = &[
    KeySpec { name: "steps", holds: "", doc: "In place of a kind: steps that share the words beside them." },
    KeySpec {
        name: "together",
        holds: "",
        doc: "In place of a kind: steps that may run at once. Nothing else does: the order is the one written.",
    },
];

/// The keys of `ostler.yaml`.
pub const SITE: &[KeySpec] = &[
    KeySpec { name: "edition", holds: "1", doc: "The edition of the language; must be written." },
    KeySpec {
        name: "id",
        holds: "name",
        doc: "What the site is called in its marks on Jenkins masters, the same for all its admins; `ostler init` makes one.",
    },
    KeySpec { name: "site", holds: "map of constants", doc: "Seen by `vars` and `masters` as `site.NAME`, never by roles." },
    KeySpec { name: "ssh", holds: "map, see below", doc: "How every node is reached; what is not said, your own ssh configuration says." },
    KeySpec {
        name: "secrets",
        holds: "`{recipients: [KEY]}`",
        doc: "Who can open `secrets/NAME.age`: age public keys, `age1…`. Ssh keys are refused.",
    },
    KeySpec { name: "masters", holds: "`NAME: {buildbot: {…}}` or `NAME: {jenkins: {…}}`", doc: "The CI masters that executors name." },
    KeySpec {
        name: "vars",
        holds: "`ROLE: {PARAMETER: VALUE}`",
        doc: "Values for parameters of any role; weaker than those of groups and nodes.",
    },
    KeySpec { name: "lab", holds: "map, see below", doc: "Nodes of this site that `ostler lab up` starts on this machine." },
];

/// The keys of `secrets` in `ostler.yaml`.
pub const SECRETS: &[KeySpec] = &[KeySpec { name: "recipients", holds: "list of keys", doc: "Who can open the secrets." }];

/// The keys of `nodes.yaml`.
pub const NODES: &[KeySpec] = &[
    KeySpec { name: "groups", holds: "", doc: "Nodes that have the same roles." },
    KeySpec { name: "nodes", holds: "", doc: "The machines." },
];

/// The keys of a group.
pub const GROUP: &[KeySpec] = &[
    KeySpec { name: "roles", holds: "list of roles", doc: "Roles of every node of the group, in order. A group holds no group." },
    KeySpec { name: "vars", holds: "`ROLE: {PARAMETER: VALUE}`", doc: "Values for parameters of these roles." },
    KeySpec { name: "ssh", holds: "map, see below", doc: "How its nodes are reached." },
];

/// The keys of a node.
pub const NODE: &[KeySpec] = &[
    KeySpec { name: "host", holds: "host", doc: "Where it is reached; its name if not written." },
    KeySpec { name: "groups", holds: "list of groups", doc: "Its groups, in order." },
    KeySpec { name: "roles", holds: "list of roles", doc: "Roles of its own, after those of its groups." },
    KeySpec { name: "vars", holds: "as in a group", doc: "Stronger than those of its groups." },
    KeySpec { name: "ssh", holds: "as in a group", doc: "Stronger than that of its groups." },
];

/// The keys of an image.
pub const IMAGE: &[KeySpec] = &[
    KeySpec { name: "image", holds: "name", doc: "Its name, the same as the file's. Must be written." },
    KeySpec { name: "summary", holds: "text", doc: "One sentence: what a machine is that is made of it. Must be written." },
    KeySpec { name: "base", holds: "map, see below", doc: "What it stands on. Must be written." },
    KeySpec {
        name: "like",
        holds: "`{group: NAME}` or `{node: NAME}`",
        doc: "It has the roles, the variables and the requirements of any node of that group, or of that node. This or `roles` must be written.",
    },
    KeySpec { name: "roles", holds: "list of roles", doc: "Roles of its own, after those of whom it is like." },
    KeySpec {
        name: "vars",
        holds: "`ROLE: {PARAMETER: VALUE}`",
        doc: "Values for parameters of its roles, stronger than those of whom it is like.",
    },
    KeySpec {
        name: "size",
        holds: "bytes",
        doc: "The virtual size of a `qcow2` and a `box`, 1 GiB to 16 TiB; must be written for them. A `raw` is its content and a fifth, and grows at first boot.",
    },
    KeySpec {
        name: "formats",
        holds: "list of `qcow2`, `raw`, `tar`, `oci`, `box`",
        doc: "What it is written as; `[qcow2]` if not written.",
    },
    KeySpec { name: "keep", holds: "integer", doc: "How many builds are kept, held ones not counted; 2 if not written." },
    KeySpec { name: "filesystem", holds: "`ext4`", doc: "The file system of the root." },
    KeySpec { name: "firmware", holds: "list of `bios`, `uefi`", doc: "What can boot it; both if not written." },
    KeySpec {
        name: "console",
        holds: "text",
        doc: "The serial console, `ttyS0` or `ttyS0,115200n8`, as the kernel takes it, or `none`; `ttyS0` if not written.",
    },
    KeySpec {
        name: "secrets",
        holds: "`refused`, `baked`",
        doc: "What becomes of a step that holds a secret: a fault, or whoever has the image has the secret; `refused` if not written.",
    },
    KeySpec {
        name: "seal",
        holds: "`{paths: [PATH]}`",
        doc: "Paths that are taken out beside identity, logs, histories and traces of the build, which always are.",
    },
    KeySpec {
        name: "apt_lists",
        holds: "`keep`, `drop`",
        doc: "What becomes of apt's lists; `drop` if not written. They are large, and old when it boots; a machine that is asked whether a package is offered asks its sources where no list is. `keep` is for one that cannot reach them.",
    },
    KeySpec {
        name: "checkpoint",
        holds: "`{after: TIME, bytes: SIZE}`",
        doc: "When a step ends a layer of the build, as every role does.",
    },
];
