//! The files of a build: written aside, synced, renamed, with their checksums and manifests.
