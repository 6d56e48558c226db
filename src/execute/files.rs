//! Does what a plan says about delivered files: holders and their volumes, one exec that writes or looks, and the look
//! through the container's own mount. What was found is kept in a [`Book`] for the next plan; no bytes are. Decides nothing.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use tokio::io::AsyncWriteExt;

use super::{Book, Outcome, Run, Skipped, user};
use crate::{
    api::keys::label,
    delivery::{
        check,
        parcel::{File, Load as Shipment, Order, Parcel},
        receipt::{Receipt, Shelf},
    },
    engine::{self, Engine, Error, Kind, LabelFilter, LogChunk, Op},
    plan::file_action::{FileAction, Load, Place, Sight},
    seal::{DigestKey, Plaintext, SystemEntropy},
    state::{
        container::{ContainerId, ContainerSpec, ContainerView, RunState},
        files::{Delivered, FileUser, Holder, Shown, UserLookup, on_host},
        plaintext::SecretEnv,
        protected,
    },
};

/// How long one exec in a holder, or the same in a directory of the host, may take.
pub(super) const EXEC: Duration = Duration::from_secs(30);
/// The longest answer of a holder.
const LONGEST_ANSWER: usize = 4 << 20;
/// What is told of a volume that was not filled whole, or that somebody has changed.
const OTHER_PROGRAM: &str = "the program that sets protected variables was not whole in its volume, so that both were removed to be made \
     again; if this stays, a container that another operator made has the volume of the holder's label \
     supercargo.dev/program: remove it";
/// How many bytes go into one exec: well below what a parcel may have.
const BATCH: usize = 3 << 20;

