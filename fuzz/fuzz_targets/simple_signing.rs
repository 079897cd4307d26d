#![no_main]

scgate_fuzz::fuzz!("simple_signing");
