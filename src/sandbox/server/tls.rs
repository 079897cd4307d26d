//! The certificate of a server, by an authority made for it alone.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::ServerError;

/// Whether a server speaks TLS, and with which certificate. The authority is its own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Tls {
    /// Plain HTTP.
    #[default]
    Off,
    /// A good certificate for 127.0.0.1 and `localhost`.
    On,
    /// A certificate that expired long ago.
    Expired,
    /// A certificate for another name.
    OtherName,
}

impl Tls {
    /// The URL of a server at this address.
    pub(in crate::sandbox) fn url(self, address: SocketAddr) -> String {
        let scheme = match self {
            Self::Off => "http",
            Self::Expired | Self::On | Self::OtherName => "https",
        };
        format!("{scheme}://{address}")
    }
}

/// What to accept TLS with, and the authority's certificate in PEM. Nothing for plain HTTP.
pub(super) fn identity(kind: Tls) -> Result<Option<(TlsAcceptor, String)>, ServerError> {
    let names = match kind {
        Tls::Off => return Ok(None),
        Tls::Expired | Tls::On => vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
        Tls::OtherName => vec!["other.invalid".to_owned()],
    };
    let key = KeyPair::generate().map_err(ServerError::Certificate)?;
    let mut authority = CertificateParams::new(Vec::new()).map_err(ServerError::Certificate)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority
        .distinguished_name
        .push(DnType::CommonName, "scgate sandbox authority");
    let issuer = CertifiedIssuer::self_signed(authority, key).map_err(ServerError::Certificate)?;

    let key = KeyPair::generate().map_err(ServerError::Certificate)?;
    let mut server = CertificateParams::new(names).map_err(ServerError::Certificate)?;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server
        .distinguished_name
        .push(DnType::CommonName, "scgate sandbox server");
    if kind == Tls::Expired {
        server.not_before = rcgen::date_time_ymd(2020, 1, 1);
        server.not_after = rcgen::date_time_ymd(2020, 2, 1);
    }
    let certificate = server
        .signed_by(&key, &issuer)
        .map_err(ServerError::Certificate)?;

    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(ServerError::Tls)?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .map_err(ServerError::Tls)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some((TlsAcceptor::from(Arc::new(config)), issuer.pem())))
}
