//! Pushing manifests of every kind (category 2).

use reqwest::Method;
use scgate::model::Digest;
use scgate::model::media_type;
use serde_json::json;

use super::EMPTY;
use super::Row;
use super::descriptor;
use super::digest;
use super::index;
use super::row;
use super::sha512;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    vec![
        row!(
            Push,
            "PUT of a manifest by tag MUST answer 201 and where it lies (end-7a)",
            |world| {
                let image = world.image("a").await;
                let answer = world.put("v1", &image).await;
                assert_eq!(answer.status, 201);
                let own = digest(&image).to_string();
                assert_eq!(answer.header("docker-content-digest"), own);
                assert_eq!(answer.header("content-length"), "0");
                let answer = world.get(answer.header("location")).await;
                assert_eq!(answer.body, image.to_string().as_bytes());
            }
        ),
        row!(
            Push,
            "PUT of a manifest by digest MUST answer 201 and set no tag",
            |world| {
                let image = world.image("a").await;
                let answer = world.put(&digest(&image).to_string(), &image).await;
                assert_eq!(answer.status, 201);
                let answer = world.get(answer.header("location")).await;
                assert_eq!(answer.body, image.to_string().as_bytes());
                let tags = world.get(&world.path("tags/list")).await.json();
                assert_eq!(tags["tags"], json!([]));
            }
        ),
        row!(
            Push,
            "the digest in the path MUST be that of the bytes (400 DIGEST_INVALID)",
            |world| {
                let image = world.image("a").await;
                for reference in [
                    Digest::sha256(b"other").to_string(),
                    "sha256:bad".to_owned(),
                ] {
                    let answer = world.put(&reference, &image).await;
                    assert_eq!(answer.status, 400);
                    assert_eq!(answer.code(), "DIGEST_INVALID");
                }
            }
        ),
        row!(
            Push,
            "pushing to a tag that exists moves it, and the old manifest stays",
            |world| {
                let (first, second) = (world.image("a").await, world.image("b").await);
                world.put("v1", &first).await;
                assert_eq!(world.put("v1", &second).await.status, 201);
                let answer = world.get(&world.path("manifests/v1")).await;
                assert_eq!(answer.body, second.to_string().as_bytes());
                let path = world.path(&format!("manifests/{}", digest(&first)));
                assert_eq!(world.get(&path).await.status, 200);
            }
        ),
        row!(
            Push,
            "bytes that are no manifest MUST be 400 MANIFEST_INVALID",
            |world| {
                let headers = [("content-type", media_type::IMAGE)];
                let path = world.path("manifests/v1");
                for body in [
                    "",
                    "{",
                    "[]",
                    "null",
                    "{\"layers\":1}",
                    "{\"schemaVersion\":2}",
                ] {
                    let answer = world
                        .send(Method::PUT, &path, &headers, body.as_bytes())
                        .await;
                    assert_eq!(answer.status, 400, "{body}");
                    assert_eq!(answer.code(), "MANIFEST_INVALID");
                }
                let headers = [("content-type", media_type::INDEX)];
                let answer = world.send(Method::PUT, &path, &headers, b"[]").await;
                assert_eq!(answer.code(), "MANIFEST_INVALID", "a list is no index");
            }
        ),
        row!(
            Push,
            "mediaType MUST be the Content-Type when both are there",
            |world| {
                let image = world.image("a").await;
                let path = world.path("manifests/v1");
                let body = image.to_string();
                let other = [("content-type", media_type::INDEX)];
                let answer = world
                    .send(Method::PUT, &path, &other, body.as_bytes())
                    .await;
                assert_eq!(answer.code(), "MANIFEST_INVALID");
                let typed = format!("{}; charset=utf-8", media_type::IMAGE);
                let headers = [("content-type", typed.as_str())];
                let answer = world
                    .send(Method::PUT, &path, &headers, body.as_bytes())
                    .await;
                assert_eq!(answer.status, 201, "parameters do not count");
                assert_eq!(
                    world.get(&path).await.header("content-type"),
                    media_type::IMAGE
                );
            }
        ),
        row!(
            Push,
            "a manifest without mediaType is served with its Content-Type",
            |world| {
                let mut image = world.image("a").await;
                image.as_object_mut().unwrap().remove("mediaType");
                let path = world.path("manifests/v1");
                let headers = [("content-type", media_type::IMAGE)];
                let body = image.to_string();
                let answer = world
                    .send(Method::PUT, &path, &headers, body.as_bytes())
                    .await;
                assert_eq!(answer.status, 201);
                assert_eq!(
                    world.get(&path).await.header("content-type"),
                    media_type::IMAGE
                );
            }
        ),
        row!(
            Push,
            "a document that is image and index at once MUST be refused",
            |world| {
                let mut both = world.image("a").await;
                both["manifests"] = json!([]);
                let answer = world.put("v1", &both).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.code()),
                    (400, "MANIFEST_INVALID".to_owned())
                );
            }
        ),
        row!(
            Push,
            "a manifest that names an unknown blob SHOULD be 400 MANIFEST_BLOB_UNKNOWN",
            |world| {
                for member in ["config", "layers"] {
                    let mut image = world.image("a").await;
                    let none =
                        json!({ "mediaType": "x/y", "digest": Digest::sha256(b"no"), "size": 2 });
                    image[member] = if member == "layers" {
                        json!([none])
                    } else {
                        none
                    };
                    let answer = world.put("v1", &image).await;
                    assert_eq!(answer.status, 400);
                    assert_eq!(answer.code(), "MANIFEST_BLOB_UNKNOWN");
                }
            }
        ),
        row!(
            Push,
            "a descriptor with a malformed digest MUST be refused",
            |world| {
                let mut image = world.image("a").await;
                image["config"]["digest"] = json!("sha256:00");
                assert_eq!(world.put("v1", &image).await.code(), "DIGEST_INVALID");
            }
        ),
        row!(
            Push,
            "a manifest of at least 4 MiB MUST be taken, a larger one MAY be 413",
            |world| {
                let mut image = world.image("a").await;
                image["annotations"] = json!({ "fill": "" });
                let room = (4 << 20) - image.to_string().len();
                image["annotations"]["fill"] = json!("A".repeat(room));
                assert_eq!(image.to_string().len(), 4 << 20);
                let answer = world.put("large", &image).await;
                assert_eq!(answer.status, 201);
                let answer = world.get(answer.header("location")).await;
                assert_eq!(answer.body, image.to_string().as_bytes());
                image["annotations"]["fill"] = json!("A".repeat(room + 1));
                let answer = world.put("larger", &image).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.code()),
                    (413, "SIZE_INVALID".to_owned())
                );
            }
        ),
        row!(
            Push,
            "an index MUST be taken when its children are there",
            |world| {
                let (first, second) = (world.image("a").await, world.image("b").await);
                world.store(&first).await;
                let both = index(&[&first, &second]);
                let answer = world.put("both", &both).await;
                assert_eq!(answer.code(), "MANIFEST_BLOB_UNKNOWN");
                world.store(&second).await;
                assert_eq!(world.put("both", &both).await.status, 201);
            }
        ),
        row!(
            Push,
            "an empty index and an index of indexes MUST be taken",
            |world| {
                let empty = index(&[]);
                assert_eq!(world.put("empty", &empty).await.status, 201);
                let image = world.image("a").await;
                world.store(&image).await;
                let inner = index(&[&image]);
                world.store(&inner).await;
                let outer = index(&[&inner, &empty]);
                assert_eq!(world.put("outer", &outer).await.status, 201);
                let answer = world.get(&world.path("manifests/outer")).await;
                assert_eq!(answer.body, outer.to_string().as_bytes());
            }
        ),
        row!(
            Push,
            "an artifact with the empty config MUST be taken",
            |world| {
                let artifact = world
                    .artifact(Some("application/vnd.example+type"), None)
                    .await;
                assert_eq!(world.put("artifact", &artifact).await.status, 201);
            }
        ),
        row!(Push, "an image without layers MUST be taken", |world| {
            let mut image = world.image("a").await;
            for none in [json!([]), json!(null)] {
                image["layers"] = none;
                assert_eq!(world.put("none", &image).await.status, 201);
            }
        }),
        row!(
            Push,
            "members that the specification lacks MUST be kept",
            |world| {
                let mut image = world.image("a").await;
                image["org.example.custom"] = json!({ "nested": [1, 2, { "three": null }] });
                image["layers"][0]["custom"] = json!("x");
                assert_eq!(world.put("custom", &image).await.status, 201);
                let answer = world.get(&world.path("manifests/custom")).await;
                assert_eq!(answer.json(), image);
            }
        ),
        row!(
            Push,
            "a descriptor MAY carry its data; the blob is still needed",
            |world| {
                let mut image = world.image("a").await;
                image["layers"][0]["data"] = json!("bGF5ZXIgYQ==");
                assert_eq!(world.put("data", &image).await.status, 201);
            }
        ),
        row!(
            Push,
            "layers that may not be distributed need not be there",
            |world| {
                let mut image = world.image("a").await;
                for kind in [
                    "application/vnd.oci.image.layer.nondistributable.v1.tar",
                    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                ] {
                    let foreign = json!({
                        "mediaType": kind,
                        "digest": Digest::sha256(kind.as_bytes()),
                        "size": 123_456,
                        "urls": ["https://store.invalid/blob"],
                    });
                    image["layers"].as_array_mut().unwrap().push(foreign);
                }
                assert_eq!(world.put("foreign", &image).await.status, 201);
            }
        ),
        row!(
            Push,
            "a manifest pushed by its SHA-512 MUST be served by it",
            |world| {
                let image = world.image("a").await;
                let long = sha512(image.to_string().as_bytes());
                let answer = world.put(&long.to_string(), &image).await;
                assert_eq!(answer.status, 201);
                assert_eq!(answer.header("docker-content-digest"), long.to_string());
                let answer = world.get(answer.header("location")).await;
                assert_eq!(answer.body, image.to_string().as_bytes());
                assert_eq!(answer.header("docker-content-digest"), long.to_string());
                let child = json!({ "mediaType": media_type::IMAGE, "digest": long, "size": 7 });
                let mut parent = index(&[]);
                parent["manifests"] = json!([child]);
                assert_eq!(world.put("parent", &parent).await.status, 201);
            }
        ),
        row!(
            Push,
            "tag parameters set tags of a digest and are said in OCI-Tag (end-7b)",
            |world| {
                let image = world.image("a").await;
                for own in [digest(&image), sha512(image.to_string().as_bytes())] {
                    let tags: Vec<_> = (0..10).map(|n| format!("t{n}")).collect();
                    let query = tags.join("&tag=");
                    let answer = world.put(&format!("{own}?tag={query}"), &image).await;
                    assert_eq!(answer.status, 201);
                    let said = answer.headers.get_all("oci-tag").iter();
                    let said: Vec<_> = said.map(|tag| tag.to_str().unwrap()).collect();
                    assert_eq!(said, tags);
                    for tag in tags {
                        let answer = world.head(&world.path(&format!("manifests/{tag}"))).await;
                        assert_eq!(answer.header("docker-content-digest"), own.to_string());
                    }
                }
                let many = "&tag=x".repeat(65);
                let answer = world
                    .put(&format!("{}?{many}", digest(&image)), &image)
                    .await;
                assert_eq!(answer.status, 414);
                let answer = world
                    .put(&format!("{}?tag=a%20b", digest(&image)), &image)
                    .await;
                assert_eq!(answer.status, 400);
            }
        ),
        row!(
            Push,
            "a digest parameter beside a tag says under which digest it is stored",
            |world| {
                let image = world.image("a").await;
                let long = sha512(image.to_string().as_bytes());
                let answer = world.put(&format!("v1?digest={long}"), &image).await;
                assert_eq!(answer.status, 201);
                let answer = world.head(&world.path("manifests/v1")).await;
                assert_eq!(answer.header("docker-content-digest"), long.to_string());
                let other = sha512(b"other");
                let answer = world.put(&format!("v2?digest={other}"), &image).await;
                assert_eq!(answer.code(), "DIGEST_INVALID");
            }
        ),
        row!(
            Push,
            "a subject MUST be taken whether or not it is there, and said in OCI-Subject",
            |world| {
                let image = world.image("a").await;
                let own = digest(&image);
                for _ in 0..2 {
                    let artifact = world.artifact(Some("x/y"), Some(own)).await;
                    let answer = world.put("artifact", &artifact).await;
                    assert_eq!(answer.status, 201);
                    assert_eq!(answer.header("oci-subject"), own.to_string());
                    world.store(&image).await;
                }
                let answer = world.put("v1", &image).await;
                assert!(!answer.headers.contains_key("oci-subject"));
            }
        ),
        row!(
            Push,
            "an index MAY have a subject and an artifact type",
            |world| {
                let image = world.image("a").await;
                let own = world.store(&image).await;
                let mut artifact = index(&[&image]);
                artifact["artifactType"] = json!("application/vnd.example+type");
                artifact["subject"] = descriptor(&image);
                let answer = world.put("index", &artifact).await;
                assert_eq!(answer.status, 201);
                assert_eq!(answer.header("oci-subject"), own.to_string());
            }
        ),
        row!(Push, "Docker's media types are taken like OCI's", |world| {
            let mut image = world.image("a").await;
            image["mediaType"] = json!(media_type::DOCKER_IMAGE);
            assert_eq!(world.put("docker", &image).await.status, 201);
            let path = world.path("manifests/docker");
            let headers = [("accept", media_type::DOCKER_IMAGE)];
            let answer = world.send(Method::GET, &path, &headers, b"").await;
            assert_eq!(answer.header("content-type"), media_type::DOCKER_IMAGE);
            assert_eq!(EMPTY, "application/vnd.oci.empty.v1+json");
        }),
    ]
}
