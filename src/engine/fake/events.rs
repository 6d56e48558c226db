//! Events of the fake engine: who listens, and what is told to whom. An event is sent within the step that causes it, so it
//! is there before the call's reply, as with the real engine. Part of `world`'s rules.

use std::collections::BTreeMap;

use futures::channel::mpsc::UnboundedSender;

use super::world::World;
use crate::{
    engine::{Event, LabelFilter, Result},
    state::container::ContainerId,
};

pub(super) struct Subscriber {
    pub(super) filter: LabelFilter,
    pub(super) to: UnboundedSender<Result<Event>>,
}

impl World {
    pub(super) fn container_event(&mut self, id: &ContainerId, action: &str, more: &[(&str, &str)]) {
        let Some(container) = self.containers.get(id) else {
            return;
        };
        let mut labels = container.view.labels.clone();
        // As on the wire: attributes and labels are one map.
        labels.insert("name".to_owned(), container.view.name.clone());
        labels.insert("image".to_owned(), container.view.image.clone());
        labels.extend(
            more.iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
        );
        let event = Event {
            action: action.to_owned(),
            container: Some(id.clone()),
            labels,
            at: self.now,
        };
        self.events.retain(|subscriber| {
            let wanted = container.view.labels.get(&subscriber.filter.key) == Some(&subscriber.filter.value);
            if wanted {
                subscriber.to.unbounded_send(Ok(event.clone())).is_ok()
            } else {
                !subscriber.to.is_closed()
            }
        });
    }

    pub(super) fn network_event(&mut self, id: &ContainerId, action: &str, network: &str) {
        if !self.networks.contains_key(network) {
            return;
        }
        let event = Event {
            action: action.to_owned(),
            container: Some(id.clone()),
            labels: BTreeMap::new(),
            at: self.now,
        };
        self.events
            .retain(|subscriber| subscriber.to.unbounded_send(Ok(event.clone())).is_ok());
    }
}
