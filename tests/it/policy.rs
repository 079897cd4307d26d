//! What a policy accepts of signatures that hold.

use scgate::model::DenyCode;
use scgate::model::Digest;
use scgate::model::Identity;
use scgate::model::Limits;
use scgate::model::San;
use scgate::model::Timestamp;
use scgate::policy::Covers;
use scgate::policy::Demand;
use scgate::policy::Pattern;
use scgate::policy::PatternError;
use scgate::policy::Policy;
use scgate::policy::Rules;
use scgate::policy::SignedTimestamp;
use scgate::policy::Signer;
use scgate::policy::Who;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::GithubActions;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::email;
use scgate::verify::Artifact;
use scgate::verify::Bundle;
use scgate::verify::ManagedKey;
use scgate::verify::Terms;
use scgate::verify::Trust;
use scgate::verify::TrustRoot;
use scgate::verify::VerifiedSignature;
use scgate::verify::verify;
use serde_json::Value;

/// When everything is signed.
fn now() -> Timestamp {
    Timestamp::parse("2026-06-01T12:00:00Z").unwrap()
}

/// The image that everything is about.
fn image() -> Digest {
    Digest::sha256(b"an image manifest")
}

/// What the mint signs, verified.
fn proven(mint: &Mint, order: &Order, trust: Trust<'_>) -> VerifiedSignature {
    let limits = Limits::default();
    let bytes = mint.sign(order).unwrap().bundle_bytes("0.3");
    let bundle = Bundle::parse(&bytes, &limits).unwrap();
    let artifact = Artifact::Digest(image());
    verify(&bundle, artifact, trust, Terms::default(), now(), &limits).unwrap()
}

/// A policy with one signer.
fn signed_by(who: Who, at: Option<Timestamp>) -> Policy {
    Policy::new(Rules {
        name: "one signer".to_owned(),
        signers: vec![Signer {
            name: "one".to_owned(),
            who,
        }],
        demand: Demand::Signature,
        annotations: Vec::new(),
        covers: Covers::Index,
        platforms: Vec::new(),
        signed_timestamp: SignedTimestamp::Optional,
        at,
    })
    .unwrap()
}

/// The reason why a policy does not accept a signature.
fn refusal(policy: &Policy, signature: &VerifiedSignature) -> Option<DenyCode> {
    policy.accepts(signature).err().map(|refusal| refusal.code)
}

/// What Go's `regexp` makes of each form of expression, and what is made of it here: the same, or
/// nothing, by a name.
const RE2: &str = include_str!("../../testdata/re2.json");

#[test]
fn expressions_mean_what_they_mean_to_re2_or_nothing() {
    let table: Value = serde_json::from_str(RE2).unwrap();
    for row in table["rows"].as_array().unwrap() {
        let text = row["expression"].as_str().unwrap();
        let (pattern, here) = match Pattern::regexp(text) {
            Ok(pattern) => (Some(pattern), "read"),
            Err(PatternError::OtherMeaning { what, .. }) => (None, what),
            Err(PatternError::Syntax { .. }) => (None, "malformed"),
            Err(error) => panic!("{text}: {error}"),
        };
        assert_eq!(row["here"], here, "{text}");
        let Some(pattern) = pattern else { continue };
        for (value, matches) in row["go"].as_object().unwrap() {
            assert_eq!(*matches, pattern.matches(value), "{text}: {value:?}");
        }
    }
}

