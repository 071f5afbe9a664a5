//! Stores and loads [`Extended`], all at once.

use crate::extended::{Extended, Numbers};
use crate::spr::{live, number};
use core::arch::asm;

/// MMCR0\[FC\]: all counters stand still (bit 32).
const FREEZE: u64 = 1 << 31;

impl Extended {
    /// Takes the CPU's state. The performance monitor stands still afterwards; everything else in the CPU is as it was, so that going on without
    /// [`Extended::load`] is right but for that.
    ///
    /// `v31`: the processor has Power ISA 3.1.
    ///
    /// # Safety
    /// In hypervisor state, or as a guest's own hypervisor that may use every facility of the list: a facility that is denied would end in an
    /// interrupt that nobody expects.
    pub unsafe fn save(&mut self, v31: bool) {
        self.mmcr0 = live::read::<{ number::MMCR0 }>();
        freeze();
        self.monitor.save();
        self.facilities.save();
        self.ctrl = live::read::<{ number::CTRL }>();
        if v31 {
            self.since_v31.save()
        } else {
            self.only_v30.save()
        }
        // SAFETY: 1. the caller may use the facilities; 2. the structure is borrowed mutably, and laid out as asserted.
        unsafe { save_numbers(&mut self.numbers) }
    }

    /// Gives the CPU this state, whatever was in it before.
    ///
    /// # Safety
    /// As for [`Extended::save`]; and what the CPU held must have been saved, or belong to nobody any more. The caller runs with translation off and interrupts
    /// disabled: AMR and IAMR restrict storage accesses, and the performance monitor may have an interrupt waiting.
    pub unsafe fn load(&self, v31: bool) {
        freeze();
        // SAFETY: 1. the caller has given the CPU away; 2. the counters stand still until MMCR0 is written, which comes last.
        unsafe {
            self.monitor.load();
            self.facilities.load();
            live::write::<{ number::CTRL_WRITE }>(self.ctrl);
            if v31 {
                self.since_v31.load();
            } else {
                self.only_v30.load();
            }
            load_numbers(&self.numbers);
            clear_branch_history();
            live::write::<{ number::MMCR0 }>(self.mmcr0);
        }
        super::isync();
    }

    /// Has the performance monitor go on, which [`Extended::save`] stopped: the CPU holds the rest of this state still.
    ///
    /// # Safety
    /// As for [`Extended::load`].
    pub unsafe fn resume(&self) {
        // SAFETY: 1. the counters are the owner's own.
        unsafe { live::write::<{ number::MMCR0 }>(self.mmcr0) };
        super::isync();
    }
}

/// Stops the performance monitor, and takes back its interrupt if one waits.
fn freeze() {
    // SAFETY: 1. counters that stand still, and alerts that are off, change nothing else.
    unsafe { live::write::<{ number::MMCR0 }>(FREEZE) };
    super::isync();
}

/// `clrbhrb` (Power ISA 3.1B Book III chapter 11), as a number: it empties the Branch History Rolling Buffer.
///
/// # Safety
/// The facility must be permitted.
unsafe fn clear_branch_history() {
    // SAFETY: 1. the caller may use the facility; 2. nothing but that buffer changes.
    unsafe { asm!(".long 0x7c00035c", options(nomem, nostack, preserves_flags)) }
}

/// Instructions over all 64 VSRs, 16 bytes apart from `{at}` on.
macro_rules! all_vsrs {
    ($instruction:literal) => {
        concat!(".set n, 0\n.rept 64\n", $instruction, " n, 16*n({at})\n.set n, n + 1\n.endr")
    };
}

/// A function of its own, under a name that the check of the binary knows: everywhere else such instructions are an error.
///
/// # Safety
/// As for [`Extended::save`].
#[inline(never)]
unsafe fn save_numbers(into: &mut Numbers) {
    // SAFETY: 1. the caller may use the facilities, and MSR is put back; 2. every byte that is written lies in the structure, whose alignment stxv
    // and stfd need not even have; 3. VSR 0 is stored before FPR 0 and VR 0 are used, and loaded again: no register of the guest changes; 4. this
    // crate's code uses none of the registers, so none need be named as changed.
    unsafe {
        asm!(
            "mfmsr {old}",
            "oris {on}, {old}, 0x280",
            "ori {on}, {on}, 0x2000",
            "mtmsrd {on}",
            "isync",
            all_vsrs!("stxv"),
            "mffs 0",
            "stfd 0, 0x410({at})",
            "mfvscr 0",
            "stxv 32, 0x400({at})",
            "lxv 0, 0({at})",
            "lxv 32, 0x200({at})",
            "mtmsrd {old}",
            "isync",
            at = in(reg_nonzero) core::ptr::from_mut(into),
            old = out(reg) _,
            on = out(reg) _,
            options(nostack, preserves_flags)
        );
    }
}

/// A function of its own, as [`save_numbers`] is.
///
/// # Safety
/// As for [`Extended::load`].
#[inline(never)]
unsafe fn load_numbers(from: &Numbers) {
    // SAFETY: 1. the caller may use the facilities, and MSR is put back; 2. only the structure is read; 3. the caller has given the registers away.
    unsafe {
        asm!(
            "mfmsr {old}",
            "oris {on}, {old}, 0x280",
            "ori {on}, {on}, 0x2000",
            "mtmsrd {on}",
            "isync",
            "lfd 0, 0x410({at})",
            "mtfsf 0xff, 0, 1, 0",
            "lxv 32, 0x400({at})",
            "mtvscr 0",
            all_vsrs!("lxv"),
            "mtmsrd {old}",
            "isync",
            at = in(reg_nonzero) core::ptr::from_ref(from),
            old = out(reg) _,
            on = out(reg) _,
            options(nostack, preserves_flags)
        );
    }
}
