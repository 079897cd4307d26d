//! Finding evidence: every way is read, united, bounded; and what is no list is never "none".

use scgate::model::DenyCode;
use scgate::model::Digest;
use scgate::model::media_type;
use scgate::registry::Listing;
use scgate::registry::Search;
use scgate::registry::Source;
use scgate::registry::Way;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Referrers;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;

use super::REPO;
use super::World;
use super::put_evidence;
use super::put_index;
use super::soon;
use super::source;

async fn list(source: &Source, world: &World, search: &Search) -> Listing {
    let repository = world.repository();
    source
        .list(&world.pinned(), &repository, search, soon())
        .await
}

/// What is found, and the codes of the gaps.
async fn found(world: &World) -> (Vec<(Way, Digest)>, Vec<DenyCode>) {
    let listing = list(&source(), world, &Search::default()).await;
    (
        listing
            .candidates
            .iter()
            .map(|c| (c.via, c.descriptor.digest))
            .collect(),
        listing.gaps.iter().map(|gap| gap.code()).collect(),
    )
}

fn fallback_tag(image: Digest) -> String {
    format!("sha256-{}", image.hex())
}

fn config(referrers: Referrers) -> Config {
    Config {
        referrers,
        ..Config::default()
    }
}

#[tokio::test]
async fn all_ways_are_read_and_united_with_each_digest_once() {
    let world = World::start(config(Referrers::Api)).await;
    let (registry, image) = (&world.registry, world.image);
    let tag = fallback_tag(image);
    let by_api = put_evidence(registry, Some(image), 1, None);
    let old = put_evidence(registry, None, 2, None);
    put_index(registry, &[old, by_api], &tag);
    let signature = put_evidence(registry, None, 3, Some(&format!("{tag}.sig")));
    let attestation = put_evidence(registry, None, 4, Some(&format!("{tag}.att")));
    let expected = vec![
        (Way::ReferrersApi, by_api),
        (Way::FallbackTag, old),
        (Way::SignatureTag, signature),
        (Way::AttestationTag, attestation),
    ];
    assert_eq!(found(&world).await, (expected, vec![]));
    assert_eq!(registry.requests().len(), 4);

    // The manifests behind tags come along; a prefix changes the tags, and ways can be left out.
    let mut search = Search::default();
    search.ways = [Way::SignatureTag].into();
    let listing = list(&source(), &world, &search).await;
    assert_eq!(listing.candidates.len(), 1);
    assert_eq!(
        listing.candidates[0].manifest.as_ref().unwrap().digest,
        signature
    );
    search.tag_prefix = "old-".to_owned();
    let listing = list(&source(), &world, &search).await;
    assert!(listing.candidates.is_empty() && listing.gaps.is_empty());
    let prefixed = put_evidence(registry, None, 5, Some(&format!("old-{tag}.sig")));
    let listing = list(&source(), &world, &search).await;
    assert_eq!(listing.candidates[0].descriptor.digest, prefixed);
}

/// T-REG-07.
#[tokio::test]
async fn only_a_true_404_on_every_way_is_nothing() {
    // Without the API, and with it.
    for referrers in [Referrers::Off, Referrers::Api, Referrers::ApiWrongType] {
        let world = World::start(config(referrers)).await;
        assert_eq!(found(&world).await, (vec![], vec![]), "{referrers:?}");
    }
    use DenyCode as Code;
    for (kind, code) in [
        (FaultKind::status(401), Code::RegistryUnauthorized),
        (FaultKind::status(403), Code::RegistryForbidden),
        (FaultKind::status(429), Code::RegistryRateLimited),
        (FaultKind::status(500), Code::RegistryUnavailable),
        (FaultKind::Reset, Code::RegistryUnreachable),
        (FaultKind::Hang, Code::RegistryTimeout),
        (
            FaultKind::Redirect {
                to: "http://localhost:1/login".to_owned(),
                status: 302,
            },
            Code::RegistryRefused,
        ),
    ] {
        let paths = ["/referrers/", "/manifests/sha256-", ".sig", ".att"];
        let checks = paths.map(async |path| {
            let world = World::start(config(Referrers::Off)).await;
            world.registry.inject(Fault::new(kind.clone()).path(path));
            let expected = if path == "/manifests/sha256-" {
                vec![code; 3]
            } else {
                vec![code]
            };
            assert_eq!(found(&world).await, (vec![], expected), "{kind:?} {path}");
        });
        futures_util::future::join_all(checks.map(Box::pin)).await;
    }
    // A page for people and an empty answer are no lists.
    for kind in [FaultKind::HtmlOk, FaultKind::EmptyOk] {
        for path in [".sig", ".att"] {
            let world = World::start(config(Referrers::Off)).await;
            world.registry.inject(Fault::new(kind.clone()).path(path));
            let (candidates, gaps) = found(&world).await;
            assert!(
                !candidates.is_empty() || !gaps.is_empty(),
                "{kind:?} {path}"
            );
        }
    }
}

