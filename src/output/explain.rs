//! The words for people: what each reason means, what usually causes it, and what helps.
//!
//! This is the only place that phrases a refusal for people; text reports, `docs/deny-codes.md` and
//! whatever else talks to people take their words from here. Nothing here knows a report: what was
//! found stands there, and these words go with it.

mod signing;

pub use signing::signing_remedy;

pub(super) use signing::registry as registry_remedy;

use crate::model::DenyCode;

/// What a reason means, in one sentence.
#[must_use]
pub const fn meaning(code: DenyCode) -> &'static str {
    words(code).meaning
}

/// What usually causes it.
#[must_use]
pub const fn cause(code: DenyCode) -> &'static str {
    words(code).cause
}

/// What helps.
#[must_use]
pub const fn remedy(code: DenyCode) -> &'static str {
    words(code).remedy
}

/// The words for one reason.
struct Words {
    meaning: &'static str,
    cause: &'static str,
    remedy: &'static str,
}

macro_rules! words {
    ($($code:ident: $meaning:literal, $cause:literal, $remedy:literal;)*) => {
        const fn words(code: DenyCode) -> Words {
            match code {
                $(DenyCode::$code => Words {
                    meaning: $meaning,
                    cause: $cause,
                    remedy: $remedy,
                },)*
            }
        }
    };
}

