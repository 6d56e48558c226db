"""Opens the frozen vectors without a line of our Rust: HPKE from the package pyhpke, the rest from the standard
library and `cryptography`. Called by tests/seal_independent.rs, which makes the virtual environment.

    open_with_python.py envelopes.json          open every vector, print one line each and a count; exit 1 on any difference
    open_with_python.py --make envelopes.json   write the vectors anew (only when the format gets a new version)

The format: design in ARCHITECTURE.md; RFC 9180 (HPKE), RFC 5869 (HKDF), PADME (https://lbarman.ch/blog/padme/).
"""

import base64
import hashlib
import hmac
import json
import struct
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyhpke import AEADId, CipherSuite, KDFId, KEMId

SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)
GROUP, KIND = b"supercargo.dev", b"DockerSecret"
COMMITMENT_LABEL = b"supercargo/commitment"
RING_KEY_LABEL = b"supercargo/suite-g/ring-key"
MAX_VALUE = 64 * 1024


class Refused(Exception):
    """An envelope that must not open; the argument is the cause's word."""


def field(data):
    return struct.pack(">H", len(data)) + data


def tuple_of(scope, namespace, name, key):
    named = {"s": [namespace, name], "n": [namespace], "c": []}[scope]
    return b"".join(field(x if isinstance(x, bytes) else x.encode()) for x in [GROUP, KIND, *named, key])


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if b64(data) != text:
        raise Refused("MalformedEnvelope")
    return data


