//! `file` at work.

use super::Act;
use super::fault::{WriteFault, failure, unmade, unread};
use super::node::Node;
use super::secret_value::value_of;
use crate::engine::ApplyContext;
use crate::host::EntryKind;
use crate::host::child::{PATH, Program};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::file::{Change, Desired, Observed};
use ostler_roles::words::{AbsPath, Bytes, Content, Digest, SecretRef};
use std::path::Path;

/// A file of a role is configuration; what is larger is a download.
const CAP: u64 = 256 << 20;
/// Old contents are sent for a diff up to this size.
const DIFFABLE: u64 = 256 << 10;

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let path = self.path.as_path();
        let Some(entry) = node.host.look(path).map_err(unread)? else {
            return Ok(Observed::Absent { missing_parents: node.host.missing_parents(&self.path).map_err(unread)? });
        };
        if entry.kind != EntryKind::File {
            return Ok(Observed::Other(entry.kind.word().to_owned()));
        }
        let Some(present) = &self.present else {
            let ownership = node.observed_ownership(&entry, None)?;
            return Ok(Observed::File { digest: Digest::from_bytes([0; 32]), length: entry.length, ownership });
        };
        let bytes = node.host.read(path, CAP).map_err(unread)?.unwrap_or_default();
        let digest = node.digest_like(&present.content, &bytes)?;
        Ok(Observed::File { digest, length: entry.length, ownership: node.observed_ownership(&entry, Some(&present.ownership))? })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let path = self.path.as_path();
        let mut rewrite = false;
        let mut own = false;
        for change in changes {
            match change {
                Change::MakeParent(parent) => node.host.make_parent(parent.as_path()).map_err(unmade)?,
                Change::Create { .. } | Change::Content { .. } => rewrite = true,
                Change::Ownership(_) => own = true,
                Change::Remove => node.host.remove(path).map_err(unmade)?,
            }
        }
        let Some(present) = &self.present else { return Ok(Vec::new()) };
        if rewrite {
            let writing = node.writing(&present.ownership)?;
            node.write_content(&self.path, &present.content, writing, present.validate.as_deref(), work)?;
        } else if own {
            node.host.set_ownership(path, node.writing(&present.ownership)?).map_err(unmade)?;
        }
        Ok(Vec::new())
    }

    fn to_write(&self, _node: &Node, changes: &[Change]) -> Option<Bytes> {
        let length = match self.present.as_ref().map(|present| &present.content) {
            Some(Content::Blob(blob)) => blob.length,
            Some(Content::Secret(_)) | None => 0,
        };
        let writes = changes.iter().any(|change| matches!(change, Change::Create { .. } | Change::Content { .. }));
        Some(Bytes(if writes { length } else { 0 }))
    }

    fn old_content(&self, node: &Node) -> Option<String> {
        if matches!(self.present.as_ref().map(|present| &present.content), Some(Content::Secret(_))) {
            return None;
        }
        let (bytes, entry) = node.host.read_to_edit(self.path.as_path(), DIFFABLE).ok()??;
        // What only some may read here is shown to nobody elsewhere: it may be a secret that the site knows no more, and no mask has it.
        if entry.mode & 0o004 == 0 {
            return None;
        }
        String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
    }
}

impl Node {
    /// The digest by which these bytes are compared with `content`.
    pub(super) fn digest_like(&self, content: &Content, bytes: &[u8]) -> Result<Digest, Failure> {
        Ok(match content {
            Content::Blob(_) => Digest::of(bytes),
            Content::Secret(_) => SecretRef::hmac(self.key()?, bytes),
        })
    }

    /// Writes a content in place of what is there, proved first where a proof is wanted.
    pub(super) fn write_content(
        &self,
        path: &AbsPath,
        content: &Content,
        writing: crate::host::Writing,
        validate: Option<&[String]>,
        work: &ApplyContext<'_>,
    ) -> Result<(), Failure> {
        let bytes = bytes_of(content, work)?;
        let prove = |file: &Path| -> Result<(), WriteFault> {
            let Some(argv) = validate else { return Ok(()) };
            let looked_for =
                super::command::roots_own(self, argv, PATH, Path::new("/")).map_err(|failure| WriteFault::Proof(Box::new(failure)))?;
            let file = file.to_string_lossy();
            let mut program = Program::new(argv.iter().map(|word| word.replace("%f", &file)));
            program.path = Some(looked_for);
            let finished = program.run_to_end(work.deadline).map_err(WriteFault::Os)?;
            let doing = format!("prove the new {path}, which was not put in place");
            finished.good(&doing).map(drop).map_err(|failure| WriteFault::Proof(Box::new(failure)))
        };
        self.host.write(path.as_path(), &bytes, writing, Some(&prove)).map_err(Failure::from)
    }
}

/// The bytes of a content, whole and true to their address.
pub(super) fn bytes_of(content: &Content, work: &ApplyContext<'_>) -> Result<Vec<u8>, Failure> {
    match content {
        Content::Blob(blob) => {
            let bytes = (work.blob)(&blob.digest).map_err(|error| Failure {
                causes: vec![error.to_string()],
                ..failure(FailureKind::Apply, format!("the content {} is not at hand", blob.digest.short()))
            })?;
            if Digest::of(&bytes) != blob.digest {
                return Err(failure(FailureKind::Internal, format!("the content {} at hand is another one", blob.digest.short())));
            }
            Ok(bytes)
        }
        Content::Secret(secret) => value_of(secret, work),
    }
}
