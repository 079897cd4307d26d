//! Pulling (category 1).

use reqwest::Method;
use scgate::model::Digest;
use scgate::model::media_type;

use super::Row;
use super::row;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    vec![
        row!(
            Pull,
            "GET /v2/ MUST answer 200 where no credentials are needed (end-1)",
            |world| {
                for path in ["/v2/", "/v2"] {
                    let answer = world.get(path).await;
                    assert_eq!(answer.status, 200);
                    let version = answer.header("docker-distribution-api-version");
                    assert_eq!(version, "registry/2.0");
                }
            }
        ),
        row!(
            Pull,
            "GET of a blob MUST answer 200 with exactly its bytes (end-2)",
            |world| {
                let digest = world.blob(b"a blob").await;
                let answer = world.get(&world.path(&format!("blobs/{digest}"))).await;
                assert_eq!(answer.status, 200);
                assert_eq!(answer.body, b"a blob");
                assert_eq!(answer.header("content-length"), "6");
                assert_eq!(answer.header("content-type"), "application/octet-stream");
            }
        ),
        row!(
            Pull,
            "the digest header of a blob, if sent, MUST be the one asked for",
            |world| {
                let digest = world.blob(b"a blob").await;
                let answer = world.get(&world.path(&format!("blobs/{digest}"))).await;
                assert_eq!(answer.header("docker-content-digest"), digest.to_string());
                assert_eq!(answer.header("etag"), format!("\"{digest}\""));
            }
        ),
        row!(
            Pull,
            "HEAD of a blob MUST answer 200 with its length and no body (end-2)",
            |world| {
                let digest = world.blob(b"a blob").await;
                let answer = world.head(&world.path(&format!("blobs/{digest}"))).await;
                assert_eq!(answer.status, 200);
                assert!(answer.body.is_empty());
                assert_eq!(answer.header("content-length"), "6");
                assert_eq!(answer.header("docker-content-digest"), digest.to_string());
            }
        ),
        row!(
            Pull,
            "GET and HEAD of an unknown blob MUST answer 404",
            |world| {
                world.blob(b"makes the repository known").await;
                let path = world.path(&format!("blobs/{}", Digest::sha256(b"none")));
                let answer = world.get(&path).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.code()),
                    (404, "BLOB_UNKNOWN".to_owned())
                );
                let answer = world.head(&path).await;
                assert_eq!(answer.status, 404);
                assert!(answer.body.is_empty());
            }
        ),
        row!(
            Pull,
            "a blob MUST only be found in a repository that has it",
            |world| {
                let digest = world.blob(b"a blob").await;
                let path = format!("/v2/{}/blobs/{digest}", world.other);
                assert_eq!(world.get(&path).await.status, 404);
            }
        ),
        row!(
            Pull,
            "a malformed digest SHOULD be 400 DIGEST_INVALID",
            |world| {
                world.blob(b"makes the repository known").await;
                for rest in ["blobs/sha256:00", "manifests/sha256:00", "blobs/none"] {
                    let answer = world.get(&world.path(rest)).await;
                    assert_eq!(answer.status, 400, "{rest}");
                    assert_eq!(answer.code(), "DIGEST_INVALID");
                }
            }
        ),
        row!(
            Pull,
            "a Range of a blob SHOULD be answered with 206 and those bytes",
            |world| {
                let digest = world.blob(b"0123456789").await;
                let path = world.path(&format!("blobs/{digest}"));
                for (range, body, said) in [
                    ("bytes=2-4", "234", "bytes 2-4/10"),
                    ("bytes=7-", "789", "bytes 7-9/10"),
                    ("bytes=-4", "6789", "bytes 6-9/10"),
                    ("bytes=8-99", "89", "bytes 8-9/10"),
                ] {
                    let answer = world
                        .send(Method::GET, &path, &[("range", range)], b"")
                        .await;
                    assert_eq!(answer.status, 206, "{range}");
                    assert_eq!(answer.body, body.as_bytes(), "{range}");
                    assert_eq!(answer.header("content-range"), said);
                    assert_eq!(answer.header("content-length"), body.len().to_string());
                    assert_eq!(answer.header("accept-ranges"), "bytes");
                }
            }
        ),
        row!(
            Pull,
            "a Range beyond a blob SHOULD be 416 with its length",
            |world| {
                let digest = world.blob(b"0123456789").await;
                let path = world.path(&format!("blobs/{digest}"));
                for range in ["bytes=10-", "bytes=50-100", "bytes=5-0"] {
                    let answer = world
                        .send(Method::GET, &path, &[("range", range)], b"")
                        .await;
                    assert_eq!(answer.status, 416, "{range}");
                    assert_eq!(answer.header("content-range"), "bytes */10");
                }
            }
        ),
        row!(
            Pull,
            "a Range SHOULD be passed over when If-Range names other content",
            |world| {
                let digest = world.blob(b"0123456789").await;
                let path = world.path(&format!("blobs/{digest}"));
                let other = format!("\"{}\"", Digest::sha256(b"other"));
                let same = format!("\"{digest}\"");
                for (tag, status) in [(other, 200), (same, 206)] {
                    let headers = [("range", "bytes=0-1"), ("if-range", tag.as_str())];
                    let answer = world.send(Method::GET, &path, &headers, b"").await;
                    assert_eq!(answer.status, status);
                }
                let head = [("range", "bytes=0-1")];
                let answer = world.send(Method::HEAD, &path, &head, b"").await;
                assert_eq!(answer.status, 200, "Range is for GET alone");
                assert_eq!(answer.header("content-length"), "10");
            }
        ),
        row!(
            Pull,
            "GET of a manifest by tag MUST answer 200 with exactly its bytes (end-3)",
            |world| {
                let image = world.image("a").await;
                assert_eq!(world.put("v1", &image).await.status, 201);
                let answer = world.get(&world.path("manifests/v1")).await;
                assert_eq!(answer.status, 200);
                assert_eq!(answer.body, image.to_string().as_bytes());
            }
        ),
        row!(
            Pull,
            "GET of a manifest by digest MUST answer 200 with exactly its bytes",
            |world| {
                let image = world.image("a").await;
                let digest = world.store(&image).await;
                let answer = world.get(&world.path(&format!("manifests/{digest}"))).await;
                assert_eq!(answer.status, 200);
                assert_eq!(answer.body, image.to_string().as_bytes());
            }
        ),
        row!(
            Pull,
            "Content-Type of a manifest MUST be the one that it was pushed with",
            |world| {
                let image = world.image("a").await;
                world.put("image", &image).await;
                let index = super::index(&[&image]);
                world.put("index", &index).await;
                for (tag, expected) in [("image", media_type::IMAGE), ("index", media_type::INDEX)]
                {
                    let path = world.path(&format!("manifests/{tag}"));
                    assert_eq!(world.get(&path).await.header("content-type"), expected);
                    assert_eq!(world.head(&path).await.header("content-type"), expected);
                }
            }
        ),
        row!(
            Pull,
            "HEAD of a manifest MUST answer 200 with length, digest and no body",
            |world| {
                let image = world.image("a").await;
                let digest = world.store(&image).await;
                world.put("v1", &image).await;
                for reference in ["v1".to_owned(), digest.to_string()] {
                    let path = world.path(&format!("manifests/{reference}"));
                    let answer = world.head(&path).await;
                    assert_eq!(answer.status, 200);
                    assert!(answer.body.is_empty());
                    let length = image.to_string().len().to_string();
                    assert_eq!(answer.header("content-length"), length);
                    assert_eq!(answer.header("docker-content-digest"), digest.to_string());
                }
            }
        ),
        row!(
            Pull,
            "GET and HEAD of an unknown manifest MUST answer 404",
            |world| {
                world.blob(b"makes the repository known").await;
                let none = Digest::sha256(b"none").to_string();
                for reference in ["none", none.as_str(), "not a tag"] {
                    let path = world.path(&format!("manifests/{reference}"));
                    let answer = world.get(&path).await;
                    assert_eq!(answer.status, 404);
                    assert_eq!(answer.code(), "MANIFEST_UNKNOWN");
                    assert_eq!(world.head(&path).await.status, 404);
                }
            }
        ),
        row!(
            Pull,
            "a manifest or tag list of an unknown repository MUST answer 404",
            |world| {
                for rest in ["manifests/v1", "tags/list"] {
                    let answer = world.get(&world.path(rest)).await;
                    assert_eq!(answer.status, 404);
                    assert_eq!(answer.code(), "NAME_UNKNOWN");
                }
            }
        ),
        row!(
            Pull,
            "a name that is none SHOULD be 400 NAME_INVALID",
            |world| {
                let long = "a".repeat(256);
                for name in ["Upper", "a..b", "-a", "a//b", long.as_str()] {
                    for rest in ["tags/list", "manifests/v1"] {
                        let answer = world.get(&format!("/v2/{name}/{rest}")).await;
                        assert_eq!(answer.status, 400, "{name}");
                        assert_eq!(answer.code(), "NAME_INVALID");
                    }
                }
            }
        ),
        row!(
            Pull,
            "a failure SHOULD have a JSON body with errors, code and message",
            |world| {
                let answer = world.get(&world.path("tags/list")).await;
                let body = answer.json();
                let errors = body["errors"].as_array().unwrap();
                assert_eq!(errors.len(), 1);
                let code = errors[0]["code"].as_str().unwrap();
                assert!(
                    code.chars()
                        .all(|one| one == '_' || one.is_ascii_uppercase())
                );
            }
        ),
        row!(
            Pull,
            "an unknown method SHOULD be 405, an unknown path 404",
            |world| {
                let image = world.image("a").await;
                world.put("v1", &image).await;
                for rest in ["manifests/v1", "tags/list", "blobs/uploads/"] {
                    let path = world.path(rest);
                    let answer = world.send(Method::PATCH, &path, &[], b"").await;
                    assert_eq!(answer.status, 405, "{rest}");
                    assert_eq!(answer.code(), "UNSUPPORTED");
                }
                assert_eq!(world.send(Method::POST, "/v2/", &[], b"").await.status, 405);
                assert_eq!(world.get("/v1/").await.status, 404);
                assert_eq!(world.get("/v2/a/unknown").await.status, 404);
            }
        ),
    ]
}
