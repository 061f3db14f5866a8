//! What every request passes, in this order: request id, a place in its lane, the key, the rate,
//! the time limit, and a net under panics. The body is read only by the handler behind it, so a
//! request that is turned away costs next to nothing.

use crate::app::{App, Lane, LaneFull};
use crate::error::ApiError;
use crate::keys::{Denial, Scope};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// The header that names a request, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Longest request id taken over from a client, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// The policy of one route, as the guard enforces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What a key must allow; `None` for what anybody may see.
    pub scope: Option<Scope>,
    /// Whose places it takes.
    pub lane: Lane,
}

/// The request's id, for handlers.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

/// Guards one route.
pub async fn guard(
    State((app, policy)): State<(App, Policy)>,
    mut request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let id = request_id(&app, request.headers());
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let method = request.method().clone();
    let path = request.uri().path().len();
    let mut response = match admit(&app, policy, request.headers()) {
        Ok(place) => {
            let response = run(&app, next.run(request)).await;
            drop(place);
            response
        }
        Err(error) => error.into_response(),
    };
    let status = response.status();
    app.meters()
        .response(policy.lane, status, start.elapsed().as_secs_f64());
    // The path may hold a user id: its length is all that is logged of it.
    tracing::debug!(
        request_id = %id, %method, path_bytes = path, status = status.as_u16(),
        elapsed_us = start.elapsed().as_micros() as u64, "request"
    );
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn admit(
    app: &App,
    policy: Policy,
    headers: &HeaderMap,
) -> Result<Option<tokio::sync::OwnedSemaphorePermit>, ApiError> {
    if app.config().closed_lanes.contains(&policy.lane) {
        let what = match policy.lane {
            Lane::Ingest => "this process takes nothing in: ask one with the role `ingest`",
            _ => "this process answers no requests: ask one with the role `serve`",
        };
        return Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "not_here",
            what,
        ));
    }
    let place = app.enter(policy.lane).map_err(|LaneFull| {
        ApiError::unavailable("too many requests in progress", retry_after_secs(headers))
    })?;
    let Some(scope) = policy.scope else {
        return Ok(place);
    };
    if app.keys().is_open() {
        refuse_foreign_pages(headers)?;
    }
    let caller = app
        .keys()
        .admit(secret(headers).as_deref(), scope)
        .map_err(|denial| match denial {
            Denial::Unknown => ApiError::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "send an API key as `Authorization: Bearer …` or `X-Api-Key`",
            ),
            Denial::Scope => ApiError::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                format!("the key lacks the scope `{}`", scope.name()),
            ),
        })?;
    app.check_rate(caller).map_err(ApiError::rate_limited)?;
    Ok(place)
}

/// Without keys, every web page that the user of this machine visits could talk to us; only pages
/// served from this machine may.
fn refuse_foreign_pages(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if matches!(name, "localhost" | "127.0.0.1" | "[::1]") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        "pages of other sites need an API key",
    ))
}

/// The key as it was sent: a bearer token, a header of its own, or the password of basic
/// authentication, which is all that many schema-registry clients can send.
fn secret(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '));
    let sent = match authorization {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            Some(Cow::Borrowed(token.trim()))
        }
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("basic") => password(token.trim()),
        _ => None,
    };
    let own = || headers.get(API_KEY).and_then(|value| value.to_str().ok());
    sent.or_else(|| own().map(Cow::Borrowed))
}

fn password(token: &str) -> Option<Cow<'static, str>> {
    let pair = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    let (_, password) = pair.split_once(':')?;
    Some(Cow::Owned(password.to_owned()))
}

fn request_id(app: &App, headers: &HeaderMap) -> Arc<str> {
    let given = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX);
    match given {
        Some(id) => Arc::from(id),
        None => Arc::from(app.next_request_id()),
    }
}

/// One to three seconds, spread by what differs between requests, so that those turned away
/// together do not come back together.
fn retry_after_secs(headers: &HeaderMap) -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.subsec_nanos());
    1 + (u64::from(now / 1_000) + headers.len() as u64) % 3
}

/// Runs the handler within the time limit and over the net.
async fn run(app: &App, handler: impl Future<Output = Response>) -> Response {
    let limit = app.config().request_timeout.duration();
    match tokio::time::timeout(limit, CatchPanic(Box::pin(handler))).await {
        Ok(Ok(response)) => response,
        Ok(Err(Panicked)) => {
            app.meters().panic();
            ApiError::internal().into_response()
        }
        Err(_) => ApiError::unavailable("the request took too long", 1).into_response(),
    }
}

/// The handler panicked. The panic hook has logged where; its message may quote the request.
struct Panicked;

struct CatchPanic<F>(Pin<Box<F>>);

impl<F: Future> Future for CatchPanic<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self.0.as_mut();
        // A handler shares nothing that it could leave half changed: the engine's locks are
        // released on unwinding and hold no invariants across calls.
        match std::panic::catch_unwind(AssertUnwindSafe(|| inner.poll(context))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn keys_come_in_two_headers_and_as_a_password() {
        let bearer = headers(header::AUTHORIZATION, "Bearer nck_1");
        assert_eq!(secret(&bearer).as_deref(), Some("nck_1"));
        let basic = headers(header::AUTHORIZATION, "Basic c2hvcDpuY2tfMw==");
        assert_eq!(secret(&basic).as_deref(), Some("nck_3"));
        assert_eq!(secret(&headers(header::AUTHORIZATION, "Basic x")), None);
        assert_eq!(secret(&headers(API_KEY, "nck_2")).as_deref(), Some("nck_2"));
    }

    #[test]
    fn only_pages_of_this_machine_are_trusted_without_keys() {
        for (origin, is_trusted) in [
            ("http://localhost:3000", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("https://evil.example", false),
            ("http://localhost.evil.example", false),
            ("null", false),
        ] {
            let answer = refuse_foreign_pages(&headers(header::ORIGIN, origin));
            assert_eq!(answer.is_ok(), is_trusted, "{origin}");
        }
        assert!(refuse_foreign_pages(&HeaderMap::new()).is_ok());
    }

    #[tokio::test]
    async fn a_panic_is_caught() {
        let outcome = CatchPanic(Box::pin(async {
            assert!(std::hint::black_box(false), "planted");
        }))
        .await;
        assert!(outcome.is_err());
    }
}
