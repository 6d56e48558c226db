//! Compares files that were delivered with those that are wanted, byte for byte through digests under a key of its own: the
//! name of a generation says what was written, not what stands there now. Changes nothing; what differs is written again by
//! the next plan. Values are opened for it and wiped after it. Called by [`super::files`].

use super::{Outcome, Run};
use crate::{
    delivery::{
        check,
        parcel::{File, Load as Shipment, Order},
    },
    engine::{self, Engine, Error, Kind, Op},
    plan::file_action::{Load, Place},
    state::files::FileUser,
};

impl<E: Engine> Run<'_, E> {
    /// Done when all is as it was delivered, and when a value cannot be opened now: nothing is known of it then.
    pub(super) async fn check(
        &self,
        holder: &str,
        user: FileUser,
        loads: &[Load],
    ) -> engine::Result<Outcome> {
        let wanted: engine::Result<Vec<Vec<File>>> =
            loads.iter().map(|load| self.bytes_of(load, holder)).collect();
        let Ok(wanted) = wanted else {
            return Ok(Outcome::Done);
        };
        let place = |load: &Load| Place {
            volume: load.volume.clone(),
            directory: load.directory.clone(),
        };
        let orders = loads.iter().map(|load| (place(load), Order::Look)).collect();
        let (parcel, shelves) = self.exchange(holder, orders).await?;
        let mut first = None;
        for ((load, files), shelf) in loads.iter().zip(wanted).zip(&shelves) {
            let shipment = Shipment {
                directory: load.directory.clone(),
                order: Order::Place {
                    generation: load.generation.clone(),
                    files,
                },
            };
            if let Err(unlike) = check::check(&shipment, &parcel.key, user.uid, user.gid, shelf) {
                self.book().distrust(std::slice::from_ref(&load.volume));
                self.book().pages().drifts.push(unlike.property());
                first.get_or_insert(unlike);
            }
        }
        first.map_or(Ok(Outcome::Done), |unlike| {
            let message =
                format!("delivered files were changed by somebody else, and are written again: {unlike}");
            Err(Error::new(Op::Deliver, holder, Kind::Failed, message))
        })
    }
}
