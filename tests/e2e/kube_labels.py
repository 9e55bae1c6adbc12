"""kube_labels: tables of what Kubernetes discovery must find, in short; and what programs found, to compare."""

import json
import re

import harness

P = "__meta_kubernetes_"
# What discovery gives; the rest of a target's labels comes from its job.
GIVEN = re.compile("__address__|__meta_.*|instance")


# Of a job: its targets are told apart by what discovery says, and nobody is scraped at made-up addresses.
NOWHERE = """\
  relabel_configs:
  - {source_labels: [__address__], target_label: found_at}
  - {action: labelmap, regex: __meta_kubernetes_(.+)}
  - {target_label: __address__, replacement: '127.0.0.1:1'}
"""


def meta(what, name, labels=None, annotations=None):
    """The name, labels and annotations of an object, as its labels without prefix."""
    out = {f"{what}_name": name} if name else {}
    for kind, pairs in (("label", labels), ("annotation", annotations)):
        for key, value in (pairs or {}).items():
            key = re.sub("[^a-zA-Z0-9_]", "_", key)
            out[f"{what}_{kind}_{key}"] = value
            out[f"{what}_{kind}present_{key}"] = "true"
    return out


def target(address, *parts, **labels):
    """One target: label names are given without their prefix, but for instance. An empty value is no label."""
    out = {"__address__": address}
    for part in (*parts, labels):
        out.update({name if name == "instance" else P + name: value for name, value in part.items()})
    return {name: value for name, value in out.items() if value}


def in_order(targets):
    return sorted(targets, key=lambda labels: sorted(labels.items()))


def found(url, job):
    """Label sets of one job's active targets, as discovery gave them, from obsagent, Prometheus or vmagent."""
    status, body = harness.http_get(url + "/api/v1/targets?state=active", timeout=30)
    if status != 200:
        return []
    targets = json.loads(body)["data"]["activeTargets"]
    return in_order(
        {k: v for k, v in t["discoveredLabels"].items() if v and GIVEN.fullmatch(k)}
        for t in targets
        if t.get("scrapePool", t["labels"]["job"]) == job
    )


def difference(want, have):
    """What is missing and what is too much, a line for a label."""
    lines = []
    for sign, these, those in (("-", want, have), ("+", have, want)):
        for labels in these:
            if labels in those:
                continue
            near = min(those, key=lambda other: len(labels.items() ^ other.items()), default={})
            odd = dict(sorted(labels.items() - near.items()))
            lines.append(f"{sign} {labels['__address__']} of which only here: {odd}")
    return "\n".join(lines) or f"the same label sets, but {len(want)} wanted and {len(have)} there"


def wait_targets(url, job, want, what="", timeout=20, see=lambda targets: targets):
    """Waits until exactly these targets are there; `see` turns what was found into what is compared."""
    want = in_order(want)
    have = []

    def same():
        have[:] = in_order(see(found(url, job)))
        return have == want

    try:
        harness.wait_for(f"targets of {job} {what}", same, timeout)
    except AssertionError as problem:
        raise AssertionError(f"{problem} at {url}, - wanted, + there:\n{difference(want, have)}") from None
