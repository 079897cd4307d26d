use serde_json::Value;
use serde_json::json;

use super::*;

fn now() -> Timestamp {
    Timestamp::parse("2026-06-01T12:00:00.5Z").unwrap()
}

fn given(kind: &str, file: impl Into<Vec<u8>>) -> Result<Predicate, PredicateError> {
    let kind = PredicateType::parse(kind).unwrap();
    Predicate::parse(kind, file.into(), now(), &Limits::default())
}

/// Documents with all that their types demand, by the name of the type.
fn good() -> Vec<(&'static str, Value)> {
    vec![
        (
            "cyclonedx",
            json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}),
        ),
        ("link", json!({"name": "build", "materials": []})),
        (
            "openvex",
            json!({"@context": "https://openvex.dev/ns/v0.2.0", "author": "acme",
                   "timestamp": "2026-06-01T00:00:00Z", "statements": []}),
        ),
        (
            "slsaprovenance",
            json!({"builder": {"id": "https://b.test"}, "buildType": "https://t.test"}),
        ),
        (
            "slsaprovenance1",
            json!({"buildDefinition": {"buildType": "https://t.test", "externalParameters": {}},
                   "runDetails": {"builder": {"id": "https://b.test"}}}),
        ),
        (
            "spdxjson",
            json!({"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "shop",
                   "dataLicense": "CC0-1.0", "documentNamespace": "https://d.test/1",
                   "creationInfo": {}}),
        ),
        (
            "vsa",
            json!({"verifier": {"id": "https://v.test"}, "timeVerified": "2026-06-01T00:00:00Z",
                   "resourceUri": "pkg:oci/shop", "policy": {"uri": "https://p.test"},
                   "verificationResult": "PASSED", "verifiedLevels": []}),
        ),
        (
            "vuln",
            json!({"invocation": {}, "scanner": {"uri": "pkg:x", "result": {"Results": []}},
                   "metadata": {"scanStartedOn": "2026-06-01T00:00:00Z",
                                "scanFinishedOn": "2026-06-01T00:00:01Z"}}),
        ),
    ]
}

const TAG_VALUE: &str = "# by hand\nSPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: \
                         SPDXRef-DOCUMENT\nDocumentName: \"shop\"\nDocumentNamespace: \
                         https://d.test/1\nCreator: Tool: syft\nCreated: 2026-06-01T00:00:00Z\n";

/// The paths of all members, with what is in them.
fn members(document: &Value, at: &str, into: &mut Vec<String>) {
    for (name, value) in document.as_object().into_iter().flatten() {
        into.push(format!("{at}/{name}"));
        members(value, &format!("{at}/{name}"), into);
    }
}

#[test]
fn each_member_that_a_type_demands_is_missed_and_held_to_its_kind() {
    for (kind, document) in good() {
        given(kind, document.to_string()).unwrap();
        let mut paths = Vec::new();
        members(&document, "", &mut paths);
        for path in paths {
            // What nobody demands may be missing or odd.
            let free = [
                "/version",
                "/invocation",
                "/policy/uri",
                "/scanner/result/Results",
            ];
            let is_free = free.contains(&path.as_str());
            let (above, name) = path.rsplit_once('/').unwrap();
            type Change<'c> = &'c dyn Fn(&mut Value);
            let without: Change<'_> = &|at| {
                at.as_object_mut().unwrap().remove(name);
            };
            let another_kind: Change<'_> = &|at| at[name] = json!(7);
            let another_case: Change<'_> = &|at| {
                let members = at.as_object_mut().unwrap();
                let value = members.remove(name).unwrap();
                members.insert(name.to_ascii_uppercase(), value);
            };
            for (what, change) in [
                ("without", without),
                ("another kind", another_kind),
                ("another case", another_case),
            ] {
                let same_in_upper_case = what == "another case" && name == "SPDXID";
                let mut changed = document.clone();
                change(changed.pointer_mut(above).unwrap());
                let made = given(kind, changed.to_string());
                assert_eq!(
                    made.is_ok(),
                    is_free || same_in_upper_case,
                    "{kind} {path} {what}: {made:?}"
                );
                if let Err(error) = made {
                    assert_eq!(error.code(), DenyCode::PredicateMalformed);
                }
            }
        }
    }
}

