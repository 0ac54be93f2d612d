//! Twilio: whether account and token belong together, the number is the account's, and its webhooks lead here.

use reqwest::header::{CONTENT_TYPE, DATE};
use reqwest::{Client, Method, RequestBuilder};
use serde::de::DeserializeOwned;

use super::clock::Dated;
use super::page::{Line, Page};
use super::public::{Trouble, trouble};
use crate::config::{Config, Secret, Twilio, is_local};
use crate::twilio::numbers::{self, Account, Change, IncomingNumber, NumberPage};
use crate::twilio::rest::RestSettings;

/// The API of one account.
pub(super) struct Api {
    client: Client,
    settings: RestSettings,
    /// Which webhooks are verified with, so it must be right even where an API key asks.
    auth_token: Option<Secret>,
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

impl Api {
    /// `None` without an account, or anything to ask with.
    pub(super) fn new(twilio: &Twilio) -> Option<Self> {
        let settings = twilio.rest()?;
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(settings.timeout)
            .user_agent("tieline-doctor");
        Some(Self {
            client: client.build().ok()?,
            settings,
            auth_token: twilio.auth_token.clone(),
            dated: None,
        })
    }

    /// By the auth token: an API key may not ask this. `None` without one.
    async fn account(&mut self) -> Option<Result<Account, ApiError>> {
        let token = self.auth_token.clone()?;
        let request = self.request(Method::GET, &numbers::account_path(&self.settings.account_sid));
        let request = request.basic_auth(&self.settings.account_sid, Some(token.expose()));
        Some(self.answer(request).await)
    }

    /// `None` if the account has no such number.
    async fn find(&mut self, number: &str) -> Result<Option<IncomingNumber>, ApiError> {
        let path = numbers::find_path(&self.settings.account_sid, number);
        let request = self.request(Method::GET, &path);
        let request = request.basic_auth(&self.settings.user, Some(&self.settings.password));
        let page: NumberPage = self.answer(request).await?;
        Ok(page.incoming_phone_numbers.into_iter().next())
    }

    async fn update(&mut self, number: &IncomingNumber, changes: &[Change]) -> Result<IncomingNumber, ApiError> {
        let path = numbers::number_path(&self.settings.account_sid, &number.sid);
        let request = self.request(Method::POST, &path);
        let request = request.basic_auth(&self.settings.user, Some(&self.settings.password));
        let form = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.answer(form.body(numbers::form(changes))).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.settings.url))
    }

    async fn answer<T: DeserializeOwned>(&mut self, request: RequestBuilder) -> Result<T, ApiError> {
        let answer = request
            .send()
            .await
            .map_err(|error| ApiError::Nothing(trouble(&error)))?;
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        self.dated = Dated::of("Twilio", date).or_else(|| self.dated.take());
        if !answer.status().is_success() {
            return Err(ApiError::Status(answer.status().as_u16()));
        }
        answer.json().await.map_err(|_| ApiError::Nonsense)
    }

    /// What asks for the number.
    fn asks_with(&self) -> &'static str {
        if self.settings.user == self.settings.account_sid {
            TOKEN
        } else {
            "TWILIO_API_KEY_SID with TWILIO_API_KEY_SECRET"
        }
    }
}

/// Looks at account, number and webhooks; with `fix`, sets what is wrong, after showing it.
///
/// `masked` is the number as people may see it.
pub(super) async fn check(page: &mut Page, api: &mut Api, config: &Config, masked: &str, fix: bool) {
    match api.account().await {
        Some(Ok(account)) => page.add([judge_account(&account)]),
        Some(Err(error)) => return page.add([unusable(&error, TOKEN)]),
        None => page.add([not_configured(&config.twilio)]),
    }
    let with = api.asks_with();
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
        Err(error) => return page.add([unusable(&error, with)]),
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
        Err(error) => page.add([unusable(&error, with)]),
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
        // Calls come without it; what comes of one that finds this server down does not.
        "VoiceFallbackUrl" | "VoiceFallbackMethod" => Line::warn(WEBHOOKS, found, FIX),
        // The others have calls come, or, the status callback, tell that they are over: old webhooks would open them again.
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

fn unusable(error: &ApiError, with: &str) -> Line {
    match error {
        ApiError::Status(401 | 403) => Line::fail(
            ACCOUNT,
            format!("Twilio does not accept {with}"),
            "copy both again from console.twilio.com (account and token are on its front page; not the test credentials)",
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
        (Some(_), _) => "TWILIO_AUTH_TOKEN is not set, with which Twilio signs its webhooks",
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
const TOKEN: &str = "TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN";
const FIX: &str = "tieline doctor --fix sets it";
