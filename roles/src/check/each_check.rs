//! The one list of kinds of checks.

/// Calls a macro with a row for each kind of check: its sentence, its name as a type, and its word, which is the name of its modules too.
///
/// A new kind is one row here. `docs/adding-a-kind.md` tells which files stand behind a row.
#[macro_export]
macro_rules! each_check {
    ($take:ident) => {
        $take! {
            /// Room on the file system that holds a path.
            Disk = disk;
            /// The running kernel.
            Kernel = kernel;
            /// Installed memory.
            Memory = memory;
            /// A package.
            Package = package;
            /// A TCP connection from the node.
            Connect = connect;
            /// The kind of machine.
            Virtualization = virtualization;
            /// A relation between parameters and facts, decided when the catalog was compiled.
            Assert = assert;
            /// An account that a job can log in to.
            Login = login;
            /// A program that must exit well; it runs as `nobody` unless told otherwise.
            Command = command;
        }
    };
}