impl<E: Engine> Run<'_, E> {
    pub(super) async fn files(
        &self,
        action: &FileAction,
        made: Option<&ContainerId>,
    ) -> engine::Result<Outcome> {
        match action {
            FileAction::FindUser { lookup, spec } => self.find_user(lookup, spec).await,
            FileAction::EnsureHolder { spec } => self.ensure_holder(spec).await,
            FileAction::EnsureRecord {
                path,
                labels,
                holds,
                volumes,
                spec,
            } => self.ensure_record(path, (labels, holds), volumes, spec).await,
            FileAction::StartHolder { name, .. } if on_host(name) => self.restore_record(name).await,
            FileAction::RemoveHolder { name, .. } if on_host(name) => self.remove_record(name).await,
            FileAction::RemoveVolumes { volumes } if volumes.iter().any(|v| on_host(v)) => {
                self.remove_directories(volumes).await
            }
            FileAction::StartHolder { id, .. } => self.start_holder(id).await,
            FileAction::RemoveHolder { id, .. } => self.remove_holder(id).await,
            FileAction::RemoveVolumes { volumes } => self.remove_volumes(volumes).await,
            FileAction::Deliver {
                holder, user, loads, ..
            } => self.deliver(holder, *user, loads).await,
            FileAction::Check { holder, user, loads } => self.check(holder, *user, loads).await,
            FileAction::Look { holder, places } => {
                let orders = places.iter().map(|place| (place.clone(), Order::Look));
                self.exchange(holder, orders.collect()).await?;
                Ok(Outcome::Done)
            }
            FileAction::NoteTold {
                holder,
                place,
                generation,
            } => {
                let generation = generation.clone();
                self.exchange(holder, vec![(place.clone(), Order::Told { generation })])
                    .await?;
                Ok(Outcome::Done)
            }
            FileAction::Confirm { target, sights, .. } => {
                let id = target.as_ref().map(|target| &target.id).or(made);
                match id {
                    Some(id) => self.confirm(id, sights).await,
                    None => Ok(Outcome::Skipped(Skipped::Gone)),
                }
            }
            FileAction::Signal { target, signal } => {
                match self.engine().signal_container(&target.id, signal).await {
                    // It has ended: the next run reads what is there.
                    Err(error) if error.kind == Kind::Conflict => Ok(Outcome::Done),
                    other => other.map(|()| Outcome::Done),
                }
            }
        }
    }

    fn is_our_holder(&self, view: &ContainerView) -> bool {
        view.label(label::INSTANCE) == self.owner.instance.as_str()
            && view.label(label::HOLDS_FOR) == self.owner.uid
    }

    /// A holder by id or name, when it is ours.
    pub(super) async fn holder(&self, id_or_name: &str) -> engine::Result<Option<ContainerView>> {
        match self.engine().inspect_container(id_or_name).await {
            Ok(view) => {
                self.touch(&view.id);
                Ok(self.is_our_holder(&view).then_some(view))
            }
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn ensure_holder(&self, spec: &ContainerSpec) -> engine::Result<Outcome> {
        // The first one fills the volume of the program: none may come, and none may be swept, while it does.
        let _turn = match spec.labels.get(label::PROGRAM) {
            Some(program) => {
                let turn = self.executor.programs.lock().await;
                self.ensure_program(program).await?;
                Some(turn)
            }
            None => None,
        };
        let id = match self.create(spec).await {
            Ok(Ok(id)) => id,
            Ok(Err(Outcome::Foreign { id })) => match self.holder(id.as_str()).await? {
                Some(view) if view.state == RunState::Running => {
                    return Ok(Outcome::Skipped(Skipped::Running));
                }
                Some(view) => view.id,
                None => return Ok(Outcome::Foreign { id }),
            },
            Ok(Err(other)) => return Ok(other),
            // The image first; one at a time brings it.
            Err(error) if error.kind == Kind::NotFound => {
                let _turn = self.executor.agents.lock().await;
                self.make_agent(spec).await?
            }
            Err(error) => return Err(error),
        };
        self.touch(&id);
        let started = self.start(&id).await;
        if started
            .as_ref()
            .is_err_and(|error| error.kind == Kind::MountRefused)
        {
            // The next plan wants volumes without it, under other names.
            self.book().pages().noswap = Some(false);
        }
        started.map(|()| Outcome::Done)
    }

    async fn start_holder(&self, id: &ContainerId) -> engine::Result<Outcome> {
        if self.holder(id.as_str()).await?.is_none() {
            return Ok(Outcome::Skipped(Skipped::Gone));
        }
        self.start(id).await?;
        Ok(Outcome::Done)
    }

    async fn remove_holder(&self, id: &ContainerId) -> engine::Result<Outcome> {
        self.touch(id);
        if let Some(view) = self.holder(id.as_str()).await? {
            self.engine().remove_container(id, true).await?;
            let has_program = !view.label(label::PROGRAM).is_empty();
            // What was seen of what it wrote says nothing about what another one will write.
            let held = Holder::of(view).volumes;
            self.book().forget_contents(|volume| held.contains_key(volume));
            if has_program {
                self.sweep_programs().await?;
            }
        }
        Ok(Outcome::Done)
    }

    async fn remove_volumes(&self, volumes: &[String]) -> engine::Result<Outcome> {
        let filter = LabelFilter {
            key: label::HOLDS_FOR.to_owned(),
            value: self.owner.uid.clone(),
        };
        // One that is in use keeps none of the others: nobody asks for them again.
        let mut ended = Ok(());
        for ours in self.engine().list_volumes(&filter).await? {
            if volumes.contains(&ours.name) {
                ended = ended.and(self.engine().remove_volume(&ours.name).await);
            }
        }
        ended?;
        self.book().forget_volumes(volumes);
        Ok(Outcome::Done)
    }

    pub(super) fn book(&self) -> &Book {
        &self.executor.files
    }

    async fn deliver(&self, holder: &str, user: FileUser, loads: &[Load]) -> engine::Result<Outcome> {
        let mut batch = Vec::new();
        let mut size = 0;
        for load in loads {
            let files = self.bytes_of(load, holder)?;
            let more: usize = files.iter().map(|file| file.bytes.len() + file.path.len()).sum();
            if size + more > BATCH {
                self.deliver_batch(holder, user, std::mem::take(&mut batch))
                    .await?;
                size = 0;
            }
            size += more;
            batch.push((load, files));
        }
        self.deliver_batch(holder, user, batch).await?;
        Ok(Outcome::Done)
    }

    async fn deliver_batch(
        &self,
        holder: &str,
        user: FileUser,
        batch: Vec<(&Load, Vec<File>)>,
    ) -> engine::Result<()> {
        let mut orders = Vec::new();
        for (load, files) in batch {
            let place = Place {
                volume: load.volume.clone(),
                directory: load.directory.clone(),
            };
            let generation = load.generation.clone();
            orders.push((place.clone(), Order::Place { generation, files }));
            if load.quiet {
                let generation = load.generation.clone();
                orders.push((place, Order::Told { generation }));
            }
        }
        let volumes: Vec<String> = orders.iter().map(|(place, _)| place.volume.clone()).collect();
        let (parcel, shelves) = self.exchange(holder, orders).await?;
        for (load, shelf) in parcel.loads.iter().zip(&shelves) {
            if let Order::Place { .. } = load.order
                && let Err(unlike) = check::check(load, &parcel.key, user.uid, user.gid, shelf)
            {
                self.book().distrust(&volumes);
                let message = format!("what was written was not found again: {unlike}");
                return Err(Error::new(Op::Deliver, holder, Kind::Failed, message));
            }
        }
        Ok(())
    }

    pub(super) fn bytes_of(&self, load: &Load, holder: &str) -> engine::Result<Vec<File>> {
        let file = |slot: &crate::state::files::FileSlot| {
            let bytes = self.env.get(&slot.slot).ok_or_else(|| {
                let message = format!("the value of {} is not at hand any more", slot.path);
                Error::new(Op::Deliver, holder, Kind::Failed, message)
            })?;
            Ok(File {
                path: slot.path.clone(),
                mode: slot.mode,
                bytes: Plaintext::new(bytes.expose().to_vec()),
            })
        };
        load.files.iter().map(file).collect()
    }

    /// One exec in a holder: orders in, what is there out; it is noted in the book.
    pub(super) async fn exchange(
        &self,
        holder: &str,
        orders: Vec<(Place, Order)>,
    ) -> engine::Result<(Parcel, Vec<Shelf>)> {
        let fail = |message: String| Error::new(Op::Deliver, holder, Kind::Failed, message);
        let key = DigestKey::new(&mut SystemEntropy).map_err(|error| fail(error.to_string()))?;
        let (places, loads): (Vec<Place>, Vec<Shipment>) = orders
            .into_iter()
            .map(|(place, order)| {
                let directory = place.directory.clone();
                (place, Shipment { directory, order })
            })
            .unzip();
        let parcel = Parcel { key, loads };
        if on_host(holder) {
            let (held, parcel, shelves) = self.write_on_host(holder, parcel).await?;
            if let Some(started_at) = held.started_at {
                self.note(&held.id, started_at, &places, &shelves);
            }
            return Ok((parcel, shelves));
        }
        let view = self.holder(holder).await?;
        let view = view.ok_or_else(|| fail("the holder of the files is not there".to_owned()))?;
        let talk = tokio::time::timeout(EXEC, self.talk(&view, &parcel));
        let answer = talk.await.unwrap_or_else(|_late| {
            Err(fail(format!(
                "the holder did not answer within {} s",
                EXEC.as_secs()
            )))
        });
        if answer.as_ref().is_err_and(|error| error.message == OTHER_PROGRAM) {
            // An engine that was killed as it filled the volume fills it no second time. Once for each connection to it: what
            // comes back as it was needs a person.
            if self.book().pages().unmade.insert(view.name.clone()) {
                self.remove_holder(&view.id).await?;
            }
        }
        let answer = answer?;
        if answer.shelves.len() != places.len() {
            return Err(fail("the holder answered about something else".to_owned()));
        }
        if let Some(started_at) = view.started_at {
            self.note(&view.id, started_at, &places, &answer.shelves);
        }
        Ok((parcel, answer.shelves))
    }

    fn note(&self, holder: &ContainerId, started_at: Timestamp, places: &[Place], shelves: &[Shelf]) {
        let mut pages = self.book().pages();
        for (place, shelf) in places.iter().zip(shelves) {
            let found = Delivered {
                holder: holder.clone(),
                started_at,
                generation: shelf.generation.clone().filter(|_| shelf.tmpfs),
                told: shelf.told.clone(),
            };
            pages.delivered.insert(place.volume.clone(), found);
        }
    }

    async fn talk(&self, holder: &ContainerView, parcel: &Parcel) -> engine::Result<Receipt> {
        let fail = |message: String| Error::new(Op::Deliver, &holder.name, Kind::Failed, message);
        let command = ["/supercargo", "deliver"].map(str::to_owned);
        let engine::Session {
            mut output,
            mut input,
        } = self.engine().attach(&holder.id, &command).await?;
        let bytes = parcel.to_bytes();
        // A holder that ends early does not read to the end: what it says tells why, not the broken pipe. The input stays
        // open, as a parcel says how long it is: not everything between us and the engine can close one direction alone.
        let write = async {
            let _ = input.write_all(&bytes).await;
            let _ = input.flush().await;
        };
        let read = async move {
            let (mut said, mut complaint) = (Vec::new(), Vec::new());
            while let Some(chunk) = output.next().await {
                match chunk? {
                    LogChunk::Stdout(bytes) => said.extend_from_slice(&bytes),
                    LogChunk::Stderr(bytes) => complaint.extend_from_slice(&bytes),
                }
                if said.len() + complaint.len() > LONGEST_ANSWER {
                    break;
                }
            }
            Ok::<_, Error>((said, complaint))
        };
        let ((), read) = futures::join!(write, read);
        let (said, complaint) = read?;
        serde_json::from_slice(&said).map_err(|_no_receipt| fail(words(&complaint).to_owned()))
    }

    async fn confirm(&self, id: &ContainerId, sights: &[Sight]) -> engine::Result<Outcome> {
        let view = match self.engine().inspect_container(id.as_str()).await {
            Ok(view) => view,
            Err(error) if error.kind == Kind::NotFound => return Ok(Outcome::Skipped(Skipped::Gone)),
            Err(error) => return Err(error),
        };
        let (RunState::Running, Some(started_at)) = (view.state, view.started_at) else {
            return Ok(Outcome::Done);
        };
        let mut volumes = BTreeMap::new();
        for sight in sights {
            let link = format!("{}/..data", sight.target.trim_end_matches('/'));
            let seen = self.engine().read_link(id, &link).await?;
            let sees = seen.is_some_and(|to| to.starts_with(&format!("..{}.", sight.generation)));
            let (_, all) = volumes
                .entry(sight.volume.clone())
                .or_insert((sight.generation.clone(), true));
            *all &= sees;
        }
        let unseen = sights
            .iter()
            .find(|s| volumes.get(&s.volume).is_none_or(|(_, sees)| !sees));
        let missing = unseen.map(|sight| {
            let message = format!(
                "the container does not see at {} what was delivered",
                sight.target
            );
            Error::new(Op::Confirm, &view.name, Kind::Failed, message)
        });
        self.book()
            .pages()
            .shown
            .insert(id.clone(), Shown { started_at, volumes });
        missing.map_or(Ok(Outcome::Done), Err)
    }

    async fn find_user(&self, lookup: &UserLookup, spec: &ContainerSpec) -> engine::Result<Outcome> {
        let (engine, env) = (self.engine(), SecretEnv::new());
        let id = match engine.create_container(spec, &env).await {
            Err(error) if error.kind == Kind::Conflict => {
                // Left behind by one that was killed.
                match self.holder(&spec.name).await? {
                    Some(view) => engine.remove_container(&view.id, true).await?,
                    None => return Err(error),
                }
                engine.create_container(spec, &env).await?
            }
            other => other?,
        };
        self.touch(&id);
        let read = async {
            let passwd = engine.read_file(&id, "/etc/passwd", user::LONGEST).await?;
            let group = engine.read_file(&id, "/etc/group", user::LONGEST).await?;
            Ok((passwd.unwrap_or_default(), group.unwrap_or_default()))
        };
        let read = read.await;
        engine.remove_container(&id, true).await?;
        let (passwd, group) = read?;
        let found = user::numbers(&lookup.user, &passwd, &group).ok_or_else(|| {
            let message = format!(
                "the image's user {:?} is in no list of its own, so that nobody knows whose the files are to be; set \
                 securityContext.runAsUser and runAsGroup",
                lookup.user
            );
            Error::new(Op::FindUser, &spec.image, Kind::Invalid, message)
        })?;
        self.book().pages().users.insert(lookup.clone(), found);
        Ok(Outcome::Done)
    }
}

/// What a failed exec complains of, in words of ours: what comes back from a call that carried values is not passed on.
fn words(complaint: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(complaint);
    if text.contains(protected::BROKEN) {
        OTHER_PROGRAM
    } else if text.contains("No space left") || text.contains("no space left") {
        "there is no room for the files"
    } else if text.is_empty() {
        "the writing of the files was cut off"
    } else {
        "the holder could not write the files"
    }
}