#[tokio::test]
async fn a_gap_on_one_way_leaves_the_others() {
    let world = World::start(config(Referrers::Api)).await;
    let tag = fallback_tag(world.image);
    let signature = put_evidence(&world.registry, None, 1, Some(&format!("{tag}.sig")));
    world
        .registry
        .inject(Fault::new(FaultKind::status(429)).path("/referrers/"));
    let expected = vec![(Way::SignatureTag, signature)];
    assert_eq!(
        found(&world).await,
        (expected, vec![DenyCode::RegistryRateLimited])
    );
}

#[tokio::test]
async fn a_refused_api_counts_as_missing_only_beside_a_fallback_list() {
    for status in [400, 405, 406] {
        let world = World::start(config(Referrers::Refused(status))).await;
        let gaps = vec![DenyCode::RegistryUnavailable];
        assert_eq!(found(&world).await, (vec![], gaps), "{status}");
        let old = put_evidence(&world.registry, Some(world.image), 1, None);
        put_index(&world.registry, &[old], &fallback_tag(world.image));
        let expected = vec![(Way::FallbackTag, old)];
        assert_eq!(found(&world).await, (expected, vec![]), "{status}");
    }
    // An empty list is a list.
    let world = World::start(config(Referrers::Refused(405))).await;
    put_index(&world.registry, &[], &fallback_tag(world.image));
    assert_eq!(found(&world).await, (vec![], vec![]));
}

/// T-REG-19.
#[tokio::test]
async fn a_wrong_type_of_answer_is_read_for_what_it_is() {
    // A list with parameters in its type, and a list under another type, are lists.
    for content_type in [
        "application/vnd.oci.image.index.v1+json; charset=utf-8",
        "application/json",
    ] {
        let world = World::start(config(Referrers::Api)).await;
        let one = put_evidence(&world.registry, Some(world.image), 1, None);
        let kind = FaultKind::OtherContentType(content_type.to_owned());
        world.registry.inject(Fault::new(kind).path("/referrers/"));
        let expected = vec![(Way::ReferrersApi, one)];
        assert_eq!(found(&world).await, (expected, vec![]), "{content_type}");
    }
    // A page for people means that there is no API: the fallback tag has the list.
    let world = World::start(config(Referrers::Api)).await;
    let one = put_evidence(&world.registry, Some(world.image), 1, None);
    put_index(&world.registry, &[one], &fallback_tag(world.image));
    world
        .registry
        .inject(Fault::new(FaultKind::HtmlOk).path("/referrers/"));
    let expected = vec![(Way::FallbackTag, one)];
    assert_eq!(found(&world).await, (expected, vec![]));
    // Something else under the type of a list is broken, also where the fallback tag has a list.
    let world = World::start(config(Referrers::Api)).await;
    let one = put_evidence(&world.registry, Some(world.image), 1, None);
    put_index(&world.registry, &[one], &fallback_tag(world.image));
    let (_, image) = world.registry.manifest(REPO, world.image).unwrap();
    for bytes in [image, "{}".into()] {
        let kind = FaultKind::OtherManifest(bytes);
        world.registry.inject(Fault::new(kind).path("/referrers/"));
        let expected = vec![(Way::FallbackTag, one)];
        let gaps = vec![DenyCode::RegistryMalformed];
        assert_eq!(found(&world).await, (expected, gaps));
        world.registry.clear_faults();
    }
}

#[tokio::test]
async fn a_fallback_tag_that_is_the_image_itself_is_no_list() {
    let world = World::start(config(Referrers::Off)).await;
    world
        .registry
        .tag(REPO, &fallback_tag(world.image), world.image);
    assert_eq!(found(&world).await, (vec![], vec![]));
    // Also when the image is an index.
    let mut world = world;
    world.image = put_index(&world.registry, &[world.image], "index");
    world
        .registry
        .tag(REPO, &fallback_tag(world.image), world.image);
    assert_eq!(found(&world).await, (vec![], vec![]));
    // A single artifact that refers to the image is one; what is malformed is a gap.
    let one = put_evidence(&world.registry, Some(world.image), 1, None);
    world.registry.tag(REPO, &fallback_tag(world.image), one);
    assert_eq!(found(&world).await, (vec![(Way::FallbackTag, one)], vec![]));
    world.registry.put_manifest(
        REPO,
        media_type::INDEX,
        "{\"schemaVersion\":2,",
        Some(&fallback_tag(world.image)),
    );
    assert_eq!(
        found(&world).await,
        (vec![], vec![DenyCode::RegistryMalformed])
    );
}

