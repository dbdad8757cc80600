//! Checks of the manifests that schemas cannot make: names, ports, paths and times must fit each other and the code.
//! Reads the manifests that `make manifests` rendered from `k8s/` and checked against Kubernetes' schemas.

use std::{collections::BTreeMap, path::Path, time::Duration};

use coworking_analytics::{
    app::DRAIN,
    config::{Config, Environment},
};
use serde_json::{Value, json};

use crate::support::{Backend, TestGateway};

const NAME: &str = "coworking-analytics";
type Labels = BTreeMap<String, String>;

/// A value in a manifest with its path, which failures show.
struct Node<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Node<'a> {
    /// The value at a JSON pointer; none when it is missing or null.
    fn find(&self, pointer: &str) -> Option<Self> {
        let value = self.value.pointer(pointer).filter(|value| !value.is_null())?;
        Some(Self { path: format!("{}{pointer}", self.path), value })
    }

    fn at(&self, pointer: &str) -> Self {
        self.find(pointer).unwrap_or_else(|| panic!("{}: no {pointer}", self.path))
    }

    fn read<T>(&self, pointer: &str, read: impl Fn(&'a Value) -> Option<T>) -> T {
        let node = self.at(pointer);
        read(node.value).unwrap_or_else(|| panic!("{}: cannot be {}", node.path, node.value))
    }

    fn text(&self, pointer: &str) -> &'a str {
        self.read(pointer, Value::as_str)
    }

    fn number(&self, pointer: &str) -> u64 {
        self.read(pointer, Value::as_u64)
    }

    /// The items of a list; empty when there is no list.
    fn items(&self, pointer: &str) -> Vec<Self> {
        let Some(list) = self.find(pointer) else { return Vec::new() };
        let count = list.read("", Value::as_array).len();
        (0..count).map(|index| list.at(&format!("/{index}"))).collect()
    }

    /// The entries of an object of texts; empty when there is no object.
    fn texts(&self, pointer: &str) -> Labels {
        let Some(object) = self.find(pointer) else { return Labels::new() };
        let names = object.read("", Value::as_object).keys();
        names.map(|name| (name.clone(), object.text(&format!("/{}", name.replace('/', "~1"))).to_owned())).collect()
    }
}

/// All resources of one overlay.
struct Overlay {
    name: &'static str,
    resources: Vec<Value>,
}

impl Overlay {
    fn all() -> [Self; 3] {
        ["base", "local", "eks"].map(|name| {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/k8s/{name}.json"));
            let text = std::fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{}: {error}; run `make manifests`", file.display()));
            Self { name, resources: serde_json::from_str(&text).unwrap() }
        })
    }