// In the order of the enum.
words! {
    NoAttestation:
        "No attestation of the demanded type was found on any way of looking.",
        "The attestation step did not run, ran with another type, or attested another digest (often \
         the index and not the platform).",
        "Attest this very digest with the demanded type, for example `scgate attest --type TYPE \
         --predicate FILE IMAGE@DIGEST`. If it was attested, compare the type with the one that is \
         demanded.";
    NoSignature:
        "No signature was found on any way of looking.",
        "The image was never signed, was signed under another digest, or only its index was signed \
         and not its platforms. Or it was copied without its signatures.",
        "Sign this very digest (`scgate sign --recursive IMAGE@DIGEST` signs an index and \
         everything in it), or copy the image with a tool that takes its signatures along. If \
         signatures lie in another repository, name it with `--signature-repository`.";
    EvidenceAfterTime:
        "The evidence came into being after the time that was asked about.",
        "`--at` names a time before the image was signed.",
        "Ask about a later time, or leave `--at` away to ask about now.";
    EvidenceKindMismatch:
        "There is evidence, but of another kind: an attestation where a signature is demanded, the \
         reverse, or the signature of a file.",
        "The image was attested and not signed, or an SBOM or another artifact was attached without \
         a signature.",
        "Make what is demanded: `scgate sign` for a signature, `scgate attest --type TYPE` for an \
         attestation, `scgate sign-blob` for a file.";
    ImageNotFound:
        "The image is not in its repository or layout.",
        "A misspelt name or tag, an image that was deleted, or a digest of another repository or \
         layout.",
        "Compare the reference with what was pushed, or with the tags and digests in the layout's \
         `index.json`. If a registry hides private images behind \"not found\", give credentials that \
         may read it.";
    ChildNotFound:
        "An entry of the index is not in the repository.",
        "The index was copied without all of its platforms, or a clean-up rule deleted one of them.",
        "Copy the index with all of its entries, or push the image again.";
    ManifestMalformed:
        "A manifest or index is malformed, of a type that scgate does not read, or named \
         ambiguously.",
        "A broken or hand-written manifest, a schema 1 image, or an entry whose type differs from \
         what the registry serves.",
        "Build and push the image again with a current tool. Asking again changes nothing.";
    DigestMismatch:
        "The bytes that came do not hash to the digest they were asked by, or have another size.",
        "A registry, proxy or mirror that alters or mixes up content, or a damaged layout on disk.",
        "Treat it as tampering until it is explained. Read the image from its origin, or make the \
         copy again.";
    LimitExceeded:
        "A bound on foreign data was exceeded: too many entries, too much evidence, or something \
         too large.",
        "An index with very many entries, an image that piled up signatures for years, or an attack \
         on whoever verifies.",
        "Remove evidence that is no longer needed, or split the index. The bounds are fixed, so \
         asking again changes nothing.";
    PlatformMissing:
        "The image has no manifest for a platform that was asked for, or lists no image at all.",
        "A build that left the platform out, or a misspelt `--platform`.",
        "Build for the platform, or ask only for those that the image has.";
    ParentMismatch:
        "The index that was named as parent does not list the image.",
        "The index was rebuilt and now lists other images, or another index was meant.",
        "Name the index that lists this digest with `--parent`, or sign the image itself.";
    EvidenceUnreadable:
        "Something refers to the image that is none of the layouts which hold evidence.",
        "A damaged or partly deleted signature manifest, or an artifact of another tool that claims \
         to be one.",
        "Sign or attest again with a current cosign, and delete the broken artifact.";
    BundleMalformed:
        "The Sigstore bundle is malformed.",
        "A truncated file, a hand-edited bundle, a member that the format does not have, or one \
         that occurs twice.",
        "Make the bundle again with a current tool. If it came over the network, download it again.";
    BundleVersionUnsupported:
        "The Sigstore bundle has a version that scgate does not read.",
        "A tool newer than this scgate, or a file that is no bundle.",
        "Sign with a tool that writes version 0.3 or older, or update scgate.";
    LegacyMalformed:
        "A signature in cosign's older layout is malformed.",
        "A damaged `.sig` or `.att` layer, or annotations that a copying tool changed.",
        "Sign again with a current cosign, and copy signatures only with tools that keep \
         annotations.";
    BundleCertificateChain:
        "The bundle brings a certificate chain where only the signing certificate may stand, or \
         brings a root.",
        "A signing tool that packs the whole chain into the bundle. Trust must come from the \
         verifier's root, never from the evidence.",
        "Sign with a tool that puts only the signing certificate into a version 0.3 bundle.";
    ReferrerSubjectMismatch:
        "The evidence says that it is about another image.",
        "A referrer or a fallback index that was copied from another image.",
        "Copy the evidence that belongs to this image, or sign this image.";
    SignatureMalformed:
        "The signature is empty or not base64.",
        "A damaged or hand-edited file or annotation, or a certificate or key given as signature.",
        "Give the signature as the signing tool wrote it, or sign again.";
    EnvelopeMalformed:
        "The DSSE envelope is malformed, or has not exactly one signature.",
        "An envelope with several signatures, or one made by another tool than cosign.",
        "Attest again with a current cosign: one signature for each envelope.";
    PayloadTypeUnsupported:
        "The signed payload is of a type that scgate does not read.",
        "A DSSE envelope that holds something other than an in-toto statement.",
        "Sign an in-toto statement (`application/vnd.in-toto+json`).";
    PayloadMalformed:
        "The signed payload is malformed: it is no in-toto statement and no simple-signing \
         document.",
        "A predicate or payload that was written by hand, or a tool with a bug.",
        "Make the payload with cosign instead of by hand, and sign again.";
    SignerKindMismatch:
        "It was signed with a key where a certificate is demanded, or the reverse.",
        "The image is signed with a managed key and the policy asks for an identity, or the policy \
         names a key and the image is signed keylessly.",
        "Ask for what was used: `--key` for a managed key, `--certificate-identity` with \
         `--certificate-oidc-issuer` for a certificate. Or sign as the policy demands.";
    KeyUnsupported:
        "The key or signature algorithm is one that scgate does not read.",
        "A key of an unusual curve or size, or a hash that does not belong to the key.",
        "Sign with ECDSA (P-256), Ed25519, or RSA of 2048 to 4096 bits, which cosign verifies as well.";
    LogEntryMissing:
        "The evidence has no transparency log entry.",
        "It was signed with `--tlog-upload=false`, with a signing configuration without a log, or \
         by a private set-up that has no log.",
        "Sign with a transparency log. Only where you mean to do without one: \
         `--insecure-ignore-tlog`.";
    LogEntryMalformed:
        "A log entry is malformed, or occurs twice.",
        "A damaged or hand-edited bundle.",
        "Sign again, so that the entry is fetched from the log afresh.";
    LogEntryUnsupported:
        "A log entry is of a kind or version that scgate does not read.",
        "An entry that was not made for a container signature, an attestation or a file.",
        "Sign with a current cosign, which writes `hashedrekord`, `dsse` or `intoto` entries.";
    LogUnknown:
        "The transparency log is not in the trust root.",
        "The image was signed against another Sigstore (a private or a staging one), or the trust \
         root is older than the log's newest shard.",
        "Give the trust root of the Sigstore that signed (`--trusted-root`), or a newer one.";
    LogProofMissing:
        "The log entry has no inclusion proof.",
        "An old bundle that carries only the log's promise, or one that was stripped.",
        "Sign again with a current tool: every log entry of a bundle needs an inclusion proof with \
         a checkpoint.";
    LogProofInvalid:
        "The inclusion proof does not prove that the entry is in the log.",
        "A changed or damaged bundle.",
        "Treat it as tampering until it is explained, and sign again.";
    CheckpointMissing:
        "The inclusion proof has no checkpoint.",
        "An old tool that did not store checkpoints, or a stripped bundle.",
        "Sign again with a current tool.";
    CheckpointMalformed:
        "The checkpoint is malformed.",
        "A damaged bundle, or line breaks that a tool changed.",
        "Sign again, and keep the bundle byte for byte.";
    CheckpointInvalid:
        "The checkpoint is not signed by the log of the entry.",
        "A changed checkpoint, or one that was taken from another log.",
        "Treat it as tampering until it is explained, and sign again.";
    CheckpointMismatch:
        "The checkpoint is about another tree than the inclusion proof, or about another log.",
        "A bundle that was put together from parts of several.",
        "Treat it as tampering until it is explained, and sign again.";
    LogPromiseMissing:
        "The evidence needs the log's signed promise (SET) and has none.",
        "A layout that can only carry a promise, with an entry of a log that makes none (Rekor v2).",
        "Sign with the current bundle format, which carries inclusion proofs.";
    LogPromiseInvalid:
        "The log's signed promise (SET) does not verify.",
        "A changed entry, time or index, or another log under the same name.",
        "Treat it as tampering until it is explained, and sign again.";
    TimestampMalformed:
        "A signed timestamp is malformed.",
        "A damaged bundle, or the answer of something that is no timestamp authority.",
        "Sign again with a timestamp authority that speaks RFC 3161.";
    TimestampUntrusted:
        "The signed timestamp is by an authority that is not in the trust root.",
        "A trust root without timestamp authorities, or an image that was stamped by another \
         Sigstore's authority.",
        "Give a trust root that has the authority (`--trusted-root`), or stamp with one that is in \
         it.";
    TimestampInvalid:
        "A signed timestamp does not verify, or its signer has not the profile of a timestamp \
         authority.",
        "A changed timestamp, or an authority with a wrong certificate.",
        "Sign again; if it happens again, whoever runs the timestamp authority has to mend it.";
    TimestampMismatch:
        "The signed timestamp is of another signature.",
        "A bundle that was put together from parts of several.",
        "Treat it as tampering until it is explained, and sign again.";
    TimestampOutsideValidity:
        "The signed timestamp was made outside of its authority's validity.",
        "An authority that was retired or not yet in force, or a trust root that ends its validity.",
        "Stamp with an authority that is valid, or give a current trust root.";
    CertificateMalformed:
        "The signing certificate is malformed.",
        "A damaged bundle, or something other than a certificate in its place.",
        "Sign again; the certificate must be as the authority issued it.";
    CertificateUsage:
        "The certificate has not the profile of a signing certificate.",
        "A TLS or authority certificate, or one without the extended key usage for code signing.",
        "Sign with a certificate that was issued for code signing.";
    CertificateSan:
        "The certificate names not exactly one identity of a known kind.",
        "A certificate of another authority than Fulcio, with several names or with a host name.",
        "Sign with a certificate that has exactly one e-mail address, URI or user name.";
    CertificateClaimsMalformed:
        "A build claim in the certificate is malformed, or occurs twice.",
        "A certificate of an authority that writes Fulcio's extensions wrongly.",
        "Whoever runs the certificate authority has to mend it; then sign again.";
    CertificateClaimsConflict:
        "A deprecated build claim of the certificate and its successor disagree.",
        "A certificate authority with a wrong claim mapping, or an attempt to show two verifiers \
         two things.",
        "Whoever runs the certificate authority has to mend it; then sign again.";
    CertificateUntrusted:
        "The certificate does not lead to an authority of the trust root.",
        "The image was signed against another Sigstore (a private or a staging one), or the trust \
         root is too old.",
        "Give the trust root of the Sigstore that signed (`--trusted-root`), or a newer one.";
    SctMissing:
        "The certificate carries no proof that it was logged (SCT).",
        "A private certificate authority without a certificate transparency log.",
        "Issue certificates through a certificate transparency log. Only where you mean to do \
         without one: `--insecure-ignore-sct`.";
    SctMalformed:
        "An SCT in the certificate is malformed.",
        "A certificate authority that embeds SCTs wrongly.",
        "Whoever runs the certificate authority has to mend it; then sign again.";
    SctUntrusted:
        "The SCTs are by certificate transparency logs that are not in the trust root.",
        "The trust root is older than the log's newest shard, or belongs to another Sigstore.",
        "Give the trust root of the Sigstore that signed (`--trusted-root`), or a newer one.";
    SctInvalid:
        "An SCT does not verify for this certificate.",
        "A changed certificate, or an SCT that was taken from another one.",
        "Treat it as tampering until it is explained, and sign again.";
    SctOutsideValidity:
        "An SCT was made outside of the validity of the certificate transparency log's key.",
        "A log key that was retired, or a trust root that does not know its successor.",
        "Give a current trust root, or sign again under the log that is in force.";
    TimeMissing:
        "Nothing proves when it was signed.",
        "A Rekor v2 entry without a signed timestamp, or a signature without a log and without a \
         timestamp. A short-lived certificate proves nothing without a time, and nothing without a \
         time is known to have existed at the time that `--at` names.",
        "Sign with a timestamp authority (`--timestamp-server-url`, or a signing configuration that \
         has one). For a signature with a key, leave `--at` away to ask about now.";
    TimeInFuture:
        "The evidence was signed at a time that lies in the future.",
        "The clock of this machine is behind, or that of the log or timestamp authority is ahead.",
        "Set the clock of this machine. For a difference of seconds: `--clock-skew`.";
    LogOutsideValidity:
        "It was logged outside of the validity of the log's key.",
        "A log that was retired or not yet in force, or a trust root that ends its validity.",
        "Give a current trust root, or sign again under the log that is in force.";
    AuthorityOutsideValidity:
        "It was signed outside of the validity of the authority that issued the certificate.",
        "An authority that was retired or not yet in force, or a trust root that ends its validity.",
        "Give a current trust root, or sign again under the authority that is in force.";
    CertificateOutsideValidity:
        "It was signed outside of the validity of the certificate.",
        "The certificate had expired before the signature was logged or stamped: a slow pipeline, \
         or a certificate that was kept and used again.",
        "Sign again, with a fresh certificate for each signing.";
    LogEntryMismatch:
        "The log entry is not about this signature, certificate or payload.",
        "A bundle that was put together from parts of several, or a changed signature.",
        "Treat it as tampering until it is explained, and sign again.";
    SignatureInvalid:
        "The signature does not verify.",
        "What was signed has changed since, the signature was made with another key, or the \
         evidence is damaged.",
        "Compare the key or certificate with the one that signed. If they are right, treat it as \
         tampering, and sign again.";
    SubjectMismatch:
        "The signature is about something else than what was asked about.",
        "Evidence that was copied from another image, a file that is not the one that was signed, \
         or an image that was rebuilt under the same tag after it was signed.",
        "Sign this very digest, or ask about the digest that was signed.";
    PredicateTypeMismatch:
        "There is an attestation, but of another type than demanded.",
        "The image carries other attestations (an SBOM, say) but not the one that was asked for, or \
         the type is written in another version.",
        "Attest with the demanded type, or ask for the type that is there (`--type`).";
    KeyMismatch:
        "It was signed with another key, or proven under another trust root, than the policy \
         demands.",
        "A rotated key, the wrong public key file, or an image of another team.",
        "Compare the key id with that of the key that signs, and name that key if you trust it.";
    IssuerMismatch:
        "The signer's identity comes from another issuer than the policy demands.",
        "Signed on a laptop and not in the pipeline, on another CI system, or a mistake in \
         `--certificate-oidc-issuer`.",
        "If the signer is the right one, correct the issuer in the policy. Else sign where the \
         policy demands it.";
    IdentityMismatch:
        "The signer is somebody else than the policy demands.",
        "Signed by another workflow, from another branch or tag, in a fork, or with a regular \
         expression that matches only a part of the name.",
        "Compare the identity that was found with the demanded one, character by character. If it \
         is the right one, correct the policy. Else sign with the right workflow.";
    ClaimMissing:
        "The certificate lacks a build claim that the policy demands.",
        "A signer that is not a CI workflow, or an issuer that does not state this claim.",
        "Sign in the CI system that states the claim, or do not demand it.";
    ClaimMismatch:
        "A build claim has another value than the policy demands.",
        "A build from another repository, branch, event or runner: a development build where a \
         release is demanded.",
        "Use an image that was built as the policy demands; if this one was, correct the policy.";
    AnnotationMismatch:
        "A signed annotation that is demanded is absent or has another value.",
        "Signed without `-a NAME=VALUE`, or with another value.",
        "Sign with the demanded annotation, or ask for the one that is there.";
    SignedTimestampMissing:
        "The evidence has no signed timestamp of a known authority, and one is demanded.",
        "Signed without a timestamp authority, or with one that is not in the trust root.",
        "Sign with a timestamp authority, or do not demand its timestamps \
         (`--use-signed-timestamps`).";
    TokenMissing:
        "No identity token was found to sign with.",
        "The job lacks the right to ask for one (`permissions: id-token: write` in GitHub \
         Actions, `id_tokens:` in GitLab), or it runs where no provider of tokens is.",
        "Give the job that right where it can have it, or name a token with `--identity-token FILE`. \
         To sign with a key, give `--key FILE`.";
    TokenMalformed:
        "The identity token cannot be read.",
        "A file with something else in it, a token that was cut, or a variable that was not \
         filled in.",
        "Name a file with one JSON Web Token (three parts with dots between them) and nothing \
         else.";
    TokenOutsideValidity:
        "The identity token has expired, or is not valid yet.",
        "The token was fetched at the start of a long job, or the clock of this machine is wrong.",
        "Fetch the token right before signing, or let scgate fetch it from the CI system. Compare \
         the clock.";
    TokenAudienceMismatch:
        "The identity token was issued for another audience.",
        "The CI job asked for a token for another service.",
        "Ask for a token with the audience `sigstore`, or name the one that your Fulcio expects \
         with `--oidc-audience`.";
    SigningForbidden:
        "The identity in the token may not sign here.",
        "A pull request, a fork, another event, or a ref outside of `--allow-ref`: what it builds \
         would be signed in the name of the repository. Or a person's address that its issuer did \
         not verify.",
        "Sign in a job that nobody from outside starts: in GitHub that of a push, release, schedule, \
         workflow_dispatch or merge_group. If this one is meant, name it with `--allow-event` or \
         `--allow-ref`. Have an address verified at its issuer.";
    TagMoved:
        "The tag names another image than it did when the command began.",
        "Another job pushed the same tag meanwhile.",
        "Sign the digest that the build printed (`NAME@sha256:…`), never a tag.";
    PredicateMalformed:
        "The predicate is not what the type demands.",
        "A report in another format (a plain Trivy JSON given as `vuln`), another file, or a file \
         that was cut.",
        "Write the predicate in the format of the type (for `vuln`: `trivy image --format \
         cosign-vuln`), or name the type that it is.";
    EntryTooLarge:
        "The attestation is larger than the transparency log takes.",
        "Rekor v1 is sent the whole envelope, and the public instance drops what has more than a \
         few megabytes.",
        "Sign with a log of Rekor v2, which is sent a digest only, or attest a smaller document.";
    TagImmutable:
        "The registry does not let a tag be written again.",
        "Tags of the repository are immutable, and legacy signatures of one image share a tag.",
        "Write bundles alone (`--signature-format bundle`) where the registry has the referrers \
         API, or exempt the tags that begin with `sha256-` from the rule.";
    MirrorUntrusted:
        "A TUF repository does not prove what it serves.",
        "The pinned root is that of another repository, the repository is out of date, or somebody has \
         changed it.",
        "Compare the pinned root with the repository's (`--tuf-root`), or name a signing configuration and \
         a trusted root that you have (`--signing-config`, `--trusted-root`). If both are right, treat it \
         as tampering.";
    ServiceRefused:
        "A signing service refuses the request.",
        "A token that Fulcio does not take (another issuer or audience), a log that is closed, or \
         a request that the service does not know.",
        "Read what the service says. Compare the issuer and the audience of the token with what \
         the Fulcio of this signing configuration takes.";
    RegistryUnauthorized:
        "The registry demands credentials that scgate has not, or refuses those it has (401).",
        "Not logged in, an expired token, or credentials of another registry.",
        "Log in to the registry (`docker login` or its likeness) as an account that may pull the \
         image.";
    RegistryForbidden:
        "The registry forbids the request (403).",
        "The account may not read this repository or its signatures, or not write to it, or a proxy stands in between.",
        "Grant the account the right to pull from the repository, signatures included; signing needs the right to push.";
    RegistryRateLimited:
        "The registry throttles (429).",
        "Too many requests from this address or account.",
        "Wait and ask again. Logging in raises the limit at many registries, and a pull-through \
         mirror spares requests.";
    RegistryUnavailable:
        "The registry failed, or gave an answer that means nothing here.",
        "An outage of the registry (5xx), or something other than a registry at that address.",
        "Ask again later. If it stays, ask whoever runs the registry.";
    RegistryUnreachable:
        "There is no connection to the registry.",
        "A misspelt host, DNS, a firewall, a certificate that is not trusted, or plain HTTP where \
         TLS is expected.",
        "Compare the host name, and reach it from this machine by other means. A private \
         certificate authority or plain HTTP must be allowed explicitly.";
    RegistryMalformed:
        "The registry answered with something that is not the protocol.",
        "A login page or an error page of a proxy in place of the registry, or a registry with a \
         bug. Where something is signed: an image under the tag that lists its signatures \
         (`sha256-…`), as `cosign copy` leaves it.",
        "See what answers at that address. Ask whoever runs the registry or the proxy. Where an image \
         lies under the tag `sha256-…`, delete that tag, or write with `--signature-format legacy` \
         or to another `--signature-repository`.";
    RegistryRefused:
        "The way to the registry leads over something that scgate's own rules forbid.",
        "A redirect or token service at an address without TLS, on a low port, or on a host that may \
         not get credentials; or a registry at a link-local, metadata or other address that no \
         registry has.",
        "Asking again changes nothing. Name the registry that serves the content itself, on port 80, \
         443, a port from 1024 up, or the low port that is written in the reference or \
         `--signature-repository`. Or ask whoever runs it to redirect and to issue tokens by HTTPS \
         from such an address.";
    RegistryTimeout:
        "The registry did not answer in time.",
        "A slow or overloaded registry or network.",
        "Ask again, or allow more time.";
    LayoutUnreadable:
        "A file of a layout or archive on disk could not be read.",
        "Missing rights, a failing disk, a link in the place of a file, or a layout that changed \
         meanwhile. On the command line a layout that does not even open is wrong usage, exit code \
         2.",
        "Make the files readable, or write the layout again, as an OCI layout directory or an \
         uncompressed tar archive of one.";
    WriteUnconfirmed:
        "What was written could not be found again.",
        "Several writers at the same tag at once, or a registry that shows its writes late.",
        "Run the same command again: what is there is kept, and what is missing is written. Sign \
         one image from one job at a time.";
    ServiceRateLimited:
        "A signing service throttles (429).",
        "Too many requests from this address or identity.",
        "Wait and run the same command again.";
    ServiceUnavailable:
        "A signing service failed or did not answer.",
        "An outage, a misspelt address, or a network that does not lead there.",
        "Run the same command again: what was signed is kept. If it stays, compare the addresses \
         in the signing configuration.";
    ServiceMalformed:
        "A signing service answered with something that is not its protocol.",
        "Another service at that address, a proxy in between, or a service with a bug.",
        "See what answers at that address. Nothing was pushed that does not verify.";
    DeadlineExceeded:
        "The time for the whole decision is used up.",
        "A slow registry, or an image with very much evidence.",
        "Ask again, or allow more time.";
    Internal:
        "A bug in scgate.",
        "None that you could have made.",
        "Please report it, with the command and what it printed. Nothing was allowed because of it.";
}
