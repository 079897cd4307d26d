#![no_main]

scgate_fuzz::fuzz!("managed_key");
