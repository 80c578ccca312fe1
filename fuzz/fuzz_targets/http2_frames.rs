#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ouli::http2::property::counting(input));
