//! A node's configuration: read from config.xml by value, written into it in place, or as the form that makes a node.
//!
//! In place means: only our own values are set. The operator's offline mark, node properties, retention strategy, launch timeouts and
//! whatever a plugin added stay as they were read, because Jenkins forgets what a posted config.xml leaves out.

use super::xml::{Element, XmlError};
use ostler_roles::master::jenkins::{By, Config, Hold, HostKey, Launcher, Mode, Node, SeenLauncher, Ssh, Stage};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const SSH: &str = "hudson.plugins.sshslaves.SSHLauncher";
const INBOUND: &str = "hudson.slaves.JNLPLauncher";
const PINNED: &str = "hudson.plugins.sshslaves.verifiers.ManuallyProvidedKeyVerificationStrategy";
const ALWAYS: &str = "hudson.slaves.RetentionStrategy$Always";
/// The class of permanent nodes.
pub(super) const PERMANENT: &str = "hudson.slaves.DumbSlave";

/// Reads the values that we compare.
pub(super) fn read(slave: &Element) -> Result<Config, XmlError> {
    let executors = slave.value("numExecutors").and_then(|text| text.trim().parse().ok());
    Ok(Config {
        executors: executors.ok_or(XmlError::Unexpected("a node configuration without numExecutors"))?,
        labels: atoms(slave.value("label").unwrap_or_default()),
        mode: match slave.value("mode") {
            Some("EXCLUSIVE") => Some(Mode::Labelled),
            Some("NORMAL") => Some(Mode::Any),
            Some(_) | None => None,
        },
        remote_fs: slave.value("remoteFS").unwrap_or_default().to_owned(),
        launcher: launcher(slave.get("launcher")),
        launched: None,
    })
}

/// The offline mark, as it is stored: classes and parts, where the JSON has a text in whatever language Jenkins speaks. `shown` is that
/// text, for marks that have no words of their own.
///
/// A `UserCause` has its words as `<message>`; up to 2.440 only as the second argument of its description (recorded: `v426-11`, `v568-33`).
pub(super) fn hold(slave: &Element, shown: &str) -> Hold {
    let Some(mark) = slave.get("temporaryOfflineCause") else { return Hold { by: By::Unknown, reason: shown.to_owned() } };
    let by = match mark.value("userId") {
        Some(user) => By::Account(user.to_owned()),
        None => By::Cause(mark.class().to_owned()),
    };
    let arguments = mark.get("description").and_then(|description| description.get("args")).map_or(&[][..], |args| &args.children);
    let argument = || arguments.get(1).map(|words| words.text.as_deref().unwrap_or_default().trim_start_matches(" : "));
    let words = mark.value("message").or_else(argument).filter(|_| matches!(by, By::Account(_)));
    Hold { by, reason: words.unwrap_or(shown).to_owned() }
}

/// Whether its agent is let go and launched again by itself, as jobs or the clock want it: then it may well be offline.
pub(super) fn comes_and_goes(slave: &Element) -> bool {
    let class = slave.get("retentionStrategy").map_or("", Element::class);
    matches!(class, "hudson.slaves.RetentionStrategy$Demand" | "hudson.slaves.SimpleScheduledRetentionStrategy")
}

/// Undoes, once, what `Util.escape` did to a text.
pub(super) fn unescaped(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#039;", "'");
    plain.replace("&amp;", "&")
}

fn launcher(element: Option<&Element>) -> SeenLauncher {
    let Some(element) = element else { return SeenLauncher::Other(String::new()) };
    let value = |name: &str| element.value(name).unwrap_or_default().to_owned();
    match element.class() {
        SSH => SeenLauncher::Ssh {
            host: value("host"),
            port: value("port"),
            credential: value("credentialsId"),
            host_key: element.get("sshHostKeyVerificationStrategy").and_then(pinned_key),
            java: element.value("javaPath").filter(|path| !path.is_empty()).map(str::to_owned),
        },
        INBOUND => SeenLauncher::Inbound { is_websocket: value("webSocket") == "true" },
        other => SeenLauncher::Other(other.to_owned()),
    }
}

fn pinned_key(verifier: &Element) -> Option<HostKey> {
    if verifier.class() != PINNED {
        return None;
    }
    let key = verifier.get("key")?;
    Some(HostKey { algorithm: key.value("algorithm")?.to_owned(), base64: key.value("key")?.to_owned() })
}

/// The atoms of a label string: split at blanks, quoted ones may hold them.
pub(super) fn atoms(label: &str) -> BTreeSet<String> {
    let (mut atoms, mut atom, mut is_quoted) = (BTreeSet::new(), String::new(), false);
    for character in label.chars().chain([' ']) {
        match character {
            '"' => is_quoted = !is_quoted,
            blank if blank.is_whitespace() && !is_quoted => {
                if !atom.is_empty() {
                    atoms.insert(std::mem::take(&mut atom));
                }
            }
            other => atom.push(other),
        }
    }
    atoms
}

