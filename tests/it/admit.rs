//! The whole path of one question, against a registry on loopback and a Sigstore in memory.
//!
//! Every refusal has a twin in the same test that differs in one thing and is allowed. Names such as
//! `T-REG-07` are the ids of the threat list that the cases come from.

mod attestation;
mod hostile;
mod places;
mod platform;
pub(crate) mod shop;

use std::time::Duration;

use scgate::admit::Thoroughness;
use scgate::model::Digest;
use scgate::model::Platform;
use scgate::model::media_type;
use scgate::policy::Covers;
use scgate::policy::Demand;
use scgate::policy::Outcome;
use scgate::policy::Role;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::GithubActions;
use scgate::sandbox::mint::Order;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Referrers;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use serde_json::json;
use shop::REPO;
use shop::Shop;
use shop::now;
use shop::verdict;

fn fallback() -> Config {
    Config {
        referrers: Referrers::Off,
        ..Config::default()
    }
}

/// T-REG-23: whoever signs an index vouches for what it lists; the same index unsigned is nothing.
#[tokio::test]
async fn covers_says_which_manifests_need_a_signature() {
    let mut shop = Shop::open(Config::default()).await;
    let all = [Covers::Index, Covers::Platforms, Covers::IndexAndPlatforms];
    for (signed, expected) in [
        (vec![], [false, false, false]),
        (vec![shop.index], [true, false, false]),
        (vec![shop.index, shop.amd64], [true, false, false]),
        (vec![shop.amd64, shop.arm64], [false, true, false]),
        (vec![shop.index, shop.amd64, shop.arm64], [true, true, true]),
    ] {
        let signatures: Vec<_> = signed.iter().map(|digest| shop.sign(*digest)).collect();
        for (covers, allowed) in all.iter().zip(expected) {
            shop.covers = *covers;
            let report = shop.ask(shop.index).await;
            let expected = if allowed { "allow" } else { "no-signature" };
            assert_eq!(verdict(&report), [expected], "{covers:?} {signed:?}");
            let roles: Vec<_> = report.evidence.subjects.iter().map(|s| &s.role).collect();
            assert!(matches!(
                roles[..],
                [
                    Role::Index,
                    Role::Image(_),
                    Role::Image(_),
                    Role::Attestation
                ]
            ));
        }
        for signature in signatures {
            shop.registry.delete_manifest(REPO, signature);
        }
    }
}

#[tokio::test]
async fn what_only_claims_to_be_an_attestation_manifest_counts_as_an_image() {
    let mut shop = Shop::open(Config::default()).await;
    shop.covers = Covers::IndexAndPlatforms;
    let runnable = shop.image("riscv64", &["application/vnd.oci.image.layer.v1.tar+gzip"]);
    let stray = Digest::sha256(b"no sibling");
    let amd64 = shop.entry(shop.amd64, "linux", "amd64");
    let mut named = shop.buildkit_entry(shop.attestation, shop.amd64);
    named["platform"] = json!({"os": "linux", "architecture": "amd64"});
    for (entry, expected) in [
        (shop.buildkit_entry(shop.attestation, shop.amd64), "allow"),
        (shop.buildkit_entry(runnable, shop.amd64), "no-signature"),
        (shop.buildkit_entry(shop.attestation, stray), "no-signature"),
        (
            shop.entry(shop.attestation, "unknown", "unknown"),
            "no-signature",
        ),
        (named, "no-signature"),
    ] {
        let index = shop.put_index(&[amd64.clone(), entry.clone()]);
        shop.sign(index);
        let signature = shop.sign(shop.amd64);
        assert_eq!(verdict(&shop.ask(index).await), [expected], "{entry}");
        shop.registry.delete_manifest(REPO, signature);
    }
}

