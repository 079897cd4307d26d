#![no_main]

scgate_fuzz::fuzz!("legacy_attestation");
