//! What mutations start from, for each target: the recorded vectors of the tests, and requests that clients send.

use serde_json::{Value, json};

fn vectors(text: &str) -> Value {
    serde_json::from_str(text).expect("the vectors are JSON")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn lines(text: &[&str]) -> Vec<Vec<u8>> {
    text.iter().map(|line| line.as_bytes().to_vec()).collect()
}

fn pairs<'a>(pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Vec<Vec<u8>> {
    pairs
        .map(|(first, rest)| format!("{first}\n{rest}").into_bytes())
        .collect()
}

/// Behind a byte that chooses.
fn chosen(seeds: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let behind = |(at, seed): (usize, Vec<u8>)| [vec![u8::try_from(at % 256).unwrap_or(0)], seed].concat();
    seeds.into_iter().enumerate().map(behind).collect()
}

fn objects() -> Vec<Vec<u8>> {
    let recorded = vectors(include_str!("../vectors/protobuf.json"));
    let mut found: Vec<Vec<u8>> = list(&recorded)
        .map(|case| case["json"].to_string().into_bytes())
        .collect();
    found.push(include_bytes!("thing.json").to_vec());
    found
}

/// As a kube-apiserver sends them.
fn reviews() -> Vec<Vec<u8>> {
    let deployment = json!({
        "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 2, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{
            "name": "app", "image": "busybox:1", "env": [
                {"name": "PASSWORD", "value": "x"},
                {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}},
            ],
            "ports": [{"containerPort": 80, "hostPort": 80}], "resources": {"limits": {"memory": "1Gi"}},
            "terminationMessagePath": "/x", "securityContext": {"privileged": true},
        }], "volumes": [
            {"name": "a", "secret": {"secretName": "db", "onChange": "Signal", "signal": "SIGHUP", "items": [{"key": "k", "path": "a/b", "mode": 256}]}},
            {"name": "b", "projected": {"sources": [{"secret": {"name": "db"}}, {"configMap": {"name": "c", "optional": true}}]}},
        ]}}},
    });
    let secret = json!({
        "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerSecret", "metadata": {"name": "db", "namespace": "shop"},
        "spec": {"encryptedData": {"k": "sc1.x.d16da4b207cc3243.sfc9734b58df1d7e0.dE_wkFU4se2TQANGftxuuAUIBWhQzf0rul1Xp7I", "l": "no"}},
    });
    let definition = json!({
        "metadata": {"name": "dockersecrets.supercargo.dev", "annotations": {"supercargo.dev/force-delete": "false"}},
        "spec": {"group": "supercargo.dev", "names": {"plural": "dockersecrets"}},
    });
    let review = |operation: &str, group: &str, resource: &str, new: &Value, old: &Value| {
        let review = json!({
            "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
                "uid": "0c9a8d74", "operation": operation, "resource": {"group": group, "version": "v1", "resource": resource},
                "userInfo": {"username": "jane", "groups": ["system:authenticated"]}, "object": new, "oldObject": old,
                "dryRun": false, "subResource": null, "options": null,
            },
        });
        review.to_string().into_bytes()
    };
    let (ours, none) = ("supercargo.dev", Value::Null);
    let empty = json!({"spec": {}});
    vec![
        review("CREATE", ours, "dockerdeployments", &deployment, &none),
        review("UPDATE", ours, "dockerdeployments", &deployment, &empty),
        review("CREATE", ours, "dockersecrets", &secret, &none),
        review("DELETE", ours, "dockersecrets", &none, &secret),
        review(
            "DELETE",
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            &none,
            &definition,
        ),
    ]
}