#[tokio::test]
async fn an_entry_that_is_not_what_its_index_says_is_not_covered_by_its_signature() {
    let mut shop = Shop::open(Config::default()).await;
    shop.covers = Covers::IndexAndPlatforms;
    for digest in [shop.amd64, shop.arm64] {
        shop.sign(digest);
    }
    let inner = shop.put_index(&[shop.entry(shop.amd64, "linux", "amd64")]);
    let mut disguised = shop.entry(inner, "linux", "amd64");
    disguised["mediaType"] = json!(media_type::IMAGE);
    let mut gone = shop.entry(shop.arm64, "linux", "arm64");
    gone["digest"] = json!(Digest::sha256(b"gone"));
    for (entry, expected) in [
        (shop.entry(shop.arm64, "linux", "arm64"), "allow"),
        (disguised, "manifest-malformed"),
        (gone, "child-not-found"),
        (
            json!({"mediaType": "a/b", "digest": shop.arm64, "size": 1}),
            "manifest-malformed",
        ),
    ] {
        let index = shop.put_index(&[shop.entry(shop.amd64, "linux", "amd64"), entry.clone()]);
        shop.sign(index);
        shop.sign(inner);
        assert_eq!(verdict(&shop.ask(index).await), [expected], "{entry}");
    }
    let nothing = shop.put_index(&[]);
    shop.sign(nothing);
    assert_eq!(verdict(&shop.ask(nothing).await), ["platform-missing"]);
}

/// What somebody else could read as an image counts, whatever type or case it hides behind.
#[tokio::test]
async fn an_entry_in_disguise_does_not_escape_coverage() {
    let mut shop = Shop::open(Config::default()).await;
    shop.covers = Covers::Platforms;
    shop.sign(shop.amd64);
    let amd64 = shop.entry(shop.amd64, "linux", "amd64");
    let arm64 = shop.entry(shop.arm64, "linux", "arm64");
    let typed = |kind: &str| {
        let mut entry = arm64.clone();
        entry["mediaType"] = json!(kind);
        entry
    };
    let mut two_digests = amd64.clone();
    two_digests["Digest"] = json!(shop.arm64);
    for (entries, expected) in [
        (vec![amd64.clone()], "allow"),
        (vec![amd64.clone(), arm64.clone()], "no-signature"),
        (vec![amd64.clone(), typed("x")], "manifest-malformed"),
        (
            vec![
                amd64.clone(),
                typed(&format!("{}; charset=utf-8", media_type::IMAGE)),
            ],
            "manifest-malformed",
        ),
        (vec![two_digests], "manifest-malformed"),
    ] {
        let index = shop.put_index(&entries);
        assert_eq!(verdict(&shop.ask(index).await), [expected], "{entries:?}");
    }
    let hidden = shop.put_index(&[amd64.clone(), typed("x"), arm64.clone()]);
    let verdict_of_both = verdict(&shop.ask(hidden).await);
    assert_eq!(verdict_of_both, ["manifest-malformed", "no-signature"]);
    // A platform under another of its names, or none at all, is asked about too.
    shop.platforms = vec![Platform::parse("linux/arm64").unwrap()];
    shop.sign(shop.arm64);
    let other = shop.image("riscv64", &["application/vnd.oci.image.layer.v1.tar+gzip"]);
    let mut nameless = shop.entry(other, "linux", "arm64");
    nameless.as_object_mut().unwrap().remove("platform");
    for (entry, expected) in [
        (shop.entry(other, "linux", "riscv64"), "allow"),
        (shop.entry(other, "linux", "aarch64"), "no-signature"),
        (shop.entry(other, "Linux", "ARM64"), "no-signature"),
        (nameless, "no-signature"),
    ] {
        let index = shop.put_index(&[entry.clone(), arm64.clone()]);
        assert_eq!(verdict(&shop.ask(index).await), [expected], "{entry}");
    }
}

/// T-REG-07: a login page where the referrers should be is no proof that there are none.
#[tokio::test]
async fn an_answer_that_is_no_list_is_not_an_absence() {
    let shop = Shop::open(Config::default()).await;
    shop.sign(shop.index);
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
    for kind in [FaultKind::HtmlOk, FaultKind::EmptyOk] {
        shop.registry
            .inject(Fault::new(kind.clone()).path("/referrers/"));
        let report = shop.ask(shop.index).await;
        assert_eq!(verdict(&report), ["registry-malformed"], "{kind:?}");
        shop.registry.clear_faults();
    }
}

