//! Evidence that lies in several signature repositories is read from whichever has it.

use scgate::model::Digest;
use scgate::model::Repository;
use scgate::model::media_type;
use scgate::policy::Outcome;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use serde_json::Value;
use serde_json::json;

use super::fallback;
use super::shop::REPO;
use super::shop::Shop;
use super::shop::verdict;

/// The repository that is asked first.
const MIRROR: &str = "acme/mirror";

/// What the mirror has of the evidence that it lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Has {
    Nothing,
    Manifest,
    Everything,
}

/// A shop whose image is signed. Two repositories list the referrer.
struct Mirrored {
    shop: Shop,
    referrer: Digest,
    layer: Digest,
}

impl Mirrored {
    async fn open(has: Has) -> Self {
        let mut shop = Shop::open(fallback()).await;
        let referrer = shop.sign(shop.amd64);
        let (kind, bytes) = shop.registry.manifest(REPO, referrer).unwrap();
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        let layer = Digest::parse(manifest["layers"][0]["digest"].as_str().unwrap()).unwrap();
        let tag = format!("sha256-{}", shop.amd64.hex());
        let list = json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": [
            {"mediaType": kind, "digest": referrer, "size": bytes.len()}]});
        for repository in [MIRROR, REPO] {
            let list = list.to_string();
            shop.registry
                .put_manifest(repository, media_type::INDEX, list, Some(&tag));
        }
        if has != Has::Nothing {
            shop.registry.put_manifest(MIRROR, &kind, bytes, None);
        }
        if has == Has::Everything {
            let bundle = shop.registry.blob(REPO, layer).unwrap();
            shop.registry.put_blob(MIRROR, bundle);
        }
        shop.scope.signature_repositories = [MIRROR, REPO]
            .map(|name| Repository::parse(&format!("{}/{name}", shop.registry.host())).unwrap())
            .to_vec();
        Self {
            shop,
            referrer,
            layer,
        }
    }

    /// Makes a repository fail for the manifest of the evidence, and for its layer.
    fn fail(&self, repository: &str, kind: &FaultKind) {
        for path in [
            format!("{repository}/manifests/{}", self.referrer),
            format!("{repository}/blobs/{}", self.layer),
        ] {
            let fault = Fault::new(kind.clone()).path(&path);
            self.shop.registry.inject(fault);
        }
    }

    async fn verdict(&self) -> (Outcome, Vec<String>) {
        let report = self.shop.ask(self.shop.amd64).await;
        (report.decision.outcome(), verdict(&report))
    }
}

#[tokio::test]
async fn evidence_that_one_repository_lists_and_lacks_is_read_from_the_next() {
    let allow = (Outcome::Allow, vec!["allow".to_owned()]);
    for has in [Has::Nothing, Has::Manifest, Has::Everything] {
        let world = Mirrored::open(has).await;
        assert_eq!(world.verdict().await, allow, "{has:?}");
        for kind in [
            FaultKind::status(404),
            FaultKind::status(503),
            FaultKind::WrongBody,
            FaultKind::HtmlOk,
        ] {
            world.fail(MIRROR, &kind);
            assert_eq!(world.verdict().await, allow, "{has:?} {kind:?}");
            world.shop.registry.clear_faults();
        }
    }
}

#[tokio::test]
async fn where_every_repository_fails_the_failure_that_may_pass_counts() {
    let world = Mirrored::open(Has::Everything).await;
    assert_eq!(world.verdict().await.1, ["allow"]);
    let (absent, down) = (FaultKind::status(404), FaultKind::status(503));
    let (deny, undecided) = (Outcome::Deny, Outcome::Undecided);
    for (mirror, own, expected) in [
        (&absent, &absent, (deny, "evidence-unreadable")),
        (&absent, &down, (undecided, "registry-unavailable")),
        (&down, &absent, (undecided, "registry-unavailable")),
        (
            &FaultKind::WrongBody,
            &down,
            (undecided, "registry-unavailable"),
        ),
        (
            &FaultKind::WrongBody,
            &FaultKind::WrongBody,
            (deny, "digest-mismatch"),
        ),
    ] {
        world.fail(MIRROR, mirror);
        world.fail(REPO, own);
        let (outcome, code) = expected;
        let expected = (outcome, vec![code.to_owned()]);
        assert_eq!(world.verdict().await, expected, "{mirror:?} {own:?}");
        world.shop.registry.clear_faults();
        assert_eq!(world.verdict().await.1, ["allow"]);
    }
}

#[tokio::test]
async fn a_second_repository_is_asked_for_evidence_only_when_the_first_fails() {
    let world = Mirrored::open(Has::Everything).await;
    let asked = async || {
        world.shop.registry.clear_requests();
        assert_eq!(world.verdict().await.1, ["allow"]);
        let mut asked = Vec::new();
        for request in world.shop.registry.requests() {
            let read = [world.referrer, world.layer];
            if read
                .iter()
                .any(|it| request.path.ends_with(&it.to_string()))
            {
                asked.push(request.path.contains(MIRROR));
            }
        }
        asked
    };
    assert_eq!(asked().await, [true, true]);
    world.fail(MIRROR, &FaultKind::status(404));
    // The one that has the manifest is asked first for the layer.
    assert_eq!(asked().await, [true, false, false]);
}

/// The tag of a signature needs no subject in its manifest, whatever another repository calls it.
#[tokio::test]
async fn a_signature_under_its_tag_is_one_where_another_repository_lists_it_as_a_referrer() {
    let world = Mirrored::open(Has::Nothing).await;
    let shop = &world.shop;
    shop.registry.delete_manifest(REPO, world.referrer);
    assert_eq!(world.verdict().await.1, ["evidence-unreadable"]);
    shop.sign_legacy(shop.amd64, 0, true);
    let tag = format!("sha256-{}", shop.amd64.hex());
    let signature = shop.registry.resolve(REPO, &format!("{tag}.sig")).unwrap();
    let (kind, bytes) = shop.registry.manifest(REPO, signature).unwrap();
    let predicate = "https://sigstore.dev/cosign/sign/v1";
    let list = json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": [
        {"mediaType": kind, "digest": signature, "size": bytes.len(),
            "annotations": {"dev.sigstore.bundle.predicateType": predicate}}]});
    shop.registry
        .put_manifest(MIRROR, media_type::INDEX, list.to_string(), Some(&tag));
    for has_it in [false, true] {
        if has_it {
            shop.registry
                .put_manifest(MIRROR, &kind, bytes.clone(), None);
        }
        assert_eq!(world.verdict().await.1, ["allow"], "{has_it}");
    }
    shop.registry.delete_tag(REPO, &format!("{tag}.sig"));
    assert_eq!(world.verdict().await.1, ["referrer-subject-mismatch"]);
}
