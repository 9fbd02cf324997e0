//! The agent that travels inside this program.

use ostler_roles::words::Digest;

static EMBEDDED: &[u8] = include_bytes!(env!("OSTLER_AGENT_FILE"));

/// As the build script took it.
static DIGEST: &[u8; 32] = include_bytes!(concat!(env!("OUT_DIR"), "/agent.sha256"));

/// As the build script packed it.
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/agent.gz"));

/// The agent's file and its address.
#[derive(Clone, Copy)]
pub struct AgentFile {
    /// The static program.
    pub bytes: &'static [u8],
    /// SHA-256 of it: its name on every node.
    pub digest: Digest,
}

impl AgentFile {
    /// The embedded agent; none in a debug build that was given none.
    pub fn embedded() -> Option<Self> {
        (!EMBEDDED.is_empty()).then(|| Self { bytes: EMBEDDED, digest: Digest::from_bytes(*DIGEST) })
    }
    /// It as gzip packs it: what travels to a node that can unpack it. None for another file than the embedded one.
    pub fn packed(&self) -> Option<&'static [u8]> {
        (self.digest.as_bytes() == DIGEST).then_some(PACKED)
    }
    /// Its file's name in a node's cache directory.
    pub fn file_name(&self) -> String {
        format!("agent-{}", self.digest)
    }
}

impl std::fmt::Debug for AgentFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AgentFile({}, {} bytes)", self.digest.short(), self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn what_was_made_of_the_agent_at_build_time_is_of_this_one() {
        assert_eq!(DIGEST, Digest::of(EMBEDDED).as_bytes());
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(PACKED).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, EMBEDDED);
    }
}
