"""Executes buildspec.yml as CodeBuild does, with stubs that record what they are asked to do."""

import json
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import jsonschema
import yaml

ROOT = Path(__file__).resolve().parents[2]
BUILDSPEC = yaml.safe_load((ROOT / "buildspec.yml").read_text())
VERSION = "1.2.3"
REVISION = "0123456789abcdef0123456789abcdef01234567"
REGISTRY = "account.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE = f"{REGISTRY}/coworking-analytics"

PHASES = ["install", "pre_build", "build", "post_build"]
COMMANDS = {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}
PATHS = {"type": "array", "minItems": 1, "items": {"type": "string"}}
# The part of the buildspec reference that is used here; whatever else appears is a mistake.
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "phases", "artifacts"],
    "properties": {
        "version": {"const": 0.2},
        "env": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "shell": {"enum": ["bash", "/bin/sh"]},
                "variables": {"type": "object", "additionalProperties": {"type": "string"}},
                "exported-variables": PATHS,
            },
        },
        "phases": {
            "type": "object",
            "additionalProperties": False,
            "required": ["pre_build", "build", "post_build"],
            "properties": {
                phase: {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["commands"],
                    "properties": {"commands": COMMANDS, "runtime-versions": {"type": "object"}},
                }
                for phase in PHASES
            },
        },
        "artifacts": {
            "type": "object",
            "additionalProperties": False,
            "required": ["files"],
            "properties": {"files": PATHS},
        },
        "cache": {"type": "object", "additionalProperties": False, "required": ["paths"], "properties": {"paths": PATHS}},
    },
}

# Records its arguments and what it reads; fails when they match $FAIL. Tags in $TAKEN are in the registry.
STUB = r"""#!/usr/bin/env bash
call="$(basename "$0") $*"
echo "$call" >>"$CALLS"
[[ -z "$FAIL" || "$call" != $FAIL ]] || exit 1
case "$call" in
  "aws sts get-caller-identity --query Account --output text") echo account ;;
  "aws ecr get-login-password --region eu-west-1") echo a-password ;;
  "docker login "*) echo "password: $(cat)" >>"$CALLS" ;;
  "aws ecr describe-images "*"imageTag="*) [[ " $TAKEN " == *" ${call##*imageTag=} "* ]] ;;
  "docker image inspect "*) echo "${SIZE:-39000000}" ;;
  "docker info" | "docker build "* | "docker tag "* | "docker push "* | "make "* | "curl "*) ;;
  *) echo "unexpected: $call" >&2; exit 127 ;;
esac
"""


