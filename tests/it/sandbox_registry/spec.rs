//! The OCI distribution specification 1.1 as a table: each requirement on a registry is a row, and
//! each row is asked over HTTP of a registry in memory and of one on disk.
//!
//! Beside it stands [`DIFFERENCES`]: where the sandbox registry deliberately does something else
//! than the specification demands or recommends, and why. Every difference is asked for too, so
//! that the list fails in both directions.

mod content;
mod discovery;
mod management;
mod pull;
mod push;

use core::pin::Pin;

use reqwest::Method;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use scgate::model::Algorithm;
use scgate::model::Digest;
use scgate::model::media_type;
use scgate::sandbox::registry::AcceptRule;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Registry;
use scgate::sandbox::registry::Storage;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use super::http;

/// What the specification calls the four kinds of work, and what it calls the rest.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Category {
    Pull,
    Push,
    Discovery,
    Management,
}

/// A row: what is demanded, and a test that asks for it.
struct Row {
    category: Category,
    /// The demand in our words; MUST, SHOULD and MAY as in the specification.
    demand: &'static str,
    ask: fn(World) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// Writes a row: the category, the demand, and an async block over a fresh [`World`].
macro_rules! row {
    ($category:ident, $demand:literal, |$world:ident| $body:expr) => {
        $crate::sandbox_registry::spec::Row {
            category: $crate::sandbox_registry::spec::Category::$category,
            demand: $demand,
            ask: |$world| Box::pin(async move { $body }),
        }
    };
}
use row;

/// A registry of its own for each row, and a client.
struct World {
    registry: Registry,
    client: reqwest::Client,
    repo: &'static str,
    other: &'static str,
}

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    async fn read(response: Response) -> Self {
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The code of its first error.
    fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/json");
        let body = self.json();
        assert!(body["errors"][0]["message"].is_string(), "{body}");
        body["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}

impl World {
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let url = if path.starts_with('/') {
            format!("{}{path}", self.registry.url())
        } else {
            path.to_owned()
        };
        let mut request = self.client.request(method, url).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    /// GET with every media type of a manifest.
    async fn get(&self, path: &str) -> Answer {
        let accept = format!("{}, {}", media_type::IMAGE, media_type::INDEX);
        self.send(Method::GET, path, &[("accept", &accept)], b"")
            .await
    }

    async fn head(&self, path: &str) -> Answer {
        let accept = format!("{}, {}", media_type::IMAGE, media_type::INDEX);
        self.send(Method::HEAD, path, &[("accept", &accept)], b"")
            .await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], b"").await
    }

    fn path(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.repo)
    }

    /// Begins an upload and gives its location.
    async fn begin(&self) -> String {
        let answer = self
            .send(Method::POST, &self.path("blobs/uploads/"), &[], b"")
            .await;
        assert_eq!(answer.status, 202);
        answer.header("location").to_owned()
    }

    /// Sends a piece with the range that it says it has.
    async fn piece(&self, method: Method, location: &str, range: &str, body: &[u8]) -> Answer {
        let headers = [
            ("content-range", range),
            ("content-type", "application/octet-stream"),
        ];
        self.send(method, location, &headers, body).await
    }

    /// Pushes a blob the usual way.
    async fn blob(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let location = self.begin().await;
        let answer = self
            .send(Method::PUT, &with(&location, digest), &[], bytes)
            .await;
        assert_eq!(answer.status, 201);
        digest
    }

    /// Pushes a manifest under a tag or its digest.
    async fn put(&self, reference: &str, manifest: &Value) -> Answer {
        let media_type = manifest["mediaType"].as_str().unwrap().to_owned();
        let path = self.path(&format!("manifests/{reference}"));
        let body = manifest.to_string();
        self.send(
            Method::PUT,
            &path,
            &[("content-type", &media_type)],
            body.as_bytes(),
        )
        .await
    }

    /// Pushes a manifest under its digest, which it gives.
    async fn store(&self, manifest: &Value) -> Digest {
        let digest = digest(manifest);
        let answer = self.put(&digest.to_string(), manifest).await;
        assert_eq!(
            answer.status,
            201,
            "{:?}",
            String::from_utf8_lossy(&answer.body)
        );
        digest
    }

