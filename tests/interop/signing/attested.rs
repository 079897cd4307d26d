//! Statements of scgate's about images and files, and its signatures of files: every type that cosign
//! 3 signs under a name (it cannot sign `spdx`, a text), in every layout, for the index and for one
//! platform.

use std::fs;

use serde_json::json;

use super::Key;
use super::Keyless;
use super::ROOT;
use super::Rfc3161;
use super::Unstamped;
use super::V1;
use super::V2;
use super::Way;
use super::World;
use super::by_parts;
use super::reader;
use crate::peers::Listing::FallbackTag;
use crate::peers::Ring;
use crate::peers::Verdict;
use crate::peers::say;

/// The types, each with a document of it. `name` tells one document from another.
fn documents(name: &str) -> Vec<(&'static str, String)> {
    let documents = [
        (
            "spdxjson",
            json!({
                "spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": name,
                "dataLicense": "CC0-1.0", "documentNamespace": format!("https://sbom.test/{name}"),
                "creationInfo": { "created": "2026-01-01T00:00:00Z", "creators": ["Tool: test"] },
                "packages": [],
            }),
        ),
        (
            "cyclonedx",
            json!({
                "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
                "metadata": { "component": { "type": "container", "name": name } },
            }),
        ),
        (
            "link",
            json!({
                "_type": "link", "name": name, "command": ["make", "all"],
                "materials": { "main.c": { "sha256": "00" } },
                "products": { "main": { "sha256": "01" } },
                "byproducts": { "return-value": 0 }, "environment": {},
            }),
        ),
        (
            "slsaprovenance",
            json!({
                "builder": { "id": "https://build.test/builder" },
                "buildType": "https://build.test/type",
                "invocation": {
                    "configSource": {
                        "uri": "git+https://git.test", "digest": { "sha1": "00" },
                        "entryPoint": name,
                    },
                    "parameters": {}, "environment": {},
                },
                "metadata": {
                    "buildInvocationID": "1", "buildStartedOn": "2026-01-01T00:00:00Z",
                    "completeness": { "parameters": true, "environment": false, "materials": false },
                    "reproducible": false,
                },
                "materials": [{ "uri": "git+https://git.test", "digest": { "sha1": "00" } }],
            }),
        ),
        (
            "slsaprovenance1",
            json!({
                "buildDefinition": {
                    "buildType": "https://build.test/type",
                    "externalParameters": { "name": name },
                    "resolvedDependencies": [
                        { "uri": "git+https://git.test", "digest": { "gitCommit": "00" } },
                    ],
                },
                "runDetails": {
                    "builder": { "id": "https://build.test/builder" },
                    "metadata": {
                        "invocationID": "1", "startedOn": "2026-01-01T00:00:00Z",
                    },
                },
            }),
        ),
        (
            "vuln",
            json!({
                "invocation": { "parameters": null, "uri": name, "event_id": "", "builder.id": "" },
                "scanner": {
                    "uri": "pkg:generic/scanner", "version": "1",
                    "db": { "uri": "", "version": "" }, "result": { "Results": [] },
                },
                "metadata": {
                    "scanStartedOn": "2026-01-01T00:00:00Z",
                    "scanFinishedOn": "2026-01-01T00:00:01Z",
                },
            }),
        ),
        (
            "openvex",
            json!({
                "@context": "https://openvex.dev/ns/v0.2.0", "@id": format!("https://vex.test/{name}"),
                "author": "acme", "timestamp": "2026-01-01T00:00:00Z", "version": 1,
                "statements": [],
            }),
        ),
        ("custom", json!({ "reviewed": name })),
    ];
    documents
        .into_iter()
        .map(|(kind, document)| (kind, document.to_string()))
        .collect()
}