/// The seeds of a target.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "admission" => reviews(),
        "path" => REQUESTS
            .iter()
            .filter_map(|text| text.split([' ', '?', '\n']).nth(1))
            .map(Vec::from)
            .collect(),
        "query" => lines(&QUERIES),
        "label_selector" | "field_selector" => {
            let recorded = vectors(include_str!("../vectors/selectors.json"));
            let texts = list(
                &recorded[if target == "label_selector" {
                    "label"
                } else {
                    "field"
                }],
            );
            texts
                .filter_map(|case| case["text"].as_str())
                .map(Vec::from)
                .collect()
        }
        "accept" => lines(&ACCEPTS),
        "continue_token" => lines(&TOKENS),
        "json" => chosen(objects()),
        "yaml" => chosen([objects(), lines(&YAML)].concat()),
        "protobuf" => protobuf(),
        "delete_options" => chosen(lines(&OPTIONS)),
        "json_patch" => lines(&JSON_PATCHES),
        "merge_patch" | "strategic_patch" => {
            let recorded = vectors(include_str!("../vectors/strategic.json"));
            pairs(list(&recorded).map(|case| (&case["before"], &case["patch"])))
        }
        "apply" => apply(),
        "schema" => {
            let recorded = vectors(include_str!("../vectors/schema.json"));
            pairs(list(&recorded["objects"]).map(|case| (&case["schema"], &case["object"])))
        }
        "cel" => RULES
            .iter()
            .map(|rule| format!("{rule}\n{THING}").into_bytes())
            .collect(),
        "columns" => PATHS
            .iter()
            .map(|path| format!("{path}\n{THING}").into_bytes())
            .collect(),
        "definition" => {
            let recorded = vectors(include_str!("../vectors/schema.json"));
            let mut found: Vec<Vec<u8>> = list(&recorded["definitions"])
                .map(|case| case["object"].to_string().into_bytes())
                .collect();
            found.push(include_bytes!("thing.json").to_vec());
            found
        }
        "request" => requests(),
        _ => Vec::new(),
    }
}

fn protobuf() -> Vec<Vec<u8>> {
    let recorded = vectors(include_str!("../vectors/protobuf.json"));
    let mut seeds = Vec::new();
    for case in list(&recorded) {
        let digits = case["hex"].as_str().unwrap_or_default().as_bytes();
        let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).unwrap_or("0"), 16).unwrap_or(0);
        let raw: Vec<u8> = digits.chunks(2).map(byte).collect();
        let text = |field: &str| case[field].as_str().unwrap_or_default().as_bytes().to_vec();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let meta = [field(1, &version), field(2, &kind)].concat();
        let envelope = [b"k8s\0".to_vec(), field(1, &meta), field(2, &raw)].concat();
        let choice = super::reading::KINDS
            .iter()
            .position(|known| known.kind.as_bytes() == kind);
        let choice = u8::try_from(choice.unwrap_or(0)).unwrap_or(0);
        seeds.extend([[vec![choice], raw].concat(), [vec![choice], envelope].concat()]);
    }
    seeds
}

/// A field of bytes, as protobuf writes it.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 127 {
        out.push(u8::try_from(length & 127).unwrap_or(0) | 128);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap_or(0));
    out.extend_from_slice(bytes);
    out
}

fn apply() -> Vec<Vec<u8>> {
    let recorded = vectors(include_str!("../vectors/apply.json"));
    let mut seeds = Vec::new();
    for case in list(&recorded["cases"]) {
        let mut live = &Value::Null;
        for step in list(&case["steps"]) {
            let before = if live.is_object() {
                live.to_string()
            } else {
                "{}".to_owned()
            };
            seeds.push(format!("{before}\n{}", step["body"]).into_bytes());
            live = &step["result"]["object"];
        }
    }
    seeds
}

fn requests() -> Vec<Vec<u8>> {
    let mut seeds = lines(&REQUESTS);
    let recorded = vectors(include_str!("../vectors/strategic.json"));
    for case in list(&recorded) {
        let head = "PATCH /api/v1/namespaces/a/serviceaccounts/s\ncontent-type: application/strategic-merge-patch+json\n\n";
        seeds.push(format!("{head}{}", case["patch"]).into_bytes());
    }
    for seed in apply() {
        let Some(at) = seed.iter().position(|byte| *byte == b'\n') else {
            continue;
        };
        let head = "PATCH /apis/test.dev/v1/namespaces/a/things/t?fieldManager=m\ncontent-type: application/apply-patch+yaml\n\n";
        seeds.push([head.as_bytes(), &seed[at + 1..]].concat());
    }
    for object in objects() {
        let head = "POST /api/v1/namespaces/a/configmaps\ncontent-type: application/json\n\n";
        seeds.push([head.as_bytes(), &object].concat());
    }
    seeds
}

