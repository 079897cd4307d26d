#![no_main]

scgate_fuzz::fuzz!("sct_list");
