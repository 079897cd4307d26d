//! The timestamp authority (RFC 3161 over HTTP), as timestamp-authority 2.1.3 answers.

use axum::http::StatusCode;
use axum::http::header;
use serde::Deserialize;
use serde_json::json;
use x509_parser::asn1_rs::Any;
use x509_parser::asn1_rs::Class;
use x509_parser::asn1_rs::FromDer;
use x509_parser::asn1_rs::Tag;

use super::World;
use super::fulcio::bytes;
use super::gojson;
use super::rekor1::accepted;
use super::rekor1::uncached;
use crate::sandbox::mint::HashKind;
use crate::sandbox::mint::TIMESTAMP_POLICY;
use crate::sandbox::mint::TimestampOrder;
use crate::sandbox::mint::pem;
use crate::sandbox::mint::random_serial;
use crate::sandbox::server::Answer;
use crate::sandbox::server::Asked;

const QUERY: &str = "application/timestamp-query";
const REPLY: &str = "application/timestamp-reply";
const CHAIN: &str = "application/pem-certificate-chain";

/// What is asked for.
#[derive(Debug, Eq, PartialEq)]
struct Query {
    hash: HashKind,
    imprint: Vec<u8>,
    /// The content bytes of an INTEGER.
    nonce: Option<Vec<u8>>,
    /// In dotted form.
    policy: Option<String>,
    certificates: bool,
}

/// Why a query gets no timestamp, in the words of the real authority.
const MALFORMED: &str = "Error generating timestamp response";
const WEAK: &str = "Weak hash algorithm in timestamp request";
const LENGTH: &str = "Message digest has incorrect length for specified algorithm";
const POLICY: &str = "unaccepted policy: requested TSA policy is not supported by the TSA";

const OID: &str = "OID should be comprised of at most 128 components";

/// The form in JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonQuery {
    artifact_hash: String,
    hash_algorithm: String,
    certificates: bool,
    nonce: Option<u64>,
    #[serde(rename = "tsaPolicyOID")]
    policy: Option<String>,
}

impl World {
    /// `POST /api/v1/timestamp`
    pub(super) fn timestamp(&self, asked: &Asked<'_>) -> Answer {
        let media_type = asked.headers.get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok());
        let whole = media_type.unwrap_or("application/octet-stream");
        let plain = whole.split(';').next().unwrap_or_default().trim();
        if !matches!(plain, QUERY | "application/json") {
            let message = format!(
                "unsupported media type {}, only [{QUERY} application/json] are allowed",
                json!(plain)
            );
            let body = json!({ "code": 415, "message": message });
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return uncached(Answer::json(status, "application/json", &body));
        }
        if asked.body.is_empty() {
            return uncached(super::rekor1::invalid(602, "request in body is required"));
        }
        if let Some(other) = accepted(asked).filter(|other| *other != REPLY) {
            return uncached(no_such_form(other));
        }
        let query = if whole == QUERY {
            parse(&asked.body)
        } else if plain == "application/json" {
            parse_json(&asked.body)
        } else {
            Err(MALFORMED)
        };
        let answer = match query.and_then(|query| self.stamp(&query, asked)) {
            Ok(reply) => Answer::body(StatusCode::OK, REPLY, reply),
            Err(message) => {
                let body = json!({ "code": 400, "message": message });
                Answer::json(StatusCode::BAD_REQUEST, REPLY, &body)
            }
        };
        uncached(answer)
    }

    fn stamp(&self, query: &Query, asked: &Asked<'_>) -> Result<Vec<u8>, &'static str> {
        let mut order = TimestampOrder::new(self.clock.second());
        order.hash = query.hash;
        order.nonce.clone_from(&query.nonce);
        order.serial = Some(random_serial().map_err(|_| MALFORMED)?);
        if query
            .policy
            .as_deref()
            .is_some_and(|own| own != TIMESTAMP_POLICY)
        {
            return Err(POLICY);
        }
        if query.certificates {
            order.certificates = vec![self.mint.tsa.leaf.certificate.clone()];
        }
        self.bend_timestamp(&mut order, asked);
        order
            .stamp_hash(&self.mint.tsa, &query.imprint)
            .map_err(|_| MALFORMED)
    }

    /// `GET /api/v1/timestamp/certchain`
    pub(super) fn timestamp_chain(&self, asked: &Asked<'_>) -> Answer {
        if let Some(other) = accepted(asked).filter(|other| *other != CHAIN) {
            return no_such_form(other);
        }
        let chain: String = [&self.mint.tsa.leaf, &self.mint.tsa.root]
            .iter()
            .map(|one| pem("CERTIFICATE", &one.certificate))
            .collect();
        Answer::body(StatusCode::OK, CHAIN, chain)
            .with(header::CACHE_CONTROL, "max-age=86400, immutable")
    }
}