#[tokio::test]
async fn indexes_in_indexes_are_walked_and_bounded() {
    let mut shop = Shop::open(Config::default()).await;
    shop.covers = Covers::IndexAndPlatforms;
    shop.sign(shop.amd64);
    let mut index = shop.put_index(&[shop.entry(shop.amd64, "linux", "amd64")]);
    for depth in 1..=4 {
        shop.sign(index);
        let expected = if depth <= 3 {
            "allow"
        } else {
            "limit-exceeded"
        };
        assert_eq!(verdict(&shop.ask(index).await), [expected], "depth {depth}");
        index = shop.put_index(&[shop.entry(index, "", "")]);
    }
    // An unsigned image two levels down is found.
    let inner = shop.put_index(&[shop.entry(shop.arm64, "linux", "arm64")]);
    let outer = shop.put_index(&[shop.entry(inner, "", "")]);
    shop.sign(outer);
    assert_eq!(verdict(&shop.ask(outer).await), ["no-signature"]);
    shop.sign(shop.arm64);
    assert_eq!(verdict(&shop.ask(outer).await), ["allow"]);
    // Too many entries.
    let entries = vec![shop.entry(shop.amd64, "linux", "amd64"); 513];
    let wide = shop.put_index(&entries);
    shop.sign(wide);
    assert_eq!(verdict(&shop.ask(wide).await), ["limit-exceeded"]);
    let wide = shop.put_index(&entries[..512]);
    shop.sign(wide);
    assert_eq!(verdict(&shop.ask(wide).await), ["allow"]);
}

/// T-REG-07: how looking for evidence can fail, and what that means.
#[tokio::test]
async fn a_failed_look_up_is_never_unsigned() {
    for config in [Config::default(), fallback()] {
        let api = config.referrers != Referrers::Off;
        let mut shop = Shop::open(config).await;
        shop.seconds = 3;
        assert_eq!(verdict(&shop.ask(shop.index).await), ["no-signature"]);
        let look_up = if api {
            "/referrers/"
        } else {
            "/manifests/sha256-"
        };
        let cases = [
            (FaultKind::status(401), "registry-unauthorized"),
            (FaultKind::status(403), "registry-forbidden"),
            (FaultKind::status(429), "registry-rate-limited"),
            (FaultKind::status(500), "registry-unavailable"),
            (FaultKind::Reset, "registry-unreachable"),
            (FaultKind::Hang, "deadline-exceeded"),
        ];
        for (kind, code) in cases {
            shop.registry.inject(Fault::new(kind.clone()).path(look_up));
            let report = shop.ask(shop.index).await;
            let got = verdict(&report);
            assert_eq!(
                report.decision.outcome(),
                Outcome::Undecided,
                "{kind:?} {got:?}"
            );
            let timeout = code == "deadline-exceeded" && got == ["registry-timeout"];
            assert!(timeout || got == [code], "{kind:?}: {got:?}");
            shop.registry.clear_faults();
        }
        // The same failures beside a proof do not matter.
        shop.seconds = 20;
        shop.sign_legacy(shop.index, 0, true);
        if api {
            shop.registry
                .inject(Fault::new(FaultKind::status(500)).path(look_up));
        }
        assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
    }
}

/// T-REG-08: among others, a layer whose bytes are not those of its descriptor.
#[tokio::test]
async fn evidence_that_cannot_be_read_is_a_gap_and_lying_evidence_is_refused() {
    let shop = Shop::open(Config::default()).await;
    let referrer = shop.sign(shop.index);
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
    for (kind, expected) in [
        (FaultKind::status(429), "registry-rate-limited"),
        (FaultKind::status(503), "registry-unavailable"),
        (FaultKind::WrongBody, "digest-mismatch"),
    ] {
        for path in [format!("/manifests/{referrer}"), "/blobs/".to_owned()] {
            shop.registry.inject(Fault::new(kind.clone()).path(&path));
            assert_eq!(
                verdict(&shop.ask(shop.index).await),
                [expected],
                "{kind:?} {path}"
            );
            shop.registry.clear_faults();
        }
    }
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
}

