//! One command to one Redis server over a connection of its own: enough for probes and for
//! looking at what a store wrote. It is not a client to build on: no pipelining, no redirects.

use crate::error::{Result, ServicesError};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status, an error aside.
    Text(String),
    /// A number.
    Integer(i64),
    /// Bytes; none for nil.
    Bytes(Option<Vec<u8>>),
    /// A list; none for nil.
    List(Option<Vec<Reply>>),
}

impl Reply {
    /// The text of a status or of bytes.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn into_text(self) -> Result<String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Bytes(Some(bytes)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            other => Err(ServicesError::answer("redis", format!("{other:?}"))),
        }
    }
}

/// Sends one command to a server and reads its answer.
///
/// # Errors
/// When the server is away or answers with an error.
pub fn command(address: SocketAddr, words: &[&str]) -> Result<Reply> {
    let io = |source| ServicesError::io(format!("ask redis at {address}"), source);
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN).map_err(io)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(io)?;
    stream.set_nodelay(true).map_err(io)?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes()).map_err(io)?;
    match read(&mut BufReader::new(stream)) {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(refusal)) => Err(ServicesError::answer(
            format!("redis at {address}"),
            refusal,
        )),
        Err(error) => Err(io(error)),
    }
}

/// A reply, or the server's error message.
fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Result<Reply, String>> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    let odd = || std::io::Error::new(std::io::ErrorKind::InvalidData, format!("reply `{line}`"));
    let mut characters = line.chars();
    let kind = characters.next().ok_or_else(odd)?;
    let rest = characters.as_str();
    let number = || rest.parse::<i64>().map_err(|_| odd());
    Ok(Ok(match kind {
        '+' => Reply::Text(rest.to_owned()),
        '-' => return Ok(Err(rest.to_owned())),
        ':' => Reply::Integer(number()?),
        '$' => match usize::try_from(number()?) {
            Err(_) => Reply::Bytes(None),
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                stream.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Reply::Bytes(Some(bytes))
            }
        },
        '*' => match usize::try_from(number()?) {
            Err(_) => Reply::List(None),
            Ok(length) => {
                let mut list = Vec::new();
                for _ in 0..length {
                    match read(stream)? {
                        Ok(reply) => list.push(reply),
                        Err(refusal) => list.push(Reply::Text(refusal)),
                    }
                }
                Reply::List(Some(list))
            }
        },
        _ => return Err(odd()),
    }))
}
