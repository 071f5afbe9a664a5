//! Starts the guest, as often as it asks for it, and says how it went.

use crate::below::Platform;
use crate::boot::fdt::Machine as Host;
use crate::boot::payload::Payload;
use crate::boot::refusal::Refusal;
use crate::boot::slots::{Part, Plan};
use crate::crew::{Crew, Home};
use crate::hardware::Machine as Hardware;
use crate::host::Around;
use crate::waker::Waker;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;
use hv_core::guest::cmdline::{MmuMode, Options};
use hv_core::guest::devtree::{self, GuestConfig, Translation};
use hv_core::guest::layout::{self, Layout, Wanted};
use hv_core::guest::machine::Settings;
use hv_core::guest::rtas::blob;
use hv_core::guest::vcpu::Entry;
use hv_core::guest::{Ended, GuestMemory, Host as _, Machine};
use hv_core::hash::pool::{FromPool, bytes_of};
use hv_core::hash::seat::sizes;
use hv_core::hash::{Parts, Tables};
use hv_core::mmu::{Config, Hashed, Memory, Seat, Space};
use ppc64_arch::addr::{GuestReal, LeafSize};
use ppc64_arch::hash::Shape;
use ppc64_arch::pvr;

/// The guest's partition. 0 is ours to leave alone: the L0 refuses it.
pub const LPID: u32 = 1;
/// What the guest's device tree may take at most.
const TREE_BYTES: u64 = LeafSize::Size64K.bytes();
/// Looks at the console a second, while the guest sleeps and the machine's console does not interrupt.
const CONSOLE_POLLS: u64 = 50;

/// A guest that can be started.
pub struct Guest<'m, P> {
    /// Its partition.
    lpid: u32,
    /// The machine's description, payload and options.
    host: &'m Host,
    payload: &'m Payload,
    plan: Plan,
    layout: Layout,
    config: GuestConfig,
    cpu: pvr::Cpu,
    platform: PhantomData<P>,
    /// It may measure.
    bench: bool,
    /// The size of a hash guest's table, as it is asked for.
    hpt: Option<Shape>,
}

impl<'m, P: Platform> Guest<'m, P> {
    /// Plans a guest in partition `lpid`, of what the machine and its command line say.
    ///
    /// # Errors
    /// [`Refusal`]: it cannot be.
    pub fn plan(
        lpid: u32,
        host: &'m Host,
        payload: &'m Payload,
        options: Options,
        room: &FromPool<'_, Hardware>,
        platform: &Around,
    ) -> Result<Self, Refusal> {
        let cpu = host.pvr.cpu().ok_or(Refusal::Processor(host.pvr))?;
        let free = room.spare();
        let hpt = hpt_shape(&options, options.memory_bytes.unwrap_or(free));
        let table = hpt.map_or(0, |shape| bytes_of(shape, Parts::heads_for(free)));
        let memory_bytes = memory_size(&options, free, table)?;
        // Whatever tables it asks for later, its memory is there.
        let promised = with_tables(options.budget.unwrap_or(memory_bytes));
        if !room.promise(promised) {
            return Err(Refusal::Memory { wanted: promised, most: free });
        }
        let layout = layout::arrange(&Wanted {
            memory_bytes,
            kernel_end: payload.image.end,
            tree_bytes: TREE_BYTES,
            initrd: payload.initrd.map(|bytes| (bytes.as_ptr().addr() as u64, bytes.len() as u64)),
        })?;
        let plan = Plan::new(payload, &layout, memory_bytes)?;
        let config = GuestConfig {
            memory_bytes,
            cpus: u32::try_from(options.cpus).unwrap_or(1),
            pvr: host.pvr,
            translation: Translation::Radix,
            decrementer_bits: host.decrementer_bits,
            timebase_hz: u32::try_from(host.timebase_hz).unwrap_or(u32::MAX),
            clock_hz: host.clock_hz,
            bootargs: options.bootargs,
            initrd: layout.initrd,
            rtas_base: layout.rtas,
            rtas_bytes: layout::RTAS_BYTES,
            console_interrupt: true,
            has_random: platform.random().is_some(),
            rng_seed: seed(platform),
        };
        Ok(Self { lpid, host, payload, plan, layout, config, cpu, platform: PhantomData, bench: options.bench, hpt })
    }

    /// Runs the guest at its home until it does not want to begin anew.
    ///
    /// # Errors
    /// [`Refusal`]: its memory could not be made.
    pub fn run(
        &mut self,
        crew: &Crew<'_, P>,
        home: Home<'_, '_>,
        waker: &Waker<'_>,
        platform: &Around,
    ) -> Result<Ended, Refusal> {
        let console_poll = self.listen();
        let Home { space, tables } = home;
        loop {
            self.is_at(home);
            let machine = Arc::new(crew.as_first(space, |seat| self.begin(seat, platform, console_poll, crew.len()))?);
            waker.serve(&machine);
            match crew.run(home, platform, &machine) {
                Ended::Reboot => {
                    defmt::info!("the guest begins anew");
                    tables.iter().for_each(|tables| tables.forget_resize());
                    crew.as_first(space, |seat| {
                        seat.with_cpu(|space, cpu| space.empty(cpu));
                        Ok(())
                    })?;
                    self.config.rng_seed = seed(platform);
                }
                ended => return Ok(ended),
            }
        }
    }

    /// Has its device tree say how its addresses are translated at this home: the last life's guest may have given its table another size.
    pub fn is_at(&mut self, Home { space, tables }: Home<'_, '_>) {
        if let Some(tables) = tables {
            let medium = space.granule().last_level() == LeafSize::Size64K;
            self.config.translation = Translation::Hash { shape: tables.shape(), sizes: sizes(medium) };
        }
    }

