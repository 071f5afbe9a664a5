//! Where interrupts arrive on bare metal.
//!
//! The head's vectors report whatever arrives there, as is right for a hypervisor that runs with interrupts off. Vectors at which a guest's exits arrive are made to
//! branch to [`super::switch`] instead, once it is known that this is bare metal: with a hypervisor below they would use registers that do not exist there.

use ppc64_arch::cpu;
use ppc64_arch::trap::vector;

unsafe extern "C" {
    fn exit_reset();
    fn exit_machine_check();
    fn exit_external();
    fn exit_hdec();
    fn exit_call();
    fn exit_data();
    fn exit_fetch();
    fn exit_emulation();
    fn exit_maintenance();
    fn exit_doorbell();
    fn exit_virtualization();
    fn exit_facility();
}

/// Which vector goes where.
const EXITS: [(u64, unsafe extern "C" fn()); 12] = [
    (vector::SYSTEM_RESET, exit_reset),
    (vector::MACHINE_CHECK, exit_machine_check),
    (vector::EXTERNAL, exit_external),
    (vector::HDEC, exit_hdec),
    (vector::HCALL, exit_call),
    (vector::HDSI, exit_data),
    (vector::HISI, exit_fetch),
    (vector::HEAI, exit_emulation),
    (vector::HMI, exit_maintenance),
    (vector::HDOORBELL, exit_doorbell),
    (vector::HVIRT, exit_virtualization),
    (vector::HFU, exit_facility),
];

/// Has a guest's exits arrive where they belong.
pub fn install() {
    super::switch::arm(0);
    for (vector, target) in EXITS {
        let target = (target as *const ()).addr() as u64;
        write(vector, branch(vector, target));
    }
}

/// Replaces an instruction of the vectors or of the world switch.
pub fn write(at: u64, instruction: u32) {
    let at: *mut u32 = core::ptr::with_exposed_provenance_mut(crate::memory::index(at));
    // SAFETY: 1. the code is this image's own; 2. nothing fetches it meanwhile: no guest runs, and interrupts are off.
    unsafe { at.write_volatile(instruction) }
    cpu::sync_instructions(at.cast(), 4);
}

/// `b target` for the instruction at `at`.
pub fn branch(at: u64, target: u64) -> u32 {
    const B: u32 = 18 << 26;
    const REACH: u32 = 0x03ff_fffc;
    let distance = u32::try_from(target.wrapping_sub(at) & u64::from(REACH)).unwrap_or(0);
    debug_assert!(target.abs_diff(at) < 1 << 25, "the image is smaller than a branch reaches");
    B | distance
}

/// Has this CPU's interrupts arrive in little-endian mode: HID0\[HILE\], bit 4 on POWER9 and POWER10. Firmware does the same to all CPUs when asked.
pub fn be_host() {
    const HID0: u32 = 1008;
    let hile = ppc64_arch::bits::bit(4);
    // SAFETY: 1. hypervisor state; 2. the vectors are written for it; 3. synchronised as the manual wants it for HID0.
    unsafe {
        core::arch::asm!(
            "mfspr {value}, {hid0}",
            "or {value}, {value}, {hile}",
            "sync",
            "mtspr {hid0}, {value}",
            "isync",
            value = out(reg) _, hile = in(reg) hile, hid0 = const HID0,
            options(nostack, preserves_flags)
        )
    }
}