def bucket(n):
    if n <= 1024:
        return max(64, -(-n // 64) * 64)
    exponent = n.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (n + mask) & ~mask


def frame(value):
    framed = struct.pack(">I", len(value)) + value
    return framed.ljust(bucket(len(framed)), b"\0")


def unframe(framed):
    (length,) = struct.unpack(">I", framed[:4])
    value = framed[4 : 4 + length]
    if length > MAX_VALUE or framed != frame(value):
        raise Refused("MalformedEnvelope")
    return value


def hkdf(ikm, salt, info, length):
    prk = hmac.new(salt, ikm, hashlib.sha256).digest()
    out, block, n = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([n]), hashlib.sha256).digest()
        out, n = out + block, n + 1
    return out[:length]


def raw_public(pair):
    return pair.public_key.to_public_bytes()


def derive_g(seed, salt, data):
    ring_key = hmac.new(RING_KEY_LABEL, seed, hashlib.sha256).digest()
    okm = hkdf(ring_key, salt, data, 60)
    return okm[:32], okm[32:44], okm[44:]


def header_of(suite, kid, scope, where):
    return f"sc1.{suite}.{kid}.{scope}{hashlib.sha256(where).hexdigest()[:16]}"


def seal(seed, suite, scope, namespace, name, key, entropy, framed):
    pair = SUITE.kem.derive_key_pair(seed)
    kid = hashlib.sha256(raw_public(pair)).hexdigest()[:16]
    where = tuple_of(scope, namespace, name, key)
    header = header_of(suite, kid, scope, where)
    data = field(header.encode()) + where
    if suite == "x":
        encapsulated, sender = SUITE.create_sender_context(
            pair.public_key, info=data, eks=SUITE.kem.derive_key_pair(entropy)
        )
        payload = encapsulated + sender.export(COMMITMENT_LABEL, 16) + sender.seal(framed, data)
    else:
        aes, nonce, commitment = derive_g(seed, entropy, data)
        payload = entropy + commitment + AESGCM(aes).encrypt(nonce, framed, data)
    return f"{header}.{b64(payload)}"


def open_one(seeds, envelope, namespace, name, key):
    version, suite, kid, scope, payload = envelope.split(".")
    if version != "sc1" or suite not in "xg":
        raise Refused("UnsupportedEnvelope")
    where = tuple_of(scope[0], namespace, name, key)
    header = header_of(suite, kid, scope[0], where)
    if header != envelope.rsplit(".", 1)[0]:
        raise Refused("ScopeMismatch")
    if kid not in seeds:
        raise Refused("UnknownKeyId")
    data = field(header.encode()) + where
    payload = unb64(payload)
    head, commitment, body = payload[:32], payload[32:48], payload[48:]
    if bucket(len(body) - 16) != len(body) - 16:
        raise Refused("MalformedEnvelope")
    try:
        if suite == "x":
            receiver = SUITE.create_recipient_context(head, SUITE.kem.derive_key_pair(seeds[kid]).private_key, info=data)
            if not hmac.compare_digest(receiver.export(COMMITMENT_LABEL, 16), commitment):
                raise Refused("IntegrityError")
            framed = receiver.open(body, data)
        else:
            aes, nonce, expected = derive_g(seeds[kid], head, data)
            if not hmac.compare_digest(expected, commitment):
                raise Refused("IntegrityError")
            framed = AESGCM(aes).decrypt(nonce, body, data)
    except Refused:
        raise
    except Exception:
        raise Refused("IntegrityError") from None
    return unframe(framed)


def fingerprint(root, namespace, value):
    key = hmac.new(root, field(b"supercargo/fingerprint") + field(namespace.encode()), hashlib.sha256).digest()
    return hmac.new(key, value, hashlib.sha256).hexdigest()[:16]


def known(text):
    return hashlib.sha256(b"supercargo test vector: " + text.encode()).digest()


def make():
    seeds = [known("key one"), known("key two")]
    keys = []
    for seed in seeds:
        public = raw_public(SUITE.kem.derive_key_pair(seed))
        kid = hashlib.sha256(public).hexdigest()[:16]
        keys.append({"seed": seed.hex(), "kid": kid, "public": f"scpub1.{kid}.{b64(public)}"})
    long_name, long_key = "n" * 253, "K" * 253
    cases = [
        ("a password", "x", 0, "s", "shop", "db", "password", b"hunter2"),
        ("an empty value", "x", 0, "s", "shop", "db", "empty", b""),
        ("every byte", "x", 0, "s", "shop", "db", "blob.bin", bytes(range(256))),
        ("several lines", "x", 0, "n", "shop", "db", "tls.key", "-----BEGIN—\nline\r\n\n".encode()),
        ("the whole cluster", "x", 0, "c", "shop", "db", "password", b"shared"),
        ("the last of a step", "x", 1, "s", "shop", "db", "k", b"a" * 60),
        ("the first of the next step", "x", 1, "s", "shop", "db", "k", b"a" * 61),
        ("the first of PADME", "x", 1, "s", "shop", "db", "k", b"p" * 1021),
        ("in PADME", "x", 1, "n", "shop", "db", "k", bytes(n * 7 % 251 for n in range(5000))),
        ("the longest names", "x", 1, "s", "s" * 63, long_name, long_key, b"v"),
        ("the program's own", "g", 0, "s", "shop", "made", "password", b"generated"),
        ("the program's own in PADME", "g", 1, "n", "shop", "made", "password", b"g" * 3000),
    ]
    opened = []
    for title, suite, which, scope, namespace, name, key, value in cases:
        entropy = known("entropy of " + title)
        envelope = seal(seeds[which], suite, scope, namespace, name, key, entropy, frame(value))
        opened.append({
            "title": title, "suite": suite, "kid": keys[which]["kid"], "scope": scope, "namespace": namespace,
            "name": name, "key": key, "entropy": entropy.hex(), "value": value.hex(), "envelope": envelope,
        })
    place = ("s", "shop", "db", "password")
    good = opened[0]["envelope"]
    head, payload = good.rsplit(".", 1)
    raw = unb64(payload)

    def flip(at):
        return f"{head}.{b64(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])}"

    def odd(title, framed):
        return seal(seeds[0], "x", *place, known("entropy of " + title), framed)

    stranger = seal(known("a stranger's key"), "x", *place, known("entropy of a stranger"), frame(b"hunter2"))
    refused = [
        ("another encapsulated key", flip(0), "IntegrityError"),
        ("another commitment", flip(32), "IntegrityError"),
        ("another ciphertext", flip(48), "IntegrityError"),
        ("another tag", flip(len(raw) - 1), "IntegrityError"),
        ("a stranger's key", stranger, "UnknownKeyId"),
        ("another place", opened[1]["envelope"], "ScopeMismatch"),
        ("a later version", good.replace("sc1.", "sc2.", 1), "UnsupportedEnvelope"),
        ("a reserved suite", good.replace(".x.", ".q.", 1), "UnsupportedEnvelope"),
        ("padding that is not zero", odd("dirty", frame(b"hunter2")[:-1] + b"\1"), "MalformedEnvelope"),
        ("more padding than needed", odd("roomy", frame(b"hunter2").ljust(128, b"\0")), "MalformedEnvelope"),
        ("a length beyond the frame", odd("long", struct.pack(">I", 61).ljust(64, b"\0")), "MalformedEnvelope"),
    ]
    root = known("fingerprint root")
    root_id = hmac.new(root, b"supercargo/fingerprint-root/id", hashlib.sha256).hexdigest()[:16]
    members = "".join(
        f"key {state} 2026-11-22T00:00:00Z scsec1.{k['kid']}.{b64(bytes.fromhex(k['seed']))}\n"
        for state, k in sorted(zip(["primary", "decrypt-only"], keys), key=lambda m: m[1]["kid"])
    )
    ring = (
        "supercargo-keyring 1\ncluster-scope allowed\n"
        f"fingerprint-root scroot1.{root_id}.{b64(root)}\n{members}end\n"
    )
    return {
        "about": "Frozen vectors of the envelope sc1 and of the key ring's text. Never edited: a new format gets a new file.",
        "keys": keys,
        "ring": ring,
        "fingerprints": [
            {"namespace": n, "value": v.hex(), "fingerprint": fingerprint(root, n, v)}
            for n, v in [("shop", b"hunter2"), ("bank", b"hunter2"), ("shop", b"")]
        ],
        "opened": opened,
        "refused": [
            {"title": t, "namespace": place[1], "name": place[2], "key": place[3], "envelope": e, "cause": c}
            for t, e, c in refused
        ],
    }


def check(vectors):
    seeds, failures = {}, 0
    for key in vectors["keys"]:
        public = raw_public(SUITE.kem.derive_key_pair(bytes.fromhex(key["seed"])))
        kid = hashlib.sha256(public).hexdigest()[:16]
        assert key["public"] == f"scpub1.{kid}.{b64(public)}", "a public key differs"
        seeds[kid] = bytes.fromhex(key["seed"])
    cases = [(c, c["value"]) for c in vectors["opened"]] + [(c, c["cause"]) for c in vectors["refused"]]
    for case, expected in cases:
        try:
            found = open_one(seeds, case["envelope"], case["namespace"], case["name"], case["key"]).hex()
        except Refused as refused:
            found = str(refused)
        failures += found != expected
        print(f"{'ok  ' if found == expected else 'FAIL'} {case['title']}")
    print(f"{len(cases) - failures} of {len(cases)} as expected")
    return failures


if __name__ == "__main__":
    if sys.argv[1] == "--make":
        with open(sys.argv[2], "w") as out:
            json.dump(make(), out, indent=1)
            out.write("\n")
    else:
        with open(sys.argv[1]) as stored:
            sys.exit(1 if check(json.load(stored)) else 0)
