//! Content management (category 4).

use reqwest::Method;
use scgate::model::Digest;
use serde_json::json;

use super::Row;
use super::digest;
use super::row;
use super::sha512;
use super::with;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    vec![
        row!(
            Management,
            "DELETE of a tag MUST answer 202 and leave the manifest (end-9)",
            |world| {
                let image = world.image("a").await;
                world.put("v1", &image).await;
                world.put("v2", &image).await;
                let path = world.path("manifests/v1");
                assert_eq!(world.delete(&path).await.status, 202);
                assert_eq!(world.get(&path).await.status, 404);
                assert_eq!(world.get(&world.path("manifests/v2")).await.status, 200);
                let path = world.path(&format!("manifests/{}", digest(&image)));
                assert_eq!(world.get(&path).await.status, 200);
            }
        ),
        row!(Management, "a deleted tag MUST NOT be listed", |world| {
            let image = world.image("a").await;
            world.put("v1", &image).await;
            world.delete(&world.path("manifests/v1")).await;
            let answer = world.get(&world.path("tags/list")).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.json()["tags"]),
                (200, &json!([]))
            );
        }),
        row!(
            Management,
            "DELETE of a manifest MUST answer 202, and GET and HEAD then 404 (end-9)",
            |world| {
                let image = world.image("a").await;
                let path = world.path(&format!("manifests/{}", world.store(&image).await));
                assert_eq!(world.delete(&path).await.status, 202);
                assert_eq!(world.get(&path).await.status, 404);
                assert_eq!(world.head(&path).await.status, 404);
            }
        ),
        row!(
            Management,
            "DELETE of a manifest MUST take its tags along",
            |world| {
                let image = world.image("a").await;
                world.put("v1", &image).await;
                world.put("other", &world.image("b").await).await;
                world
                    .delete(&world.path(&format!("manifests/{}", digest(&image))))
                    .await;
                assert_eq!(world.get(&world.path("manifests/v1")).await.status, 404);
                let answer = world.get(&world.path("tags/list")).await;
                assert_eq!(answer.json()["tags"], json!(["other"]));
            }
        ),
        row!(
            Management,
            "DELETE of a manifest pushed by its SHA-512 MUST remove it",
            |world| {
                let image = world.image("a").await;
                let long = sha512(image.to_string().as_bytes());
                world.put(&long.to_string(), &image).await;
                let path = world.path(&format!("manifests/{long}"));
                assert_eq!(world.delete(&path).await.status, 202);
                assert_eq!(world.head(&path).await.status, 404);
            }
        ),
        row!(
            Management,
            "DELETE of an unknown tag or manifest MUST be 404",
            |world| {
                world.blob(b"makes the repository known").await;
                let none = Digest::sha256(b"none").to_string();
                for reference in ["none", none.as_str()] {
                    let answer = world
                        .delete(&world.path(&format!("manifests/{reference}")))
                        .await;
                    assert_eq!(answer.status, 404);
                    assert_eq!(answer.code(), "MANIFEST_UNKNOWN");
                }
                let answer = world.delete("/v2/spec/none/manifests/v1").await;
                assert_eq!(
                    (answer.status.as_u16(), answer.code()),
                    (404, "NAME_UNKNOWN".to_owned())
                );
            }
        ),
        row!(
            Management,
            "DELETE of a blob MUST answer 202, and GET and HEAD then 404 (end-10)",
            |world| {
                for digest in [Digest::sha256(b"a blob"), sha512(b"a blob")] {
                    let location = with(&world.begin().await, digest);
                    world.send(Method::PUT, &location, &[], b"a blob").await;
                    let path = world.path(&format!("blobs/{digest}"));
                    assert_eq!(world.delete(&path).await.status, 202);
                    assert_eq!(world.get(&path).await.status, 404);
                    assert_eq!(world.head(&path).await.status, 404);
                }
            }
        ),
        row!(
            Management,
            "DELETE of an unknown blob MUST be 404",
            |world| {
                let path = world.path(&format!("blobs/{}", Digest::sha256(b"none")));
                let answer = world.delete(&path).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.code()),
                    (404, "BLOB_UNKNOWN".to_owned())
                );
                let answer = world.get("/v2/_catalog").await;
                assert_eq!(
                    answer.json()["repositories"],
                    json!([]),
                    "asking makes no repository"
                );
            }
        ),
        row!(
            Management,
            "DELETE of what is no digest MUST be 400",
            |world| {
                world.blob(b"makes the repository known").await;
                for rest in ["blobs/none", "manifests/sha256:00"] {
                    let answer = world.delete(&world.path(rest)).await;
                    assert_eq!(
                        (answer.status.as_u16(), answer.code()),
                        (400, "DIGEST_INVALID".to_owned())
                    );
                }
            }
        ),
        row!(
            Management,
            "a blob deleted from one repository MUST stay in the other",
            |world| {
                let digest = world.blob(b"shared").await;
                let (from, to) = (world.repo, world.other);
                let mount = format!("/v2/{to}/blobs/uploads/?mount={digest}&from={from}");
                assert_eq!(world.send(Method::POST, &mount, &[], b"").await.status, 201);
                world.delete(&world.path(&format!("blobs/{digest}"))).await;
                let answer = world.get(&format!("/v2/{to}/blobs/{digest}")).await;
                assert_eq!(answer.body, b"shared");
                assert_eq!(
                    world
                        .delete(&format!("/v2/{to}/blobs/{digest}"))
                        .await
                        .status,
                    202
                );
            }
        ),
        row!(
            Management,
            "what was deleted MAY be pushed again",
            |world| {
                let image = world.image("a").await;
                for _ in 0..2 {
                    let own = world.store(&image).await;
                    let path = world.path(&format!("manifests/{own}"));
                    assert_eq!(world.get(&path).await.status, 200);
                    assert_eq!(world.delete(&path).await.status, 202);
                }
            }
        ),
        row!(
            Management,
            "a repository stays known when its last manifest is deleted",
            |world| {
                let image = world.image("a").await;
                world.put("v1", &image).await;
                world
                    .delete(&world.path(&format!("manifests/{}", digest(&image))))
                    .await;
                let answer = world.get(&world.path("manifests/v1")).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.code()),
                    (404, "MANIFEST_UNKNOWN".to_owned())
                );
            }
        ),
    ]
}