#[test]
fn a_document_of_one_type_is_told_from_every_other() {
    for (kind, document) in good() {
        for (other, _) in good() {
            let made = given(other, document.to_string());
            if kind == other {
                made.unwrap();
                continue;
            }
            let error = made.unwrap_err().to_string();
            let name = PredicateType::parse(kind).unwrap().name().to_owned();
            assert!(error.contains(&format!("its type is `{name}`")), "{error}");
        }
        assert!(given("custom", document.to_string()).is_ok());
        assert!(given("https://acme.test/t", document.to_string()).is_ok());
        let error = given("spdx", document.to_string()).unwrap_err().to_string();
        assert!(error.contains("its type is"), "{error}");
    }
}

#[test]
fn what_it_is_instead_stands_in_the_sentence() {
    let statement = json!({"_type": "https://in-toto.io/Statement/v1", "subject": [],
                           "predicateType": "https://acme.test/t", "predicate": {}});
    let envelope =
        json!({"payloadType": "application/vnd.in-toto+json", "payload": "", "signatures": []});
    let bundle = json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"});
    for around in [statement, envelope, bundle] {
        for kind in ["vuln", "link", "https://acme.test/t", "spdx"] {
            let error = given(kind, around.to_string()).unwrap_err();
            assert!(matches!(error, PredicateError::Other { .. }), "{error}");
            assert!(error.to_string().contains("predicate`"), "{error}");
        }
        // A text is a text, whatever is in it.
        assert!(given("custom", around.to_string()).is_ok());
    }
    let trivy = json!({"SchemaVersion": 2, "ArtifactName": "shop", "Results": []}).to_string();
    for (kind, file, text) in [
        (
            "vuln",
            trivy.as_str(),
            "a plain Trivy report is no predicate of type `vuln` (write it with `trivy image --format cosign-vuln`)",
        ),
        (
            "vuln",
            r#"{"ClusterName":"a","Resources":[]}"#,
            "about a cluster",
        ),
        ("vuln", r#"{"version":"2.1.0","runs":[]}"#, "a SARIF report"),
        (
            "vuln",
            r#"{"matches":[],"descriptor":{}}"#,
            "a Grype report",
        ),
        (
            "vuln",
            r#"{"detector":{},"manifests":{},"scanned":""}"#,
            "a dependency snapshot",
        ),
        (
            "vuln",
            r#"{"scanner":{"uri":"x","result":[]},"metadata":{}}"#,
            "vulns/v0.2",
        ),
        (
            "vuln",
            r#"{"scanner":{"uri":"x","result":null},"metadata":{}}"#,
            "is null",
        ),
        ("vuln", "[]", "a JSON list"),
        ("vuln", "null", "is no JSON object"),
        (
            "openvex",
            r#"{"document":{"csaf_version":"2.0"}}"#,
            "a CSAF advisory",
        ),
        ("spdxjson", TAG_VALUE, "its type is `spdx`"),
        (
            "spdxjson",
            r#"{"sbom":{"spdxVersion":"SPDX-2.3"}}"#,
            "its member `sbom`",
        ),
        ("spdxjson", "spdxVersion: SPDX-2.3\n", "in YAML"),
        (
            "spdxjson",
            "<rdf:RDF xmlns:spdx=\"http://spdx.org/rdf/terms#\"/>",
            "in RDF",
        ),
        ("spdxjson", "<a/>", "an XML document"),
        ("spdx", "SPDX\n", "a text in another form"),
        ("spdx", "{", "a text in another form"),
        (
            "spdx",
            "SPDXVersion: SPDX-3.0\n",
            "does not begin with `SPDX-2.`",
        ),
        (
            "spdx",
            "SPDXVersion: SPDX-2.3\nSPDXID: x\n",
            "`DataLicense` is missing",
        ),
        (
            "cyclonedx",
            "<?xml version=\"1.0\"?><bom xmlns=\"http://cyclonedx.org/schema/bom/1.6\"/>",
            "in XML",
        ),
        ("cyclonedx", "\u{feff}{}", "a byte order mark"),
        ("cyclonedx", "-----BEGIN PUBLIC KEY-----", "a PEM key"),
        (
            "cyclonedx",
            r#"{"bomFormat":"X","specVersion":"1"}"#,
            "`bomFormat` is not `CycloneDX`",
        ),
        (
            "link",
            r#"{"signed":{"_type":"link"},"signatures":[]}"#,
            "its member `signed`",
        ),
        (
            "link",
            r#"{"schemaVersion":2,"config":{}}"#,
            "an image manifest",
        ),
        ("https://acme.test/t", "7", "is no JSON object"),
        ("https://acme.test/t", r#"{"a":1,"a":2}"#, "occurs twice"),
        ("https://acme.test/t", "{} {}", "trailing characters"),
        ("https://acme.test/t", r#"{"a":"#, "EOF"),
        (
            "https://sigstore.dev/cosign/sign/v1",
            "{}",
            "type of a signature",
        ),
        ("custom", " \n", "an empty file"),
    ] {
        let error = given(kind, file).unwrap_err();
        assert!(error.to_string().contains(text), "{kind} {file}: {error}");
        assert!(
            error.to_string().ends_with(')') && !error.to_string().contains('\n'),
            "{error}"
        );
    }
    for (file, text) in [
        (&b"\x1f\x8b\x08"[..], "a gzip file"),
        (b"\xff\xfe{\0}\0", "a text in UTF-16"),
        (b"{\"a\":\"\xff\"}", "not UTF-8"),
    ] {
        for kind in ["custom", "spdx", "vuln"] {
            let error = given(kind, file).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}

#[test]
fn times_that_nobody_set_or_that_run_backwards_are_refused() {
    let (kind, good) = good().pop().unwrap();
    for (started, finished, rule) in [
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "is not set"),
        ("2026-06-01T00:00:02Z", "2026-06-01T00:00:01Z", "is before"),
        ("2026-06-01", "2026-06-01T00:00:01Z", "RFC 3339"),
    ] {
        let mut changed = good.clone();
        changed["metadata"] = json!({"scanStartedOn": started, "scanFinishedOn": finished});
        let error = given(kind, changed.to_string()).unwrap_err().to_string();
        assert!(error.contains(rule), "{error}");
    }
}

#[test]
fn a_type_is_a_short_name_or_an_absolute_uri() {
    for kind in KNOWN {
        let by_name = PredicateType::parse(kind.name()).unwrap();
        assert_eq!(&by_name, kind);
        let by_uri = PredicateType::parse(kind.uri()).unwrap();
        assert_eq!(by_uri.uri(), kind.uri());
        assert!(*kind == PredicateType::Spdx || by_uri == *kind);
    }
    assert_eq!(
        PredicateType::parse("https://spdx.dev/Document"),
        Ok(PredicateType::SpdxJson)
    );
    for good in [
        "https://acme.test/t?a=b#c",
        "urn:acme:t",
        "pkg:oci/x@sha256%3Aa",
    ] {
        let kind = PredicateType::parse(good).unwrap();
        assert_eq!((kind.name(), kind.uri()), (good, good));
    }
    let long = format!("https://{}", "a".repeat(MAX_URI));
    for bad in [
        "",
        "SPDX",
        "vulnerability",
        "acme.test/t",
        ":x",
        "https:",
        "https://",
        "1a:b",
        "a b:c",
        "https://a b",
        "https://ä.test",
        "a:\u{1b}[2J",
        "C:\\report.json",
        long.as_str(),
    ] {
        let error = PredicateType::parse(bad).unwrap_err();
        assert_eq!(error.code(), DenyCode::PredicateMalformed, "{bad}");
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
}

#[test]
fn a_uri_of_a_known_type_has_its_rules_under_any_version() {
    let (_, vex) = good().remove(2);
    for kind in ["https://openvex.dev/ns", "https://openvex.dev/ns/v0.2.0"] {
        let made = given(kind, vex.to_string()).unwrap();
        assert_eq!(made.kind().uri(), kind);
        assert!(given(kind, "{}").is_err(), "{kind}");
    }
    // Made by hand, it is held to them too.
    let by_hand = PredicateType::Uri("https://cyclonedx.org/bom".to_owned());
    assert!(Predicate::parse(by_hand, b"{}".to_vec(), now(), &Limits::default()).is_err());
    for own in [
        "https://openvex.dev/ns/vx",
        "https://openvex.dev/nsx",
        "https://slsa.dev/provenance/v1/v2",
    ] {
        assert!(given(own, "{}").is_ok(), "{own}");
    }
}

#[test]
fn what_is_accepted_stands_in_the_statement_byte_for_byte() {
    let file = "{ \"z\" : 1e300,\n\t\"a\":\"\\u00e9\\/\", \"n\": 12345678901234567890123 }\n";
    let made = given("https://acme.test/t", file).unwrap();
    assert_eq!(made.json(), file.as_bytes());
    let digest = Digest::sha256(b"x");
    let notes = BTreeMap::from([("env".to_owned(), "a\"b".to_owned())]);
    let statement = made.statement(&[(Some("acme.test/shop"), digest), (None, digest)], &notes);
    let expected = format!(
        "{{\"_type\":\"https://in-toto.io/Statement/v0.1\",\"predicateType\":\"https://acme.test/t\",\
         \"subject\":[{{\"name\":\"acme.test/shop\",\"digest\":{{\"sha256\":\"{0}\"}},\"annotations\":\
         {{\"env\":\"a\\\"b\"}}}},{{\"digest\":{{\"sha256\":\"{0}\"}},\"annotations\":{{\"env\":\"a\\\"b\"}}}}],\
         \"predicate\":{file}}}",
        digest.hex()
    );
    assert_eq!(String::from_utf8(statement).unwrap(), expected);
}

#[test]
fn texts_become_json_as_cosign_writes_it() {
    let one = [(Some("acme.test/shop"), Digest::sha256(b"x"))];
    let read = |made: &Predicate| -> Value {
        crate::model::read_json(&made.statement(&one, &BTreeMap::new())).unwrap()
    };
    let made = given("custom", "a \"b\"\n\u{1b}é").unwrap();
    let expected = json!({"Data": "a \"b\"\n\u{1b}é", "Timestamp": "2026-06-01T12:00:00Z"});
    assert_eq!(read(&made)["predicate"], expected);
    assert_eq!(
        read(&made)["predicateType"],
        "https://cosign.sigstore.dev/attestation/v1"
    );
    assert_eq!(read(&made)["subject"].as_array().unwrap().len(), 1);
    let made = given("spdx", TAG_VALUE).unwrap();
    assert_eq!(read(&made)["predicate"], TAG_VALUE);
    assert_eq!(read(&made)["predicateType"], "https://spdx.dev/Document");
}

#[test]
fn a_predicate_that_no_gate_would_read_is_refused() {
    let limits = Limits {
        attestation_bytes: 4 * AROUND,
        ..Limits::default()
    };
    let most = 2 * AROUND;
    let kind = || PredicateType::Uri("https://acme.test/t".to_owned());
    let file = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8)).into_bytes();
    assert!(Predicate::parse(kind(), file(most), now(), &limits).is_ok());
    for (kind, file) in [
        (kind(), file(most + 1)),
        // It is small enough, and what it becomes is not.
        (PredicateType::Custom, vec![b'"'; most - 10]),
    ] {
        let error = Predicate::parse(kind, file, now(), &limits).unwrap_err();
        assert!(matches!(error, PredicateError::Exceeded(_)), "{error}");
    }
}
