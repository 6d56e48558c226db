//! Delivery of files: what goes into the holder of a volume and what comes back, as values. A [`parcel::Parcel`] carries
//! files, [`receipt::Receipt`] says what the holder has, [`check`] whether that is what was sent, [`place`] how generations of
//! files are named and which are still needed. Pure: sending is `execute`'s, writing is `cli`'s (`deliver`, in the holder).

pub mod parcel;
pub mod receipt;
mod wire;