/// T-REG-01, T-REG-03, T-REG-04, T-REG-05.
#[tokio::test]
async fn the_image_itself_must_be_what_its_digest_says() {
    let shop = Shop::open(Config::default()).await;
    shop.sign(shop.index);
    let path = format!("/manifests/{}", shop.index);
    for (kind, expected) in [
        (FaultKind::WrongBody, "digest-mismatch"),
        (
            FaultKind::OtherContentType(media_type::IMAGE.into()),
            "manifest-malformed",
        ),
        (
            FaultKind::OtherContentType("text/html".into()),
            "manifest-malformed",
        ),
        (
            FaultKind::OtherContentType(
                "application/vnd.docker.distribution.manifest.v1+prettyjws".into(),
            ),
            "manifest-malformed",
        ),
    ] {
        shop.registry.inject(Fault::new(kind.clone()).path(&path));
        assert_eq!(verdict(&shop.ask(shop.index).await), [expected], "{kind:?}");
        shop.registry.clear_faults();
    }
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
    // Evidence that holds does not stand in for an image that could not be read.
    for (kind, expected) in [
        (FaultKind::status(403), "registry-forbidden"),
        (FaultKind::status(429), "registry-rate-limited"),
        (FaultKind::status(500), "registry-unavailable"),
        (FaultKind::Reset, "registry-unreachable"),
    ] {
        shop.registry.inject(Fault::new(kind.clone()).path(&path));
        let report = shop.ask(shop.index).await;
        assert_eq!(verdict(&report), [expected], "{kind:?}");
        assert_eq!(report.decision.outcome(), Outcome::Undecided, "{kind:?}");
        shop.registry.clear_faults();
    }
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);

    let (_, bytes) = shop.registry.manifest(REPO, shop.amd64).unwrap();
    let mut both: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    both["manifests"] = json!([shop.entry(shop.arm64, "linux", "arm64")]);
    for kind in [media_type::IMAGE, media_type::INDEX] {
        both["mediaType"] = json!(kind);
        let digest = shop
            .registry
            .put_manifest(REPO, kind, both.to_string(), None);
        shop.sign(digest);
        assert_eq!(verdict(&shop.ask(digest).await), ["manifest-malformed"]);
    }
    let gone = Digest::sha256(b"not there");
    assert_eq!(verdict(&shop.ask(gone).await), ["image-not-found"]);
    assert_eq!(
        verdict(&shop.ask_for(":nope", None).await),
        ["image-not-found"]
    );
}

/// T-REG-06: the tag moves between and within questions; each verdict names its digest.
#[tokio::test]
async fn a_tag_is_resolved_once_and_the_verdict_is_about_that_digest() {
    let shop = Shop::open(Config::default()).await;
    shop.sign(shop.index);
    let unsigned = shop.put_index(&[shop.entry(shop.arm64, "linux", "arm64")]);
    shop.registry.inject(
        Fault::new(FaultKind::MovedTag(unsigned))
            .path("/manifests/1.0")
            .after(1),
    );
    let first = shop.ask_for(":1.0", None).await;
    assert_eq!(verdict(&first), ["allow"]);
    assert_eq!(first.target.digest(), Some(shop.index));
    let resolutions = shop
        .registry
        .requests()
        .iter()
        .filter(|r| r.path.ends_with("/manifests/1.0"))
        .count();
    assert_eq!(resolutions, 1);
    let second = shop.ask_for(":1.0", None).await;
    assert_eq!(verdict(&second), ["no-signature"]);
    assert_eq!(second.target.digest(), Some(unsigned));
}

