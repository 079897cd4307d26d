#![no_main]

scgate_fuzz::fuzz!("log_body");
