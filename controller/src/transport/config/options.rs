//! Every option that `ssh -G` prints, and what becomes of it here. Nothing is silently ignored.

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It is done.
    Honoured,
    /// It changes nothing here, or what we do is stricter; why.
    Harmless(&'static str),
    /// Only these values can be honoured; any other is refused with this reason.
    Only(&'static [&'static str], &'static str),
}

use Treatment::{Harmless, Honoured, Only};

const NO_FORWARDING: &str = "nothing is forwarded: one command on one channel";
const NO_PROMPT: &str = "only keys are tried, and nobody is asked";
const NO_TERMINAL: &str = "no terminal: the channel carries frames";
const NOT_SHARED: &str = "a run keeps its own connections";
const FOR_RSA: &str = "RSA keys are used through ssh-agent only";
const FOR_PEOPLE: &str = "it changes what a person is shown";

/// The table, sorted by name. `docs` and the tests read it too.
pub const OPTIONS: &[(&str, Treatment)] = &[
    ("addkeystoagent", Harmless("no key is added to the agent")),
    ("addressfamily", Honoured),
    ("batchmode", Harmless(NO_PROMPT)),
    ("bindaddress", Honoured),
    ("bindinterface", Only(&["none"], "use BindAddress")),
    ("canonicaldomains", Harmless("`ssh -G` has applied it")),
    ("canonicalizefallbacklocal", Harmless("`ssh -G` has applied it")),
    ("canonicalizehostname", Harmless("`ssh -G` has applied it")),
    ("canonicalizemaxdots", Harmless("`ssh -G` has applied it")),
    ("canonicalizepermittedcnames", Harmless("`ssh -G` has applied it")),
    ("casignaturealgorithms", Honoured),
    ("certificatefile", Honoured),
    ("channeltimeout", Harmless("every wait has its own deadline")),
    ("checkhostip", Harmless("the name's key is checked; the address adds nothing")),
    ("ciphers", Honoured),
    ("clearallforwardings", Harmless(NO_FORWARDING)),
    ("compression", Honoured),
    ("connectionattempts", Honoured),
    ("connecttimeout", Honoured),
    ("controlmaster", Harmless(NOT_SHARED)),
    ("controlpath", Harmless(NOT_SHARED)),
    ("controlpersist", Harmless(NOT_SHARED)),
    ("dynamicforward", Harmless(NO_FORWARDING)),
    ("enableescapecommandline", Harmless(NO_TERMINAL)),
    ("enablesshkeysign", Harmless("host-based authentication is not tried")),
    ("escapechar", Harmless(NO_TERMINAL)),
    ("exitonforwardfailure", Harmless(NO_FORWARDING)),
    ("fingerprinthash", Harmless(FOR_PEOPLE)),
    ("forkafterauthentication", Harmless("the run itself does not go to the background")),
    ("forwardagent", Harmless("the agent is never forwarded: a node must not use your keys")),
    ("forwardx11", Harmless(NO_FORWARDING)),
    ("forwardx11timeout", Harmless(NO_FORWARDING)),
    ("forwardx11trusted", Harmless(NO_FORWARDING)),
    ("gatewayports", Harmless(NO_FORWARDING)),
    ("globalknownhostsfile", Honoured),
    ("gssapiauthentication", Harmless("GSSAPI is not tried; keys are")),
    ("gssapiclientidentity", Harmless("GSSAPI is not tried; keys are")),
    ("gssapidelegatecredentials", Harmless("GSSAPI is not tried; keys are")),
    ("gssapikexalgorithms", Harmless("GSSAPI is not tried; keys are")),
    ("gssapikeyexchange", Harmless("GSSAPI is not tried; host keys are")),
    ("gssapirenewalforcesrekey", Harmless("GSSAPI is not tried; keys are")),
    ("gssapiserveridentity", Harmless("GSSAPI is not tried; keys are")),
    ("gssapitrustdns", Harmless("GSSAPI is not tried; keys are")),
    ("hashknownhosts", Honoured),
    ("host", Harmless("it is the question")),
    ("hostbasedacceptedalgorithms", Harmless("host-based authentication is not tried")),
    ("hostbasedauthentication", Harmless("host-based authentication is not tried; keys are")),
    ("hostkeyalgorithms", Honoured),
    ("hostkeyalias", Honoured),
    ("hostname", Honoured),
    ("identitiesonly", Honoured),
    ("identityagent", Honoured),
    ("identityfile", Honoured),
    ("ignoreunknown", Harmless("`ssh -G` has applied it")),
    ("ipqos", Harmless("it marks packets for routers; delays are avoided otherwise")),
    ("kbdinteractiveauthentication", Harmless(NO_PROMPT)),
    ("kbdinteractivedevices", Harmless(NO_PROMPT)),
    ("kexalgorithms", Honoured),
    ("knownhostscommand", Only(&["none"], "known host keys are read from files only")),
    ("localcommand", Harmless("nothing is run on this side")),
    ("localforward", Harmless(NO_FORWARDING)),
    ("loglevel", Harmless(FOR_PEOPLE)),
    ("logverbose", Harmless(FOR_PEOPLE)),
    ("macs", Honoured),
    ("nohostauthenticationforlocalhost", Harmless("host keys are checked for every host")),
    ("numberofpasswordprompts", Harmless(NO_PROMPT)),
    ("obscurekeystroketiming", Harmless(NO_TERMINAL)),
    ("passwordauthentication", Harmless(NO_PROMPT)),
    ("permitlocalcommand", Harmless("nothing is run on this side")),
    ("permitremoteopen", Harmless(NO_FORWARDING)),
    ("pkcs11provider", Only(&["none"], "keys on a token are used through ssh-agent: `ssh-add -s PROVIDER`")),
    ("port", Honoured),
    ("preferredauthentications", Honoured),
    ("proxycommand", Only(&["none"], "a bastion is reached by ProxyJump; no command is run in between")),
    ("proxyjump", Honoured),
    ("proxyusefdpass", Only(&["no", "false"], "it belongs to ProxyCommand")),
    ("pubkeyacceptedalgorithms", Honoured),
    ("pubkeyauthentication", Only(&["yes", "true", "unbound", "host-bound"], "keys are the only way in that is supported")),
    ("refuseconnection", Only(&["none", "no"], "it asks not to connect")),
    ("rekeylimit", Harmless("keys are renewed each GiB and each hour")),
    ("remotecommand", Harmless("a run brings its own command")),
    ("remoteforward", Harmless(NO_FORWARDING)),
    ("requesttty", Harmless(NO_TERMINAL)),
    ("requiredrsasize", Harmless(FOR_RSA)),
    ("revokedhostkeys", Only(&["none"], "mark revoked keys with @revoked in known_hosts")),
    ("securitykeyprovider", Harmless("keys on a token are used through ssh-agent")),
    ("sendenv", Harmless("the agent sets its own environment")),
    ("serveralivecountmax", Honoured),
    ("serveraliveinterval", Honoured),
    ("sessiontype", Harmless("a run brings its own command")),
    ("setenv", Harmless("the agent sets its own environment")),
    ("stdinnull", Harmless("standard input carries frames")),
    ("streamlocalbindmask", Harmless(NO_FORWARDING)),
    ("streamlocalbindunlink", Harmless(NO_FORWARDING)),
    ("stricthostkeychecking", Honoured),
    ("syslogfacility", Harmless(FOR_PEOPLE)),
    ("tag", Harmless("`ssh -G` has applied it")),
    ("tcpkeepalive", Harmless("keepalives go inside the connection")),
    ("tunnel", Harmless(NO_FORWARDING)),
    ("tunneldevice", Harmless(NO_FORWARDING)),
    ("updatehostkeys", Harmless("known_hosts is written only by an explicit act")),
    ("user", Honoured),
    ("userknownhostsfile", Honoured),
    ("verifyhostkeydns", Harmless("known_hosts alone decides, which is stricter")),
    ("versionaddendum", Harmless(FOR_PEOPLE)),
    ("visualhostkey", Harmless(FOR_PEOPLE)),
    ("warnweakcrypto", Harmless(FOR_PEOPLE)),
    ("xauthlocation", Harmless(NO_FORWARDING)),
];

/// Returns what becomes of an option; none when we have never heard of it.
pub fn treatment(name: &str) -> Option<Treatment> {
    OPTIONS.binary_search_by_key(&name, |(known, _)| known).ok().map(|index| OPTIONS[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_each_option_once() {
        assert!(OPTIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