    /// A manifest with a config and a layer, which are pushed.
    async fn image(&self, name: &str) -> Value {
        let (config, layer) = (
            format!("{{\"config\":\"{name}\"}}"),
            format!("layer {name}"),
        );
        json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": self.blob(config.as_bytes()).await,
                "size": config.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": self.blob(layer.as_bytes()).await,
                "size": layer.len(),
            }],
        })
    }

    /// An artifact that refers to a digest; its blobs are pushed.
    async fn artifact(&self, artifact_type: Option<&str>, subject: Option<Digest>) -> Value {
        let empty = self.blob(b"{}").await;
        let mut artifact = json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE,
            "config": { "mediaType": EMPTY, "digest": empty, "size": 2 },
            "layers": [{ "mediaType": EMPTY, "digest": empty, "size": 2 }],
            "annotations": { "org.example.a": "b", "org.example.c": "d" },
        });
        if let Some(artifact_type) = artifact_type {
            artifact["artifactType"] = json!(artifact_type);
        }
        if let Some(subject) = subject {
            artifact["subject"] =
                json!({ "mediaType": media_type::IMAGE, "digest": subject, "size": 7 });
        }
        artifact
    }
}

const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// The digest of a manifest as it is sent.
fn digest(manifest: &Value) -> Digest {
    Digest::sha256(manifest.to_string().as_bytes())
}

fn descriptor(manifest: &Value) -> Value {
    json!({
        "mediaType": manifest["mediaType"],
        "digest": digest(manifest),
        "size": manifest.to_string().len(),
    })
}

fn index(children: &[&Value]) -> Value {
    let children: Vec<_> = children.iter().map(|child| descriptor(child)).collect();
    json!({ "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": children })
}

/// The location of an upload with the digest that ends it.
fn with(location: &str, digest: Digest) -> String {
    let mark = if location.contains('?') { '&' } else { '?' };
    format!("{location}{mark}digest={digest}")
}

fn sha512(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha512, bytes)
}

/// A registry for a row, and the directory that it may need.
async fn world(change: impl FnOnce(&mut Config), disk: Option<&TempDir>) -> World {
    let mut config = Config::default();
    if let Some(disk) = disk {
        config.storage = Storage::Disk(disk.path().to_owned());
    }
    change(&mut config);
    let registry = Registry::start(config).await.unwrap();
    World {
        client: http(&registry),
        registry,
        repo: "spec/first",
        other: "spec/second",
    }
}

fn rows() -> Vec<Row> {
    let mut rows = pull::rows();
    rows.extend(push::rows());
    rows.extend(content::rows());
    rows.extend(discovery::rows());
    rows.extend(management::rows());
    rows
}

async fn ask_all(on_disk: bool) {
    for row in rows() {
        let disk = tempfile::tempdir().unwrap();
        let world = world(|_| (), on_disk.then_some(&disk)).await;
        let asked = tokio::task::LocalSet::new()
            .run_until(async { tokio::task::spawn_local((row.ask)(world)).await })
            .await;
        assert!(asked.is_ok(), "{:?}: {}", row.category, row.demand);
    }
}

#[tokio::test]
async fn a_registry_in_memory_is_what_the_specification_demands() {
    ask_all(false).await;
}

#[tokio::test]
async fn a_registry_on_disk_is_what_the_specification_demands() {
    ask_all(true).await;
}

#[test]
fn every_category_has_rows_and_no_demand_stands_twice() {
    let rows = rows();
    for (category, least) in [
        (Category::Pull, 15),
        (Category::Push, 35),
        (Category::Discovery, 20),
        (Category::Management, 10),
    ] {
        let count = rows.iter().filter(|row| row.category == category).count();
        assert!(count >= least, "{category:?}: {count}");
    }
    let mut demands: Vec<_> = rows.iter().map(|row| row.demand).collect();
    demands.sort_unstable();
    demands.dedup();
    assert_eq!(demands.len(), rows.len());
}

