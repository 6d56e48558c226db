"""Keeps a copy of the ConfigMaps of a namespace with the Python client: lists, then watches from there, again from the
last version after a broken connection, and lists again when that version is gone. Usage: informer KUBECONFIG NAMESPACE.
For each line on stdin it prints what it holds, a line "NAME RESOURCE_VERSION" for each object, sorted, and then "end"."""
import sys
import threading
import time

import urllib3
from kubernetes import client, config, watch

held = {}
lock = threading.Lock()


def keep(api, namespace):
    while True:
        try:
            listed = api.list_namespaced_config_map(namespace)
            with lock:
                held.clear()
                held.update((one.metadata.name, one.metadata.resource_version) for one in listed.items)
            follow(api, namespace, listed.metadata.resource_version)
        except (client.ApiException, urllib3.exceptions.HTTPError) as error:
            print("lists again:", str(error)[:200], file=sys.stderr, flush=True)
            time.sleep(0.2)


def follow(api, namespace, version):
    """Watches until the version is gone."""
    while True:
        watching = watch.Watch()
        try:
            for event in watching.stream(
                api.list_namespaced_config_map, namespace, resource_version=version, allow_watch_bookmarks=True, timeout_seconds=240
            ):
                metadata = event["object"].metadata
                version = metadata.resource_version
                with lock:
                    if event["type"] == "DELETED":
                        held.pop(metadata.name, None)
                    elif event["type"] != "BOOKMARK":
                        held[metadata.name] = version
        except client.ApiException as error:
            if error.status in (410, 504):
                raise
            print("watches again:", error.status, file=sys.stderr, flush=True)
            time.sleep(0.2)
        except urllib3.exceptions.HTTPError as error:
            print("watches again:", str(error)[:200], file=sys.stderr, flush=True)
            time.sleep(0.2)


def main():
    config.load_kube_config(sys.argv[1])
    threading.Thread(target=keep, args=(client.CoreV1Api(), sys.argv[2]), daemon=True).start()
    for _ in sys.stdin:
        with lock:
            now = sorted(held.items())
        sys.stdout.writelines(f"{name} {version}\n" for name, version in now)
        print("end", flush=True)


main()
