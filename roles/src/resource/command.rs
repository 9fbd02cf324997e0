//! `command`: a program run until its guard says that it is done.

use super::{AtRest, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::{AbsPath, AccountName, SecretRef, Sensitive};
use serde::{Deserialize, Serialize};

/// A command with its reasons to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Its name among commands of the node.
    pub name: String,
    /// Program and arguments; never a shell line.
    pub run: Vec<String>,
    /// Done once this path exists.
    pub creates: Option<AbsPath>,
    /// Done while this exits 0.
    pub unless: Option<Vec<String>>,
    /// Variables beside the fixed locale and path.
    pub environment: Vec<(String, Sensitive)>,
    /// The account it runs as; root where none.
    pub run_as: Option<AccountName>,
    /// Its working directory; `/` where none.
    pub directory: Option<AbsPath>,
    /// What it reads on its standard input; closed where none.
    pub stdin: Option<Sensitive>,
    /// Exit codes that are good; 0 where empty.
    pub accept: Vec<i32>,
    /// Where its standard output goes, whole.
    pub stdout_to: Option<AbsPath>,
}

/// What its guards say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Whether the path of `creates` exists; none without `creates`.
    pub created: Option<bool>,
    /// Whether `unless` exited 0; none without `unless`.
    pub unless_holds: Option<bool>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Run it: the reason.
    Run(String),
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::Run(why) => Shown::new("run", why, "done"),
        }
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;
    const AT_REST: &'static str = "It runs, in the image: by its guards, and where something that it watches changed.";

    fn key(&self) -> String {
        self.name.clone()
    }

    fn at_rest(&self) -> AtRest<Self> {
        AtRest::Whole
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        let mut wanting = Vec::new();
        if let (Some(false), Some(path)) = (observed.created, &self.creates) {
            wanting.push(Change::Run(format!("{path} is missing")));
        } else if let (Some(false), Some(unless)) = (observed.unless_holds, &self.unless) {
            wanting.push(Change::Run(format!("`{}` does not hold", unless.join(" "))));
        }
        Ok(wanting)
    }

    fn provides(&self) -> Vec<Effect> {
        match &self.creates {
            Some(path) => std::iter::once(path).chain(&self.stdout_to).cloned().map(Effect::Path).collect(),
            None => vec![Effect::Everything],
        }
    }

    fn needs(&self) -> Vec<Effect> {
        match (&self.creates, &self.unless) {
            (Some(path), None) => vec![Effect::Path(path.clone())],
            (_, Some(_)) => vec![Effect::Everything],
            // It runs because of what it watches, and for no other reason.
            (None, None) => Vec::new(),
        }
    }

    /// A program may have changed anything, whatever it creates.
    fn alters(&self) -> Vec<Effect> {
        vec![Effect::Everything]
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        let values = self.environment.iter().map(|(_, value)| value).chain(&self.stdin);
        values.filter_map(|value| if let Sensitive::Secret(secret) = value { Some(secret) } else { None }).collect()
    }

    fn unchanged(&self, observed: &Observed) -> String {
        match (&self.creates, &self.unless, observed.created) {
            (Some(path), _, Some(true)) => format!("{path} exists"),
            (_, Some(unless), _) => format!("`{}` holds", unless.join(" ")),
            _ => "nothing it watches has changed".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_provides_what_it_creates_and_its_output_or_who_knows_what() {
        let path = |text: &str| AbsPath::parse(text).unwrap();
        let mut command = Desired {
            name: "list".to_owned(),
            run: vec!["true".to_owned()],
            creates: Some(path("/srv/made")),
            unless: None,
            environment: Vec::new(),
            run_as: None,
            directory: None,
            stdin: None,
            accept: Vec::new(),
            stdout_to: Some(path("/srv/said")),
        };
        assert_eq!(command.provides(), [Effect::Path(path("/srv/made")), Effect::Path(path("/srv/said"))]);
        command.creates = None;
        assert_eq!(command.provides(), [Effect::Everything]);
    }
}
