//! nginx and HAProxy, from Debian, with a configuration of the caller's.
//!
//! The caller makes the configuration's text when it knows the address to listen on, because the
//! port is ours to choose. Configurations that the project ships are tested by replacing their
//! addresses.

use crate::error::{Result, ServicesError};
use crate::fetch::debian::Program;
use crate::home::Home;
use crate::places;
use crate::ports::{Port, retry_on_clash};
use crate::process::Launch;
use crate::server::Server;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) const NGINX: Program = Program::new("nginx", &["nginx"]);
pub(crate) const HAPROXY: Program = Program::new("haproxy", &["haproxy"]);

/// A private nginx; dropping it stops it.
#[derive(Debug)]
pub struct Nginx {
    server: Server,
    _home: Home,
}

impl Nginx {
    /// Starts nginx with the `nginx.conf` that `config` writes for the address to listen on.
    ///
    /// The text must not set `daemon` and `pid`; access log and temporary folders, if it does
    /// not set them, are put beside the configuration, so that root is not needed.
    ///
    /// # Errors
    /// When nginx cannot be installed or refuses the configuration.
    pub fn start(config: impl Fn(SocketAddr) -> String) -> Result<Self> {
        let home = Home::private("nginx")?;
        let program = NGINX.find_or_install()?;
        let server = retry_on_clash(|| {
            home.clear()?;
            let port = Port::reserve()?;
            let file = home.path().join("nginx.conf");
            places::write(&file, &with_places(&config(port.address())))?;
            let launch = Launch::new("nginx", &program, home.path())
                .arg("-p")
                .arg(home.path())
                .arg("-c")
                .arg(&file)
                .args(["-e", "stderr", "-g", "daemon off; pid nginx.pid;"]);
            started(launch, port)
        })?;
        Ok(Self {
            server,
            _home: home,
        })
    }

    /// The server, to kill, freeze, thaw or restart it.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

/// A private HAProxy; dropping it stops it.
#[derive(Debug)]
pub struct Haproxy {
    server: Server,
    _home: Home,
}

impl Haproxy {
    /// Starts HAProxy with the `haproxy.cfg` that `config` writes for the address to listen on.
    ///
    /// # Errors
    /// When HAProxy cannot be installed or refuses the configuration.
    pub fn start(config: impl Fn(SocketAddr) -> String) -> Result<Self> {
        let home = Home::private("haproxy")?;
        let program = HAPROXY.find_or_install()?;
        let server = retry_on_clash(|| {
            home.clear()?;
            let port = Port::reserve()?;
            let file = home.path().join("haproxy.cfg");
            places::write(&file, &config(port.address()))?;
            let launch = Launch::new("haproxy", &program, home.path())
                .args(["-db", "-f"])
                .arg(&file);
            started(launch, port)
        })?;
        Ok(Self {
            server,
            _home: home,
        })
    }

    /// The server, to kill, freeze, thaw or restart it.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

fn started(launch: Launch, port: Port) -> Result<Server> {
    let server = Server::start(launch, port, accepts)?;
    server.wait_ready()?;
    Ok(server)
}

/// A proxy is ready when it accepts connections: what lies behind it is not its business.
fn accepts(address: SocketAddr) -> Result<()> {
    const WITHIN: Duration = Duration::from_secs(10);
    TcpStream::connect_timeout(&address, WITHIN)
        .map(drop)
        .map_err(|source| ServicesError::io(format!("connect to {address}"), source))
}

/// Adds relative places to the `http` block for what Debian's nginx keeps where only root may
/// write.
fn with_places(config: &str) -> String {
    const PLACES: &[(&str, &str)] = &[
        ("access_log", "access.log"),
        ("client_body_temp_path", "body"),
        ("proxy_temp_path", "proxy"),
        ("fastcgi_temp_path", "fastcgi"),
        ("uwsgi_temp_path", "uwsgi"),
        ("scgi_temp_path", "scgi"),
    ];
    let missing: String = PLACES
        .iter()
        .filter(|(name, _)| !config.contains(name))
        .map(|(name, place)| format!("    {name} {place};\n"))
        .collect();
    config.replacen("http {", &format!("http {{\n{missing}"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_the_configuration_sets_itself_are_kept() {
        let text = with_places("events {}\nhttp {\n access_log off;\n}\n");
        assert!(text.contains("access_log off;"));
        assert!(!text.contains("access_log access.log;"));
        assert!(text.contains("http {\n    client_body_temp_path body;\n"));
    }
}
