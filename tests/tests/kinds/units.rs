//! Units as systemd sees them: what it has read, what its links say, what stays up.

use ostler_tests::site::{Ran, Site};
use serde_json::{Value, json};

/// A unit of the distribution's: enabled, running, without anything added to it.
const WEB: &str = r#"
printf '[Service]\nExecStart=/bin/sleep infinity\n\n[Install]\nWantedBy=multi-user.target\n' > /usr/lib/systemd/system/web.service
systemctl daemon-reload
"#;

fn site() -> Site {
    let site = crate::site("units", crate::node());
    site.sh("n1", WEB);
    site
}

fn apply(site: &Site, steps: &[Value]) -> Ran {
    crate::write_role(site, "units", &[], &steps.iter().collect::<Vec<_>>());
    site.apply()
}

/// Applied well, and the second time nothing is left to do.
fn applied(site: &Site, steps: &[Value]) -> Ran {
    let ran = apply(site, steps);
    ran.good();
    site.apply().nothing_to_do();
    ran
}

fn said(site: &Site, script: &str) -> String {
    site.sh("n1", script)
}

/// The mark of the process that runs, and not what a file says.
fn mark(site: &Site) -> String {
    said(site, "tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID web)/environ | sed -n s/^MARK=//p")
}

fn is(site: &Site, unit: &str) -> String {
    said(site, &format!("systemctl is-active {unit} || true; systemctl is-enabled {unit} 2>&1 || true"))
}

fn change_of(ran: &Ran, resource: &str) -> Vec<String> {
    ran.planned("n1").iter().filter(|(id, _)| id == resource).flat_map(|(_, planned)| crate::changes(planned)).collect()
}

#[test]
fn a_unit_never_starts_with_what_systemd_had_read_before_a_file_of_it_was_changed() {
    let site = site();
    said(&site, "systemctl start web");
    let web = |file: &str| json!({"service": {"name": "web", "state": "running", "restart_on": [file]}});
    let file = |path: &str, mark: u8| {
        let text = format!("[Service]\nExecStart=\nExecStart=/bin/sleep infinity\nEnvironment=MARK={mark}\n");
        json!({"file": {"path": path, "content": text}})
    };
    // The first addition: systemd has not seen its directory.
    let addition = "/etc/systemd/system/web.service.d/n.conf";
    applied(&site, &[file(addition, 5), web(&format!("file {addition}"))]);
    assert_eq!(mark(&site), "5");
    // A file that takes the place of the distribution's.
    said(&site, "rm -r /etc/systemd/system/web.service.d; systemctl daemon-reload; systemctl restart web");
    assert_eq!(mark(&site), "");
    let override_ = "/etc/systemd/system/web.service";
    applied(&site, &[file(override_, 7), web(&format!("file {override_}"))]);
    assert_eq!(mark(&site), "7");
    // One with an old time, as dpkg and `cp -p` leave it, and a service that is only started.
    said(
        &site,
        "systemctl stop web; sed -i s/MARK=7/MARK=9/ /etc/systemd/system/web.service; touch -d 2001-01-01 /etc/systemd/system/web.service",
    );
    applied(&site, &[json!({"service": {"name": "web", "state": "running"}})]);
    assert_eq!(mark(&site), "9");
}

#[test]
fn a_masked_unit_is_unmasked_enabled_and_started_in_one_run() {
    let site = site();
    let steps = [json!({"service": {"name": "web", "state": "running", "enabled": true}})];
    for mask in ["mask", "mask --runtime"] {
        said(&site, &format!("systemctl disable --now -q web; systemctl {mask} -q web"));
        let ran = applied(&site, &steps);
        let changes = ["unit: masked -> unmasked", "enabled: false -> true", "state: inactive -> running"];
        assert_eq!(change_of(&ran, "service web"), changes, "{mask}");
        assert_eq!(is(&site, "web"), "active\nenabled", "{mask}");
    }
    said(&site, "ln -s /dev/null /usr/lib/systemd/system/vendor.service; systemctl daemon-reload");
    let refused = apply(&site, &[json!({"service": {"name": "vendor", "state": "running"}})]).good_with(6);
    let (_, why) = refused.impossible("n1").remove(0);
    assert!(why.contains("vendor.service is masked by /usr/lib/systemd/system/vendor.service"), "{why}");
}

