//! The shipped configurations of nginx and HAProxy, in front of two servers of which one is killed.

use crate::server::{Server, ask};
use nowcast_services::{Haproxy, Nginx};
use std::net::SocketAddr;

const QUESTION: &str = r#"{"user_id":"ann","k":3}"#;

fn up(dir: &std::path::Path) -> Server {
    Server::start(dir, &["up", "--json", "--listen", "127.0.0.1:0"])
}

/// The shipped text with the addresses of this test in place of the ones it names.
fn with_addresses(shipped: &str, listen: SocketAddr, servers: [&Server; 2]) -> String {
    for address in ["127.0.0.1:8080", "127.0.0.1:7878", "127.0.0.1:7879"] {
        assert_eq!(shipped.matches(address).count(), 1, "{address}");
    }
    shipped
        .replace("127.0.0.1:8080", &listen.to_string())
        .replace("127.0.0.1:7878", &servers[0].address)
        .replace("127.0.0.1:7879", &servers[1].address)
}

/// Events and requests through `door`, before and after one of the servers behind it is killed.
fn survives_a_death_behind(door: SocketAddr, [doomed, other]: [Server; 2]) {
    let door = door.to_string();
    let served = |method: &str, path: &str, body: &str| {
        for _ in 0..20 {
            let (status, answer) = ask(&door, method, path, body);
            assert_eq!(status, 200, "{method} {path}: {answer}");
        }
    };
    let click = r#"{"event_id":"e1","event_type":"click","user_id":"ann","item_id":"i1"}"#;
    served("POST", "/v1/events", click);
    served("POST", "/v1/recommendations", QUESTION);
    drop(doomed);
    served("POST", "/v1/events", click);
    served("POST", "/v1/recommendations", QUESTION);
    drop(other);
    let (status, _) = ask(&door, "POST", "/v1/recommendations", QUESTION);
    assert!(status == 502 || status == 503, "{status}");
}

#[test]
fn nginx_answers_on_while_one_server_behind_it_dies() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let servers = [up(dirs[0].path()), up(dirs[1].path())];
    let shipped = include_str!("../../../../deploy/front-door/nginx.conf");
    let nginx = Nginx::start(|listen| with_addresses(shipped, listen, [&servers[0], &servers[1]]))
        .expect("nginx takes the configuration");
    survives_a_death_behind(nginx.address(), servers);
}

#[test]
fn haproxy_answers_on_while_one_server_behind_it_dies() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let servers = [up(dirs[0].path()), up(dirs[1].path())];
    let shipped = include_str!("../../../../deploy/front-door/haproxy.cfg");
    let door = Haproxy::start(|listen| with_addresses(shipped, listen, [&servers[0], &servers[1]]))
        .expect("HAProxy takes the configuration");
    survives_a_death_behind(door.address(), servers);
}
