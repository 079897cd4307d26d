#![no_main]

scgate_fuzz::fuzz!("layout_index");
