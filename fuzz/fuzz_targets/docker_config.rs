#![no_main]

scgate_fuzz::fuzz!("docker_config");