/// T-REG-14, T-DSSE-12, T-ATT-03 and a stranger's signature.
#[tokio::test]
async fn evidence_about_something_else_does_not_count() {
    let mut shop = Shop::open(Config::default()).await;
    // A genuine bundle about another image, attached to this one.
    let other = shop.minted(Content::image(shop.arm64));
    let planted = shop.attach(shop.index, &other);
    assert_eq!(verdict(&shop.ask(shop.index).await), ["subject-mismatch"]);
    shop.registry.delete_manifest(REPO, planted);
    // An attestation is no signature.
    let spdx = "https://spdx.dev/Document";
    let attested = shop.attest(shop.index, spdx);
    assert_eq!(verdict(&shop.ask(shop.index).await), ["no-signature"]);
    // And a signature is no attestation.
    shop.demand = Demand::Attestation {
        predicate_types: vec![spdx.to_owned()],
    };
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
    shop.registry.delete_manifest(REPO, attested);
    shop.sign(shop.index);
    assert_eq!(verdict(&shop.ask(shop.index).await), ["no-attestation"]);
    for near in [
        "https://spdx.dev/Document/",
        "https://spdx.dev/document",
        "https://spdx.dev/Document/v2.3",
    ] {
        shop.attest(shop.index, near);
    }
    assert_eq!(verdict(&shop.ask(shop.index).await), ["no-attestation"]);
    shop.demand = Demand::Signature;
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
}

#[tokio::test]
async fn a_strangers_signature_is_refused_and_does_not_spoil_the_right_one() {
    let shop = Shop::open(Config::default()).await;
    let stranger = GithubActions::push("mallory/shop", "release.yml").identity();
    let order = Order::keyless(now(), &stranger, Content::image(shop.index));
    shop.attach(shop.index, &shop.mint.sign(&order).unwrap());
    assert_eq!(verdict(&shop.ask(shop.index).await), ["identity-mismatch"]);
    shop.attach_bytes(shop.index, b"not a bundle");
    assert_eq!(verdict(&shop.ask(shop.index).await), ["identity-mismatch"]);
    shop.sign(shop.index);
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
}

/// T-DOS-01, T-DOS-02.
#[tokio::test]
async fn too_much_evidence_is_a_refusal() {
    let shop = Shop::open(fallback()).await;
    shop.sign_legacy(shop.index, 99, true);
    assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
    shop.sign_legacy(shop.index, 100, true);
    assert_eq!(verdict(&shop.ask(shop.index).await), ["limit-exceeded"]);
}

/// T-REG-18, T-REG-20.
#[tokio::test]
async fn evidence_is_found_on_the_last_page_and_behind_a_wrong_artifact_type() {
    let paged = Config {
        page_size: Some(1),
        ..Config::default()
    };
    let wrong_type = Config {
        referrers: Referrers::ApiWrongType,
        ..Config::default()
    };
    for config in [paged, wrong_type] {
        let shop = Shop::open(config).await;
        for near in ["a:b", "c:d"] {
            shop.attest(shop.index, near);
        }
        assert_eq!(verdict(&shop.ask(shop.index).await), ["no-signature"]);
        shop.sign(shop.index);
        assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
    }
}

