//! Secrets: a literal (with a warning), `{ env = "NAME" }` or `{ file = "PATH" }`. Values never show in a fault.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use toml::Spanned;
use toml::de::DeValue;
use zeroize::Zeroize;

use super::reader::{Placed, Section};
use super::resolved::Value;
use crate::secret::Secret;

impl<'a> Section<'a> {
    /// A secret text.
    pub(super) fn secret(&self, key: &'static str) -> Option<Placed<'a, Secret<String>>> {
        let (secret, at) = match self.overriding(key) {
            Some((value, at)) => (Secret::new(value.to_owned()), at),
            None => self.secret_value(key, self.raw(key)?)?,
        };
        self.note(key, Value::secret(secret.expose()));
        Some((secret, at))
    }

    /// A list of secret texts; absent reads as empty.
    pub(super) fn secrets(&self, key: &'static str) -> Vec<Placed<'a, Secret<String>>> {
        let values = self.elements(key).iter();
        let secrets: Vec<_> = values.filter_map(|value| self.secret_value(key, value)).collect();
        self.note_list(key, secrets.iter().map(|(secret, _)| Value::secret(secret.expose())).collect());
        secrets
    }

    /// One secret that stands at `value`.
    pub(super) fn secret_value(
        &self,
        key: &'static str,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Option<Placed<'a, Secret<String>>> {
        let at = self.at(value);
        if let Some(text) = value.get_ref().as_str() {
            self.warn(
                &at,
                key,
                "a secret stands in the file; better { env = \"NAME\" } or { file = \"PATH\" }",
            );
            return Some((Secret::new(text.to_owned()), at));
        }
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(&at, key, "must be a string, { env = \"NAME\" } or { file = \"PATH\" }");
            return None;
        };
        let said: Vec<(&str, Option<&str>)> =
            table.iter().map(|(name, value)| (name.get_ref().as_ref(), value.get_ref().as_str())).collect();
        let read = match said.as_slice() {
            [("env", Some(name))] => match self.context().env(name) {
                Some(value) if !value.is_empty() => Ok(value.to_owned()),
                _ => Err(format!("environment variable {name} is not set")),
            },
            [("file", Some(path))] => {
                self.context().depends_on(*path);
                std::fs::read_to_string(path)
                    .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                    .map_err(|fault| format!("file {path} cannot be read: {fault}"))
            }
            _ => Err(String::from("must be a string, { env = \"NAME\" } or { file = \"PATH\" }")),
        };
        match read {
            Ok(text) => Some((Secret::new(text), at)),
            Err(reason) => {
                self.wrong(&at, key, reason);
                None
            }
        }
    }

    /// A secret of exactly 32 bytes, written in base64.
    pub(super) fn key32(
        &self,
        key: &'static str,
        placed: Placed<'a, Secret<String>>,
    ) -> Option<Secret<[u8; 32]>> {
        let (secret, at) = placed;
        let decoded = STANDARD.decode(secret.expose()).ok().and_then(|mut bytes| {
            let array = <[u8; 32]>::try_from(bytes.as_slice()).ok();
            bytes.zeroize();
            array
        });
        if decoded.is_none() {
            self.wrong(&at, key, "must be the base64 of exactly 32 bytes");
        }
        decoded.map(Secret::new)
    }
}
