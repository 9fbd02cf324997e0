//! `connect`: a TCP connection from the node.

use super::{Judge, Verdict, fail, pass};
use serde::{Deserialize, Serialize};

/// A TCP connection from the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// None when it was made, else the error.
pub type Evidence = Option<String>;

impl Judge for Connect {
    type Evidence = Evidence;
    const RUNNING: Option<&'static str> = Some("it is asked from where the machine stands");

    fn subject(&self) -> Option<String> {
        Some(format!("{}:{}", self.host, self.port))
    }

    fn judge(&self, evidence: &Evidence) -> Verdict {
        match evidence {
            None => pass(format_args!("{}:{} answers", self.host, self.port)),
            Some(why) => fail(
                why,
                format_args!("a TCP connection from the node to {}:{}", self.host, self.port),
                None,
                "check the service, the route and the firewall between the two",
            ),
        }
    }
}