#[test]
fn what_names_a_uri_is_met_by_no_other_kind_of_name() {
    let mint = Mint::new(now()).unwrap();
    let limits = Limits::default();
    let root = TrustRoot::parse(&mint.trusted_root().bytes(), &limits).unwrap();
    let issuer = "https://token.actions.githubusercontent.com";
    let named = |identity: &Identity| {
        let order = Order::keyless(now(), identity, Content::image(image()));
        proven(&mint, &order, Trust::Root(&root))
    };
    let asked = |subject: &str| {
        let who = Who::Keyless {
            root: root.id(),
            issuer: Pattern::exact(issuer).unwrap(),
            subject: Pattern::regexp(subject).unwrap(),
            claims: Vec::new(),
        };
        signed_by(who, None)
    };
    let workflow = named(&GithubActions::push("acme/x", "release.yml").identity());
    let disguised = [
        named(&email("https://github.com/acme/x@evil.test", issuer)),
        named(&email("github.com/acme/x@evil.test", issuer)),
    ];
    for subject in [
        "https://github.com/acme/.*",
        r"https:\/\/github\.com\/acme\/.*",
        "https:/{2}github.com/acme/.*",
        "(?:https)://github.com/acme/.*",
        "(https|http)://github.com/acme/.*",
        "h[t]tps://github.com/acme/.*",
        "https[:]//github.com/acme/.*",
        r"https\x3a\x2f\x2fgithub.com\x2facme\x2f.*",
        "(?i)HTTPS://GITHUB.COM/ACME/.*",
        "(https://)?github.com/acme/.*",
        ".*github.com/acme/.*",
        "https:.{2}github.com.acme.*",
        "https[:/]+github.com[/]acme.*",
    ] {
        let policy = asked(subject);
        assert_eq!(refusal(&policy, &workflow), None, "{subject}");
        for disguised in &disguised {
            let refusal = refusal(&policy, disguised);
            assert_eq!(refusal, Some(DenyCode::IdentityMismatch), "{subject}");
        }
    }
    // What names no URI is met by an e-mail address.
    let ops = named(&email("ops@acme.test", issuer));
    for subject in [
        r".*@acme\.test",
        r"[^/]+@acme\.test",
        r"\D+@acme\.test",
        r"[\w.+/-]+@acme\.test",
    ] {
        assert_eq!(refusal(&asked(subject), &ops), None, "{subject}");
    }
    // Each alternative counts for itself, wherever it stands.
    for subject in [
        r"https://github\.com/acme/.*|ops@acme\.test",
        r"^(https://github\.com/acme/.*|.*@acme\.test)$",
        r"(?i)^((HTTPS://GITHUB\.COM/ACME/.*)|OPS@acme\.test)$",
        r"((?P<ci>https://github\.com/acme/.*)|(?:(ops)@acme\.test|dev@acme\.test))",
    ] {
        let policy = asked(subject);
        for good in [&workflow, &ops] {
            assert_eq!(refusal(&policy, good), None, "{subject}");
        }
        for disguised in &disguised {
            let refusal = refusal(&policy, disguised);
            assert_eq!(refusal, Some(DenyCode::IdentityMismatch), "{subject}");
        }
    }
    for subject in [
        r"ops(\d+)?@acme\.test",
        r"ops([0-9]{2})?@acme\.test",
        r"(ci|op)s?(?:\d+)?@acme\.(com|test)",
        r"https://github\.com/acme/.*|ops(?:\d+)?@acme\.test",
    ] {
        assert_eq!(refusal(&asked(subject), &ops), None, "{subject}");
    }
    // Nobody can tell what one alternative means that may spell either.
    for subject in [
        r"(mailto:)?ops@acme\.test",
        r"ops[-./]?@acme\.test",
        r"ops(/x)*@acme\.test",
        r"(https://)?.*@.*acme\.com",
        r"(https://github\.com/acme/.*|ops)(@acme\.test)?",
        r"(.*@acme\.com|https://github\.com/acme/.*)+",
        r".*(/|@)acme\.com",
        r".*@.*acme\.com/*",
    ] {
        let loaded = Pattern::regexp(subject).err();
        assert_eq!(loaded, Some(PatternError::MixedKinds), "{subject}");
    }
    let policy = asked("https://github.com/acme/.*");
    let refused = policy.accepts(&disguised[0]).unwrap_err();
    let found = "identity is an e-mail address";
    assert!(refused.found.contains(found), "{}", refused.found);
}