/// The ways of attesting, of which the small ring goes the first.
const WAYS: &[Way] = &[
    Way::new(Keyless, "bundle,legacy", V1, Rfc3161),
    Way::new(Keyless, "bundle", V1, Unstamped).on(FallbackTag),
    Way::new(Keyless, "legacy", V1, Unstamped),
    Way::new(Keyless, "legacy", V1, Rfc3161).on(FallbackTag),
    Way::new(Keyless, "bundle", V2, Rfc3161).on(FallbackTag),
    Way::new(Key("cosign"), "bundle,legacy", V1, Rfc3161).on(FallbackTag),
    Way::new(Key("cosign"), "legacy", V1, Unstamped),
    Way::new(Key("rsa"), "bundle", V2, Rfc3161),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_verified_by_the_cosigns() {
    let Some(ring) = Ring::find() else {
        return;
    };
    let ways = if ring.program("cosign2").is_some() {
        WAYS
    } else {
        say("SKIPPED cosign 2 and most ways of attesting: the full ring has them");
        WAYS.get(..1).unwrap_or_default()
    };
    let mut asked = 0;
    for way in ways {
        let Some(world) = World::open(*way).await else {
            continue;
        };
        asked += world.attest_everything();
    }
    say(&format!(
        "{} ways of attesting, {asked} questions",
        ways.len()
    ));
}

impl World {
    fn attest_everything(&self) -> usize {
        let image = self.push("shop/app", "hello");
        let [amd64, arm64] = image.platforms.as_slice() else {
            panic!("two platforms: {:?}", image.platforms);
        };
        let (amd64, arm64) = (self.at("shop/app", amd64), self.at("shop/app", arm64));
        let (index, arm) = (documents("index"), documents("arm64"));
        let mut questions = Vec::new();
        for ((kind, of_index), (_, of_arm)) in index.iter().zip(&arm) {
            let (one, other) = (format!("{kind}.index"), format!("{kind}.arm64"));
            for (name, text) in [(&one, of_index), (&other, of_arm)] {
                fs::write(self.ring.scratch().join(name), text).expect("the scratch is writable");
            }
            // Nobody attested it yet.
            let flag = format!("--type={kind}");
            let flags = [flag.as_str()];
            let absent = self.statement_questions(&flags, &arm64);
            self.put(absent.into_iter().map(|mut question| {
                question.verdict = Verdict::No;
                question
            }));
            let said = self.must(
                "attest",
                &[
                    &flag,
                    &format!("--predicate={one}"),
                    &format!("--predicate=linux/arm64={other}"),
                    &image.reference,
                ],
            );
            assert_eq!(said.stdout.lines().count(), 2, "{said}");
            questions.extend(self.statement_questions(&flags, &image.reference));
            questions.extend(self.statement_questions(&flags, &arm64));
        }
        // The other platform has none.
        for mut question in self.statement_questions(&["--type=custom"], &amd64) {
            question.verdict = Verdict::No;
            questions.push(question);
        }
        self.put(questions)
    }

    /// `verify-attestation` by everybody who reads what the way writes.
    fn statement_questions(&self, flags: &[&str], about: &str) -> Vec<super::Question> {
        let mut readers = vec![reader("scgate", vec![ROOT])];
        if self.way.has("bundle") {
            readers.push(reader("cosign", vec![ROOT]));
            let mut flags = vec![ROOT, "--new-bundle-format"];
            if self.way.stamps == Rfc3161 {
                flags.push("--use-signed-timestamps");
            }
            readers.push(reader("cosign2", flags));
        }
        if self.way.has("legacy") {
            readers.push(reader("cosign", vec![ROOT, "--new-bundle-format=false"]));
            if !self.way.has("bundle") {
                let mut flags = Vec::new();
                if self.way.who == Keyless {
                    // It takes no trusted root here.
                    flags.push("--ca-roots=fulcio_root.pem");
                    flags.push("--ca-intermediates=fulcio_intermediate.pem");
                }
                readers.push(by_parts(flags));
            }
        }
        self.asked("verify-attestation", &readers, flags, about)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_verified_by_the_cosigns() {
    let Some(ring) = Ring::find() else {
        return;
    };
    let mut ways = vec![Way::new(Keyless, "bundle", V1, Rfc3161)];
    if ring.program("cosign2").is_some() {
        ways.extend([
            Way::new(Keyless, "bundle", V1, Unstamped),
            Way::new(Keyless, "bundle", V2, Rfc3161),
            Way::new(Key("cosign"), "bundle", V1, Rfc3161),
            Way::new(Key("p256"), "bundle", V2, Rfc3161),
            Way::new(Key("rsa"), "bundle", V1, Unstamped),
        ]);
    }
    let mut asked = 0;
    for way in ways {
        let Some(world) = World::open(way).await else {
            continue;
        };
        asked += world.sign_files();
    }
    say(&format!("{asked} questions about files"));
}

impl World {
    fn sign_files(&self) -> usize {
        let names = ["a.txt", "b.txt", "c.txt"];
        for name in names {
            fs::write(self.ring.scratch().join(name), name).expect("the scratch is writable");
        }
        self.must("sign-blob", &names);
        let mut questions = Vec::new();
        for name in names {
            let bundle = format!("--bundle={name}.sigstore.json");
            questions.extend(self.file_questions("verify-blob", &[&bundle], name));
        }
        // Another file's signature.
        for mut question in
            self.file_questions("verify-blob", &["--bundle=a.txt.sigstore.json"], "b.txt")
        {
            question.verdict = Verdict::No;
            questions.push(question);
        }
        for (kind, text) in documents("file") {
            fs::write(self.ring.scratch().join(kind), text).expect("the scratch is writable");
            let (flag, bundle) = (format!("--type={kind}"), format!("--bundle={kind}.json"));
            self.must(
                "attest-blob",
                &[&flag, &format!("--predicate={kind}"), &bundle, "a.txt"],
            );
            questions.extend(self.file_questions(
                "verify-blob-attestation",
                &[&flag, &bundle],
                "a.txt",
            ));
            for mut question in
                self.file_questions("verify-blob-attestation", &[&flag, &bundle], "b.txt")
            {
                question.verdict = Verdict::No;
                questions.push(question);
            }
        }
        self.put(questions)
    }

    fn file_questions(&self, command: &str, flags: &[&str], about: &str) -> Vec<super::Question> {
        let mut two = vec![ROOT, "--new-bundle-format"];
        if self.way.stamps == Rfc3161 {
            two.push("--use-signed-timestamps");
        }
        let readers = [
            reader("scgate", vec![ROOT]),
            reader("cosign", vec![ROOT]),
            reader("cosign2", two),
        ];
        self.asked(command, &readers, flags, about)
    }
}
