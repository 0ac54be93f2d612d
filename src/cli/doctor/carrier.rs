//! Twilio: whether account and token belong together, the number is the account's, and its webhooks lead here.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, DATE};
use reqwest::{Client, Method};
use serde::de::DeserializeOwned;
use url::Url;

use super::clock::Dated;
use super::page::{Line, Page};
use super::public::{Trouble, trouble};
use crate::config::{Config, Twilio, is_local};
use crate::twilio::numbers::{self, Account, Change, IncomingNumber, NumberPage};

/// The API of one account.
pub(super) struct Api<'a> {
    client: Client,
    /// Without a trailing slash.
    base: String,
    account_sid: &'a str,
    auth_token: &'a str,
    /// The latest answer's date.
    pub(super) dated: Option<Dated>,
}

/// Why a request came to nothing. Holds no number and no credential.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ApiError {
    Status(u16),
    Nonsense,
    Nothing(Trouble),
}

impl<'a> Api<'a> {
    /// `None` without account and token.
    pub(super) fn new(base: &Url, twilio: &'a Twilio) -> Option<Self> {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .user_agent("tieline-doctor");
        Some(Self {
            client: client.build().ok()?,
            base: base.as_str().trim_end_matches('/').to_owned(),
            account_sid: twilio.account_sid.as_deref()?,
            auth_token: twilio.auth_token.as_ref()?.expose(),
            dated: None,
        })
    }

    async fn account(&mut self) -> Result<Account, ApiError> {
        self.ask(Method::GET, &numbers::account_path(self.account_sid), None)
            .await
    }

    /// `None` if the account has no such number.
    async fn find(&mut self, number: &str) -> Result<Option<IncomingNumber>, ApiError> {
        let page: NumberPage = self
            .ask(Method::GET, &numbers::find_path(self.account_sid, number), None)
            .await?;
        Ok(page.incoming_phone_numbers.into_iter().next())
    }

    async fn update(&mut self, number: &IncomingNumber, changes: &[Change]) -> Result<IncomingNumber, ApiError> {
        let path = numbers::number_path(self.account_sid, &number.sid);
        self.ask(Method::POST, &path, Some(numbers::form(changes))).await
    }

    async fn ask<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        form: Option<String>,
    ) -> Result<T, ApiError> {
        let nothing = |error: reqwest::Error| ApiError::Nothing(trouble(&error));
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .basic_auth(self.account_sid, Some(self.auth_token));
        if let Some(form) = form {
            request = request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form);
        }
        let answer = request.send().await.map_err(nothing)?;
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        self.dated = Dated::of("Twilio", date).or_else(|| self.dated.take());
        if !answer.status().is_success() {
            return Err(ApiError::Status(answer.status().as_u16()));
        }
        answer.json().await.map_err(|_| ApiError::Nonsense)
    }
}

/// Looks at account, number and webhooks; with `fix`, sets what is wrong, after showing it.
///
/// `masked` is the number as people may see it.
pub(super) async fn check(page: &mut Page, api: &mut Api<'_>, config: &Config, masked: &str, fix: bool) {
    match api.account().await {
        Ok(account) => page.add([judge_account(&account)]),
        Err(error) => return page.add([unusable(&error)]),
    }
    let Some(number) = &config.twilio.phone_number else {
        let found = "TWILIO_PHONE_NUMBER is not set, so its webhooks were not looked at";
        let remedy = "set it to the number that callers dial, such as +15551234567";
        return page.add([Line::warn(NUMBER, found, remedy)]);
    };
    let found = match api.find(number).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            let remedy = "correct TWILIO_PHONE_NUMBER, or buy the number in the Twilio console";
            return page.add([Line::fail(
                NUMBER,
                format!("this account has no number {masked}"),
                remedy,
            )]);
        }
        Err(error) => return page.add([unusable(&error)]),
    };
    page.add([if found.capabilities.voice {
        Line::ok(NUMBER, format!("{masked} is the account's, and takes calls"))
    } else {
        Line::fail(
            NUMBER,
            format!("{masked} cannot take calls"),
            "buy a number with the capability Voice",
        )
    }]);
    let Some(url) = config.server.public_url.as_ref().filter(|url| !is_local(url)) else {
        let found = format!("the webhooks of {masked} were left alone: PUBLIC_URL is no address that Twilio can reach");
        return page.add([Line::warn(
            WEBHOOKS,
            found,
            "set PUBLIC_URL to the public https address first",
        )]);
    };
    let base = url.as_str().trim_end_matches('/');
    let changes = numbers::changes(&found, base);
    if changes.is_empty() || !fix {
        return page.add(judge(&changes, base, masked));
    }
    let shown = changes.iter().map(|change| {
        let should = or_nothing(&change.should);
        Line::ok(
            WEBHOOKS,
            format!("{masked}: setting {} from {} to {should}", change.parameter, change.is),
        )
    });
    page.add(shown);
    match api.update(&found, &changes).await {
        Ok(now) => page.add(judge(&numbers::changes(&now, base), base, masked)),
        Err(error) => page.add([unusable(&error)]),
    }
}

