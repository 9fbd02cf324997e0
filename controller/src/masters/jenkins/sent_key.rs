//! The key under which what was sent to a master is compared: what every machine of the site has that talks to it, and no one else, which is the
//! login (`docs/decisions/0021`). (The site's own key is one machine's.)

use super::session::Login;
use ostler_roles::master::jenkins::Site;
use ostler_roles::words::Secret;
use scrypt::Params;

/// What a guess costs: 32 MiB, and as much work as OWASP asks for at that size.
const COST: Cost = Cost { log_n: 15, r: 8, p: 3 };
const LENGTH: usize = 32;

/// As scrypt names them (RFC 7914).
struct Cost {
    log_n: u8,
    r: u32,
    p: u32,
}

/// The key of this login. People choose passwords: whoever knows all else that a fingerprint is made of, as a job does that is given the credential,
/// shall not guess them by the million. A token is no word to guess. Takes a moment of processor time for a password.
pub fn sent_key(login: &Login, site: &Site) -> Secret<Vec<u8>> {
    match login {
        Login::Token { token, .. } => Secret::new(token.expose().as_bytes().to_vec()),
        Login::Password { user, password } => Secret::new(slow(user, password.expose(), site, &COST)),
    }
}

/// The salt is the same on all machines of a site, and another one for each site and each account.
fn slow(user: &str, password: &str, site: &Site, cost: &Cost) -> Vec<u8> {
    let salt = format!("ostler: credentials\0{site}\0{user}");
    let mut key = vec![0; LENGTH];
    #[expect(clippy::expect_used, reason = "a test holds that these numbers are allowed")]
    let params = Params::new(cost.log_n, cost.r, cost.p, LENGTH).expect("the cost is one that scrypt knows");
    #[expect(clippy::expect_used, reason = "a test holds that this length is allowed")]
    scrypt::scrypt(password.as_bytes(), salt.as_bytes(), &params, &mut key).expect("the length is one that scrypt knows");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_no_key_but_what_costs_a_guess_dearly_and_a_token_is_one() {
        let cheap = Cost { log_n: 2, r: 8, p: 1 };
        let key = |user: &str, password: &str, site: &str| slow(user, password, &Site::parse(site).unwrap(), &cheap);
        let one = key("ada", "winter2026", "stage");
        assert_eq!((one.len(), &one), (LENGTH, &key("ada", "winter2026", "stage")), "the same on each machine");
        for other in [key("bob", "winter2026", "stage"), key("ada", "winter2027", "stage"), key("ada", "winter2026", "live")] {
            assert_ne!(one, other);
        }
        // In earnest it costs 32 MiB, and is another key than the word itself.
        assert!((128 * u64::from(COST.r)) << COST.log_n >= 32 * 1024 * 1024);
        let password = Login::Password { user: "ada".to_owned(), password: Secret::new("winter2026".to_owned()) };
        let site = Site::parse("stage").unwrap();
        let dear = sent_key(&password, &site);
        assert!(dear.expose().as_slice() != b"winter2026" && dear.expose() != &one);
        // What was sent before under a token goes on being known.
        let token = Login::Token { user: "ada".to_owned(), token: Secret::new("11aa".to_owned()) };
        assert_eq!(sent_key(&token, &site).expose(), b"11aa");
    }
}