    fn every<'a>(&'a self, version: &str, kind: &str) -> Vec<Node<'a>> {
        let is_kind = |resource: &&Value| resource["kind"] == kind && resource["apiVersion"] == version;
        let node =
            |value: &'a Value| Node { path: format!("{}: {kind} {}", self.name, value["metadata"]["name"]), value };
        self.resources.iter().filter(is_kind).map(node).collect()
    }

    fn deployment(&self) -> Node<'_> {
        let mut all = self.every("apps/v1", "Deployment");
        all.retain(|deployment| deployment.text("/metadata/name") == NAME);
        assert_eq!(all.len(), 1, "{}", self.name);
        all.remove(0)
    }

    fn template(&self) -> Node<'_> {
        self.deployment().at("/spec/template")
    }

    /// The labels of the gateway's own pods.
    fn own(&self) -> Labels {
        self.template().at("/metadata").texts("/labels")
    }

    fn container(&self) -> Node<'_> {
        let mut containers = self.template().items("/spec/containers");
        assert_eq!(containers.len(), 1, "{}", self.name);
        containers.remove(0)
    }

    /// The labels of every kind of pod in the overlay.
    fn pods(&self) -> Vec<Labels> {
        let kinds = [("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job")];
        let all = kinds.into_iter().flat_map(|(version, kind)| self.every(version, kind));
        all.map(|each| each.at("/spec/template/metadata/labels").texts("")).collect()
    }

    /// The environment of the pods, with every `ConfigMap` and `Secret` that they name.
    fn environment(&self) -> Labels {
        let mut environment = Labels::new();
        let named =
            |kind, name: &str| self.every("v1", kind).into_iter().find(|each| each.text("/metadata/name") == name);
        for source in self.container().items("/envFrom") {
            if let Some(map) = source.find("/configMapRef") {
                let name = map.text("/name");
                let found = named("ConfigMap", name).unwrap_or_else(|| panic!("{}: no ConfigMap {name}", map.path));
                environment.extend(found.at("/data").texts(""));
            }
            if let Some(secret) = source.find("/secretRef") {
                let Some(found) = named("Secret", secret.text("/name")) else {
                    // This secret is created separately: see k8s/base/secret.example.yaml.
                    environment.insert("DB_PASSWORD".to_owned(), "secret".to_owned());
                    continue;
                };
                let keys = [found.texts("/data"), found.texts("/stringData")].into_iter().flat_map(Labels::into_keys);
                environment.extend(keys.map(|key| (key, "secret".to_owned())));
            }
        }
        for variable in self.container().items("/env") {
            let value = variable.find("/value").map_or("", |value| value.text(""));
            environment.insert(variable.text("/name").to_owned(), value.to_owned());
        }
        environment
    }

    /// The gateway's configuration in this environment.
    fn config(&self) -> Config {
        let environment = self.environment();
        Config::read(&Environment::new(move |name| environment.get(name).cloned()))
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

fn selects(selector: &Labels, pod: &Labels) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| pod.get(key) == Some(value))
}

#[test]
fn selectors_match_labels() {
    for overlay in Overlay::all() {
        let (own, pods, deployment) = (overlay.own(), overlay.pods(), overlay.deployment());
        assert!(selects(&deployment.texts("/spec/selector/matchLabels"), &own), "{}", deployment.path);
        for spread in overlay.template().items("/spec/topologySpreadConstraints") {
            assert!(selects(&spread.texts("/labelSelector/matchLabels"), &own), "{}", spread.path);
        }
        let budgets = overlay.every("policy/v1", "PodDisruptionBudget");
        assert!(!budgets.is_empty(), "{}", overlay.name);
        for budget in budgets {
            assert!(selects(&budget.texts("/spec/selector/matchLabels"), &own), "{}", budget.path);
        }
        for policy in overlay.every("networking.k8s.io/v1", "NetworkPolicy") {
            let selector = policy.texts("/spec/podSelector/matchLabels");
            assert!(pods.iter().any(|pod| selects(&selector, pod)), "{}: {selector:?}", policy.path);
        }
        for service in overlay.every("v1", "Service") {
            let selector = service.texts("/spec/selector");
            assert!(pods.iter().any(|pod| selects(&selector, pod)), "{}: {selector:?}", service.path);
        }
    }
}

#[tokio::test]
async fn probes_ask_for_routes_that_exist_on_ports_that_exist() {
    let gateway = TestGateway::recorded(Backend::Sqlite).await;
    for overlay in Overlay::all() {
        let container = overlay.container();
        let ports: Vec<_> =
            container.items("/ports").iter().map(|port| (port.text("/name"), port.number("/containerPort"))).collect();
        let config = overlay.config();
        let expected =
            [("http", config.server.address.port()), ("metrics", config.observability.metrics.unwrap().port())];
        assert_eq!(ports, expected.map(|(name, port)| (name, u64::from(port))), "{}", overlay.name);
        for (probe, path) in [
            ("/livenessProbe", "/health_check"),
            ("/readinessProbe", "/readiness_check"),
            ("/startupProbe", "/health_check"),
        ] {
            let http = container.at(probe).at("/httpGet");
            assert_eq!((http.text("/path"), http.text("/port")), (path, "http"), "{}", http.path);
            assert_eq!(gateway.get(path).await.status, 200);
        }
        for service in overlay.every("v1", "Service") {
            if !selects(&service.texts("/spec/selector"), &overlay.own()) {
                continue;
            }
            let targets: Vec<_> = service
                .items("/spec/ports")
                .iter()
                .map(|port| (port.number("/port"), port.text("/targetPort")))
                .collect();
            let public =
                service.find("/spec/type").is_some_and(|kind| ["LoadBalancer", "NodePort"].contains(&kind.text("")));
            let expected = if public { (5153, "http") } else { (9153, "metrics") };
            assert_eq!(targets, [expected], "{}: metrics stay off the load balancer", service.path);
        }
    }
}

