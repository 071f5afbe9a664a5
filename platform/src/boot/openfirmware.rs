//! x
/// x
pub extern "C" fn start_from_firmware(client: u64, image: u64) -> ! {
    let _ = (client, image);
    loop {}
}
