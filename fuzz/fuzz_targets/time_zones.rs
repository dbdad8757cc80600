#![no_main]

use coworking_analytics::fuzzing::DOORS;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (_, door) = DOORS.iter().find(|(name, _)| *name == "time_zones").expect("a door of this name");
    door(bytes);
});