fn label_string(node: &Node, stage: Stage) -> String {
    // The alphabet of our labels needs no quotes.
    node.labels_at(stage).into_iter().collect::<Vec<_>>().join(" ")
}

/// Sets the values of that stage in a configuration that was read.
pub(super) fn write(slave: &mut Element, node: &Node, stage: Stage) {
    slave.put(Element::text("name", node.name.as_str()));
    slave.put(Element::text("remoteFS", node.remote_fs.as_str()));
    slave.put(Element::text("numExecutors", &node.executors.to_string()));
    slave.put(Element::text("mode", node.mode_at(stage).word()));
    slave.put(Element::text("label", &label_string(node, stage)));
    if slave.get("retentionStrategy").is_none() {
        slave.put(Element::new("retentionStrategy").with("class", ALWAYS));
    }
    let class = match node.launcher {
        Launcher::Ssh(_) => SSH,
        Launcher::Inbound => INBOUND,
    };
    let known = slave.get("launcher").filter(|launcher| launcher.class() == class).cloned();
    slave.put(launcher_element(known.unwrap_or_else(|| Element::new("launcher").with("class", class)), &node.launcher));
}

fn launcher_element(mut element: Element, launcher: &Launcher) -> Element {
    match launcher {
        Launcher::Inbound => {
            if element.get("workDirSettings").is_none() {
                // Left out, config.xml reads it as disabled; the form does not.
                element.put(
                    Element::new("workDirSettings")
                        .child(Element::text("disabled", "false"))
                        .child(Element::text("internalDir", "remoting"))
                        .child(Element::text("failIfWorkDirIsMissing", "false")),
                );
            }
            element.put(Element::text("webSocket", "true"));
        }
        Launcher::Ssh(ssh) => {
            element.put(Element::text("host", &ssh.host));
            element.put(Element::text("port", &ssh.port.to_string()));
            element.put(Element::text("credentialsId", ssh.credential.as_str()));
            match &ssh.java {
                Some(java) => element.put(Element::text("javaPath", java.as_str())),
                None => element.remove("javaPath"),
            }
            let key = Element::new("key")
                .child(Element::text("algorithm", &ssh.host_key.algorithm))
                .child(Element::text("key", &ssh.host_key.base64));
            element.put(Element::new("sshHostKeyVerificationStrategy").with("class", PINNED).child(key));
            if element.get("tcpNoDelay").is_none() {
                element.put(Element::text("tcpNoDelay", "true"));
            }
        }
    }
    element
}

/// The `json` field of the form that makes the node, in quarantine. Everything is sent: what is left out is not always filled in.
pub(super) fn form(node: &Node) -> Value {
    let stage = Stage::Quarantined;
    json!({
        "name": node.name.as_str(),
        "nodeDescription": node.site.mark(),
        "numExecutors": node.executors.to_string(),
        "remoteFS": node.remote_fs.as_str(),
        "labelString": label_string(node, stage),
        "mode": node.mode_at(stage).word(),
        "launcher": match &node.launcher {
            Launcher::Ssh(ssh) => ssh_form(ssh),
            Launcher::Inbound => json!({
                "stapler-class": INBOUND, "$class": INBOUND, "webSocket": true, "tunnel": "",
                "workDirSettings": {"disabled": false, "workDirPath": "", "internalDir": "remoting", "failIfWorkDirIsMissing": false},
            }),
        },
        "retentionStrategy": {"stapler-class": ALWAYS, "$class": ALWAYS},
        "nodeProperties": {"stapler-class-bag": "true"},
        "type": PERMANENT,
    })
}

fn ssh_form(ssh: &Ssh) -> Value {
    json!({
        "stapler-class": SSH, "$class": SSH, "includeUser": "false",
        "host": ssh.host, "port": ssh.port.to_string(), "credentialsId": ssh.credential.as_str(),
        "sshHostKeyVerificationStrategy": {"stapler-class": PINNED, "$class": PINNED, "key": ssh.host_key.to_string()},
        "javaPath": ssh.java.as_ref().map_or("", |path| path.as_str()), "jvmOptions": "", "prefixStartSlaveCmd": "", "suffixStartSlaveCmd": "",
        "launchTimeoutSeconds": "", "maxNumRetries": "", "retryWaitTime": "", "tcpNoDelay": true, "workDir": "",
    })
}

#[cfg(test)]
mod tests {
    use super::super::xml;
    use super::*;
    use ostler_roles::master::jenkins::{CredentialId, Name, Site, diff};
    use ostler_roles::words::{AbsPath, Label};
    use std::num::{NonZeroU16, NonZeroU32};

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqxxmFBzQEIwxkRxtlBa9CMROCLupFp3O0S9C3ZzPMw";