fn judge(changes: &[Change], base: &str, masked: &str) -> Vec<Line> {
    if changes.is_empty() {
        return vec![Line::ok(
            WEBHOOKS,
            format!("calls to {masked} come to {base}/voice/incoming"),
        )];
    }
    changes.iter().map(|change| difference(change, masked)).collect()
}

fn difference(change: &Change, masked: &str) -> Line {
    let should = or_nothing(&change.should);
    let found = format!(
        "{masked}: {} is {}, and should be {should}",
        change.parameter, change.is
    );
    match change.parameter {
        // Calls come without them; what comes of a call, and of one whose stream breaks, does not.
        "StatusCallback" | "StatusCallbackMethod" | "VoiceFallbackUrl" | "VoiceFallbackMethod" => {
            Line::warn(WEBHOOKS, found, FIX)
        }
        _ => Line::fail(WEBHOOKS, found, FIX),
    }
}

fn or_nothing(value: &str) -> &str {
    if value.is_empty() { "nothing" } else { value }
}

fn judge_account(account: &Account) -> Line {
    match (account.status.as_str(), account.kind.as_str()) {
        ("active", "Trial") => Line::warn(
            ACCOUNT,
            "account and token belong together, but it is a trial account",
            "callers hear Twilio's notice first, and only numbers you have verified are called: upgrade before real use",
        ),
        ("active", _) => Line::ok(ACCOUNT, "account and token belong together"),
        (status, _) => {
            let status: String = status.chars().filter(char::is_ascii_graphic).take(20).collect();
            Line::fail(
                ACCOUNT,
                format!("the account is {status}"),
                "see the Twilio console why",
            )
        }
    }
}

fn unusable(error: &ApiError) -> Line {
    match error {
        ApiError::Status(401 | 403) => Line::fail(
            ACCOUNT,
            "Twilio does not accept TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN",
            "copy both again from the front page of console.twilio.com (the live ones, not the test credentials)",
        ),
        ApiError::Status(404) => Line::fail(ACCOUNT, "Twilio knows no such account", "correct TWILIO_ACCOUNT_SID"),
        ApiError::Status(status) => Line::fail(
            ACCOUNT,
            format!("Twilio's API answered HTTP {status}"),
            "try again later; status.twilio.com tells of faults",
        ),
        ApiError::Nonsense => Line::fail(
            ACCOUNT,
            "what answered is not Twilio's API",
            "see whether a proxy stands between this server and Twilio",
        ),
        ApiError::Nothing(trouble) => Line::fail(
            ACCOUNT,
            format!("Twilio's API: {trouble}"),
            "let this server make https connections to api.twilio.com, or leave out checks of it with --offline",
        ),
    }
}

/// Without account or token.
pub(super) fn not_configured(twilio: &Twilio) -> Line {
    let missing = match (&twilio.account_sid, &twilio.auth_token) {
        (None, None) => "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN are not set: there are only simulated calls",
        (None, Some(_)) => "TWILIO_ACCOUNT_SID is not set: calls of any account with this token are taken",
        (Some(_), _) => "TWILIO_AUTH_TOKEN is not set: Twilio's API cannot be asked",
    };
    Line::warn(
        ACCOUNT,
        missing,
        "copy them from the front page of console.twilio.com into .env",
    )
}

const ACCOUNT: &str = "twilio";
const NUMBER: &str = "number";
const WEBHOOKS: &str = "webhooks";
const FIX: &str = "tieline doctor --fix sets it";
const PATIENCE: Duration = Duration::from_secs(10);
