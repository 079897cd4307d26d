//! One TUF mirror for both: what `cosign initialize` accepts, `scgate trust fetch` does, and both then
//! verify the same signature under the root that they fetched.

use std::collections::BTreeMap;
use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::time::SystemTime;

use scgate::Timestamp;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::email;
use scgate::sandbox::tuf::Repository;
use scgate::sandbox::tuf::Services;
use scgate::sandbox::tuf::distributed;

use crate::peers::Ring;

const DAY: i64 = 24 * 60 * 60;

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Serves the files on loopback until the test process ends; one request per connection.
fn serve(files: &Files) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("a listener has an address");
    let files = Arc::clone(files);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &files);
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: TcpStream, files: &Files) {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let files = files.lock().expect("nobody panics while serving");
    let found = files.get(path.trim_start_matches('/'));
    let status = if found.is_some() {
        "200 OK"
    } else {
        "404 Not Found"
    };
    let body = found.map(Vec::as_slice).unwrap_or_default();
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    // A client that went away is its own affair.
    drop(
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body)),
    );
}

#[test]
fn both_read_one_mirror() {
    let Some(ring) = Ring::find() else {
        return;
    };
    let now = Timestamp::from(SystemTime::now());
    let mint = Mint::new(now).expect("the crypto library works");
    let services = Services {
        fulcio: "https://fulcio.sandbox.test".to_owned(),
        oidc: "https://oidc.sandbox.test".to_owned(),
        rekor: vec![("https://rekor.sandbox.test".to_owned(), 1)],
        tsa: vec!["https://tsa.sandbox.test/api/v1/timestamp".to_owned()],
        start: mint.valid_from,
    };
    let mut repository =
        Repository::new(now, distributed(&mint, &services)).expect("the crypto library works");
    let files = |repository: &Repository| repository.files().expect("the crypto library works");
    let first = files(&repository);
    let served: Files = Arc::new(Mutex::new(first.clone()));
    let mirror = serve(&served);
    let put = |name: &str, bytes: &[u8]| {
        fs::write(ring.scratch().join(name), bytes).expect("the scratch directory can be written");
    };
    put("anchor.json", &first["1.root.json"]);
    let signer = email("release@example.test", "https://oidc.sandbox.test");
    let order = Order::keyless(
        now.plus_seconds(-60),
        &signer,
        Content::Message(b"a file".to_vec()),
    );
    let minted = mint.sign(&order).expect("the crypto library works");
    put("file", b"a file");
    put("file.sigstore.json", &minted.bundle_bytes("0.3"));
    let who = [
        "verify-blob",
        "file",
        "--bundle=file.sigstore.json",
        "--certificate-identity=release@example.test",
        "--certificate-oidc-issuer=https://oidc.sandbox.test",
    ];
    let initialize = ["initialize", "--root=anchor.json", "--mirror", &mirror];
    let fetch = [
        "trust",
        "fetch",
        "--root=anchor.json",
        "--cache=cache",
        "-o=root.json",
        "--mirror",
    ];
    for step in ["as made", "rotated", "frozen"] {
        let is_good = step != "frozen";
        match step {
            "rotated" => {
                repository
                    .rotate(now.plus_seconds(90 * DAY))
                    .expect("the crypto library works");
                repository.publish();
            }
            "frozen" => {
                repository.publish();
                repository.timestamp.expires = now.plus_seconds(-DAY);
            }
            _ => {}
        }
        let mut next = files(&repository);
        // Signed anew with every call, and pinned by its bytes.
        next.insert("1.root.json".to_owned(), first["1.root.json"].clone());
        *served.lock().expect("nobody panics while serving") = next;
        let cosign = ring.cosign(initialize);
        assert_eq!(cosign.exit == Some(0), is_good, "{step}: {cosign}");
        let scgate = ring.scgate(fetch.iter().copied().chain([mirror.as_str()]));
        assert_eq!(scgate.exit, Some(i32::from(!is_good)), "{step}: {scgate}");
        let scgate = ring.scgate(who.iter().copied().chain(["--trusted-root=root.json"]));
        assert_eq!(scgate.exit, Some(0), "{step}: {scgate}");
        if is_good {
            let cosign = ring.cosign(who);
            assert_eq!(cosign.exit, Some(0), "{step}: {cosign}");
        }
    }
}
