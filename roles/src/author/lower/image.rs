//! `images/NAME.yaml`.

use std::sync::Arc;

use crate::author::diagnostic::{Fault, Faults};
use crate::author::image::{
    AptLists, BakedSecrets, CONSOLE, Checkpoint, Filesystem, Firmware, Format, Image, KEEP, LEAST_SIZE, Like, MOST_SIZE,
};
use crate::author::keys;
use crate::author::kinds::image::{
    APT_LISTS, CHECKPOINT, CHECKPOINT_RULES, FILESYSTEM, FIRMWARE, FORMATS, LIKE, LIKE_RULES, SEAL, SECRETS,
};
use crate::author::kinds::{ScalarType, Shape};
use crate::author::literal::{check_scalar, check_shape, mismatch};
use crate::author::role::{Fields, Name};
use crate::author::source::{Bare, Entry, Node, Scalar, Source, Span, Spanned};
use crate::author::yaml;
use crate::words::{AbsPath, Bytes, Span as Time};

use super::base;
use super::fields;
use super::read::{self, Keys, Spelling};

/// The keys of an image.
const KEYS: Keys = Keys { what: "an image", known: keys::IMAGE, later: &[] };

/// The most builds that are kept: more is a mistake, and the disk would tell.
const MOST_KEPT: i64 = 100;

/// Reads `images/NAME.yaml`; none when it has faults, which are told: nothing is compiled of half an image.
pub fn image(source: &Arc<Source>, faults: &mut Faults) -> Option<Image> {
    let mut own = Faults::new();
    let image = whole(source, &mut own);
    let good = own.is_empty();
    faults.merge(own);
    image.filter(|_| good)
}

fn whole(source: &Arc<Source>, faults: &mut Faults) -> Option<Image> {
    let root = yaml::read(source, faults)?;
    let keys = KEYS.read(&root, faults);
    root.as_map()?;
    let get = |word: &str| keys.iter().find(|entry| entry.key.value == word).map(|entry| &entry.value);
    let start = source.span(0..0);
    let name = name(get("image"), source, &start, faults);
    let place = name.as_ref().map_or(&start, |name| &name.span);
    let missing = |key: &str, hint: &str| Fault::new(place, format!("the image has no `{key}`")).hint(hint);
    let summary = get("summary").and_then(|node| read::text(node, "one sentence", faults));
    if get("summary").is_none() {
        faults.push(missing("summary", "one sentence that says what a machine is that is made of it"));
    }
    let base = get("base").and_then(|node| base::base(node, faults));
    if get("base").is_none() {
        faults.push(missing("base", "write what it stands on: `base: {debootstrap: {suite: bookworm}}`"));
    }
    let like = get("like").and_then(|node| like(node, faults));
    let roles = get("roles").map(|node| read::names(node, "a role's name", Spelling::Role, faults)).unwrap_or_default();
    if get("like").is_none() && roles.is_empty() {
        faults.push(missing("like", "write whose machine it is: `like: {group: NAME}`; or what it is: `roles: [NAME]`"));
    }
    let formats = words(get("formats"), &FORMATS, "formats", &[Format::Qcow2], format, faults);
    let size = get("size").and_then(|node| size(node, faults));
    disks(&keys, &formats, faults);
    let checkpoint = get("checkpoint").map(|node| checkpoint(node, faults)).unwrap_or_default();
    let image = Image {
        vars: get("vars").map(|node| read::vars(node, faults)).unwrap_or_default(),
        keep: get("keep").map_or(KEEP, |node| keep(node, faults)),
        filesystem: get("filesystem").map_or(Filesystem::Ext4, |node| filesystem(node, faults)),
        firmware: words(get("firmware"), &FIRMWARE, "firmware", &[Firmware::Bios, Firmware::Uefi], firmware, faults),
        console: get("console").map_or_else(|| Some(CONSOLE.to_owned()), |node| console(node, faults)),
        secrets: get("secrets").map_or(BakedSecrets::Refused, |node| match word(node, &SECRETS, faults) {
            Some("baked") => BakedSecrets::Baked,
            _ => BakedSecrets::Refused,
        }),
        seal: get("seal").map(|node| seal(node, faults)).unwrap_or_default(),
        apt_lists: get("apt_lists").map_or(AptLists::Drop, |node| match word(node, &APT_LISTS, faults) {
            Some("keep") => AptLists::Keep,
            _ => AptLists::Drop,
        }),
        name: name?,
        summary: summary?,
        base: base?,
        like,
        roles,
        size,
        formats,
        checkpoint,
    };
    Some(image)
}

