//! What stands in front of a Jenkins, and how it is set up: proxies, other addresses, languages, no crumbs; and who gives back what he was sent.

use std::time::{Duration, Instant};

use base64::Engine as _;
use ostler::masters::http::Access;
use ostler::masters::jenkins::{Client, JenkinsError, Login, Sent};
use ostler::masters::register::Ending;
use ostler_roles::master::jenkins::Name;
use ostler_roles::words::Secret;
use ostler_tests::jenkins::{Fault, Language, Timeline};

use super::bench::{
    PLANTED, Registration, SITE_KEY, client, credential, model, node, patience, register, registration, site, ssh, token, writes,
};

fn run(client: &Client, registration: &Registration) -> Ending {
    register(client, std::slice::from_ref(registration), &mut |_| {}).unwrap().remove(0).1
}

fn password() -> Login {
    Login::Password { user: "narrow".to_owned(), password: Secret::new("narrow-password".to_owned()) }
}

fn always(fault: Fault) -> Timeline {
    Timeline::new(vec![(fault, Duration::from_secs(60))])
}

#[test]
fn a_proxy_that_has_nobody_behind_it_during_a_restart_is_waited_out() {
    for login in [token("narrow"), password()] {
        let model = model();
        let client = client(&model, login);
        client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
        let wanted = registration(node("n1", ssh()), "true");
        let mut steps = 0;
        let mut goes = |_| {
            steps += 1;
            model.play(Timeline::new(vec![(Fault::Gateway, Duration::from_millis(200))]));
        };
        let endings = register(&client, std::slice::from_ref(&wanted), &mut goes).unwrap();
        assert!(endings[0].1.is_registered(), "{endings:?}");
        assert!(steps >= 4);
        let state = model.state();
        assert_eq!((state.nodes.len(), state.jobs.len()), (1, 0));
    }
}

