//! A small HTTP client for talking to a running server: one connection, kept alive, JSON both ways.

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Where a server is: `host:port`, from a URL or bare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    authority: String,
    key: Option<String>,
}

impl ServerAddress {
    /// Reads `http://host:port` or `host:port`; `key` is sent as a bearer token.
    ///
    /// # Errors
    /// For other schemes, which this client does not speak.
    pub fn parse(url: &str, key: Option<String>) -> anyhow::Result<Self> {
        if url.starts_with("https://") {
            bail!("{url}: this client speaks plain HTTP; give the address behind the TLS proxy");
        }
        let bare = url.strip_prefix("http://").unwrap_or(url);
        let authority = bare.split('/').next().unwrap_or_default().to_owned();
        if authority.is_empty() {
            bail!("`{url}` is not an address such as http://127.0.0.1:7878");
        }
        let authority = if authority.contains(':') {
            authority
        } else {
            format!("{authority}:80")
        };
        Ok(Self { authority, key })
    }
}

/// One kept-alive connection.
pub struct Client {
    address: ServerAddress,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not JSON, or the status is not a success (with the body's words).
    pub fn json(&self) -> anyhow::Result<Value> {
        if !(200..300).contains(&self.status) {
            let text = String::from_utf8_lossy(&self.body);
            bail!("the server answered {}: {text}", self.status);
        }
        serde_json::from_slice(&self.body).context("the server's answer is not JSON")
    }
}

impl Client {
    /// A client that connects at its first request.
    #[must_use]
    pub fn new(address: ServerAddress) -> Self {
        Self {
            address,
            sender: None,
        }
    }

    /// `GET path`.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<Reply> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> anyhow::Result<Reply> {
        self.send(Method::POST, path, body.into()).await
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Reply> {
        // A kept-alive connection may have been closed while idle: the second try is on a new one.
        for is_last in [false, true] {
            match self.try_send(method.clone(), path, body.clone()).await {
                Ok(reply) => return Ok(reply),
                Err(error) => {
                    let was_reused = self.sender.take().is_some();
                    if is_last || !was_reused {
                        return Err(error);
                    }
                }
            }
        }
        bail!("{} did not answer", self.address.authority)
    }

    async fn try_send(&mut self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Reply> {
        let authority = self.address.authority.clone();
        if self.sender.is_none() {
            self.sender = Some(connect(&authority).await?);
        }
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &authority)
            .header("content-type", "application/json");
        if let Some(key) = &self.address.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request
            .body(Full::new(body))
            .context("not a valid request")?;
        let sender = self.sender.as_mut().context("no connection")?;
        sender.ready().await.context("the connection was closed")?;
        let response = sender
            .send_request(request)
            .await
            .with_context(|| format!("no answer from http://{authority}"))?;
        let status = response.status().as_u16();
        let body = response
            .into_body()
            .collect()
            .await
            .context("the answer broke off")?
            .to_bytes();
        Ok(Reply { status, body })
    }
}

async fn connect(authority: &str) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(authority).await.with_context(|| {
        format!("cannot reach http://{authority}; is `nowcast up` running there?")
    })?;
    stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .context("the server does not speak HTTP")?;
    tokio::spawn(connection);
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_urls() {
        let parse = |url| ServerAddress::parse(url, None).map(|a| a.authority);
        assert_eq!(parse("http://127.0.0.1:7878/x").unwrap(), "127.0.0.1:7878");
        assert_eq!(parse("example").unwrap(), "example:80");
        assert!(parse("https://a").is_err());
        assert!(parse("http://").is_err());
    }
}
