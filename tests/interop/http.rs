//! An HTTP/1.1 client just large enough to fill a registry on loopback: one request per connection,
//! whole bodies.
//!
//! It exists so that samples are served byte for byte as they were recorded, tags, fallback indexes
//! and untagged referrers included, without any registry client in between. Neither TLS nor
//! redirects nor chunked answers.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

/// A registry on loopback answers in milliseconds; this is only so that a hung one fails the test.
const DEADLINE: Duration = Duration::from_secs(30);

/// Sends one request and returns the status; panics when there is no well-formed answer.
pub(crate) fn send(address: &str, method: &str, path: &str, media_type: &str, body: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address)
        .unwrap_or_else(|error| panic!("no connection to {address}: {error}"));
    stream
        .set_read_timeout(Some(DEADLINE))
        .and_then(|()| stream.set_write_timeout(Some(DEADLINE)))
        .expect("a deadline above zero is accepted");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut answer = Vec::new();
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body))
        .and_then(|()| stream.read_to_end(&mut answer))
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    let answer = String::from_utf8_lossy(&answer);
    answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("{method} {path}: not an HTTP answer: {answer}"))
}

/// The body of one resource; empty where the status is not 200.
pub(crate) fn get(address: &str, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address)
        .unwrap_or_else(|error| panic!("no connection to {address}: {error}"));
    // HTTP/1.0 knows no chunks.
    let head = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let mut answer = Vec::new();
    stream
        .set_read_timeout(Some(DEADLINE))
        .and_then(|()| stream.write_all(head.as_bytes()))
        .and_then(|()| stream.read_to_end(&mut answer))
        .unwrap_or_else(|error| panic!("GET {path}: {error}"));
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.map_or(answer.len(), |end| end + 4));
    let status = head.get(9..12).unwrap_or_default();
    if status == b"200" {
        body.to_vec()
    } else {
        Vec::new()
    }
}
