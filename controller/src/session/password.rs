//! Sudo's password: asked for once, told to one node until that has taken it, and to no other once it was refused. Attempts lock accounts.

use super::SessionError;
use crate::transport::BoxFuture;
use ostler_roles::words::{NodeName, Secret};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Asks a person for the password that a node wants of an account; none where nobody can be asked.
pub type Ask = dyn Fn(&NodeName, &str) -> BoxFuture<'static, Option<Secret<String>>> + Send + Sync;
/// The most characters of an account's name. A node says which account sudo asks for, and a person reads it in the question.
const ACCOUNT: usize = 64;

/// The password of all nodes, of each account that is asked for: with `targetpw` and the like sudo wants another account's than the login's.
pub struct Password {
    ask: Box<Ask>,
    given: Standing,
    // By the login that the node is reached by and the account that it names: what was typed for one login's nodes is not told to another's,
    // whatever account they name. Each held by the one node on which it is being proved: the others wait for its answer.
    accounts: Mutex<BTreeMap<Account, Arc<Mutex<Standing>>>>,
    asking: Mutex<()>,
}

/// Whose password.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Account {
    login: String,
    user: String,
}

#[derive(Debug, Clone)]
enum Standing {
    Unasked,
    NotGiven,
    Given(Secret<String>),
    Proved(Secret<String>),
    Refused(NodeName),
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

impl Password {
    /// One that is known already, or will be asked for when the first node wants it.
    pub fn new(given: Option<Secret<String>>, ask: Box<Ask>) -> Self {
        Self { ask, given: given.map_or(Standing::Unasked, Standing::Given), accounts: Mutex::default(), asking: Mutex::default() }
    }

    /// The password for `user` on `node`, to which we log in as `login`. Until a first node has taken it, the next waits here.
    ///
    /// # Errors
    /// When none was given, or when a node has refused it.
    pub async fn offer(&self, (node, login): (&NodeName, &str), user: &str) -> Result<Offer, SessionError> {
        if !is_account(user) {
            return Err(SessionError::OutOfTurn {
                awaited: "a hello",
                found: "a question for the password of something that is not an account",
            });
        }
        let account = {
            let mut accounts = self.accounts.lock().await;
            let standing = accounts
                .entry(Account { login: login.to_owned(), user: user.to_owned() })
                .or_insert_with(|| Arc::new(Mutex::new(self.given.clone())));
            Arc::clone(standing)
        };
        let mut standing = account.lock_owned().await;
        if matches!(*standing, Standing::Unasked) {
            // There is one terminal, for one question at a time.
            let _asking = self.asking.lock().await;
            *standing = (self.ask)(node, user).await.map_or(Standing::NotGiven, Standing::Given);
        }
        let user = user.to_owned();
        match standing.clone() {
            Standing::Unasked | Standing::NotGiven => Err(SessionError::NeedsPassword { user }),
            Standing::Refused(by) => Err(SessionError::PasswordRefused { user, by }),
            Standing::Proved(secret) => Ok(Offer { secret, node: node.clone(), proof: None }),
            Standing::Given(secret) => Ok(Offer { secret, node: node.clone(), proof: Some(standing) }),
        }
    }
}

/// Whether a text can be an account's name, of a directory service's too (`DOMAIN\\user`, `user@domain`).
fn is_account(text: &str) -> bool {
    (1..=ACCOUNT).contains(&text.chars().count()) && text.chars().all(|c| c.is_alphanumeric() || "\\@._$+-".contains(c))
}

/// The password on its way to a node. Dropped without a word (the link broke), the next node proves it.
#[derive(Debug)]
#[must_use]
pub struct Offer {
    secret: Secret<String>,
    node: NodeName,
    proof: Option<OwnedMutexGuard<Standing>>,
}

impl Offer {
    /// The password.
    pub fn secret(&self) -> &Secret<String> {
        &self.secret
    }

    /// The node became root with it.
    pub fn taken(self) {
        if let Some(mut standing) = self.proof {
            *standing = Standing::Proved(self.secret);
        }
    }

    /// The node refused it.
    pub fn refused(self) {
        if let Some(mut standing) = self.proof {
            *standing = Standing::Refused(self.node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn node(name: &str) -> NodeName {
        NodeName::parse(name).unwrap()
    }

    fn given() -> Password {
        Password::new(Some(Secret::new("word".to_owned())), Box::new(|_, _| Box::pin(async { None })))
    }

    #[tokio::test]
    async fn one_question_is_asked_at_a_time() {
        let asking = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asking);
        let ask = move |_: &NodeName, _: &str| -> BoxFuture<'static, Option<Secret<String>>> {
            let count = Arc::clone(&count);
            Box::pin(async move {
                assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "two questions on one terminal");
                tokio::task::yield_now().await;
                count.fetch_sub(1, Ordering::SeqCst);
                None
            })
        };
        let password = Password::new(None, Box::new(ask));
        let (a, b) = (node("a"), node("b"));
        let (first, second) = tokio::join!(password.offer((&a, "ci"), "ci"), password.offer((&b, "ci"), "root"));
        assert!(first.is_err() && second.is_err());
    }

