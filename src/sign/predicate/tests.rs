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
        (
            "link",
            json!({"_type": "link", "name": "build", "materials": {"a.c": {"sha256": "00"}},
                   "products": {}, "byproducts": {"return-value": 0}, "command": ["make"],
                   "environment": {}}),
        ),
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
                   "creationInfo": {"created": "2026-06-01T00:00:00Z", "creators": ["Tool: x"]}}),
        ),
        (
            "vsa",
            json!({"verifier": {"id": "https://v.test"}, "timeVerified": "2026-06-01T00:00:00Z",
                   "resourceUri": "pkg:oci/shop", "policy": {"uri": "https://p.test"},
                   "verificationResult": "PASSED", "verifiedLevels": []}),
        ),
        (
            "vuln",
            json!({"invocation": {}, "scanner": {"uri": "pkg:x", "result": {"Results": [], "SchemaVersion": 2}},
                   "metadata": {"scanStartedOn": "2026-06-01T00:00:00Z",
                                "scanFinishedOn": "2026-06-01T00:00:01Z"}}),
        ),
    ]
}

const TAG_VALUE: &str = "# by hand\nSPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: \
                         SPDXRef-DOCUMENT\nDocumentName: \"shop\"\nDocumentNamespace: \
                         https://d.test/1\nCreator: Tool: syft\nCreated: 2026-06-01T00:00:00Z\n";

/// Documents with all that cosign's types of them declare.
fn whole() -> Vec<(&'static str, Value)> {
    let descriptor = json!({"name": "a", "uri": "pkg:a", "digest": {"sha256": "00"},
                            "content": "YQ==", "downloadLocation": "https://a.test",
                            "mediaType": "text/plain", "annotations": {"a": [1]}});
    vec![
        (
            "cyclonedx",
            json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {"tools": []},
                   "components": [{}], "services": [], "dependencies": [], "vulnerabilities": []}),
        ),
        good().remove(1),
        (
            "slsaprovenance02",
            json!({"builder": {"id": "https://b.test", "version": {}}, "buildType": "https://t.test",
                   "invocation": {"configSource": {"uri": "git+x", "digest": {"sha1": "00"},
                                                   "entryPoint": "Makefile"},
                                  "parameters": {"a": [1]}, "environment": {"b": null}},
                   "buildConfig": {"steps": []},
                   "metadata": {"buildInvocationId": "1", "buildStartedOn": "2026-06-01T00:00:00Z",
                                "buildFinishedOn": "2026-06-01T00:00:01.5+02:00",
                                "completeness": {"parameters": true, "environment": false,
                                                 "materials": false},
                                "reproducible": false,
                                "https://mobyproject.org/buildkit@v1#metadata": {}},
                   "materials": [{"uri": "pkg:a", "digest": {"sha256": "00"}}, {}]}),
        ),
        (
            "slsaprovenance1",
            json!({"buildDefinition": {"buildType": "https://t.test",
                                       "externalParameters": {"a": 1},
                                       "internalParameters": {"b": 1},
                                       "resolvedDependencies": [{}, descriptor]},
                   "runDetails": {"builder": {"id": "https://b.test", "version": {"a": "1"},
                                              "builderDependencies": [descriptor]},
                                  "metadata": {"invocationId": "1",
                                               "startedOn": "2026-06-01T00:00:00Z",
                                               "finishedOn": "2026-06-01T00:00:00Z",
                                               "buildkit_metadata": {"vcs": {}}},
                                  "byproducts": [descriptor]}}),
        ),
        (
            "spdxjson",
            json!({"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "shop",
                   "dataLicense": "CC0-1.0", "documentNamespace": "https://d.test/1",
                   "creationInfo": {"created": "2026-06-01T00:00:00Z", "creators": ["Tool: x"],
                                    "licenseListVersion": "3.25"},
                   "packages": [{}], "files": [], "relationships": []}),
        ),
        (
            "vuln",
            json!({"invocation": {"parameters": ["a"], "uri": "x", "event_id": "1",
                                  "builder.id": "y"},
                   "scanner": {"uri": "pkg:x", "version": "1",
                               "db": {"uri": "z", "version": "2", "lastUpdate": ""},
                               "result": {"Results": []}},
                   "metadata": {"scanStartedOn": "2026-06-01T00:00:00Z",
                                "scanFinishedOn": "2026-06-01T00:00:01Z"}}),
        ),
    ]
}

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
                "/byproducts/return-value",
                "/policy/uri",
                "/scanner/result/Results",
                "/scanner/result/SchemaVersion",
            ];
            let is_free = |what| {
                free.contains(&path.as_str())
                    || (path == "/version" && kind == "cyclonedx")
                    // Optional, and a name that is the builder's own.
                    || (path == "/invocation" && what == "without")
                    || (path.starts_with("/materials/") && what != "another kind")
            };
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
                    is_free(what) || same_in_upper_case,
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
            r#"{"scanner":{"uri":"x","result":[{"id":"CVE-1","severity":[]}]},"metadata":{}}"#,
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
        ("spdxjson", TAG_VALUE, "give it as `spdxjson`"),
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

