//! The user's ssh configuration: each option honoured, harmless, or refused by name; with the OpenSSH client and without.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ostler::transport::{
    AddressFamily, AgentSocket, ConfigError, Deadlines, HostConfig, HostSettings, Jump, LocalUser, NewKeys, OPTIONS, Resolver, Target,
    Treatment,
};
use ostler_tests::sshd::run;
use tempfile::TempDir;

struct Home {
    directory: TempDir,
}

impl Home {
    fn with(config: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("ssh-home-").tempdir().unwrap();
        fs::write(directory.path().join("config"), config).unwrap();
        Self { directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    fn resolver(&self) -> Resolver {
        let home = self.directory.path().to_owned();
        // The client expands some of them itself.
        let program = stand_in(self, "ssh", "#!/bin/sh\nKEYS=/mnt/k exec ssh \"$@\"\n");
        let variables = [("KEYS".to_owned(), "/mnt/k".to_owned())].into_iter().collect();
        let machine = "desk.lab.example".to_owned();
        let local_user = LocalUser { home, user: "ann".to_owned(), agent: Some("/run/agent.sock".into()), machine, variables };
        Resolver::new(local_user, Some(self.file())).asking(program)
    }

    /// A home without an OpenSSH client.
    fn bare(&self) -> Resolver {
        self.resolver().asking(self.directory.path().join("no-ssh"))
    }
}

async fn ask(resolver: &Resolver, target: &Target) -> Result<HostConfig, ConfigError> {
    resolver.resolve(target, &Deadlines::default()).await.map(|config| (*config).clone())
}

async fn of(config: &str, host: &str) -> HostConfig {
    ask(&Home::with(config).resolver(), &Target::new(host)).await.unwrap()
}

async fn refused(config: &str) -> (String, String) {
    match ask(&Home::with(config).resolver(), &Target::new("n1")).await.unwrap_err() {
        ConfigError::Refused { name, value, .. } => (name, value),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_list_that_is_only_the_clients_default_is_nobodys_will() {
    let lists = |config: &HostConfig| {
        let algorithms = &config.algorithms;
        let all =
            [&algorithms.kex, &algorithms.ciphers, &algorithms.macs, &algorithms.host_keys, &algorithms.ca_signatures, &config.key_types];
        all.map(Vec::len)
    };
    let untouched = of("", "n1").await;
    assert_eq!(lists(&untouched), [0; 6]);
    let written = of("Host n1\n KexAlgorithms curve25519-sha256\n MACs -hmac-sha1\n PubkeyAcceptedAlgorithms +ssh-rsa\n", "n1").await;
    assert_eq!(written.algorithms.kex, ["curve25519-sha256"]);
    assert!(!written.algorithms.macs.is_empty() && !written.algorithms.macs.contains(&"hmac-sha1".to_owned()));
    assert!(written.key_types.contains(&"ssh-rsa".to_owned()));
    assert!(written.algorithms.ciphers.is_empty());
}

#[tokio::test]
async fn what_concerns_the_connection_is_honoured() {
    let config = of(
        "Host n1\n HostName 10.1.2.3\n Port 2222\n User bob\n AddressFamily inet\n BindAddress 127.0.0.2\n IdentityFile ~/k1\n IdentityFile /k/%r@%h:%p\n \
         CertificateFile /k/c-cert.pub\n IdentitiesOnly yes\n IdentityAgent /a/agent.sock\n UserKnownHostsFile /kh/a /kh/b\n GlobalKnownHostsFile /kh/g\n \
         HostKeyAlias rack-1\n StrictHostKeyChecking accept-new\n HashKnownHosts yes\n ConnectTimeout 7\n ConnectionAttempts 3\n ServerAliveInterval 5\n \
         ServerAliveCountMax 2\n Compression yes\n Ciphers aes256-ctr,chacha20-poly1305@openssh.com\n",
        "n1",
    )
    .await;
    assert_eq!((config.hostname.as_str(), config.port, config.user.as_str()), ("10.1.2.3", 2222, "bob"));
    assert_eq!((config.address_family, config.bind_address), (AddressFamily::Inet, Some(IpAddr::from([127, 0, 0, 2]))));
    // `ssh -G` leaves `~` to us, with the home that the process has.
    assert!(config.identities[0].ends_with("k1") && config.identities[0].is_absolute(), "{:?}", config.identities);
    assert_eq!(config.identities[1], Path::new("/k/bob@10.1.2.3:2222"));
    assert_eq!(config.certificates, [Path::new("/k/c-cert.pub")]);
    assert!(config.identities_only && config.hash_known_hosts && config.algorithms.compression);
    assert_eq!(config.agent, AgentSocket::At("/a/agent.sock".into()));
    assert_eq!(config.user_known_hosts, [Path::new("/kh/a"), Path::new("/kh/b")]);
    assert_eq!(config.global_known_hosts, [Path::new("/kh/g")]);
    assert_eq!((config.host_key_alias.as_deref(), config.new_keys), (Some("rack-1"), NewKeys::Accept));
    assert_eq!((config.connect_timeout, config.attempts), (Some(Duration::from_secs(7)), 3));
    assert_eq!((config.keepalive_interval, config.keepalive_count), (Some(Duration::from_secs(5)), 2));
    assert_eq!(config.algorithms.ciphers, ["aes256-ctr", "chacha20-poly1305@openssh.com"]);
    assert_eq!(config.jump, Jump::Direct);
}

#[tokio::test]
async fn match_blocks_and_includes_are_the_clients_work() {
    let home = Home::with("");
    let other = home.directory.path().join("more");
    fs::write(&other, "Host *.lab\n Port 2201\n").unwrap();
    fs::write(home.file(), format!("Include {}\nHost *.lab\n User lab\nMatch host other.lab\n User matched\n", other.display())).unwrap();
    let resolver = home.resolver();
    let one = ask(&resolver, &Target::new("n2.lab")).await.unwrap();
    assert_eq!((one.user.as_str(), one.port), ("lab", 2201));
}

#[tokio::test]
async fn the_site_wins_over_the_configuration() {
    let settings = HostSettings {
        user: Some("admin".into()),
        port: Some(23),
        identity: Some("/site/key".into()),
        known_hosts: Some("/site/known_hosts".into()),
        jump: Jump::Direct,
    };
    let home = Home::with("User bob\nPort 2222\nIdentityFile /k/own\nProxyJump gate\nMatch user admin\n ServerAliveInterval 9\n");
    let config = ask(&home.resolver(), &Target { host: "n1".into(), settings }).await.unwrap();
    assert_eq!((config.user.as_str(), config.port, config.jump), ("admin", 23, Jump::Direct));
    assert_eq!((config.identities, config.identities_only), (vec![PathBuf::from("/site/key")], true));
    assert_eq!(config.user_known_hosts, [Path::new("/site/known_hosts")]);
    assert_eq!(config.keepalive_interval, Some(Duration::from_secs(9)), "`Match user` must see the site's user");
}

#[tokio::test]
async fn proxy_jump_becomes_a_chain() {
    let config = of("Host n1\n ProxyJump ann@gate:2201,inner\n", "n1").await;
    let Jump::Via(inner) = config.jump else { panic!() };
    assert_eq!(inner.host, "inner");
    let Jump::Via(gate) = inner.settings.jump else { panic!() };
    assert_eq!((gate.host.as_str(), gate.settings.user.as_deref(), gate.settings.port), ("gate", Some("ann"), Some(2201)));
}

#[tokio::test]
async fn what_cannot_be_honoured_is_refused_by_name() {
    for (line, name, value) in [
        ("ProxyCommand nc %h %p", "proxycommand", "nc %h %p"),
        ("KnownHostsCommand /bin/keys", "knownhostscommand", "/bin/keys"),
        ("RevokedHostKeys /etc/revoked", "revokedhostkeys", "/etc/revoked"),
        ("PKCS11Provider /lib/token.so", "pkcs11provider", "/lib/token.so"),
        ("PubkeyAuthentication no", "pubkeyauthentication", "false"),
        ("PreferredAuthentications gssapi-with-mic,password", "preferredauthentications", "gssapi-with-mic,password"),
        ("BindInterface lo", "bindinterface", "lo"),
    ] {
        assert_eq!(refused(line).await, (name.to_owned(), value.to_owned()), "{line}");
    }
}

#[tokio::test]
async fn a_known_hosts_file_with_a_blank_in_its_path_is_refused_for_the_client_prints_it_as_two() {
    for name in ["UserKnownHostsFile", "GlobalKnownHostsFile"] {
        let home = Home::with(&format!("{name} \"/home/ann/my hosts/known\"\n"));
        for resolver in [home.resolver(), home.bare()] {
            let error = ask(&resolver, &Target::new("n1")).await.unwrap_err();
            let value = "/home/ann/my hosts/known".to_owned();
            assert_eq!(error, ConfigError::BadValue { name: name.to_ascii_lowercase(), value });
        }
    }
    let config = of("UserKnownHostsFile known other ~/third\n", "n1").await;
    assert_eq!(config.user_known_hosts[..2], [Path::new("known"), Path::new("other")]);
}

#[tokio::test]
async fn proxy_command_none_and_preferred_keys_are_fine() {
    of(
        "ProxyCommand none\nPreferredAuthentications publickey,password\nForwardAgent yes\nSendEnv FOO\nSetEnv A=b\nRequestTTY force\n",
        "n1",
    )
    .await;
}

#[tokio::test]
async fn lists_of_algorithms_keep_their_order_and_one_with_nothing_left_is_refused() {
    let config = of("KexAlgorithms sntrup761x25519-sha512@openssh.com,ecdh-sha2-nistp256,curve25519-sha256\n", "n1").await;
    let kex: Vec<_> = config.algorithms.preferred(&[], false).unwrap().kex.iter().map(|name| name.as_ref().to_owned()).collect();
    assert_eq!(kex, ["ecdh-sha2-nistp256", "curve25519-sha256", "ext-info-c", "kex-strict-c-v00@openssh.com"]);
    let config = of("HostKeyAlgorithms rsa-sha2-512\n", "n1").await;
    assert_eq!(config.algorithms.preferred(&[], false).unwrap_err().kind, "HostKeyAlgorithms");
}

#[tokio::test]
async fn a_broken_configuration_is_quoted_with_the_clients_words() {
    let error = ask(&Home::with("Nonsense yes\n").resolver(), &Target::new("n1")).await.unwrap_err();
    assert!(matches!(&error, ConfigError::Query { reason, .. } if reason.contains("Bad configuration option: nonsense")), "{error}");
}

#[tokio::test]
async fn a_host_that_looks_like_an_option_is_refused() {
    for host in ["-oProxyCommand=x", "", "a b", "a\nb"] {
        let error = ask(&Home::with("").resolver(), &Target::new(host)).await.unwrap_err();
        assert_eq!(error, ConfigError::BadHost(host.to_owned()));
    }
}

#[tokio::test]
async fn paths_are_expanded_as_ssh_expands_them() {
    let config = of(
        "Host n1\n HostName 10.0.0.1\n Port 2222\n User bob\n ProxyJump gate\n IdentityFile ${KEYS}/id\n IdentityFile /k/%L/%l/%j\n IdentityFile /k/%C\n \
         IdentityAgent $KEYS\n UserKnownHostsFile ${KEYS}/known\n",
        "n1",
    )
    .await;
    // printf %s desk.lab.example10.0.0.12222bobgate | sha1sum
    let expected = ["/mnt/k/id", "/k/desk/desk.lab.example/gate", "/k/d8d6c5b8469537d8b8ffd0562dfbbe98ac16c487"];
    assert_eq!(config.identities, expected.map(PathBuf::from));
    assert_eq!(config.agent, AgentSocket::At("/mnt/k".into()));
    assert_eq!(config.user_known_hosts, [Path::new("/mnt/k/known")]);
    let error = ask(&Home::with("IdentityFile ${NOT_SET}/k\n").resolver(), &Target::new("n1")).await.unwrap_err();
    assert!(matches!(&error, ConfigError::Variable { variable, .. } if variable == "NOT_SET"), "{error}");
    let error = ask(&Home::with("IdentityFile ${KEYS/k\n").resolver(), &Target::new("n1")).await.unwrap_err();
    assert!(matches!(&error, ConfigError::BadValue { .. } | ConfigError::Query { .. }), "{error}");
}

#[tokio::test]
async fn a_home_with_a_blank_in_its_path_is_taken() {
    let directory = tempfile::Builder::new().prefix("ssh home ").tempdir().unwrap();
    let home = directory.path().to_owned();
    fs::create_dir(home.join(".ssh")).unwrap();
    let local_user =
        LocalUser { home: home.clone(), user: "ann".to_owned(), agent: None, machine: "desk".to_owned(), variables: Default::default() };
    // As OpenSSH prints it for this home: a client takes its home from the accounts file.
    let printed = format!("userknownhostsfile {0}/.ssh/known_hosts {0}/.ssh/known_hosts2", home.display());
    let place = Home::with("");
    let program = stand_in(&place, "ssh", &format!("#!/bin/sh\necho 'hostname n1'\necho '{printed}'\n"));
    let config = ask(&Resolver::new(local_user, None).asking(program), &Target::new("n1")).await.unwrap();
    assert_eq!(config.user_known_hosts, [home.join(".ssh/known_hosts"), home.join(".ssh/known_hosts2")]);
}

#[tokio::test]
async fn tokens_that_we_do_not_have_are_named() {
    for (path, named) in [("/k/%T", "%T"), ("~bob/k", "~bob")] {
        let error = ask(&Home::with(&format!("IdentityFile {path}\n")).resolver(), &Target::new("n1")).await.unwrap_err();
        assert!(matches!(&error, ConfigError::Token { token, .. } if token == named), "{error}");
    }
}

/// Makes a program of a script. Another process writes it: a file that this one holds open for writing while a
/// sibling test forks could not be run ("text file busy").
fn stand_in(home: &Home, name: &str, script: &str) -> PathBuf {
    let (text, file) = (home.directory.path().join("script"), home.directory.path().join(name));
    fs::write(&text, script).unwrap();
    run("install", &["-m", "755", text.to_str().unwrap(), file.to_str().unwrap()]);
    file
}

/// A stand-in for a newer client: it prints an option that the table does not have.
fn newer_client(home: &Home, for_host: &str, for_all: &str) -> PathBuf {
    let script = format!(
        "#!/bin/sh\nif [ \"$2\" = -F ] && [ \"$3\" = none ]; then echo 'futureoption {for_all}'; else echo 'futureoption {for_host}'; fi\n"
    );
    stand_in(home, "newer-ssh", &script)
}

#[tokio::test]
async fn an_option_of_a_newer_client_is_accepted_only_at_its_default() {
    let home = Home::with("");
    let target = Target::new("n1");
    ask(&home.resolver().asking(newer_client(&home, "no", "no")), &target).await.unwrap();
    let error = ask(&home.resolver().asking(newer_client(&home, "yes", "no")), &target).await.unwrap_err();
    assert!(matches!(&error, ConfigError::Refused { name, value, .. } if name == "futureoption" && value == "yes"), "{error}");
}

#[tokio::test]
async fn a_client_that_hangs_is_left_after_its_deadline() {
    let home = Home::with("");
    let file = stand_in(&home, "slow-ssh", "#!/bin/sh\nexec sleep 60\n");
    let deadlines = Deadlines { configuration: Duration::from_millis(200), ..Deadlines::default() };
    let error = home.resolver().asking(file).resolve(&Target::new("n1"), &deadlines).await.unwrap_err();
    assert!(matches!(&error, ConfigError::Query { reason, .. } if reason.contains("no answer")), "{error}");
}

#[tokio::test]
async fn without_a_client_plain_blocks_give_what_the_client_would() {
    let texts = [
        "",
        "Host n1\n User a\n Port 2201\nHost *\n User b\n Port 2202\n",
        "User first\nHost n*\n User second\n HostName 10.0.0.9\n",
        "Host !n1 *\n User other\nHost n1\n IdentityFile /k/1\n IdentityFile /k/2\n",
        "Host n? m?\n Port=2203\n IdentitiesOnly yes\n ServerAliveInterval 4\n",
        "Host *\n UserKnownHostsFile \"/kh/one\"\n HostKeyAlias x\n ProxyJump ann@gate:22\n StrictHostKeyChecking accept-new\n",
        "IdentitiesOnly YES\nHashKnownHosts Yes\nStrictHostKeyChecking Accept-New\nCompression yes\nProxyJump NONE\n",
        "ProxyCommand none\nProxyJump gate\n",
        "ProxyJump gate\nProxyCommand nc %h 22\n",
        "LocalCommand echo \"a\" 'b' # c\nSetEnv A=\"b c\"\n",
    ];
    for text in texts {
        let home = Home::with(&format!("{text}\nHost *\n User ann\n UserKnownHostsFile /kh/k\n IdentityFile /k/last\n"));
        let theirs = ask(&home.resolver(), &Target::new("n1")).await.unwrap();
        let mut ours = ask(&home.bare(), &Target::new("n1")).await.unwrap();
        // Without a client the lists are our own; with one they are its defaults.
        ours.algorithms = theirs.algorithms.clone();
        ours.key_types.clone_from(&theirs.key_types);
        assert_eq!(ours, theirs, "{text}");
    }
}

#[tokio::test]
async fn without_a_client_match_and_include_are_refused() {
    for word in ["match", "include"] {
        let home = Home::with(&format!("Host x\n{word} all\n"));
        let error = ask(&home.bare(), &Target::new("n1")).await.unwrap_err();
        assert!(matches!(&error, ConfigError::NeedsClient { line: 2, word: named, .. } if named == word), "{error}");
    }
    let error = ask(&Home::with("Nonsense yes\n").bare(), &Target::new("n1")).await.unwrap_err();
    assert!(matches!(&error, ConfigError::NeedsClient { word, .. } if word == "nonsense"), "{error}");
}

/// What the client would have to be asked about this line.
async fn needs_client(line: &str) -> Option<(usize, String)> {
    let home = Home::with(&format!("Host other\n {line}\nHost *\n {line}\n"));
    match ask(&home.bare(), &Target::new("n1")).await {
        Err(ConfigError::NeedsClient { line, word, file }) if file == home.file().display().to_string() => Some((line, word)),
        Err(other) => panic!("{line}: {other}"),
        Ok(_) => None,
    }
}

#[tokio::test]
async fn without_a_client_a_list_that_builds_on_its_defaults_is_refused() {
    let lists = ["Ciphers", "KexAlgorithms", "MACs", "HostKeyAlgorithms", "PubkeyAcceptedAlgorithms", "CASignatureAlgorithms"];
    for (list, prefix) in lists.iter().flat_map(|list| ["+", "-", "^"].map(|prefix| (list, prefix))) {
        let word = format!("{} {prefix}a,b", list.to_ascii_lowercase());
        assert_eq!(needs_client(&format!("{list} {prefix}a,b")).await, Some((4, word)));
    }
    assert_eq!(needs_client("Ciphers aes256-ctr,aes128-ctr").await, None);
}

#[tokio::test]
async fn without_a_client_what_it_would_expand_or_unquote_is_refused() {
    for line in [
        "hostname %h.lab",
        "user ann # on call",
        "userknownhostsfile \"/a b\" /c",
        "userknownhostsfile /a \"/b c\"",
        "identityfile '/a b'",
        "identityfile /a\\ b",
    ] {
        assert_eq!(needs_client(line).await, Some((4, line.to_owned())));
    }
    for patterns in ["host a # b", "host \"a b\""] {
        let error = ask(&Home::with(&format!("\n{patterns}\n")).bare(), &Target::new("n1")).await.unwrap_err();
        assert!(matches!(&error, ConfigError::NeedsClient { line: 2, word, .. } if word == patterns), "{error}");
    }
    ask(&Home::with("Host \"a\" \"n1\"\n").bare(), &Target::new("n1")).await.unwrap();
}

#[test]
fn every_option_that_the_installed_client_prints_is_in_the_table() {
    let printed = run("ssh", &["-G", "-F", "none", "n1"]);
    let missing: Vec<_> = printed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !OPTIONS.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)))
        .collect();
    assert_eq!(missing, [""; 0], "decide about them in config/options.rs");
}

#[test]
fn every_harmless_option_says_why() {
    for (name, treatment) in OPTIONS {
        match treatment {
            Treatment::Honoured => {}
            Treatment::Harmless(why) | Treatment::Only(_, why) => assert!(why.len() > 10, "{name}"),
        }
    }
}

/// `docs/reference/ssh-options.md`, made from the table.
fn reference() -> String {
    let mut text = String::from(
        "# The user's ssh configuration\n\nFor each node `ssh -G HOST` says what is in force; the site's `ssh:` words win over it. Every option that it prints is\n\
         honoured, harmless here, or refused by name. An option of a newer client that is not in this list is accepted only at its default.\n\
         Without an OpenSSH client its defaults hold, and files of plain `Host` blocks are read; `Match`, `Include`, lists\n\
         that begin with `+`, `-` or `^`, and what would be expanded or unquoted are refused then.\n\n\
         `StrictHostKeyChecking` `yes`, `ask` and `no` all mean: an unknown host key is refused (`--accept-new` or `accept-new` accepts and records it);\n\
         a changed or revoked one is refused always.\n\n| option | what becomes of it |\n|---|---|\n",
    );
    for (name, treatment) in OPTIONS {
        let words = match treatment {
            Treatment::Honoured => "honoured".to_owned(),
            Treatment::Harmless(why) => format!("harmless: {why}"),
            Treatment::Only(values, why) => format!("only `{}`, otherwise refused: {why}", values.join("`, `")),
        };
        text.push_str(&format!("| {name} | {words} |\n"));
    }
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "`BLESS=1` is how expected texts are written")]
fn the_reference_of_options_is_fresh() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/ssh-options.md");
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, reference()).unwrap();
    }
    assert!(fs::read_to_string(&file).unwrap_or_default() == reference(), "run this test with BLESS=1 and look at the difference");
}

