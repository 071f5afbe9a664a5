//! Devices that a self-test is told to find, on a command line: `BUS:ADDRESS[:DRIVER]`, with commas between; numbers are hexadecimal.
//!
//! Only a device whose driver is named is written to: what an address alone means, only the person who knows the board can say.

use alloc::vec::Vec;

/// Drivers that a self-test has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// An LED driver of 16 outputs.
    Pca9552,
    /// A port of eight pins.
    Pca9554,
    /// An EEPROM of 4 KiB with pages of 32 bytes: 24c32, at24c32.
    Eeprom24c32,
}

/// A device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The firmware's number for its bus.
    pub bus: u32,
    /// Its address, seven bits.
    pub address: u8,
    /// What it is driven with.
    pub driver: Option<Driver>,
}

/// The item that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed<'a>(pub &'a str);

/// Reads a list; an empty one has no devices.
///
/// # Errors
/// [`Malformed`].
pub fn expected(list: &str) -> Result<Vec<Expected>, Malformed<'_>> {
    let items = list.split(',').filter(|item| !item.is_empty());
    items.map(|item| device(item).ok_or(Malformed(item))).collect()
}

fn device(item: &str) -> Option<Expected> {
    let mut parts = item.split(':');
    let bus = hexadecimal(parts.next()?)?;
    let address = u8::try_from(hexadecimal(parts.next()?)?).ok().filter(|address| *address < 0x80)?;
    let driver = match parts.next() {
        Some(name) => Some(driver(name)?),
        None => None,
    };
    parts.next().is_none().then_some(Expected { bus, address, driver })
}

fn driver(name: &str) -> Option<Driver> {
    Some(match name {
        "pca9552" => Driver::Pca9552,
        "pca9554" => Driver::Pca9554,
        "24c32" => Driver::Eeprom24c32,
        _ => return None,
    })
}

/// A number without a sign.
fn hexadecimal(text: &str) -> Option<u32> {
    text.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u32::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_device_is_a_bus_an_address_and_perhaps_a_driver() {
        let [bare, driven] = [None, Some(Driver::Pca9552)].map(|driver| Expected { bus: 0x1e, address: 0x63, driver });
        assert_eq!(expected("1e:63,1e:63:pca9552").as_deref(), Ok(&[bare, driven][..]));
        assert_eq!(expected("1:50:24c32,").map(|list| list.len()), Ok(1));
        assert_eq!(expected(""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_not_a_device_is_named() {
        for bad in
            ["1e", "1e:80", ":50", "1e:", "1e:50:", "1e:50:lm75", "1e:63:pca9552:x", "+1:50", "x:50", "123456789:50"]
        {
            assert_eq!(expected(bad), Err(Malformed(bad)));
        }
        assert_eq!(expected("1:50,2"), Err(Malformed("2")));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = expected(&text);
        }
    }
}
