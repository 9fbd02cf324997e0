//! From `ssh -G`'s words to types. Pure.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::algorithms::Algorithms;
use super::expand::Tokens;
use super::jump::parse_chain;
use super::options::{Treatment, treatment};
use super::resolved::{AddressFamily, AgentSocket, ConfigError, HostConfig, NewKeys};
use super::settings::{Jump, LocalUser, Target};

/// Pairs of one host, with typed ways to ask.
struct Pairs<'a>(&'a [(String, String)]);

impl<'a> Pairs<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `none` is what OpenSSH prints for an option that is not set. Such words count in any case of letters; a client prints them in lower case.
    fn first(&self, name: &str) -> Option<&'a str> {
        self.all(name).next().filter(|value| !value.eq_ignore_ascii_case("none") && !value.is_empty())
    }

    fn says(&self, name: &str, word: &str) -> bool {
        self.first(name).is_some_and(|value| value.eq_ignore_ascii_case(word))
    }

    fn parse<T: FromStr>(&self, name: &str) -> Result<Option<T>, ConfigError> {
        let bad = |value: &str| ConfigError::BadValue { name: name.to_owned(), value: value.to_owned() };
        self.first(name).map(|value| value.parse().map_err(|_| bad(value))).transpose()
    }

    fn flag(&self, name: &str) -> bool {
        self.says(name, "yes") || self.says(name, "true")
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.first(name).map(|value| value.split(',').map(str::to_owned).collect()).unwrap_or_default()
    }

    fn seconds(&self, name: &str) -> Result<Option<Duration>, ConfigError> {
        Ok(self.parse(name)?.filter(|seconds| *seconds > 0).map(Duration::from_secs))
    }
}

impl HostConfig {
    /// Reads what `ssh -G` (or the stock values) say, and lays the site's words over it.
    ///
    /// # Errors
    /// An option that cannot be honoured or read, by name.
    pub(super) fn from_pairs(target: &Target, pairs: &[(String, String)], around: &LocalUser) -> Result<Self, ConfigError> {
        refuse(pairs)?;
        let pairs = Pairs(pairs);
        check_authentications(&pairs)?;
        let hostname = pairs.first("hostname").unwrap_or(&target.host).to_owned();
        let port = pairs.parse("port")?.unwrap_or(22);
        let user = pairs.first("user").unwrap_or(&around.user).to_owned();
        let host_key_alias = pairs.first("hostkeyalias").map(str::to_owned);
        let tokens = Tokens {
            local_user: around,
            original: &target.host,
            hostname: &hostname,
            port,
            user: &user,
            alias: host_key_alias.as_deref(),
            jump: pairs.first("proxyjump").unwrap_or_default(),
        };
        let paths = |name: &str| -> Result<Vec<PathBuf>, ConfigError> {
            let expanded: Result<Vec<_>, _> = pairs.all(name).map(|value| tokens.path(name, value)).collect();
            Ok(expanded?.into_iter().flatten().collect())
        };
        let words = |name: &str| -> Result<Vec<PathBuf>, ConfigError> {
            // The client prints paths one behind the other, blanks in them too: those of the home, which it has put in, are its own.
            let home = around.home.to_string_lossy();
            let mut value = pairs.first(name).unwrap_or("").to_owned();
            if home.contains(char::is_whitespace) {
                value = value.replace(home.as_ref(), "~");
            }
            let split = value.split_ascii_whitespace();
            // With a blank elsewhere in a path it looks like two: a relative one behind an absolute one is taken for that.
            let is_rooted = |word: &str| word.starts_with(['/', '~']);
            if value.starts_with('/') && !split.clone().all(is_rooted) {
                return Err(ConfigError::BadValue { name: name.to_owned(), value });
            }
            let expanded: Result<Vec<_>, _> = split.map(|value| tokens.path(name, value)).collect();
            Ok(expanded?.into_iter().flatten().collect())
        };
        let mut config = HostConfig {
            target: target.clone(),
            address_family: family(&pairs)?,
            bind_address: pairs.parse("bindaddress")?,
            identities: paths("identityfile")?,
            certificates: paths("certificatefile")?,
            identities_only: pairs.flag("identitiesonly"),
            agent: agent(&pairs, &tokens)?,
            user_known_hosts: words("userknownhostsfile")?,
            global_known_hosts: words("globalknownhostsfile")?,
            new_keys: if pairs.says("stricthostkeychecking", "accept-new") { NewKeys::Accept } else { NewKeys::Refuse },
            hash_known_hosts: pairs.flag("hashknownhosts"),
            algorithms: algorithms(&pairs),
            key_types: pairs.list("pubkeyacceptedalgorithms"),
            connect_timeout: pairs.seconds("connecttimeout")?,
            attempts: pairs.parse("connectionattempts")?.unwrap_or(1),
            keepalive_interval: pairs.seconds("serveraliveinterval")?,
            keepalive_count: pairs.parse("serveralivecountmax")?.unwrap_or(3),
            jump: pairs.first("proxyjump").map(parse_chain).transpose()?.flatten().map_or(Jump::Direct, |hop| Jump::Via(Box::new(hop))),
            hostname: hostname.clone(),
            port,
            user: user.clone(),
            host_key_alias: host_key_alias.clone(),
        };
        config.overlay(target);
        Ok(config)
    }

