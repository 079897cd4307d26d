#![no_main]

scgate_fuzz::fuzz!("identity_token");