    /// Its memory, devices and processors before the first instruction, for so many CPUs.
    ///
    /// # Errors
    /// [`Refusal`]: its memory could not be made.
    pub fn begin(
        &self,
        seat: &Seat<'_, '_, Hardware>,
        platform: &Around,
        console_poll: Option<u64>,
        cpus: usize,
    ) -> Result<Machine, Refusal> {
        let entry = self.load(seat)?;
        Ok(Machine::new(self.settings(console_poll), self.lpid, entry, platform.timebase(), cpus))
    }

    /// The tables of a hash guest. They stay for good: the machine is switched off when the guest has ended.
    ///
    /// # Errors
    /// [`Refusal::HashTable`]: there is no room for one.
    pub fn tables<'h>(&self, room: &'h FromPool<'h, Hardware>) -> Result<Option<&'h Tables<'h, Hardware>>, Refusal> {
        let Some(shape) = self.hpt else { return Ok(None) };
        let tables = Tables::new(&room.memory().hardware, room, self.lpid, shape, self.config.memory_bytes);
        tables.map(|tables| Some(&*Box::leak(Box::new(tables)))).map_err(|_| Refusal::HashTable(shape.bytes()))
    }

    /// An empty space with the guest's slots; `tables` are what hardware walks of it, if it is a hash guest's.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn space<'h>(
        &self,
        memory: &'h Memory<Hardware>,
        options: &Options,
        tables: Option<&'h Tables<'h, Hardware>>,
    ) -> Result<Space<'h, Hardware>, Refusal> {
        let hashed = tables.map(|tables| -> &dyn Hashed { tables });
        let config = Config { granule: options.granule, budget: options.budget, hashed, ..Config::default() };
        let space = Space::build(memory, self.lpid, &config)?;
        self.plan.add_to(&space)?;
        Ok(space)
    }

    /// Writes what is neither zeros nor an image: unaligned parts of the kernel, the RTAS blob, the device tree.
    fn load(&self, seat: &Seat<'_, '_, Hardware>) -> Result<Entry, Refusal> {
        for Part { guest, bytes } in &self.plan.written {
            GuestMemory::write(seat, *guest, bytes)?;
            GuestMemory::make_fetchable(seat, *guest, bytes.len() as u64);
        }
        let rtas = GuestReal::new(u64::from(self.layout.rtas));
        GuestMemory::write(seat, rtas, &blob::image())?;
        GuestMemory::make_fetchable(seat, rtas, blob::BYTES as u64);
        GuestMemory::write(seat, GuestReal::new(self.layout.tree), &self.tree()?)?;
        let image = &self.payload.image;
        Ok(Entry { nip: image.entry, fdt: self.layout.tree, little_endian: image.little_endian })
    }

    fn tree(&self) -> Result<Vec<u8>, Refusal> {
        let tree = devtree::build(&self.config)?;
        if tree.len() as u64 > TREE_BYTES { Err(devtree::TreeError::TooLarge.into()) } else { Ok(tree) }
    }

    fn settings(&self, console_poll: Option<u64>) -> Settings {
        Settings {
            memory_bytes: self.config.memory_bytes,
            cpus: self.config.cpus,
            // Interrupts that come to the hypervisor move with the guest's own only where LPCR[HR] says radix.
            relocatable_vectors: self.hpt.is_some() || P::relocatable_vectors(self.cpu),
            bench: self.bench,
            isa_3_1: self.cpu.is_v31(),
            console_poll,
        }
    }

    /// Has the console interrupt us; if it cannot, how often to look.
    pub fn listen(&self) -> Option<u64> {
        let listens = P::listen(self.host);
        defmt::info!("the console interrupts: {=bool}", listens);
        (!listens).then_some(self.host.timebase_hz / CONSOLE_POLLS)
    }
}

/// The size of table that a guest with so much memory is given, if it is to have one.
fn hpt_shape(options: &Options, memory_bytes: u64) -> Option<Shape> {
    let asked = || options.hpt_bytes.and_then(|bytes| Shape::new(bytes.trailing_zeros()));
    (options.mmu == MmuMode::Hash).then(|| asked().unwrap_or_else(|| Shape::recommended(memory_bytes)))
}

/// What each guest takes beside its memory and its tables.
const OWN: u64 = 4 << 20;

/// Bytes of guest memory: what is asked for, or most of what is free but for a hashed table of `table` bytes, and a second one that it may ask for. A budget must be free, and the memory may be more than that.
fn memory_size(options: &Options, free: u64, table: u64) -> Result<u64, Refusal> {
    let most_of = |free: u64| (free - free / 256).saturating_sub(OWN) & !LeafSize::Size2M.offset_mask();
    let (asked, most) = (options.memory_bytes, most_of(free.saturating_sub(table)));
    match options.budget.or(asked) {
        Some(wanted) if wanted > most => Err(Refusal::Memory { wanted, most }),
        Some(wanted) => Ok(asked.unwrap_or(wanted)),
        None => match most_of(free.saturating_sub(2 * table)) {
            0 => Err(Refusal::NoFrames),
            most => Ok(most),
        },
    }
}

/// So many bytes of a guest's, and what it takes beside them. Tables of 4 KiB map 2 MiB each, so one in 256 is more than they take.
const fn with_tables(bytes: u64) -> u64 {
    bytes + bytes / 256 + OWN
}

/// 32 random bytes for the guest's kernel.
fn seed(platform: &Around) -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    for bytes in seed.chunks_exact_mut(8) {
        bytes.copy_from_slice(&platform.random()?.to_be_bytes());
    }
    Some(seed)
}