/// T-REG-18: a page that is announced in another spelling is a page.
#[tokio::test]
async fn the_next_page_is_read_however_it_is_announced() {
    let shop = Shop::open(Config {
        page_size: Some(1),
        ..Config::default()
    })
    .await;
    // Pages are in the order of digests, and the signature is not on the first.
    loop {
        let (other, signature) = (shop.attest(shop.index, "a:b"), shop.sign(shop.index));
        if other < signature {
            break;
        }
        shop.registry.delete_manifest(REPO, other);
        shop.registry.delete_manifest(REPO, signature);
    }
    let first = format!("/referrers/{}", shop.index);
    let next = format!("</v2/{REPO}{first}?page=1>");
    let announced = async |link: Option<String>| {
        let kind = FaultKind::Header {
            name: "link",
            value: link,
        };
        shop.registry.inject(Fault::new(kind).path(&first).times(1));
        let said = verdict(&shop.ask(shop.index).await);
        shop.registry.clear_faults();
        said
    };
    for parameters in [
        ";rel=next",
        "; rel = \"next\"",
        "; REL=\"NEXT\"",
        "; rel='next'",
        "; rel=\"prev next\"",
        "; rel=\"prev\tnext\"",
        "; title=\"a, <b>; rel=prev\"; rel=\"next\"",
        "; title=\"Übersicht\"; rel=\"next\"",
        "; rel=\"next\", </v2/a,b>; rel=\"prev\"",
    ] {
        let link = format!("{next}{parameters}");
        assert_eq!(announced(Some(link)).await, ["allow"], "{parameters}");
        let link = format!("</v2/a,b>; rel=\"prev\" ,{next}{parameters}");
        assert_eq!(announced(Some(link)).await, ["allow"], "{parameters}");
    }
    for link in [
        format!("{next} rel=next"),
        format!("{next}; rel=prev next"),
        format!("{next}; rel=\"next"),
        format!("{next}; rel=\u{a0}next"),
        format!("{next}; rel=prev; rel=next"),
        format!("{next}; rel=next, </v2/{REPO}{first}?page=2>; rel=next"),
        next.replace('>', "; rel=next"),
        next.replace("page", "pagé") + "; rel=next",
        next.replace(['<', '>'], "") + "; rel=next",
    ] {
        let said = announced(Some(link.clone())).await;
        assert_eq!(said, ["registry-malformed"], "{link}");
    }
    // What names no next page is the last one.
    for link in [None, Some(format!("{next}; rel=\"prev\"")), Some(next)] {
        assert_eq!(announced(link.clone()).await, ["no-signature"], "{link:?}");
    }
}

/// T-REG-24.
#[tokio::test]
async fn a_child_is_covered_by_its_parent_only_when_both_are_named_so() {
    let mut shop = Shop::open(Config::default()).await;
    shop.sign(shop.index);
    let child = format!("@{}", shop.arm64);
    let alone = shop.ask_for(&child, None).await;
    assert_eq!(verdict(&alone), ["no-signature"]);
    let through = shop.ask_for(&child, Some(shop.index)).await;
    assert_eq!(verdict(&through), ["allow"]);
    let stranger = shop.put_index(&[shop.entry(shop.amd64, "linux", "amd64")]);
    shop.sign(stranger);
    assert_eq!(
        verdict(&shop.ask_for(&child, Some(stranger)).await),
        ["parent-mismatch"]
    );
    let unsigned = shop.put_index(&[shop.entry(shop.arm64, "linux", "arm64")]);
    assert_eq!(
        verdict(&shop.ask_for(&child, Some(unsigned)).await),
        ["no-signature"]
    );
    for covers in [Covers::Platforms, Covers::IndexAndPlatforms] {
        shop.covers = covers;
        let report = shop.ask_for(&child, Some(shop.index)).await;
        assert_eq!(verdict(&report), ["no-signature"], "{covers:?}");
    }
}

/// What a parent says never closes what the child's own evidence leaves open.
#[tokio::test]
async fn a_parent_that_does_not_cover_leaves_an_open_question_open() {
    let shop = Shop::open(Config::default()).await;
    shop.sign(shop.arm64);
    let child = format!("@{}", shop.arm64);
    let stranger = shop.put_index(&[shop.entry(shop.amd64, "linux", "amd64")]);
    for parent in [None, Some(shop.index), Some(stranger)] {
        assert_eq!(verdict(&shop.ask_for(&child, parent).await), ["allow"]);
    }
    let listing = format!("/referrers/{}", shop.arm64);
    shop.registry
        .inject(Fault::new(FaultKind::status(503)).path(&listing));
    for parent in [None, Some(shop.index), Some(stranger)] {
        let report = shop.ask_for(&child, parent).await;
        assert_eq!(report.decision.outcome(), Outcome::Undecided, "{parent:?}");
        assert_eq!(verdict(&report), ["registry-unavailable"], "{parent:?}");
    }
    // With a signature the parent covers it, whatever became of the child's own.
    shop.sign(shop.index);
    let through = shop.ask_for(&child, Some(shop.index)).await;
    assert_eq!(verdict(&through), ["allow"]);
}

