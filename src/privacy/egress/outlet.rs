//! HTTP to one server, by way of the guard.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, ClientBuilder, Method, Request, RequestBuilder, Response};
use tower::{Layer, Service};
use url::{Host, Url};

use super::{Egress, Origin, Purpose, Refused};

/// An HTTP client that reaches one server, as long as the guard admits it. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Outlet {
    client: Client,
    origin: Origin,
    /// Without a slash at its end.
    base: String,
}

/// Whether redirects are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// They are answers like others.
    Never,
    /// To another path of the same server, three times at most; else they are answers.
    SamePlace,
}

/// Why there is no outlet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutletError {
    /// Neither http nor https.
    #[error("only http and https are allowed")]
    Scheme,
    /// The machine's TLS, mostly.
    #[error("no HTTP client: {0}")]
    Client(String),
    /// A request for another server.
    #[error("the request is for another server")]
    Elsewhere,
}

impl Egress {
    /// An outlet to the server of `base`, below whose path [`Outlet::request`] asks. `set_up` sets times and the like.
    pub fn outlet(
        &self,
        purpose: Purpose,
        base: &str,
        redirects: Redirects,
        set_up: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Outlet, OutletError> {
        let origin = Url::parse(base).ok().as_ref().and_then(Origin::of);
        let origin = origin.ok_or(OutletError::Scheme)?;
        let gate = Gate {
            egress: self.clone(),
            purpose,
            origin: origin.clone(),
        };
        let redirects = match redirects {
            Redirects::Never => Policy::none(),
            Redirects::SamePlace => {
                let ours = origin.clone();
                Policy::custom(move |attempt| same_place(&ours, attempt))
            }
        };
        // After what was set up, so that none of it undoes this.
        let client = set_up(Client::builder())
            .no_proxy()
            .redirect(redirects)
            .dns_resolver(gate.clone())
            .connector_layer(gate)
            .build()
            .map_err(|error| OutletError::Client(innermost(&error)))?;
        Ok(Outlet {
            client,
            origin,
            base: base.trim_end_matches('/').to_owned(),
        })
    }
}

impl Outlet {
    /// A request for a path below the base.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let path = path.trim_start_matches('/');
        self.client.request(method, format!("{}/{path}", self.base))
    }

    /// [`Self::request`] for reading.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// [`Self::request`] for sending something.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// Sends a request that was made elsewhere, if it is for this server.
    pub fn execute(
        &self,
        request: Request,
    ) -> Result<impl Future<Output = reqwest::Result<Response>> + Send + 'static, OutletError> {
        if Origin::of(request.url()).as_ref() != Some(&self.origin) {
            return Err(OutletError::Elsewhere);
        }
        Ok(self.client.execute(request))
    }
}

/// What lies under an error of an outlet, if it is a refusal of the guard.
pub fn refusal(error: &reqwest::Error) -> Option<&Refused> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(refused);
        }
        // An I/O error hides its own cause behind that one's.
        if let Some(refused) = error.downcast_ref::<std::io::Error>().and_then(super::refused) {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}

/// Stands before each connection of an outlet: names are looked up through it, and addresses that stand in a URL are decided
/// about before they are connected to.
#[derive(Clone)]
struct Gate {
    egress: Egress,
    purpose: Purpose,
    origin: Origin,
}

impl Resolve for Gate {
    fn resolve(&self, name: Name) -> Resolving {
        let gate = self.clone();
        async move {
            // A client of one server asks for one name.
            let ours = matches!(&gate.origin.host, Host::Domain(host) if host == name.as_str());
            if !ours {
                return Err(Box::from(OutletError::Elsewhere));
            }
            let admitted = gate.egress.connectable(gate.purpose, &gate.origin).await?;
            // The connector puts the port in.
            let addresses = admitted.into_iter().map(|address: IpAddr| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        }
        .boxed()
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated {
            gate: self.clone(),
            inner,
        }
    }
}

/// The connector behind the gate.
#[derive(Clone)]
struct Gated<S> {
    gate: Gate,
    inner: S,
}

impl<S, R> Service<R> for Gated<S>
where
    S: Service<R, Error = Box<dyn Error + Send + Sync>> + Clone + Send + 'static,
    S::Future: Send,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let clone = self.inner.clone();
        // The one that is ready does the work.
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let gate = self.gate.clone();
        async move {
            if gate.origin.literal().is_some() {
                gate.egress.connectable(gate.purpose, &gate.origin).await?;
            }
            inner.call(request).await
        }
        .boxed()
    }
}

/// Headers and bodies are meant for one server.
fn same_place(ours: &Origin, attempt: Attempt<'_>) -> Action {
    if Origin::of(attempt.url()).as_ref() == Some(ours) && attempt.previous().len() <= MAX_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// The last reason of an error of a client, which names neither URL nor body.
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

const MAX_REDIRECTS: usize = 3;
