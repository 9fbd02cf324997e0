//! What chattr(1) has said of a file.

use rustix::fs::{Mode, OFlags};
use std::path::Path;

/// Whether chattr(1) has made a file or directory one that nobody may alter: the word for it.
pub(super) fn unalterable(path: &Path) -> Option<&'static str> {
    let kind = std::fs::symlink_metadata(path).ok()?.file_type();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let opened = (kind.is_file() || kind.is_dir()).then(|| rustix::fs::open(path, flags, Mode::empty()))?.ok()?;
    let flags = rustix::fs::ioctl_getflags(&opened).ok()?;
    let words = [(rustix::fs::IFlags::IMMUTABLE, "immutable"), (rustix::fs::IFlags::APPEND, "append-only")];
    words.into_iter().find(|(flag, _)| flags.contains(*flag)).map(|(_, word)| word)
}