/// A branch may be called `ci@acme.test`.
#[test]
fn what_spells_an_e_mail_address_is_met_by_no_uri() {
    let mint = Mint::new(now()).unwrap();
    let limits = Limits::default();
    let root = TrustRoot::parse(&mint.trusted_root().bytes(), &limits).unwrap();
    let issuer = "https://token.actions.githubusercontent.com";
    let named = |identity: &Identity| {
        let order = Order::keyless(now(), identity, Content::image(image()));
        proven(&mint, &order, Trust::Root(&root))
    };
    let asked = |subject: Pattern| {
        let who = Who::Keyless {
            root: root.id(),
            issuer: Pattern::exact(issuer).unwrap(),
            subject,
            claims: Vec::new(),
        };
        signed_by(who, None)
    };
    let mut evil = GithubActions::push("evil/x", "release.yml").identity();
    let uri = format!("{}@acme.test", evil.san.value());
    evil.san = San::Uri(uri.clone());
    let evil = named(&evil);
    let ops = named(&email("ops@acme.test", issuer));
    let many: Vec<_> = (0..20).map(|n| format!("x{n}")).collect();
    let many = many.join("|");
    let many = format!(r"https://github\.com/({many})/({many})/.*|.*@acme\.test");
    for subject in [
        r".*@acme\.test",
        r".+@(acme|other)\.test$",
        r"(https://github\.com/acme/.*|.*@acme\.test)",
        r"[^ ]+@acme[.]test",
        r"(.*)(@acme\.test)",
        r".*[@]acme\.test",
        r"(?:.*@acme\.test|https://x\.io/(ab|cd)(?P<n>e)+)",
        &many,
    ] {
        let policy = asked(Pattern::regexp(subject).unwrap());
        assert_eq!(refusal(&policy, &ops), None, "{subject}");
        let refused = refusal(&policy, &evil);
        assert_eq!(refused, Some(DenyCode::IdentityMismatch), "{subject}");
    }
    // What spells the URI is met by it.
    for subject in [
        Pattern::exact(&uri).unwrap(),
        Pattern::regexp(r"https://github\.com/evil/.*@acme\.test").unwrap(),
        Pattern::regexp(r".*/evil/.*").unwrap(),
        Pattern::regexp(r".*evil.*").unwrap(),
    ] {
        assert_eq!(refusal(&asked(subject), &evil), None);
    }
}

#[test]
fn what_has_no_time_is_not_known_to_have_existed_then() {
    let mint = Mint::new(now()).unwrap();
    let limits = Limits::default();
    let root = TrustRoot::parse(&mint.trusted_root().bytes(), &limits).unwrap();
    let signing = SigningKey::generate(KeyKind::P256).unwrap();
    let key = ManagedKey::parse(signing.public_pem().as_bytes(), &limits).unwrap();
    let order = || Order::keyed(now(), &signing, Content::image(image()));
    let by_key = |at| signed_by(Who::Key(key.id()), at);
    let before = Some(now().plus_seconds(-1));
    let after = Some(now().plus_seconds(1));

    // A Rekor v2 entry says no time; the timestamp beside it does.
    let trust = Trust::Key(&key, Some(&root));
    let untimed = proven(&mint, &order().rekor2().without_timestamps(), trust);
    let stamped = proven(&mint, &order().rekor2(), trust);
    for (signature, at, expected) in [
        (&stamped, None, None),
        (&stamped, after, None),
        (&stamped, Some(now()), None),
        (&stamped, before, Some(DenyCode::EvidenceAfterTime)),
        (&untimed, None, None),
        (&untimed, after, Some(DenyCode::TimeMissing)),
        (&untimed, before, Some(DenyCode::TimeMissing)),
    ] {
        assert_eq!(refusal(&by_key(at), signature), expected, "{at:?}");
    }
}
