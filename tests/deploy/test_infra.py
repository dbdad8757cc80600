"""What no linter knows: that the files of infra/, the Dockerfile, the code and the runbook agree."""

import json
import re
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"


class Template(yaml.SafeLoader):
    """CloudFormation's short functions, as what they are applied to."""


Template.add_multi_constructor("!", lambda loader, _, node: getattr(loader, f"construct_{node.id}")(node))


def documents(name, loader=yaml.SafeLoader):
    return list(yaml.load_all((INFRA / name).read_text(), loader))


def found(things, what):
    """A check of nothing is none."""
    assert things, f"no {what} found"
    return things


(OBSERVABILITY,) = documents("observability.yaml", Template)
(CLUSTER,) = documents("cluster.yaml")
AGENT = {each["metadata"]["name"]: each for each in documents("cwagent-prometheus.yaml") if each["kind"] == "ConfigMap"}
SCRAPE = yaml.safe_load(AGENT["cwagent-prometheus-scrape"]["data"]["prometheus.yaml"])
CONFIG = json.loads(AGENT["cwagent-prometheus-agent"]["data"]["cwagentconfig.json"])
PROMETHEUS = CONFIG["logs"]["metrics_collected"]["prometheus"]
ALARMS = {name: each["Properties"] for name, each in OBSERVABILITY["Resources"].items() if each["Type"] == "AWS::CloudWatch::Alarm"}
(ALERTS,) = documents("alerts.prometheus.yaml")
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def metrics_of(alarm):
    """Namespace, name and dimensions of what an alarm watches."""
    watched = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]
    return [(each["Namespace"], each["MetricName"], [dimension["Name"] for dimension in each.get("Dimensions", [])]) for each in watched]


class Alarms(unittest.TestCase):
    def test_each_has_a_runbook_and_a_topic(self):
        anchors = [re.search(r"docs/operations\.md#([\w-]+)$", alarm["AlarmDescription"]) for alarm in ALARMS.values()]
        self.assertNotIn(None, anchors)
        self.assertEqual(
            {match[1] for match in anchors},
            {"alarm-5xx", "alarm-p99", "alarm-readiness", "alarm-restarts", "alarm-memory", "alarm-rollup", "alarm-no-check-ins"},
        )
        for name, alarm in ALARMS.items():
            self.assertEqual((alarm["AlarmActions"], alarm["OKActions"]), (["AlarmTopicArn"], ["AlarmTopicArn"]), name)
            self.assertIn("TreatMissingData", alarm, name)

    def test_prometheus_alerts_on_the_same_conditions(self):
        runbooks = {alarm["AlarmDescription"].split("Runbook: ")[1] for alarm in ALARMS.values()}
        self.assertEqual({rule["annotations"]["runbook"] for rule in RULES}, runbooks)

    def test_the_runbook_has_every_section(self):
        text = (ROOT / "docs/operations.md").read_text()
        headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
        anchors |= set(re.findall(r'<a (?:id|name)="([\w-]+)"', text))
        for rule in found(RULES, "alerts"):
            self.assertIn(rule["annotations"]["runbook"].split("#")[1], anchors)

    def test_the_agent_delivers_what_they_watch(self):
        watched = [metric for alarm in ALARMS.values() for metric in metrics_of(alarm) if metric[0] == "ContainerInsights/Prometheus"]
        for _, name, dimensions in found(watched, "metrics"):
            self.assertIn(sorted(dimensions), delivered(name), name)

    def test_the_agent_delivers_what_the_dashboard_shows(self):
        body = OBSERVABILITY["Resources"]["Dashboard"]["Properties"]["DashboardBody"]
        json.loads(re.sub(r"\$\{[\w:.]+\}", "x", body))
        for name in found(set(re.findall(r"\bcoworking_\w+", body)), "metrics"):
            self.assertTrue(delivered(name), name)

    def test_every_metric_is_one_that_the_service_has(self):
        source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
        files = [path.read_text() for path in INFRA.glob("*.yaml")]
        used = {name for text in files for name in re.findall(r"\bcoworking_\w*[a-z](?=[\"{\[ )\n])", text)}
        for name in found(used, "metrics"):
            self.assertIn(f'"{re.sub("_(bucket|sum|count)$", "", name)}"', source)


