//! The one list of kinds.

/// Calls a macro with a row for each kind: its sentence, its name as a type, and its word, which is the name of its modules too.
///
/// A new kind is one row here. `docs/adding-a-kind.md` tells which files stand behind a row.
#[macro_export]
macro_rules! each_kind {
    ($take:ident) => {
        $take! {
            /// A Debian package.
            Package = package;
            /// A regular file.
            File = file;
            /// A directory.
            Directory = directory;
            /// A symbolic link.
            Link = link;
            /// An account.
            User = user;
            /// A group of accounts.
            Group = group;
            /// A public key that may log in.
            AuthorizedKey = authorized_key;
            /// One line of a file.
            Line = line;
            /// A systemd unit.
            Service = service;
            /// A kernel setting.
            Sysctl = sysctl;
            /// A kernel module.
            KernelModule = kernel_module;
            /// A program with a reason to stop.
            Command = command;
            /// Mirrors of git repositories.
            GitCache = git_cache;
            /// A file from a URL, with its checksum.
            Download = download;
        }
    };
}
