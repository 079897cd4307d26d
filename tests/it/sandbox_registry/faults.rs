//! Each fault, seen from the other end of the wire.

use core::time::Duration;
use std::io::ErrorKind;
use std::time::Instant;

use reqwest::Response;
use scgate::model::Digest;
use scgate::model::media_type;
use scgate::sandbox::registry::Auth;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Registry;
use scgate::sandbox::registry::User;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use scgate::sandbox::server::Tls;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Contents;
use super::REPO;
use super::http;
use super::start;

const SOON: Duration = Duration::from_millis(300);

async fn get(registry: &Registry, path: &str) -> reqwest::Result<Response> {
    http(registry)
        .get(format!("{}{path}", registry.url()))
        .header("accept", media_type::IMAGE)
        .send()
        .await
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

fn image(contents: &Contents) -> String {
    format!("/v2/{REPO}/manifests/{}", contents.image)
}

/// Starts a registry with one fault; gives the path of the image and its honest bytes.
async fn faulty(kind: FaultKind, tls: Tls) -> (Registry, String, Vec<u8>) {
    let config = Config {
        tls,
        ..Config::default()
    };
    let (registry, contents) = start(config).await;
    let (_, bytes) = registry.manifest(REPO, contents.image).unwrap();
    registry.inject(Fault::new(kind));
    (registry, image(&contents), bytes.to_vec())
}

/// What a plain socket receives until the connection ends, and how it ended. Stops at `most` bytes.
async fn raw(registry: &Registry, path: &str, most: usize) -> (Vec<u8>, Option<ErrorKind>) {
    let mut socket = TcpStream::connect(registry.address()).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\naccept: {}\r\n\r\n",
        registry.host(),
        media_type::IMAGE
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let mut buffer = vec![0; 65536];
    while received.len() < most {
        match timeout(Duration::from_secs(10), socket.read(&mut buffer)).await {
            Err(_) => panic!("neither more bytes nor an end"),
            Ok(Ok(0)) => return (received, None),
            Ok(Ok(count)) => received.extend(&buffer[..count]),
            Ok(Err(error)) => return (received, Some(error.kind())),
        }
    }
    (received, None)
}

/// The head and the body of an answer as it was received.
fn parts(received: &[u8]) -> (String, &[u8]) {
    let end = received
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(received[..end].to_vec()).unwrap();
    (head.to_lowercase(), &received[end + 4..])
}

#[tokio::test]
async fn a_status_comes_with_what_was_said() {
    for status in [400, 401, 403, 404, 405, 429, 500, 503] {
        let (registry, path, _) = faulty(FaultKind::status(status), Tls::Off).await;
        let answer = get(&registry, &path).await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(header(&answer, "retry-after"), "");
        assert_eq!(header(&answer, "www-authenticate"), "");
        assert!(answer.text().await.unwrap().contains("injected fault"));
        assert_eq!(registry.requests()[0].status, Some(status));
        registry.stop().await.unwrap();
    }
    let kind = FaultKind::Status {
        status: 429,
        retry_after: Some("17".to_owned()),
        body: Some("slow down".into()),
    };
    let (registry, path, _) = faulty(kind, Tls::Off).await;
    let answer = get(&registry, &path).await.unwrap();
    assert_eq!(header(&answer, "retry-after"), "17");
    assert_eq!(answer.text().await.unwrap(), "slow down");
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let (registry, path, _) = faulty(FaultKind::Reset, Tls::Off).await;
    let (received, end) = raw(&registry, &path, usize::MAX).await;
    assert_eq!((received.len(), end), (0, Some(ErrorKind::ConnectionReset)));
    assert_eq!(registry.requests()[0].status, None);
    registry.stop().await.unwrap();

    let (registry, path, bytes) = faulty(FaultKind::ResetInBody, Tls::Off).await;
    let (received, end) = raw(&registry, &path, usize::MAX).await;
    assert_eq!(end, Some(ErrorKind::ConnectionReset));
    assert_eq!(parts(&received).1, &bytes[..bytes.len() / 2]);
    registry.stop().await.unwrap();

    for kind in [FaultKind::Reset, FaultKind::ResetInBody] {
        let (registry, path, _) = faulty(kind, Tls::On).await;
        let error = match get(&registry, &path).await {
            Ok(answer) => answer.bytes().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(
            format!("{error:?}").contains("ConnectionReset"),
            "{error:?}"
        );
        registry.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_hang_is_silence_and_the_registry_still_stops() {
    for tls in [Tls::Off, Tls::On] {
        let (registry, path, _) = faulty(FaultKind::Hang, tls).await;
        timeout(SOON, get(&registry, &path)).await.unwrap_err();
        assert_eq!(registry.requests().len(), 1);
        registry.clear_faults();
        assert_eq!(get(&registry, &path).await.unwrap().status(), 200);
        timeout(Duration::from_secs(5), registry.stop())
            .await
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn a_short_body_ends_before_its_length() {
    let (registry, path, bytes) = faulty(FaultKind::ShortBody, Tls::Off).await;
    let (received, end) = raw(&registry, &path, usize::MAX).await;
    let (head, body) = parts(&received);
    assert!(head.contains(&format!("content-length: {}", bytes.len())));
    assert_eq!((body, end), (&bytes[..bytes.len() / 2], None));
    registry.stop().await.unwrap();

    let (registry, path, _) = faulty(FaultKind::ShortBody, Tls::On).await;
    let answer = get(&registry, &path).await.unwrap();
    answer.bytes().await.unwrap_err();
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn an_endless_body_has_no_end() {
    for (kind, length) in [
        (FaultKind::EndlessBody, "transfer-encoding: chunked"),
        (FaultKind::EndlessLength, "content-length: 1099511627776"),
    ] {
        let (registry, path, bytes) = faulty(kind.clone(), Tls::Off).await;
        let (received, _) = raw(&registry, &path, 32 << 20).await;
        assert!(received.len() >= 32 << 20);
        let (head, body) = parts(&received);
        assert!(head.contains(length), "{head}");
        let text = String::from_utf8_lossy(&body[..1024]).into_owned();
        assert!(text.contains(core::str::from_utf8(&bytes).unwrap()));
        timeout(Duration::from_secs(5), registry.stop())
            .await
            .unwrap()
            .unwrap();

        let (registry, path, _) = faulty(kind, Tls::On).await;
        let mut answer = get(&registry, &path).await.unwrap();
        let mut count = 0;
        while count < 8 << 20 {
            count += answer.chunk().await.unwrap().unwrap().len();
        }
        registry.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_slow_body_takes_its_time() {
    let kind = FaultKind::SlowBody {
        bytes: 100,
        interval: Duration::from_millis(20),
    };
    let (registry, path, bytes) = faulty(kind, Tls::Off).await;
    let begin = Instant::now();
    let answer = get(&registry, &path).await.unwrap();
    assert_eq!(answer.bytes().await.unwrap(), bytes);
    let pieces = u32::try_from(bytes.len().div_ceil(100)).unwrap();
    assert!(pieces > 2);
    assert!(begin.elapsed() >= Duration::from_millis(20) * pieces);
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_body_differs_in_one_bit_and_keeps_its_digest_header() {
    let (registry, path, bytes) = faulty(FaultKind::WrongBody, Tls::Off).await;
    let answer = get(&registry, &path).await.unwrap();
    let digest = Digest::sha256(&bytes).to_string();
    assert_eq!(header(&answer, "docker-content-digest"), digest);
    let body = answer.bytes().await.unwrap();
    assert_eq!(body.len(), bytes.len());
    let flipped: u32 = body
        .iter()
        .zip(&bytes)
        .map(|(wrong, good)| (wrong ^ good).count_ones())
        .sum();
    assert_eq!(flipped, 1);
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn headers_lie() {
    let to = "http://other.invalid/page";
    let sha512 = format!("sha512:{}", "0".repeat(128));
    for (kind, name, expected) in [
        (
            FaultKind::WrongDigestHeader,
            "docker-content-digest",
            Digest::sha256(b"other").to_string(),
        ),
        (
            FaultKind::OtherContentType("text/plain".to_owned()),
            "content-type",
            "text/plain".to_owned(),
        ),
        (
            FaultKind::LinkTo(to.to_owned()),
            "link",
            format!("<{to}>; rel=\"next\""),
        ),
        (
            FaultKind::Header {
                name: "docker-content-digest",
                value: Some(sha512.clone()),
            },
            "docker-content-digest",
            sha512.clone(),
        ),
        (
            FaultKind::Header {
                name: "Docker-Content-Digest",
                value: None,
            },
            "docker-content-digest",
            String::new(),
        ),
    ] {
        let (registry, path, bytes) = faulty(kind, Tls::Off).await;
        let url = format!("{}{path}", registry.url());
        let head = http(&registry)
            .head(url)
            .header("accept", media_type::IMAGE)
            .send()
            .await
            .unwrap();
        assert_eq!(header(&head, name), expected);
        let answer = get(&registry, &path).await.unwrap();
        assert_eq!(header(&answer, name), expected);
        assert_eq!(answer.bytes().await.unwrap(), bytes);
        registry.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_referrers_listing_links_where_it_was_told() {
    let (registry, contents) = start(Config::default()).await;
    let path = format!("/v2/{REPO}/referrers/{}", contents.image);
    registry.inject(Fault::new(FaultKind::LinkTo(path.clone())).path("/referrers/"));
    registry.inject(Fault::new(FaultKind::status(500)).path("page=7"));
    for _ in 0..2 {
        let answer = get(&registry, &path).await.unwrap();
        assert_eq!(header(&answer, "link"), format!("<{path}>; rel=\"next\""));
    }
    let answer = get(&registry, &format!("{path}?page=7")).await.unwrap();
    assert_eq!(answer.status(), 500);
    let answer = get(&registry, &image(&contents)).await.unwrap();
    assert_eq!(header(&answer, "link"), "");
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn gzip_is_marked_and_a_bomb_is_small() {
    let (registry, path, bytes) = faulty(FaultKind::Gzip, Tls::Off).await;
    let answer = get(&registry, &path).await.unwrap();
    assert_eq!(header(&answer, "content-encoding"), "gzip");
    let body = answer.bytes().await.unwrap();
    assert!(body.starts_with(&[0x1f, 0x8b, 8]));
    // Header, one stored block with five bytes before it, the last block, sum and length.
    assert_eq!(body[15..15 + bytes.len()], bytes);
    assert_eq!(body.len(), 10 + 5 + bytes.len() + 5 + 8);
    registry.stop().await.unwrap();

    let (registry, path, _) = faulty(FaultKind::GzipBomb, Tls::Off).await;
    let answer = get(&registry, &path).await.unwrap();
    assert_eq!(header(&answer, "content-encoding"), "gzip");
    let body = answer.bytes().await.unwrap();
    assert!(body.len() < 1100 * 1024, "{}", body.len());
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn redirects_and_challenges_point_elsewhere() {
    let kind = FaultKind::Redirect {
        to: "http://169.254.169.254/".to_owned(),
        status: 307,
    };
    let (registry, path, _) = faulty(kind, Tls::Off).await;
    let answer = get(&registry, &path).await.unwrap();
    assert_eq!(answer.status(), 307);
    assert_eq!(header(&answer, "location"), "http://169.254.169.254/");
    registry.stop().await.unwrap();

    let realm = "http://other.invalid/token";
    let (registry, path, _) = faulty(FaultKind::Realm(realm.to_owned()), Tls::Off).await;
    let answer = get(&registry, &path).await.unwrap();
    assert_eq!(answer.status(), 401);
    let expected = format!(
        "Bearer realm=\"{realm}\",service=\"scgate-sandbox\",scope=\"repository:{REPO}:pull\""
    );
    assert_eq!(header(&answer, "www-authenticate"), expected);
    registry.stop().await.unwrap();

    let kind = FaultKind::Challenge("Negotiate".to_owned());
    let (registry, path, _) = faulty(kind, Tls::Off).await;
    let answer = get(&registry, &path).await.unwrap();
    assert_eq!(header(&answer, "www-authenticate"), "Negotiate");
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn success_can_mean_nothing() {
    let (registry, path, _) = faulty(FaultKind::HtmlOk, Tls::Off).await;
    let answer = get(&registry, &path).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(header(&answer, "content-type").starts_with("text/html"));
    assert!(answer.text().await.unwrap().contains("Sign in"));
    registry.stop().await.unwrap();

    let (registry, path, _) = faulty(FaultKind::EmptyOk, Tls::Off).await;
    let answer = get(&registry, &path).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "content-length"), "0");
    assert!(answer.bytes().await.unwrap().is_empty());
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn a_tag_moves_and_a_manifest_is_another() {
    let (registry, contents) = start(Config::default()).await;
    let tag = format!("/v2/{REPO}/manifests/one");
    let other = Digest::sha256(b"{}");
    registry.put_manifest(REPO, media_type::IMAGE, "{}", None);
    registry.inject(
        Fault::new(FaultKind::MovedTag(other))
            .path("/manifests/")
            .after(1),
    );
    for (path, expected) in [
        (&tag, contents.image),
        (&image(&contents), contents.image),
        (&tag, other),
        (&tag, other),
    ] {
        let answer = get(&registry, path).await.unwrap();
        assert_eq!(
            header(&answer, "docker-content-digest"),
            expected.to_string()
        );
        assert!(expected.matches(&answer.bytes().await.unwrap()));
    }
    registry.clear_faults();

    registry.inject(Fault::new(FaultKind::OtherManifest("another".into())));
    let answer = get(&registry, &image(&contents)).await.unwrap();
    let digest = Digest::sha256(b"another").to_string();
    assert_eq!(header(&answer, "docker-content-digest"), digest);
    assert_eq!(answer.text().await.unwrap(), "another");
    registry.clear_faults();

    registry.plant_manifest(REPO, contents.image, media_type::IMAGE, "planted");
    let answer = get(&registry, &image(&contents)).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "planted");
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn a_challenge_does_not_use_up_a_fault_of_the_good_answer() {
    let config = Config {
        auth: Auth::Basic(vec![
            User::new("alice", "secret").only("elsewhere"),
            User::new("bob", "secret"),
        ]),
        challenges_before: vec!["Negotiate".to_owned()],
        ..Config::default()
    };
    let (registry, contents) = start(config).await;
    registry.inject(Fault::new(FaultKind::WrongBody).times(1));
    registry.inject(Fault::new(FaultKind::status(429)).method("HEAD").times(1));
    let path = image(&contents);
    let refused = get(&registry, &path).await.unwrap();
    assert_eq!(refused.status(), 401);
    let challenges: Vec<_> = refused
        .headers()
        .get_all("www-authenticate")
        .iter()
        .collect();
    assert_eq!(challenges, ["Negotiate", "Basic realm=\"scgate sandbox\""]);

    let client = http(&registry);
    let url = format!("{}{path}", registry.url());
    let request = |method, name| {
        client
            .request(method, &url)
            .header("accept", media_type::IMAGE)
            .basic_auth(name, Some("secret"))
    };
    let head = || reqwest::Method::HEAD;
    assert_eq!(request(head(), "alice").send().await.unwrap().status(), 429);
    assert_eq!(request(head(), "alice").send().await.unwrap().status(), 403);
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let answer = request(reqwest::Method::GET, "bob").send().await.unwrap();
        bodies.push(contents.image.matches(&answer.bytes().await.unwrap()));
    }
    assert_eq!(bodies, [false, true]);
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn a_dropped_registry_is_gone() {
    let (registry, contents) = start(Config::default()).await;
    let address = registry.address();
    get(&registry, &image(&contents)).await.unwrap();
    drop(registry);
    for _ in 0..100 {
        if TcpStream::connect(address).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it still listens");
}
