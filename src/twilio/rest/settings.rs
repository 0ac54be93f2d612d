//! Where Twilio's API is, and who asks.

use std::fmt;
use std::time::Duration;

/// Everything [`super::TwilioRest`] needs. Holds secrets: its `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
pub struct RestSettings {
    /// Whose calls: `AC…`.
    pub account_sid: String,
    /// Who asks: the account itself or an API key, `SK…`.
    pub user: String,
    /// The auth token, or the key's secret.
    pub password: String,
    /// `https://api.twilio.com`, without a slash at its end.
    pub url: String,
    /// Our number, which messages come from, E.164.
    pub number: Option<String>,
    /// Before the first repetition of a request; each further one waits about twice as long.
    pub backoff: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

impl RestSettings {
    /// How long to wait before the first repetition, where nothing else is asked for.
    pub const BACKOFF: Duration = Duration::from_millis(250);
    /// How long to wait for an answer, where nothing else is asked for.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
}

impl fmt::Debug for RestSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestSettings")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Where the API of a region is asked, by way of an edge. Source: Twilio, "Understanding Twilio Regions".
pub fn api_url(edge: Option<&str>, region: Option<&str>) -> String {
    let region = region.or_else(|| edge.map(|_| "us1"));
    let parts = ["api"].into_iter().chain(edge).chain(region);
    let host: Vec<&str> = parts.chain(["twilio.com"]).collect();
    format!("https://{}", host.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_and_edges_are_part_of_the_host() {
        assert_eq!(api_url(None, None), "https://api.twilio.com");
        assert_eq!(
            api_url(Some("dublin"), Some("ie1")),
            "https://api.dublin.ie1.twilio.com"
        );
        assert_eq!(api_url(Some("ashburn"), None), "https://api.ashburn.us1.twilio.com");
        assert_eq!(api_url(None, Some("au1")), "https://api.au1.twilio.com");
    }
}
