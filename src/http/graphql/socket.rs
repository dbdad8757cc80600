//! GraphQL over a WebSocket: the protocol `graphql-transport-ws`.
//! Source: <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Bytes,
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use crate::{
    graphql::execution::limits::Limit,
    http::{
        connections::{
            admission::{self, Client},
            memory::Room,
        },
        error::Failure,
        graphql::{
            Gateway,
            answering::{Answering, crowded},
            cross_site,
            live::Told,
            parameters::{Parameters, read_json},
            streaming::EXPIRED,
        },
    },
    metrics::Counted,
};

const PROTOCOL: &str = "graphql-transport-ws";
/// How long a client may take to send `connection_init`.
const INITIALISATION: Duration = Duration::from_secs(3);
/// How long a client may take to receive a message, or to close the connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the client is pinged. The connection ends when nothing arrived from the client for more than twice this
/// time.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// The read buffer of a connection. The library's default of 128 KiB would be most of a connection's memory.
const BUFFER_BYTES: usize = 4 << 10;
/// Messages of up to this many times the limit are read, so that the client gets a reason for the close. With a larger
/// one, the connection may be reset before the reason arrives.
const READABLE: usize = 2;
/// The longest reason that fits into a close frame.
const REASON_BYTES: usize = 123;

/// A message from a client.
#[derive(Debug, Deserialize)]
struct FromClient {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    payload: Option<Value>,
}

/// The code and the reason of a close frame.
#[derive(Debug)]
struct Close(u16, String);

impl Close {
    fn invalid(reason: impl Into<String>) -> Self {
        Self(4400, reason.into())
    }
}

/// Why a connection ends: the gateway closes it, or the client is gone.
#[derive(Debug)]
enum Ended {
    Closing(Close),
    Gone,
}

impl From<Close> for Ended {
    fn from(close: Close) -> Self {
        Self::Closing(close)
    }
}

/// Opens a WebSocket. Other requests are refused.
pub(in crate::http) async fn connect(
    State(gateway): State<Gateway>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else { return Failure::NeedsWebSocket.into_response() };
    if cross_site::is_foreign(&headers, &gateway.config.cors_origins, gateway.proxy_hops) {
        let text = |name| headers.get(name).map(|value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into());
        let [origin, host] = [header::ORIGIN, header::HOST].map(|name| text(name).unwrap_or_default());
        return Failure::ForeignOrigin { origin, host }.into_response();
    }
    let limits = &gateway.config.limits;
    let place = match gateway.live.connect(client.address()) {
        Ok(place) => place,
        Err(failure) => return failure.into_response(),
    };
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_message_size(READABLE * limits.body_bytes)
        .max_frame_size(READABLE * limits.body_bytes)
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0);
    upgrade.on_upgrade(move |socket| async move {
        let _held = (place, Counted::live_connection("websocket"));
        let live = gateway.live.clone();
        live.track(serve(gateway, client, socket)).await;
    })
}

async fn serve(gateway: Gateway, client: Client, socket: WebSocket) {
    let speaks = socket.protocol().is_some_and(|protocol| protocol == PROTOCOL);
    let mut connection = Connection {
        gateway,
        client,
        socket,
        is_acknowledged: false,
        operations: HashMap::new(),
        room: Room::default(),
        answers: FuturesUnordered::new(),
    };
    let ended = if speaks {
        connection.run().await
    } else {
        Close(4406, format!("Subprotocol not acceptable: use {PROTOCOL}")).into()
    };
    let Ended::Closing(Close(code, reason)) = ended else { return };
    debug!(code, reason, "closing a WebSocket");
    let frame = CloseFrame { code, reason: shortened(reason).into() };
    let mut socket = connection.socket;
    // Read until the client has closed: dropping a socket with unread data resets the connection, and the client may
    // lose the close frame.
    let goodbye = async {
        let _ = socket.send(Message::Close(Some(frame))).await;
        while let Some(Ok(_)) = socket.recv().await {}
    };
    let _ = timeout(PATIENCE, goodbye).await;
}