const THING: &str = r#"{"apiVersion":"test.dev/v1","kind":"Thing","metadata":{"name":"t","labels":{"a.b/c":"x"}},"spec":{"text":"x","count":1,"ratio":0.5,"items":[{"name":"a","value":"1"},{"name":"b"}],"set":["a","b"],"struct":{"a":"x"},"ports":[{"port":80}],"when":"2026-01-01T00:00:00Z","either":"5%"}}"#;

const QUERIES: [&str; 9] = [
    "watch=true&resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=1",
    "limit=1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NSwic3RhcnQiOiIvYS9jXHUwMDAwIn0",
    "labelSelector=a%3Db%2Cc%20in%20%28d%29&fieldSelector=metadata.name%3Dx",
    "sendInitialEvents=true&watch=1&resourceVersionMatch=NotOlderThan",
    "dryRun=All&fieldManager=m&fieldValidation=Strict",
    "force=true&fieldManager=m&dryRun=All&pretty=1",
    "gracePeriodSeconds=0&propagationPolicy=Background&orphanDependents=true",
    "includeObject=Metadata&resourceVersionMatch=Exact&resourceVersion=7&limit=0",
    "timeout=1s&pretty=true&limit=-1",
];

const TOKENS: [&str; 7] = [
    r#"{"v":"meta.k8s.io/v1","rv":2,"start":"/a/c\u0000"}"#,
    r#"{"v":"meta.k8s.io/v1","rv":-1,"start":"/a/c\u0000"}"#,
    r#"{"v":"meta.k8s.io/v1","rv":-1,"start":"/a\u0000"}"#,
    r#"{"v":"meta.k8s.io/v1","rv":9223372036854775807,"start":"a/../b/\u0000x"}"#,
    r#"{"v":"meta.k8s.io/v2","rv":0,"start":"//"}"#,
    r#"!eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTIsInN0YXJ0IjoiYSJ9"#,
    "!",
];

const ACCEPTS: [&str; 6] = [
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    "application/vnd.kubernetes.protobuf;q=0.9, application/yaml;q=0.1, */*",
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    "text/html, image/gif;q=.2, */*; q=.2",
    "application/json;profile=\"a\\\"b\";charset=utf-8",
    "application/json;stream=watch",
];

const YAML: [&str; 5] = [
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  k: |\n    text\n  o: 'x'\n",
    "a: &x [1, 2]\nb: *x\nc: !!binary aGk=\n? d\n: e\n<<: {f: 1}\n",
    "a: 0x10\nb: 1e3\nc: .inf\nd: ~\ne: yes\nf: 2001-01-01\n",
    "&a [*a]\n",
    "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c]\n",
];

const OPTIONS: [&str; 6] = [
    r#"{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Foreground","gracePeriodSeconds":30}"#,
    "kind: DeleteOptions\napiVersion: v1\npropagationPolicy: Orphan\n",
    "k8s\0\n\x13\n\x02v1\x12\rDeleteOptions\x12\x08\x08\x00\"\x06Orphan",
    r#"{"preconditions":{"uid":"x","resourceVersion":"1"},"dryRun":["All"]}"#,
    r#"{"orphanDependents":true,"propagationPolicy":"Background"}"#,
    "null",
];

const JSON_PATCHES: [&str; 4] = [
    "{\"a\":{\"b\":[1,2,3]},\"m~n\":{\"o/p\":1}}\n[{\"op\":\"add\",\"path\":\"/a/b/-\",\"value\":{\"x\":1}},{\"op\":\"remove\",\"path\":\"/a/b/0\"}]",
    "{\"a\":{\"b\":[1,2,3]}}\n[{\"op\":\"test\",\"path\":\"/a/b/1\",\"value\":2},{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/c\"}]",
    "{\"m~n\":{\"o/p\":1}}\n[{\"op\":\"copy\",\"from\":\"/m~0n/o~1p\",\"path\":\"/q\"},{\"op\":\"replace\",\"path\":\"\",\"value\":{}}]",
    "{\"a\":[]}\n[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/-\"},{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/0\"}]",
];

