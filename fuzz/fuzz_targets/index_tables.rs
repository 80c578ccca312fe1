#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ouli::replay::shelf::property::looking_up(input));
