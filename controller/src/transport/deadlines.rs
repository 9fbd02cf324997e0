//! How long each wait on the outside may last.

use std::time::Duration;

/// One policy for every wait of a connection. No wait is without its deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// Asking the OpenSSH client what the user's configuration says.
    pub configuration: Duration,
    /// Reading the user's keys and known hosts.
    pub files: Duration,
    /// Resolving a name to addresses.
    pub resolve: Duration,
    /// Opening a TCP connection to one address.
    pub dial: Duration,
    /// From the open connection to the server's identification line.
    pub banner: Duration,
    /// From there to the agreed keys, the host key checked.
    pub key_exchange: Duration,
    /// Each authentication attempt; long enough for a key that asks to be touched.
    pub authenticate: Duration,
    /// Opening a channel, starting a command on it.
    pub open: Duration,
    /// What still comes, and is still taken, after a command's exit status: a child that it left behind may print for ever.
    pub after_exit: Duration,
    /// How long the other side may leave our bytes untaken.
    pub write: Duration,
    /// How long a file's way onto the node may come to a halt: nothing taken from us, and nothing more there.
    pub place: Duration,
    /// Saying goodbye.
    pub close: Duration,
    /// Silence after which a keepalive is sent.
    pub keepalive_interval: Duration,
    /// Keepalives without an answer after which the connection counts as lost.
    pub keepalive_count: usize,
    /// Further attempts after the server dropped us before its banner (`MaxStartups`).
    pub drop_retries: u32,
    /// The first pause between such attempts; it doubles, and a random share of it is added.
    pub drop_pause: Duration,
    /// How long a node that is starting may let nobody in.
    pub boot: Duration,
    /// The pause before it is asked again.
    pub boot_pause: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            configuration: Duration::from_secs(10),
            files: Duration::from_secs(10),
            resolve: Duration::from_secs(10),
            dial: Duration::from_secs(10),
            banner: Duration::from_secs(15),
            key_exchange: Duration::from_secs(15),
            authenticate: Duration::from_secs(45),
            open: Duration::from_secs(20),
            after_exit: Duration::from_secs(30),
            write: Duration::from_secs(60),
            place: Duration::from_secs(60),
            close: Duration::from_secs(2),
            keepalive_interval: Duration::from_secs(15),
            keepalive_count: 4,
            drop_retries: 6,
            drop_pause: Duration::from_millis(200),
            boot: Duration::from_secs(60),
            boot_pause: Duration::from_secs(1),
        }
    }
}

impl Deadlines {
    /// Returns the silence after which keepalives find a connection lost.
    pub fn silence(&self) -> Duration {
        self.keepalive_interval.saturating_mul(u32::try_from(self.keepalive_count).unwrap_or(u32::MAX).saturating_add(1))
    }
}

/// The pause before a further attempt, from 1: doubles with each, and a random share is added so that many nodes do not come back together.
pub fn backoff(first: Duration, attempt: u32) -> Duration {
    let base = first * 2_u32.saturating_pow(attempt.clamp(1, 6) - 1);
    // The last byte of a version 7 UUID is random (RFC 9562, 5.7).
    let share = f64::from(uuid::Uuid::now_v7().as_bytes()[15]) / 256.0;
    base + base.mul_f64(share)
}
