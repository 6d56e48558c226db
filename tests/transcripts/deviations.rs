//! The one place for accepted differences between the transcripts: which words of which command, and why. What a pattern
//! finds is taken out of a transcript, and what is left must be one. A deviation that nothing needs fails the run.

use regex::Regex;

use crate::run::Answer;

/// One accepted difference.
pub struct Deviation {
    /// The name of the script, without its ending; empty: any.
    pub script: &'static str,
    /// How the command begins.
    pub command: &'static str,
    /// What only our transcript holds, as a regular expression; empty: nothing.
    pub ours: &'static str,
    /// What only the real server's holds.
    pub theirs: &'static str,
    /// Why the difference is there and may stay.
    #[expect(dead_code, reason = "a reason is for who reads")]
    pub reason: &'static str,
}

/// All of them.
pub const DEVIATIONS: &[Deviation] = &[
    Deviation {
        script: "",
        command: "kubectl ",
        ours: r"Error from server \(BadRequest\): (failed to create typed patch object)",
        theirs: r"Error from server: (failed to create typed patch object)",
        reason: "the real server answers a body that does not fit the schema with 500 and no reason; no body gets a 500 here",
    },
    Deviation {
        script: "invalid",
        command: "kubectl apply -f secret.yaml --server-side",
        ours: "The request is invalid: patch: Invalid value: ",
        theirs: "Error from server: failed to convert new object .*error decoding from json: ",
        reason: "as above: the real server answers 500",
    },
    Deviation {
        script: "invalid",
        command: "kubectl apply -f types.yaml",
        ours: "",
        theirs: r#""\{.*\}": "#,
        reason: "no decoding error echoes an object: it may be a secret",
    },
    Deviation {
        script: "changing",
        command: "kubectl patch cm cm -p '{\"data\":{\"c\":5}}'",
        ours: "json: cannot unmarshal number into .*",
        theirs: r#""map.*": cannot convert int64 to string"#,
        reason: "no decoding error echoes an object: it may be a secret",
    },
    Deviation {
        script: "changing",
        command: "kubectl patch widget w --type=json -p '{\"op\"",
        ours: "a list of operations",
        theirs: r"Go value of type \[\]handlers.jsonPatchOp",
        reason: "the name of a Go type is not part of the protocol",
    },
    Deviation {
        script: "changing",
        command: "kubectl get widget w -o yaml | sed 's/uid:",
        ours: "",
        theirs: "StorageError: invalid object, Code: 4, Key: .*, AdditionalErrorMsg: ",
        reason: "the real server names its key in etcd",
    },
    Deviation {
        script: "creating",
        command: "kubectl get cm kube-root-ca.crt",
        ours: r"(?s)kubernetes.io/description: .*creationTimestamp",
        theirs: r"(?s)kubernetes.io/description: .*creationTimestamp",
        reason: "the description is a sentence of the real server's",
    },
    Deviation {
        script: "describing",
        command: "kubectl explain ",
        ours: r"(?s)The group and version of the kind of.*?core\s+group\.|The kind of this object, in CamelCase. It cannot be\s+changed\.|What every object has: name, namespace, labels, annotations and\s+more\.",
        theirs: r"(?s)APIVersion defines the.*?#resources|Kind is a string value.*?#types-kinds|Standard object's\s+metadata\. More\s+info:\s+\S+#metadata",
        reason: "what a custom resource's own fields are described with is ours",
    },
    Deviation {
        script: "",
        command: "kubectl describe ns",
        ours: "",
        theirs: "\nNo resource quota.\n\nNo LimitRange resource.\n",
        reason: "quotas and limit ranges are not served",
    },
    Deviation {
        script: "asking",
        command: "kubectl cluster-info",
        ours: r#"(?s).*"services"$|^\n"#,
        theirs: "(?s)^.*running at .*",
        reason: "there are no services, and kubectl asks for them before it says anything",
    },
    Deviation {
        script: "asking",
        command: "kubectl api-resources --api-group=authentication.k8s.io",
        ours: "",
        theirs: "(?m)^tokenreviews .*\n",
        reason: "token reviews come with users and tokens",
    },
    Deviation {
        script: "asking",
        command: "kubectl auth whoami",
        ours: "supercargo-admin",
        theirs: r"\badmin\b",
        reason: "the name of the administrator is the server's to choose",
    },
];

/// Takes the accepted differences of a command out of its two answers, and says which these were.
pub fn accept(script: &str, command: &str, ours: &mut Answer, theirs: &mut Answer) -> Vec<usize> {
    let mut used = Vec::new();
    for (number, known) in DEVIATIONS.iter().enumerate() {
        if !(known.script.is_empty() || known.script == script) || !command.starts_with(known.command) {
            continue;
        }
        let changed = [(&mut *ours, known.ours), (&mut *theirs, known.theirs)]
            .map(|(answer, pattern)| !pattern.is_empty() && answer.remove(&Regex::new(pattern).unwrap()));
        if changed.contains(&true) {
            used.push(number);
        }
    }
    used
}
