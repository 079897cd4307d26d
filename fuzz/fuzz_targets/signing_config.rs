#![no_main]

scgate_fuzz::fuzz!("signing_config");
