//! Delivery of files: what goes into the holder of a volume and what comes back, as values. A [`parcel::Parcel`] carries
//! files, a [`receipt::Receipt`] says what the holder has, [`mod@check`] whether that is what was sent, and [`place`] how
//! generations of files are named and which of them are still needed. Pure: sending is `execute`'s, and writing is
//! that of `shelf`, in the holder or in a directory of the host.

pub mod check;
pub mod parcel;
pub mod place;
pub mod receipt;
mod wire;
