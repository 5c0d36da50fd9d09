#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::vendor_ranges_file(data));
