//! Content discovery (category 3): tags, repositories, referrers.

use scgate::model::Digest;
use scgate::model::media_type;
use serde_json::Value;
use serde_json::json;

use super::EMPTY;
use super::Row;
use super::World;
use super::digest;
use super::index;
use super::row;
use super::sha512;

const KIND: &str = "application/vnd.example.kind+json";

/// Pushes one image under tags in an order that is not theirs.
async fn tagged(world: &World) -> Value {
    let image = world.image("a").await;
    for tag in ["v2", "latest", "V1", "v10", "0"] {
        assert_eq!(world.put(tag, &image).await.status, 201);
    }
    image
}

async fn tags(world: &World, query: &str) -> (Value, String) {
    let answer = world.get(&world.path(&format!("tags/list{query}"))).await;
    assert_eq!(answer.status, 200, "{query}");
    assert_eq!(answer.header("content-type"), "application/json");
    let link = answer.header("link").to_owned();
    (answer.json(), link)
}

/// The list of what refers to a digest.
async fn referrers(world: &World, subject: Digest, query: &str) -> Vec<Value> {
    let path = world.path(&format!("referrers/{subject}{query}"));
    let answer = world.get(&path).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), media_type::INDEX);
    let body = answer.json();
    assert_eq!(body["schemaVersion"], 2);
    assert_eq!(body["mediaType"], media_type::INDEX);
    body["manifests"].as_array().unwrap().clone()
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    vec![
        row!(
            Discovery,
            "the list of tags MUST have the name and all tags in lexical order (end-8a)",
            |world| {
                tagged(&world).await;
                let (body, link) = tags(&world, "").await;
                let expected =
                    json!({ "name": world.repo, "tags": ["0", "V1", "latest", "v10", "v2"] });
                assert_eq!((body, link), (expected, String::new()));
            }
        ),
        row!(
            Discovery,
            "a repository without tags MUST have an empty list",
            |world| {
                world.blob(b"makes the repository known").await;
                assert_eq!(tags(&world, "").await.0["tags"], json!([]));
            }
        ),
        row!(
            Discovery,
            "n MUST bound the list, and Link lead to the rest (end-8b)",
            |world| {
                tagged(&world).await;
                let (body, link) = tags(&world, "?n=2").await;
                assert_eq!(body["tags"], json!(["0", "V1"]));
                assert_eq!(
                    link,
                    format!("</v2/{}/tags/list?n=2&last=V1>; rel=\"next\"", world.repo)
                );
                let (body, link) = tags(&world, "?n=2&last=V1").await;
                assert_eq!(body["tags"], json!(["latest", "v10"]));
                assert!(!link.is_empty());
                let (body, link) = tags(&world, "?n=2&last=v10").await;
                assert_eq!((&body["tags"], link.as_str()), (&json!(["v2"]), ""));
            }
        ),
        row!(
            Discovery,
            "n=0 MUST give an empty list without Link",
            |world| {
                tagged(&world).await;
                let (body, link) = tags(&world, "?n=0").await;
                assert_eq!((&body["tags"], link.as_str()), (&json!([]), ""));
            }
        ),
        row!(
            Discovery,
            "n above the number of tags MUST give all without Link",
            |world| {
                tagged(&world).await;
                let (body, link) = tags(&world, "?n=5").await;
                assert_eq!(
                    (body["tags"].as_array().unwrap().len(), link.as_str()),
                    (5, "")
                );
                let (body, link) = tags(&world, "?n=100").await;
                assert_eq!(
                    (body["tags"].as_array().unwrap().len(), link.as_str()),
                    (5, "")
                );
            }
        ),
        row!(
            Discovery,
            "last MUST leave out itself and what stands before, known or not",
            |world| {
                tagged(&world).await;
                assert_eq!(
                    tags(&world, "?last=latest").await.0["tags"],
                    json!(["v10", "v2"])
                );
                assert_eq!(
                    tags(&world, "?last=m").await.0["tags"],
                    json!(["v10", "v2"])
                );
                assert_eq!(tags(&world, "?last=zz").await.0["tags"], json!([]));
            }
        ),
        row!(
            Discovery,
            "HEAD of the list has its headers and no body",
            |world| {
                tagged(&world).await;
                let path = world.path("tags/list?n=1");
                let (get, head) = (world.get(&path).await, world.head(&path).await);
                assert!(head.body.is_empty());
                for name in ["content-length", "content-type", "link"] {
                    assert_eq!(head.header(name), get.header(name));
                }
            }
        ),
        row!(
            Discovery,
            "the list of repositories MAY be there, with n and last",
            |world| {
                world.blob(b"first").await;
                let image = world.image("a").await;
                let body = image.to_string();
                for (repo, status) in [("a/b", 400), (world.repo, 201)] {
                    let path = format!("/v2/{repo}/manifests/v1");
                    let headers = [("content-type", media_type::IMAGE)];
                    let method = reqwest::Method::PUT;
                    let answer = world.send(method, &path, &headers, body.as_bytes()).await;
                    assert_eq!(answer.status, status, "{repo}");
                }
                world.registry.put_blob("z", "last");
                let list = async |query: &str| {
                    let answer = world.get(&format!("/v2/_catalog{query}")).await;
                    assert_eq!(answer.status, 200);
                    (
                        answer.json()["repositories"].clone(),
                        answer.header("link").to_owned(),
                    )
                };
                assert_eq!(
                    list("").await.0,
                    json!([world.repo, "z"]),
                    "a refused push makes none"
                );
                let (first, link) = list("?n=1").await;
                assert_eq!(first, json!([world.repo]));
                assert_eq!(link, "</v2/_catalog?n=1&last=spec%2Ffirst>; rel=\"next\"");
                assert_eq!(list("?n=1&last=spec%2Ffirst").await.0, json!(["z"]));
            }
        ),
        row!(
            Discovery,
            "referrers of an unknown digest or repository MUST be an empty index",
            |world| {
                assert!(
                    referrers(&world, Digest::sha256(b"none"), "")
                        .await
                        .is_empty()
                );
                assert!(referrers(&world, sha512(b"none"), "").await.is_empty());
            }
        ),
        row!(
            Discovery,
            "referrers of what is no digest MUST be 400",
            |world| {
                for subject in ["none", "sha256:00", "latest"] {
                    let answer = world
                        .get(&world.path(&format!("referrers/{subject}")))
                        .await;
                    assert_eq!(answer.status, 400);
                    assert_eq!(answer.code(), "DIGEST_INVALID");
                }
            }
        ),
        row!(
            Discovery,
            "a referrer MUST be listed with mediaType, digest, size and artifactType (end-12a)",
            |world| {
                let subject = world.store(&world.image("a").await).await;
                let artifact = world.artifact(Some(KIND), Some(subject)).await;
                let own = world.store(&artifact).await;
                let list = referrers(&world, subject, "").await;
                assert_eq!(list.len(), 1);
                assert_eq!(list[0]["mediaType"], media_type::IMAGE);
                assert_eq!(list[0]["digest"], own.to_string());
                assert_eq!(list[0]["size"], artifact.to_string().len());
                assert_eq!(list[0]["artifactType"], KIND);
            }
        ),
        row!(Discovery, "its annotations MUST be listed", |world| {
            let subject = world.store(&world.image("a").await).await;
            let artifact = world.artifact(Some(KIND), Some(subject)).await;
            world.store(&artifact).await;
            let list = referrers(&world, subject, "").await;
            assert_eq!(list[0]["annotations"], artifact["annotations"]);
        }),
        row!(
            Discovery,
            "without an artifact type the type of the config MUST stand for it",
            |world| {
                let subject = world.store(&world.image("a").await).await;
                let mut plain = world.image("b").await;
                plain["subject"] =
                    json!({ "mediaType": media_type::IMAGE, "digest": subject, "size": 1 });
                world.store(&plain).await;
                world
                    .store(&world.artifact(None, Some(subject)).await)
                    .await;
                let list = referrers(&world, subject, "").await;
                assert_eq!(
                    list[0]["artifactType"],
                    "application/vnd.oci.image.config.v1+json"
                );
                assert_eq!(list[1]["artifactType"], EMPTY);
            }
        ),
        row!(
            Discovery,
            "an index with a subject MUST be listed, with its artifact type if it has one",
            |world| {
                let image = world.image("a").await;
                let subject = world.store(&image).await;
                let mut artifact = index(&[&image]);
                artifact["subject"] = super::descriptor(&image);
                world.store(&artifact).await;
                artifact["artifactType"] = json!(KIND);
                artifact["annotations"] = json!({ "a": "b" });
                world.store(&artifact).await;
                let list = referrers(&world, subject, "").await;
                assert_eq!(list.len(), 2);
                assert_eq!(list[0]["mediaType"], media_type::INDEX);
                assert_eq!(list[0].get("artifactType"), None);
                assert_eq!(list[1]["artifactType"], KIND);
                assert_eq!(list[1]["annotations"], json!({ "a": "b" }));
            }
        ),
        row!(
            Discovery,
            "referrers pushed before their subject MUST be listed",
            |world| {
                let image = world.image("a").await;
                let subject = digest(&image);
                world
                    .store(&world.artifact(Some(KIND), Some(subject)).await)
                    .await;
                assert_eq!(referrers(&world, subject, "").await.len(), 1);
                world.store(&image).await;
                assert_eq!(referrers(&world, subject, "").await.len(), 1);
            }
        ),
        row!(
            Discovery,
            "a tagged referrer MUST be listed too, and only once",
            |world| {
                let subject = world.store(&world.image("a").await).await;
                let artifact = world.artifact(Some(KIND), Some(subject)).await;
                world.put("one", &artifact).await;
                world.put("two", &artifact).await;
                assert_eq!(referrers(&world, subject, "").await.len(), 1);
            }
        ),
        row!(
            Discovery,
            "the filter MUST leave the wanted type alone and be said (end-12b)",
            |world| {
                let subject = world.store(&world.image("a").await).await;
                for kind in [Some(KIND), Some("application/other"), None] {
                    world
                        .store(&world.artifact(kind, Some(subject)).await)
                        .await;
                }
                for (wanted, count) in [(KIND, 1), (EMPTY, 1), ("application/none", 0)] {
                    let query = format!("?artifactType={}", wanted.replace('+', "%2B"));
                    let path = world.path(&format!("referrers/{subject}{query}"));
                    let answer = world.get(&path).await;
                    assert_eq!(answer.header("oci-filters-applied"), "artifactType");
                    let list = referrers(&world, subject, &query).await;
                    assert_eq!(list.len(), count, "{wanted}");
                    assert!(list.iter().all(|one| one["artifactType"] == wanted));
                }
            }
        ),
        row!(
            Discovery,
            "without a filter the header MUST NOT be sent",
            |world| {
                let path = world.path(&format!("referrers/{}", Digest::sha256(b"none")));
                for query in ["", "?artifactType="] {
                    let answer = world.get(&format!("{path}{query}")).await;
                    assert!(!answer.headers.contains_key("oci-filters-applied"));
                }
            }
        ),
        row!(
            Discovery,
            "a deleted referrer MUST NOT be listed, a deleted subject changes nothing",
            |world| {
                let image = world.image("a").await;
                let subject = world.store(&image).await;
                let artifact = world.artifact(Some(KIND), Some(subject)).await;
                let own = world.store(&artifact).await;
                world
                    .delete(&world.path(&format!("manifests/{subject}")))
                    .await;
                assert_eq!(referrers(&world, subject, "").await.len(), 1);
                world.delete(&world.path(&format!("manifests/{own}"))).await;
                assert!(referrers(&world, subject, "").await.is_empty());
            }
        ),
        row!(
            Discovery,
            "referrers belong to their repository alone",
            |world| {
                let subject = world.store(&world.image("a").await).await;
                world
                    .store(&world.artifact(Some(KIND), Some(subject)).await)
                    .await;
                let path = format!("/v2/{}/referrers/{subject}", world.other);
                let answer = world.get(&path).await;
                assert_eq!(answer.status, 200);
                assert_eq!(answer.json()["manifests"], json!([]));
            }
        ),
        row!(
            Discovery,
            "a subject named by its SHA-512 MUST be found by it",
            |world| {
                let image = world.image("a").await;
                let subject = sha512(image.to_string().as_bytes());
                world.put(&subject.to_string(), &image).await;
                let artifact = world.artifact(Some(KIND), Some(subject)).await;
                let answer = world.put("artifact", &artifact).await;
                assert_eq!(answer.header("oci-subject"), subject.to_string());
                assert_eq!(referrers(&world, subject, "").await.len(), 1);
            }
        ),
    ]
}
