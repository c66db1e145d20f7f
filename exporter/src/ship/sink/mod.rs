//! What a destination does with a body: posts it, prints it or writes it to a file.

mod file;

use bytes::Bytes;

pub use file::FileSink;

use crate::{
    config::wire::{Compression, Protocol},
    destination::{DestinationSettings, Kind},
    otlp::{Heard, OtlpError, OtlpSender, Outcome, Signal},
    ship::{console::Console, encode::Format},
};

/// Where bodies go.
#[derive(Debug)]
pub enum Sink {
    /// To an OTLP endpoint.
    Otlp(Box<OtlpSender>, Format),
    /// To standard output.
    Console(Console),
    /// To a file.
    File(FileSink),
}

impl Sink {
    /// The sink of a destination.
    ///
    /// # Errors
    ///
    /// [`OtlpError`] where its client cannot be set up.
    pub fn new(settings: &DestinationSettings) -> Result<Self, OtlpError> {
        Ok(match &settings.kind {
            Kind::Otlp(otlp) => {
                let format = match otlp.protocol {
                    Protocol::HttpJson => Format::Json,
                    Protocol::HttpProtobuf | Protocol::Grpc => Format::Protobuf,
                };
                Self::Otlp(Box::new(OtlpSender::new((**otlp).clone(), Signal::Traces)?), format)
            }
            Kind::Console => Self::Console(Console::stdout()),
            Kind::File(file) => Self::File(FileSink::new(file.clone())),
        })
    }

    /// How spans are written for it.
    pub fn format(&self) -> Format {
        match self {
            Self::Otlp(_, format) => *format,
            Self::Console(console) => Format::Text(*console),
            Self::File(_) => Format::JsonLine,
        }
    }

    /// How a body is to be compressed for it.
    pub fn compression(&self) -> Compression {
        match self {
            Self::Otlp(sender, _) => sender.compression(),
            Self::Console(_) | Self::File(_) => Compression::None,
        }
    }

    /// Sends a body once; returns at most so many bytes of the response.
    pub async fn probe(&self, body: Bytes, most: usize) -> Heard {
        match self {
            Self::Otlp(sender, _) => sender.probe(body, most).await,
            Self::Console(_) | Self::File(_) => {
                Heard { outcome: self.send(body).await, status: None, said: None }
            }
        }
    }

    /// Gives it a body, once.
    pub async fn send(&self, body: Bytes) -> Outcome {
        match self {
            Self::Otlp(sender, _) => sender.post(body).await,
            Self::Console(console) => console.print(&body).await,
            Self::File(file) => file.write(body).await,
        }
    }
}
