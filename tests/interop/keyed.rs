//! Signed here and now: cosign makes a key pair, signs and attests a two-platform image that crane
//! pushed, and both programs are asked about it by digest, by tag and for every platform, with the
//! referrers API and without it.
//!
//! A row that says `both` holds for cosign and scgate alike. The rows where they differ say why;
//! `docs/deviations.md` has the long form.

use std::fmt;
use std::fmt::Display;
use std::fmt::Formatter;
use std::fs;

use crate::peers::Answer;
use crate::peers::Asked;
use crate::peers::Listing;
use crate::peers::Registry;
use crate::peers::Ring;
use crate::peers::Verdict;
use crate::peers::Verdict::No;
use crate::peers::Verdict::Yes;

// The codes of which a refusal has to name one.
const NOT_A_SIGNATURE: &[&str] = &["evidence-kind-mismatch", "no-signature"];
const NOT_LOGGED: &[&str] = &["log-entry-missing"];
const OTHER_ANNOTATION: &[&str] = &["annotation-mismatch"];
const OTHER_KEY: &[&str] = &["key-mismatch", "signature-invalid"];
const OTHER_SUBJECT: &[&str] = &["referrer-subject-mismatch", "subject-mismatch"];
const OTHER_TYPE: &[&str] = &["no-attestation", "predicate-type-mismatch"];
const UNATTESTED: &[&str] = &["no-attestation"];
const UNSIGNED: &[&str] = &["no-signature"];

#[test]
fn signed_index_and_its_platforms() {
    in_every_world(|world| {
        let image = world.image("shop", 1);
        world.sign(
            "cosign.key",
            &image.index,
            &["--recursive", "-a", "env=prod", "-a", "build=42"],
        );
        for reference in [&image.index, &image.tag, &image.amd64, &image.arm64] {
            world.both(Yes, &verify("cosign.pub", &[], reference), &[]);
        }
        world.scgate(
            Yes,
            &verify("cosign.pub", &["--recursive"], &image.index),
            &[],
        );
        world.scgate(
            Yes,
            &verify("cosign.pub", &["--recursive"], &image.tag),
            &[],
        );

        world.both(
            Yes,
            &verify("cosign.pub", &["-a", "env=prod"], &image.index),
            &[],
        );
        world.both(
            Yes,
            &verify(
                "cosign.pub",
                &["-a", "env=prod", "-a", "build=42"],
                &image.index,
            ),
            &[],
        );
        world.both(
            No,
            &verify("cosign.pub", &["-a", "env=dev"], &image.index),
            OTHER_ANNOTATION,
        );
        world.both(
            No,
            &verify("cosign.pub", &["-a", "team=shop"], &image.index),
            OTHER_ANNOTATION,
        );

        world.both(No, &verify("other.pub", &[], &image.index), OTHER_KEY);
        world.both(No, &verify("other.pub", &[], &image.arm64), OTHER_KEY);
        world.scgate(
            No,
            &verify("other.pub", &["--recursive"], &image.index),
            OTHER_KEY,
        );
    });
}

/// crane writes whole names into a layout, with the repository before the tag.
#[test]
fn a_layout_that_crane_pulled() {
    in_every_world(|world| {
        let image = world.image("pulled", 1);
        world.sign("cosign.key", &image.index, &[]);
        let (name, digest) = image.index.split_once("@sha256:").expect("a digest");
        let layout = format!("{:?}-{:?}", world.format, world.listing);
        let pull = |reference: &str| {
            let command = ["pull", "--format=oci", "--annotate-ref", reference, &layout];
            world.ring.crane(command);
        };
        let ask = |verdict, key, codes| {
            let question = verify(key, &["--layout", &layout], &image.index);
            world.scgate(verdict, &question, codes);
        };
        pull(&image.tag);
        ask(No, "cosign.pub", UNSIGNED);
        match (world.format, world.listing) {
            (Format::Legacy, _) => pull(&format!("{name}:sha256-{digest}.sig")),
            (Format::Bundle, Listing::FallbackTag) => pull(&format!("{name}:sha256-{digest}")),
            // crane pulls no referrers, and nothing else names them.
            (Format::Bundle, Listing::Referrers) => return,
        }
        ask(Yes, "cosign.pub", &[]);
        ask(No, "other.pub", OTHER_KEY);
    });
}

#[test]
fn two_signatures_by_two_keys() {
    in_every_world(|world| {
        let image = world.image("twice", 1);
        world.sign("cosign.key", &image.index, &[]);
        world.sign("other.key", &image.index, &[]);
        world.both(Yes, &verify("cosign.pub", &[], &image.index), &[]);
        world.both(Yes, &verify("other.pub", &[], &image.index), &[]);
    });
}

#[test]
fn signature_without_a_log_entry() {
    in_every_world(|world| {
        let image = world.image("unlogged", 1);
        world.sign("cosign.key", &image.index, &[]);
        world.scgate(
            No,
            &["verify", "--key", "cosign.pub", &image.index],
            NOT_LOGGED,
        );
        // Without a bundle, and without a trusted root of its own, cosign asks the public log; this
        // ring is offline.
        match world.format {
            Format::Bundle => {
                let question = [
                    "verify",
                    "--key",
                    "cosign.pub",
                    "--trusted-root",
                    "root.json",
                    &image.index,
                ];
                world.cosign(No, &question);
            }
            Format::Legacy => {}
        }
    });
}