class Build:
    """One build: each command in a shell of its own, which gets the folder and the variables that the one
    before exported. That is less than CodeBuild grants, so that what passes here relies on nothing."""

    def __init__(self, fail="", **environment):
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self.source, stubs, home = (folder / name for name in ["source", "stubs", "home"])
        for each in [self.source / "scripts", stubs, home]:
            each.mkdir(parents=True)
        (self.source / "Cargo.toml").write_text(f'[workspace.package]\nversion = "{VERSION}"\n\n[package]\nversion.workspace = true\n')
        for name in ["Dockerfile", "scripts/image.sh"]:
            shutil.copy(ROOT / name, self.source / name)
        for name in ["aws", "docker", "make", "curl"]:
            (stubs / name).write_text(STUB)
            (stubs / name).chmod(0o755)
        self._calls = folder / "calls"
        self._calls.touch()
        self._state = folder / "state"
        self._environment = {
            "PATH": f"{stubs}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "CALLS": str(self._calls),
            "FAIL": fail,
            "TAKEN": "",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "CODEBUILD_BUILD_NUMBER": "57",
            "CODEBUILD_RESOLVED_SOURCE_VERSION": REVISION,
            "CODEBUILD_SOURCE_REPO_URL": "https://user:secret@github.com/example/coworking-analytics.git",
            "CODEBUILD_BUILD_SUCCEEDING": "1",
            **environment,
        }
        self._working_directory = str(self.source)
        self.phases = {}
        self.output = ""
        self._run()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def _run(self):
        for phase in PHASES:
            if phase not in BUILDSPEC["phases"]:
                continue
            self.phases[phase] = all(map(self._command, BUILDSPEC["phases"][phase]["commands"]))
            if not self.phases[phase]:
                self._environment["CODEBUILD_BUILD_SUCCEEDING"] = "0"
                # Only a failed build phase is followed by another: post_build.
                if phase != "build":
                    return

    def _command(self, command):
        shell = BUILDSPEC["env"]["shell"]
        script = f'trap \'code=$?; {{ pwd; env -0; }} >"{self._state}"; exit $code\' EXIT\n{command}'
        done = subprocess.run(
            [shell, "-c", script],
            cwd=self._working_directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        self.output += done.stdout
        self._working_directory, _, variables = self._state.read_text().partition("\n")
        self._environment = dict(each.split("=", 1) for each in variables.split("\0") if each)
        return done.returncode == 0

    @property
    def calls(self):
        return self._calls.read_text().splitlines()

    def called(self, beginning):
        return [call for call in self.calls if call.startswith(beginning)]

    @property
    def artifact(self):
        files = BUILDSPEC["artifacts"]["files"]
        found = [path for pattern in files for path in self.source.glob(pattern)]
        return json.loads(found[0].read_text()) if found else None


class Buildspec(unittest.TestCase):
    def test_follows_the_reference(self):
        jsonschema.validate(BUILDSPEC, SCHEMA)

    def test_names_no_account(self):
        self.assertNotRegex((ROOT / "buildspec.yml").read_text(), r"\b\d{12}\b")

    def test_success_pushes_three_tags_and_defines_the_image(self):
        with Build() as build:
            self.assertEqual(build.phases, dict.fromkeys(PHASES, True), build.output)
            self.assertEqual(build.called("docker push"), [f"docker push {IMAGE}:{tag}" for tag in ["57", VERSION, "0123456"]])
            self.assertEqual(build.called("docker tag"), [f"docker tag {IMAGE}:57 {IMAGE}:{tag}" for tag in [VERSION, "0123456"]])
            self.assertEqual(build.artifact, [{"name": "coworking-analytics", "imageUri": f"{IMAGE}:57"}])
            (image,) = build.called("docker build")
            for argument in [
                f"--tag {IMAGE}:57",
                f"--build-arg VERSION={VERSION}",
                f"--build-arg REVISION={REVISION}",
                # A label of the Dockerfile may come from a cache.
                f"--label org.opencontainers.image.revision={REVISION}",
                f"--label org.opencontainers.image.version={VERSION}",
                "--build-arg SOURCE=https://github.com/example/coworking-analytics.git",
            ]:
                self.assertIn(argument, image)

    def test_logs_in_and_tests_before_it_builds(self):
        with Build() as build:
            self.assertEqual(build.called("docker login"), [f"docker login --username AWS --password-stdin {REGISTRY}"])
            self.assertIn("password: a-password", build.calls)
            order = [call.split()[:2] for call in build.calls if call.startswith(("make", "docker build", "docker push"))]
            self.assertEqual(order[:3], [["make", "test"], ["make", "deny"], ["docker", "build"]])

    def test_tests_with_the_toolchain_of_the_image(self):
        with Build() as build:
            self.assertEqual(len(build.called("curl ")), 1)
        (version,) = [line.removeprefix("ARG RUST_VERSION=") for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("ARG RUST_VERSION=")]
        (least,) = [line.split('"')[1] for line in (ROOT / "Cargo.toml").read_text().splitlines() if line.startswith("rust-version = ")]
        self.assertGreaterEqual([int(part) for part in version.split(".")], [int(part) for part in least.split(".")])

    def test_a_tag_that_is_taken_stays_as_it_is(self):
        with Build(TAKEN=VERSION) as build:
            self.assertTrue(build.phases["post_build"], build.output)
            self.assertEqual(build.called("docker push"), [f"docker push {IMAGE}:{tag}" for tag in ["57", "0123456"]])

    def test_nothing_is_pushed_after_a_failure(self):
        """The phases that ran, and which of them failed, wherever the build breaks."""
        install, pre_build, build = {"install": False}, {"install": True, "pre_build": False}, {"install": True, "pre_build": True, "build": False, "post_build": False}
        cases = {
            "the toolchain": ("curl *", {}, install),
            "the account": ("aws sts *", {}, pre_build),
            "the password": ("aws ecr get-login-password *", {}, pre_build),
            "the login": ("docker login *", {}, pre_build),
            "the tests": ("make test", {}, pre_build),
            "the build": ("docker build *", {}, build),
            "an image over 40 MB": ("", {"SIZE": "40000001"}, build),
            "a tag": ("docker tag *", {}, build),
        }
        for name, (fail, environment, phases) in cases.items():
            with self.subTest(name), Build(fail, **environment) as run:
                self.assertEqual(run.phases, phases, run.output)
                self.assertEqual(run.called("docker push"), [])
                self.assertIsNone(run.artifact)
                if "build" not in phases:
                    self.assertEqual(run.called("docker build"), [])

    def test_a_push_that_fails_defines_no_image(self):
        for tag in ["57", VERSION, "0123456"]:
            with self.subTest(tag), Build(f"docker push {IMAGE}:{tag}") as build:
                self.assertFalse(build.phases["post_build"])
                self.assertIsNone(build.artifact)


if __name__ == "__main__":
    unittest.main()
