//! Words that are no kinds here: those of later releases, and those of other tools.

/// Words of the language that later releases will read; refused by name.
pub const LATER_KINDS: [&str; 37] = [
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
];

/// What other tools call a kind of ours.
#[must_use]
pub fn called_here(word: &str) -> Option<&'static str> {
    Some(match word {
        "shell" | "script" | "exec" | "raw" => "`command`, with its arguments as a list and a reason to stop",
        "apt" | "yum" | "dnf" | "packages" => "`package`",
        "copy" => "`file`, with `from` for a file of files/",
        "lineinfile" => "`line`",
        "systemd" | "systemd_service" | "unit" => "`service`",
        "get_url" | "fetch" => "`download`",
        "modprobe" | "module" => "`kernel_module`",
        "symlink" => "`link`",
        "git" => "`git_cache` for mirrors, `command` for a checkout",
        _ => return None,
    })
}