#[tokio::test]
async fn a_platform_that_is_asked_for_must_be_there() {
    let mut shop = Shop::open(Config::default()).await;
    shop.covers = Covers::IndexAndPlatforms;
    shop.sign(shop.index);
    shop.sign(shop.amd64);
    for (platform, expected) in [
        ("linux/amd64", "allow"),
        ("linux/arm64", "no-signature"),
        ("linux/s390x", "platform-missing"),
    ] {
        shop.platforms = vec![Platform::parse(platform).unwrap()];
        assert_eq!(
            verdict(&shop.ask(shop.index).await),
            [expected],
            "{platform}"
        );
    }
    // A single image says its platform in its configuration.
    for (platform, expected) in [
        ("linux/amd64", "allow"),
        ("linux/arm64", "platform-missing"),
    ] {
        shop.platforms = vec![Platform::parse(platform).unwrap()];
        assert_eq!(
            verdict(&shop.ask(shop.amd64).await),
            [expected],
            "{platform}"
        );
    }
}

/// Three round trips deep for one digest, four for an index with its platforms.
#[tokio::test]
async fn requests_are_few_and_side_by_side() {
    let mut shop = Shop::open(Config {
        delay: Duration::from_millis(60),
        ..Config::default()
    })
    .await;
    for digest in [shop.index, shop.amd64, shop.arm64] {
        shop.sign(digest);
    }
    let timed = async |shop: &Shop| {
        shop.registry.clear_requests();
        assert_eq!(verdict(&shop.ask(shop.index).await), ["allow"]);
        let lines: Vec<_> = shop.registry.requests().iter().map(|r| r.line()).collect();
        lines
    };
    let lines = timed(&shop).await;
    assert!(lines.len() <= 6, "{lines:#?}");
    shop.covers = Covers::IndexAndPlatforms;
    let lines = timed(&shop).await;
    assert!(lines.len() <= 6 * 3 + 1, "{lines:#?}");
    let mut unique = lines.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(
        unique.len(),
        lines.len(),
        "a request was repeated: {lines:#?}"
    );
}

/// For random subsets of evidence the verdict depends on the set alone, and taking accepted evidence
/// away never turns a refusal into an allow.
#[tokio::test]
async fn the_verdict_depends_on_the_set_of_evidence_and_is_monotone() {
    let mut shop = Shop::open(Config::default()).await;
    shop.covers = Covers::IndexAndPlatforms;
    let subjects = [shop.index, shop.amd64, shop.arm64];
    let stranger = GithubActions::push("mallory/shop", "release.yml").identity();
    let mut seed = 0x9e37_79b9_u64;
    let mut random = move |bound: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(bound).unwrap()).unwrap()
    };
    for round in 0..24 {
        let mut placed = Vec::new();
        let mut good = [false; 3];
        for _ in 0..random(7) {
            let at = random(3);
            let digest = subjects[at];
            placed.push(match random(4) {
                0 => shop.attest(digest, "https://spdx.dev/Document"),
                1 => {
                    let order = Order::keyless(now(), &stranger, Content::image(digest));
                    shop.attach(digest, &shop.mint.sign(&order).unwrap())
                }
                _ => {
                    good[at] = true;
                    shop.sign(digest)
                }
            });
        }
        let expected = good == [true; 3];
        for thoroughness in [Thoroughness::UntilProven, Thoroughness::Everything] {
            shop.scope.thoroughness = thoroughness;
            let allowed = verdict(&shop.ask(shop.index).await) == ["allow"];
            assert_eq!(allowed, expected, "round {round}, {thoroughness:?}");
        }
        // Take the pieces away one by one: once refused, it stays refused.
        let mut refused = !expected;
        while !placed.is_empty() {
            let piece = placed.swap_remove(random(placed.len()));
            shop.registry.delete_manifest(REPO, piece);
            let allowed = verdict(&shop.ask(shop.index).await) == ["allow"];
            assert!(!(refused && allowed), "round {round}");
            refused = !allowed;
        }
    }
}
