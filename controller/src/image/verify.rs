//! The proof of an image: a clone of its disk is booted, entered over ssh, and asked what it is; of it nothing stays.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::boot::{BootSpec, Machine};
use super::error::ImageError;
use super::tools;
use crate::transport::{BoxFuture, CommandLine, Deadlines, Dialer, HostSettings, Jump, Link, LocalUser, NewKeys, Ssh, SshOptions, Target};

/// From the start to the last service, without acceleration, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(600);
/// One short question to a machine.
const ANSWER: Duration = Duration::from_secs(60);
/// What an answer may be long.
const LONG: u64 = 1 << 20;
/// What a machine is: its id, its host keys, when both were written and when it was booted, what of it failed. One line, as an argument is.
const LOOK: &str = "sed -n 's/^btime /boot /p' /proc/stat; echo \"id $(cat /etc/machine-id)\"; stat -c 'written %Y %n' /etc/machine-id; \
                    for key in /etc/ssh/ssh_host_*_key.pub; do echo \"key $(cut -d' ' -f1,2 \"$key\")\"; stat -c 'written %Y %n' \"$key\"; done; \
                    systemctl --failed --plain --no-legend --no-pager | sed 's/^/failed /'";
/// Seconds by which a guest's clock may be off.
const DRIFT: u64 = 5;

/// A clone that was booted and has ended its first boot. Dropped, it is gone.
#[derive(Debug)]
pub struct Booted {
    /// The way in, as root.
    pub link: Arc<dyn Link>,
    /// From its start until its ssh server answered.
    pub to_ssh: Duration,
    /// From its start until systemd had started all that it starts.
    pub to_end: Duration,
    /// What it is.
    pub look: Look,
    // The last: a link is closed before its machine ends.
    _machine: Arc<Machine>,
}

/// What a booted machine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Its machine-id.
    pub machine_id: String,
    /// Its public host keys: type and key.
    pub host_keys: Vec<String>,
    /// Units that have failed, as systemd lists them.
    pub failed: Vec<String>,
    /// Files of its identity that are older than its boot: they are the image's.
    pub old: Vec<String>,
}

impl Booted {
    /// Boots a clone in a directory of its own and waits for the end of its first boot.
    ///
    /// # Errors
    /// When it does not come up in time, or nobody is let in.
    pub async fn boot(mut spec: BootSpec, dir: PathBuf) -> Result<Self, ImageError> {
        let began = Instant::now();
        let machine = spawn_blocking(move || -> Result<_, ImageError> {
            let key = dir.join("key");
            tools::run(
                tools::program("ssh-keygen", "openssh-client")?.args(["-q", "-t", "ed25519", "-N", "", "-C", "verify", "-f"]).arg(&key),
            )?;
            let public = key.with_extension("pub");
            spec.root_key = Some(fs::read_to_string(&public).map_err(ImageError::file("read", &public))?);
            let machine = Machine::start(&spec, &dir)?;
            machine.wait_for_ssh(LIMIT).map_err(|error| ImageError::NoWayIn(Box::new(error)))?;
            Ok((Arc::new(machine), dir))
        });
        let (machine, dir) = machine.await.map_err(|error| ImageError::system("boot a machine")(io::Error::other(error)))??;
        let to_ssh = began.elapsed();
        let link = enter(&machine, &dir).await?;
        settle(link.as_ref()).await?;
        let look = Look::of(&said(link.as_ref(), LOOK, ANSWER).await?);
        Ok(Self { link, to_ssh, to_end: began.elapsed(), look, _machine: machine })
    }
}

/// Logs in. The key that the machine has made is taken as it comes and written beside its clone: no one else is on this way.
async fn enter(machine: &Arc<Machine>, dir: &Path) -> Result<Arc<dyn Link>, ImageError> {
    let mut options = SshOptions::new(LocalUser::of_this_process());
    // None of the user's own (ssh(1), -F).
    options.config_file = Some("none".into());
    options.new_keys = NewKeys::Accept;
    // An emulated machine reckons slowly while it boots.
    let long = Duration::from_secs(90);
    options.deadlines = Deadlines { banner: long, key_exchange: long, authenticate: long, open: long, place: long, ..Deadlines::default() };
    let machine = Arc::clone(machine);
    options.dialer = Dialer::Through(Arc::new(move |_| -> BoxFuture<'static, io::Result<tokio::net::TcpStream>> {
        let machine = Arc::clone(&machine);
        Box::pin(async move {
            let stream = spawn_blocking(move || machine.connect()).await.map_err(io::Error::other)?.map_err(io::Error::other)?;
            stream.set_nonblocking(true)?;
            tokio::net::TcpStream::from_std(stream)
        })
    }));
    let settings = HostSettings {
        user: Some("root".to_owned()),
        port: None,
        identity: Some(dir.join("key")),
        known_hosts: Some(dir.join("known_hosts")),
        jump: Jump::Direct,
    };
    let target = Target { host: "127.0.0.1".to_owned(), settings };
    match Ssh::new(options).connect(&target).await {
        Ok(link) => Ok(Arc::new(link)),
        Err(error) => Err(ImageError::system("log in to the booted machine as root")(io::Error::other(error))),
    }
}