    fn node(launcher: Launcher) -> Node {
        Node {
            name: Name::parse("n1").unwrap(),
            executors: NonZeroU32::new(2).unwrap(),
            labels: BTreeSet::from([Label::parse("debian").unwrap()]),
            mode: Mode::Any,
            remote_fs: AbsPath::parse("/srv").unwrap(),
            launcher,
            site: Site::parse("lab").unwrap(),
        }
    }

    fn ssh() -> Launcher {
        Launcher::Ssh(Ssh {
            host: "h".to_owned(),
            port: NonZeroU16::new(22).unwrap(),
            credential: CredentialId::parse("c").unwrap(),
            host_key: HostKey::parse(KEY).unwrap(),
            java: Some(AbsPath::parse("/usr/bin/java").unwrap()),
        })
    }

    const OPERATORS: &str = "<slave><temporaryOfflineCause class=\"hudson.slaves.OfflineCause$UserCause\"><timestamp>1</timestamp></temporaryOfflineCause>\
        <name>n1</name><description>rack 4, managed by ostler, site lab</description><numExecutors>7</numExecutors>\
        <retentionStrategy class=\"hudson.slaves.RetentionStrategy$Demand\"><idleDelay>5</idleDelay></retentionStrategy>\
        <launcher class=\"hudson.plugins.sshslaves.SSHLauncher\" plugin=\"ssh-slaves@3\"><launchTimeoutSeconds>99</launchTimeoutSeconds></launcher>\
        <label>a \"two words\"   a</label><nodeProperties><x.y.Z><q/></x.y.Z></nodeProperties></slave>";

    #[test]
    fn an_offline_mark_is_known_by_its_parts_whatever_language_it_is_told_in() {
        let marked = |mark: &str| xml::parse(format!("<slave>{mark}</slave>").as_bytes()).unwrap();
        let args =
            "<description><args><string>al</string><string> : disk &lt;swap&gt; : x</string></args></description><userId>al</userId>";
        let class = "class=\"hudson.slaves.OfflineCause$UserCause\"";
        for message in ["", "<message>disk &lt;swap&gt; : x</message>"] {
            let seen = hold(&marked(&format!("<temporaryOfflineCause {class}>{args}{message}</temporaryOfflineCause>")), "alにより切断");
            assert_eq!(seen.to_string(), "marked offline by `al`: disk <swap> : x");
        }
        let monitor = "<temporaryOfflineCause class=\"hudson.node_monitors.DiskSpaceMonitorDescriptor$DiskSpace\"><size>1</size></temporaryOfflineCause>";
        let seen = hold(&marked(monitor), "ostler: Disk space is too low");
        assert_eq!(
            (seen.is_ours(), seen.to_string()),
            (false, "marked offline by Jenkins (DiskSpace): ostler: Disk space is too low".into())
        );
        assert_eq!(hold(&marked(""), "").to_string(), "marked offline");
        assert_eq!(unescaped("a &lt;b&gt; &amp; &quot;c&quot; &#039;d&#039; &amp;amp;"), "a <b> & \"c\" 'd' &amp;");
    }

    #[test]
    fn labels_are_a_set_of_atoms() {
        assert_eq!(atoms("  zz   a \"two words\" a "), BTreeSet::from(["zz".to_owned(), "a".to_owned(), "two words".to_owned()]));
        assert_eq!(atoms(""), BTreeSet::new());
    }

    #[test]
    fn writing_sets_our_values_and_keeps_the_operators() {
        let mut slave = xml::parse(OPERATORS.as_bytes()).unwrap();
        let node = node(ssh());
        write(&mut slave, &node, Stage::Labelled);
        assert_eq!(diff(&node, Stage::Labelled, &read(&slave).unwrap()), []);
        let written = String::from_utf8(slave.document()).unwrap();
        for kept in
            ["<timestamp>1</timestamp>", "rack 4, managed by ostler", "<idleDelay>5</idleDelay>", "launchTimeoutSeconds>99<", "<q/>"]
        {
            assert!(written.contains(kept), "{kept} in {written}");
        }
    }

    #[test]
    fn another_launcher_class_is_replaced_whole() {
        let mut slave = xml::parse(OPERATORS.as_bytes()).unwrap();
        let node = node(Launcher::Inbound);
        write(&mut slave, &node, Stage::Quarantined);
        assert_eq!(diff(&node, Stage::Quarantined, &read(&slave).unwrap()), []);
        assert!(!String::from_utf8(slave.document()).unwrap().contains("launchTimeoutSeconds"));
    }

    #[test]
    fn a_configuration_without_executors_is_not_understood() {
        assert!(read(&xml::parse(b"<slave><name>n</name></slave>").unwrap()).is_err());
    }
}