#[test]
fn enabled_means_what_the_install_section_says_now_and_a_static_unit_is_refused() {
    let site = site();
    let own = |target: &str| {
        let text = format!("[Service]\nExecStart=/bin/sleep infinity\n\n[Install]\nWantedBy={target}\n");
        json!({"service": {"name": "own", "unit_content": text, "state": "running", "enabled": true}})
    };
    let links = "cd /etc/systemd/system; find . -name 'own.service' -type l | sort";
    applied(&site, &[own("multi-user.target")]);
    assert_eq!(said(&site, links), "./multi-user.target.wants/own.service");
    applied(&site, &[own("graphical.target")]);
    assert_eq!(said(&site, links), "./graphical.target.wants/own.service");
    // Likewise where the file is another step's.
    let by_file = |target: &str| {
        let text = format!("[Service]\nExecStart=/bin/sleep infinity\n\n[Install]\nRequiredBy={target}\n");
        json!({"file": {"path": "/etc/systemd/system/own.service", "content": text}})
    };
    let enabled = json!({"service": {"name": "own", "enabled": true}});
    applied(&site, &[by_file("multi-user.target"), enabled.clone()]);
    assert_eq!(said(&site, links), "./multi-user.target.requires/own.service");

    said(&site, "printf '[Service]\\nExecStart=/bin/sleep infinity\\n' > /usr/lib/systemd/system/alone.service; systemctl daemon-reload");
    let alone = json!({"service": {"name": "alone", "enabled": true}});
    let refused = apply(&site, std::slice::from_ref(&alone)).good_with(6);
    let (_, why) = refused.impossible("n1").remove(0);
    assert!(why.contains("alone.service is static"), "{why}");
    // The way that the refusal names.
    let install =
        json!({"file": {"path": "/etc/systemd/system/alone.service.d/boot.conf", "content": "[Install]\nWantedBy=multi-user.target\n"}});
    assert!(why.contains("alone.service.d/boot.conf"), "{why}");
    applied(&site, &[install, alone]);
    assert_eq!(is(&site, "alone"), "inactive\nenabled");
    // What the system itself starts needs no link of ours.
    apply(&site, &[json!({"service": {"name": "systemd-journald", "state": "running", "enabled": true}})]).nothing_to_do();
    let text = "[Service]\nExecStart=/bin/sleep infinity\n";
    let refused = apply(&site, &[json!({"service": {"name": "bare", "unit_content": text, "enabled": true}})]).good_with(3).told();
    assert!(refused.contains("bare.service is static") && refused.contains("give its text an [Install] section"), "{refused}");
}

#[test]
fn an_alias_stands_for_its_unit_and_a_template_may_come_with_the_same_role() {
    let site = site();
    let sshd = [json!({"service": {"name": "sshd", "state": "running", "enabled": true}})];
    apply(&site, &sshd).nothing_to_do();
    said(&site, "systemctl disable -q ssh; systemctl stop ssh");
    assert_eq!(said(&site, "test -e /etc/systemd/system/sshd.service || echo gone"), "gone");
    // Whoever comes by ssh needs it: the socket answers meanwhile.
    said(&site, "systemctl start ssh.socket");
    applied(&site, &sshd);
    assert_eq!(is(&site, "ssh"), "active\nenabled");

    let text = "[Service]\nExecStart=/bin/sleep infinity\n\n[Install]\nWantedBy=multi-user.target\n";
    let template = json!({"file": {"path": "/etc/systemd/system/foo@.service", "content": text}});
    let instance = json!({"service": {"name": "foo@1", "state": "running", "enabled": true}});
    applied(&site, &[template, instance]);
    assert_eq!(is(&site, "foo@1"), "active\nenabled");
}

#[test]
fn a_service_that_its_socket_starts_again_is_stopped_with_a_word_of_it() {
    let site = site();
    let socket = r#"
printf '[Socket]\nListenStream=/run/web.sock\n' > /usr/lib/systemd/system/web.socket
systemctl daemon-reload; systemctl stop web; systemctl start web.socket web"#;
    said(&site, socket);
    let steps = [json!({"service": {"name": "web", "state": "stopped"}})];
    let ran = applied(&site, &steps);
    assert_eq!(change_of(&ran, "service web"), ["state: active -> stopped; web.socket starts it again"]);
    said(&site, "systemctl stop web.socket; systemctl start web");
    assert_eq!(change_of(&applied(&site, &steps), "service web"), ["state: active -> stopped"]);
}

