//! The way in through Open Firmware (SLOF or VOF): its device tree is read through the client interface (IEEE 1275-1994 chapter 6) and flattened, so
//! that everything behind this sees the one kind of tree; then the firmware is left for good.
//!
//! The firmware keeps the interrupt vectors at address 0 as long as it runs. So the head of our image comes to its place last, after
//! `quiesce`; the rest stands there already when this code runs.

use super::name::Name;
use crate::console::Console;
use crate::memory::index;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::fmt::Write;
use vm_fdt::FdtWriter;

/// Bytes of the head, which holds the vectors.
const HEAD: u64 = 0x1_0000;
/// Deepest nesting that is followed.
const DEEPEST: usize = 16;
/// Longest property that is copied; longer ones are of no use to us.
const LONGEST: usize = 4096;
/// Longest property name that a flattened tree of the specification has. PAPR's longer ones are none that we need.
const LONGEST_NAME: usize = 31;
/// `0xffff_ffff`: "no such thing", in every answer.
const NONE: u32 = u32::MAX;

/// The firmware's client interface.
struct Client {
    entry: u64,
}

/// An argument block: service, counts, arguments, results; big-endian words, below 4 GiB as all of the image and its stack.
#[repr(C, align(64))]
struct Block([u32; 3 + 8]);

/// The firmware's entry to Rust: `client` is its client interface, and `image` where it loaded us.
pub extern "C" fn start_from_firmware(client: u64, image: u64) -> ! {
    crate::memory::arm_stack_guards();
    crate::heap::init();
    let client = Client { entry: client };
    let tree = match client.flatten() {
        Ok(tree) => tree.leak(),
        Err(why) => client.give_up(why),
    };
    client.call::<0, 0>(c"quiesce", []);
    // SAFETY: 1. the firmware has stopped, so nobody needs what stood at 0; 2. the image's head lies where the firmware loaded it, above 4 MiB;
    // 3. nothing of Rust's lies in the head.
    unsafe { install_head(image) }
    crate::start((&raw const *tree).addr() as u64)
}

/// Copies the head to address 0.
///
/// # Safety
/// `image` is where the image was loaded, and nobody uses the first 64 KiB of memory.
unsafe fn install_head(image: u64) {
    let from: *const u8 = core::ptr::with_exposed_provenance(index(image));
    let to = crate::memory::head();
    // SAFETY: 1. the ranges do not overlap; 2. the caller says that both are as described.
    unsafe { ppc64_arch::cpu::copy(from, to, index(HEAD)) }
    ppc64_arch::cpu::sync_instructions(to, HEAD);
}

impl Client {
    /// Calls a service: its results, or `None` if the firmware does not know it.
    fn call<const ARGS: usize, const RESULTS: usize>(
        &self,
        service: &CStr,
        args: [u32; ARGS],
    ) -> Option<[u32; RESULTS]> {
        let mut block = Block([0; 3 + 8]);
        let head = [address(service.as_ptr())?, u32::try_from(ARGS).ok()?, u32::try_from(RESULTS).ok()?];
        for (word, value) in block.0.iter_mut().zip(head.iter().chain(&args)) {
            *word = value.to_be();
        }
        // SAFETY: 1. the firmware runs until `quiesce`, and its entry is the one that it gave us; 2. it writes the results of the block, and the buffers that
        // `args` names, which the callers own.
        let code = unsafe { crate::head::firmware_call((&raw mut block).addr() as u64, self.entry) };
        let mut results = [0; RESULTS];
        for (to, from) in results.iter_mut().zip(block.0.iter().skip(3 + ARGS)) {
            *to = u32::from_be(*from);
        }
        // The firmware works in 32 bits: the high half says nothing.
        (code & u64::from(u32::MAX) == 0).then_some(results)
    }

    /// The nodes beside and below: `peer` of 0 is the root. 0 is none.
    fn step(&self, service: &CStr, node: u32) -> Option<u32> {
        let [found] = self.call(service, [node])?;
        (found != 0 && found != NONE).then_some(found)
    }