/// Waits until systemd has started all that it starts.
async fn settle(link: &dyn Link) -> Result<(), ImageError> {
    let waited = timeout(LIMIT, async {
        loop {
            // systemd 252 says `running` before the last job, where it was asked to wait: the state is asked for again.
            said(link, "systemctl is-system-running --wait >/dev/null", LIMIT).await?;
            let state = said(link, "systemctl is-system-running", ANSWER).await?;
            if ["running", "degraded"].contains(&state.trim()) {
                return Ok(());
            }
            sleep(Duration::from_millis(500)).await;
        }
    });
    match waited.await {
        Ok(done) => done,
        Err(_) => {
            let jobs = said(link, "systemctl list-jobs --no-pager", ANSWER).await.unwrap_or_default();
            Err(ImageError::Deadline { what: format!("the end of the first boot; still to be done: {}", jobs.trim()), after: LIMIT })
        }
    }
}

/// Runs a script in the machine and returns what it says; how it ended does not matter.
async fn said(link: &dyn Link, script: &str, limit: Duration) -> Result<String, ImageError> {
    let failed = |error: io::Error| ImageError::system("run a program in the booted machine")(error);
    let command = CommandLine::from_words(["sh", "-c", script]).map_err(|error| failed(io::Error::other(error)))?;
    let run = async {
        let mut exec = link.exec(&command).await.map_err(|error| failed(io::Error::other(error)))?;
        let mut bytes = Vec::new();
        (&mut exec.stdout).take(LONG).read_to_end(&mut bytes).await.map_err(failed)?;
        let ended = exec.ended.await;
        if let crate::transport::Exit::Cut(reason) = ended.exit {
            return Err(failed(io::Error::other(reason)));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let late = |_| ImageError::Deadline { what: format!("`{script}` in the booted machine"), after: limit };
    timeout(limit, run).await.map_err(late)?
}

impl Look {
    /// Reads what the script says.
    fn of(text: &str) -> Self {
        let (mut look, mut boot) = (Self::default(), 0);
        for (word, rest) in text.lines().filter_map(|line| line.split_once(' ')) {
            match word {
                "boot" => boot = rest.trim().parse().unwrap_or(u64::MAX),
                "id" => rest.clone_into(&mut look.machine_id),
                "key" => look.host_keys.push(rest.to_owned()),
                "failed" => look.failed.push(rest.split_whitespace().next().unwrap_or(rest).to_owned()),
                "written" => {
                    let Some((time, name)) = rest.split_once(' ') else { continue };
                    if time.parse::<u64>().is_ok_and(|time| time + DRIFT < boot) {
                        look.old.push(name.to_owned());
                    }
                }
                _ => {}
            }
        }
        look
    }

    /// What is wrong with its identity by itself.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let is_id = self.machine_id.len() == 32 && self.machine_id.chars().all(|c| c.is_ascii_hexdigit());
        let id = (!is_id).then(|| format!("/etc/machine-id is no machine's: `{}`", self.machine_id));
        let old = self.old.iter().map(|file| format!("{file} is the image's own, not made at the first boot"));
        id.into_iter().chain(old).collect()
    }

    /// What two clones share that no two machines may.
    #[must_use]
    pub fn shared(&self, other: &Self) -> Vec<String> {
        let id = (self.machine_id == other.machine_id).then(|| format!("two clones have one machine-id, {}", self.machine_id));
        let keys = self.host_keys.iter().filter(|key| other.host_keys.contains(key));
        let keys = keys.map(|key| format!("two clones have one host key, {}", key.split(' ').next().unwrap_or(key)));
        id.into_iter().chain(keys).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "boot 1000\nid 0123456789abcdef0123456789abcdef\nwritten 1001 /etc/machine-id\nkey ssh-ed25519 AAAA\n\
                        written 996 /etc/ssh/ssh_host_ed25519_key.pub\nfailed broken.service loaded failed failed Breaks\n";

    #[test]
    fn what_a_machine_says_of_itself_is_read() {
        let look = Look::of(SAID);
        assert_eq!((look.machine_id.len(), look.host_keys.as_slice()), (32, &["ssh-ed25519 AAAA".to_owned()][..]));
        assert_eq!((look.failed.as_slice(), look.faults()), (&["broken.service".to_owned()][..], Vec::new()));
        let old = Look::of(&SAID.replace("written 996", "written 994"));
        assert_eq!(old.faults(), ["/etc/ssh/ssh_host_ed25519_key.pub is the image's own, not made at the first boot"]);
        let none = Look::of(&SAID.replace("id 0123456789abcdef0123456789abcdef", "id uninitialized"));
        assert_eq!(none.faults(), ["/etc/machine-id is no machine's: `uninitialized`"]);
    }

    #[test]
    fn what_two_clones_share_is_told() {
        let (one, other) = (Look::of(SAID), Look::of(&SAID.replace("0123", "3210").replace("AAAA", "BBBB")));
        assert_eq!(one.shared(&other), Vec::<String>::new());
        let shared = ["two clones have one machine-id, 0123456789abcdef0123456789abcdef", "two clones have one host key, ssh-ed25519"];
        assert_eq!(one.shared(&one.clone()), shared);
    }
}
