//! Offline marks: stored as parts, told in a language.

use serde_json::Value;

use super::state::{Language, now};
use super::version::Version;
use super::xml::Element;

/// An operator's mark, kept as the XML that Jenkins stores.
#[derive(Debug, Clone)]
pub struct OfflineMark {
    /// `<temporaryOfflineCause>`.
    pub element: Element,
}

impl OfflineMark {
    /// As `toggleOffline` and `doDisconnect` make it.
    pub fn new(user: &str, message: &str) -> Self {
        let shown = if message.is_empty() { String::new() } else { format!(" : {message}") };
        let mut element = Element::new("temporaryOfflineCause")
            .with("class", "hudson.slaves.OfflineCause$UserCause")
            .child(Element::text("timestamp", now().to_string()))
            .child(
                Element::new("description")
                    .child(Element::new("holder").child(Element::text("owner", "hudson.slaves.Messages")))
                    .child(Element::text("key", "SlaveComputer.DisconnectedBy"))
                    .child(Element::new("args").child(Element::text("string", user)).child(Element::text("string", shown))),
            )
            .child(Element::text("userId", user));
        if !message.is_empty() {
            element = element.child(Element::text("message", message));
        }
        Self { element }
    }

    /// The operator's words.
    pub fn message(&self) -> &str {
        let argument = || self.arguments().nth(1).unwrap_or_default().trim_start_matches(" : ");
        self.element.value("message").unwrap_or_else(argument)
    }

    fn arguments(&self) -> impl Iterator<Item = &str> {
        let arguments = self.element.get("description").and_then(|description| description.get("args"));
        arguments.into_iter().flat_map(|arguments| &arguments.children).filter_map(|child| child.text.as_deref())
    }

    /// As config.xml of this version shows it.
    pub(super) fn stored(&self, version: Version) -> Element {
        let mut element = self.element.clone();
        element.children.retain(|child| child.name != "message" || version.keeps_messages());
        element
    }

    /// What was done, and by whom, in a language.
    fn told(&self, language: Language) -> String {
        let words: String = self.arguments().collect();
        match language {
            Language::English => format!("Disconnected by {words}"),
            Language::German => format!("Getrennt durch {words}"),
            Language::Japanese => {
                let (user, message) = (self.arguments().next().unwrap_or_default(), self.arguments().nth(1).unwrap_or_default());
                format!("{user}により切断{message}")
            }
        }
    }

    /// `offlineCauseReason`: what was done is cut off where it stands first (`Computer.getOfflineCauseReason`).
    pub fn reason(&self, language: Language) -> String {
        if language == Language::Japanese { self.told(language) } else { self.message().to_owned() }
    }

    /// As the JSON shows it.
    pub fn json(&self, language: Language) -> Value {
        let timestamp: u64 = self.element.value("timestamp").and_then(|text| text.parse().ok()).unwrap_or(0);
        serde_json::json!({"_class": self.element.class(), "timestamp": timestamp, "description": self.told(language)})
    }
}