    /// The property after `previous` ("" for the first).
    fn next_property(&self, node: u32, previous: &Name) -> Option<Name> {
        let mut name = Name::new();
        let [more] = self.call(c"nextprop", [node, address(previous.as_ptr())?, address(name.as_mut_ptr())?])?;
        (more == 1 && !name.is_empty()).then_some(name)
    }

    /// A property's value, if it is not too long.
    fn property(&self, node: u32, name: &Name) -> Option<Vec<u8>> {
        let mut value = alloc::vec![0; LONGEST];
        let room = u32::try_from(LONGEST).ok()?;
        let [length] = self.call(c"getprop", [node, address(name.as_ptr())?, address(value.as_mut_ptr())?, room])?;
        let length = length as usize;
        (length <= LONGEST).then(|| {
            value.truncate(length);
            value
        })
    }

    /// A node's name with its unit address: the last part of its path.
    fn name(&self, node: u32) -> Option<Name> {
        let mut path = Name::new();
        let [length] = self
            .call(c"package-to-path", [node, address(path.as_mut_ptr())?, u32::try_from(Name::CAPACITY - 1).ok()?])?;
        (length != NONE).then(|| path.after_last(b'/'))
    }

    /// The whole tree, flattened.
    fn flatten(&self) -> Result<Vec<u8>, &'static str> {
        let root = self.step(c"peer", 0).ok_or("its device tree has no root")?;
        let mut writer = FdtWriter::new().map_err(|_| "no tree can be made")?;
        self.copy_node(root, "", &mut writer, 0)?;
        writer.finish().map_err(|_| "its device tree cannot be flattened")
    }

    /// Copies a node and all below it. What has a name that cannot be written, or is nested too deep, is left out: nothing of ours lies there.
    fn copy_node(&self, node: u32, name: &str, to: &mut FdtWriter, depth: usize) -> Result<(), &'static str> {
        let open = to.begin_node(name).map_err(|_| "a node of its device tree cannot be copied")?;
        self.copy_properties(node, to)?;
        let mut child = if depth < DEEPEST { self.step(c"child", node) } else { None };
        while let Some(here) = child {
            if let Some(name) = self.name(here)
                && let Some(name) = name.as_str().filter(|name| is_wanted(name, depth))
            {
                self.copy_node(here, name, to, depth + 1)?;
            }
            child = self.step(c"peer", here);
        }
        to.end_node(open).map_err(|_| "a node of its device tree cannot be closed")
    }

    fn copy_properties(&self, node: u32, to: &mut FdtWriter) -> Result<(), &'static str> {
        let mut previous = Name::new();
        while let Some(name) = self.next_property(node, &previous) {
            if let Some(text) = name.as_str().filter(|text| text.len() <= LONGEST_NAME && !is_ours(text))
                && let Some(value) = self.property(node, &name)
            {
                to.property(text, &value).map_err(|_| "a property of its device tree cannot be copied")?;
            }
            previous = name;
        }
        Ok(())
    }

    /// Says why we cannot start, and ends. The console works without a device tree.
    fn give_up(&self, why: &str) -> ! {
        _ = writeln!(
            Console,
            "samewise: the firmware's client interface failed: {why}; start QEMU with -bios instead of -kernel"
        );
        self.call::<0, 0>(c"exit", []);
        crate::below::fail()
    }
}

/// Whether the tree below this node of the first level is needed; deeper nodes come with their parents.
fn is_wanted(name: &str, depth: usize) -> bool {
    const WANTED: [&str; 5] = ["chosen", "rtas", "cpus", "vdevice", "memory"];
    depth > 0 || WANTED.contains(&name.split('@').next().unwrap_or(name))
}

/// Properties that describe us, and would be taken for a guest's.
fn is_ours(name: &str) -> bool {
    name == "qemu,boot-kernel"
}

/// An address as the 32-bit word that the client interface takes.
fn address<T>(at: *const T) -> Option<u32> {
    u32::try_from(at.addr()).ok()
}