/// Each document of [`whole`] is accepted as it is and refused with one member changed.
#[test]
fn a_member_that_cosign_could_not_read_is_refused_by_its_path() {
    let spdx = "spdxjson";
    for (kind, path, value, says) in [
        (
            "cyclonedx",
            "/components",
            json!("none"),
            "`components` is no list",
        ),
        (
            "cyclonedx",
            "/specVersion",
            json!(""),
            "`specVersion` does not begin with `1.`",
        ),
        (
            "cyclonedx",
            "/metadata",
            json!([]),
            "`metadata` is no object",
        ),
        ("link", "/_type", json!("step"), "`_type` is not `link`"),
        ("link", "/name", json!(""), "`name` is empty"),
        ("link", "/command", json!("make"), "`command` is no list"),
        (
            "link",
            "/command",
            json!(["make", 7]),
            "`command[1]` is no text",
        ),
        ("link", "/materials", json!([]), "`materials` is no object"),
        ("link", "/materials", json!(null), "`materials` is null"),
        (
            "link",
            "/materials",
            json!({"a": "b"}),
            "`materials.a` is no object",
        ),
        (
            "link",
            "/products",
            json!({"a": {"b": 1}}),
            "`products.a.b` is no text",
        ),
        (
            "link",
            "/byproducts",
            json!("x"),
            "`byproducts` is no object",
        ),
        (
            "link",
            "/environment",
            json!([]),
            "`environment` is no object",
        ),
        (
            "slsaprovenance",
            "/builder/id",
            json!(1),
            "`builder.id` is no text",
        ),
        (
            "slsaprovenance",
            "/buildType",
            json!(" "),
            "`buildType` is empty",
        ),
        (
            "slsaprovenance",
            "/invocation",
            json!([]),
            "`invocation` is no object",
        ),
        (
            "slsaprovenance",
            "/invocation/configSource",
            json!(""),
            "`invocation.configSource` is no object",
        ),
        (
            "slsaprovenance",
            "/invocation/configSource/uri",
            json!(1),
            "`invocation.configSource.uri` is no text",
        ),
        (
            "slsaprovenance",
            "/invocation/configSource/digest/sha1",
            json!(null),
            "`invocation.configSource.digest.sha1` is null",
        ),
        (
            "slsaprovenance",
            "/invocation/configSource/entryPoint",
            json!([]),
            "entryPoint` is no text",
        ),
        (
            "slsaprovenance",
            "/invocation/parameters",
            json!("x"),
            "`invocation.parameters` is no object",
        ),
        (
            "slsaprovenance",
            "/invocation/environment",
            json!([]),
            "`invocation.environment` is no object",
        ),
        (
            "slsaprovenance",
            "/buildConfig",
            json!([]),
            "`buildConfig` is no object",
        ),
        (
            "slsaprovenance",
            "/metadata",
            json!(7),
            "`metadata` is no object",
        ),
        (
            "slsaprovenance",
            "/metadata/buildInvocationId",
            json!(7),
            "`metadata.buildInvocationId` is no text",
        ),
        (
            "slsaprovenance",
            "/metadata/buildStartedOn",
            json!("2026"),
            "`metadata.buildStartedOn` is no point in time",
        ),
        (
            "slsaprovenance",
            "/metadata/buildFinishedOn",
            json!(1),
            "`metadata.buildFinishedOn` is no text",
        ),
        (
            "slsaprovenance",
            "/metadata/completeness",
            json!(true),
            "`metadata.completeness` is no object",
        ),
        (
            "slsaprovenance",
            "/metadata/completeness/materials",
            json!("true"),
            "`metadata.completeness.materials` is neither true nor false",
        ),
        (
            "slsaprovenance",
            "/metadata/reproducible",
            json!(0),
            "`metadata.reproducible` is neither true nor false",
        ),
        (
            "slsaprovenance",
            "/materials",
            json!("notalist"),
            "`materials` is no list",
        ),
        (
            "slsaprovenance",
            "/materials/1",
            json!("x"),
            "`materials[1]` is no object",
        ),
        (
            "slsaprovenance",
            "/materials/1",
            json!(null),
            "`materials[1]` is null",
        ),
        (
            "slsaprovenance",
            "/materials/0/uri",
            json!({}),
            "`materials[0].uri` is no text",
        ),
        (
            "slsaprovenance",
            "/materials/0/digest",
            json!("sha256:00"),
            "`materials[0].digest` is no object",
        ),
        (
            "slsaprovenance1",
            "/buildDefinition/buildType",
            json!(""),
            "`buildDefinition.buildType` is empty",
        ),
        (
            "slsaprovenance1",
            "/buildDefinition/externalParameters",
            json!(null),
            "externalParameters` is null",
        ),
        (
            "slsaprovenance1",
            "/buildDefinition/internalParameters",
            json!("x"),
            "internalParameters` is no object",
        ),
        (
            "slsaprovenance1",
            "/buildDefinition/resolvedDependencies",
            json!("x"),
            "`buildDefinition.resolvedDependencies` is no list",
        ),
        (
            "slsaprovenance1",
            "/buildDefinition/resolvedDependencies/1/name",
            json!(1),
            "resolvedDependencies[1].name` is no text",
        ),
        (
            "slsaprovenance1",
            "/buildDefinition/resolvedDependencies/1/uri",
            json!(1),
            "uri` is no text",
        ),
        (
            "slsaprovenance1",
            "/buildDefinition/resolvedDependencies/1/digest/sha256",
            json!(1),
            "digest.sha256` is no text",
        ),
        (
            "slsaprovenance1",
            "/buildDefinition/resolvedDependencies/1/content",
            json!("a b"),
            "content` is no base64",
        ),
        (
            "slsaprovenance1",
            "/buildDefinition/resolvedDependencies/1/downloadLocation",
            json!(1),
            "downloadLocation` is no text",
        ),
        (
            "slsaprovenance1",
            "/buildDefinition/resolvedDependencies/1/mediaType",
            json!(1),
            "mediaType` is no text",
        ),
        (
            "slsaprovenance1",
            "/buildDefinition/resolvedDependencies/1/annotations",
            json!([]),
            "annotations` is no object",
        ),
        (
            "slsaprovenance1",
            "/runDetails/builder/id",
            json!(1),
            "`runDetails.builder.id` is no text",
        ),
        (
            "slsaprovenance1",
            "/runDetails/builder/version",
            json!("1"),
            "`runDetails.builder.version` is no object",
        ),
        (
            "slsaprovenance1",
            "/runDetails/builder/version/a",
            json!(1),
            "`runDetails.builder.version.a` is no text",
        ),
        (
            "slsaprovenance1",
            "/runDetails/builder/builderDependencies",
            json!({}),
            "builderDependencies` is no list",
        ),
        (
            "slsaprovenance1",
            "/runDetails/metadata",
            json!("x"),
            "`runDetails.metadata` is no object",
        ),
        (
            "slsaprovenance1",
            "/runDetails/metadata/invocationId",
            json!(1),
            "invocationId` is no text",
        ),
        (
            "slsaprovenance1",
            "/runDetails/metadata/startedOn",
            json!("yesterday"),
            "`runDetails.metadata.startedOn` is no point in time",
        ),
        (
            "slsaprovenance1",
            "/runDetails/metadata/finishedOn",
            json!("2026-06-01 00:00:00Z"),
            "finishedOn` is no point in time",
        ),
        (
            "slsaprovenance1",
            "/runDetails/byproducts",
            json!({}),
            "`runDetails.byproducts` is no list",
        ),
        (spdx, "/SPDXID", json!(""), "`SPDXID` is empty"),
        (spdx, "/name", json!(""), "`name` is empty"),
        (spdx, "/dataLicense", json!(""), "`dataLicense` is empty"),
        (
            spdx,
            "/documentNamespace",
            json!(""),
            "`documentNamespace` is empty",
        ),
        (
            spdx,
            "/spdxVersion",
            json!("SPDX-1.2"),
            "`spdxVersion` does not begin with `SPDX-2.`",
        ),
        (
            spdx,
            "/creationInfo",
            json!({}),
            "`creationInfo.created` is missing",
        ),
        (
            spdx,
            "/creationInfo/created",
            json!(""),
            "`creationInfo.created` is empty",
        ),
        (
            spdx,
            "/creationInfo/creators",
            json!([]),
            "`creationInfo.creators` is empty",
        ),
        (
            spdx,
            "/creationInfo/creators",
            json!([""]),
            "`creationInfo.creators[0]` is empty",
        ),
        (spdx, "/packages", json!("none"), "`packages` is no list"),
        (spdx, "/files", json!(7), "`files` is no list"),
        (
            spdx,
            "/relationships",
            json!({}),
            "`relationships` is no list",
        ),
        (
            "vuln",
            "/invocation",
            json!("x"),
            "`invocation` is no object",
        ),
        (
            "vuln",
            "/invocation/uri",
            json!(1),
            "`invocation.uri` is no text",
        ),
        (
            "vuln",
            "/invocation/event_id",
            json!(1),
            "`invocation.event_id` is no text",
        ),
        (
            "vuln",
            "/invocation/builder.id",
            json!({}),
            "`invocation.builder.id` is no text",
        ),
        ("vuln", "/scanner", json!("x"), "`scanner` is no object"),
        ("vuln", "/scanner/uri", json!(""), "`scanner.uri` is empty"),
        (
            "vuln",
            "/scanner/version",
            json!(2),
            "`scanner.version` is no text",
        ),
        (
            "vuln",
            "/scanner/db",
            json!("x"),
            "`scanner.db` is no object",
        ),
        (
            "vuln",
            "/scanner/db/uri",
            json!(1),
            "`scanner.db.uri` is no text",
        ),
        (
            "vuln",
            "/scanner/db/version",
            json!(1),
            "`scanner.db.version` is no text",
        ),
        (
            "vuln",
            "/scanner/result",
            json!({}),
            "`scanner.result` is empty, as if nothing was scanned",
        ),
        (
            "vuln",
            "/scanner/result",
            json!(null),
            "`scanner.result` is null, as if nothing was scanned",
        ),
        (
            "vuln",
            "/scanner/result",
            json!("none"),
            "`scanner.result` is no report",
        ),
    ] {
        let (_, mut document) = whole()
            .into_iter()
            .find(|(name, _)| PredicateType::parse(kind).unwrap().name() == *name)
            .unwrap();
        given(kind, document.to_string()).unwrap();
        *document.pointer_mut(path).unwrap() = value;
        let error = given(kind, document.to_string()).unwrap_err();
        assert_eq!(error.code(), DenyCode::PredicateMalformed);
        assert!(matches!(error, PredicateError::Member { .. }), "{error}");
        assert!(error.to_string().contains(says), "{kind} {path}: {error}");
    }
}

