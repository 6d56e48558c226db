//! Who writes an object from a source of its own (Flux, Argo CD), so that a verb which changes it here can say that the
//! change goes back at the next sync. Read from metadata alone. Called by `rollout_undo` and `secret_change`.

use kube::api::ObjectMeta;

/// What writes this object from a source of its own, in words; nothing where nobody does.
pub(super) fn kept_by(meta: &ObjectMeta) -> Option<String> {
    let label = |key: &str| meta.labels.as_ref().and_then(|labels| labels.get(key));
    let note = |key: &str| meta.annotations.as_ref().and_then(|notes| notes.get(key));
    for (tool, kind) in [("kustomize", "Kustomization"), ("helm", "HelmRelease")] {
        let of = |what: &str| label(&format!("{tool}.toolkit.fluxcd.io/{what}"));
        if let (Some(name), Some(namespace)) = (of("name"), of("namespace")) {
            return Some(format!("Flux ({kind} {namespace}/{name})"));
        }
    }
    if let Some(application) = note("argocd.argoproj.io/tracking-id") {
        let application = application.split(':').next().unwrap_or_default();
        return Some(format!("Argo CD (application {application})"));
    }
    if let Some(application) = label("argocd.argoproj.io/instance") {
        return Some(format!("Argo CD (application {application})"));
    }
    let managers = meta.managed_fields.iter().flatten();
    let mut managers = managers.filter_map(|one| one.manager.as_deref());
    managers.find_map(|manager| match manager {
        "kustomize-controller" | "helm-controller" => Some(format!("Flux ({manager})")),
        "argocd-controller" | "argocd-application-controller" => Some("Argo CD".to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn who_keeps_an_object_is_told_from_its_metadata() {
        let of = |meta: Value| kept_by(&serde_json::from_value(meta).unwrap());
        assert_eq!(of(json!({ "name": "web" })), None);
        let flux = json!({ "kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux" });
        assert_eq!(
            of(json!({ "labels": flux })).as_deref(),
            Some("Flux (Kustomization flux/apps)")
        );
        let argo =
            json!({ "argocd.argoproj.io/tracking-id": "shop:supercargo.dev/DockerDeployment:shop/web" });
        assert_eq!(
            of(json!({ "annotations": argo })).as_deref(),
            Some("Argo CD (application shop)")
        );
        let field =
            |manager: &str| json!({ "managedFields": [{ "manager": "kubectl" }, { "manager": manager }] });
        assert_eq!(
            of(field("helm-controller")).as_deref(),
            Some("Flux (helm-controller)")
        );
        assert_eq!(of(field("argocd-controller")).as_deref(), Some("Argo CD"));
        assert_eq!(of(field("helm")), None);
    }
}
