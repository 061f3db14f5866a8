//! The servers of one process each: S3, memcached, PostgreSQL, nginx, HAProxy.

use nowcast_services::{Haproxy, Memcached, Nginx, Postgres, S3};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// Sends `request` and returns all that comes back up to `end`, or until the server closes.
fn talk(address: SocketAddr, request: &str, end: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut said = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap() == 1 {
        said.push(byte[0]);
        if said.ends_with(end.as_bytes()) {
            break;
        }
    }
    String::from_utf8(said).unwrap()
}

fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    talk(address, &request, "never")
}

/// moto does not check signatures, but refuses what nobody signed.
const SIGNED: &str = "Host: localhost\r\nAuthorization: AWS4-HMAC-SHA256 \
    Credential=any/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=any\r\n";

#[test]
fn s3_puts_if_absent_once() {
    let s3 = S3::start().unwrap();
    s3.create_bucket("artifacts").unwrap();
    let ask = |what: &str, more: &str, body: &str| {
        let length = body.len();
        let request = format!(
            "{what} /artifacts/model HTTP/1.0\r\n{SIGNED}{more}Content-Length: {length}\r\n\r\n{body}"
        );
        talk(s3.server().address(), &request, "never")
    };
    let first = ask("PUT", "If-None-Match: *\r\n", "first");
    assert!(first.contains(" 200 "), "{first}");
    let second = ask("PUT", "If-None-Match: *\r\n", "second");
    assert!(second.contains(" 412 "), "{second}");
    let read = ask("GET", "", "");
    assert!(read.ends_with("first"), "{read}");
}

#[test]
fn memcached_answers_and_is_empty_after_a_kill() {
    let memcached = Memcached::start().unwrap();
    let set = talk(memcached.address(), "set a 0 0 1\r\n1\r\n", "\r\n");
    assert_eq!(set, "STORED\r\n");
    let read = || talk(memcached.address(), "get a\r\n", "END\r\n");
    assert_eq!(read(), "VALUE a 0 1\r\n1\r\nEND\r\n");
    memcached.server().kill().unwrap();
    memcached.server().restart().unwrap();
    assert_eq!(read(), "END\r\n");
}

#[test]
fn postgres_keeps_committed_rows_over_a_kill_and_decodes_its_log() {
    let postgres = Postgres::start().unwrap();
    postgres
        .sql("create table items (id text primary key); insert into items values ('a')")
        .unwrap();
    postgres.server().kill().unwrap();
    assert!(postgres.sql("select 1").is_err());
    postgres.server().restart().unwrap();
    assert_eq!(postgres.sql("select id from items").unwrap(), "a");
    assert_eq!(postgres.sql("show wal_level").unwrap(), "logical");
    let refused = postgres.sql("select * from nothing").unwrap_err();
    assert!(refused.to_string().contains("nothing"), "{refused}");
}

#[test]
fn nginx_and_haproxy_serve_what_their_configuration_says() {
    let nginx = Nginx::start(|listen| {
        format!(
            "events {{}}\nhttp {{\n server {{ listen {listen}; return 200 'from nginx'; }}\n}}\n"
        )
    })
    .unwrap();
    let behind = nginx.address();
    assert!(get(behind, "/").ends_with("from nginx"));
    let haproxy = Haproxy::start(|listen| {
        format!(
            "defaults\n mode http\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n\
             frontend front\n bind {listen}\n default_backend back\n\
             backend back\n server nginx {behind}\n"
        )
    })
    .unwrap();
    assert!(get(haproxy.address(), "/").ends_with("from nginx"));
    nginx.server().kill().unwrap();
    let without = get(haproxy.address(), "/");
    assert!(without.starts_with("HTTP/1.1 50"), "{without}");
    nginx.server().restart().unwrap();
    assert!(get(haproxy.address(), "/").ends_with("from nginx"));
}

#[test]
fn a_refused_configuration_is_told_with_the_reason() {
    let error = Nginx::start(|_| "nonsense on;".to_owned()).unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
}
