//! The list of built-in kinds: names, verbs, scope, and which schema, columns and rules each has. Owns no rule itself.
//! Called once, by whoever makes the server.

use std::sync::Arc;

use super::{
    columns,
    controller_revision::ControllerRevisionRules,
    data::{ConfigMapRules, SecretRules},
    event::{self, EventRules, NewEventRules},
    lease::{LeaseRules, ServiceAccountRules},
    namespace::NamespaceRules,
    review::{Review, ReviewRules},
    structural::Maker,
};
use crate::{
    apiserver::{
        authorize::SharedAuthorizer,
        kinds::{Column, Definition, Kind, Rules, custom::DefinitionRules},
        names::{GroupResource, GroupVersion},
    },
    clock::Clock,
};

/// Namespaces are not deleted by the dozen.
const SINGLY: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
const ANSWERED: &[&str] = &["create"];

/// The built-in kinds. Reviews ask `authorizer`; `clock` dates them.
#[must_use]
pub fn kinds(authorizer: &SharedAuthorizer, clock: &Arc<dyn Clock>) -> Vec<Kind> {
    let maker = &mut Maker::default();
    let mut all = vec![
        config_map(maker),
        secret(maker),
        namespace(maker),
        service_account(maker),
        lease(maker),
        controller_revision(maker),
        core_event(maker),
        new_event(maker),
        definition(maker),
    ];
    for (name, review) in [
        (
            "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
            Review::SelfAccess,
        ),
        ("io.k8s.api.authorization.v1.SubjectAccessReview", Review::Access),
        (
            "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
            Review::LocalAccess,
        ),
        (
            "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
            Review::SelfRules,
        ),
        (
            "io.k8s.api.authentication.v1.SelfSubjectReview",
            Review::SelfSubject,
        ),
    ] {
        let group = if review == Review::SelfSubject {
            "authentication.k8s.io"
        } else {
            "authorization.k8s.io"
        };
        let rules = ReviewRules {
            review,
            authorizer: authorizer.clone(),
            clock: clock.clone(),
        };
        all.push(Kind {
            namespaced: review == Review::LocalAccess,
            verbs: ANSWERED,
            ..plain(maker, name, group, rules, Vec::new())
        });
    }
    all
}

/// A namespaced kind of version `v1`; its plural is its lower-case name with an `s`.
fn plain(
    maker: &mut Maker,
    definition: &'static str,
    group: &str,
    rules: impl Rules,
    columns: Vec<Column>,
) -> Kind {
    let kind = definition.rsplit('.').next().unwrap_or(definition);
    let plural = format!("{}s", kind.to_lowercase());
    Kind {
        schema: maker.of(definition),
        definition: Definition::BuiltIn(definition),
        columns,
        counts_generations: false,
        unconditional_update: true,
        custom: false,
        rules: Arc::new(rules),
        ..Kind::bare(GroupVersion::new(group, "v1"), kind, &plural)
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn config_map(maker: &mut Maker) -> Kind {
    let name = "io.k8s.api.core.v1.ConfigMap";
    Kind {
        short_names: texts(&["cm"]),
        ..plain(maker, name, "", ConfigMapRules, columns::config_maps())
    }
}

fn secret(maker: &mut Maker) -> Kind {
    let name = "io.k8s.api.core.v1.Secret";
    Kind {
        selectable: texts(&["type"]),
        sealed: true,
        ..plain(maker, name, "", SecretRules, columns::secrets())
    }
}

fn namespace(maker: &mut Maker) -> Kind {
    let name = "io.k8s.api.core.v1.Namespace";
    Kind {
        short_names: texts(&["ns"]),
        namespaced: false,
        verbs: SINGLY,
        status: true,
        selectable: texts(&["status.phase", "name"]),
        ..plain(maker, name, "", NamespaceRules, columns::namespaces())
    }
}

fn service_account(maker: &mut Maker) -> Kind {
    let name = "io.k8s.api.core.v1.ServiceAccount";
    Kind {
        short_names: texts(&["sa"]),
        ..plain(maker, name, "", ServiceAccountRules, columns::service_accounts())
    }
}

fn lease(maker: &mut Maker) -> Kind {
    let name = "io.k8s.api.coordination.v1.Lease";
    Kind {
        unconditional_update: false,
        create_on_update: true,
        ..plain(maker, name, "coordination.k8s.io", LeaseRules, columns::leases())
    }
}

fn controller_revision(maker: &mut Maker) -> Kind {
    let name = "io.k8s.api.apps.v1.ControllerRevision";
    let columns = columns::controller_revisions();
    plain(maker, name, "apps", ControllerRevisionRules, columns)
}

fn core_event(maker: &mut Maker) -> Kind {
    let name = "io.k8s.api.core.v1.Event";
    Kind {
        short_names: texts(&["ev"]),
        create_on_update: true,
        selectable: texts(&event::SELECTABLE),
        ..plain(maker, name, "", EventRules, columns::events())
    }
}

fn new_event(maker: &mut Maker) -> Kind {
    let name = "io.k8s.api.events.v1.Event";
    let core = event::SELECTABLE.iter().filter(|field| **field != "source");
    let own = core.map(|field| match *field {
        "reportingComponent" => "reportingController".to_owned(),
        field => field.replace("involvedObject.", "regarding."),
    });
    Kind {
        short_names: texts(&["ev"]),
        create_on_update: true,
        stored_as: GroupResource::new("", "events"),
        storage_version: GroupVersion::new("", "v1"),
        selectable: own.collect(),
        ..plain(maker, name, "events.k8s.io", NewEventRules, columns::events())
    }
}

fn definition(maker: &mut Maker) -> Kind {
    let name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition";
    Kind {
        short_names: texts(&["crd", "crds"]),
        categories: texts(&["api-extensions"]),
        namespaced: false,
        status: true,
        counts_generations: true,
        unconditional_update: false,
        ..plain(
            maker,
            name,
            "apiextensions.k8s.io",
            DefinitionRules,
            columns::definitions(),
        )
    }
}