/// A client that counts how often it is asked.
struct Counted {
    home: Home,
    memory: TempDir,
}

impl Counted {
    fn with(config: &str) -> Self {
        let counted = Self { home: Home::with(config), memory: tempfile::tempdir().unwrap() };
        let calls = counted.calls_file();
        stand_in(&counted.home, "counted", &format!("#!/bin/sh\necho \"$*\" >>{}\nexec ssh \"$@\"\n", calls.display()));
        counted
    }

    fn calls_file(&self) -> PathBuf {
        self.home.directory.path().join("calls")
    }

    /// One run that asks for these hosts: users in force, and how often the client was asked.
    async fn run(&self, hosts: &[&str]) -> (Vec<String>, usize) {
        let _ = fs::remove_file(self.calls_file());
        let resolver = self.home.resolver().asking(self.home.directory.path().join("counted")).remembering(self.memory.path());
        let mut users = Vec::new();
        for host in hosts {
            users.push(ask(&resolver, &Target::new(*host)).await.unwrap().user);
        }
        (users, fs::read_to_string(self.calls_file()).map_or(0, |text| text.lines().count()))
    }
}

#[tokio::test]
async fn the_client_is_asked_again_only_when_something_has_changed_on_which_its_answer_rests() {
    let desk = Counted::with("");
    let path = |name: &str| desk.home.directory.path().join(name);
    let config = |text: &str| fs::write(desk.home.file(), text).unwrap();
    config(&format!("Include {}/*.conf\nHost *\n  User first\n", path("more").display()));
    let users = |name: &str| vec![name.to_owned(); 3];
    let hosts = ["n1", "n2", "n3"];
    // Three hosts, and what holds without any configuration.
    assert_eq!(desk.run(&hosts).await, (users("first"), 4));
    assert_eq!(desk.run(&hosts).await, (users("first"), 0));
    assert_eq!(desk.run(&["n1", "n4"]).await, (vec!["first".to_owned(); 2], 1), "only the new one");
    fs::create_dir(path("more")).unwrap();
    fs::write(path("more/a.conf"), "User included\n").unwrap();
    assert_eq!(desk.run(&hosts).await, (users("included"), 4), "a file came under a pattern");
    assert_eq!(desk.run(&hosts).await, (users("included"), 0));
    fs::write(path("more/a.conf"), "User incluDed\n").unwrap();
    assert_eq!(desk.run(&hosts).await, (users("incluDed"), 4), "an included file changed");
    fs::remove_file(path("more/a.conf")).unwrap();
    assert_eq!(desk.run(&hosts).await, (users("first"), 4), "it went");
    // The client has the test's own home.
    config("Match exec \"test -e ~/never-there\"\n  User other\nHost *\n  User asked\n");
    assert_eq!(desk.run(&hosts).await, (users("asked"), 4), "a command decides");
    assert_eq!(desk.run(&hosts).await, (users("asked"), 4), "and is asked each time");
}

