#!/bin/sh
# Generates deepcopy functions, the CustomResourceDefinition, RBAC, the chart's copies of files in config, and its README.md.
# The same sources always give the same files. Needs only Go; the versions of the generators are pinned in tools.
set -eu

cd "$(dirname "$0")/.."
export GOFLAGS= GOWORK=off

bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go -C tools build -o "$bin/" sigs.k8s.io/controller-tools/cmd/controller-gen ./crdschema
go -C tools/chart build -o "$bin/" github.com/norwoodj/helm-docs/cmd/helm-docs

api=./api/v1alpha1
crds=config/crd/bases
role=config/rbac/role.yaml

# Remove all first. Otherwise a file whose source was deleted would remain.
rm -rf $api/zz_generated.*.go $crds $role
"$bin/controller-gen" object paths=$api

"$bin/controller-gen" crd paths=$api output:crd:dir=$crds
for crd in $crds/*.yaml; do
	"$bin/crdschema" "$crd"
done

# The operator needs rights only in the namespaces that it watches, so a Role is enough. The markers can only make a
# Role for a named namespace.
if [ -d controllers ]; then
	"$bin/controller-gen" rbac:roleName=registration-policy-operator paths=./controllers/... output:rbac:dir=config/rbac
	sed 's/^kind: ClusterRole$/kind: Role/' $role >"$bin/role.yaml"
	cat "$bin/role.yaml" >$role
fi

# The chart reads these files; its templates add only names, labels and namespaces. The annotations keep the CRD when a
# release is uninstalled.
files=charts/registration-policy-operator/files
rm -rf $files
mkdir -p $files
cp $role config/rbac/policy_editor_role.yaml config/rbac/policy_viewer_role.yaml $files/
cp config/admission/policy.yaml $files/admission_policy.yaml
cp config/list-sync/role.yaml $files/list_sync_role.yaml
cp config/monitoring/prometheus_rule.yaml config/monitoring/dashboard.json $files/
sed 's|^  annotations:$|&\n    argocd.argoproj.io/sync-options: Prune=false,Delete=false\n    helm.sh/resource-policy: keep|' $crds/registrationpolicy.dev_registrationpolicies.yaml >$files/crd.yaml

# The table of values is made from the comments in values.yaml.
rm -f charts/*/README.md
"$bin/helm-docs" --chart-search-root=charts --sort-values-order=file --log-level=warning
