"""Every kubectl command that the documentation and the manifests name is one that kubectl can read: known commands and
options, complete names and namespaces, files that exist. Needs no cluster.
"""

import re
import shlex
import subprocess
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("k8s/**/*.yaml"), *ROOT.glob("infra/*.yaml"), ROOT / "Makefile"]
NAMES = {"namespace": "coworking", "deployment": "coworking-analytics", "label": "app.kubernetes.io/name=coworking-analytics"}


def commands():
    """Each with the file that names it, as words; what a pipe leads to is a command of its own."""
    for source in SOURCES:
        text = source.read_text()
        if source.suffix == ".md":
            prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
            found = re.findall(r"^\$ ((?:.*\\\n)*.*)", text, re.M) + re.findall(r"`([^`]*kubectl [^`]+)`", prose)
        elif source.name == "Makefile":
            found = re.findall(r"^\t(kubectl .*)", text, re.M)
        else:
            # Comments go over several lines.
            found = re.findall(r"`([^`]*kubectl [^`]+)`", re.sub(r"\n\s*#", " ", text))
        for each in found:
            if "kubectl " not in each:
                continue
            reader = shlex.shlex(each.replace("\\\n", " "), posix=True, punctuation_chars="|")
            reader.whitespace_split, reader.commenters = True, "#" if source.suffix == ".md" else ""
            words = list(reader)
            while "kubectl" in words:
                words = words[words.index("kubectl") + 1 :]
                yield source.relative_to(ROOT), words[: words.index("|")] if "|" in words else words


COMMANDS = list(commands())


def kubectl(*words, given=None):
    return subprocess.run(["kubectl", *words], capture_output=True, text=True, input=given, cwd=ROOT, check=False)


class Commands(unittest.TestCase):
    def test_there_are_some(self):
        self.assertGreater(len([1 for source, _ in COMMANDS if source.name == "operations.md"]), 10)

    def test_kubectl_knows_them(self):
        for source, words in COMMANDS:
            with self.subTest(f"{source}: {' '.join(words)}"):
                # What follows `--` is run in a container. Options are read before help is shown.
                words = words[: words.index("--")] if "--" in words else words
                told = kubectl(*words, "--help")
                self.assertEqual(told.returncode, 0, told.stderr)
                # For an unknown command, kubectl shows its own help.
                self.assertNotIn("kubectl controls the Kubernetes cluster manager", told.stdout)

    def test_files_are_there(self):
        checked = 0
        for source, words in COMMANDS:
            for option, path in zip(words, words[1:]):
                if option in ("-f", "-k") and path != "-" and "/" in path:
                    checked += 1
                    self.assertTrue((ROOT / path).exists(), f"{source}: {path}")
        self.assertGreater(checked, 5)

    def test_names_are_complete(self):
        for source, words in COMMANDS:
            text = " ".join(words)
            with self.subTest(f"{source}: {text}"):
                if "apply" in words:
                    continue
                namespaced = re.search(r"(?:-n|--namespace) (\S+)", text)
                self.assertIsNotNone(namespaced, "no namespace")
                self.assertEqual(namespaced[1], NAMES["namespace"])
                for name in re.findall(r"deployments?[/ ](\S+)", text):
                    self.assertEqual(name, NAMES["deployment"])
                for label in re.findall(r"-l (\S+)", text):
                    self.assertEqual(label, NAMES["label"])
                if "logs" in words and "-l" in words:
                    self.assertIn("--prefix", words, "whose line it is")

    def test_what_makes_a_secret_makes_one_again_and_again(self):
        made = [words for _, words in COMMANDS if "create" in words]
        self.assertGreater(len(made), 1)
        for words in made:
            # The file is the operator's.
            words = ["--from-literal=api-keys=line" if word.startswith("--from-file=api-keys") else word for word in words]
            words = ["--from-literal=ca.pem=text" if word.startswith("--from-file=ca.pem") else word for word in words]
            words = ["--from-literal=notes.txt=text" if word.startswith("--from-file=notes.txt") else word for word in words]
            done = kubectl(*words, *([] if "-o" in words else ["--dry-run=client", "-o", "yaml"]))
            self.assertEqual(done.returncode, 0, f"{words}: {done.stderr}")
            self.assertEqual(yaml.safe_load(done.stdout)["metadata"]["namespace"], NAMES["namespace"])
            if "secret" in words:
                self.assertIn("--dry-run=client", words, "a second time, `create` alone fails")


class Manifests(unittest.TestCase):
    def documents(self, path):
        return list(yaml.safe_load_all((ROOT / path).read_text()))

    def test_each_release_has_a_migration_of_its_own(self):
        text = (ROOT / "k8s/components/migration/migration-job.yaml").read_text()
        (command,) = re.findall(r"sed 's#TAG\$#(\w+)#' (\S+)", (ROOT / "docs/operations.md").read_text())
        self.assertEqual(command[1], "k8s/components/migration/migration-job.yaml")
        job, _ = yaml.safe_load_all(re.sub(r"TAG$", "42", text, flags=re.M))
        self.assertEqual(job["metadata"]["name"], "coworking-migration-42")
        self.assertTrue(job["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":42"))
        # Without a tag, Kubernetes refuses the name.
        self.assertNotRegex(self.documents("k8s/components/migration/migration-job.yaml")[0]["metadata"]["name"], r"^[a-z0-9.-]+$")

    def test_flux_is_refused_without_an_address(self):
        repository = self.documents("k8s/gitops/flux.yaml")[0]
        # The pattern of Flux's own definition of the resource.
        self.assertNotRegex(repository["spec"]["url"], r"^(http|https|ssh)://.*$")

    def test_the_load_balancer_keeps_addresses_and_has_time_to_leave(self):
        deployment, service = self.documents("k8s/base/coworking-deployment.yaml")
        of = {name.removeprefix("service.beta.kubernetes.io/aws-load-balancer-"): value for name, value in service["metadata"]["annotations"].items()}
        self.assertEqual((of["type"], of["nlb-target-type"]), ("external", "ip"))
        self.assertIn("preserve_client_ip.enabled=true", of["target-group-attributes"])
        pod = deployment["spec"]["template"]["spec"]
        self.assertGreaterEqual(pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"], 120)
        self.assertEqual(pod["nodeSelector"], {"kubernetes.io/arch": "amd64"})

    def test_what_the_documentation_counts_on_is_installed(self):
        guide = (ROOT / "docs/operations.md").read_text()
        (cluster,) = self.documents("infra/cluster.yaml")
        accounts = {each["serviceAccountName"] for each in cluster["iam"]["podIdentityAssociations"] if each["namespace"] == "kube-system"}
        for name in accounts:
            self.assertRegex(guide, rf"helm upgrade --install {name} {name} --namespace kube-system")
            self.assertRegex(guide, rf"--set (rbac\.)?serviceAccount\.name={name}\b")
        self.assertEqual(accounts, {"cluster-autoscaler", "aws-load-balancer-controller"})
        self.assertEqual(set(re.findall(r"[cC]lusterName=(\S+)", guide)), {cluster["metadata"]["name"]})
        self.assertEqual(set(re.findall(r"awsRegion=(\S+)", guide)), {cluster["metadata"]["region"]})


if __name__ == "__main__":
    unittest.main()