#[test]
fn nothing_signed_on_image_index_or_platform() {
    in_every_world(|world| {
        let unsigned = world.image("unsigned", 1);
        world.both(No, &verify("cosign.pub", &[], &unsigned.index), UNSIGNED);
        world.both(No, &verify("cosign.pub", &[], &unsigned.tag), UNSIGNED);
        world.scgate(
            No,
            &verify("cosign.pub", &["--recursive"], &unsigned.index),
            UNSIGNED,
        );

        let index_only = world.image("index-only", 1);
        world.sign("cosign.key", &index_only.index, &[]);
        world.both(Yes, &verify("cosign.pub", &[], &index_only.index), &[]);
        world.both(No, &verify("cosign.pub", &[], &index_only.arm64), UNSIGNED);
        world.scgate(
            No,
            &verify("cosign.pub", &["--recursive"], &index_only.index),
            UNSIGNED,
        );

        let one_platform = world.image("one-platform", 1);
        world.sign("cosign.key", &one_platform.index, &[]);
        world.sign("cosign.key", &one_platform.amd64, &[]);
        world.both(Yes, &verify("cosign.pub", &[], &one_platform.amd64), &[]);
        world.both(
            No,
            &verify("cosign.pub", &[], &one_platform.arm64),
            UNSIGNED,
        );
        world.scgate(
            No,
            &verify("cosign.pub", &["--recursive"], &one_platform.index),
            UNSIGNED,
        );

        let platforms_only = world.image("platforms-only", 1);
        world.sign("cosign.key", &platforms_only.amd64, &[]);
        world.sign("cosign.key", &platforms_only.arm64, &[]);
        world.both(
            No,
            &verify("cosign.pub", &[], &platforms_only.index),
            UNSIGNED,
        );
        world.scgate(
            No,
            &verify("cosign.pub", &["--recursive"], &platforms_only.index),
            UNSIGNED,
        );
    });
}

#[test]
fn signature_of_another_digest() {
    in_every_world(|world| {
        let signed = world.image("moved", 1);
        let other = world.image("moved", 2);
        world.sign("cosign.key", &signed.index, &[]);
        world.both(No, &verify("cosign.pub", &[], &other.index), UNSIGNED);
        // A bundle that a referrers API lists hangs on its subject's digest: there is no tag to
        // move.
        let suffix = match (world.format, world.listing) {
            (Format::Bundle, Listing::Referrers) => return,
            (Format::Bundle, Listing::FallbackTag) => "",
            (Format::Legacy, Listing::FallbackTag | Listing::Referrers) => ".sig",
        };
        let tag = |image: &Image| image.index.replace("@sha256:", ":sha256-") + suffix;
        world.ring.crane(["copy", &tag(&signed), &tag(&other)]);
        world.both(Yes, &verify("cosign.pub", &[], &signed.index), &[]);
        world.both(No, &verify("cosign.pub", &[], &other.index), OTHER_SUBJECT);
    });
}

#[test]
fn attestations_by_type() {
    in_every_world(|world| {
        let image = world.image("attested", 1);
        for (kind, predicate) in PREDICATES {
            world.attest(kind, predicate, &image.amd64);
        }
        for (kind, _) in PREDICATES {
            world.both(
                Yes,
                &verify_attestation("cosign.pub", kind, &image.amd64),
                &[],
            );
            world.both(
                No,
                &verify_attestation("other.pub", kind, &image.amd64),
                OTHER_KEY,
            );
            world.both(
                No,
                &verify_attestation("cosign.pub", kind, &image.arm64),
                UNATTESTED,
            );
            world.both(
                No,
                &verify_attestation("cosign.pub", kind, &image.index),
                UNATTESTED,
            );
        }
        world.both(
            No,
            &verify_attestation("cosign.pub", "slsaprovenance1", &image.amd64),
            OTHER_TYPE,
        );

        // Deviation: to cosign any bundle on the digest is a signature; here an attestation never
        // counts as one.
        let question = verify("cosign.pub", &[], &image.amd64);
        match world.format {
            Format::Bundle => world.cosign(Yes, &question),
            Format::Legacy => world.cosign(No, &question),
        }
        world.scgate(No, &question, NOT_A_SIGNATURE);

        world.sign("cosign.key", &image.amd64, &[]);
        world.both(Yes, &verify("cosign.pub", &[], &image.amd64), &[]);
        world.both(
            Yes,
            &verify_attestation("cosign.pub", "spdxjson", &image.amd64),
            &[],
        );
    });
}

