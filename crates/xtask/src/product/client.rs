//! The smallest HTTP/1.1 client that drives the service: one connection, kept alive, blocking.
//!
//! It never retries and never hides an error: whether an answer arrived is exactly what the drill
//! must know.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for a connection or for the next bytes of an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer of the service.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// Whether the request was carried out, all of it (207 is a part).
    pub(crate) fn is_success(&self) -> bool {
        matches!(self.status, 200..=204)
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.status, 429 | 500 | 502..=504)
    }
}

/// One connection to one server.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Sends a request and reads its answer; any error leaves the outcome unknown.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.status_line()?;
        let headers = self.headers()?;
        let find = |name: &str| {
            headers
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        let body = if find("transfer-encoding") == Some("chunked") {
            self.chunked_body()?
        } else {
            let length = find("content-length").unwrap_or("0").parse()?;
            self.exact_body(length)?
        };
        Ok(Answer {
            status,
            body: String::from_utf8(body).context("the answer is not UTF-8")?,
        })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line)?;
        ensure!(read > 0, "the connection ended");
        Ok(line.trim_end().to_owned())
    }

    fn status_line(&mut self) -> Result<u16> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).context("no status")?;
        Ok(status.parse()?)
    }

    fn headers(&mut self) -> Result<Vec<(String, String)>> {
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(headers);
            }
            let Some((name, value)) = line.split_once(':') else {
                bail!("not a header: {line}");
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn exact_body(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn chunked_body(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line()?, 16)?;
            body.extend(self.exact_body(size)?);
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}