/// The headers with credentials in a payload; none if it has neither.
fn headers(payload: &Value) -> Option<HeaderMap> {
    let found = payload.as_object()?.iter().filter_map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let known = [header::AUTHORIZATION, admission::API_KEY].into_iter().find(|known| known.as_str() == name)?;
        Some((known, HeaderValue::from_str(value.as_str()?).ok()?))
    });
    Some(found.collect::<HeaderMap>()).filter(|found| !found.is_empty())
}

fn shortened(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES));
    reason
}

/// An operation in progress. When it is dropped, no more answers are sent.
struct Operation {
    _ends: DropGuard,
    _counted: Option<Counted>,
}

/// The next answer of an operation, and the source of those after it.
struct Next {
    id: Arc<str>,
    completed: CancellationToken,
    told: Option<Arc<Told>>,
    answering: Answering,
}

struct Connection {
    gateway: Gateway,
    client: Client,
    socket: WebSocket,
    is_acknowledged: bool,
    operations: HashMap<Arc<str>, Operation>,
    room: Room,
    /// The next answer of each operation; none for one that was completed first.
    answers: FuturesUnordered<BoxFuture<'static, Option<Next>>>,
}

impl Connection {
    async fn run(&mut self) -> Ended {
        let stopped = self.gateway.live.stopped();
        tokio::pin!(stopped);
        let begun = Instant::now();
        let mut keep_alive = interval_at(begun + KEEP_ALIVE, KEEP_ALIVE);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = begun;
        let maximum = self.gateway.config.limits.body_bytes;
        loop {
            let done = tokio::select! {
                () = &mut stopped => Err(Close(1001, "Going away: connect again".to_owned()).into()),
                () = sleep_until(begun + INITIALISATION), if !self.is_acknowledged => {
                    Err(Close(4408, "Connection initialisation timeout".to_owned()).into())
                }
                _ = keep_alive.tick() => {
                    if !self.gateway.authenticator.still_holds(&self.client.caller) {
                        Err(Close(4403, EXPIRED.to_owned()).into())
                    } else if heard.elapsed() > 2 * KEEP_ALIVE {
                        Err(Ended::Gone)
                    } else {
                        self.say(Message::Ping(Bytes::new())).await
                    }
                }
                Some(next) = self.answers.next() => match next {
                    Some(next) => self.pass_on(next).await,
                    None => Ok(()),
                },
                message = self.socket.recv() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) if text.len() > maximum => {
                            Err(Close(1009, Limit::BodyBytes.message(maximum)).into())
                        }
                        Some(Ok(Message::Text(text))) => self.hear(text.as_str()).await,
                        Some(Ok(Message::Binary(_))) => Err(Close::invalid("Messages must be text").into()),
                        // The library answers pings and close frames while it reads.
                        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => Ok(()),
                        // After a message that is not valid, or far too large, nothing more can be read.
                        Some(Err(_)) | None => Err(Ended::Gone),
                    }
                }
            };
            if let Err(ended) = done {
                return ended;
            }
        }
    }

    async fn hear(&mut self, text: &str) -> Result<(), Ended> {
        let invalid = |failure: &Failure| Close::invalid(format!("Invalid message: {}", failure.message()));
        let message: FromClient = read_json(text.as_bytes(), &self.gateway.config.limits, "The message")
            .map_err(|failure| invalid(&failure))?;
        match (message.kind.as_str(), message.id.filter(|id| !id.is_empty())) {
            ("connection_init", _) if self.is_acknowledged => {
                Err(Close(4429, "Too many initialisation requests".to_owned()).into())
            }
            ("connection_init", _) => {
                self.introduce(message.payload.as_ref()).await?;
                self.is_acknowledged = true;
                self.say_json(&json!({ "type": "connection_ack" })).await
            }
            ("ping", _) => {
                let mut pong = json!({ "type": "pong" });
                // The echo takes memory until the client has read it, like any answer.
                if let Some(payload) =
                    message.payload.filter(|_| self.gateway.live.memory().widen(&mut self.room, text.len()))
                {
                    pong["payload"] = payload;
                }
                self.say_json(&pong).await
            }
            ("pong", _) => Ok(()),
            ("subscribe", _) if !self.is_acknowledged => Err(Close(4401, "Unauthorized".to_owned()).into()),
            ("subscribe", Some(id)) => {
                let payload = message.payload.unwrap_or_default();
                let parameters = Parameters::from_json(payload).map_err(|failure| invalid(&failure))?;
                self.subscribe(id.into(), parameters).await
            }
            ("complete", Some(id)) => {
                self.operations.remove(id.as_str());
                Ok(())
            }
            ("subscribe" | "complete", None) => Err(Close::invalid("Invalid message: it has no `id`").into()),
            (kind, _) => Err(Close::invalid(format!("Invalid message: `{kind}` is not a type of message")).into()),
        }
    }

    /// Identifies the caller by the payload of `connection_init`: browsers cannot send headers in the handshake.
    async fn introduce(&mut self, payload: Option<&Value>) -> Result<(), Ended> {
        let headers = payload.and_then(|payload| headers(payload).or_else(|| headers(payload.get("headers")?)));
        let Some(headers) = headers else { return Ok(()) };
        let forbidden = |failure: &Failure| Close(4403, format!("Forbidden: {}", failure.message()));
        let credential = admission::credential(&headers).map_err(|denied| forbidden(&Failure::from(&denied)))?;
        if credential.is_some() {
            let client = self.client.identified(&self.gateway, credential).await;
            self.client = client.map_err(|failure| forbidden(&failure))?;
        }
        Ok(())
    }

    async fn subscribe(&mut self, id: Arc<str>, parameters: Parameters) -> Result<(), Ended> {
        if self.operations.contains_key(&id) {
            return Err(Close(4409, format!("Subscriber for {id} already exists")).into());
        }
        let maximum = self.gateway.config.limits.subscriptions;
        if self.operations.len() >= maximum {
            return self.refuse(&id, &Failure::Limit(Limit::Subscriptions, maximum).body().into_bytes()).await;
        }
        if let Err(failure) = self.client.begin() {
            return self.refuse(&id, &failure.body().into_bytes()).await;
        }
        let answering = Answering::begin(&self.gateway, &self.client, parameters).await;
        let completed = CancellationToken::new();
        let operation = Operation {
            _ends: completed.clone().drop_guard(),
            _counted: answering.is_followed().then(Counted::subscription),
        };
        self.operations.insert(Arc::clone(&id), operation);
        self.wait_for_next(id, completed, answering);
        Ok(())
    }

    fn wait_for_next(&mut self, id: Arc<str>, completed: CancellationToken, mut answering: Answering) {
        let next = async move {
            let told = completed.run_until_cancelled(answering.next()).await?;
            Some(Next { id, completed, told, answering })
        };
        self.answers.push(next.boxed());
    }

    async fn pass_on(&mut self, next: Next) -> Result<(), Ended> {
        let Next { id, completed, told, answering } = next;
        if completed.is_cancelled() {
            return Ok(());
        }
        let Some(told) = told else {
            self.operations.remove(&id);
            return self.say_json(&json!({ "id": &*id, "type": "complete" })).await;
        };
        if told.refused {
            self.operations.remove(&id);
            return self.refuse(&id, &told.body).await;
        }
        if !self.gateway.live.memory().widen(&mut self.room, told.body.len()) {
            self.operations.remove(&id);
            let crowded = crowded(&self.gateway).await;
            return self.refuse(&id, &crowded.body).await;
        }
        // The answer is JSON already, so it is inserted as text.
        let mut text = format!(r#"{{"id":{},"type":"next","payload":"#, Value::from(&*id));
        text.push_str(&String::from_utf8_lossy(&told.body));
        text.push('}');
        drop(told);
        self.say(Message::Text(text.into())).await?;
        self.wait_for_next(id, completed, answering);
        Ok(())
    }

    /// Tells the client why an operation is not executed, or has ended.
    async fn refuse(&mut self, id: &str, body: &[u8]) -> Result<(), Ended> {
        let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
        self.say_json(&json!({ "id": id, "type": "error", "payload": body["errors"].take() })).await
    }

    async fn say_json(&mut self, message: &Value) -> Result<(), Ended> {
        self.say(Message::Text(message.to_string().into())).await
    }

    /// Sends a message. A client that does not receive it in time is given up.
    async fn say(&mut self, message: Message) -> Result<(), Ended> {
        let sent = timeout(PATIENCE, self.socket.send(message)).await;
        sent.ok().and_then(Result::ok).ok_or(Ended::Gone)
    }
}