const RULES: [&str; 12] = [
    "!has(self.spec) || self.spec.count < 5",
    "self.spec.items.all(i, i.name.matches('^[a-z]+$'))",
    "self.spec.set.exists(s, s == 'a') && self.spec.set.size() < 5",
    "self.spec.ports.map(p, p.port).filter(p, p > 10).size() > 0",
    "oldSelf.spec.count <= self.spec.count",
    "self.metadata.name.startsWith('t') ? true : self.spec.text != ''",
    "duration('1h30m') < duration('2h') && timestamp('2026-01-01T00:00:00Z') < timestamp(self.spec.when)",
    "string(self.spec.count) + 'x' == '1x' && int('7') / self.spec.count == 7 % 3",
    "isURL('https://a.b/c?d=e') && url('https://a.b').getHost() == 'a.b' && quantity('1Gi').isGreaterThan(quantity('1Mi'))",
    "ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.2.3')",
    "self.spec.labels['a'] == 'b' || [1, 2, 3].sum() == 6 || {'a': 1}.a == 1",
    "self.?spec.?text.orValue('y') == 'x' && 'a,b'.split(',')[0].replace('a', 'c').upperAscii() == 'C'",
];

const PATHS: [&str; 9] = [
    ".spec.text",
    ".spec.items[0].value",
    ".spec.items[?(@.name==\"b\")].name",
    ".spec.items[*].name",
    ".spec.items[-1:].name",
    ".metadata.labels.a\\.b/c",
    "['spec']['text']",
    ".spec..name",
    ".spec.set[0:2:1]",
];

