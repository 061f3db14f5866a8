//! One HTTP/1.1 request over a connection of its own, for probes and for setting services up.
//!
//! It asks the server to close the connection and reads to the end; chunked answers are joined.
//! No TLS, no redirects.

use crate::error::{Result, ServicesError};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may be silent: Kafka Connect answers some requests after a minute.
const SILENCE_MAX: Duration = Duration::from_secs(95);

/// The status and the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The body if the status is 2xx.
    pub(crate) fn ok(self, peer: impl ToString) -> Result<String> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let said = format!("status {}: {}", self.status, self.body);
        Err(ServicesError::answer(peer, said))
    }
}

/// Sends a request; a body is sent as JSON.
pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> Result<Answer> {
    let kind = "Content-Type: application/json\r\n";
    send_with(address, method, path, kind, body)
}

/// Sends a request with header lines of the caller's, each with its end.
pub(crate) fn send_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: Option<&str>,
) -> Result<Answer> {
    let io = |source| ServicesError::io(format!("{method} http://{address}{path}"), source);
    let mut stream = TcpStream::connect_timeout(&address, SILENCE_MAX).map_err(io)?;
    stream.set_read_timeout(Some(SILENCE_MAX)).map_err(io)?;
    let body = body.unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Accept: application/json, */*\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(io)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(io)?;
    let text = String::from_utf8_lossy(&bytes);
    read(&text).ok_or_else(|| {
        let start: String = text.chars().take(200).collect();
        ServicesError::answer(address, format!("no HTTP answer: {start:?}"))
    })
}

fn read(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let is_chunked = lines.any(|line| {
        let line = line.to_ascii_lowercase();
        line.starts_with("transfer-encoding:") && line.contains("chunked")
    });
    let body = if is_chunked {
        join_chunks(body)?
    } else {
        body.to_owned()
    };
    Some(Answer { status, body })
}

fn join_chunks(mut rest: &str) -> Option<String> {
    let mut joined = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(joined);
        }
        joined.push_str(after.get(..size)?);
        rest = after.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_chunked_bodies_are_read() {
        let plain = read("HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nno").unwrap();
        assert_eq!((plain.status, plain.body.as_str()), (404, "no"));
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        assert_eq!(read(chunked).unwrap().body, "abcd");
        assert_eq!(read("SSH-2.0"), None);
    }
}