/// `image: NAME`, the same as the file's.
fn name(node: Option<&Node>, source: &Source, start: &Span, faults: &mut Faults) -> Option<Name> {
    let stem = source.name().rsplit('/').next().and_then(|file| file.strip_suffix(".yaml")).unwrap_or_default();
    let Some(node) = node else {
        faults.push(Fault::new(start, "the file has no `image`").hint(format!("begin it with `image: {stem}`")));
        return None;
    };
    let written = read::text(node, "the image's name", faults)?;
    let name = read::name(&written, "an image's name", Spelling::Image, faults)?;
    if name.value != stem {
        faults.push(
            Fault::new(&name.span, format!("the file's name says `{stem}`, the image says `{}`", name.value))
                .hint(format!("rename the file to `{}.yaml`, or write `image: {stem}`", name.value)),
        );
    }
    Some(name)
}

/// The value of a type, without expressions: what is built is known before anything is computed.
pub(super) fn scalar<'n>(node: &'n Node, kind: ScalarType, faults: &mut Faults) -> Option<&'n str> {
    let mut own = Faults::new();
    fields::constants(node, "an image but in `vars`", &mut own);
    if own.is_empty() {
        check_scalar(node, kind, &mut own);
    }
    let good = own.is_empty();
    faults.merge(own);
    node.as_scalar().filter(|_| good).map(|scalar| scalar.text.as_str())
}

