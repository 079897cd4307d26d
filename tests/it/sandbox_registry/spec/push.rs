//! Pushing blobs (category 2).

use reqwest::Method;
use scgate::model::Digest;

use super::Row;
use super::row;
use super::sha512;
use super::with;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    vec![
        row!(
            Push,
            "POST MUST begin an upload with 202 and a Location (end-4a)",
            |world| {
                for rest in ["blobs/uploads/", "blobs/uploads"] {
                    let answer = world.send(Method::POST, &world.path(rest), &[], b"").await;
                    assert_eq!(answer.status, 202);
                    assert!(
                        answer
                            .header("location")
                            .starts_with(&world.path("blobs/uploads/"))
                    );
                    assert_eq!(answer.header("content-length"), "0");
                    assert_eq!(answer.header("range"), "0-0");
                }
            }
        ),
        row!(Push, "two uploads MUST NOT share a location", |world| {
            assert_ne!(world.begin().await, world.begin().await);
        }),
        row!(
            Push,
            "PUT to the location with the digest MUST answer 201 and where it lies (end-6)",
            |world| {
                let digest = Digest::sha256(b"whole");
                let location = world.begin().await;
                let answer = world
                    .send(Method::PUT, &with(&location, digest), &[], b"whole")
                    .await;
                assert_eq!(answer.status, 201);
                assert_eq!(answer.header("docker-content-digest"), digest.to_string());
                let stored = answer.header("location").to_owned();
                assert_eq!(world.get(&stored).await.body, b"whole");
            }
        ),
        row!(
            Push,
            "a location has a query of its own, which MUST be kept",
            |world| {
                let location = world.begin().await;
                assert!(location.contains('?'), "{location}");
            }
        ),
        row!(
            Push,
            "an ended upload MUST be unknown afterwards",
            |world| {
                let digest = Digest::sha256(b"whole");
                let location = world.begin().await;
                world
                    .send(Method::PUT, &with(&location, digest), &[], b"whole")
                    .await;
                let answer = world.get(&location).await;
                assert_eq!(answer.status, 404);
                assert_eq!(answer.code(), "BLOB_UPLOAD_UNKNOWN");
            }
        ),
        row!(
            Push,
            "PUT with the digest of other bytes MUST be 400 DIGEST_INVALID",
            |world| {
                let digest = Digest::sha256(b"whole");
                let location = world.begin().await;
                let answer = world
                    .send(Method::PUT, &with(&location, digest), &[], b"other")
                    .await;
                assert_eq!(
                    (answer.status.as_u16(), answer.code()),
                    (400, "DIGEST_INVALID".to_owned())
                );
                assert_eq!(
                    world
                        .get(&world.path(&format!("blobs/{digest}")))
                        .await
                        .status,
                    404
                );
            }
        ),
        row!(
            Push,
            "PUT without a digest MUST be refused and leaves the upload open",
            |world| {
                let location = world.begin().await;
                for location in [location.clone(), format!("{location}&digest=none")] {
                    let answer = world.send(Method::PUT, &location, &[], b"whole").await;
                    assert_eq!(answer.status, 400);
                    assert_eq!(answer.code(), "DIGEST_INVALID");
                }
                let location = with(&location, Digest::sha256(b"whole"));
                assert_eq!(
                    world
                        .send(Method::PUT, &location, &[], b"whole")
                        .await
                        .status,
                    201
                );
            }
        ),
        row!(
            Push,
            "POST with digest and body MUST answer 201 or 202 (end-4b)",
            |world| {
                let digest = Digest::sha256(b"at once");
                let path = world.path(&format!("blobs/uploads/?digest={digest}"));
                let answer = world.send(Method::POST, &path, &[], b"at once").await;
                assert_eq!(answer.status, 201);
                assert_eq!(world.get(answer.header("location")).await.body, b"at once");
            }
        ),
        row!(
            Push,
            "POST with the digest of other bytes MUST be refused",
            |world| {
                let path = world.path(&format!(
                    "blobs/uploads/?digest={}",
                    Digest::sha256(b"at once")
                ));
                let answer = world.send(Method::POST, &path, &[], b"other").await;
                assert_eq!(
                    (answer.status.as_u16(), answer.code()),
                    (400, "DIGEST_INVALID".to_owned())
                );
            }
        ),
        row!(
            Push,
            "POST with a digest and no body begins an upload (202)",
            |world| {
                let digest = Digest::sha256(b"later");
                let path = world.path(&format!("blobs/uploads/?digest={digest}"));
                let answer = world.send(Method::POST, &path, &[], b"").await;
                assert_eq!(answer.status, 202);
                let location = with(answer.header("location"), digest);
                assert_eq!(
                    world
                        .send(Method::PUT, &location, &[], b"later")
                        .await
                        .status,
                    201
                );
            }
        ),
        row!(
            Push,
            "POST with digest-algorithm begins an upload (end-4c)",
            |world| {
                let path = world.path("blobs/uploads/?digest-algorithm=sha512");
                let answer = world.send(Method::POST, &path, &[], b"").await;
                assert_eq!(answer.status, 202);
                let location = with(answer.header("location"), sha512(b"long"));
                assert_eq!(
                    world
                        .send(Method::PUT, &location, &[], b"long")
                        .await
                        .status,
                    201
                );
            }
        ),
        row!(
            Push,
            "PATCH with its range MUST answer 202, Location and Range 0-N (end-5)",
            |world| {
                let location = world.begin().await;
                let answer = world.piece(Method::PATCH, &location, "0-4", b"piece").await;
                assert_eq!(answer.status, 202);
                assert_eq!(answer.header("range"), "0-4");
                assert!(!answer.header("location").is_empty());
                let location = answer.header("location").to_owned();
                let answer = world.piece(Method::PATCH, &location, "5-8", b" two").await;
                assert_eq!(
                    (answer.status.as_u16(), answer.header("range")),
                    (202, "0-8")
                );
                let location = with(answer.header("location"), Digest::sha256(b"piece two"));
                let answer = world.send(Method::PUT, &location, &[], b"").await;
                assert_eq!(answer.status, 201);
                assert_eq!(
                    world.get(answer.header("location")).await.body,
                    b"piece two"
                );
            }
        ),
        row!(Push, "the last piece MAY come with the PUT", |world| {
            let location = world.begin().await;
            let answer = world.piece(Method::PATCH, &location, "0-4", b"piece").await;
            let location = with(answer.header("location"), Digest::sha256(b"piece two"));
            let answer = world.piece(Method::PUT, &location, "5-8", b" two").await;
            assert_eq!(answer.status, 201);
            assert_eq!(
                world.get(answer.header("location")).await.body,
                b"piece two"
            );
        }),
        row!(
            Push,
            "PATCH without a range, streamed, is taken as it comes",
            |world| {
                let location = world.begin().await;
                let answer = world.send(Method::PATCH, &location, &[], b"streamed").await;
                assert_eq!(
                    (answer.status.as_u16(), answer.header("range")),
                    (202, "0-7")
                );
                let location = with(answer.header("location"), Digest::sha256(b"streamed"));
                assert_eq!(
                    world.send(Method::PUT, &location, &[], b"").await.status,
                    201
                );
            }
        ),
        row!(
            Push,
            "a piece out of order MUST be 416 and the upload goes on",
            |world| {
                let location = world.begin().await;
                let answer = world.piece(Method::PATCH, &location, "5-8", b" two").await;
                assert_eq!(answer.status, 416, "the second before the first");
                assert_eq!(answer.header("range"), "0-0");
                let answer = world.piece(Method::PATCH, &location, "0-4", b"piece").await;
                let location = answer.header("location").to_owned();
                let answer = world.piece(Method::PATCH, &location, "0-4", b"piece").await;
                assert_eq!(answer.status, 416, "the first again");
                assert_eq!(answer.header("range"), "0-4");
                assert!(!answer.header("location").is_empty());
                let end = with(&location, Digest::sha256(b"piece two"));
                let answer = world.piece(Method::PUT, &end, "9-12", b" two").await;
                assert_eq!(answer.status, 416, "a hole before the last");
                let answer = world.piece(Method::PUT, &end, "5-8", b" two").await;
                assert_eq!(answer.status, 201);
            }
        ),
        row!(
            Push,
            "a malformed Content-Range SHOULD be 416, a wrong length 400",
            |world| {
                let location = world.begin().await;
                for range in ["none", "4-0", "0", "-4", "bytes"] {
                    let answer = world.piece(Method::PATCH, &location, range, b"piece").await;
                    assert_eq!(answer.status, 416, "{range}");
                }
                let answer = world.piece(Method::PATCH, &location, "0-9", b"piece").await;
                assert_eq!(
                    (answer.status.as_u16(), answer.code()),
                    (400, "SIZE_INVALID".to_owned())
                );
                let answer = world
                    .piece(Method::PATCH, &location, "bytes 0-4/9", b"piece")
                    .await;
                assert_eq!(answer.status, 202, "with the unit, as some clients send it");
            }
        ),
        row!(
            Push,
            "GET of an upload MUST answer 204, Location and Range (end-13)",
            |world| {
                let location = world.begin().await;
                let answer = world.get(&location).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.header("range")),
                    (204, "0-0")
                );
                world.piece(Method::PATCH, &location, "0-4", b"piece").await;
                let answer = world.get(&location).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.header("range")),
                    (204, "0-4")
                );
                assert!(!answer.header("location").is_empty());
                assert!(answer.body.is_empty());
            }
        ),
        row!(
            Push,
            "DELETE of an upload MUST end it with 204 (end-14)",
            |world| {
                let location = world.begin().await;
                let answer = world.delete(&location).await;
                assert_eq!(answer.status, 204);
                assert_eq!(world.get(&location).await.status, 404);
                assert_eq!(world.delete(&location).await.status, 404);
            }
        ),
        row!(
            Push,
            "an unknown upload MUST be 404 BLOB_UPLOAD_UNKNOWN for each method",
            |world| {
                let path = world.path("blobs/uploads/none");
                for method in [Method::GET, Method::PATCH, Method::PUT, Method::DELETE] {
                    let answer = world.send(method, &path, &[], b"").await;
                    assert_eq!(answer.status, 404);
                    assert_eq!(answer.code(), "BLOB_UPLOAD_UNKNOWN");
                }
            }
        ),
        row!(Push, "an upload belongs to its repository alone", |world| {
            let location = world.begin().await.replace(world.repo, world.other);
            assert_eq!(world.get(&location).await.status, 404);
        }),
        row!(
            Push,
            "mounting a blob of another repository MUST be 201 with Location (end-11)",
            |world| {
                let digest = world.blob(b"shared").await;
                let (from, to) = (world.repo, world.other);
                let path = format!("/v2/{to}/blobs/uploads/?mount={digest}&from={from}");
                let answer = world.send(Method::POST, &path, &[], b"").await;
                assert_eq!(answer.status, 201);
                assert_eq!(answer.header("docker-content-digest"), digest.to_string());
                assert_eq!(
                    answer.header("location"),
                    format!("/v2/{to}/blobs/{digest}")
                );
                assert_eq!(world.get(answer.header("location")).await.body, b"shared");
            }
        ),
        row!(
            Push,
            "mounting without from MAY find the blob in any repository (201)",
            |world| {
                let digest = world.blob(b"shared").await;
                let path = format!("/v2/{}/blobs/uploads/?mount={digest}", world.other);
                let answer = world.send(Method::POST, &path, &[], b"").await;
                assert_eq!(answer.status, 201);
                assert_eq!(world.get(answer.header("location")).await.body, b"shared");
            }
        ),
        row!(
            Push,
            "mounting a blob that is not there MUST begin an upload (202)",
            |world| {
                let digest = Digest::sha256(b"absent");
                for from in ["&from=spec/second", ""] {
                    let path = world.path(&format!("blobs/uploads/?mount={digest}{from}"));
                    let answer = world.send(Method::POST, &path, &[], b"").await;
                    assert_eq!(answer.status, 202);
                    let location = answer.header("location").to_owned();
                    assert!(location.contains("/blobs/uploads/"));
                    assert_eq!(world.delete(&location).await.status, 204);
                }
                let path = world.path("blobs/uploads/?mount=none&from=spec/second");
                let answer = world.send(Method::POST, &path, &[], b"").await;
                assert_eq!(answer.status, 202, "a digest that is none");
            }
        ),
        row!(Push, "an empty blob MUST be taken", |world| {
            for digest in [Digest::sha256(b""), sha512(b"")] {
                let location = with(&world.begin().await, digest);
                assert_eq!(
                    world.send(Method::PUT, &location, &[], b"").await.status,
                    201
                );
                let answer = world.get(&world.path(&format!("blobs/{digest}"))).await;
                assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
                assert_eq!(answer.header("content-length"), "0");
            }
        }),
        row!(
            Push,
            "a blob pushed by its SHA-512 MUST be served by it",
            |world| {
                let digest = sha512(b"long");
                let location = with(&world.begin().await, digest);
                let answer = world.send(Method::PUT, &location, &[], b"long").await;
                assert_eq!(answer.status, 201);
                assert_eq!(answer.header("docker-content-digest"), digest.to_string());
                let path = world.path(&format!("blobs/{digest}"));
                assert_eq!(world.get(&path).await.body, b"long");
                assert_eq!(world.head(&path).await.header("content-length"), "4");
                let location = with(&world.begin().await, digest);
                assert_eq!(
                    world
                        .send(Method::PUT, &location, &[], b"other")
                        .await
                        .status,
                    400
                );
            }
        ),
        row!(Push, "pushing a blob again MUST succeed", |world| {
            assert_eq!(world.blob(b"again").await, world.blob(b"again").await);
        }),
        row!(Push, "a large blob MUST come back as it was", |world| {
            let bytes: Vec<u8> = (0..3_000_000_u32)
                .map(|n| n.to_le_bytes()[n as usize % 4])
                .collect();
            let digest = world.blob(&bytes).await;
            let answer = world.get(&world.path(&format!("blobs/{digest}"))).await;
            assert_eq!(answer.body, bytes);
        }),
        row!(Push, "a name that is none MUST NOT be pushed to", |world| {
            let answer = world
                .send(Method::POST, "/v2/Upper/blobs/uploads/", &[], b"")
                .await;
            assert_eq!(
                (answer.status.as_u16(), answer.code()),
                (400, "NAME_INVALID".to_owned())
            );
        }),
    ]
}
