//! An S3-compatible object store: moto's server, in memory.
//!
//! Conditional writes are atomic, as S3 promises: puts take turns, because moto looks at a condition
//! in one step and writes in another. Any credentials are accepted until [`S3::demand_signatures`].

use crate::error::{Result, ServicesError};
use crate::fetch::python;
use crate::home::Home;
use crate::http;
use crate::ports::{Port, retry_on_clash};
use crate::process::Launch;
use crate::server::Server;
use crate::service::{Endpoint, Service};
use crate::versions::MOTO;
use std::net::SocketAddr;

/// Starts moto's server with puts that take turns.
const START: &str = "
import sys, threading
from moto import server
from moto.s3 import responses
turn = threading.Lock()
put_object = responses.S3Response.put_object
def put_in_turn(self):
    with turn:
        return put_object(self)
responses.S3Response.put_object = put_in_turn
server.main(sys.argv[1:])
";

/// A request to moto's IAM. Nobody checks who asks until signatures are demanded.
const IAM: &str = "Content-Type: application/x-www-form-urlencoded\r\nAuthorization: \
    AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, \
    Signature=any\r\n";

/// `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}` as a
/// form has it.
const MAY_USE_S3: &str = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22\
    Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D";

/// An access key.
#[derive(Debug, Clone)]
pub struct S3Key {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

/// A private object store; dropping it stops it.
#[derive(Debug)]
pub struct S3 {
    server: Server,
    _home: Home,
}

impl S3 {
    /// The region its buckets are in.
    pub const REGION: &'static str = "us-east-1";

    /// Starts a store without buckets and waits until it answers.
    ///
    /// # Errors
    /// When moto cannot be fetched or does not start.
    pub fn start() -> Result<Self> {
        Self::start_in(Home::private("s3")?)
    }

    pub(crate) fn start_in(home: Home) -> Result<Self> {
        let environment = Self::fetch()?;
        let server = retry_on_clash(|| {
            home.clear()?;
            let port = Port::reserve()?;
            let number = port.number().to_string();
            let launch = Launch::new("s3", environment.join("bin/python"), home.path()).args([
                "-c",
                START,
                "-H",
                "127.0.0.1",
                "-p",
                &number,
            ]);
            let server = Server::start(launch, port, is_ready)?;
            server.wait_ready()?;
            Ok(server)
        })?;
        Ok(Self {
            server,
            _home: home,
        })
    }

    pub(crate) fn fetch() -> Result<std::path::PathBuf> {
        python::environment(
            &format!("moto-{MOTO}"),
            &format!("moto {MOTO}, an S3 server in Python"),
            &[&format!("moto[server]=={MOTO}")],
        )
    }

    /// The server, to kill, freeze, thaw or restart it. Restarted it is empty.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The endpoint's URL, for path-style requests.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Creates a bucket.
    ///
    /// # Errors
    /// When the server is away or refuses.
    pub fn create_bucket(&self, name: &str) -> Result<()> {
        let address = self.server.address();
        http::send(address, "PUT", &format!("/{name}"), None)?
            .ok(self.url())
            .map(drop)
    }

    /// From now on only requests signed with the key that is returned are served.
    ///
    /// # Errors
    /// When the server is away or refuses.
    pub fn demand_signatures(&self) -> Result<S3Key> {
        let address = self.server.address();
        let iam = |action: &str| {
            let body = format!("Action={action}&Version=2010-05-08&UserName=tests");
            http::send_with(address, "POST", "/", IAM, Some(&body))?.ok(self.url())
        };
        iam("CreateUser")?;
        let policy = format!("PutUserPolicy&PolicyName=s3&PolicyDocument={MAY_USE_S3}");
        iam(&policy)?;
        let made = iam("CreateAccessKey")?;
        let field = |name: &str| {
            let (_, rest) = made.split_once(&format!("<{name}>"))?;
            rest.split_once('<').map(|(value, _)| value.to_owned())
        };
        let key = match (field("AccessKeyId"), field("SecretAccessKey")) {
            (Some(id), Some(secret)) => S3Key { id, secret },
            _ => return Err(ServicesError::answer(address, made)),
        };
        http::send(address, "POST", "/moto-api/reset-auth", Some("0"))?.ok(self.url())?;
        Ok(key)
    }
}

fn is_ready(address: SocketAddr) -> Result<()> {
    http::send(address, "GET", "/", None)?.ok(address).map(drop)
}

impl Service for S3 {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![
            Endpoint::new("NOWCAST_S3", self.url()),
            Endpoint::new("NOWCAST_S3_REGION", Self::REGION),
        ]
    }

    fn servers(&self) -> Vec<&Server> {
        vec![&self.server]
    }
}
