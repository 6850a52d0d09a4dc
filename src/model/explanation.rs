//! Which way a request takes through the gateway, and why: what `msctl routes --explain` shows. Its
//! JSON form is public, and is what the admin socket carries.

use serde::{Deserialize, Serialize};

/// The version of the document; grows when a field changes its meaning.
pub const SCHEMA: &str = "msctl.explain/1";

/// A request as far as it decides about its way. It comes in at the public door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub method: String,
    /// With or without a query.
    pub path: String,
    /// As in `Host`; `None` for some name that no service has.
    pub host: Option<String>,
    pub headers: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub schema: String,
    pub method: String,
    /// The path in its normal form: what is matched, authorised and forwarded.
    pub path: String,
    /// What the host name stands for, as a sentence.
    pub host: String,
    /// Every rule that was looked at, the longest prefix first.
    pub candidates: Vec<Candidate>,
    pub answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub route: String,
    /// None: all.
    pub methods: Vec<String>,
    pub service: String,
    pub wins: bool,
    /// Why it wins or does not.
    pub because: String,
}

/// What becomes of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Answer {
    /// The gateway itself answers.
    Refused {
        status: u16,
        code: String,
        flag: String,
        detail: String,
    },
    /// A part of the platform in its own process answers.
    Platform {
        prefix: String,
    },
    /// The route answers with a redirect.
    Redirect {
        status: u16,
        to: String,
    },
    Service(Box<Destination>),
}

/// How a service is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    pub service: String,
    pub route: String,
    /// Who may use it.
    pub access: String,
    /// The path that the service sees.
    pub forwarded: String,
    /// What holds for it, each as a name and a text.
    pub policy: Vec<(String, String)>,
    /// How an instance is chosen.
    pub balance: String,
    /// Those that it may be; none when none is ready or the platform is not up.
    pub instances: Vec<String>,
    /// Why there is none, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
}