/// An answer in a form that the authority cannot write, over which the real one stumbles.
fn no_such_form(media_type: &str) -> Answer {
    Answer::new(StatusCode::INTERNAL_SERVER_ERROR).with(header::CONTENT_TYPE, media_type)
}

/// Reads a `TimeStampReq` (RFC 3161, section 2.4.1).
fn parse(body: &[u8]) -> Result<Query, &'static str> {
    let malformed = |_| MALFORMED;
    let (rest, request) = Any::from_der(body).map_err(malformed)?;
    if !rest.is_empty() || request.tag() != Tag::Sequence {
        return Err(MALFORMED);
    }
    let (rest, version) = Any::from_der(request.data).map_err(malformed)?;
    let (mut rest, imprint) = Any::from_der(rest).map_err(malformed)?;
    if version.tag() != Tag::Integer || imprint.tag() != Tag::Sequence {
        return Err(MALFORMED);
    }
    let (after, algorithm) = Any::from_der(imprint.data).map_err(malformed)?;
    let (_, oid) = Any::from_der(algorithm.data).map_err(malformed)?;
    let (_, value) = Any::from_der(after).map_err(malformed)?;
    let oid = oid.oid().map_err(|_| MALFORMED)?.to_id_string();
    let mut query = imprint_of(&oid, value.data.to_vec())?;
    while !rest.is_empty() {
        let (after, field) = Any::from_der(rest).map_err(malformed)?;
        match (field.class(), field.tag()) {
            (Class::Universal, Tag::Oid) => {
                let oid = field.oid().map_err(|_| MALFORMED)?;
                query.policy = Some(oid.to_id_string());
            }
            (Class::Universal, Tag::Integer) => query.nonce = Some(field.data.to_vec()),
            (Class::Universal, Tag::Boolean) => query.certificates = field.data != [0],
            (Class::ContextSpecific, _) => (),
            (_, _) => return Err(MALFORMED),
        }
        rest = after;
    }
    Ok(query)
}

/// Reads the form in JSON.
fn parse_json(body: &[u8]) -> Result<Query, &'static str> {
    let value = gojson::plain(body)
        .map_err(|_| MALFORMED)?
        .ok_or(MALFORMED)?;
    let query: JsonQuery = serde_json::from_value(value).map_err(|_| MALFORMED)?;
    let oid = match query.hash_algorithm.as_str() {
        "sha1" => HashKind::Sha1.oid(),
        "sha256" => HashKind::Sha256.oid(),
        "sha384" => HashKind::Sha384.oid(),
        "sha512" => HashKind::Sha512.oid(),
        _ => return Err(MALFORMED),
    };
    let imprint = bytes(&query.artifact_hash).ok_or(MALFORMED)?;
    let policy = query.policy.filter(|policy| !policy.is_empty());
    let is_oid = |text: &String| {
        let mut arcs = text.split('.');
        text.contains('.') && arcs.all(|arc| arc.parse::<u32>().is_ok())
    };
    if policy.as_ref().is_some_and(|policy| !is_oid(policy)) {
        return Err(OID);
    }
    let nonce = query.nonce.map(|nonce| {
        let bytes: Vec<u8> = nonce
            .to_be_bytes()
            .into_iter()
            .skip_while(|b| *b == 0)
            .collect();
        match bytes.first() {
            Some(first) if *first < 0x80 => bytes,
            _ => [vec![0], bytes].concat(),
        }
    });
    Ok(Query {
        nonce,
        policy,
        certificates: query.certificates,
        ..imprint_of(oid, imprint)?
    })
}

fn imprint_of(oid: &str, imprint: Vec<u8>) -> Result<Query, &'static str> {
    let known = [HashKind::Sha256, HashKind::Sha384, HashKind::Sha512];
    let Some(hash) = known.into_iter().find(|hash| hash.oid() == oid) else {
        let is_weak = oid == HashKind::Sha1.oid();
        return Err(if is_weak { WEAK } else { MALFORMED });
    };
    if imprint.len() != hash.of(&[]).len() {
        return Err(LENGTH);
    }
    Ok(Query {
        hash,
        imprint,
        nonce: None,
        policy: None,
        certificates: false,
    })
}
