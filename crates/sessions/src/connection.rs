//! One connection and the three commands that we use of memcached's text protocol.
//!
//! A connection on which a command did not end as it should is not used again: what comes next on
//! it may belong to that command.

use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Longest line of an answer; all that we expect are short.
const LINE_BYTES_MAX: u64 = 1 << 10;

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// The value of a key, of at most `bytes_max`.
    pub(crate) async fn get(&mut self, key: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        self.send(format!("get {key}\r\n").as_bytes()).await?;
        let line = self.line().await?;
        if line == "END" {
            return Ok(None);
        }
        // VALUE <key> <flags> <bytes>
        let mut words = line.split(' ');
        let is_ours = words.next() == Some("VALUE") && words.next() == Some(key);
        let len = words.nth(1).and_then(|len| len.parse::<u64>().ok());
        let Some(len) = len.filter(|len| is_ours && *len <= bytes_max) else {
            return Err(unexpected(&line));
        };
        let mut value = vec![0; len as usize];
        self.stream.read_exact(&mut value).await?;
        let after = (self.line().await?, self.line().await?);
        if after != (String::new(), "END".to_owned()) {
            return Err(unexpected("no end behind a value"));
        }
        Ok(Some(value))
    }

    /// Stores a value under a key for a number of seconds.
    pub(crate) async fn set(&mut self, key: &str, ttl_secs: i64, value: &[u8]) -> io::Result<()> {
        let head = format!("set {key} 0 {ttl_secs} {}\r\n", value.len());
        let command = [head.as_bytes(), value, b"\r\n"].concat();
        self.send(&command).await?;
        match self.line().await?.as_str() {
            "STORED" => Ok(()),
            line => Err(unexpected(line)),
        }
    }

    /// Removes a key; one that is not there is removed already.
    pub(crate) async fn delete(&mut self, key: &str) -> io::Result<()> {
        self.send(format!("delete {key}\r\n").as_bytes()).await?;
        match self.line().await?.as_str() {
            "DELETED" | "NOT_FOUND" => Ok(()),
            line => Err(unexpected(line)),
        }
    }

    async fn send(&mut self, command: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(command).await
    }

    /// One line without its end.
    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let mut bounded = (&mut self.stream).take(LINE_BYTES_MAX);
        bounded.read_line(&mut line).await?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None if line.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            None => Err(unexpected(&line)),
        }
    }
}

fn unexpected(line: &str) -> io::Error {
    let start: String = line.chars().take(80).collect();
    io::Error::new(io::ErrorKind::InvalidData, format!("it said {start:?}"))
}
