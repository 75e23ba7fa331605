"""Every figure of every server, in the form that Prometheus reads."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

COUNTERS = re.compile(r"_total$")


def families(desk):
    answer = desk.ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(answer.body.decode())}


def samples(family, **labels):
    return {sample.name: sample.value for sample in family.samples if labels.items() <= sample.labels.items()}


def test_the_figures_of_services_parts_channels_and_handlers_are_there_by_server(desk):
    ada = desk.enter("ada")
    for number in range(7):
        ada.request("echo", number)
    desk.look()
    found = families(desk)
    assert samples(found["firefly_up"], server="world-1") == {"firefly_up": 1.0}
    assert samples(found["firefly_gate_sessions"], server="gate-1") == {"firefly_gate_sessions": 1.0}
    assert samples(found["firefly_gate_accepted"], server="gate-1") == {"firefly_gate_accepted_total": 1.0}
    assert samples(found["firefly_handler_runs"], server="world-1", handler="echo") == {
        "firefly_handler_runs_total": 7.0
    }
    assert samples(found["firefly_channel_up"], server="gate-1", peer="world-1") == {"firefly_channel_up": 1.0}
    assert (
        samples(found["firefly_channel_requests"], server="world-1", peer="gate-1")["firefly_channel_requests_total"]
        >= 8
    )
    for name in [
        "runners_idle",
        "deadlines_held",
        "timers_runs",
        "process_resident_bytes",
        "process_cpu_seconds",
        "hub_blocked",
        "hub_lag_seconds",
        "groups_undelivered",
        "node_sessions",
        "root_channels",
        "admin_looks",
        "log_lines",
        "handler_off",
        "directory_players",
    ]:
        assert f"firefly_{name}" in found, name


def test_every_bound_and_duty_that_a_server_counts_is_exported(desk):
    desk.look()
    found = families(desk)
    for process, kernel in desk.cluster.kernels.items():
        figures = kernel.inspection.verbs["statistics"]()
        for part, values in [*figures["services"].items(), *figures["parts"].items()]:
            for name in values:
                family = "firefly_" + re.sub(r"[^a-zA-Z0-9_]", "_", COUNTERS.sub("", f"{part}_{name}"))
                assert samples(found[family], server=process), (process, family)


def test_durations_are_a_histogram_whose_buckets_only_grow(desk):
    ada = desk.enter("ada")
    for number in range(20):
        ada.request("echo", number)
    desk.look()
    family = families(desk)["firefly_handler_seconds"]
    rows = [sample for sample in family.samples if sample.labels.get("handler") == "echo"]
    buckets = [(float(sample.labels["le"]), sample.value) for sample in rows if sample.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)
    told = {sample.name: sample.value for sample in rows if "le" not in sample.labels}
    assert buckets[-1] == (float("inf"), 20.0)
    assert told["firefly_handler_seconds_count"] == 20.0
    assert 0 < told["firefly_handler_seconds_sum"] < 10


def test_errors_are_counted_by_code_and_never_by_player(desk):
    ada = desk.enter("ada")
    for command in ("refuse", "refuse", "broken"):
        answer = ada.ask(command)
        desk.wait(lambda answer=answer: answer.ready, "an answer")
    desk.look()
    found = families(desk)
    errors = {
        (sample.labels["handler"], sample.labels["code"]): sample.value
        for sample in found["firefly_handler_errors"].samples
    }
    assert errors == {("refuse", "too_far"): 2.0, ("broken", "internal"): 1.0}
    allowed = {"server", "peer", "plugin", "level", "kind", "handler", "code", "le"}
    assert {label for family in found.values() for sample in family.samples for label in sample.labels} <= allowed


def test_counters_never_fall_from_one_scrape_to_the_next(desk):
    ada = desk.enter("ada")

    def totals():
        desk.look()
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in families(desk).values()
            for sample in family.samples
            if sample.name.endswith("_total")
        }

    before = totals()
    ada.request("echo", 1)
    after = totals()
    assert before.keys() <= after.keys()
    assert [key for key in before if after[key] < before[key]] == []


def test_what_the_supervisor_counts_is_told_by_server(desk, supervisor):
    supervisor.processes["world-1"].update(state="fatal", starts=6, crashes=5, lost_lines=3)
    desk.look()
    found = families(desk)
    for name, count in {"starts": 6.0, "crashes": 5.0, "dropped": 0.0, "lost_lines": 3.0}.items():
        family = f"firefly_supervisor_{name}"
        assert samples(found[family], server="world-1") == {f"{family}_total": count}
    given_up = found["firefly_supervisor_given_up"]
    assert {sample.labels["server"]: sample.value for sample in given_up.samples} == {
        "gate-1": 0.0,
        "world-1": 1.0,
        "admin-1": 0.0,
    }