#[tokio::test]
async fn a_client_that_does_not_say_what_it_reads_is_asked_each_time() {
    let desk = Counted::with("User first\n");
    let calls = desk.calls_file();
    let silent = format!("#!/bin/sh\necho \"$*\" >>{}\nexec ssh \"$@\" 2>/dev/null\n", calls.display());
    stand_in(&desk.home, "counted", &silent);
    for _ in 0..2 {
        assert_eq!(desk.run(&["n1"]).await, (vec!["first".to_owned()], 2));
    }
}

#[tokio::test]
async fn a_file_that_a_client_may_find_at_a_place_of_its_own_counts_when_it_comes() {
    let desk = Counted::with("");
    let (calls, own) = (desk.calls_file(), desk.home.directory.path().join("ssh_config"));
    // As a client does that was built with another `sysconfdir`: it names the file only when it is there.
    let (counted, file) = (calls.display(), own.display());
    let script = format!("#!/bin/sh\necho \"$*\" >>{counted}\n[ -e {file} ] && exec ssh -F {file} \"$@\"\nexec ssh -F none \"$@\"\n");
    let program = stand_in(&desk.home, "counted", &script);
    let user = async || {
        let local_user = desk.home.resolver().local_user().clone();
        let resolver = Resolver::new(local_user, None).asking(&program).remembering(desk.memory.path());
        ask(&resolver, &Target::new("n1")).await.unwrap().user
    };
    assert_ne!(user().await, "later");
    fs::write(&own, "User later\n").unwrap();
    assert_eq!(user().await, "later");
    fs::write(&own, "User latest\n").unwrap();
    assert_eq!(user().await, "latest");
}
