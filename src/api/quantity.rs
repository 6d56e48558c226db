//! Kubernetes quantities as numbers: thousandths of a CPU, bytes.
//! Owns the grammar (`500m`, `0.5`, `1Gi`, `128e6`), exact comparison and rounding up, as `resource.Quantity` does; refuses negative values.
//! Never rewrites what the user wrote. Called by `validate.rs` and by whoever compares two quantities.

use super::schema::QuantityText;

/// A quantity in billionths, the finest that Kubernetes knows; anything finer is rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u128);

/// A text that is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not of the grammar.
    #[error("{0:?} is not a quantity: write a number such as 2, 0.5, 500m, 256Mi or 1Gi")]
    Malformed(String),
    /// Below zero.
    #[error("{0:?} is negative: write a number such as 2, 0.5, 500m, 256Mi or 1Gi")]
    Negative(String),
    /// Above 2^63 - 1 units.
    #[error("{0:?} is too large: the largest quantity is just below 8Ei")]
    TooLarge(String),
}

const NANOS: u128 = 1_000_000_000;
const MAX: u128 = (i64::MAX as u128) * NANOS;

impl Quantity {
    /// Parses a quantity exactly.
    ///
    /// # Errors
    /// When it is not of the grammar, negative, or above 2^63 - 1; the message names the value.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let malformed = || QuantityError::Malformed(text.to_owned());
        let too_large = || QuantityError::TooLarge(text.to_owned());
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let split = unsigned
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(split);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(malformed());
        }
        let (ten, two) = exponents(suffix).ok_or_else(malformed)?;
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{}{fraction}", whole.trim_start_matches('0'));
        let mantissa: u128 = match digits.trim_start_matches('0') {
            "" => return Ok(Self(0)),
            digits => digits.parse().map_err(|_| too_large())?,
        };
        if text.starts_with('-') {
            return Err(QuantityError::Negative(text.to_owned()));
        }
        let places = i32::try_from(fraction.len()).map_err(|_| malformed())?;
        let nanos =
            scale(mantissa, ten.saturating_sub(places).saturating_add(9), two).ok_or_else(too_large)?;
        if nanos > MAX {
            Err(too_large())
        } else {
            Ok(Self(nanos))
        }
    }

    /// Thousandths, rounded up: the unit of CPU limits.
    #[must_use]
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.div_ceil(NANOS / 1000)).unwrap_or(u64::MAX)
    }

    /// Whole units, rounded up: bytes of memory limits.
    #[must_use]
    pub fn units(self) -> u64 {
        u64::try_from(self.0.div_ceil(NANOS)).unwrap_or(u64::MAX)
    }
}

impl TryFrom<&QuantityText> for Quantity {
    type Error = QuantityError;

    fn try_from(text: &QuantityText) -> Result<Self, QuantityError> {
        Self::parse(&text.to_string())
    }
}

impl std::str::FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        Self::parse(text)
    }
}

/// The powers of ten and of two that a suffix stands for.
fn exponents(suffix: &str) -> Option<(i32, u32)> {
    let known = match suffix {
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "" => (0, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            (exponent.parse().ok()?, 0)
        }
    };
    Some(known)
}

/// `mantissa * 10^ten * 2^two`, rounded up; `None` when it does not fit.
fn scale(mantissa: u128, ten: i32, two: u32) -> Option<u128> {
    if ten >= 0 {
        let power = 10u128.checked_pow(ten.unsigned_abs())?;
        return mantissa.checked_mul(power)?.checked_mul(1u128.checked_shl(two)?);
    }
    // The two power first: 0.1Ki is 102.4, which rounding in the other order would lose. When that does not fit the
    // fraction has more digits than any quantity needs, and `TooLarge` is the honest answer.
    let shifted = mantissa.checked_mul(1u128.checked_shl(two)?)?;
    Some(
        10u128
            .checked_pow(ten.unsigned_abs())
            .map_or(1, |power| shifted.div_ceil(power)),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nanos(text: &str) -> u128 {
        Quantity::parse(text).expect(text).0
    }

    #[test]
    fn every_suffix_has_its_factor() {
        let decimal = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
        for (power, suffix) in decimal.iter().enumerate() {
            assert_eq!(
                nanos(&format!("3{suffix}")),
                3 * 1000u128.pow(u32::try_from(power).expect("small")),
                "{suffix}"
            );
        }
        for (power, suffix) in ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter().enumerate() {
            assert_eq!(
                nanos(&format!("3{suffix}")),
                3 * NANOS * 1024u128.pow(u32::try_from(power).expect("small") + 1)
            );
        }
    }

    #[test]
    fn equal_quantities_compare_equal_however_written() {
        for (one, other) in [
            ("1", "1000m"),
            ("0.5", "500m"),
            ("1Gi", "1024Mi"),
            ("128e6", "128M"),
            ("1E3", "1k"),
            (".5", "+0.50"),
            ("5.", "5"),
            ("1.5Gi", "1536Mi"),
            ("0.1Ki", "102.4"),
            ("-0", "0"),
        ] {
            assert_eq!(Quantity::parse(one), Quantity::parse(other), "{one} {other}");
        }
        assert!(nanos("1G") < nanos("1Gi"));
    }

    #[test]
    fn fractions_round_up() {
        assert_eq!(Quantity::parse("0.1m").map(Quantity::millis), Ok(1));
        assert_eq!(Quantity::parse("100m").map(Quantity::units), Ok(1));
        assert_eq!(Quantity::parse("1e-30").map(|quantity| quantity.0), Ok(1));
        assert_eq!(Quantity::parse("0.0000000001").map(|quantity| quantity.0), Ok(1));
    }

    #[test]
    fn nonsense_is_named_with_examples() {
        for text in [
            "", "m", "1 Gi", "1gi", "1GB", "--1", "1.2.3", "1e", "1e+", "0x10", "1e1.5", "½", "1Kii", ".",
        ] {
            let error = Quantity::parse(text).expect_err(text).to_string();
            assert!(
                error.contains(&format!("{text:?}")) && error.contains("256Mi"),
                "{error}"
            );
        }
        assert!(matches!(Quantity::parse("-1Gi"), Err(QuantityError::Negative(_))));
        for text in [
            "8Ei",
            "1e99",
            "99999999999999999999999999999999999999999",
            "1e2147483648",
            "9999999999999999999",
        ] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            Quantity::parse("9223372036854775807").map(Quantity::units),
            Ok(i64::MAX as u64)
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = Quantity::parse(&text);
        }

        #[test]
        fn whole_numbers_keep_their_value(number in 0u64..=i64::MAX as u64) {
            prop_assert_eq!(Quantity::parse(&number.to_string()).map(Quantity::units), Ok(number));
        }

        #[test]
        fn order_is_the_order_of_the_numbers(a in 0u32.., b in 0u32.., suffix in "(m|k|Ki|Mi|G|e3)?") {
            let (x, y) = (Quantity::parse(&format!("{a}{suffix}")), Quantity::parse(&format!("{b}{suffix}")));
            prop_assert_eq!(a.cmp(&b), x.expect("a quantity").cmp(&y.expect("a quantity")));
        }

        #[test]
        fn a_decimal_point_moves_like_thousandths(whole in 0u32..1_000_000, thousandths in 0u32..1000) {
            let pointed = Quantity::parse(&format!("{whole}.{thousandths:03}")).expect("a quantity");
            prop_assert_eq!(pointed.millis(), u64::from(whole) * 1000 + u64::from(thousandths));
        }
    }
}