#[test]
fn what_nobody_misses_may_be_absent_or_null() {
    for (kind, path) in [
        ("cyclonedx", "/components"),
        ("slsaprovenance", "/invocation"),
        ("slsaprovenance", "/invocation/configSource/digest"),
        ("slsaprovenance", "/metadata/buildStartedOn"),
        ("slsaprovenance", "/metadata/reproducible"),
        ("slsaprovenance", "/materials"),
        ("slsaprovenance1", "/buildDefinition/resolvedDependencies"),
        ("slsaprovenance1", "/runDetails/metadata/startedOn"),
        ("spdxjson", "/packages"),
        ("vuln", "/invocation/parameters"),
        ("vuln", "/scanner/db"),
    ] {
        let find = |(name, _): &(&str, Value)| PredicateType::parse(kind).unwrap().name() == *name;
        let (_, mut document) = whole().into_iter().find(find).unwrap();
        *document.pointer_mut(path).unwrap() = Value::Null;
        given(kind, document.to_string()).unwrap();
        let (above, name) = path.rsplit_once('/').unwrap();
        let above = document.pointer_mut(above).unwrap();
        above.as_object_mut().unwrap().remove(name);
        given(kind, document.to_string()).unwrap();
    }
    // Go writes null for a list that was never made; cosign misses the member where it is absent.
    let (kind, link) = good().remove(1);
    for name in ["byproducts", "command", "environment"] {
        let mut link = link.clone();
        link[name] = Value::Null;
        given(kind, link.to_string()).unwrap();
        link.as_object_mut().unwrap().remove(name);
        let error = given(kind, link.to_string()).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}` is missing")), "{error}");
    }
}

#[test]
fn a_report_may_be_a_list_but_not_of_another_type() {
    let (kind, mut document) = good().pop().unwrap();
    for (result, says) in [
        (json!([{"cve": "CVE-1"}]), None),
        (json!(["CVE-1"]), None),
        (json!([]), Some("vulns/v0.2")),
        (json!([{"id": "CVE-1", "severity": []}]), Some("vulns/v0.2")),
    ] {
        document["scanner"]["result"] = result;
        match (given(kind, document.to_string()), says) {
            (Ok(_), None) => {}
            (Err(error), Some(says)) => assert!(error.to_string().contains(says), "{error}"),
            (made, _) => panic!("{document}: {made:?}"),
        }
    }
}

#[test]
fn a_name_that_go_takes_for_a_known_one_is_refused() {
    let (kind, document) = good().pop().unwrap();
    let text = document.to_string();
    for (from, to, member) in [
        (
            "\"scanner\":",
            "\"\u{17f}canner\":{},\"scanner\":",
            "scanner",
        ),
        ("\"scanner\":", "\"Scanner\":{},\"scanner\":", "scanner"),
        (
            "\"result\":",
            "\"re\u{17f}ult\":null,\"result\":",
            "scanner.result",
        ),
        (
            "\"result\":",
            "\"re\\u017fult\":null,\"result\":",
            "scanner.result",
        ),
        ("\"uri\":", "\"URI\":\"\",\"uri\":", "scanner.uri"),
        (
            "\"invocation\":{",
            "\"invocation\":{\"Builder.ID\":\"x\"",
            "invocation.builder.id",
        ),
        (
            "\"metadata\":{",
            "\"metadata\":{\"scanstartedon\":\"\",",
            "metadata.scanStartedOn",
        ),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let error = given(kind, changed).unwrap_err().to_string();
        let says = format!("`{member}` is written in another case");
        assert!(error.contains(&says), "{error}");
    }
    // The twins: names that fold onto none, and one in a place where nothing is known.
    for (from, to) in [
        ("\"scanner\":", "\"scanners\":{},\"scanner\":"),
        (
            "\"result\":{",
            "\"result\":{\"re\u{17f}ult\":null,\"Result\":null,",
        ),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        given(kind, changed).unwrap();
    }
    // The Kelvin sign, where a name has a k.
    let (kind, document) = whole().remove(4);
    let text = document.to_string();
    given(kind, text.as_str()).unwrap();
    let changed = text.replacen("\"packages\":", "\"pac\u{212a}ages\":[],\"packages\":", 1);
    let error = given(kind, changed).unwrap_err().to_string();
    assert!(
        error.contains("`packages` is written in another case"),
        "{error}"
    );
}

#[test]
fn provenance_has_one_spelling_of_each_member() {
    let of = |wanted: &str| {
        whole()
            .into_iter()
            .find(|(kind, _)| *kind == wanted)
            .unwrap()
            .1
    };
    for (kind, from, to, says) in [
        (
            "slsaprovenance1",
            "\"startedOn\":",
            "\"started_on\":\"yesterday\",\"startedOn\":",
            Some("`runDetails.metadata.startedOn` is written as `started_on`"),
        ),
        (
            "slsaprovenance02",
            "\"entryPoint\":",
            "\"entry_point\":",
            Some("`invocation.configSource.entryPoint` is written as `entry_point`"),
        ),
        (
            "slsaprovenance1",
            "\"invocationId\":",
            "\"invocationID\":\"2\",\"invocationId\":",
            Some("`runDetails.metadata.invocationId` is there in two spellings"),
        ),
        // What BuildKit and Go's types of 0.2 write.
        (
            "slsaprovenance1",
            "\"invocationId\":",
            "\"invocationID\":",
            None,
        ),
        (
            "slsaprovenance02",
            "\"buildInvocationId\":",
            "\"buildInvocationID\":",
            None,
        ),
    ] {
        let text = of(kind).to_string();
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        match (given(kind, changed), says) {
            (Ok(_), None) => {}
            (Err(error), Some(says)) => assert!(error.to_string().contains(says), "{error}"),
            (made, _) => panic!("{kind} {from}: {made:?}"),
        }
    }
}

#[test]
fn a_document_whose_statement_is_too_deep_to_be_read_is_refused() {
    let deep = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!("{{\"a\":\"[\\\"[\\\\\",\"x\":{open}{close}}}")
    };
    let most = LEVELS - STATEMENT_LEVELS;
    let made = given("https://acme.test/t", deep(most)).unwrap();
    let one = [(None, Digest::sha256(b"x"))];
    let read =
        |made: &Predicate| crate::model::strict_json(&made.statement(&one, &BTreeMap::new()));
    assert_eq!(read(&made), Ok(()));
    for levels in [most + 1, most + 2, 9000] {
        let error = given("https://acme.test/t", deep(levels)).unwrap_err();
        assert_eq!(error.code(), DenyCode::PredicateMalformed);
        assert!(
            error
                .to_string()
                .starts_with("the predicate has more than 127 levels, with its statement ("),
            "{error}"
        );
    }
    let by_hand = Predicate {
        kind: PredicateType::Custom,
        json: deep(most + 1).into_bytes(),
    };
    assert!(read(&by_hand).is_err());
    // A text has no levels.
    assert!(given("custom", deep(9000)).is_ok());
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
fn a_text_becomes_json_as_cosign_writes_it() {
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

#[test]
fn the_tag_value_form_is_one_text() {
    let made = given("spdx", TAG_VALUE).unwrap();
    let statement = made.statement(&[(None, Digest::sha256(b""))], &BTreeMap::new());
    let statement: Value = crate::model::read_json(&statement).unwrap();
    assert_eq!(statement["predicate"], TAG_VALUE);
    assert_eq!(statement["predicateType"], "https://spdx.dev/Document");
}
