#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ouli::ws::property::receiving(input));
