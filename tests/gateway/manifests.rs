//! What validators of manifests cannot see: that names, ports, paths and times fit each other, and the
//! code. Reads what `make manifests` rendered from `k8s/`.

use std::{collections::BTreeMap, path::Path, time::Duration};

use coworking_analytics::{
    app::DRAIN,
    config::{Config, Environment},
};
use k8s_openapi::{
    Resource,
    api::{
        apps::v1::{Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::Job,
        core::v1::{ConfigMap, Container, PodTemplateSpec, Secret, Service},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::support::{Backend, TestGateway};

const NAME: &str = "coworking-analytics";
type Labels = BTreeMap<String, String>;

/// Everything that one overlay applies.
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

    fn every<T: Resource + DeserializeOwned>(&self) -> Vec<T> {
        let is_kind = |resource: &&Value| resource["kind"] == T::KIND && resource["apiVersion"] == T::API_VERSION;
        let parse = |resource: &Value| {
            serde_json::from_value(resource.clone()).unwrap_or_else(|error| panic!("{error} in {resource:#}"))
        };
        self.resources.iter().filter(is_kind).map(parse).collect()
    }

    fn deployment(&self) -> Deployment {
        let mut all = self.every::<Deployment>();
        all.retain(|deployment| deployment.metadata.name.as_deref() == Some(NAME));
        assert_eq!(all.len(), 1, "{}", self.name);
        all.remove(0)
    }

    fn template(&self) -> PodTemplateSpec {
        self.deployment().spec.unwrap().template
    }

    fn container(&self) -> Container {
        let mut containers = self.template().spec.unwrap().containers;
        assert_eq!(containers.len(), 1);
        containers.remove(0)
    }

    /// The labels of every kind of pod in the overlay.
    fn pods(&self) -> Vec<Labels> {
        let deployments = self.every::<Deployment>().into_iter().map(|each| each.spec.unwrap().template);
        let sets = self.every::<StatefulSet>().into_iter().map(|each| each.spec.unwrap().template);
        let jobs = self.every::<Job>().into_iter().map(|each| each.spec.unwrap().template);
        deployments.chain(sets).chain(jobs).map(|template| template.metadata.unwrap().labels.unwrap()).collect()
    }

    /// What the pods' environment holds, from every `ConfigMap` and `Secret` that they name.
    fn environment(&self) -> Labels {
        let mut environment = Labels::new();
        for source in self.container().env_from.unwrap_or_default() {
            if let Some(map) = source.config_map_ref {
                let named = |each: &&ConfigMap| each.metadata.name.as_ref() == Some(&map.name);
                let maps = self.every::<ConfigMap>();
                environment
                    .extend(maps.iter().find(named).unwrap_or_else(|| panic!("no {}", map.name)).data.clone().unwrap());
            }
            if let Some(secret) = source.secret_ref {
                let named = |each: &&Secret| each.metadata.name.as_ref() == Some(&secret.name);
                let secrets = self.every::<Secret>();
                let Some(found) = secrets.iter().find(named) else {
                    // Made apart from what is applied: see k8s/base/secret.example.yaml.
                    environment.insert("DB_PASSWORD".to_owned(), "secret".to_owned());
                    continue;
                };
                let keys = found
                    .data
                    .iter()
                    .flatten()
                    .map(|(key, _)| key)
                    .chain(found.string_data.iter().flatten().map(|(key, _)| key));
                environment.extend(keys.map(|key| (key.clone(), "secret".to_owned())));
            }
        }
        for variable in self.container().env.unwrap_or_default() {
            environment.insert(variable.name, variable.value.unwrap_or_default());
        }
        environment
    }

    /// The gateway's configuration in such a pod.
    fn config(&self) -> Config {
        let environment = self.environment();
        Config::read(&Environment::new(move |name| environment.get(name).cloned()))
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

fn selects(selector: &Labels, pod: &Labels) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| pod.get(key) == Some(value))
}

fn labels(selector: Option<LabelSelector>) -> Labels {
    selector.and_then(|selector| selector.match_labels).unwrap_or_default()
}

#[test]
fn selectors_match_labels() {
    for overlay in Overlay::all() {
        let own = overlay.template().metadata.unwrap().labels.unwrap();
        let deployment = overlay.deployment().spec.unwrap();
        assert!(selects(&labels(Some(deployment.selector)), &own), "{}", overlay.name);
        for spread in overlay.template().spec.unwrap().topology_spread_constraints.unwrap_or_default() {
            assert!(selects(&labels(spread.label_selector), &own), "{}: topology spread", overlay.name);
        }
        let budgets = overlay.every::<PodDisruptionBudget>();
        assert!(!budgets.is_empty(), "{}", overlay.name);
        for budget in budgets {
            assert!(selects(&labels(budget.spec.unwrap().selector), &own), "{}: disruption budget", overlay.name);
        }
        for policy in overlay.every::<NetworkPolicy>() {
            let selector = labels(policy.spec.unwrap().pod_selector);
            assert!(
                overlay.pods().iter().any(|pod| selects(&selector, pod)),
                "{}: network policy {selector:?}",
                overlay.name
            );
        }
        for service in overlay.every::<Service>() {
            let selector = service.spec.unwrap().selector.unwrap();
            assert!(overlay.pods().iter().any(|pod| selects(&selector, pod)), "{}: service {selector:?}", overlay.name);
        }
    }
}

#[tokio::test]
async fn probes_ask_for_routes_that_exist_on_ports_that_exist() {
    let gateway = TestGateway::recorded(Backend::Sqlite).await;
    for overlay in Overlay::all() {
        let container = overlay.container();
        let ports: Vec<_> =
            container.ports.unwrap().into_iter().map(|port| (port.name.unwrap(), port.container_port)).collect();
        let config = overlay.config();
        let expected = [
            ("http".to_owned(), config.server.address.port()),
            ("metrics".to_owned(), config.observability.metrics.unwrap().port()),
        ];
        assert_eq!(ports, expected.map(|(name, port)| (name, i32::from(port))), "{}", overlay.name);
        for (probe, path) in [
            (container.liveness_probe, "/health_check"),
            (container.readiness_probe, "/readiness_check"),
            (container.startup_probe, "/health_check"),
        ] {
            let http = probe.unwrap().http_get.unwrap();
            assert_eq!(
                (http.path.as_deref(), &http.port),
                (Some(path), &IntOrString::String("http".to_owned())),
                "{}",
                overlay.name
            );
            assert_eq!(gateway.get(path).await.status, 200);
        }
        for service in overlay.every::<Service>() {
            let spec = service.spec.unwrap();
            if !selects(&spec.selector.unwrap(), &overlay.template().metadata.unwrap().labels.unwrap()) {
                continue;
            }
            let targets: Vec<_> =
                spec.ports.unwrap().into_iter().map(|port| (port.port, port.target_port.unwrap())).collect();
            let public = matches!(spec.type_.as_deref(), Some("LoadBalancer" | "NodePort"));
            let (port, target) = if public { (5153, "http") } else { (9153, "metrics") };
            assert_eq!(
                targets,
                [(port, IntOrString::String(target.to_owned()))],
                "{}: metrics stay off the load balancer",
                overlay.name
            );
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
        // Refused configurations panic.
        let _ = overlay.config();
    }
}

#[test]
fn requests_do_not_exceed_limits() {
    for overlay in Overlay::all() {
        let resources = overlay.container().resources.unwrap();
        let (requests, limits) = (resources.requests.unwrap(), resources.limits.unwrap());
        assert_eq!((limits["cpu"].0.as_str(), limits["memory"].0.as_str()), ("200m", "256Mi"), "{}", overlay.name);
        for (name, request) in requests {
            assert!(amount(&request.0) <= amount(&limits[&name].0), "{}: {name}", overlay.name);
        }
    }
}

/// A quantity in thousandths.
fn amount(quantity: &str) -> u64 {
    let units = [("Mi", 1_000 << 20), ("Gi", 1_000 << 30), ("m", 1), ("", 1_000)];
    let (unit, factor) = units.into_iter().find(|(unit, _)| quantity.ends_with(unit)).unwrap();
    quantity.strip_suffix(unit).unwrap().parse::<u64>().unwrap() * factor
}

#[test]
fn the_autoscaler_scales_what_is_there() {
    for overlay in Overlay::all() {
        let scalers = overlay.every::<HorizontalPodAutoscaler>();
        assert_eq!(scalers.len(), 1, "{}", overlay.name);
        let spec = scalers.into_iter().next().unwrap().spec.unwrap();
        assert!(spec.min_replicas.unwrap() <= spec.max_replicas, "{}", overlay.name);
        let target = spec.scale_target_ref;
        assert_eq!((target.kind.as_str(), Some(target.name)), ("Deployment", overlay.deployment().metadata.name));
        // Replicas are the autoscaler's: a number here would undo its work at every apply.
        assert_eq!(overlay.deployment().spec.unwrap().replicas, None, "{}", overlay.name);
    }
}

#[test]
fn a_pod_is_given_the_time_that_it_takes_to_drain() {
    for overlay in Overlay::all() {
        let stop = overlay.container().lifecycle.unwrap().pre_stop.unwrap().sleep.unwrap().seconds;
        let drain = Duration::from_secs(stop.unsigned_abs()) + DRAIN + overlay.config().server.shutdown_timeout;
        let grace = overlay.template().spec.unwrap().termination_grace_period_seconds.unwrap();
        assert!(Duration::from_secs(grace.unsigned_abs()) > drain, "{}: {grace} s for {drain:?}", overlay.name);
        let strategy = overlay.deployment().spec.unwrap().strategy.unwrap().rolling_update.unwrap();
        assert_eq!(strategy.max_unavailable, Some(IntOrString::Int(0)), "{}", overlay.name);
    }
}
