//! The load generator's end of a connection: blocking, keep-alive, reads exactly one answer.
//!
//! Cheaper than a real client so that the generator does not become what is measured. It speaks
//! only to our own server: every answer carries a content length.

use anyhow::{Context, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection and its buffers.
pub struct Wire {
    stream: TcpStream,
    host: String,
    head: Vec<u8>,
    answer: Vec<u8>,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens at `address`.
    pub fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("cannot reach {address}"))?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .context("cannot set a read timeout")?;
        Ok(Self {
            stream,
            host: address.to_string(),
            head: Vec::with_capacity(256),
            answer: Vec::with_capacity(64 << 10),
        })
    }

    /// Posts `body` as JSON and returns the status and the answer's body.
    ///
    /// # Errors
    /// When the connection breaks or the answer is not HTTP.
    pub fn post(&mut self, path: &str, body: &[u8]) -> anyhow::Result<(u16, &[u8])> {
        self.head.clear();
        write!(
            self.head,
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        )
        .context("cannot write a head")?;
        if body.len() < 16 << 10 {
            // One segment for small requests: no second packet, no wait for the first's answer.
            self.head.extend_from_slice(body);
            self.stream.write_all(&self.head).context("cannot send")?;
        } else {
            self.stream.write_all(&self.head).context("cannot send")?;
            self.stream.write_all(body).context("cannot send")?;
        }
        self.read_answer()
    }

    fn read_answer(&mut self) -> anyhow::Result<(u16, &[u8])> {
        self.answer.clear();
        let mut chunk = [0_u8; 16 << 10];
        let mut body = None;
        loop {
            if let Some((_, from, until)) = body
                && self.answer.len() >= until
            {
                let (status, _, _): (u16, usize, usize) = body.unwrap_or_default();
                return Ok((status, &self.answer[from..until]));
            }
            let read = self.stream.read(&mut chunk).context("no answer")?;
            if read == 0 {
                bail!("the server closed the connection");
            }
            self.answer.extend_from_slice(&chunk[..read]);
            if body.is_none() {
                body = parse_head(&self.answer)?;
            }
        }
    }
}

/// Status, start and end of the body, once the head is complete.
fn parse_head(answer: &[u8]) -> anyhow::Result<Option<(u16, usize, usize)>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end]).context("the answer's head is not text")?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .context("the answer is not HTTP")?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |(_, value)| value.trim().parse().ok())
        .context("the answer's content length is not a number")?;
    Ok(Some((status, end + 4, end + 4 + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_once_complete() {
        assert!(
            parse_head(b"HTTP/1.1 200 OK\r\ncontent-le")
                .unwrap()
                .is_none()
        );
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parse_head(answer).unwrap(), Some((202, 44, 46)));
        assert!(parse_head(b"nonsense\r\n\r\n").is_err());
    }
}
