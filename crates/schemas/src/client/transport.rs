//! One HTTP call to the registry: deadline, attempts, and what an answer means.

use super::config::RegistryClientConfig;
use crate::error::SchemaError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nowcast_types::{RetryBudget, with_causes};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Largest answer.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Wait before the second attempt; it doubles with each further one.
const BACKOFF: Duration = Duration::from_millis(50);
/// Retries that can be saved up.
const RETRIES_SAVED_MAX: u32 = 10;
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");

pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    authorization: Option<HeaderValue>,
    attempt_timeout: Duration,
    call_timeout: Duration,
    attempts_max: u32,
    budget: Mutex<RetryBudget>,
}

/// How one attempt failed, and whether another may help.
enum Failed {
    Retryable(String),
    Final(SchemaError),
}

impl Transport {
    pub(super) fn new(config: &RegistryClientConfig) -> Result<Self, SchemaError> {
        let bad = |reason: String| SchemaError::BadConfig(reason);
        let base = config.url.trim_end_matches('/').to_owned();
        let uri: Uri = base
            .parse()
            .map_err(|error| bad(format!("url `{base}`: {error}")))?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_http || uri.host().is_none() || uri.query().is_some() {
            return Err(bad(format!(
                "url `{base}` is not http:// or https:// and a host"
            )));
        }
        if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
            return Err(bad(
                "credentials belong into username and password".to_owned()
            ));
        }
        let authorization = match (&config.username, &config.password) {
            (None, None) => None,
            (Some(username), password) => {
                let password = password.as_deref().unwrap_or_default();
                let pair = STANDARD.encode(format!("{username}:{password}"));
                let mut value = HeaderValue::from_str(&format!("Basic {pair}"))
                    .expect("base64 is fit for a header");
                value.set_sensitive(true);
                Some(value)
            }
            (None, Some(_)) => return Err(bad("a password needs a username".to_owned())),
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(config.attempt_timeout.duration()));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(config.ca_file.as_deref(), uri.scheme_str())?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self {
            client: Client::builder(TokioExecutor::new())
                .pool_idle_timeout(Duration::from_secs(30))
                .build(connector),
            base,
            authorization,
            attempt_timeout: config.attempt_timeout.duration(),
            call_timeout: config.call_timeout.duration(),
            attempts_max: config.attempts_max.max(1),
            budget: Mutex::new(RetryBudget::new(RETRIES_SAVED_MAX)),
        })
    }

    pub(super) fn bad_answer(&self, path: &str, reason: String) -> SchemaError {
        let url = format!("{}{path}", self.base);
        SchemaError::BadAnswer { url, reason }
    }

    /// Calls the registry and reads its JSON. All calls of the API may be repeated safely.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, SchemaError> {
        let deadline = Instant::now() + self.call_timeout;
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        self.budget.lock().earn();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = left.min(self.attempt_timeout);
            let answer = self.attempt(method.clone(), path, body.clone());
            let failed = match tokio::time::timeout(timeout, answer).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failed)) => failed,
                Err(_) => Failed::Retryable(format!("no answer within {} ms", timeout.as_millis())),
            };
            let reason = match failed {
                Failed::Final(error) => return Err(error),
                Failed::Retryable(reason) => reason,
            };
            let pause = BACKOFF * 2_u32.saturating_pow(attempt - 1);
            let has_time = Instant::now() + pause < deadline;
            if attempt >= self.attempts_max || !has_time || !self.budget.lock().spend() {
                let url = format!("{}{path}", self.base);
                return Err(SchemaError::Unavailable { url, reason });
            }
            tracing::debug!(path, attempt, reason, "the schema registry is asked again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, method: Method, path: &str, body: Bytes) -> Result<Value, Failed> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(ACCEPT, MEDIA_TYPE)
            .header(CONTENT_TYPE, MEDIA_TYPE);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| Failed::Final(SchemaError::BadConfig(error.to_string())))?;
        let response = self.client.request(request).await;
        let response = response.map_err(|error| Failed::Retryable(with_causes(&error)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let bytes = body.collect().await;
        let bytes = bytes.map_err(|error| Failed::Retryable(error.to_string()))?;
        self.judge(path, status, &bytes.to_bytes())
    }

    fn judge(&self, path: &str, status: StatusCode, bytes: &[u8]) -> Result<Value, Failed> {
        let value: Option<Value> = serde_json::from_slice(bytes).ok();
        let is_busy = matches!(status.as_u16(), 408 | 425 | 429) || status.is_server_error();
        if is_busy {
            return Err(Failed::Retryable(format!("it answered {status}")));
        }
        match (status.is_success(), value) {
            (true, Some(value)) => Ok(value),
            (false, Some(value)) if value["error_code"].is_u64() => {
                let error_code = value["error_code"].as_u64().unwrap_or_default();
                Err(Failed::Final(SchemaError::Refused {
                    status: status.as_u16(),
                    error_code: u32::try_from(error_code).unwrap_or(u32::MAX),
                    message: value["message"].as_str().unwrap_or_default().to_owned(),
                }))
            }
            // A proxy's page, a wrong path: not the registry's word about any schema.
            _ => Err(Failed::Final(self.bad_answer(
                path,
                format!("it answered {status} without its API's body"),
            ))),
        }
    }
}

fn tls(ca_file: Option<&Path>, scheme: Option<&str>) -> Result<ClientConfig, SchemaError> {
    let bad = |reason: String| SchemaError::BadConfig(reason);
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let shown = path.display();
            let certificates = CertificateDer::pem_file_iter(path)
                .map_err(|error| bad(format!("ca_file {shown}: {error}")))?;
            for certificate in certificates {
                let certificate =
                    certificate.map_err(|error| bad(format!("ca_file {shown}: {error}")))?;
                let added = roots.add(certificate);
                added.map_err(|error| bad(format!("ca_file {shown}: {error}")))?;
            }
            if roots.is_empty() {
                return Err(bad(format!("ca_file {shown} has no certificate")));
            }
        }
        None if scheme == Some("https") => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(bad(
                    "the system has no trusted authorities; set ca_file".to_owned()
                ));
            }
        }
        None => {}
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