#[test]
fn a_proxy_with_nobody_behind_it_at_first_contact_ends_the_patience_soon() {
    let model = model();
    model.play(always(Fault::Gateway));
    let began = Instant::now();
    let error = client(&model, token("narrow")).observe(&[]).unwrap_err();
    assert!(matches!(&error, JenkinsError::NotReady { last, .. } if last == "502 502 Bad Gateway"), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn an_address_that_leads_elsewhere_is_not_followed_but_told() {
    let model = model();
    model.play(always(Fault::Moved));
    let error = client(&model, token("narrow")).observe(&[]).unwrap_err();
    let expected = "list the nodes: redirected to https://ci.example/jenkins/; if that is this Jenkins, give its address as `url`; \
        if it is a page to log in at, requests with a token must pass it";
    assert_eq!(error.to_string(), expected);
    assert_eq!(model.take_log().len(), 1);
}

#[test]
fn a_server_that_is_no_jenkins_is_not_taken_for_a_missing_permission() {
    type Attempt = fn(&Client) -> JenkinsError;
    let observe: Attempt = |client| client.observe(&[]).unwrap_err();
    let put: Attempt = |client| client.put_credential(&credential(PLANTED), SITE_KEY).unwrap_err();
    for (attempt, action) in [(observe, "list the nodes"), (put, "list the credentials")] {
        let model = model();
        model.play(always(Fault::Files));
        let error = attempt(&client(&model, token("narrow")));
        let expected = format!(
            "{action}: no Jenkins answers at {}: an answer without `X-Jenkins`; give its whole address as `url`, with the path below which it lies",
            model.url()
        );
        assert_eq!(error.to_string(), expected);
    }
    // A Jenkins whose proxy takes its headers off is one all the same, and takes nodes whose Java is told.
    let model = model();
    model.state().hides_headers = true;
    let error = client(&model, token("reader")).put_credential(&credential(PLANTED), SITE_KEY).unwrap_err();
    assert!(matches!(&error, JenkinsError::MissingPermission { permission, .. } if permission == "Credentials/View"), "{error:?}");
    let client = client(&model, token("narrow"));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    let ending = run(&client, &Registration { java: Some(21), ..registration(node("n1", ssh()), "true") });
    assert!(ending.is_registered(), "{ending:?}");
}

#[test]
fn a_jenkins_that_wants_no_crumbs_is_given_none() {
    let model = model();
    model.state().wants_crumbs = false;
    let client = client(&model, password());
    client.create(&node("n1", ssh())).unwrap();
    client.create(&node("n2", ssh())).unwrap();
    let log = model.take_log();
    assert_eq!(log.iter().filter(|request| request.path == "/crumbIssuer/api/json").count(), 1);
    assert!(log.iter().all(|request| request.header("Jenkins-Crumb").is_none()));
}

#[test]
fn the_language_of_a_jenkins_makes_no_difference() {
    let model = model();
    model.state().language = Language::German;
    let client = client(&model, password());
    let wanted = credential(PLANTED);
    assert_eq!(client.put_credential(&wanted, SITE_KEY).unwrap(), Sent::Created);
    model.take_log();
    assert_eq!(client.put_credential(&wanted, SITE_KEY).unwrap(), Sent::Unchanged);
    assert_eq!(writes(&model), [""; 0]);
    assert!(run(&client, &registration(node("n1", ssh()), "true")).is_registered());
    let log = model.take_log();
    assert!(log.len() > 10 && log.iter().all(|request| request.header("Accept-Language") == Some("en")), "{log:?}");
}

#[test]
fn a_language_that_is_forced_on_everybody_changes_nothing_we_compare() {
    for language in [Language::German, Language::Japanese] {
        let model = model();
        model.state().language = language;
        model.state().forces_language = true;
        let client = client(&model, token("narrow"));
        let wanted = credential(PLANTED);
        assert_eq!(client.put_credential(&wanted, SITE_KEY).unwrap(), Sent::Created);
        model.take_log();
        assert_eq!(client.put_credential(&wanted, SITE_KEY).unwrap(), Sent::Unchanged, "{language:?}");
        assert_eq!(writes(&model), [""; 0], "{language:?}");
        // A rotated one is changed in its place: others that use it never find it gone.
        client.put_credential(&credential("another"), SITE_KEY).unwrap();
        assert_eq!(writes(&model), ["POST /credentials/store/system/domain/_/credential/jenkins-ssh/config.xml"], "{language:?}");
        // A mark of our own, of a run that was cut, is known for ours.
        assert!(matches!(run(&client, &registration(node("n1", ssh()), "exit 1")), Ending::Red(_)));
        client.drain(&Name::parse("n1").unwrap(), "a run & more").unwrap();
        let ending = run(&client, &registration(node("n1", ssh()), "true"));
        assert!(ending.is_registered(), "{language:?}: {ending:?}");
        assert!(model.state().nodes["n1"].offline.is_none(), "{language:?}");
    }
}

#[test]
fn a_workspace_that_cannot_be_written_fails_the_smoke_job() {
    let model = model();
    // Nobody makes files there, not even root.
    model.state().build_directory = Some("/proc".into());
    let client = client(&model, token("narrow"));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    let ending = run(&client, &registration(node("n1", ssh()), "true"));
    let Ending::Red(report) = &ending else { panic!("{ending:?}") };
    assert!(report.tail.iter().any(|line| line.starts_with("touch: ") && line.contains(".ostler-smoke")), "{report:?}");
}

/// A secret that is sent as XML in other words than its own.
const MARKUP: &str = "pl&nted<key-7f3a";

/// Everything that may be shown of an error.
fn shown(error: &JenkinsError) -> String {
    let mut shown = format!("{error:?} {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        shown.push_str(&format!(" {error:?} {error}"));
        cause = error.source();
    }
    shown
}

#[test]
fn whoever_gives_back_what_he_was_sent_is_quoted_without_the_secrets() {
    type Attempt = fn(&Client) -> Option<JenkinsError>;
    let put: Attempt = |client| client.put_credential(&credential(MARKUP), SITE_KEY).err();
    let observe: Attempt = |client| client.observe(&[Name::parse("n1").unwrap()]).err();
    let create: Attempt = |client| client.create(&node("n9", ssh())).err();
    let smoke: Attempt = |client| client.smoke(&node("n1", ssh()), "/dev/null", &[]).err();
    let secret: Attempt = |client| client.agent_secret(&Name::parse("n1").unwrap()).err();
    let (mut told, mut masked) = (0, 0);
    for (login, word) in [(token("narrow"), "11narrow-token"), (password(), "narrow-password")] {
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("narrow:{word}"));
        for status in [200, 302, 400, 403, 404, 409, 500, 502, 503, 504] {
            for attempt in [put, observe, create, smoke, secret] {
                let model = model();
                let mut patience = patience();
                patience.restart = Duration::from_millis(200);
                let client = Client::new(&model.url(), login.clone(), site(), patience, Access::default()).unwrap();
                client.create(&node("n1", ssh())).unwrap();
                let issued: Vec<String> =
                    model.state().crumbs.iter().flat_map(|crumb| [crumb.value.clone(), crumb.session.clone()]).collect();
                // Reads are answered as ever, so that a write is come to; then reads too.
                for writes_alone in [true, false] {
                    model.play(always(Fault::Echo { status, writes_alone }));
                    let Some(error) = attempt(&client) else { continue };
                    let shown = shown(&error);
                    told += 1;
                    masked += usize::from(shown.contains("***"));
                    let debug = format!("{client:?}");
                    for secret in [MARKUP, "pl&amp;nted", "nted&lt;key", word, &basic].into_iter().chain(issued.iter().map(String::as_str))
                    {
                        assert!(!shown.contains(secret), "{status}: {secret} in {shown}");
                        assert!(!debug.contains(secret), "{secret} in {debug}");
                    }
                }
            }
        }
    }
    // It was worth looking.
    assert!(told > 60 && masked > 20, "{masked} of {told}");
}
