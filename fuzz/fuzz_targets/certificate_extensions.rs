#![no_main]

scgate_fuzz::fuzz!("certificate_extensions");
