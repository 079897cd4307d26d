#![no_main]

scgate_fuzz::fuzz!("timestamp");