def delivered(name):
    """The dimensions under which the agent delivers a metric."""
    return [
        sorted(dimensions)
        for declaration in PROMETHEUS["emf_processor"]["metric_declaration"]
        if any(re.search(selector, name) for selector in declaration["metric_selectors"])
        for dimensions in declaration["dimensions"]
    ]


class Agent(unittest.TestCase):
    def test_it_knows_the_cluster(self):
        self.assertEqual((PROMETHEUS["cluster_name"], CONFIG["agent"]["region"]), (CLUSTER["metadata"]["name"], CLUSTER["metadata"]["region"]))
        self.assertEqual(OBSERVABILITY["Parameters"]["ClusterName"]["Default"], CLUSTER["metadata"]["name"])

    def test_its_scrape_configuration_is_prometheus(self):
        (job,) = SCRAPE["scrape_configs"]
        # Debian's promtool knows no Kubernetes: all but the discovery is checked.
        static = {key: value for key, value in job.items() if key != "kubernetes_sd_configs"}
        static["static_configs"] = [{"targets": ["localhost:9153"]}]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump({**SCRAPE, "scrape_configs": [static]}, file)
            file.flush()
            subprocess.run(["promtool", "check", "config", file.name], check=True, capture_output=True)
        self.assertEqual(job["kubernetes_sd_configs"], [{"role": "pod"}])
        self.assertIn("coworking-analytics;9153", [each.get("regex") for each in job["relabel_configs"]])


class Cluster(unittest.TestCase):
    def test_it_has_a_steady_group_and_a_spot_group(self):
        groups = {group["name"]: group for group in CLUSTER["managedNodeGroups"]}
        steady, spot = groups["on-demand"], groups["spot"]
        self.assertEqual((CLUSTER["metadata"]["name"], steady["instanceType"]), ("my-cluster", "t3.medium"))
        self.assertFalse(steady.get("spot", False))
        self.assertTrue(spot["spot"])
        self.assertGreaterEqual(len(set(spot["instanceTypes"])), 4)
        self.assertIn("amazon-cloudwatch-observability", [addon["name"] for addon in CLUSTER["addons"]])
        for addon in CLUSTER["addons"]:
            json.loads(addon.get("configurationValues", "{}"))


class Image(unittest.TestCase):
    def test_the_context_holds_what_cargo_reads(self):
        ignored, *kept = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
        self.assertEqual(ignored, "*")
        kept = [ROOT / line.removeprefix("!") for line in kept]
        for path in kept:
            self.assertTrue(path.exists(), f".dockerignore keeps {path.name}, which is not there")
        manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
        needed = [ROOT / "Cargo.toml", ROOT / "Cargo.lock", *(ROOT / member for member in manifest["workspace"]["members"] if member != ".")]
        needed += [ROOT / target["path"] for kind in ["bin", "bench", "example", "test"] for target in manifest.get(kind, []) if "path" in target]
        needed += [path for path in [ROOT / "build.rs", ROOT / ".cargo"] if path.exists()]
        for folder in ["src", "entity", "migration"]:
            for path in (ROOT / folder).rglob("*.rs"):
                needed += [(path.parent / file).resolve() for file in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', path.read_text())]
        for path in needed:
            self.assertTrue(any(path.is_relative_to(each) for each in kept), f".dockerignore leaves out {path.relative_to(ROOT)}")

    def test_it_is_what_the_cluster_expects(self):
        text = (ROOT / "Dockerfile").read_text().split("\nFROM ")[-1]
        for line in ["USER 65532:65532", "EXPOSE 5153 9153", 'CMD ["/usr/local/bin/coworking-analytics", "health"]', 'ENTRYPOINT ["/usr/local/bin/coworking-analytics"]']:
            self.assertIn(line, text)


class Secrets(unittest.TestCase):
    def test_no_file_names_an_account(self):
        for path in found([*INFRA.glob("*.yaml"), ROOT / "buildspec.yml"], "files"):
            self.assertNotRegex(path.read_text(), r"(?<!\d)\d{12}(?!\d)", path.name)


if __name__ == "__main__":
    unittest.main()
