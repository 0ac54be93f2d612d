//! Logging.

use super::parse::{self, Bad, Reader};

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Directives for tracing's `EnvFilter`: `info`, or `info,tieline::call=debug`. Default `info`: what an operator notices.
    pub filter: String,
    /// Default text, as people look first.
    pub format: LogFormat,
    /// Whether what was said may be logged. Default false: transcripts are health information.
    pub transcripts: bool,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

impl Log {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Self {
        Self {
            filter: reader.or_default("LOG", filter),
            format: reader.or_default("LOG_FORMAT", format),
            transcripts: reader.or_default("LOG_TRANSCRIPTS", parse::boolean),
        }
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        let format = match self.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        lines.extend([
            ("LOG", self.filter.clone()),
            ("LOG_FORMAT", format.to_owned()),
            ("LOG_TRANSCRIPTS", self.transcripts.to_string()),
        ]);
    }
}

/// `EnvFilter` takes a mistyped level (`LOG=inof`) for a target and then logs nothing, so a level is required here.
/// Span filters (`[call{id=1}]=debug`) are left to `EnvFilter`.
fn filter(value: &str) -> Result<String, Bad> {
    let ends_in_level = |directive: &str| {
        let level = directive.rsplit('=').next().unwrap_or_default().trim();
        LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level))
    };
    if value.contains('[') || value.split(',').all(ends_in_level) {
        return Ok(value.to_owned());
    }
    Err(
        Bad::new("off, error, warn, info, debug or trace, or target=level, separated by commas")
            .example("info,tieline::call=debug"),
    )
}

fn format(value: &str) -> Result<LogFormat, Bad> {
    match value.to_ascii_lowercase().as_str() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Bad::new("text or json")),
    }
}

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_name_a_level() {
        for text in [
            "info",
            "WARN",
            "info,tieline::call=debug",
            "off, tieline=trace",
            "[call{id=1,x=2}]=debug",
        ] {
            assert!(filter(text).is_ok(), "{text}");
        }
        for text in ["inof", "tieline", "info,", "tieline=loud"] {
            assert!(filter(text).is_err(), "{text}");
        }
    }
}
