//! What the driver needs of a connection, so that it names no web framework.

use std::future::Future;

/// One message of the other side.
#[derive(Debug)]
pub enum Received<T> {
    /// A text message.
    Text(T),
    /// Anything else that says nothing: binary, ping, pong.
    Ignored,
    /// The connection is gone.
    Closed,
}

/// A message connection.
pub trait Socket: Send {
    /// A received text, borrowed or shared, never copied.
    type Text: AsRef<str> + Send;

    /// The next message. Safe to drop while waiting.
    fn receive(&mut self) -> impl Future<Output = Received<Self::Text>> + Send;

    /// Sends one text message; `false` if the connection is gone.
    fn send(&mut self, text: &str) -> impl Future<Output = bool> + Send;

    /// Closes the connection.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}
