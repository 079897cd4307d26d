//! The timestamp authority.

use scgate::model::DenyCode;

use super::World;
use super::code;

#[tokio::test]
async fn a_query_is_the_one_of_cosign() {
    let world = World::open().await;
    let stamp = world.stamp(b"signature").await.unwrap();
    assert_eq!(stamp[0], 0x30);
    let requests = world.sandbox.requests();
    let request = requests.last().unwrap();
    assert_eq!(request.body.len(), 56);
    assert_eq!(
        request.headers["content-type"],
        "application/timestamp-query"
    );
    world.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn every_fault_has_its_code() {
    let world = World::open().await;
    for (fault, expected) in super::FAULTS {
        world.inject(&fault.replace("PATH", "/api/v1/timestamp"));
        let stamp = world.stamp(b"signature").await;
        assert_eq!(stamp.err().map(|error| error.code()), *expected, "{fault}");
        world.sandbox.clear_faults();
        assert!(world.stamp(b"signature").await.is_ok(), "after {fault}");
    }
    // An answer that is DER, and says no.
    for (body, expected) in [
        ("0\x05\x30\x03\x02\x01\x02", DenyCode::ServiceRefused),
        ("0\x05\x30\x03\x02\x01\x00", DenyCode::ServiceMalformed),
        ("0\x00", DenyCode::ServiceMalformed),
    ] {
        world.answer(200, body);
        assert_eq!(code(world.stamp(b"x").await), expected, "{body:?}");
        world.sandbox.clear_faults();
    }
    world.sandbox.stop().await.unwrap();
}
