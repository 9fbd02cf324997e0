//! What Jenkins does differently from version to version, as far as a client meets it.
//!
//! Recorded are 2.426.2, 2.532 and 2.568.2; 2.440.1 and 2.516.1 follow what was seen of them while a real registration went through them.

/// A Jenkins that the model can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// LTS 2.426.2.
    V2_426,
    /// LTS 2.440.1.
    V2_440,
    /// LTS 2.516.1.
    V2_516,
    /// Weekly 2.532.
    V2_532,
    /// LTS 2.568.2.
    V2_568,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 5] = [Self::V2_426, Self::V2_440, Self::V2_516, Self::V2_532, Self::V2_568];
    /// The oldest.
    pub const OLDEST: Self = Self::V2_426;
    /// The newest.
    pub const NEWEST: Self = Self::V2_568;
    /// Where nothing is said: most was recorded of it.
    pub const USUAL: Self = Self::V2_532;

    /// `X-Jenkins`.
    pub fn number(self) -> &'static str {
        match self {
            Self::V2_426 => "2.426.2",
            Self::V2_440 => "2.440.1",
            Self::V2_516 => "2.516.1",
            Self::V2_532 => "2.532",
            Self::V2_568 => "2.568.2",
        }
    }

    /// The one of which a recording of this name was made.
    pub fn of_recording(title: &str) -> Self {
        match title.split('-').next() {
            Some("v426") => Self::V2_426,
            Some("v568") => Self::V2_568,
            _ => Self::V2_532,
        }
    }

    /// The oldest Java that an agent may have: 17 from 2.463, 21 from 2.545 on.
    pub fn least_java(self) -> u32 {
        match self {
            Self::V2_426 | Self::V2_440 => 11,
            Self::V2_516 | Self::V2_532 => 17,
            Self::V2_568 => 21,
        }
    }

    /// Whether `agent.jar` knows `-url`, `-name` and `-webSocket`: from remoting 3176 (2.430) on.
    pub fn agent_knows_url(self) -> bool {
        self >= Self::V2_440
    }

    /// Jetty 10 makes a `Location` absolute, Jetty 12 leaves it as it was given.
    pub fn redirects_absolutely(self) -> bool {
        self < Self::V2_516
    }

    /// Whether `offlineCauseReason` is escaped for HTML.
    pub fn escapes_reasons(self) -> bool {
        self >= Self::V2_516
    }

    /// Whether a `UserCause` keeps its message by itself; before, it stands in the arguments of its description alone.
    pub fn keeps_messages(self) -> bool {
        self >= Self::V2_516
    }

    /// Whether who did not log in is told which permission is missing.
    pub fn explains_refusals(self) -> bool {
        self >= Self::V2_568
    }

    /// Whether a build has one action more, which shows nothing.
    pub fn has_further_action(self) -> bool {
        self >= Self::V2_568
    }

    /// Whether answers carry a content security policy to be reported on.
    pub fn reports_policy(self) -> bool {
        self >= Self::V2_568
    }

    /// What ends the attributes of the session's cookie.
    pub fn cookie_end(self) -> &'static str {
        if self >= Self::V2_516 { "; SameSite=Lax" } else { "" }
    }

    /// `WWW-Authenticate` of a 401.
    pub fn challenge(self) -> &'static str {
        if self >= Self::V2_568 { "Basic realm=\"Jenkins\", charset=\"UTF-8\"" } else { "Basic realm=\"Jenkins\"" }
    }

    /// How the container names itself.
    pub fn jetty(self) -> &'static str {
        match self {
            Self::V2_426 | Self::V2_440 => "10.0.18",
            Self::V2_516 | Self::V2_532 => "12.0.14",
            Self::V2_568 => "${project.version}",
        }
    }

    /// Size of `agent.jar`.
    pub fn agent_size(self) -> usize {
        match self {
            Self::V2_426 | Self::V2_440 => 1_371_733,
            Self::V2_516 | Self::V2_532 => 1_398_155,
            Self::V2_568 => 1_406_408,
        }
    }

    /// When the file of `agent.jar` was written: at the first start of its version (recorded: `v426-18`).
    pub fn agent_written(self) -> &'static str {
        match self {
            Self::V2_426 | Self::V2_440 | Self::V2_516 | Self::V2_532 => "Sun, 29 Nov 2026 15:05:24 GMT",
            Self::V2_568 => "Mon, 30 Nov 2026 15:05:24 GMT",
        }
    }

    /// The version of `agent.jar`.
    pub fn remoting(self) -> &'static str {
        match self {
            Self::V2_426 => "3160.vd76b_9ddd10cc",
            Self::V2_440 => "3206.vb_15dcf73f6a_9",
            Self::V2_516 => "3309.v27b_9314fd1a_4",
            Self::V2_532 => "3345.v03dee9b_f88fc",
            Self::V2_568 => "3355.3357.v931d3c992987",
        }
    }

    /// The plugin that launches over SSH.
    pub fn ssh_plugin(self) -> &'static str {
        match self {
            Self::V2_426 | Self::V2_440 => "ssh-slaves@2.947.v64ee6b_f87b_c1",
            Self::V2_516 | Self::V2_532 => "ssh-slaves@3.1071.v0d059c7b_c555",
            Self::V2_568 => "ssh-slaves@3.1097.v868116049892",
        }
    }

    /// The plugin of SSH keys.
    pub fn key_plugin(self) -> &'static str {
        match self {
            Self::V2_426 | Self::V2_440 => "ssh-credentials@308.ve4497b_ccd8f4",
            Self::V2_516 | Self::V2_532 => "ssh-credentials@361.vb_f6760818e8c",
            Self::V2_568 => "ssh-credentials@372.va_250881b_08cd",
        }
    }

    /// What stands before and behind a page's main panel.
    pub fn panel(self) -> (&'static str, &'static str) {
        if self >= Self::V2_516 {
            (
                "<div id=\"main-panel\"><a id=\"skip2content\"></a><!--\nstart of main content ⇒\n-->",
                "<!--\n⇐ end of main content\n--></div></div>",
            )
        } else {
            ("<div id=\"main-panel\"><a id=\"skip2content\"></a>", "</div></div>")
        }
    }

    /// A page's title in the browser.
    pub fn title(self, title: &str) -> String {
        if self >= Self::V2_516 { format!("{title} - Jenkins") } else { format!("{title} [Jenkins]") }
    }
}
