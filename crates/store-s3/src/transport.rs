//! HTTP for the object store: hyper with rustls, as everywhere in this program.
//!
//! It tells what may pass (a connection refused or lost, an answer of 5xx, 408, 409, 429) from what
//! will not, and leaves trying again to [`crate::calls`]. Refused credentials and a missing bucket
//! are told apart here as well, because the crate tells them for some calls only. It does not follow
//! redirects.

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::TokioExecutor;
use nowcast_types::with_causes;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;

/// Most of a refusal that is read.
const REFUSAL_BYTES_MAX: usize = 4 << 10;
/// Connections that nobody uses are closed after this time.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// It may succeed when it is made again.
    #[error("{0}")]
    MayPass(String),
    /// The server does not know the key, or not for this.
    #[error("it answered {0}")]
    Credentials(String),
    /// The bucket does not exist.
    #[error("there is no such bucket")]
    NoBucket,
}

/// Makes clients.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) connect_timeout: Duration,
    pub(crate) tls: ClientConfig,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allows_http = options.get_config_value(&ClientConfigKey::AllowHttp);
        let mut tcp = Tcp::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(self.connect_timeout));
        let builder = HttpsConnectorBuilder::new().with_tls_config(self.tls.clone());
        let builder = if allows_http.as_deref() == Some("true") {
            builder.https_or_http()
        } else {
            builder.https_only()
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_MAX)
            .build(builder.enable_http1().wrap_connector(tcp));
        Ok(HttpClient::new(Service(client)))
    }
}

#[derive(Debug)]
struct Service(Client<HttpsConnector<Tcp>, HttpRequestBody>);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let sent = self.0.request(request).await;
        let response = sent.map_err(|error| {
            let kind = if error.is_connect() {
                HttpErrorKind::Connect
            } else {
                HttpErrorKind::Interrupted
            };
            may_pass(kind, with_causes(&error))
        })?;
        let status = response.status();
        if may_change(status) {
            let text = format!("it answered {}", said(response).await);
            return Err(may_pass(HttpErrorKind::Interrupted, text));
        }
        if matches!(status.as_u16(), 401 | 403) {
            let refused = Refused::Credentials(said(response).await);
            return Err(HttpError::new(HttpErrorKind::Unknown, refused));
        }
        let (parts, body) = response.into_parts();
        if status == StatusCode::NOT_FOUND {
            let bytes = short(body).await;
            if String::from_utf8_lossy(&bytes).contains("NoSuchBucket") {
                return Err(HttpError::new(HttpErrorKind::Unknown, Refused::NoBucket));
            }
            return Ok(HttpResponse::from_parts(parts, bytes.into()));
        }
        let body = body.map_err(|error| may_pass(HttpErrorKind::Interrupted, with_causes(&error)));
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

/// Whether the same request may get another answer. 409 is what a conditional write gets that met
/// another one under way; one that came too late gets 412.
fn may_change(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 409 | 425 | 429) || status.is_server_error()
}

/// Status and body of a refusal.
async fn said(response: hyper::Response<Incoming>) -> String {
    let status = response.status();
    let body = short(response.into_body()).await;
    format!("{status} {}", String::from_utf8_lossy(&body).trim())
}

/// A body if it is short enough to be read; nothing else.
async fn short(body: Incoming) -> Bytes {
    match Limited::new(body, REFUSAL_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    }
}

fn may_pass(kind: HttpErrorKind, text: String) -> HttpError {
    HttpError::new(kind, Refused::MayPass(text))
}

/// TLS with the authorities that the system trusts, or those that `SSL_CERT_FILE` names.
pub(crate) fn tls() -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
