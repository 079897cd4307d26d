#![no_main]

scgate_fuzz::fuzz!("checkpoint_text");
