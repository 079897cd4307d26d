//! The files that clients of a sandbox are given.

use super::Sandbox;
use super::mint::LogVersion;
use super::mint::pem;
use super::registry::Registry;

impl Sandbox {
    /// Everything that a client may need to sign here and to verify what was signed: name and
    /// content. [`super::Config`] says what `signing_config.json` names.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, Vec<u8>)> {
        let (log, stamps) = self.named;
        let mint = self.mint();
        let certificate = |der: &[u8]| pem("CERTIFICATE", der);
        let root = certificate(&mint.fulcio.root.certificate);
        let intermediate = certificate(&mint.fulcio.intermediate.certificate);
        let stamp_chain = [&mint.tsa.leaf, &mint.tsa.root];
        let stamp_chain: String = stamp_chain
            .iter()
            .map(|one| certificate(&one.certificate))
            .collect();
        let chain = format!("{intermediate}{root}");
        let mut files = vec![
            ("trusted_root.json", self.trusted_root()),
            ("signing_config.json", self.signing_config(log, stamps)),
            (
                "signing_config_rekor_v1.json",
                self.signing_config(LogVersion::V1, stamps),
            ),
            (
                "signing_config_rekor_v2.json",
                self.signing_config(LogVersion::V2, stamps),
            ),
            ("root.json", self.tuf_root()),
            ("fulcio_chain.pem", chain.into_bytes()),
            ("fulcio_intermediate.pem", intermediate.into_bytes()),
            ("fulcio_root.pem", root.into_bytes()),
            ("tsa_chain.pem", stamp_chain.into_bytes()),
            ("ctfe.pub", mint.ct.key.public_pem().into_bytes()),
            ("rekor.pub", mint.rekor1.key.public_pem().into_bytes()),
            ("rekor2.pub", mint.rekor2.key.public_pem().into_bytes()),
        ];
        if let Some(ca) = self.registry().and_then(Registry::ca_pem) {
            files.push(("registry_ca.pem", ca.as_bytes().to_vec()));
        }
        files
    }
}