const REQUESTS: [&str; 57] = [
    "GET /api\naccept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList\n\n",
    "GET /apis\n\n",
    "GET /api/v1\n\n",
    "GET /apis/test.dev/v1\n\n",
    "GET /openapi/v2\naccept: application/com.github.proto-openapi.spec.v2@v1.0+protobuf\n\n",
    "GET /openapi/v3\n\n",
    "GET /openapi/v3/api/v1?hash=ABC\n\n",
    "GET /openapi/v3/apis/test.dev/v1\nif-none-match: \"x\"\n\n",
    "GET /version\n\n",
    "GET /healthz?verbose\n\n",
    "GET /readyz/store?exclude=ping\n\n",
    "GET /metrics\n\n",
    "GET /livez?verbose&exclude=x\n\n",
    "OPTIONS /api/v1/namespaces\n\n",
    "HEAD /api/v1/namespaces\n\n",
    "TRACE /api/v1/namespaces\n\n",
    "GET /api/v1/namespaces/a/configmaps?limit=1\naccept: application/json;as=Table;v=v1;g=meta.k8s.io\n\n",
    "GET /api/v1/namespaces/a/configmaps?limit=1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NSwic3RhcnQiOiIvYS9jXHUwMDAwIn0\n\n",
    "GET /api/v1/configmaps?labelSelector=x%20in%20(1,2),!y&fieldSelector=metadata.name%3Dc\n\n",
    "GET /api/v1/configmaps?watch=true&timeoutSeconds=1&resourceVersion=0\n\n",
    "GET /api/v1/watch/namespaces/a/configmaps/c\n\n",
    "GET /apis/test.dev/v1/things?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\naccept: application/json;as=Table;v=v1;g=meta.k8s.io\n\n",
    "GET /apis/test.dev/v1/namespaces/a/things/t\naccept: application/yaml\n\n",
    "GET /apis/test.dev/v1/things?resourceVersion=5&resourceVersionMatch=Exact&fieldSelector=spec.text%3Dx\n\n",
    "GET /apis/test.dev/v1/namespaces/a/things/t/scale\n\n",
    "GET /apis/test.dev/v1/namespaces/a/things/t/status\nimpersonate-user: x\nimpersonate-group: system:masters\n\n",
    "GET /api/v1/namespaces/a/secrets/none\nauthorization: Bearer abc\n\n",
    "POST /api/v1/namespaces?dryRun=All\ncontent-type: application/json\n\n{\"metadata\":{\"generateName\":\"n-\"}}",
    "POST /api/v1/namespaces/a/configmaps?fieldValidation=Strict&fieldManager=m\ncontent-type: application/json\n\n{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"generateName\":\"c-\"},\"data\":{\"a\":\"b\"}}",
    "POST /api/v1/namespaces/a/secrets\ncontent-type: application/yaml\n\nmetadata: {generateName: s-}\nstringData: {a: b}\ntype: Opaque\n",
    "POST /apis/test.dev/v1/namespaces/a/things\ncontent-type: application/json\n\n{\"apiVersion\":\"test.dev/v1\",\"kind\":\"Thing\",\"metadata\":{\"generateName\":\"t-\"},\"spec\":{\"text\":\"abc\",\"count\":3,\"items\":[{\"name\":\"a\",\"value\":\"1\"}],\"ports\":[{\"port\":1}],\"either\":\"5%\"}}",
    "POST /api/v1/namespaces/a/events\ncontent-type: application/json\n\n{\"metadata\":{\"generateName\":\"e-\",\"namespace\":\"a\"},\"involvedObject\":{\"namespace\":\"a\",\"name\":\"x\"},\"reason\":\"R\",\"type\":\"Normal\"}",
    "POST /apis/events.k8s.io/v1/namespaces/a/events\ncontent-type: application/json\n\n{\"metadata\":{\"generateName\":\"e-\"},\"eventTime\":\"2026-01-01T00:00:00.000000Z\",\"reportingController\":\"a.b/c\",\"reportingInstance\":\"i\",\"action\":\"A\",\"reason\":\"R\",\"type\":\"Normal\"}",
    "POST /apis/coordination.k8s.io/v1/namespaces/a/leases\ncontent-type: application/json\n\n{\"metadata\":{\"generateName\":\"l-\"},\"spec\":{\"holderIdentity\":\"x\",\"leaseDurationSeconds\":15,\"renewTime\":\"2026-01-01T00:00:00.000000Z\"}}",
    "POST /apis/apps/v1/namespaces/a/controllerrevisions\ncontent-type: application/json\n\n{\"metadata\":{\"generateName\":\"r-\"},\"revision\":1,\"data\":{\"spec\":{\"template\":null}}}",
    "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews\ncontent-type: application/json\n\n{\"spec\":{\"resourceAttributes\":{\"verb\":\"get\",\"resource\":\"pods\"}}}",
    "POST /apis/authorization.k8s.io/v1/subjectaccessreviews\ncontent-type: application/json\n\n{\"spec\":{\"user\":\"u\",\"nonResourceAttributes\":{\"verb\":\"get\",\"path\":\"/x\"}}}",
    "POST /apis/authentication.k8s.io/v1/selfsubjectreviews\ncontent-type: application/json\n\n{}",
    "POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All\ncontent-type: application/json\n\n{\"metadata\":{\"name\":\"xs.x.dev\"},\"spec\":{\"group\":\"x.dev\",\"scope\":\"Cluster\",\"names\":{\"plural\":\"xs\",\"kind\":\"X\"},\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\"}}}]}}",
    "POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions\ncontent-type: application/json\n\n{\"metadata\":{\"name\":\"ys.y.dev\"},\"spec\":{\"group\":\"y.dev\",\"scope\":\"Cluster\",\"names\":{\"plural\":\"ys\",\"kind\":\"Y\"},\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,\"additionalPrinterColumns\":[{\"name\":\"A\",\"type\":\"string\",\"jsonPath\":\".a\"}],\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"default\":\"x\"}},\"x-kubernetes-validations\":[{\"rule\":\"self.a != 'y'\"}]}}}]}}",
    "POST /apis/y.dev/v1/ys\ncontent-type: application/json\n\n{\"apiVersion\":\"y.dev/v1\",\"kind\":\"Y\",\"metadata\":{\"generateName\":\"y\"},\"a\":\"b\"}",
    "PUT /api/v1/namespaces/a/configmaps/c\ncontent-type: application/json\n\n{\"metadata\":{\"name\":\"c\",\"managedFields\":[{\"manager\":\"m\",\"operation\":\"Update\",\"apiVersion\":\"v1\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:data\":{\".\":{},\"f:k\":{}}}}]},\"data\":{\"k\":\"w\"}}",
    "PUT /apis/test.dev/v1/namespaces/a/things/t/scale\ncontent-type: application/json\n\n{\"apiVersion\":\"autoscaling/v1\",\"kind\":\"Scale\",\"metadata\":{\"name\":\"t\",\"namespace\":\"a\"},\"spec\":{\"replicas\":2}}",
    "PUT /api/v1/namespaces/a/finalize\ncontent-type: application/json\n\n{\"metadata\":{\"name\":\"a\"},\"spec\":{\"finalizers\":[\"kubernetes\"]}}",
    "PUT /apis/test.dev/v1/namespaces/a/things/t/status\ncontent-type: application/json\n\n{\"apiVersion\":\"test.dev/v1\",\"kind\":\"Thing\",\"metadata\":{\"name\":\"t\",\"resourceVersion\":\"1\"},\"status\":{\"count\":1}}",
    "PATCH /api/v1/namespaces/a/configmaps/c\ncontent-type: application/merge-patch+json\n\n{\"data\":{\"k\":null,\"n\":\"1\"},\"metadata\":{\"labels\":{\"a\":\"b\"}}}",
    "PATCH /api/v1/namespaces/a/configmaps/c\ncontent-type: application/json-patch+json\n\n[{\"op\":\"add\",\"path\":\"/data/x\",\"value\":\"y\"},{\"op\":\"test\",\"path\":\"/metadata/name\",\"value\":\"c\"}]",
    "PATCH /api/v1/namespaces/a/configmaps/d\ncontent-type: application/strategic-merge-patch+json\n\n{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"x.y/z\"],\"ownerReferences\":[{\"$patch\":\"delete\",\"uid\":\"1\"}]}}",
    "PATCH /api/v1/namespaces/a/configmaps/e?fieldManager=m&force=true\ncontent-type: application/apply-patch+yaml\n\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: e}\ndata: {a: b}\n",
    "PATCH /apis/test.dev/v1/namespaces/a/things/t/status?fieldManager=m\ncontent-type: application/apply-patch+yaml\n\napiVersion: test.dev/v1\nkind: Thing\nmetadata: {name: t}\nstatus: {x: 1}\n",
    "PATCH /apis/test.dev/v1/namespaces/a/things/t/scale\ncontent-type: application/merge-patch+json\n\n{\"spec\":{\"replicas\":3}}",
    "PATCH /apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.test.dev\ncontent-type: application/merge-patch+json\n\n{\"metadata\":{\"labels\":{\"a\":\"b\"}}}",
    "DELETE /api/v1/namespaces/a/configmaps/x?propagationPolicy=Orphan\ncontent-type: application/json\n\n{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"preconditions\":{\"resourceVersion\":\"1\"}}",
    "DELETE /api/v1/namespaces/a/secrets?labelSelector=a%3Db&limit=5\n\n",
    "DELETE /apis/test.dev/v1/namespaces/a/things/none\ncontent-type: application/vnd.kubernetes.protobuf\n\nk8s\0\n\x13\n\x02v1\x12\rDeleteOptions\x12\x00",
    "CONNECT /api/v1/namespaces/a/configmaps/c/proxy\n\n",
    "GET /api/v1/namespaces/a/configmaps/c/nothing/more?pretty=true\ncontent-encoding: gzip\naccept-encoding: gzip\naudit-id: \nexpect: 100-continue\n\n",
];