#[tokio::test]
async fn all_pages_are_read_and_a_broken_one_is_a_gap() {
    let start = async || {
        let world = World::start(Config {
            page_size: Some(2),
            ..config(Referrers::Api)
        })
        .await;
        for number in 0..5 {
            put_evidence(&world.registry, Some(world.image), number, None);
        }
        world
    };
    let world = start().await;
    let (candidates, gaps) = found(&world).await;
    assert_eq!((candidates.len(), gaps), (5, vec![]));

    for (kind, found_before, code) in [
        (FaultKind::status(404), 2, DenyCode::RegistryMalformed),
        (FaultKind::status(429), 2, DenyCode::RegistryRateLimited),
        (FaultKind::HtmlOk, 2, DenyCode::RegistryMalformed),
    ] {
        let world = start().await;
        let fault = Fault::new(kind.clone()).path("/referrers/").after(1);
        world.registry.inject(fault);
        let (candidates, gaps) = found(&world).await;
        assert_eq!(
            (candidates.len(), gaps),
            (found_before, vec![code]),
            "{kind:?}"
        );
    }
}

/// T-REG-18: the bound on pages.
#[tokio::test]
async fn more_pages_than_are_read_are_a_refusal() {
    for (count, gaps) in [(20, vec![]), (21, vec![DenyCode::LimitExceeded])] {
        let world = World::start(Config {
            page_size: Some(1),
            ..config(Referrers::Api)
        })
        .await;
        for number in 0..count {
            put_evidence(&world.registry, Some(world.image), number, None);
        }
        let found = found(&world).await;
        assert_eq!((found.0.len(), found.1), (20, gaps));
    }
}

/// T-REG-18: pages without end.
#[tokio::test]
async fn links_that_lead_elsewhere_or_nowhere_end_the_listing() {
    let elsewhere = World::start(config(Referrers::Api)).await;
    let world = World::start(config(Referrers::Api)).await;
    let path = format!("/v2/{REPO}/referrers/{}", world.image);
    put_evidence(&world.registry, Some(world.image), 1, None);
    for (link, code) in [
        (elsewhere.registry.url() + &path, DenyCode::RegistryRefused),
        (
            "http://169.254.169.254/x".to_owned(),
            DenyCode::RegistryRefused,
        ),
        (
            "/v2/other/referrers/x".to_owned(),
            DenyCode::RegistryRefused,
        ),
        // A loop, of one and of many.
        (path.clone(), DenyCode::LimitExceeded),
    ] {
        world.registry.clear_faults();
        let kind = FaultKind::LinkTo(link.clone());
        world.registry.inject(Fault::new(kind).path("/referrers/"));
        let (candidates, gaps) = found(&world).await;
        assert_eq!((candidates.len(), gaps), (1, vec![code]), "{link}");
    }
    assert_eq!(elsewhere.lines(), [""; 0]);
}

#[tokio::test]
async fn too_much_evidence_is_a_refusal_and_not_a_shorter_list() {
    let world = World::start(config(Referrers::Off)).await;
    let entries: Vec<_> = (0..1001u32)
        .map(|number| Digest::sha256(&number.to_be_bytes()))
        .collect();
    put_index(&world.registry, &entries, &fallback_tag(world.image));
    assert_eq!(found(&world).await, (vec![], vec![DenyCode::LimitExceeded]));
    put_index(
        &world.registry,
        &entries[..1000],
        &fallback_tag(world.image),
    );
    let (candidates, gaps) = found(&world).await;
    assert_eq!((candidates.len(), gaps), (1000, vec![]));
    // Each way within its bound, and all together over it.
    let tag = format!("{}.sig", fallback_tag(world.image));
    put_evidence(&world.registry, None, 1, Some(&tag));
    assert_eq!(found(&world).await, (vec![], vec![DenyCode::LimitExceeded]));
}

#[tokio::test]
async fn a_separate_repository_for_signatures_is_asked_for_everything() {
    let world = World::start(config(Referrers::Off)).await;
    let other = World::start(config(Referrers::Api)).await;
    let tag = fallback_tag(world.image);
    let signature = put_evidence(&other.registry, None, 1, Some(&format!("{tag}.sig")));
    let bundle = put_evidence(&other.registry, Some(world.image), 2, None);
    let repository = other.repository();
    let listing = source()
        .list(&world.pinned(), &repository, &Search::default(), soon())
        .await;
    assert!(listing.gaps.is_empty());
    let found: Vec<_> = listing
        .candidates
        .iter()
        .map(|c| c.descriptor.digest)
        .collect();
    assert_eq!(found, [bundle, signature]);
    assert!(
        listing
            .candidates
            .iter()
            .all(|c| c.repository == repository)
    );
    assert_eq!(world.lines(), [""; 0]);
}