/// A map by its table, without expressions.
pub(super) fn table(
    node: &Node,
    what: &str,
    (specs, rules): (&'static [crate::author::kinds::FieldSpec], &[crate::author::kinds::Rule]),
    faults: &mut Faults,
) -> Fields {
    fields::constants(node, what, faults);
    fields::lower(node, what, specs, rules, faults)
}

/// One of the words of a choice.
fn word<'n>(node: &'n Node, shape: &'static Shape, faults: &mut Faults) -> Option<&'n str> {
    fields::constants(node, "an image but in `vars`", faults);
    check_shape(node, shape, faults);
    node.as_scalar().map(|scalar| scalar.text.as_str())
}

/// Words of a choice, at least one and none twice; `otherwise` where nothing is written.
fn words<T: Copy>(
    node: Option<&Node>,
    shape: &'static Shape,
    key: &str,
    otherwise: &[T],
    known: fn(&str) -> Option<T>,
    faults: &mut Faults,
) -> Vec<T> {
    let Some(node) = node else { return otherwise.to_vec() };
    fields::constants(node, "an image but in `vars`", faults);
    check_shape(node, shape, faults);
    let items = node.as_list().unwrap_or_default();
    if node.as_list().is_some() && items.is_empty() {
        faults.push(Fault::new(&node.span, format!("`{key}` names nothing")).hint("name one, or leave the key out"));
    }
    let mut found: Vec<(&str, &Span, T)> = Vec::new();
    for item in items {
        let Some((text, one)) = item.as_scalar().and_then(|scalar| Some((scalar.text.as_str(), known(&scalar.text)?))) else { continue };
        match found.iter().find(|(other, ..)| *other == text) {
            Some((_, first, _)) => {
                faults.push(Fault::new(&item.span, format!("`{text}` is listed twice")).also(first, "first listed here"));
            }
            None => found.push((text, &item.span, one)),
        }
    }
    found.into_iter().map(|(.., one)| one).collect()
}

fn format(word: &str) -> Option<Format> {
    Format::ALL.into_iter().find(|format| format.word() == word)
}

fn firmware(word: &str) -> Option<Firmware> {
    match word {
        "bios" => Some(Firmware::Bios),
        "uefi" => Some(Firmware::Uefi),
        _ => None,
    }
}

/// `filesystem`: those that are read in a base and not made are named.
fn filesystem(node: &Node, faults: &mut Faults) -> Filesystem {
    match node.as_scalar().map(|scalar| scalar.text.as_str()) {
        Some(other @ ("xfs" | "btrfs")) => {
            let fault = Fault::new(&node.span, format!("no root of {other} is made")).expected("`ext4`");
            faults.push(fault.hint(format!("{other} may be that of a base; the image's own is ext4: leave `filesystem` out")));
        }
        _ => _ = word(node, &FILESYSTEM, faults),
    }
    Filesystem::Ext4
}

/// `like`: a group, or a node.
fn like(node: &Node, faults: &mut Faults) -> Option<Like> {
    let fields = table(node, "`like`", (LIKE, LIKE_RULES), faults);
    let mut name = |key: &str, what: &str| {
        let written = read::text(fields.get(key)?, what, &mut Faults::new())?;
        read::name(&written, what, Spelling::Node, faults)
    };
    name("group", "a group's name").map(Like::Group).or_else(|| name("node", "a node's name").map(Like::Node))
}

/// `size`: within what a disk can be.
fn size(node: &Node, faults: &mut Faults) -> Option<Spanned<Bytes>> {
    let size = Bytes::parse(scalar(node, ScalarType::Bytes, faults)?).ok()?;
    if size < LEAST_SIZE || size > MOST_SIZE {
        let (word, limit) = if size < LEAST_SIZE { ("below", LEAST_SIZE) } else { ("above", MOST_SIZE) };
        faults.push(
            Fault::new(&node.span, format!("{size} is {word} {limit}"))
                .expected(format!("the size of a disk, {LEAST_SIZE} to {MOST_SIZE}"))
                .hint(format!("write `size: {}`", if size < LEAST_SIZE { "20 GiB" } else { "2 TiB" })),
        );
    }
    Some(Spanned::new(size, node.span.clone()))
}

/// What is said of a disk where no format is one means nothing; and a disk whose size nobody says has none.
fn disks(keys: &[&Entry], formats: &[Format], faults: &mut Faults) {
    let get = |word: &str| keys.iter().find(|entry| entry.key.value == word);
    let place = || get("formats").or_else(|| get("image")).map(|entry| &entry.value.span);
    if formats.iter().any(|format| format.is_disk()) {
        let wanting = formats.iter().find(|format| format.wants_size());
        if let (Some(format), None, Some(span)) = (wanting, get("size"), place()) {
            let fault = Fault::new(span, format!("a {} has a size of its own, and the image says none", format.word()));
            faults.push(fault.hint("add `size: 20 GiB`; what is not used takes no room"));
        }
        return;
    }
    for key in ["size", "filesystem", "firmware", "console"] {
        if let (Some(entry), false) = (get(key), formats.is_empty()) {
            let fault = Fault::new(&entry.key.span, format!("`{key}` means nothing here: none of the formats is a disk"));
            faults.push(fault.hint(format!("leave `{key}` out, or add one of `qcow2`, `raw`, `box` to `formats`")));
        }
    }
}

/// `keep`: how many builds.
fn keep(node: &Node, faults: &mut Faults) -> u32 {
    let number = match node.as_scalar().map(Scalar::bare) {
        Some(Bare::Integer(number)) => Some(number),
        _ => None,
    };
    if number.is_some_and(|number| !(1..=MOST_KEPT).contains(&number)) {
        faults.push(
            mismatch(node, "how many builds are kept, 1 to 100").hint("the build in use is one of them: write `keep: 1` for no other"),
        );
    } else {
        let _told = scalar(node, ScalarType::Integer, faults);
    }
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or(KEEP)
}

/// `console`: a device and how it is set, as the kernel's `console=` takes it (kernel, Documentation/admin-guide/serial-console.rst), or
/// `none`. It goes to the kernel's command line.
fn console(node: &Node, faults: &mut Faults) -> Option<String> {
    const EXPECTED: &str = "a serial device, `ttyS0` or `ttyS0,115200n8`, or `none`";
    let text = scalar(node, ScalarType::Text, faults)?;
    if text == "none" {
        return None;
    }
    let (device, options) = text.split_once(',').map_or((text, None), |(device, options)| (device, Some(options)));
    let numbered = |text: &str| !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_device = ["ttyS", "ttyAMA", "ttyUSB", "hvc"].iter().any(|kind| device.strip_prefix(kind).is_some_and(numbered));
    let speed = |options: &str| {
        let digits = options.bytes().take_while(u8::is_ascii_digit).count();
        let rest = &options.as_bytes()[digits..];
        (1..=7).contains(&digits)
            && rest.first().is_none_or(|parity| b"noe".contains(parity))
            && rest.get(1).is_none_or(|bits| b"78".contains(bits))
            && rest.get(2).is_none_or(|flow| *flow == b'r')
            && rest.len() <= 3
    };
    if is_device && options.is_none_or(speed) {
        return Some(text.to_owned());
    }
    faults.push(Fault::new(&node.span, format!("`{text}` is no serial console")).expected(EXPECTED));
    None
}

/// `seal`: paths that sealing takes out.
fn seal(node: &Node, faults: &mut Faults) -> Vec<Spanned<AbsPath>> {
    let fields = table(node, "`seal`", (SEAL, &[]), faults);
    let mut found: Vec<Spanned<AbsPath>> = Vec::new();
    for item in fields.get("paths").and_then(Node::as_list).unwrap_or_default() {
        let Some(path) = item.as_scalar().and_then(|scalar| AbsPath::parse(&scalar.text).ok()) else { continue };
        if path.as_str() == "/" {
            faults.push(Fault::new(&item.span, "nothing would be left of the image").expected("a path in it"));
        } else if let Some(first) = found.iter().find(|known| known.value == path) {
            faults.push(Fault::new(&item.span, format!("`{path}` is listed twice")).also(&first.span, "first listed here"));
        } else {
            found.push(Spanned::new(path, item.span.clone()));
        }
    }
    found
}

/// `checkpoint`: what is not written is as without it.
fn checkpoint(node: &Node, faults: &mut Faults) -> Checkpoint {
    let fields = table(node, "`checkpoint`", (CHECKPOINT, CHECKPOINT_RULES), faults);
    let text = |key: &str| fields.get(key).and_then(Node::as_scalar).map(|scalar| scalar.text.as_str());
    let otherwise = Checkpoint::default();
    Checkpoint {
        after: text("after").and_then(|text| Time::parse(text).ok()).unwrap_or(otherwise.after),
        bytes: text("bytes").and_then(|text| Bytes::parse(text).ok()).unwrap_or(otherwise.bytes),
    }
}
