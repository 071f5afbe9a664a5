//! The bus under drivers that were written for any bus.

mod board;

use board::{Board, Eeprom, Port};
use eeprom24x::{Eeprom24x, SlaveAddr, Storage};
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{Error as _, ErrorKind, I2c, NoAcknowledgeSource, Operation};
use embedded_storage::{ReadStorage, Storage as _};
use opal_wire::i2c::{Bus, Error, Request, Shape};
use port_expander::dev::pca9554::Pca9554;

struct NoDelay;

impl DelayNs for NoDelay {
    fn delay_ns(&mut self, _: u32) {}
}

#[test]
fn an_eeprom_keeps_what_its_driver_writes_across_pages() {
    let mut board = Board::with(1, 0x52, Eeprom::new());
    let eeprom = Eeprom24x::new_24x32(Bus::new(1, &mut board), SlaveAddr::Alternative(false, true, false));
    let mut storage = Storage::new(eeprom, NoDelay);
    let pattern: Vec<u8> = (0..100).collect();
    storage.write(0x3f0, &pattern).expect("written");
    let mut found = vec![0; pattern.len() + 2];
    storage.read(0x3ef, &mut found).expect("read");
    assert_eq!(found[1..=pattern.len()], pattern);
    assert_eq!((found[0], found[101]), (0xff, 0xff), "its neighbours stay");
    let last = Request { bus: 1, address: 0x52, shape: Shape::ReadAt { width: 2, sub_address: 0x3ef, bytes: 102 } };
    assert_eq!(board.seen.last(), Some(&last));
}

#[test]
fn a_pin_is_driven_and_read_back_by_its_driver() {
    let mut board = Board::with(0x1e, 0x25, Port::new());
    let mut port = Pca9554::new(Bus::new(0x1e, &mut board), true, false, true);
    let mut pin = port.split().io7.into_output_high().expect("an output");
    for high in [false, true, false] {
        if high { pin.set_high() } else { pin.set_low() }.expect("driven");
        assert_eq!(pin.is_set_high().expect("kept"), high);
    }
    let mut input = [0];
    Bus::new(0x1e, &mut board).write_read(0x25, &[0], &mut input).expect("read");
    assert_eq!(input, [0x7f]);
}

#[test]
fn an_address_where_nobody_is_is_not_acknowledged_and_a_stuck_bus_is_something_else() {
    let mut board = Board::default();
    let error = Bus::new(1, &mut board).read(0x50, &mut [0]).expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown));
    let error = Bus::new(Board::STUCK, &mut board).read(0x50, &mut [0]).expect_err("stuck");
    assert_eq!((error, error.kind()), (Error::TimedOut, ErrorKind::Other));
}

#[test]
fn operations_of_one_kind_are_one_transfer_and_every_reader_gets_its_part() {
    let mut board = Board::with(1, 0x50, Eeprom::new());
    let mut bus = Bus::new(1, &mut board);
    bus.transaction(0x50, &mut [Operation::Write(&[0, 8]), Operation::Write(&[1, 2]), Operation::Write(&[3])])
        .expect("written");
    let (mut first, mut second) = ([0; 1], [0; 2]);
    bus.transaction(
        0x50,
        &mut [
            Operation::Write(&[0]),
            Operation::Write(&[8]),
            Operation::Read(&mut first),
            Operation::Read(&mut second),
        ],
    )
    .expect("read");
    assert_eq!((first, second), ([1], [2, 3]));
    assert_eq!(board.seen.len(), 2);
}

#[test]
fn nothing_moves_for_a_transaction_that_is_refused() {
    let mut board = Board::with(1, 0x50, Eeprom::new());
    let mut bus = Bus::new(1, &mut board);
    let mut byte = [0];
    assert_eq!(bus.transaction(0x50, &mut [Operation::Read(&mut byte), Operation::Write(&[1])]), Err(Error::Shape));
    assert_eq!(bus.write(0x50, &[]), Err(Error::Shape));
    assert_eq!(bus.write_read(0x50, &[0; 5], &mut byte), Err(Error::Shape));
    assert_eq!(bus.read(0x80, &mut byte), Err(Error::Address));
    assert_eq!(bus.transaction(0x50, &mut []), Ok(()), "no operation is nothing to do");
    assert!(board.seen.is_empty());
}