#[test]
fn every_variable_is_known_and_makes_sense() {
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).unwrap();
    for overlay in Overlay::all() {
        let environment = overlay.environment();
        assert!(
            environment.contains_key("DB_HOST") && environment.contains_key("DB_PASSWORD"),
            "{}: {environment:?}",
            overlay.name
        );
        for name in environment.keys() {
            assert!(example.contains(&format!("\n#{name}=")), "{}: {name} is no variable of the gateway", overlay.name);
        }
        // Panics when the configuration is refused.
        let _ = overlay.config();
    }
}

#[test]
fn requests_do_not_exceed_limits() {
    for overlay in Overlay::all() {
        let resources = overlay.container().at("/resources");
        let (requests, limits) = (resources.at("/requests").texts(""), resources.at("/limits"));
        assert_eq!((limits.text("/cpu"), limits.text("/memory")), ("200m", "256Mi"), "{}", limits.path);
        for (name, request) in requests {
            assert!(amount(&request) <= amount(limits.text(&format!("/{name}"))), "{}: {name}", limits.path);
        }
    }
}

/// A quantity in thousandths of its base unit.
fn amount(quantity: &str) -> u64 {
    let units = [("Mi", 1_000 << 20), ("Gi", 1_000 << 30), ("m", 1), ("", 1_000)];
    let (unit, factor) = units.into_iter().find(|(unit, _)| quantity.ends_with(unit)).unwrap();
    quantity.strip_suffix(unit).unwrap().parse::<u64>().unwrap() * factor
}

#[test]
fn the_autoscaler_scales_what_is_there() {
    for overlay in Overlay::all() {
        let scalers = overlay.every("autoscaling/v2", "HorizontalPodAutoscaler");
        assert_eq!(scalers.len(), 1, "{}", overlay.name);
        let spec = scalers[0].at("/spec");
        assert!(spec.number("/minReplicas") <= spec.number("/maxReplicas"), "{}", spec.path);
        let target = spec.at("/scaleTargetRef");
        let deployment = overlay.deployment();
        let expected = ("Deployment", deployment.text("/metadata/name"));
        assert_eq!((target.text("/kind"), target.text("/name")), expected, "{}", target.path);
        // The autoscaler sets the number of replicas; a number here would reset it at every apply.
        assert!(deployment.find("/spec/replicas").is_none(), "{}", deployment.path);
    }
}

#[test]
fn a_pod_is_given_the_time_that_it_takes_to_drain() {
    for overlay in Overlay::all() {
        let stop = overlay.container().number("/lifecycle/preStop/sleep/seconds");
        let drain = Duration::from_secs(stop) + DRAIN + overlay.config().server.shutdown_timeout;
        let grace = overlay.template().number("/spec/terminationGracePeriodSeconds");
        assert!(Duration::from_secs(grace) > drain, "{}: {grace} s for {drain:?}", overlay.name);
        let strategy = overlay.deployment().at("/spec/strategy/rollingUpdate");
        assert_eq!(strategy.at("/maxUnavailable").value, &json!(0), "{}", strategy.path);
    }
}
