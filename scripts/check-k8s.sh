#!/usr/bin/env bash
# Checks k8s/ without a cluster. Writes the output of kustomize to target/k8s/, as YAML and as JSON, for other tests.
#   check-k8s.sh [FILE…]      lints other YAML files too
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "$*" >&2
  exit 1
}

venv=target/deploy-venv
scripts/venv.sh tests/deploy/k8s-requirements.txt "$venv"
export PATH="$PWD/$venv/bin:$PATH"

# Custom resources of Argo CD, Flux and External Secrets, which Kubernetes' schemas do not contain.
custom=(k8s/gitops/argo-cd.yaml k8s/gitops/flux.yaml k8s/base/external-secret.example.yaml)
# A complete manifest that is in no overlay.
separate=(k8s/base/secret.example.yaml)

yamllint --strict k8s "$@"

for file in "${custom[@]}" "${separate[@]}"; do
  [ -s "$file" ] || fail "nothing to check: $file"
done
while read -r file; do
  [[ " ${custom[*]} ${separate[*]} " == *" $file "* ]] || grep -q -- "[ /]${file##*/}$" "${file%/*}/kustomization.yaml" ||
    fail "$file: neither in its kustomization nor among the files that $0 knows"
done < <(find k8s \( -name '*.yaml' -o -name '*.yml' -o -name '*.json' \) ! -name kustomization.yaml ! -path 'k8s/monitoring/*')

out=target/k8s
rm -rf "$out"
mkdir -p "$out"
for folder in k8s/base k8s/overlays/*/; do
  folder=${folder%/}
  kubectl kustomize "$folder" >"$out/${folder##*/}.yaml" || fail "$folder cannot be built"
done
for name in base local eks; do
  [ -s "$out/$name.yaml" ] || fail "nothing to check: $out/$name.yaml"
done

python3 - "$out"/*.yaml "${separate[@]}" <<'EOF'
import functools, json, pathlib, sys
import yaml
from kubernetes_validate import utils

# Without the cache, it reads a megabyte for every document.
utils.schema_contents = functools.cache(utils.schema_contents)
# Each version is listed twice: for the strict schemas and for the others.
versions = [each for each in dict.fromkeys(utils.all_versions()) if utils.Version(each) >= utils.Version("1.31")]

def documents(path):
    with open(path) as file:
        return [each for each in yaml.safe_load_all(file) if each]

problems, checked = [], 0
for path in sys.argv[1:]:
    rendered = documents(path)
    if path.startswith("target/"):
        # The same as JSON, for the tests in Rust.
        pathlib.Path(path).with_suffix(".json").write_text(json.dumps(rendered))
    for document in rendered:
        for version in versions:
            try:
                utils.validate(document, version, strict=True)
                checked += 1
            except Exception as error:
                where = ".".join(map(str, getattr(error, "path", []))) or "as a whole"
                reason = getattr(error, "message", error)
                problems.append(f"{path}: {utils.kn(document)}, Kubernetes {version}: {where}: {reason}")

# Operators apply this file by hand. The overlay for EKS must contain the same, or each apply would undo the other.
everything = documents("target/k8s/eks.yaml")
for document in documents("k8s/base/coworking-deployment.yaml"):
    if document not in everything:
        problems.append(f"overlays/eks: {utils.kn(document)} is not that of base/coworking-deployment.yaml")
if "ACCOUNT." in open("target/k8s/local.yaml").read():
    problems.append("overlays/local: an image is not the local one")

print("\n".join(problems) or f"kubernetes-validate: {checked} checks passed, Kubernetes {versions[0]} to {versions[-1]}")
sys.exit(bool(problems) or not checked)
EOF

python3 tests/deploy/test_commands.py

skipped=(
  CKV_K8S_15 # Image Pull Policy should be Always: the registry's tags are immutable, and it may be away.
  CKV_K8S_35 # Secrets as files: the service reads DB_PASSWORD, as the one it replaces did.
  CKV_K8S_43 # Image should use digest: operators release by tag, and the registry's are immutable.
)
report=$(checkov --framework kubernetes --skip-download --quiet --compact --file "$out"/*.yaml \
  --skip-check "$(IFS=,; echo "${skipped[*]}")") || fail "$report"
grep "^Passed checks: [1-9]" <<<"$report" || fail "checkov checked nothing: $report"
