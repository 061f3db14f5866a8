//! Listeners with TLS and every SASL mechanism, beside the plain ones.
//!
//! The certificates are made anew for each cluster. PLAIN and SCRAM know one user; OAUTHBEARER takes
//! unsigned tokens, as Kafka's own validator for tests does.

use super::software::tool;
use crate::error::{Result, ServicesError};
use crate::fetch;
use crate::home::Home;
use crate::places;
use crate::ports::Port;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The user that the brokers know.
const USER: &str = "nowcast";
const PASSWORD: &str = "correct horse";

/// How to connect to the secured listeners.
#[derive(Debug)]
pub struct Secured {
    ca_file: PathBuf,
    /// Certificate and key of all brokers.
    broker_file: PathBuf,
    ports: Vec<Port>,
}

impl Secured {
    /// Makes certificates for brokers with such ports.
    pub(super) fn new(home: &Home, ports: Vec<Port>) -> Result<Self> {
        let folder = home.folder("certificates")?;
        let (ca_file, broker_file) = (folder.join("ca.pem"), folder.join("broker.pem"));
        let (ca, broker) = certificates().map_err(|error| {
            ServicesError::Invalid(format!("no certificates for the brokers: {error}"))
        })?;
        places::write(&ca_file, &ca)?;
        places::write(&broker_file, &broker)?;
        Ok(Self {
            ca_file,
            broker_file,
            ports,
        })
    }

    /// Where the listeners are, comma separated, as clients take it.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let addresses = self.ports.iter();
        let addresses = addresses.map(|port| format!("localhost:{}", port.number()));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The certificate that signed those of the brokers (PEM).
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// The user that PLAIN and SCRAM know, and the password.
    #[must_use]
    pub const fn credentials(&self) -> (&'static str, &'static str) {
        (USER, PASSWORD)
    }

    /// Lines of `server.properties` for the broker of a plain and a controller address; they
    /// override the listeners said before.
    pub(super) fn properties(&self, broker: usize, ports: [&Port; 2]) -> String {
        let [client, controller] = ports.map(Port::address);
        let port = &self.ports[broker];
        let secured = port.address();
        let listener = "listener.name.sasl_ssl";
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
        let oauth = "org.apache.kafka.common.security.oauthbearer";
        format!(
            "listeners=PLAINTEXT://{client},CONTROLLER://{controller},SASL_SSL://{secured}\n\
             advertised.listeners=PLAINTEXT://{client},SASL_SSL://localhost:{number}\n\
             {listener}.ssl.keystore.type=PEM\n\
             {listener}.ssl.keystore.location={keys}\n\
             {listener}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER\n\
             {listener}.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";\n\
             {listener}.scram-sha-256.sasl.jaas.config={scram}\n\
             {listener}.scram-sha-512.sasl.jaas.config={scram}\n\
             {listener}.oauthbearer.sasl.jaas.config={oauth}.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";\n\
             {listener}.oauthbearer.sasl.server.callback.handler.class={oauth}.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler\n",
            number = port.number(),
            keys = self.broker_file.display(),
        )
    }

    /// Tells the brokers the user's SCRAM secrets, with Kafka's own tool.
    pub(super) fn add_user(&self, software: &Path, plain: SocketAddr) -> Result<()> {
        // One at a time: Kafka alters a user once in a request.
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let secret = format!("{mechanism}=[password={PASSWORD}]");
            let mut tool = tool(software, "kafka.admin.ConfigCommand")?;
            tool.args(["--bootstrap-server", &plain.to_string(), "--alter"])
                .args(["--add-config", &secret])
                .args(["--entity-type", "users", "--entity-name", USER]);
            fetch::run("a user of Kafka", &mut tool)?;
        }
        Ok(())
    }
}

/// The certificate of an authority, and one for `localhost` that it signed, with its key.
fn certificates() -> std::result::Result<(String, String), rcgen::Error> {
    let named = |name: &str, hosts: Vec<String>| {
        let mut params = CertificateParams::new(hosts)?;
        // A certificate with its issuer's name would pass for one that signed itself.
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        Ok::<_, rcgen::Error>(params)
    };
    let mut authority = named("Nowcast test authority", Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let key = KeyPair::generate()?;
    let broker = named("localhost", hosts)?.signed_by(&key, &issuer)?;
    Ok((ca, format!("{}{}", key.serialize_pem(), broker.pem())))
}