    /// The site wins.
    fn overlay(&mut self, target: &Target) {
        let settings = &target.settings;
        if let Some(identity) = &settings.identity {
            self.identities = vec![identity.clone()];
            self.identities_only = true;
        }
        if let Some(known_hosts) = &settings.known_hosts {
            self.user_known_hosts = vec![known_hosts.clone()];
        }
        match &settings.jump {
            Jump::AsConfigured => {}
            Jump::Direct | Jump::Via(_) => self.jump = settings.jump.clone(),
        }
    }
}

/// Refuses every value that cannot be honoured.
fn refuse(pairs: &[(String, String)]) -> Result<(), ConfigError> {
    for (name, value) in pairs {
        if let Some(Treatment::Only(allowed, why)) = treatment(name)
            && !allowed.contains(&value.as_str())
        {
            return Err(ConfigError::Refused { name: name.clone(), value: value.clone(), why });
        }
    }
    Ok(())
}

fn check_authentications(pairs: &Pairs<'_>) -> Result<(), ConfigError> {
    let name = "preferredauthentications";
    let methods = pairs.list(name);
    if methods.is_empty() || methods.iter().any(|method| method == "publickey") {
        return Ok(());
    }
    Err(ConfigError::Refused { name: name.to_owned(), value: methods.join(","), why: "keys are the only way in that is supported" })
}

fn family(pairs: &Pairs<'_>) -> Result<AddressFamily, ConfigError> {
    match pairs.first("addressfamily") {
        None | Some("any") => Ok(AddressFamily::Any),
        Some("inet") => Ok(AddressFamily::Inet),
        Some("inet6") => Ok(AddressFamily::Inet6),
        Some(other) => Err(ConfigError::BadValue { name: "addressfamily".to_owned(), value: other.to_owned() }),
    }
}

/// `IdentityAgent`: `none`, `SSH_AUTH_SOCK` (also as `$SSH_AUTH_SOCK`), the variable that holds its path (`$NAME`), or a path.
fn agent(pairs: &Pairs<'_>, tokens: &Tokens<'_>) -> Result<AgentSocket, ConfigError> {
    let name = "identityagent";
    let of_environment = || tokens.local_user.agent.clone().map_or(AgentSocket::None, AgentSocket::At);
    match pairs.all(name).next() {
        None | Some("" | "SSH_AUTH_SOCK" | "$SSH_AUTH_SOCK") => Ok(of_environment()),
        Some(value) if value.starts_with('$') && !value.starts_with("${") => {
            let unset = || ConfigError::Variable { name: name.to_owned(), value: value.to_owned(), variable: value[1..].to_owned() };
            tokens.local_user.variables.get(&value[1..]).map(|path| AgentSocket::At(path.into())).ok_or_else(unset)
        }
        Some(value) => Ok(tokens.path(name, value)?.map_or(AgentSocket::None, AgentSocket::At)),
    }
}

fn algorithms(pairs: &Pairs<'_>) -> Algorithms {
    Algorithms {
        kex: pairs.list("kexalgorithms"),
        ciphers: pairs.list("ciphers"),
        macs: pairs.list("macs"),
        host_keys: pairs.list("hostkeyalgorithms"),
        ca_signatures: pairs.list("casignaturealgorithms"),
        compression: pairs.flag("compression"),
    }
}
