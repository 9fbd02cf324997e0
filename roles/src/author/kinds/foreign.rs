//! Words that are not ours: those of later releases, and those of other tools with what stands in their place.

/// Words that later releases will read, by where they stand.
#[derive(Clone, Copy, Debug)]
pub struct Later {
    /// Kinds.
    pub kinds: &'static [&'static str],
    /// Words beside a kind.
    pub step: &'static [&'static str],
    /// Keys of a role.
    pub role: &'static [&'static str],
    /// Keys of `ostler.yaml`.
    pub site: &'static [&'static str],
    /// Kinds of masters.
    pub masters: &'static [&'static str],
}

/// All of them but fields, which stand as such in the tables of their kinds; refused by name.
pub const LATER: Later = Later {
    kinds: &[
        "apt_source",
        "authorized_keys",
        "ca_certificate",
        "clock",
        "cpu",
        "database",
        "first_boot",
        "gearman",
        "hostname",
        "http",
        "image_cache",
        "iscsi",
        "jenkins_plugins",
        "kernel_headers",
        "known_host",
        "mount",
        "mount_options",
        "package_cache",
        "package_timers",
        "port_free",
        "processes",
        "python_site_hook",
        "reboot",
        "script",
        "ssh_key",
        "swap",
        "time_sync",
        "timer",
        "timezone",
        "tls_certificate",
        "tmpfiles",
        "unit",
        "venv",
        "wait_for",
        "workspace",
        "docker_image",
        "hosts_entry",
    ],
    step: &["while_busy"],
    role: &["gives"],
    site: &["rollout"],
    masters: &["nodepool", "zuul"],
};

/// What other tools call a kind of ours.
#[must_use]
pub fn called_here(word: &str) -> Option<&'static str> {
    Some(match word {
        "shell" | "script" | "exec" | "raw" => "`command`, with its arguments as a list and a reason to stop",
        "apt" | "yum" | "dnf" | "packages" => "`package`",
        "copy" => "`file`, with `from` for a file of files/",
        "template" => "`file`, with `template` for a file of templates/",
        "pip" | "pip3" => "`command`, with the environment's program in `creates`",
        "authorized_keys" | "ssh_authorized_key" => "`authorized_key`, with `keys` for several",
        "apt_source" | "apt_repository" | "apt_key" => {
            "`file`, below /etc/apt/sources.list.d, its key by `download` or `file` in /etc/apt/keyrings"
        }
        "cron" | "cronjob" => "`file`, below /etc/cron.d",
        "timer" | "systemd_timer" => "`service`, with `name: NAME.timer`, the timer's text in `unit_content` and `enabled: true`",
        "hosts_entry" | "host" => "`line`, in /etc/hosts",
        "known_host" | "known_hosts" | "sshkey" => "`line`, in /etc/ssh/ssh_known_hosts",
        "tmpfiles" => "`file`, below /etc/tmpfiles.d, and a `command` that runs systemd-tmpfiles on it (`run_on`)",
        "mount" => "`service`, with `name: PATH.mount` and the mount's text in `unit_content` (systemd.mount(5))",
        "lineinfile" => "`line`",
        "systemd" | "systemd_service" => "`service`",
        "unit" => "`service`, with `unit_content`, `unit_from` or `unit_template`",
        "get_url" | "fetch" => "`download`",
        "modprobe" | "module" => "`kernel_module`",
        "symlink" => "`link`",
        "git" => "`git_cache` for mirrors, `command` for a checkout",
        _ => return None,
    })
}

/// What to write in place of a word that other tools have as a value.
#[must_use]
pub fn value_called_here(word: &str) -> Option<&'static str> {
    Some(match word {
        "started" | "start" | "up" => "write `running`",
        "stop" | "down" => "write `stopped`",
        "restarted" => "in its place: `restart_on: [NAMES]`, of what it shall be restarted for",
        "reloaded" => "in its place: `reload_on: [NAMES]`, of what it shall be reloaded for",
        _ => return None,
    })
}

/// What to use in place of a word that other languages have and this one has not.
#[must_use]
pub fn absent(word: &str) -> Option<&'static str> {
    Some(match word {
        "include" | "import" | "import_tasks" | "include_tasks" | "import_role" | "include_role" | "macro" => {
            "in its place: a role that this one needs, or `each`"
        }
        "block" => "in its place: `steps: [...]`, which shares one `when`, `each` and `within`",
        "register" => "in its place: a kind that observes by itself, or a file (`stdout_to`)",
        "notify" | "handlers" | "listen" => "in its place: the one that acts names what it watches: `restart_on`, `reload_on`, `run_on`",
        "tags" => "there are none: a half-applied role proves nothing",
        "ignore_errors" | "failed_when" => "in its place: `accept: [0, 2]` names the exit codes that are good",
        "worker_password" => "in its place, in `vars`: `worker_password` of the role buildbot-master, `password` of buildbot-worker",
        "only_if" | "changed_when" => "in its place: `unless`, which asks the opposite, or `creates`",
        "loop" | "with_items" => "in its place: `each: NAME in LIST`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::keys;

    #[test]
    fn what_is_read_is_of_no_later_release() {
        let ours = |keys: &'static [keys::KeySpec]| keys::names(keys).collect::<Vec<_>>();
        // A kind's word may stay when the kind comes: what is read is looked for first.
        for (later, known) in [(LATER.step, ours(keys::STEP)), (LATER.role, ours(keys::ROLE)), (LATER.site, ours(keys::SITE))] {
            let both: Vec<&str> = later.iter().filter(|word| known.contains(word)).copied().collect();
            assert!(both.is_empty() && !later.is_empty(), "{both:?}");
        }
    }
}
