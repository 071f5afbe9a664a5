//! One process of the stress: rounds until its time is over.

use super::common::Common;
use super::fresh::Fresh;
use super::kept::Kept;
use super::page::Mark;
use super::{Failure, call};
use crate::compressible::mixed;
use crate::cpus::Cpus;
use crate::{Outcome, sys};

/// Units of memory that a round maps: two at least, and so many more at most.
const MORE_UNITS: u64 = 31;

/// What a worker has and has done.
struct Worker<'a> {
    number: usize,
    cpus: Cpus,
    kept: Kept,
    common: &'a Common,
}

/// Runs until `end`, by the monotonic clock.
pub fn run(number: usize, kept: u64, end: u64, common: &Common) -> Outcome {
    match start(number, kept, common).and_then(|mut worker| worker.rounds(end)) {
        Ok(()) => Outcome::Good,
        Err(why) => {
            why.report(number);
            Outcome::Bad
        }
    }
}

fn start(number: usize, kept: u64, common: &Common) -> Result<Worker<'_>, Failure> {
    let cpus = call("sched_getaffinity", Cpus::all())?;
    Ok(Worker { number, cpus, kept: Kept::map(kept, number)?, common })
}

impl Worker<'_> {
    fn rounds(&mut self, end: u64) -> Result<(), Failure> {
        let mut round = 1;
        while sys::monotonic() < end {
            let (verified, migrations) = self.round(round)?;
            self.common.add(verified, migrations);
            round += 1;
        }
        Ok(())
    }

    /// One round; pages verified, and how often another processor was reached.
    fn round(&mut self, round: u32) -> Result<(u64, u64), Failure> {
        let chance = mixed(u64::from(round) << 8 | self.number as u64);
        let units = usize::try_from(2 + (chance >> 32) % MORE_UNITS).unwrap_or(2);
        let mark = Mark { worker: self.number, round };
        let mut migrations = self.migrate(chance)?;
        let mut verified = self.kept.turn(chance >> 8, round)?;
        verified += self.common.turn(self.number, round)?;
        let fresh = call("mmap", Fresh::map(units, mark))?;
        migrations += self.migrate(chance >> 16)?;
        verified += fresh.verify("fresh, after a migration", 0..units)?;
        verified += fresh.copy()?;
        verified += fresh.read_only(units / 2)?;
        migrations += self.migrate(chance >> 24)?;
        verified += fresh.forget(units / 3)?;
        verified += fresh.verify("fresh, at the end", 0..units)?;
        verified += fresh.unmap()?;
        Ok((verified, migrations))
    }

    /// Goes to a processor by chance, and from time to time lets the kernel choose.
    fn migrate(&self, chance: u64) -> Result<u64, Failure> {
        let before = call("getcpu", sys::process::current())?;
        let (chance, free) = ((chance & 0xff) as u32, chance & 0xf0 == 0);
        if free {
            call("sched_setaffinity", self.cpus.release())?;
        } else {
            call("sched_setaffinity", self.cpus.go_to(chance))?;
        }
        Ok(u64::from(call("getcpu", sys::process::current())? != before))
    }
}
