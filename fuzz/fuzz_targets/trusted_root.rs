#![no_main]

scgate_fuzz::fuzz!("trusted_root");
