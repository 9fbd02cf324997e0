//! A Jenkins' version, and what follows from it for agents.

use std::num::ParseIntError;

/// A version: `2.568.2` of the long-term line, `2.545` of the weekly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    /// Long-term releases stay on the number of the weekly that they branched off.
    weekly: u32,
    patch: Option<u32>,
}

impl Version {
    /// Reads `X-Jenkins`; builds of somebody's own add words behind a blank or a `-`. None when it is no version.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers = text.split(['-', ' ']).next().unwrap_or_default();
        let numbers: Result<Vec<u32>, ParseIntError> = numbers.split('.').map(str::parse).collect();
        match numbers.ok()?[..] {
            [major, weekly] => Some(Self { major, weekly, patch: None }),
            [major, weekly, patch] => Some(Self { major, weekly, patch: Some(patch) }),
            _ => None,
        }
    }

    /// The oldest Java that its agents may have: 11 from 2.357 on, 17 from 2.463 (LTS 2.479.1), 21 from 2.545 (LTS 2.555.1).
    pub fn least_java(self) -> u32 {
        match (self.major, self.weekly) {
            (2, 0..357) | (0 | 1, _) => 8,
            (2, 357..463) => 11,
            (2, 463..545) => 17,
            _ => 21,
        }
    }

    /// Whether its `agent.jar` knows `-url`, `-name` and `-webSocket`: remoting 3176, which came with 2.430 (LTS 2.440.1).
    pub fn agent_knows_url(self) -> bool {
        (self.major, self.weekly) >= (2, 430)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.weekly)?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

/// What a Java that is too old says of a program: the one that is needed, and itself. Class files of version 65 are Java 21's, and so on
/// (JVM specification, table 4.1-A).
pub fn outdated_java(text: &str) -> Option<(u32, u32)> {
    let (_, rest) = text.split_once("UnsupportedClassVersionError")?;
    let mut versions = rest.split("class file version").skip(1);
    let mut java = || {
        let digits = versions.next()?.trim_start_matches(['s', ' ']).trim_start_matches("up to ");
        let major: u32 = digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()?;
        major.checked_sub(44)
    };
    Some((java()?, java()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_gives_the_java_and_the_options_of_its_agents() {
        for (text, java, knows_url) in [
            ("2.346.3", 8, false),
            ("2.426.2", 11, false),
            ("2.429", 11, false),
            ("2.430", 11, true),
            ("2.440.1", 11, true),
            ("2.462.3", 11, true),
            ("2.463", 17, true),
            ("2.479.1", 17, true),
            ("2.541.3", 17, true),
            ("2.544", 17, true),
            ("2.545", 21, true),
            ("2.555.1", 21, true),
            ("2.568.2-SNAPSHOT (private-x)", 21, true),
            ("3.1", 21, true),
        ] {
            let version = Version::parse(text).unwrap();
            assert_eq!((version.least_java(), version.agent_knows_url()), (java, knows_url), "{text}");
            assert!(text.starts_with(&version.to_string()));
        }
        for bad in ["", "?", "2", "2.x", "2.1.2.3"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_java_that_is_too_old_says_so_in_class_file_versions() {
        let told = "java.lang.UnsupportedClassVersionError: hudson/remoting/Launcher has been compiled by a more recent version of the Java \
            Runtime (class file version 65.0), this version of the Java Runtime only recognizes class file versions up to 61.0";
        assert_eq!(outdated_java(told), Some((21, 17)));
        assert_eq!(outdated_java("UnsupportedClassVersionError: no numbers"), None);
        assert_eq!(outdated_java("class file version 65.0 class file versions up to 61.0"), None);
    }
}