    #[tokio::test]
    async fn each_account_has_its_own_and_what_one_refused_another_may_take() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let password = Password::new(
            None,
            Box::new(move |_: &NodeName, user: &str| {
                count.fetch_add(1, Ordering::Relaxed);
                let word = format!("of {user}");
                Box::pin(async move { Some(Secret::new(word)) })
            }),
        );
        password.offer((&node("a"), "ci"), "ci").await.unwrap().refused();
        let of_root = password.offer((&node("b"), "ci"), "root").await.unwrap();
        assert_eq!((of_root.secret().expose().as_str(), asked.load(Ordering::Relaxed)), ("of root", 2));
        assert!(matches!(password.offer((&node("c"), "ci"), "ci").await, Err(SessionError::PasswordRefused { .. })));
    }

    #[tokio::test]
    async fn what_a_node_calls_an_account_is_the_name_of_one_or_nobody_is_asked() {
        let password = Password::new(None, Box::new(|_, _| Box::pin(async { Some(Secret::new("word".to_owned())) })));
        for user in ["ci", "EXAMPLE\\ci", "ci@example.org", "jörg"] {
            assert!(password.offer((&node("a"), "ci"), user).await.is_ok(), "{user}");
        }
        for user in ["", "your bank", "ci\u{202e}", "ci:\nroot", &"x".repeat(65)] {
            assert!(matches!(password.offer((&node("a"), "ci"), user).await, Err(SessionError::OutOfTurn { .. })), "{user}");
        }
    }

    #[tokio::test]
    async fn the_second_node_waits_until_the_first_has_taken_it() {
        let password = given();
        let first = password.offer((&node("a"), "ci"), "ci").await.unwrap();
        let (a, b) = (node("b"), node("c"));
        let mut second = Box::pin(password.offer((&a, "ci"), "ci"));
        assert!(futures_now(&mut second).is_none());
        first.taken();
        let _second = second.await.unwrap();
        let _third = password.offer((&b, "ci"), "ci").await.unwrap();
    }

    #[tokio::test]
    async fn a_refused_password_is_offered_to_no_other_node() {
        let password = given();
        password.offer((&node("a"), "ci"), "ci").await.unwrap().refused();
        let error = password.offer((&node("b"), "ci"), "ci").await.unwrap_err();
        assert!(matches!(&error, SessionError::PasswordRefused { by, .. } if by.as_str() == "a"), "{error}");
    }

    #[tokio::test]
    async fn a_link_that_breaks_proves_nothing() {
        let password = given();
        drop(password.offer((&node("a"), "ci"), "ci").await.unwrap());
        password.offer((&node("b"), "ci"), "ci").await.unwrap().taken();
    }

    #[tokio::test]
    async fn a_person_is_asked_once() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let ask = move |_: &NodeName, _: &str| -> BoxFuture<'static, Option<Secret<String>>> {
            count.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { None })
        };
        let password = Password::new(None, Box::new(ask));
        for name in ["a", "b"] {
            let error = password.offer((&node(name), "ci"), "ci").await.unwrap_err();
            assert!(matches!(error, SessionError::NeedsPassword { .. }), "{error}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    /// What a future has to say at once.
    fn futures_now<F: std::future::Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn what_was_typed_for_one_logins_nodes_is_not_told_to_anothers() {
        let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let ask = move |node: &NodeName, user: &str| -> BoxFuture<'static, Option<Secret<String>>> {
            let mut asked = noted.lock().unwrap();
            asked.push(format!("{node} {user}"));
            let word = format!("word {}", asked.len());
            Box::pin(async move { Some(Secret::new(word)) })
        };
        let password = Password::new(None, Box::new(ask));
        for (name, login, user) in [("a", "ada", "ada"), ("b", "ada", "ada"), ("hostile", "deploy", "ada"), ("hostile", "deploy", "root")] {
            let node = node(name);
            let offer = password.offer((&node, login), user).await.unwrap();
            assert_eq!(*offer.secret().expose() == "word 1", login == "ada", "{name} {login} {user}");
            offer.taken();
        }
        assert_eq!(*asked.lock().unwrap(), ["a ada", "hostile ada", "hostile root"], "each is a question that names its node");
    }
}
