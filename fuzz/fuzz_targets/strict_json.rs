#![no_main]

scgate_fuzz::fuzz!("strict_json");