const PREDICATES: [(&str, &str); 3] = [
    ("custom", r#"{"reviewed":true}"#),
    (
        "spdxjson",
        r#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"shop","packages":[]}"#,
    ),
    (
        "vuln",
        r#"{"invocation":{"uri":"","event_id":""},"scanner":{"uri":"pkg:generic/scanner","result":{}}}"#,
    ),
];

fn verify<'a>(key: &'a str, options: &[&'a str], reference: &'a str) -> Vec<&'a str> {
    [
        &["verify", "--key", key, "--insecure-ignore-tlog"],
        options,
        &[reference],
    ]
    .concat()
}

fn verify_attestation<'a>(key: &'a str, kind: &'a str, reference: &'a str) -> Vec<&'a str> {
    vec![
        "verify-attestation",
        "--key",
        key,
        "--insecure-ignore-tlog",
        "--type",
        kind,
        reference,
    ]
}

/// What cosign writes: Sigstore bundles as referrers, or layers under `.sig` and `.att` tags.
#[derive(Clone, Copy, Debug)]
enum Format {
    Bundle,
    Legacy,
}

/// A registry, a format, and two key pairs: `cosign` and `other`.
struct World<'ring> {
    ring: &'ring Ring,
    listing: Listing,
    registry: Registry,
    format: Format,
}

/// References of one pushed image; all but `tag` are by digest.
struct Image {
    index: String,
    tag: String,
    amd64: String,
    arm64: String,
}

fn in_every_world(test: impl Fn(&World<'_>)) {
    let Some(ring) = Ring::find() else {
        return;
    };
    for name in ["cosign", "other"] {
        succeeded(&ring.cosign(["generate-key-pair", "--output-key-prefix", name]));
    }
    succeeded(&ring.cosign(["trusted-root", "create", "--out", "root.json"]));
    for listing in [Listing::Referrers, Listing::FallbackTag] {
        for format in [Format::Bundle, Format::Legacy] {
            let registry = ring.registry(listing);
            test(&World {
                ring: &ring,
                listing,
                registry,
                format,
            });
        }
    }
}

impl World<'_> {
    /// Pushes an index of two platforms. Its layer is an empty tar archive of `blocks` records, so
    /// that another number makes another digest.
    fn image(&self, repository: &str, blocks: usize) -> Image {
        let layer = self.ring.scratch().join("layer.tar");
        fs::write(layer, vec![0; 10_240 * blocks]).expect("the scratch directory is writable");
        let name = format!("{}/{repository}", self.registry.address);
        let base = format!("{name}:base");
        self.ring
            .crane(["append", "--oci-empty-base", "-f", "layer.tar", "-t", &base]);
        let platform = |architecture: &str| {
            let platform = format!("linux/{architecture}");
            self.ring.crane([
                "mutate",
                &base,
                "--set-platform",
                &platform,
                "-t",
                &format!("{name}:{architecture}"),
            ])
        };
        let (amd64, arm64) = (platform("amd64"), platform("arm64"));
        let tag = format!("{name}:{blocks}.0");
        let index = self
            .ring
            .crane(["index", "append", "-m", &amd64, "-m", &arm64, "-t", &tag]);
        Image {
            index,
            tag,
            amd64,
            arm64,
        }
    }

    fn sign(&self, key: &str, reference: &str, options: &[&str]) {
        let command = [
            &["sign", "--key", key],
            self.format.options(),
            options,
            &[reference],
        ]
        .concat();
        succeeded(&self.ring.cosign(command));
    }

    fn attest(&self, kind: &str, predicate: &str, reference: &str) {
        let file = self.ring.scratch().join("predicate.json");
        fs::write(file, predicate).expect("the scratch directory is writable");
        let command = [
            "attest",
            "--key",
            "cosign.key",
            "--type",
            kind,
            "--predicate",
            "predicate.json",
        ];
        succeeded(
            &self
                .ring
                .cosign([&command, self.format.options(), &[reference]].concat()),
        );
    }

    fn both(&self, verdict: Verdict, question: &[&str], codes: &[&str]) {
        self.cosign(verdict, question);
        self.scgate(verdict, question, codes);
    }

    fn cosign(&self, verdict: Verdict, question: &[&str]) {
        let answer = self.ring.cosign(question);
        assert!(
            answer.says(verdict, Asked::Cosign),
            "{self}: expected {verdict:?}\n{answer}"
        );
    }

    fn scgate(&self, verdict: Verdict, question: &[&str], codes: &[&str]) {
        let answer = self.ring.scgate([question, &["--output", "json"]].concat());
        assert!(
            answer.says(verdict, Asked::Scgate),
            "{self}: expected {verdict:?}\n{answer}"
        );
        assert!(
            answer.names_one_of(codes),
            "{self}: expected one of {codes:?}\n{answer}"
        );
    }
}

impl Display for World<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with {:?}", self.format, self.listing)
    }
}

impl Format {
    /// Without a log: the ring is offline. `--allow-http-registry` isn't needed on loopback, for
    /// neither program.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Bundle => &["--yes", "--use-signing-config=false", "--tlog-upload=false"],
            Self::Legacy => &[
                "--yes",
                "--use-signing-config=false",
                "--tlog-upload=false",
                "--new-bundle-format=false",
            ],
        }
    }
}

fn succeeded(answer: &Answer) {
    assert_eq!(answer.exit, Some(0), "{answer}");
}