#[test]
fn a_unit_that_only_systemd_keeps_alive_does_not_run() {
    let site = site();
    let unit = |restart: &str| {
        let text =
            format!("[Service]\nExecStart=/bin/sh -c 'echo the last words; sleep 0.6; exit 1'\nRestart=always\nRestartSec={restart}\n");
        json!({"service": {"name": "dies", "unit_content": text, "state": "running"}})
    };
    for restart in ["5", "50ms"] {
        let failed = apply(&site, &[unit(restart)]).good_with(1);
        let (id, why) = failed.failed("n1").remove(0);
        assert!(id == "service dies" && why.contains("dies.service does not stay up"), "{restart}: {why}");
        assert!(why.contains("the last words"), "{why}");
    }
    // One that has nothing left to run says what stays up, and what else might be meant.
    let once = json!({"service": {"name": "once", "unit_content": "[Service]\nType=oneshot\nExecStart=/bin/true\n", "state": "running"}});
    let ended = apply(&site, &[once]).good_with(1);
    let (id, _) = ended.failed("n1").remove(0);
    assert!(id == "service once" && ended.told().contains("stays up only with `RemainAfterExit=yes`"), "{}", ended.told());
    // A healthy unit may have been started again before.
    let healthy = "[Service]\nExecStart=/bin/sleep infinity\nRestart=always\nRestartSec=50ms\n";
    let healthy = |mark: u8| json!({"service": {"name": "healthy", "unit_content": format!("{healthy}Environment=MARK={mark}\n"), "state": "running"}});
    applied(&site, &[healthy(1)]);
    said(&site, "kill -9 $(systemctl show -P MainPID healthy); until systemctl -q is-active healthy; do sleep 0.05; done");
    assert_eq!(said(&site, "systemctl show -P NRestarts healthy"), "1");
    site.apply().nothing_to_do();
    applied(&site, &[healthy(2)]);
}

#[test]
fn a_unit_that_only_begins_to_run_is_begun_anew_by_its_new_text() {
    let site = site();
    let unit = |mark: u8, before: &str| format!("[Service]\n{before}ExecStart=/bin/sleep infinity\nEnvironment=MARK={mark}\n");
    let slow = unit(1, "ExecStartPre=/bin/sleep 30\n").replace('\n', "\\n");
    for (mark, state) in [(2u8, Some("running")), (3, None)] {
        // As one that is not up yet: to start it once more is to wait for what began by the older text.
        said(
            &site,
            &format!(
                "systemctl stop web; printf '{slow}' > /etc/systemd/system/web.service; systemctl daemon-reload; systemctl start --no-block web; systemctl is-active web || true"
            ),
        );
        let mut step = json!({"service": {"name": "web", "unit_content": unit(mark, "")}});
        if let Some(state) = state {
            step["service"]["state"] = state.into();
        }
        applied(&site, &[step]);
        assert_eq!(mark.to_string(), self::mark(&site), "{state:?}");
    }
}

#[test]
fn a_unit_is_enabled_with_those_that_its_install_section_names() {
    let site = site();
    said(
        &site,
        "printf '[Socket]\nListenStream=/run/web.sock\n\n[Install]\nWantedBy=sockets.target\n' > /usr/lib/systemd/system/web.socket",
    );
    let own = |also: &str| {
        let text = format!("[Service]\nExecStart=/bin/sleep infinity\n\n[Install]\nWantedBy=multi-user.target\n{also}");
        json!({"service": {"name": "web", "unit_content": text, "enabled": true}})
    };
    applied(&site, &[own("")]);
    applied(&site, &[own("Also=web.socket\n")]);
    let enabled = "systemctl is-enabled web web.socket; true";
    assert_eq!(said(&site, enabled), "enabled\nenabled");
    said(
        &site,
        "systemctl disable -q web.socket 2>/dev/null; systemctl enable -q web; rm -f /etc/systemd/system/sockets.target.wants/web.socket",
    );
    applied(&site, &[own("Also=web.socket\n")]);
    assert_eq!(said(&site, enabled), "enabled\nenabled");
}