/// What is deliberately otherwise: the demand or recommendation, what is done instead, and why.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "an unknown digest algorithm MAY be taken",
        "400 DIGEST_INVALID for all but sha256 and sha512",
        "scgate itself reads no other; both that the image specification registers for everybody are here",
    ),
    (
        "a manifest of any media type SHOULD be served whatever Accept says",
        "404 MANIFEST_UNKNOWN unless Accept names the type; AcceptRule::Lenient serves it",
        "distribution 2.8 and 3 do so, and a client that forgets the header must fail in a test",
    ),
    (
        "a manifest that names missing blobs or children MAY be taken",
        "400 MANIFEST_BLOB_UNKNOWN; Config::sparse takes it",
        "distribution, zot and go-containerregistry refuse a missing child",
    ),
    (
        "sha512 MAY be one digest among several of the same content",
        "in memory a content is also found by the SHA-512 of what was pushed as SHA-256; on disk it is not",
        "on disk it would mean to hash every file for every miss",
    ),
    (
        "a body of any length SHOULD be taken in one request",
        "413 above 256 MiB in one request, and above Config::blob_bytes in all",
        "the sandbox reads a request whole before it answers; larger blobs come in pieces",
    ),
    (
        "an upload stays open until it is ended",
        "the 257th upload under way ends the one that rested longest; a restart ends all",
        "a sandbox that runs for long must not grow with what clients leave behind",
    ),
    (
        "a malformed tag in PUT has no error code of its own",
        "400 TAG_INVALID, also where tags are immutable",
        "distribution and ECR use this code, which the specification once had",
    ),
    (
        "a malformed `n` has no demanded answer",
        "400 PAGINATION_NUMBER_INVALID",
        "as distribution 3 answers",
    ),
    (
        "several ranges in one request MAY be served as multipart",
        "200 with the whole blob",
        "no client asks for that; RFC 9110 lets a server pass over `Range`",
    ),
    (
        "`Warning` headers MAY be sent",
        "never sent; a fault can set one",
        "nothing in the sandbox is deprecated",
    ),
];

/// Each difference as it shows on the wire, in the order of [`DIFFERENCES`].
#[tokio::test]
async fn every_listed_difference_is_one() {
    let mut asked = 0;
    let mut difference = |holds: bool| {
        let listed = DIFFERENCES
            .get(asked)
            .unwrap_or_else(|| panic!("difference {asked} is not listed"));
        assert!(holds, "{listed:?}");
        asked += 1;
    };
    let strict = world(|_| (), None).await;
    let image = strict.image("a").await;
    let own = strict.store(&image).await;

    let path = strict.path(&format!("blobs/sha384:{}", "0".repeat(96)));
    let answer = strict.get(&path).await;
    difference(answer.status == 400 && answer.code() == "DIGEST_INVALID");

    let path = strict.path(&format!("manifests/{own}"));
    let answer = strict
        .send(Method::GET, &path, &[("accept", "*/*")], b"")
        .await;
    let lenient = world(|config| config.accept = AcceptRule::Lenient, None).await;
    let image_again = lenient.image("a").await;
    lenient.store(&image_again).await;
    let served = lenient
        .send(Method::GET, &path, &[("accept", "*/*")], b"")
        .await;
    difference(answer.status == 404 && answer.code() == "MANIFEST_UNKNOWN" && served.status == 200);

    let lacking = index(&[&json!({ "mediaType": media_type::IMAGE, "none": true })]);
    let answer = strict.put("lacking", &lacking).await;
    let sparse = world(|config| config.sparse = true, None).await;
    let taken = sparse.put("lacking", &lacking).await;
    difference(
        answer.status == 400 && answer.code() == "MANIFEST_BLOB_UNKNOWN" && taken.status == 201,
    );

    let dir = tempfile::tempdir().unwrap();
    let disk = world(|_| (), Some(&dir)).await;
    let path = strict.path(&format!("blobs/{}", sha512(b"both")));
    strict.blob(b"both").await;
    disk.blob(b"both").await;
    difference(strict.get(&path).await.status == 200 && disk.get(&path).await.status == 404);

    let small = world(|config| config.blob_bytes = Some(4), None).await;
    let location = small.begin().await;
    let taken = small.piece(Method::PATCH, &location, "0-3", b"four").await;
    let answer = small.piece(Method::PATCH, &location, "4-4", b"5").await;
    difference(taken.status == 202 && answer.status == 413 && answer.code() == "SIZE_INVALID");

    let oldest = strict.begin().await;
    for _ in 0..256 {
        strict.begin().await;
    }
    let answer = strict.get(&oldest).await;
    difference(answer.status == 404 && answer.code() == "BLOB_UPLOAD_UNKNOWN");

    let answer = strict.put("not%20a%20tag", &image).await;
    difference(answer.status == 400 && answer.code() == "TAG_INVALID");

    let answer = strict.get(&strict.path("tags/list?n=many")).await;
    difference(answer.status == 400 && answer.code() == "PAGINATION_NUMBER_INVALID");

    let blob = strict.path(&format!("blobs/{}", strict.blob(b"0123456789").await));
    let ranges = [("range", "bytes=0-1,4-5")];
    let answer = strict.send(Method::GET, &blob, &ranges, b"").await;
    difference(answer.status == 200 && answer.body == b"0123456789");

    difference(!answer.headers.contains_key("warning"));
    assert_eq!(
        asked,
        DIFFERENCES.len(),
        "a listed difference was not asked for"
    );
}
