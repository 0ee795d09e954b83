"""The example dashboard and alert rules ask for what /metrics really shows."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.operations import guide

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "lead-marts.json"
NAME = re.compile(r"\bleadmarts_\w+")


def of_rules():
    """What the alert rules ask, in Prometheus' language."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = [rule["expr"] for group in groups for rule in group["rules"]]
    assert len(rules) > 5
    return rules


def of_dashboard():
    """What the dashboard asks, in its panels and for the servers to choose from."""
    dashboard = json.loads(DASHBOARD.read_text())
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    variables = [
        variable["query"]["query"]
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]
    assert len(panels) > 10
    return [*panels, *variables]


def names(expressions):
    """All metrics that some expressions ask for."""
    return {name for expression in expressions for name in NAME.findall(expression)}


def test_every_metric_that_is_asked_for_is_shown(client):
    client.get("/api/v1/marts/lead_event_counts_weekly")
    shown = set(re.findall(r"^(leadmarts_\w+)", client.get("/metrics").text, re.MULTILINE))
    assert names(of_rules() + of_dashboard()) <= shown


def test_the_dashboard_shows_every_metric_that_the_guide_says():
    told = {name.strip("`") for name, *_ in guide.table("Metrics")}
    sentence = r"^\[deploy/grafana\]\S+ shows all but `(\w+)`\.$"
    (left_out,) = re.findall(sentence, guide.TEXT, re.MULTILINE)
    # Of a histogram it is the buckets that are asked for.
    asked = {name.removesuffix("_bucket") for name in names(of_dashboard())}
    assert asked == told - {left_out}


def test_the_dashboard_looks_at_the_worker_that_the_alerts_look_at():
    """One that is stuck is not hidden behind the others."""
    panels = [expression.replace('{instance=~"$instance"}', "") for expression in of_dashboard()]
    served = [expression for expression in panels if "leadmarts_publication_" in expression]
    assert len(served) == 3
    for expression in served:
        assert any(rule.startswith(expression) for rule in of_rules()), expression


def test_the_dashboards_panels_do_not_lie_on_each_other():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [
        (place["x"] + right, place["y"] + down)
        for place in (panel["gridPos"] for panel in panels)
        for right in range(place["w"])
        for down in range(place["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24


def test_the_guide_explains_every_metric_and_no_other(client):
    client.get("/api/v1/marts/lead_event_counts_weekly")
    text = client.get("/metrics").text
    kinds = dict(re.findall(r"^# TYPE (leadmarts_\w+) (\w+)$", text, re.MULTILINE))
    labels = {name: set() for name in kinds}
    for sample, found in re.findall(r"^(leadmarts_\w+)\{(.*)\} ", text, re.MULTILINE):
        family = sample if sample in kinds else re.sub(r"_(bucket|sum|count)$", "", sample)
        labels[family] |= set(re.findall(r'(\w+)="', found)) - {"worker", "le"}
    told = {
        name.strip("`"): (kind, set(re.findall(r"`(\w+)`", named)))
        for name, kind, named, _what in guide.table("Metrics")
    }
    assert told == {name: (kind, labels[name]) for name, kind in kinds.items()}


def test_the_guide_explains_every_alert_and_no_other():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    told = [(name.strip("`"), severity) for name, severity, *_ in guide.table("Alerts")]
    assert told == [(rule["alert"], rule["labels"]["severity"]) for rule in rules]


def test_promtool_takes_rules_and_questions(tmp_path):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus.")
    asked = [
        expression.replace("$__rate_interval", "5m")
        for expression in of_rules() + of_dashboard()
        if "label_values" not in expression
    ]
    rules = [{"record": f"asked:{n}", "expr": expr} for n, expr in enumerate(asked)]
    file = tmp_path / "asked.yml"
    file.write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}))
    for path in (RULES, file):
        done = subprocess.run(
            ["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


FIRING = {
    "LeadMartsNothingServed": {'leadmarts_publication_number{worker="1"}': "0x60"},
    "LeadMartsPublicationOld": {
        'leadmarts_publication_published_timestamp_seconds{worker="1"}': "-100000x60"
    },
    "LeadMartsSourceStale": {
        f'leadmarts_source_committed_timestamp_seconds{{worker="1",source="{source}"}}': "-99999x60"
        for source in ("leads", "spends")
    },
    "LeadMartsFailures": {
        'leadmarts_requests_total{method="GET",route="/a",status="503",worker="0"}': "0+2x60"
    },
    "LeadMartsFailures ": {'leadmarts_answers_broken_total{worker="0"}': "0+2x60"},
    "LeadMartsRequestsRefused": {
        'leadmarts_requests_refused_total{worker="0"}': "0+50x60",
        'leadmarts_requests_total{method="GET",route="none",status="503",worker="0"}': "0+50x60",
    },
    "LeadMartsRequestsRefused ": {
        'leadmarts_connections_refused_total{status="503",worker="0"}': "0+50x60",
    },
    "LeadMartsQueriesWait": {
        'leadmarts_queries_waiting{worker="0"}': "1x60",
        'leadmarts_queries_waiting{worker="1"}': "0x60",
    },
}
"""What makes an alert fire, and no other, beside a worker that is well; each minute for an hour."""

WELL = {
    'leadmarts_publication_number{worker="0"}': "2x60",
    'leadmarts_publication_published_timestamp_seconds{worker="0"}': "0+60x60",
    'leadmarts_source_committed_timestamp_seconds{worker="0",source="leads"}': "0+60x60",
    'leadmarts_source_committed_timestamp_seconds{worker="0",source="spends"}': "-999999x60",
    'leadmarts_requests_total{method="GET",route="/a",status="200",worker="0"}': "0+100x60",
    # Whatever clients get wrong by themselves is no want of room.
    'leadmarts_connections_refused_total{status="408",worker="0"}': "0+50x60",
    'leadmarts_connections_refused_total{status="503",worker="0"}': "0x60",
}


@pytest.mark.parametrize("fires", ["", *FIRING])
def test_an_alert_fires_when_it_should(tmp_path, fires):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus.")
    series = WELL | FIRING.get(fires, {})
    alerts = [rule["alert"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]]
    expected = {name: [] for name in alerts} | ({fires.strip(): [{}]} if fires else {})
    questions = [
        {
            "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})',
            "eval_time": "1h",
            "exp_samples": [{"labels": "{}", "value": 1}] * len(fired),
        }
        for name, fired in expected.items()
    ]
    given = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": given, "promql_expr_test": questions}
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": [test]}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_metrics(client):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus.")
    shown = client.get("/metrics").text
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=shown, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