#[test]
fn the_restart_that_a_new_unit_owes_outlives_a_check_that_does_not_hold() {
    let site = site();
    let own = |mark: u8| {
        let text = format!("[Service]\nExecStart=/bin/sleep infinity\nEnvironment=MARK={mark}\n");
        json!({"service": {"name": "web", "unit_content": text, "state": "running", "check": ["test", "-e", "/srv/good"]}})
    };
    applied(&site, &[own(3)]);
    let failed = apply(&site, &[own(4)]).good_with(1);
    assert!(failed.failed("n1")[0].1.contains("whose check does not hold"), "{}", failed.told());
    assert_eq!(mark(&site), "3");
    said(&site, "touch /srv/good");
    let ran = applied(&site, &[own(4)]);
    assert_eq!((ran.triggered("n1"), mark(&site)), (vec!["restart service web".to_owned()], "4".to_owned()));
}

#[test]
fn a_service_that_is_stopped_and_whose_state_is_nobodys_wish_stays_so() {
    let site = site();
    let file = |text: &str| json!({"file": {"path": "/srv/watched", "content": text}});
    for (round, verb) in ["restart_on", "reload_on"].into_iter().enumerate() {
        said(&site, "systemctl stop web");
        let service = json!({"service": {"name": "web", verb: ["file /srv/watched"]}});
        let ran = applied(&site, &[file(&format!("stopped {round}")), service.clone()]);
        assert!(is(&site, "web").starts_with("inactive"), "{verb}");
        let word = verb.trim_end_matches("_on");
        assert!(ran.told().contains(&format!("no {word} is needed: it does not run")), "{}", ran.told());
    }
    said(&site, "systemctl start web");
    let before = said(&site, "systemctl show -P MainPID web");
    applied(&site, &[file("running"), json!({"service": {"name": "web", "restart_on": ["file /srv/watched"]}})]);
    assert!(is(&site, "web").starts_with("active"));
    assert_ne!(said(&site, "systemctl show -P MainPID web"), before, "one that runs is restarted");
}

#[test]
fn what_waits_for_its_next_start_is_started_at_once() {
    let site = site();
    said(
        &site,
        "printf '[Service]\\nExecStart=/bin/sh -c \"test -e /srv/good && exec sleep infinity\"\\nRestart=always\\nRestartSec=600\\n' > /etc/systemd/system/waits.service
        systemctl daemon-reload; systemctl start waits; until systemctl show -P SubState waits | grep -q auto-restart; do sleep 0.05; done; touch /srv/good",
    );
    let began = std::time::Instant::now();
    let ran = applied(&site, &[json!({"service": {"name": "waits", "state": "running"}})]);
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "{}", ran.told());
    assert_eq!(change_of(&ran, "service waits"), ["state: auto-restart -> running"]);
    assert!(is(&site, "waits").starts_with("active"));
    // Likewise what it owes to a file of it: it cannot reload while it does not run.
    let fails = "rm /srv/good; kill $(systemctl show -P MainPID waits); until systemctl show -P SubState waits | grep -q auto-restart; do sleep 0.05; done; touch /srv/good";
    said(&site, fails);
    let reloads = json!({"service": {"name": "waits", "state": "running", "reload_on": ["file /srv/watched"]}});
    applied(&site, &[json!({"file": {"path": "/srv/watched", "content": "x"}}), reloads]);
    assert!(is(&site, "waits").starts_with("active"));
}

#[test]
fn of_a_private_unit_no_digest_is_shown() {
    let site = site();
    let step = json!({"service": {"name": "own", "unit_content": "[Service]\nExecStart=/bin/sleep infinity\n"}});
    applied(&site, std::slice::from_ref(&step));
    let digest =
        said(&site, "cd /etc/systemd/system; echo '# a guess' >> own.service; chmod 600 own.service; sha256sum own.service | head -c 8");
    let plan = site.run(&["plan"]);
    assert_eq!(change_of(&plan, "service own")[0].split(" -> ").next(), Some("unit: private"), "{}", plan.told());
    assert!(!plan.told().contains(&digest), "{}", plan.told());
    let ran = site.apply();
    ran.good();
    assert!(!ran.told().contains(&digest), "{}", ran.told());
}
